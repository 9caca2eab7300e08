//! The contract with storage.
//!
//! Every method of [`Store`] is one atomic step: it happens wholly or not at all, it is on disk before it answers, and no
//! transaction, lock or connection leaves the module. What may stand in the way is an argument ([`WriteMode`], an
//! [`Epoch`], a remembered [`Owner`]), never a read that the caller did before. `conformance.rs` is the contract as code.
//!
//! A reader sees every step that was answered before its question, and never half of one.
//!
//! Why no `begin` and `commit`? A transaction that a caller holds open is a lock that a caller forgets; and two
//! databases agree on what one step does more easily than on what a sequence of them does.

pub mod audit;
pub mod conformance;
pub mod memory;
mod rows;

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use audit::AuditLine;
pub use memory::InMemory;
pub use rows::*;

use crate::{
    domain::{
        CredentialId, CredentialName, CredentialType, Epoch, JsonText, NamespaceUid, ObjectUid, Reason, RequestId,
        Stamp, VersionId,
        ids::DataKeyId,
        name::Pattern,
        ownership::{Owner, OwnerObject},
    },
    keyring::{DataKeyRow, KeyId, Sealed, WrappedKey},
};

/// Keeps sealed credentials.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Adds a version and its audit line, and makes the credential where the name is free.
    ///
    /// Refused with [`Error::Conflict`] where `mode` does not hold or the name exists under another id than the one
    /// proposed, [`Error::OtherHolder`] where another object has it than the writer saw, [`Error::OtherKind`] where it has another type (of its versions, or the one that its owner waits for), [`Error::RequestUsed`] where the request made a version
    /// before, [`Error::Fenced`] where the epoch is not the newest. The version's time is the stamp's, or a millisecond
    /// after the newest version's where that is later.
    async fn put_version(&self, put: PutVersion) -> Result<VersionRow, Error>;

    /// Records which `Credential` has a name, making the credential without a version where the name is free.
    /// [`Error::Conflict`] where the owner is not the one that the caller saw.
    async fn claim(&self, claim: PutOwner) -> Result<CredentialRow, Error>;

    /// Forgets that `object` has a credential; the namespace stays recorded. Nothing where it has none.
    async fn release(&self, object: &ObjectUid, epoch: Epoch, audit: AuditLine)
    -> Result<Option<CredentialRow>, Error>;

    /// Tombstones a credential: its name is free at once, its versions stay. `None` where no credential has that name,
    /// [`Error::Conflict`] where the `Credential` that has it is not [`Delete::holder`].
    async fn delete(&self, delete: Delete) -> Result<Option<CredentialRow>, Error>;

    /// The credential of that name, with or without versions; never a tombstone.
    async fn credential(&self, name: &CredentialName) -> Result<Option<CredentialRow>, Error>;

    /// The newest `limit` versions of the credential of that name, newest first; all of them without a limit.
    async fn versions(&self, name: &CredentialName, limit: Option<u32>) -> Result<Vec<VersionRow>, Error>;

    /// The version that is handed out: the newest that is not transitional, or the newest where all are.
    async fn active(&self, name: &CredentialName) -> Result<Option<VersionRow>, Error>;

    /// The newest version that came from a source: what a source is compared with.
    async fn imported(&self, name: &CredentialName) -> Result<Option<VersionRow>, Error>;

    /// Names of credentials whose newest version was signed by a version of another credential and has not expired at
    /// that time, in the order of their names, `limit` at most.
    async fn signed_by(&self, authority: CredentialId, at: Timestamp, limit: u32)
    -> Result<Vec<CredentialName>, Error>;

    /// A version by its id, unless its credential is a tombstone.
    async fn version(&self, id: VersionId) -> Result<Option<VersionRow>, Error>;

    /// Which version a request made, tombstoned or not.
    async fn request(&self, request: &RequestId) -> Result<Option<VersionId>, Error>;

    /// Credentials with at least one version whose folded name fits, most recently written first.
    fn find(&self, pattern: Pattern) -> BoxStream<'_, Result<Found, Error>>;

    /// Of these, the ones whose newest version expires at that time or before, in no particular order.
    fn expiring(&self, pattern: Pattern, until: Timestamp) -> BoxStream<'_, Result<Found, Error>>;

    /// Every credential that a live `Credential` has, in no particular order.
    fn owned(&self) -> BoxStream<'_, Result<CredentialRow, Error>>;

    /// The data keys, wrapped.
    async fn data_keys(&self) -> Result<Vec<DataKeyRow>, Error>;

    /// Adds a data key. [`Error::Conflict`] where there is an active one for that purpose already.
    async fn add_data_key(&self, row: DataKeyRow) -> Result<(), Error>;

    /// Replaces the wrapping of a data key. [`Error::Conflict`] where it is no longer wrapped by `was`.
    async fn rewrap(&self, key: DataKeyId, was: &KeyId, now: WrappedKey) -> Result<(), Error>;

    /// A sealed setting.
    async fn setting(&self, name: &str) -> Result<Option<Sealed>, Error>;

    /// Writes a setting that is not there. [`Error::Conflict`] where it is.
    async fn add_setting(&self, name: &str, sealed: Sealed) -> Result<(), Error>;

    /// Whether anything is kept that a data key sealed: a version, of a tombstone too, or a setting. Data keys that are
    /// missing then are lost, and new ones would open nothing.
    async fn holds_sealed(&self) -> Result<bool, Error>;

    /// Raises the epoch and returns it. From then on the store refuses writes of every older one.
    async fn raise_epoch(&self) -> Result<Epoch, Error>;

    /// The newest audit lines, newest first.
    async fn audit(&self, limit: u32) -> Result<Vec<audit::Record>, Error>;

    /// What changed, each after its step is on disk. A receiver that lags is told so.
    fn changes(&self) -> tokio::sync::broadcast::Receiver<Change>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), Error>;
}

/// A credential that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub name: CredentialName,
    /// The object that changed its own credential, and need not be told.
    pub by: Option<ObjectUid>,
}

/// A version to add, and under which condition.
#[derive(Clone, Debug)]
pub struct PutVersion {
    /// The credential's id, if the name is free; else it must be the one the credential has, because the value is
    /// sealed for it.
    pub credential: CredentialId,
    pub version: VersionId,
    pub name: CredentialName,
    pub kind: CredentialType,
    pub sealed: Sealed,
    pub parameters: Option<SealedParameters>,
    pub metadata: Option<JsonText>,
    pub facts: Facts,
    pub mode: WriteMode,
    /// The `Credential` that has the name, as the writer saw it when it decided whether it may write; `None` where none had
    /// it.
    pub holder: Option<OwnerObject>,
    /// The namespace that the writer is a ServiceAccount of, where the name lies within it. A name alone may be given to
    /// another namespace later.
    pub namespace: Option<NamespaceUid>,
    /// Unique in the store for ever.
    pub request: Option<RequestId>,
    /// Given by whoever reconciles; checked against the newest.
    pub epoch: Option<Epoch>,
    pub stamp: Stamp,
    pub reason: Reason,
    pub audit: AuditLine,
}

/// What may already be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Anything.
    Overwrite,
    /// No version.
    CreateOnly,
    /// This version, as the newest.
    After(VersionId),
}

impl PutVersion {
    /// What is told of it.
    pub fn change(&self, name: &CredentialName) -> Change {
        let by = self.epoch.and(self.holder.as_ref()).map(|object| object.uid.clone());
        Change { name: name.clone(), by }
    }
}

/// An owner to record, and the one that was seen before.
#[derive(Clone, Debug)]
pub struct PutOwner {
    pub name: CredentialName,
    pub kind: CredentialType,
    /// The credential's id, if the name is free.
    pub credential: CredentialId,
    /// What [`Store::credential`] answered; [`Owner::default`] where it answered nothing.
    pub was: Owner,
    pub owner: Owner,
    pub epoch: Epoch,
    pub at: Timestamp,
    pub audit: AuditLine,
}

impl PutOwner {
    /// What is told of it.
    pub fn change(&self, name: &CredentialName) -> Change {
        Change { name: name.clone(), by: self.owner.object.as_ref().map(|object| object.uid.clone()) }
    }
}

/// A credential to tombstone.
#[derive(Clone, Debug)]
pub struct Delete {
    pub name: CredentialName,
    /// The `Credential` that has it; `None` where none may have it.
    pub holder: Option<ObjectUid>,
    pub epoch: Option<Epoch>,
    pub stamp: Stamp,
    pub audit: AuditLine,
}

/// What a caller can do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Read again: the condition of the step does not hold.
    #[error("somebody else was first")]
    Conflict {
        /// The id under which the name exists; `None` where it does not, and the proposed id is taken.
        credential: Option<CredentialId>,
        newest: Option<VersionId>,
    },
    /// Decide again: another `Credential` has the name than the writer saw, or has it on other terms.
    #[error("another object has the name by now")]
    OtherHolder(Option<OwnerObject>),
    /// Delete first: the credential has this type.
    #[error("the credential has type {0}")]
    OtherKind(CredentialType),
    /// Nothing to do: the request made this version before.
    #[error("the request made version {0} before")]
    RequestUsed(VersionId),
    /// Stop: somebody else reconciles.
    #[error("another process reconciles since epoch {}", .0.0)]
    Fenced(Epoch),
    /// Wait.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Restore from a backup: a row is damaged.
    #[error("row {id} of table {table} is damaged: {what}")]
    Corrupt { table: &'static str, id: String, what: String },
}
