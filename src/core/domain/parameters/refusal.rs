//! Why parameters of keys and certificates are refused.
//!
//! A message names the field as whoever asked writes it: a manifest says `commonName`, the API `common_name`. Some texts
//! are compared by clients, to the letter (spec section 12.1).

use std::fmt;

use super::certificate::Attribute;

/// By whose words a message names a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    Resource,
    Api,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Neither 2048 nor 3072 nor 4096 bits.
    KeyLength(i64),
    /// Beside an algorithm that has one length only.
    LengthOfEd25519,
    /// Too long, or more than one line.
    Comment,
    NoSubject,
    TooLong(Attribute),
    /// Shortened to what fits on a line.
    AlternativeName(String),
    TooManyNames(usize),
    KeyUsage(String),
    ExtendedKeyUsage(String),
    /// Of a certificate.
    Duration,
    NoSigner,
    SignerAndSelf,
    PathLengthOfLeaf,
    PathLength(u8),
}

impl Refusal {
    /// What to tell whoever asked.
    pub fn text(&self, words: Words) -> String {
        let name = |resource: &'static str, api: &'static str| match words {
            Words::Resource => resource,
            Words::Api => api,
        };
        match self {
            Self::KeyLength(bits) => {
                format!("{} is {bits}: give 2048, 3072 or 4096", name("keyLength", "key_length"))
            }
            Self::LengthOfEd25519 => {
                "keyLength is for the algorithm rsa, an ed25519 key has one length only: drop one of the two".into()
            }
            Self::Comment => {
                format!("{} is longer than 255 characters or more than one line", name("comment", "ssh_comment"))
            }
            Self::NoSubject => format!(
                "the certificate has no subject: give {}, organization or another of its fields",
                name("commonName", "common_name")
            ),
            Self::TooLong(attribute) => {
                let field = name(attribute.resource(), attribute.api());
                format!("{field} has more than {} characters: shorten it", attribute.max())
            }
            Self::AlternativeName(given) => match words {
                Words::Resource => format!("dnsNames or ipAddresses holds {given:?}: {NAMES}"),
                Words::Api => format!("alternative_names holds {given:?}: {NAMES}"),
            },
            Self::TooManyNames(count) => {
                let field = name("dnsNames and ipAddresses together hold", "alternative_names holds");
                format!("{field} {count} names: give at most 1000")
            }
            Self::KeyUsage(word) => format!(
                "The provided key usage '{word}' is not supported. Valid values include 'digital_signature', \
                 'non_repudiation', 'key_encipherment', 'data_encipherment', 'key_agreement', 'key_cert_sign', \
                 'crl_sign', 'encipher_only' and 'decipher_only'."
            ),
            Self::ExtendedKeyUsage(word) => format!(
                "The provided extended key usage '{word}' is not supported. Valid values include 'client_auth', \
                 'server_auth', 'code_signing', 'email_protection' and 'timestamping'."
            ),
            Self::Duration => {
                format!("duration is out of range: give {}", name("1h to 87600h", "1 to 3650, in whole days"))
            }
            Self::NoSigner => match words {
                Words::Resource => "nobody signs the certificate: give signedBy, selfSign or isCA".into(),
                Words::Api => "nobody signs the certificate: give ca, self_sign or is_ca".into(),
            },
            Self::SignerAndSelf => {
                let (ca, own) = (name("signedBy", "ca"), name("selfSign", "self_sign"));
                format!("{ca} and {own} cannot be combined: drop one of the two")
            }
            Self::PathLengthOfLeaf => "pathLength is for a CA: drop it, or set isCA".into(),
            Self::PathLength(length) => format!("pathLength is {length}: give 0 to 8"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Words::Resource))
    }
}

impl std::error::Error for Refusal {}

const NAMES: &str = "give host names, of labels of letters, digits, - and _, with at most one * as the first label, \
                     and IP addresses";
