//! A file layer below a process that can lose what was not synced, and can be full or failing.
//!
//! The layer itself is a library that is preloaded into the process (`e2e/faultfs/faultfs.c`, where its model stands):
//! it keeps the old bytes of whatever changes until that is synced. Here is its other half, which plays them back.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use aws_lc_rs::digest;
pub use rustix::io::Errno;
use tokio::process::Command;

use crate::{exec, state};

/// The layer over one directory.
#[derive(Clone, Debug)]
pub struct FileLayer {
    library: PathBuf,
    watched: PathBuf,
    undo: PathBuf,
    control: PathBuf,
}

/// A sort of call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Write,
    Sync,
}

/// What a power cut took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Changes of bytes or lengths.
    pub changes: usize,
    /// Names that were made, removed or replaced.
    pub names: usize,
}

impl FileLayer {
    /// A layer over the directory `watched`, which is flat; what it keeps lies beside it. Compiles the library when this
    /// version of it was not compiled before.
    pub async fn over(watched: &Path) -> Result<Self> {
        state::make(watched)?;
        let watched = watched.canonicalize()?;
        let (undo, control) = (watched.with_added_extension("undo"), watched.with_added_extension("fail"));
        state::make(&undo)?;
        Ok(Self { library: library().await?, watched, undo, control })
    }

    /// The environment of a process that is to run on it.
    pub fn env(&self) -> Vec<(String, String)> {
        let (library, watched, undo, control) = (&self.library, &self.watched, &self.undo, &self.control);
        [("LD_PRELOAD", library), ("FAULTFS_DIR", watched), ("FAULTFS_UNDO", undo), ("FAULTFS_CONTROL", control)]
            .map(|(name, path)| (name.to_owned(), path.display().to_string()))
            .into()
    }

    /// The directory below it.
    pub fn directory(&self) -> &Path {
        &self.watched
    }

    /// Lets every call of that sort fail from now on.
    pub fn fail(&self, call: Call, error: Errno) -> Result<()> {
        let word = match call {
            Call::Write => "write",
            Call::Sync => "sync",
        };
        self.order(&format!("{word} {}\n", error.raw_os_error()))
    }

    /// Holds whoever syncs next, until SIGKILL.
    pub fn hold_sync(&self) -> Result<()> {
        self.order("hold 1\n")
    }

    /// Whether somebody is held: what it wrote is written, and not synced.
    pub fn is_holding(&self) -> bool {
        self.undo.join("held").exists()
    }

    /// Lets nothing fail and nobody be held any more.
    pub fn heal(&self) -> Result<()> {
        match fs::remove_file(&self.control) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Cuts the power: the directory holds what was synced and nothing else. Its process has to be dead.
    pub fn drop_unsynced(&self) -> Result<Dropped> {
        let mut dropped = Dropped { names: self.names_back()?, changes: 0 };
        for entry in fs::read_dir(&self.watched)? {
            let path = entry?.path();
            if path.as_os_str().as_encoded_bytes().ends_with(b"-shm") {
                fs::remove_file(path)?; // memory
                continue;
            }
            let kept = self.undo.join(format!("data-{}", fs::metadata(&path)?.ino()));
            let Ok(kept) = fs::read(kept) else { continue };
            let changes = parse(&kept);
            let file = OpenOptions::new().write(true).open(&path)?;
            for change in changes.iter().rev() {
                file.write_all_at(change.bytes, change.offset)?;
                file.set_len(change.length)?;
            }
            dropped.changes += changes.len();
        }
        for entry in fs::read_dir(&self.undo)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(dropped)
    }

    fn order(&self, line: &str) -> Result<()> {
        // Renamed into place, so that nobody reads half of it.
        let made = self.control.with_added_extension("new");
        fs::write(&made, line)?;
        Ok(fs::rename(made, &self.control)?)
    }

    fn names_back(&self) -> Result<usize> {
        let Ok(text) = fs::read_to_string(self.undo.join("names")) else { return Ok(0) };
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines().rev() {
            let words: Vec<_> = line.split('\t').collect();
            let [what, name, other, saved] = words[..] else { bail!("the layer kept a line that is none: {line:?}") };
            let (path, saved) = (self.watched.join(name), self.undo.join(saved));
            match what {
                "made" if path.exists() => fs::remove_file(path)?,
                "removed" if !path.exists() => fs::rename(saved, path)?,
                "renamed" if !path.exists() => {
                    let other = self.watched.join(other);
                    fs::rename(&other, path)?;
                    if saved.is_file() {
                        fs::rename(saved, other)?;
                    }
                }
                _ => {} // SIGKILL came between the record and what it is about
            }
        }
        Ok(whole.lines().count())
    }
}

/// What stood at a place before a change.
struct Change<'a> {
    offset: u64,
    /// Of the whole file.
    length: u64,
    bytes: &'a [u8],
}

/// The changes in the order in which they were made; one that was cut short at the end is left out.
fn parse(mut kept: &[u8]) -> Vec<Change<'_>> {
    fn number(bytes: &mut &[u8]) -> Option<u64> {
        let (first, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(u64::from_ne_bytes(*first))
    }
    let mut changes = Vec::new();
    let mut next = || {
        let (offset, length, size) = (number(&mut kept)?, number(&mut kept)?, number(&mut kept)?);
        let (bytes, rest) = kept.split_at_checked(usize::try_from(size).ok()?)?;
        kept = rest;
        (number(&mut kept)? == SEAL ^ size).then_some(Change { offset, length, bytes })
    };
    while let Some(change) = next() {
        changes.push(change);
    }
    changes
}

/// The library, compiled.
async fn library() -> Result<PathBuf> {
    let hash = digest::digest(&digest::SHA256, SOURCE.as_bytes());
    let hash: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let library = state::cache()?.join(format!("faultfs-{hash}.so"));
    if library.is_file() {
        return Ok(library);
    }
    let made = library.with_added_extension(state::random_hex(4));
    let compiler = env::var_os("CC").filter(|name| !name.is_empty()).unwrap_or_else(|| "cc".into());
    let mut compile = Command::new(compiler);
    compile.args(["-shared", "-fPIC", "-O2", "-xc", "-", "-o"]).arg(&made).args(["-ldl", "-lpthread"]);
    exec::output(&mut compile, SOURCE.as_bytes()).await.context("the file layer needs a C compiler, as SQLite does")?;
    File::open(&made)?;
    fs::rename(made, &library)?;
    Ok(library)
}

const SOURCE: &str = include_str!("../faultfs/faultfs.c");
/// Ends a record that is whole.
const SEAL: u64 = 0x6f64_6e75;

#[cfg(test)]
mod tests;
