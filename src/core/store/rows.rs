//! What the store keeps, as it hands it out.

use jiff::Timestamp;

use crate::{
    domain::{
        CredentialId, CredentialName, CredentialType, JsonText, NamespaceUid, Reason, RequestId, Stamp, VersionId,
        ids::DataKeyId, ownership::Owner,
    },
    keyring::Sealed,
};

/// A credential that is no tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    pub id: CredentialId,
    /// As first written.
    pub name: CredentialName,
    pub kind: CredentialType,
    pub owner: Owner,
    /// The newest version.
    pub newest: Option<Newest>,
    /// How many there are.
    pub versions: i64,
}

/// The newest version, as far as the credential knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    pub id: VersionId,
    pub number: i64,
    pub stamp: Stamp,
    /// The UID of the namespace that its writer was a ServiceAccount of, where the name lies within it.
    pub namespace: Option<NamespaceUid>,
}

/// A version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    pub credential: CredentialId,
    pub id: VersionId,
    /// 1 for the first, rising by one.
    pub number: i64,
    /// As first written.
    pub name: CredentialName,
    pub kind: CredentialType,
    pub state: VersionState,
    pub stamp: Stamp,
    pub reason: Reason,
    pub request: Option<RequestId>,
    pub metadata: Option<JsonText>,
    pub data_key: DataKeyId,
    pub sealed: Sealed,
    pub parameters: Option<SealedParameters>,
    pub facts: Facts,
}

/// What a version was generated from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedParameters {
    pub sealed: Sealed,
    /// What may be read without a key.
    pub public: Option<JsonText>,
}

/// Whether a version may be handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionState {
    #[default]
    Live,
    /// Waits until a hook has told its consumer.
    Pending,
}

impl VersionState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Pending => "pending",
        }
    }

    /// `None` for a word that is neither.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Live, Self::Pending].into_iter().find(|state| state.as_str() == word)
    }
}

/// The public facts about a version that queries need. Each is `None` or false where the type has no such thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// The signer's name as it was typed.
    pub ca_name: Option<String>,
    /// The version that signed it.
    pub signer: Option<VersionId>,
    /// The certificate that is trusted beside the signer's, as PEM.
    pub trusted_ca: Option<String>,
    pub is_ca: bool,
    pub self_signed: bool,
    pub generated: Option<bool>,
    pub transitional: bool,
    /// Words of spec section 3.5.
    pub key_usage: Option<String>,
}

/// What a find gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub name: CredentialName,
    /// When the newest version was made.
    pub at: Timestamp,
    /// When it expires, where that was asked for.
    pub expires: Option<Timestamp>,
}
