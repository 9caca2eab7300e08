//! A master key of 32 bytes, from wherever it came: a file, a Kubernetes Secret, a passphrase.

use std::fmt;

use aes_gcm::{
    Aes256Gcm,
    aead::{Aead, Key, KeyInit, Nonce, Payload},
};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{DataKey, Error, KeyProvider, WrappedKey};
use crate::{domain::SecretBytes, world::Entropy};

/// Names a master key without telling anything about it: `<provider>:<16 hex digits>`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// As it was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 32 random bytes that wrap data keys. The provider `file` and `secret`, and what a passphrase is derived into.
pub struct MasterKey {
    id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// `provider` is the word that configuration names the source by.
    pub fn new(provider: &str, bytes: Zeroizing<[u8; 32]>) -> Self {
        let check = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref()), b"credsmith master key id v1");
        let hex: String = check.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { id: KeyId(format!("{provider}:{hex}").into()), bytes }
    }

    /// Reads a key from the text of a file or a Secret: 44 characters of base64, or exactly 32 raw bytes.
    pub fn read(provider: &str, source: &str, text: &SecretBytes) -> Result<Self, Error> {
        let raw = text.expose();
        let mut bytes = Zeroizing::new([0; 32]);
        if raw.len() == bytes.len() {
            bytes.copy_from_slice(raw);
            return Ok(Self::new(provider, bytes));
        }
        let decoded = Zeroizing::new(STANDARD.decode(raw.trim_ascii()).unwrap_or_default());
        if decoded.len() != bytes.len() {
            return Err(Error::Provider(format!(
                "{source} does not hold a master key: give 32 random bytes in base64 (`credsmith keys new` prints one)"
            )));
        }
        bytes.copy_from_slice(&decoded);
        Ok(Self::new(provider, bytes))
    }

    pub fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) fn wrap(&self, key: &DataKey, entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: key.expose(), aad: self.id.as_str().as_bytes() };
        let text = self.cipher().encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload).expect("32 bytes can be wrapped");
        [nonce.as_slice(), &text].concat()
    }

    pub(super) fn unwrap(&self, bytes: &[u8]) -> Option<DataKey> {
        let (nonce, text) = bytes.split_at_checked(NONCE)?;
        let nonce = Nonce::<Aes256Gcm>::try_from(nonce).ok()?;
        let payload = Payload { msg: text, aad: self.id.as_str().as_bytes() };
        let plain = self.cipher().decrypt(&nonce, payload).ok()?;
        DataKey::from_bytes(&SecretBytes::new(plain))
    }

    // A wrapping key is used a few times in the life of an installation, each time with a random nonce of 96 bits.
    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(*self.bytes))
    }
}

/// A fresh master key as text: 32 random bytes in base64.
pub fn fresh(entropy: &dyn Entropy) -> crate::domain::SecretText {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(bytes.as_mut());
    crate::domain::SecretText::new(STANDARD.encode(*bytes))
}

#[async_trait]
impl KeyProvider for MasterKey {
    async fn active(&self, _known: &[&WrappedKey], _entropy: &dyn Entropy) -> Result<KeyId, Error> {
        Ok(self.id.clone())
    }

    async fn wrap_key(&self, key: &DataKey, entropy: &dyn Entropy) -> Result<WrappedKey, Error> {
        Ok(WrappedKey { master: self.id.clone(), bytes: self.wrap(key, entropy) })
    }

    async fn unwrap_key(&self, wrapped: &WrappedKey) -> Option<Result<DataKey, Error>> {
        let mine = wrapped.master == self.id;
        mine.then(|| self.unwrap(&wrapped.bytes).ok_or(Error::Tampered))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[master key {}]", self.id)
    }
}

const NONCE: usize = 12;
