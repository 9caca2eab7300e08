//! Files and directories that only this user may read, whatever the umask.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::OpenError;

/// Where the database lies: its directory is made, links are followed, so that whoever comes by another link meets the
/// same lock. The file itself is not opened: closing it would end the locks of a store in this process that has it.
pub fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    make_directory(directory)?;
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let name = path.file_name().unwrap_or_default();
    fs::canonicalize(directory).map(|directory| directory.join(name)).map_err(|source| fault(path, source))
}

/// Makes an empty database file where there is none, and tells early when it may not be written: SQLite would open it
/// for reading alone and tell at the first write.
pub fn make_database(path: &Path) -> Result<(), OpenError> {
    let make = || {
        if make_private(path)? {
            // The name must survive a power cut as well as what will be written under it.
            path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())?;
        }
        OpenOptions::new().read(true).write(true).open(path).map(|_| ())
    };
    make().map_err(|source| fault(path, source))
}

/// Which file lies at `path`, as opposed to another of that name.
pub fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Makes an empty file; whether there was none. SQLite gives the files beside the database the modes of the database.
pub fn make_private(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file.set_permissions(Permissions::from_mode(0o600)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// What an error of the file system means to whoever starts the process.
pub fn fault(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::Full { path },
        _ => OpenError::File { path, source },
    }
}

fn make_directory(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().unwrap_or(Path::new("/"));
    make_directory(above)?;
    let make = || match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
            File::open(above)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()), // somebody was first
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) => Err(error),
    };
    make().map_err(|source| match fault(path, source) {
        OpenError::File { path, source } => OpenError::Directory { path, source },
        other => other,
    })
}
