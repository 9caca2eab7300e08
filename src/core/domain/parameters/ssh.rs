//! How an SSH key is made (spec section 3.4; custom resources, section 4.4).

use serde::{Deserialize, Serialize};

use super::{refusal::Refusal, rsa::RsaSize};

/// What is kept of the wish for an `ssh` credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SshParameters {
    /// Absent: `rsa`. The API knows no other.
    pub algorithm: Option<SshAlgorithm>,
    /// For `rsa` only; absent: 2048 bits.
    pub key_length: Option<RsaSize>,
    /// One line, up to 255 characters; absent: none.
    pub comment: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SshAlgorithm {
    #[default]
    Rsa,
    Ed25519,
}

impl SshAlgorithm {
    /// The word in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// `None` for a word that names none.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Rsa, Self::Ed25519].into_iter().find(|algorithm| algorithm.as_str() == word)
    }
}

/// What is made, once every default is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshRules {
    pub key: SshKey,
    /// Empty for none.
    pub comment: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshKey {
    Rsa(RsaSize),
    Ed25519,
}

impl SshParameters {
    /// Fills in the defaults of `model` and refuses contradictions.
    pub fn rules(&self, _model: u16) -> Result<SshRules, Refusal> {
        let comment = self.comment.clone().unwrap_or_default();
        // A line break would make a second line of the public key, which is a second key where it is installed.
        if comment.chars().count() > MAX_COMMENT || comment.chars().any(char::is_control) {
            return Err(Refusal::Comment);
        }
        let key = match self.algorithm.unwrap_or_default() {
            SshAlgorithm::Rsa => SshKey::Rsa(self.key_length.unwrap_or_default()),
            SshAlgorithm::Ed25519 if self.key_length.is_some() => return Err(Refusal::LengthOfEd25519),
            SshAlgorithm::Ed25519 => SshKey::Ed25519,
        };
        Ok(SshRules { key, comment })
    }
}

/// Characters.
const MAX_COMMENT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_rsa_without_a_comment() {
        let rules = SshParameters::default().rules(1).unwrap();
        assert_eq!(rules, SshRules { key: SshKey::Rsa(RsaSize::Rsa2048), comment: String::new() });
    }

    #[test]
    fn contradictions_are_refused() {
        let base = SshParameters::default;
        let table = [
            (SshParameters { comment: Some("a\nb".into()), ..base() }, Refusal::Comment),
            (SshParameters { comment: Some("x".repeat(256)), ..base() }, Refusal::Comment),
            (
                SshParameters { algorithm: Some(SshAlgorithm::Ed25519), key_length: Some(RsaSize::Rsa2048), ..base() },
                Refusal::LengthOfEd25519,
            ),
        ];
        for (parameters, refusal) in table {
            assert_eq!(parameters.rules(1), Err(refusal));
        }
        assert!(SshParameters { comment: Some("ü".repeat(255)), ..base() }.rules(1).is_ok());
    }
}
