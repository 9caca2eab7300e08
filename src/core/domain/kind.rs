//! The words for the types of credentials.

use std::{fmt, str::FromStr};

/// What a credential is, for life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialType {
    Password,
    User,
    Certificate,
    Ssh,
    Rsa,
    Value,
    Json,
    Provider,
}

impl CredentialType {
    /// All of them, in the order documents list them.
    pub const ALL: [Self; 8] =
        [Self::Password, Self::User, Self::Certificate, Self::Ssh, Self::Rsa, Self::Value, Self::Json, Self::Provider];

    /// The wire word, always in lower case (spec section 3).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::User => "user",
            Self::Certificate => "certificate",
            Self::Ssh => "ssh",
            Self::Rsa => "rsa",
            Self::Value => "value",
            Self::Json => "json",
            Self::Provider => "provider",
        }
    }

    /// Whether this release can make, keep and hand it out.
    pub fn works(self) -> bool {
        !matches!(self, Self::Provider)
    }

    /// Whether it has parameters from which a value can be made.
    pub fn is_generated(self) -> bool {
        !matches!(self, Self::Value | Self::Json | Self::Provider)
    }
}

impl fmt::Display for CredentialType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the type is unknown: use one of value, json, password, user, certificate, rsa, ssh")]
pub struct UnknownType;

impl FromStr for CredentialType {
    type Err = UnknownType;

    fn from_str(word: &str) -> Result<Self, UnknownType> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word)).ok_or(UnknownType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case_and_written_in_lower_case() {
        for kind in CredentialType::ALL {
            assert_eq!(kind.as_str().to_uppercase().parse(), Ok(kind));
            assert_eq!(kind.to_string(), kind.as_str().to_lowercase());
        }
        assert_eq!(" certificate".parse::<CredentialType>(), Err(UnknownType));
    }
}
