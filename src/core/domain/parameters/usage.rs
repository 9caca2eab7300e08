//! What a certificate's key may be used for (spec section 3.5; RFC 5280, sections 4.2.1.3 and 4.2.1.12).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// A bit of the extension keyUsage. Their order is the order of the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyUsage {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    CrlSign,
    EncipherOnly,
    DecipherOnly,
}

impl KeyUsage {
    pub const ALL: [Self; 9] = [
        Self::DigitalSignature,
        Self::NonRepudiation,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::KeyCertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
    ];

    /// Its place in the bit string, from the left.
    pub fn bit(self) -> usize {
        self as usize
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digital_signature",
            Self::NonRepudiation => "non_repudiation",
            Self::KeyEncipherment => "key_encipherment",
            Self::DataEncipherment => "data_encipherment",
            Self::KeyAgreement => "key_agreement",
            Self::KeyCertSign => "key_cert_sign",
            Self::CrlSign => "crl_sign",
            Self::EncipherOnly => "encipher_only",
            Self::DecipherOnly => "decipher_only",
        }
    }
}

/// Exactly the words, in exactly this case.
impl FromStr for KeyUsage {
    type Err = Refusal;

    fn from_str(word: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|usage| usage.as_str() == word);
        found.ok_or_else(|| Refusal::KeyUsage(shown(word)))
    }
}

/// A purpose of the extension extendedKeyUsage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtendedKeyUsage {
    ClientAuth,
    ServerAuth,
    CodeSigning,
    EmailProtection,
    Timestamping,
}

impl ExtendedKeyUsage {
    pub const ALL: [Self; 5] =
        [Self::ClientAuth, Self::ServerAuth, Self::CodeSigning, Self::EmailProtection, Self::Timestamping];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientAuth => "client_auth",
            Self::ServerAuth => "server_auth",
            Self::CodeSigning => "code_signing",
            Self::EmailProtection => "email_protection",
            Self::Timestamping => "timestamping",
        }
    }
}

/// Exactly the words, in exactly this case.
impl FromStr for ExtendedKeyUsage {
    type Err = Refusal;

    fn from_str(word: &str) -> Result<Self, Refusal> {
        let found = Self::ALL.into_iter().find(|usage| usage.as_str() == word);
        found.ok_or_else(|| Refusal::ExtendedKeyUsage(shown(word)))
    }
}

/// So much of a word as fits into a message.
fn shown(word: &str) -> String {
    word.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written_and_in_no_other_case() {
        for usage in KeyUsage::ALL {
            assert_eq!(usage.as_str().parse(), Ok(usage));
            assert_eq!(serde_json::to_string(&usage).unwrap(), format!("{:?}", usage.as_str()));
        }
        for usage in ExtendedKeyUsage::ALL {
            assert_eq!(usage.as_str().parse(), Ok(usage));
        }
        assert_eq!("CRL_SIGN".parse::<KeyUsage>(), Err(Refusal::KeyUsage("CRL_SIGN".into())));
        assert_eq!("".parse::<ExtendedKeyUsage>(), Err(Refusal::ExtendedKeyUsage(String::new())));
    }
}
