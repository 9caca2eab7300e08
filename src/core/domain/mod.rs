//! The types and rules of the product.
//!
//! A *credential* is a named thing at a path such as `/shop/orders-db`. It has one type for life and a list of
//! *versions*; each version is immutable and knows who made it, when and why. Nothing in here does I/O, asks for the
//! time or makes randomness: whatever a rule needs is an argument.

pub mod access;
pub mod budget;
pub mod converge;
pub mod generate;
pub mod ids;
pub mod json;
pub mod key_pair;
pub mod kind;
pub mod name;
pub mod ownership;
pub mod parameters;
pub mod rotation;
pub mod schedule;
pub mod secret;
pub mod stamp;
pub mod value;

pub use access::{Actor, Operation};
pub use ids::{CredentialId, Epoch, NamespaceUid, ObjectUid, RequestId, VersionId};
pub use json::JsonText;
pub use key_pair::KeyPair;
pub use kind::CredentialType;
pub use name::CredentialName;
pub use parameters::Parameters;
pub use secret::{SecretBytes, SecretText};
pub use stamp::{Reason, Stamp};
pub use value::Value;
