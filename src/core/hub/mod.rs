//! The use cases. Every door calls these: may they? → decide → generate → seal → one store step → tell.
//!
//! The hub does not know where a caller comes from: an HTTP client and a custom resource are both a [`Caller`], and
//! whatever holds for one holds for the other.

mod access;
mod active;
mod authority;
mod bundle;
mod delete;
mod ensure;
mod find;
mod generate;
mod get;
mod given;
mod make;
mod set;
mod standing;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use jiff::Timestamp;

pub use authority::SignerFault;
pub use ensure::{Ensured, Surroundings, Wanted, WantedOrigin};
pub use make::Issued;
pub use set::Given;

use crate::{
    auth::{Identity, Reviewer},
    domain::{Actor, CredentialName, CredentialType, Epoch, NamespaceUid, Stamp, Value, VersionId, name, parameters},
    keyring::{self, Keyring},
    material::{self, Material},
    metrics::Metrics,
    store::{self, AuditLine, Store, VersionRow},
    world::{Clock, Entropy},
};

/// Everything a use case needs. One per process.
#[derive(Debug)]
pub struct Hub {
    pub store: Arc<dyn Store>,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub reviewer: Arc<dyn Reviewer>,
    pub material: Material,
    pub metrics: Metrics,
}

/// Who asks, and since when. Without one no use case can be called.
#[derive(Clone, Debug)]
pub struct Caller {
    who: Who,
    at: Timestamp,
}

#[derive(Clone, Debug)]
enum Who {
    Client(Identity),
    /// Credsmith itself, acting for the objects of one namespace.
    Operator {
        namespace: String,
        epoch: Epoch,
    },
}

impl Caller {
    /// A client of the HTTPS front.
    pub fn client(identity: Identity, at: Timestamp) -> Self {
        Self { who: Who::Client(identity), at }
    }

    /// The operator, acting for an object of `namespace` under the epoch it won.
    pub fn operator(namespace: &str, epoch: Epoch, at: Timestamp) -> Self {
        Self { who: Who::Operator { namespace: namespace.to_owned(), epoch }, at }
    }

    fn actor(&self) -> Actor {
        match &self.who {
            Who::Client(identity) => identity.actor.clone(),
            Who::Operator { .. } => Actor::operator(),
        }
    }

    fn epoch(&self) -> Option<Epoch> {
        match self.who {
            Who::Client(_) => None,
            Who::Operator { epoch, .. } => Some(epoch),
        }
    }

    /// The namespace that a ServiceAccount is of, where the name lies within it.
    fn namespace_of(&self, name: &CredentialName) -> Option<NamespaceUid> {
        let Who::Client(identity) = &self.who else { return None };
        let uid = identity.kubernetes.as_ref()?.namespace.clone()?;
        identity.actor.is_service_account_of(name.namespace()).then_some(uid)
    }

    fn stamp(&self) -> Stamp {
        Stamp { actor: self.actor(), at: self.at }
    }

    fn audit(&self, action: &'static str, resource: &str, details: impl Into<String>) -> AuditLine {
        let (at, actor) = (self.at, self.actor());
        AuditLine { at, actor, action, resource: resource.to_owned(), details: details.into() }
    }
}

/// What to do where the credential exists (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Overwrite,
    /// The existing version is the answer; new metadata is dropped.
    NoOverwrite,
}

impl From<Mode> for store::WriteMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Overwrite => Self::Overwrite,
            Mode::NoOverwrite => Self::CreateOnly,
        }
    }
}

/// A version with its value.
#[derive(Debug)]
pub struct Version {
    pub row: VersionRow,
    pub value: Value,
    /// Where this call made the certificate: how.
    pub issued: Option<Issued>,
}

/// What the caller can do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Change the request.
    #[error("{0}")]
    Invalid(String),
    /// The name holds a credential of another type.
    #[error(
        "the credential has type {0}, and a credential keeps its type for life: delete it first or choose another name"
    )]
    OtherKind(CredentialType),
    /// Send less.
    #[error("the value is larger than 65536 bytes: shorten it, or split it over several credentials")]
    TooLarge,
    /// Not there, or not for this caller.
    #[error("the credential does not exist, or you may not see it")]
    NotFound,
    /// A write that the caller may not do.
    #[error("you may not do that")]
    Denied,
    /// Look at the credential that was to sign.
    #[error(transparent)]
    Signer(#[from] SignerFault),
    /// A `Credential` has the path and says that it is not written over the API.
    #[error("{path} belongs to the Credential {object}, whose apiWrites is {mode}: {next}")]
    Owned { path: String, object: String, mode: &'static str, next: &'static str },
    /// A `Credential` has the path, and a delete is about the object.
    #[error(
        "{path} belongs to the Credential {object}: to delete the value, set spec.deletionPolicy of that object to Delete \
         and delete the object"
    )]
    OwnedDelete { path: String, object: String },
    /// Somebody else was faster, again and again.
    #[error("the credential is being written by others: try again")]
    Conflict,
    /// Another process reconciles now.
    #[error("another process reconciles now: {0}")]
    Fenced(String),
    /// Try again later.
    #[error("{0}")]
    Unavailable(String),
    /// Try again in a moment: others wait for keys already.
    #[error("{0}")]
    Busy(String),
    /// A stored value does not open.
    #[error("a stored value cannot be opened: {0}")]
    Damaged(String),
}

impl From<name::Error> for Error {
    fn from(error: name::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<parameters::Error> for Error {
    fn from(error: parameters::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<material::given::Refused> for Error {
    fn from(refused: material::given::Refused) -> Self {
        Self::Invalid(refused.to_string())
    }
}

impl From<material::Busy> for Error {
    fn from(busy: material::Busy) -> Self {
        Self::Busy(busy.to_string())
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict { .. } | store::Error::OtherHolder(_) | store::Error::RequestUsed(_) => {
                Self::Conflict
            }
            store::Error::OtherKind(kind) => Self::OtherKind(kind),
            store::Error::Fenced(_) => Self::Fenced(error.to_string()),
            store::Error::Unavailable(_) => Self::Unavailable(error.to_string()),
            store::Error::Corrupt { .. } => Self::Damaged(error.to_string()),
        }
    }
}

impl Hub {
    /// Opens what the store keeps.
    fn open(&self, row: VersionRow) -> Result<Version, Error> {
        let place = keyring::Place::version(row.credential, row.id, row.kind);
        let plain = self.keyring.open_sealed(&place, &row.sealed).map_err(|error| self.damaged(row.id, &error))?;
        let value = Value::from_bytes(row.kind, &plain).ok_or_else(|| {
            self.metrics.damaged.with_label_values(&["form"]).inc();
            Error::Damaged(format!("version {}: its plain form is not of type {}", row.id, row.kind))
        })?;
        Ok(Version { row, value, issued: None })
    }

    fn damaged(&self, version: VersionId, error: &keyring::Error) -> Error {
        self.metrics.damaged.with_label_values(&[error.cause()]).inc();
        Error::Damaged(format!("version {version}: {error}"))
    }

    fn count(&self, row: &VersionRow) {
        self.metrics.versions.with_label_values(&[row.kind.as_str(), row.reason.as_str()]).inc();
    }
}
