//! Text and bytes that cannot be printed, serialised or copied by accident.
//!
//! Their content comes out through `expose()` alone, so that a search for that word lists every place where a secret is
//! read. Both are wiped when dropped.

use std::fmt;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use subtle::ConstantTimeEq;

/// Secret text: a password, a token, a JSON document.
pub struct SecretText(SecretString);

impl SecretText {
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A second copy, asked for by name.
    pub fn duplicate(&self) -> Self {
        Self::new(self.expose().to_owned())
    }

    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Whether both hold the same text, in a time that tells nothing about where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Reads a JSON string. There is no `Serialize`: what leaves the process is written by hand, at the places that may.
impl<'de> serde::Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Secret bytes: a key, the plain form of a version.
pub struct SecretBytes(SecretBox<Vec<u8>>);

impl SecretBytes {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let text = format!("{:?} {:?}", SecretText::new("hunter2".into()), SecretBytes::new(b"hunter2".to_vec()));
        assert_eq!(text, "[secret] [secret]");
    }

    #[test]
    fn sameness_is_of_the_whole_text() {
        let text = |t: &str| SecretText::new(t.to_owned());
        assert!(text("a").same_as(&text("a")));
        assert!(!text("a").same_as(&text("b")));
        assert!(!text("a").same_as(&text("ab")));
    }
}
