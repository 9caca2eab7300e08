//! One process at a time.
//!
//! SQLite lets many processes write one file. Credsmith does not: names that changed are told within the process, and
//! two processes that reconcile would fence each other in turns. The lock is the kernel's, so it goes with its process,
//! however that ends; the file stays behind and means nothing by itself.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::files;

/// Held as long as the store is open.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// Why the lock cannot be had.
#[derive(Debug)]
pub enum Refused {
    /// Somebody has it; the pid is missing in the moment before it is written.
    Held(Option<u32>),
    Io(io::Error),
}

impl Lock {
    /// Takes the lock beside the database at `path` and leaves this process's pid in it.
    pub fn take(path: &Path) -> Result<Self, Refused> {
        let beside = beside(path);
        files::make_private(&beside).map_err(Refused::Io)?;
        let mut file = OpenOptions::new().read(true).write(true).open(beside).map_err(Refused::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refused::Held(pid(&mut file))),
            Err(TryLockError::Error(error)) => return Err(Refused::Io(error)),
        }
        write_pid(&mut file).map_err(Refused::Io)?;
        Ok(Self(file))
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
