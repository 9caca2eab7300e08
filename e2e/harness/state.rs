//! Where files lie: the cache that outlives everything, and one directory for each run.

use std::{
    env, fs,
    fs::File,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, anyhow};

/// The cache directory: `$CREDSMITH_CACHE`, else `$XDG_CACHE_HOME/credsmith`, else `~/.cache/credsmith`.
///
/// # Errors
/// Where none of the three variables says a place.
pub fn cache() -> Result<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("CREDSMITH_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|dir| dir.join("credsmith")))
        .or_else(|| named("HOME").map(|dir| dir.join(".cache/credsmith")))
        .and_then(|dir| std::path::absolute(dir).ok())
        .ok_or_else(|| anyhow!("no place for the cache: set CREDSMITH_CACHE to a directory outside the work tree"))
}

/// A directory for one run, readable by its owner alone.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// It is not removed when it is dropped.
    left: bool,
    /// Held as long as the owner lives; the kernel lets go of it however the owner ends.
    lock: Option<File>,
}

impl StateDir {
    /// A new directory that goes when it is dropped.
    ///
    /// When the owner is killed instead, or is panicking (its logs are worth a look then), the directory stays until the next
    /// run of anybody: each first removes those whose owners are gone.
    pub fn temporary(purpose: &str) -> Result<Self> {
        let runs = cache()?.join("run");
        make(&runs)?;
        // Between its making and its locking a directory looks abandoned, so sweeping and making take turns.
        let turn = File::create(runs.join(".turn"))?;
        turn.lock().context("locking the list of runs")?;
        sweep(&runs);
        let path = runs.join(format!("{TEMPORARY}{purpose}-{}", random_hex(4)));
        make(&path)?;
        let lock = File::create(path.join("lock"))?;
        lock.lock()?;
        MADE.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        Ok(Self { path, left: false, lock: Some(lock) })
    }

    /// A directory that stays until somebody removes it.
    pub fn kept(path: &Path) -> Result<Self> {
        make(path)?;
        Ok(Self { path: path.canonicalize()?, left: true, lock: None })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True when it goes with its owner.
    pub fn is_temporary(&self) -> bool {
        self.lock.is_some()
    }

    /// Leaves a temporary directory to the next run, for a look at what is in it.
    pub fn leave(&mut self) {
        self.left = true;
    }

    /// A directory in it, made if it is not there.
    pub fn sub(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        make(&path)?;
        Ok(path)
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if KEPT.load(Ordering::Relaxed) {
            // With its lock, so that no other run sweeps it away while somebody here reads it.
            LEFT.lock().unwrap_or_else(PoisonError::into_inner).extend(self.lock.take());
        } else if !self.left && !std::thread::panicking() {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

/// From now on no temporary directory of this process goes before the process does: somebody wants to read them all at the
/// end. The next run sweeps them away.
pub fn keep_until_the_end() {
    KEPT.store(true, Ordering::Relaxed);
}

/// The temporary directories that this process made, those that are gone left out.
pub fn of_this_process() -> Vec<PathBuf> {
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.iter().filter(|path| path.exists()).cloned().collect()
}

/// Makes a directory and those above it, open to its owner alone.
pub fn make(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

/// Writes a file that only its owner can read, whatever was there before.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_ref()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// `bytes` random bytes as lower-case hexadecimal digits.
pub fn random_hex(bytes: usize) -> String {
    random(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `bytes` random bytes.
pub(crate) fn random(bytes: usize) -> Vec<u8> {
    let mut drawn = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut drawn).expect("the operating system has random bytes");
    drawn
}

/// Removes what killed runs left behind.
fn sweep(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let abandoned = || File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) && abandoned() {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

const TEMPORARY: &str = "test-";
static KEPT: AtomicBool = AtomicBool::new(false);
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// The locks of directories whose owners are gone.
static LEFT: Mutex<Vec<File>> = Mutex::new(Vec::new());
