//! The kind `Credential`.

pub mod parse;
pub mod rotation;
pub mod spec;
pub mod status;
pub mod support;
mod syntax;
pub mod target;

pub use spec::{Credential, CredentialSpec};
pub use status::CredentialStatus;
