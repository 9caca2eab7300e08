//! Keys that seal, and the wrapping they lie in the store with.

use zeroize::Zeroizing;

use super::{Error, KeyId, Place, Sealed, envelope};
use crate::{
    domain::{SecretBytes, ids::DataKeyId},
    world::Entropy,
};

/// 256 bits that seal. No `Clone`, no `Debug` that shows them, wiped when dropped.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        Self(bytes)
    }

    /// `None` unless there are 32 bytes.
    pub fn from_bytes(bytes: &SecretBytes) -> Option<Self> {
        bytes.expose().try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(super) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[data key]")
    }
}

/// A data key as it lies in the store: wrapped, with the id of the master key that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    pub master: KeyId,
    /// In the provider's own format.
    pub bytes: Vec<u8>,
}

/// What a data key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Sealing versions and settings.
    Values,
    /// Fingerprints on Secrets: a key of their own, so that sealing everything anew rewrites no Secret.
    Fingerprints,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Fingerprints => "fingerprints",
        }
    }

    /// `None` for a word that is neither.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Values, Self::Fingerprints].into_iter().find(|purpose| purpose.as_str() == word)
    }
}

/// A row of the store: a wrapped data key and its canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRow {
    pub id: DataKeyId,
    pub purpose: Purpose,
    pub wrapped: WrappedKey,
    /// A known text sealed under the key: tells a wrong key from damaged data.
    pub canary: Sealed,
    /// Whether this one seals; the others only open.
    pub active: bool,
}

impl DataKeyRow {
    pub(super) fn new(
        id: DataKeyId,
        purpose: Purpose,
        wrapped: WrappedKey,
        key: &DataKey,
        entropy: &dyn Entropy,
    ) -> Self {
        let known = SecretBytes::new(CANARY.to_vec());
        let canary = envelope::seal(id, key, &Place::canary(id), &known, entropy);
        Self { id, purpose, wrapped, canary, active: true }
    }

    pub(super) fn check_canary(&self, key: &DataKey) -> Result<(), Error> {
        match envelope::open(key, &Place::canary(self.id), &self.canary) {
            Ok(text) if text.expose() == CANARY => Ok(()),
            _ => Err(Error::WrongKey(self.id)),
        }
    }
}

const CANARY: &[u8] = b"credsmith canary";
