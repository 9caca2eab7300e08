//! The seam behind which a master key lives.

use std::fmt;

use async_trait::async_trait;

use super::{DataKey, Error, KeyId, WrappedKey};
use crate::world::Entropy;

/// A master key that wraps data keys, so that they may lie beside what they protect.
#[async_trait]
pub trait KeyProvider: fmt::Debug + Send + Sync + 'static {
    /// The master key that [`wrap_key`](Self::wrap_key) uses now. A new id starts a rotation. `known` is what lies in the
    /// store already: a passphrase goes on with the salt it was derived with.
    async fn active(&self, known: &[&WrappedKey], entropy: &dyn Entropy) -> Result<KeyId, Error>;

    async fn wrap_key(&self, key: &DataKey, entropy: &dyn Entropy) -> Result<WrappedKey, Error>;

    /// `None`: not one of mine. [`Error::Tampered`]: mine, and it does not open. The keyring asks each provider in turn.
    async fn unwrap_key(&self, wrapped: &WrappedKey) -> Option<Result<DataKey, Error>>;
}
