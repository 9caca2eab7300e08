//! The only place that encrypts.
//!
//! A *master key* (from a file, a passphrase, a Kubernetes Secret) wraps the few *data keys*, which lie in the store
//! beside what they protect. Each sealed thing has a key of its own, derived from a data key and the thing's
//! [`Place`], so a nonce cannot repeat under one key, and bytes that were moved to another place do not open.
//!
//! Why not seal with the master key? Changing it would mean to seal every version again; this way it means to wrap two
//! data keys again, whatever the number of credentials.

pub mod data_key;
pub mod envelope;
pub mod master_key;
pub mod passphrase;
pub mod place;
pub mod provider;

use std::{collections::HashMap, sync::RwLock};

use aws_lc_rs::hmac;

use crate::{
    domain::{SecretBytes, ids::DataKeyId},
    world::Entropy,
};
pub use data_key::{DataKey, DataKeyRow, Purpose, WrappedKey};
pub use envelope::Sealed;
pub use master_key::{KeyId, MasterKey};
pub use passphrase::Passphrase;
pub use place::Place;
pub use provider::KeyProvider;

/// The data keys of a store, unwrapped: the active one seals, any known one opens.
#[derive(Debug)]
pub struct Keyring {
    keys: RwLock<HashMap<DataKeyId, DataKey>>,
    active: DataKeyId,
    fingerprints: DataKeyId,
}

/// What a start found to do: rows the store has to take.
#[derive(Debug, Default)]
pub struct Opening {
    /// Data keys that did not exist.
    pub made: Vec<DataKeyRow>,
    /// Data keys that are wrapped by another master key than the active one, wrapped again: the row that was, and the
    /// wrapping that takes its place.
    pub rewrapped: Vec<(DataKeyRow, WrappedKey)>,
}

impl Keyring {
    /// Unwraps `rows` with whichever of `providers` can, checks each key's canary, and makes what is missing.
    ///
    /// The first provider is the active one. Nothing may be sealed before the store has taken what the [`Opening`] holds.
    /// [`Error::MissingMasterKey`] names the master key that is not there.
    pub async fn open(
        providers: &[Box<dyn KeyProvider>],
        rows: Vec<DataKeyRow>,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Opening), Error> {
        let first = providers.first().ok_or(Error::NoProvider)?;
        let known: Vec<_> = rows.iter().map(|row| &row.wrapped).collect();
        let active_master = first.active(&known, entropy).await?;
        let mut keys = HashMap::new();
        let mut opening = Opening::default();
        let mut by_purpose = HashMap::new();
        for row in rows {
            let key = unwrap(providers, &row).await?;
            row.check_canary(&key)?;
            if row.active {
                by_purpose.insert(row.purpose, row.id);
            }
            keys.insert(row.id, key.duplicate());
            if row.wrapped.master != active_master {
                let wrapped = first.wrap_key(&key, entropy).await?;
                opening.rewrapped.push((row, wrapped));
            }
        }
        for purpose in [Purpose::Values, Purpose::Fingerprints] {
            if let std::collections::hash_map::Entry::Vacant(vacant) = by_purpose.entry(purpose) {
                let (id, key) = (DataKeyId::new(entropy), DataKey::new(entropy));
                let wrapped = first.wrap_key(&key, entropy).await?;
                opening.made.push(DataKeyRow::new(id, purpose, wrapped, &key, entropy));
                vacant.insert(id);
                keys.insert(id, key);
            }
        }
        let (active, fingerprints) = (by_purpose[&Purpose::Values], by_purpose[&Purpose::Fingerprints]);
        Ok((Self { keys: RwLock::new(keys), active, fingerprints }, opening))
    }

    /// The data key that seals now.
    pub fn active(&self) -> DataKeyId {
        self.active
    }

    /// Seals bytes for one place.
    pub fn seal(&self, place: &Place, plain: &SecretBytes, entropy: &dyn Entropy) -> Sealed {
        let keys = self.keys.read().expect(UNPOISONED);
        let key = keys.get(&self.active).expect("the active key is one of the keys");
        envelope::seal(self.active, key, place, plain, entropy)
    }

    /// Opens what was sealed for `place`, and for no other.
    pub fn open_sealed(&self, place: &Place, sealed: &Sealed) -> Result<SecretBytes, Error> {
        let keys = self.keys.read().expect(UNPOISONED);
        let id = envelope::key_id(sealed)?;
        let key = keys.get(&id).ok_or(Error::UnknownKey(id))?;
        envelope::open(key, place, sealed)
    }

    /// A keyed hash of `content` that tells whether two contents are equal and nothing else: `hmac:<key>:<hash>`.
    pub fn fingerprint(&self, content: &[u8]) -> String {
        let keys = self.keys.read().expect(UNPOISONED);
        let key = keys.get(&self.fingerprints).expect("the key of fingerprints is one of the keys");
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let tag = hmac::sign(&key, content);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("hmac:{}:{}", hex(&self.fingerprints.as_bytes()[..4]), hex(&tag.as_ref()[..16]))
    }
}

async fn unwrap(providers: &[Box<dyn KeyProvider>], row: &DataKeyRow) -> Result<DataKey, Error> {
    for provider in providers {
        // `None` is not an error yet: with two providers configured, the key may belong to the other one.
        if let Some(answer) = provider.unwrap_key(&row.wrapped).await {
            return answer.map_err(|error| match error {
                Error::Tampered => Error::DamagedKey(row.id, row.wrapped.master.clone()),
                other => other,
            });
        }
    }
    Err(Error::MissingMasterKey(row.wrapped.master.clone()))
}

/// Why something does not open. Names keys and places, never what they hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no master key is configured: name one in `keys`, such as `secret:credsmith-root-key`")]
    NoProvider,
    /// No configured provider has the master key that wraps a data key of the store.
    #[error(
        "the store is sealed under master key {0}, which is not among the configured keys: add it to `keys` again \
         (from your backup), after the key that is to be active"
    )]
    MissingMasterKey(KeyId),
    /// A provider cannot give its key.
    #[error("the master key cannot be read: {0}")]
    Provider(String),
    /// The wrapped data key is mine, and it does not open.
    #[error("data key {0} is damaged: its wrapping by master key {1} does not open; restore the store from a backup")]
    DamagedKey(DataKeyId, KeyId),
    /// The data key is not the one that this store was sealed with.
    #[error(
        "data key {0} is the wrong key: its canary does not open; the store and its keys are from different backups"
    )]
    WrongKey(DataKeyId),
    /// Sealed under a data key that this store does not have.
    #[error("sealed under data key {0}, which this store does not have")]
    UnknownKey(DataKeyId),
    /// Sealed for another place.
    #[error("sealed for another place: it was moved or copied between rows")]
    Moved,
    /// Bytes are missing.
    #[error("cut short: bytes are missing")]
    Truncated,
    /// Bytes were changed.
    #[error("tampered with: it does not open under its key")]
    Tampered,
    /// A format that this release does not know.
    #[error("sealed in format {0}, which this release does not know")]
    UnknownFormat(u8),
}

impl Error {
    /// One word for metrics.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::NoProvider | Self::Provider(_) => "provider",
            Self::MissingMasterKey(_) => "missing_master_key",
            Self::DamagedKey(..) => "damaged_key",
            Self::WrongKey(_) => "wrong_key",
            Self::UnknownKey(_) => "unknown_key",
            Self::Moved => "moved",
            Self::Truncated => "truncated",
            Self::Tampered => "tampered",
            Self::UnknownFormat(_) => "unknown_format",
        }
    }
}

const UNPOISONED: &str = "nobody panics with the keys in hand";

#[cfg(test)]
mod tests;
