//! From a URL to a store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use credsmith_core::{keyring::DataKeyRow, store::Store};

use crate::sqlite::Sqlite;

/// Opens the store that `url` names, and makes it where there is none: `sqlite://` and an absolute path.
///
/// [`OpenError`] says what stands in the way and what to do about it. It never holds the URL itself, which may carry a
/// password.
pub fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(Sqlite::open(&path(url)?)?))
}

/// The data keys of the store that `url` names, also while another process has it. Nothing is made, locked or changed.
pub fn data_keys(url: &str) -> Result<Vec<DataKeyRow>, OpenError> {
    Sqlite::data_keys_at(&path(url)?)
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store's URL {0}: give sqlite:// and an absolute path, such as sqlite:///var/lib/credsmith/store.db")]
    Url(String),
    #[error(
        "a store in PostgreSQL is not available in this release: give sqlite:// and an absolute path, such as \
         sqlite:///var/lib/credsmith/store.db"
    )]
    Postgres,
    #[error(
        "cannot create the directory {} for the store: {source}; create it, or let this process write to the one above \
         it",
        .path.display()
    )]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "cannot open the store {}: {source}; let this process read and write that file and its directory",
        .path.display()
    )]
    File { path: PathBuf, source: io::Error },
    #[error(
        "the store {} is in use by {}: only one process may have it; stop that one, or give this one another store",
        .path.display(), holder(*.pid)
    )]
    InUse {
        path: PathBuf,
        /// `None` in the moment between taking the lock and saying who has it.
        pid: Option<u32>,
    },
    #[error(
        "another program has the database {} locked: end it (perhaps a `sqlite3` shell or a backup), then start again",
        .path.display()
    )]
    Locked { path: PathBuf },
    #[error(
        "the store {} has schema version {found}, newer than this release, which knows {known}: start the newer \
         release again, or restore the backup that was made before it",
        .path.display()
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{} is not a database: give the path of the store, or move that file away to start an empty one",
        .path.display()
    )]
    NotADatabase { path: PathBuf },
    #[error("{} is the database of another program: give the store a path of its own", .path.display())]
    Foreign { path: PathBuf },
    #[error("the store {} is damaged: {what}; restore it from a backup", .path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("the disk of the store {} is full: make room on its volume, then start again", .path.display())]
    Full { path: PathBuf },
    #[error("the store {} is read-only: let this process write to its volume and its file", .path.display())]
    ReadOnly { path: PathBuf },
    #[error("the disk of the store {} fails: {what}; look at its volume, then start again", .path.display())]
    Disk { path: PathBuf, what: String },
    #[error("cannot open the store {}: {what}", .path.display())]
    Other { path: PathBuf, what: String },
}

fn path(url: &str) -> Result<PathBuf, OpenError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(OpenError::Url("has no scheme".to_owned()));
    };
    match scheme {
        "sqlite" => {}
        "postgres" | "postgresql" => return Err(OpenError::Postgres),
        // Anything else may be a password that somebody put first: it is not repeated.
        _ => return Err(OpenError::Url("has a scheme that is not known".to_owned())),
    }
    let path = Path::new(rest);
    if !path.is_absolute() {
        return Err(OpenError::Url("holds no absolute path (mind the third slash)".to_owned()));
    }
    // In a URL these mean a query, a fragment or an escape; in a path they are themselves. Nobody needs them.
    if let Some(sign) = rest.chars().find(|c| matches!(c, '?' | '#' | '%') || c.is_control()) {
        return Err(OpenError::Url(format!("holds {sign:?} in its path, which is read as a plain path")));
    }
    if rest.ends_with('/') {
        return Err(OpenError::Url("names a directory, not a file".to_owned()));
    }
    Ok(path.to_owned())
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("the process with pid {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_an_absolute_path() {
        assert_eq!(path("sqlite:///var/lib/credsmith/store.db").unwrap(), Path::new("/var/lib/credsmith/store.db"));
    }

    #[test]
    fn every_other_url_is_refused_with_the_form_that_is_expected() {
        let expected = "give sqlite:// and an absolute path, such as sqlite:///var/lib/credsmith/store.db";
        for (url, cause) in [
            ("", "has no scheme"),
            ("/var/lib/store.db", "has no scheme"),
            ("sqlite::memory:", "has no scheme"),
            ("mysql://me:hunter2@db/x", "has a scheme that is not known"),
            ("sqlite://store.db", "holds no absolute path (mind the third slash)"),
            ("sqlite:///a/b?mode=ro", "holds '?' in its path, which is read as a plain path"),
            ("sqlite:///a/b%20c", "holds '%' in its path, which is read as a plain path"),
            ("sqlite:///a/", "names a directory, not a file"),
        ] {
            assert_eq!(open(url).unwrap_err().to_string(), format!("the store's URL {cause}: {expected}"), "{url}");
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        for url in ["postgres://me:hunter2@db/x", "hunter2://x", "me:hunter2@db", "sqlite://me:hunter2@db/x?y"] {
            let error = open(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}");
        }
    }

    #[test]
    fn postgres_is_named_as_not_available_yet() {
        let error = open("postgres://me:hunter2@db/x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a store in PostgreSQL is not available in this release: give sqlite:// and an absolute path, such as \
             sqlite:///var/lib/credsmith/store.db"
        );
    }
}
