//! The store in one SQLite file, for one process.
//!
//! One thread writes ([`writer`]), in groups that share a commit; the write steps themselves stand in [`steps`].
//! Readers have connections of their own and see each step that was answered ([`readers`], [`queries`], [`lists`]). A
//! lock beside the file keeps a second process out ([`lock`]).

#[macro_use]
mod rows;

mod chain;
mod connection;
mod fault;
mod files;
mod lists;
mod lock;
mod queries;
mod readers;
mod steps;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use credsmith_core::{
    domain::{CredentialId, CredentialName, Epoch, ObjectUid, RequestId, VersionId, ids::DataKeyId, name::Pattern},
    keyring::{DataKeyRow, KeyId, Sealed, WrappedKey},
    store::{AuditLine, Change, CredentialRow, Delete, Error, Found, PutOwner, PutVersion, Store, VersionRow, audit},
};
use futures::stream::BoxStream;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::broadcast;

use self::{
    chain::Chain,
    connection::Site,
    fault::Fault,
    lock::{Lock, Refused},
    readers::Readers,
    writer::Writer,
};
use crate::OpenError;

/// Keeps everything in one file.
//
// Fields are dropped in this order: the writer is the last to close the database, which empties its log, and only then
// may another process have the lock.
pub struct Sqlite {
    path: PathBuf,
    points: Readers,
    lists: Arc<Readers>,
    writer: Writer,
    changes: broadcast::Sender<Change>,
    _lock: Lock,
}

impl Sqlite {
    /// Opens the file at `path`, and makes it and its directory where there is none.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let path = files::resolve(path)?;
        let lock = Lock::take(&path).map_err(|refused| match refused {
            Refused::Held(pid) => OpenError::InUse { path: path.clone(), pid },
            Refused::Io(source) => files::fault(&path, source),
        })?;
        files::make_database(&path)?;
        let (site, db) = Site::open(&path)?;
        let fault = |error: rusqlite::Error| fault::open_error(&path, &error);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let points = Readers::open(&site, cores.clamp(2, 8)).map_err(fault)?;
        let lists = Arc::new(Readers::open(&site, 2).map_err(fault)?);
        let (changes, chain) = (broadcast::Sender::new(CHANGES_KEPT), Chain::begin(&db).map_err(fault)?);
        let writer = Writer::start(site, db, chain, changes.clone());
        let writer = writer.map_err(|source| OpenError::File { path: path.clone(), source })?;
        Ok(Self { path, points, lists, writer, changes, _lock: lock })
    }

    /// The data keys of the file at `path`, whoever has it: nothing is made, locked or changed.
    pub fn data_keys_at(path: &Path) -> Result<Vec<DataKeyRow>, OpenError> {
        let Some(db) = Site::look(path)? else { return Ok(Vec::new()) };
        let damaged = |what: String| OpenError::Damaged { path: path.to_owned(), what };
        let keys = queries::data_keys(&db).and_then(|keys| Ok((keys, queries::holds_sealed(&db)?)));
        let keys = keys.map_err(|fault| match fault {
            Fault::Sql(error) => fault::open_error(path, &error),
            Fault::Told(error) => damaged(error.to_string()),
        });
        match keys? {
            (keys, true) if keys.is_empty() => Err(damaged("it holds sealed values, and no data key".to_owned())),
            (keys, _) => Ok(keys),
        }
    }

    /// Asks in place: see [`Readers`].
    fn ask<T>(
        &self,
        table: &'static str,
        id: impl ToString,
        question: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        self.points.with(question).map_err(|fault| fault.at(table, id))
    }

    /// Asks on a thread that may block: for answers without a bound.
    async fn ask_at_length<T: Send + 'static>(
        &self,
        table: &'static str,
        id: impl ToString,
        question: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let lists = Arc::clone(&self.lists);
        let answer = tokio::task::spawn_blocking(move || lists.with(question)).await;
        let answer = answer.map_err(|_| Error::Unavailable("a question broke off".to_owned()))?;
        answer.map_err(|fault| fault.at(table, id))
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn put_version(&self, put: PutVersion) -> Result<VersionRow, Error> {
        self.writer.write("credential", put.name.clone(), move |step| steps::put_version(step, put)).await
    }

    async fn claim(&self, claim: PutOwner) -> Result<CredentialRow, Error> {
        self.writer.write("credential", claim.name.clone(), move |step| steps::claim(step, claim)).await
    }

    async fn release(
        &self,
        object: &ObjectUid,
        epoch: Epoch,
        audit: AuditLine,
    ) -> Result<Option<CredentialRow>, Error> {
        let object = object.clone();
        let id = format!("of object {object}");
        self.writer.write("credential", id, move |step| steps::release(step, &object, epoch, audit)).await
    }

    async fn delete(&self, delete: Delete) -> Result<Option<CredentialRow>, Error> {
        self.writer.write("credential", delete.name.clone(), move |step| steps::delete(step, delete)).await
    }

    async fn credential(&self, name: &CredentialName) -> Result<Option<CredentialRow>, Error> {
        self.ask("credential", name, |db| Ok(queries::credential(db, name)?.map(|(_, row)| row)))
    }

    async fn versions(&self, name: &CredentialName, limit: Option<u32>) -> Result<Vec<VersionRow>, Error> {
        if limit.is_some_and(|limit| limit <= FEW) {
            return self.ask("version", name, |db| queries::versions(db, name, limit));
        }
        let asked = name.clone();
        self.ask_at_length("version", name, move |db| queries::versions(db, &asked, limit)).await
    }

    async fn active(&self, name: &CredentialName) -> Result<Option<VersionRow>, Error> {
        self.ask("version", name, |db| queries::active(db, name))
    }

    async fn imported(&self, name: &CredentialName) -> Result<Option<VersionRow>, Error> {
        let asked = name.clone();
        // In place it would be quick for nearly all; a path that was set a thousand times since is read to there.
        self.ask_at_length("version", name, move |db| queries::imported(db, &asked)).await
    }

    async fn signed_by(
        &self,
        authority: CredentialId,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<CredentialName>, Error> {
        self.ask_at_length("version", authority, move |db| queries::signed_by(db, authority, at, limit)).await
    }

    async fn version(&self, id: VersionId) -> Result<Option<VersionRow>, Error> {
        self.ask("version", id, |db| queries::version(db, id))
    }

    async fn request(&self, request: &RequestId) -> Result<Option<VersionId>, Error> {
        self.ask("version", request, |db| queries::request(db, request))
    }

    fn find(&self, pattern: Pattern) -> BoxStream<'_, Result<Found, Error>> {
        lists::find(Arc::clone(&self.lists), pattern)
    }

    fn expiring(&self, pattern: Pattern, until: Timestamp) -> BoxStream<'_, Result<Found, Error>> {
        lists::expiring(Arc::clone(&self.lists), pattern, until)
    }

    fn owned(&self) -> BoxStream<'_, Result<CredentialRow, Error>> {
        lists::owned(Arc::clone(&self.lists))
    }

    async fn data_keys(&self) -> Result<Vec<DataKeyRow>, Error> {
        self.ask("data_key", "of the list", queries::data_keys)
    }

    async fn add_data_key(&self, row: DataKeyRow) -> Result<(), Error> {
        self.writer.write("data_key", row.id, move |step| steps::add_data_key(step, &row)).await
    }

    async fn rewrap(&self, key: DataKeyId, was: &KeyId, now: WrappedKey) -> Result<(), Error> {
        let was = was.clone();
        self.writer.write("data_key", key, move |step| steps::rewrap(step, key, &was, &now)).await
    }

    async fn setting(&self, name: &str) -> Result<Option<Sealed>, Error> {
        self.ask("setting", name, |db| queries::setting(db, name))
    }

    async fn add_setting(&self, name: &str, sealed: Sealed) -> Result<(), Error> {
        let setting = name.to_owned();
        self.writer.write("setting", name, move |step| steps::add_setting(step, &setting, &sealed)).await
    }

    async fn holds_sealed(&self) -> Result<bool, Error> {
        self.ask("version", "of the list", queries::holds_sealed)
    }

    async fn raise_epoch(&self) -> Result<Epoch, Error> {
        self.writer.write("epoch", 1, steps::raise_epoch).await
    }

    async fn audit(&self, limit: u32) -> Result<Vec<audit::Record>, Error> {
        self.ask_at_length("audit", "of the list", move |db| queries::audit(db, limit)).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// A tiny read. Where the newest write failed, a write as well: a store that is not ready gets no other, and would
    /// never find out that its disk has room again.
    async fn ping(&self) -> Result<(), Error> {
        self.ask("epoch", 1, queries::epoch)?;
        if self.writer.failure().is_some() {
            for largest in [true, false] {
                self.writer.write("epoch", 1, move |step| steps::try_writing(step, largest)).await?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).field("writer", &self.writer).finish_non_exhaustive()
    }
}

/// Versions that are read in place; more of them may be megabytes.
const FEW: u32 = 16;
/// Changes that a slow listener may fall behind before it has to look at everything again.
const CHANGES_KEPT: usize = 4096;
