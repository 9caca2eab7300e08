//! What SQLite's errors mean to a caller.

use std::path::Path;

use credsmith_core::store::Error;
use rusqlite::{ErrorCode, ffi};

use crate::OpenError;

/// What went wrong inside a question or a step, before it is said which row that was about.
#[derive(Debug)]
pub enum Fault {
    Sql(rusqlite::Error),
    Told(Error),
}

impl Fault {
    /// The error for a caller, who asked about `id` in `table`.
    pub fn at(self, table: &'static str, id: impl ToString) -> Error {
        match self {
            Self::Told(error) => error,
            Self::Sql(error) if is_damage(&error) => {
                Error::Corrupt { table, id: id.to_string(), what: error.to_string() }
            }
            Self::Sql(error) => Error::Unavailable(cause(&error)),
        }
    }

    /// Whether something unique is there already.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Sql(error) if extended(error) == ffi::SQLITE_CONSTRAINT_UNIQUE)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// What happened and what to do. SQLite's own texts name tables and columns, never what stands in them.
pub fn cause(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            "its disk is full; make room on the volume, then writing goes on by itself".to_owned()
        }
        Some(ErrorCode::ReadOnly) => {
            "its disk is read-only; make it writable, then writing goes on by itself".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has the database locked; end it, then writing goes on by itself".to_owned()
        }
        Some(ErrorCode::SystemIoFailure) => {
            format!("its disk fails: {error} (SQLite code {}); look at the volume", extended(error))
        }
        Some(_) => format!("{error} (SQLite code {})", extended(error)),
        None => error.to_string(),
    }
}

/// The same at start.
pub fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, what: error.to_string() },
        Some(ErrorCode::DiskFull) => OpenError::Full { path },
        Some(ErrorCode::ReadOnly) => OpenError::ReadOnly { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
        Some(ErrorCode::SystemIoFailure) => {
            OpenError::Disk { path, what: format!("{error} (SQLite code {})", extended(error)) }
        }
        Some(_) => OpenError::Other { path, what: format!("{error} (SQLite code {})", extended(error)) },
        None => OpenError::Other { path, what: error.to_string() },
    }
}

/// A page that cannot be read, as opposed to a row that can be read and makes no sense.
fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn extended(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |error| error.extended_code)
}
