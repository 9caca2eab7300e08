//! What a sealed thing belongs to.

use aws_lc_rs::digest;

use crate::domain::{CredentialId, CredentialType, VersionId, ids::DataKeyId};

/// Where something sealed stands. Only what never changes is in it: no path, no flag, no tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place(Vec<u8>);

impl Place {
    /// The value of a version.
    pub fn version(credential: CredentialId, version: VersionId, kind: CredentialType) -> Self {
        Self::of("version", &[credential.as_bytes(), version.as_bytes(), kind.as_str().as_bytes()])
    }

    /// The generation parameters of a version.
    pub fn parameters(credential: CredentialId, version: VersionId, kind: CredentialType) -> Self {
        Self::of("parameters", &[credential.as_bytes(), version.as_bytes(), kind.as_str().as_bytes()])
    }

    /// The canary of a data key.
    pub fn canary(key: DataKeyId) -> Self {
        Self::of("canary", &[key.as_bytes()])
    }

    /// A setting of the store.
    pub fn setting(name: &str) -> Self {
        Self::of("setting", &[name.as_bytes()])
    }

    /// The associated data: format and parts, each with its length in front, so that no two places read the same.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Eight bytes that tell a moved thing from a damaged one before anything is opened. Identifiers are no secret.
    pub(super) fn tag(&self) -> [u8; TAG] {
        let hash = digest::digest(&digest::SHA256, &self.0);
        hash.as_ref()[..TAG].try_into().expect("a hash has more bytes than a tag")
    }

    fn of(what: &str, parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        for part in std::iter::once(what.as_bytes()).chain(parts.iter().copied()) {
            bytes.extend((part.len() as u32).to_be_bytes());
            bytes.extend(part);
        }
        Self(bytes)
    }
}

/// Bytes of a place's tag.
pub(super) const TAG: usize = 8;
