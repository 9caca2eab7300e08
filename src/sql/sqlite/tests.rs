//! The contract, and what only this backend can get wrong.

mod damage;
mod faults;
mod groups;
mod opening;
mod plans;

use std::{
    ops::Deref,
    path::{Path, PathBuf},
};

use credsmith_core::{
    domain::CredentialName,
    store::{
        Error, PutVersion, Store, VersionRow,
        conformance::{put, put_again},
    },
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::Sqlite;

credsmith_core::conformance!(Scratch::new());

/// A store in a directory that goes with it.
struct Scratch {
    store: Sqlite,
    directory: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&directory.path().join("store.db")).unwrap();
        Self { store, directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    /// Closes the store, lets somebody loose on its file, and opens it again.
    fn meanwhile(self, somebody: impl FnOnce(&Path)) -> Self {
        let Self { store, directory } = self;
        drop(store);
        let path = directory.path().join("store.db");
        somebody(&path);
        Self { store: Sqlite::open(&path).unwrap(), directory }
    }

    /// The same for whoever writes SQL, with every check off.
    fn damaged(self, sql: &str) -> Self {
        self.meanwhile(|path| {
            let db = Connection::open(path).unwrap();
            db.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;").unwrap();
            db.execute_batch(sql).unwrap();
            assert!(db.changes() > 0, "{sql} changes nothing");
        })
    }
}

impl Deref for Scratch {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

async fn written(store: &dyn Store, path: &str) -> VersionRow {
    put_again(store, put(path)).await.unwrap()
}

/// A version whose value has so many bytes.
fn large(path: &str, bytes: usize) -> PutVersion {
    let small = put(path);
    let sealed = [small.sealed.as_bytes(), &vec![7; bytes]].concat();
    PutVersion { sealed: credsmith_core::keyring::Sealed::from_stored(sealed), ..small }
}

fn name(path: &str) -> CredentialName {
    path.parse().unwrap()
}

fn why<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Err(Error::Unavailable(why)) => why,
        other => panic!("the store was to be unavailable: {other:?}"),
    }
}
