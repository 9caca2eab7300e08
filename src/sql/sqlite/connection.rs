//! Connections and their settings.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use credsmith_core::probe;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use rusqlite_migration::{M, Migrations};

use super::{
    fault::{cause, open_error},
    files,
};
use crate::OpenError;

/// The database file, and how it is opened.
#[derive(Clone, Debug)]
pub struct Site {
    path: PathBuf,
    /// Tells the file from another that was put in its place.
    identity: (u64, u64),
    /// From how many pages of log on they are moved.
    long: Cell<i64>,
}

impl Site {
    /// Opens the database for writing and brings its schema up to date.
    pub fn open(path: &Path) -> Result<(Self, Connection), OpenError> {
        let fault = |error: rusqlite::Error| open_error(path, &error);
        let identity = files::identity(path).map_err(|error| files::fault(path, error))?;
        let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
        holds_store(path, &db)?;
        let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fault)?;
        if mode != "wal" {
            let what = format!("its file system has no shared memory, so that SQLite stays in mode {mode}");
            return Err(OpenError::Other { path: path.to_owned(), what });
        }
        writes(&db).map_err(fault)?;
        MIGRATIONS.to_latest(&mut db).map_err(|error| match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => open_error(path, &err),
            other => OpenError::Other { path: path.to_owned(), what: other.to_string() },
        })?;
        Ok((Self { path: path.to_owned(), identity, long: Cell::new(CHECKPOINT_PAGES) }, db))
    }

    /// Opens the database for writing again. A file that was put in its place meanwhile is not touched: readers would
    /// go on with the old one, and the log that lies there is not the new one's.
    pub fn reopen(&self) -> Result<Connection, String> {
        match files::identity(&self.path) {
            Ok(identity) if identity == self.identity => {}
            Ok(_) => return Err("another file lies in its place; start the process again".to_owned()),
            Err(error) => return Err(format!("its file cannot be opened: {error}; start the process again")),
        }
        let db = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        db.and_then(|db| writes(&db).map(|()| db)).map_err(|error| cause(&error))
    }

    /// Opens a database that may be in use, for reading alone: it is neither locked nor brought up to date. `None` where
    /// it holds nothing yet.
    pub fn look(path: &Path) -> Result<Option<Connection>, OpenError> {
        files::identity(path).map_err(|error| files::fault(path, error))?;
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| open_error(path, &error))?;
        Ok(holds_store(path, &db)?.then_some(db))
    }

    /// Opens the database for reading.
    pub fn reader(&self) -> rusqlite::Result<Connection> {
        connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Moves what was committed from the log into the database, once the log is long.
    ///
    /// SQLite would do this by itself within a commit, while everybody waits for the answer.
    pub fn checkpoint(&self, db: &Connection) {
        let waiting = db
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")
            .and_then(|mut statement| statement.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)));
        let Ok(waiting @ CHECKPOINT_PAGES..) = waiting else { return };
        if waiting < self.long.get() {
            return;
        }
        let done = db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)");
        match done.and_then(|mut statement| statement.query_row([], |_| Ok(()))) {
            Ok(()) => self.long.set(CHECKPOINT_PAGES),
            Err(error) => {
                // What is in the log is safe there. A disk that fails is not asked again with each commit.
                self.long.set(waiting + CHECKPOINT_PAGES);
                tracing::warn!(%error, "the store's log could not be moved into its database");
            }
        }
    }
}

/// Whether the file holds a store that this release knows, or nothing; anything else is refused. Nothing is written to it
/// before.
fn holds_store(path: &Path, db: &Connection) -> Result<bool, OpenError> {
    let ask = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| open_error(path, &error));
    let (known, path) = (MIGRATION.len() as i64, path.to_owned());
    if ask("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(false);
    }
    if ask("PRAGMA application_id")? != APPLICATION {
        return Err(OpenError::Foreign { path });
    }
    match ask("PRAGMA user_version")? {
        found if found > known => Err(OpenError::NewerSchema { path, found, known }),
        _ => Ok(true),
    }
}

fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    // No mutex: each connection is used by one thread at a time. No URI: a path is a path.
    let db = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans hang on the text of a statement alone. Otherwise SQLite makes the plan anew each time a LIMIT is bound,
    // which costs ten times the look-up.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Nothing of this program's is ever spilled to a temporary directory, which a container may not have.
    // No mmap: it makes a look-up in a large store a tenth cheaper, and a disk that fails to read kills the process.
    db.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -4096;")?;
    Ok(db)
}

/// Settings of a connection that writes. FULL syncs the log with each commit: what was answered survives a power cut.
fn writes(db: &Connection) -> rusqlite::Result<()> {
    let synchronous = if probe::syncs() { "FULL" } else { "OFF" };
    db.execute_batch(&format!("PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON;"))?;
    // Checkpoints are called for, see [`Site::checkpoint`]; a log that a long reader has let grow is cut again.
    for pragma in ["PRAGMA wal_autocheckpoint = 0", "PRAGMA journal_size_limit = 67108864"] {
        db.query_row(pragma, [], |_| Ok(()))?;
    }
    Ok(())
}

const MIGRATIONS: Migrations<'_> = Migrations::from_slice(MIGRATION);
/// Applied ones are never edited.
const MIGRATION: &[M<'_>] = &[M::up(include_str!("migrations/0001-init.sql"))];
/// As the first migration sets it.
const APPLICATION: i64 = 0x4372_6564;
/// Only another program can make us wait: a backup, or a shell.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);
const STATEMENTS: usize = 64;
/// 16 MiB of log.
const CHECKPOINT_PAGES: i64 = 4096;
