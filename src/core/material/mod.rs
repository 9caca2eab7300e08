//! Keys and certificates: made, read, signed and checked. Needs a clock and dice to be handed in, and knows no store.
//!
//! Every private key is made and used by aws-lc-rs. What surrounds keys is text and DER, in the plainest forms that there
//! are, in the order of reading:
//!
//! - [`der`], [`pem`]: the two encodings, as far as they are needed.
//! - [`key`]: private keys, read from any common form, and made.
//! - [`ssh`]: the forms of OpenSSH.
//! - [`x509`]: certificates, read.
//! - [`issue`]: certificates, made.
//! - [`given`]: what a certificate must be that somebody gives (spec section 3.8).
//! - [`chain`]: what stands between a certificate and its root.
//! - [`pool`]: RSA keys made ahead, and a queue for those that are not.
//!
//! Why not rcgen for certificates? It writes extensions in an order of its own, identifies keys by SHA-256, cannot leave
//! a string PrintableString or UTF8String by its content, and rebuilds the issuer's name from a map, so that a CA with two
//! OUs makes leaves that chain to nothing (rcgen issue 300). Repairing all that means writing the certificate again
//! around its own bytes; writing it once is less, and what was recorded (spec section 3.6) is met byte by byte.
//!
//! Why not the crate `rsa`? aws-lc-rs gives PKCS#8, whose inside is PKCS#1 as it is: there is nothing left to convert, and
//! an open advisory about its timing (RUSTSEC-2023-0071) is none of ours.

pub mod chain;
pub mod der;
pub mod given;
pub mod issue;
pub mod key;
pub mod pem;
pub mod pool;
pub mod ssh;
pub mod x509;

use std::sync::Arc;

pub use chain::Bundle;
pub use key::{FreshKey, PrivateKey, RsaKey};
pub use pool::{Busy, KeyStock, Pool, PoolSettings, RsaKeys};
pub use x509::Certificate;

/// What the hub makes keys and certificates with.
#[derive(Clone, Debug)]
pub struct Material {
    pub keys: Arc<dyn RsaKeys>,
    pub policy: issue::Policy,
}

impl Material {
    /// With the rules of CredHub's own defaults.
    pub fn new(keys: Arc<dyn RsaKeys>) -> Self {
        Self { keys, policy: issue::Policy::default() }
    }
}
