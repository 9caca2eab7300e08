//! Certificates, read (RFC 5280). Whatever can be parsed is read: what a certificate must be is decided elsewhere.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P521_SHA512_ASN1, UnparsedPublicKey};
use jiff::Timestamp;
use x509_parser::{
    certificate::X509Certificate,
    extensions::ParsedExtension,
    oid_registry::{OID_NIST_EC_P521, OID_SIG_ECDSA_WITH_SHA512},
    prelude::FromDer,
    public_key::PublicKey,
    x509::{SubjectPublicKeyInfo, X509Version},
};

use super::pem;
use crate::domain::parameters::usage::KeyUsage;

/// A certificate and the facts that rules ask for.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    /// The names, byte for byte.
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    /// The public half of its key, with its algorithm.
    pub spki: Vec<u8>,
    /// Bits of its key, as far as it is RSA or on a curve that is known.
    pub key_bits: Option<u32>,
    pub serial: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// By its basic constraints.
    pub is_ca: bool,
    /// Of version 1, which has no constraints that could say anything.
    pub is_version_1: bool,
    pub path_length: Option<u32>,
    /// The subject key identifier.
    pub ski: Option<Vec<u8>>,
    /// `None`: it has no such extension, so every usage is fine.
    pub key_usage: Option<Vec<KeyUsage>>,
}

impl Certificate {
    /// The first certificate of a PEM text; `None` where there is none that can be read. Other text may stand around it.
    pub fn first(text: &str) -> Option<Self> {
        let block = pem::first(text, &LABELS)?;
        Self::from_der(&block.content?)
    }

    /// Every certificate of a PEM text that can be read.
    pub fn all(text: &str) -> Vec<Self> {
        let blocks = pem::blocks(text).filter(|block| LABELS.contains(&block.label));
        blocks.filter_map(|block| Self::from_der(&block.content?)).collect()
    }

    /// `None` where the bytes are no certificate, or more than one.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (rest, read) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let constraints = read.basic_constraints().ok().flatten().map(|found| found.value);
        let key_usage = read.key_usage().ok().flatten().map(|found| usages(found.value.flags));
        let ski = read.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let time = |seconds: i64| Timestamp::from_second(seconds).ok();
        Some(Self {
            der: der.to_vec(),
            subject: read.subject().as_raw().to_vec(),
            issuer: read.issuer().as_raw().to_vec(),
            spki: read.public_key().raw.to_vec(),
            key_bits: key_bits(read.public_key()),
            serial: read.raw_serial().to_vec(),
            not_before: time(read.validity().not_before.timestamp())?,
            not_after: time(read.validity().not_after.timestamp())?,
            is_ca: constraints.is_some_and(|constraints| constraints.ca),
            is_version_1: read.version() == X509Version::V1,
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            ski,
            key_usage,
        })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// PEM with a line break at its end.
    pub fn pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der).expose().to_owned()
    }

    /// Whether the key of `issuer` made its signature. The names do not matter.
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let (Ok((_, child)), Ok((_, signer))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        let key = signer.public_key();
        child.verify_signature(Some(key)).is_ok() || is_signed_on_p521(&child, key)
    }

    /// Whether `issuer` stands right above it: by name and by signature.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        self.issuer == issuer.subject && self.is_signed_by(issuer)
    }

    /// Its issuer is its subject, and it verifies under its own key (spec section 3.8).
    pub fn is_self_signed(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Whether it may sign others. A root of version 1 may where `old_roots` are accepted, as openssl has it: CAs that were
    /// made before 1996 are still around.
    pub fn may_sign(&self, old_roots: bool) -> bool {
        self.is_ca || old_roots && self.is_version_1 && self.is_self_signed()
    }

    /// Whether that public half, with its algorithm, is of the same key.
    pub fn has_key(&self, spki: &[u8]) -> bool {
        if self.spki == spki {
            return true;
        }
        // The same key may stand there with other parameters around it, such as none where others write NULL.
        let parse = |bytes| SubjectPublicKeyInfo::from_der(bytes).ok().map(|(_, key)| key);
        let (Some(own), Some(other)) = (parse(&self.spki), parse(spki)) else { return false };
        own.algorithm.algorithm == other.algorithm.algorithm
            && match (own.parsed(), other.parsed()) {
                (Ok(PublicKey::RSA(own)), Ok(PublicKey::RSA(other))) => {
                    trimmed(own.modulus) == trimmed(other.modulus) && trimmed(own.exponent) == trimmed(other.exponent)
                }
                _ => false,
            }
    }

    /// Words of spec section 3.5 with commas between them, as the store keeps them.
    pub fn key_usage_words(&self) -> Option<String> {
        let words: Vec<_> = self.key_usage.as_ref()?.iter().map(|usage| usage.as_str()).collect();
        Some(words.join(","))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("is_ca", &self.is_ca).field("not_after", &self.not_after).finish()
    }
}

/// x509-parser does not know that curve.
fn is_signed_on_p521(child: &X509Certificate<'_>, key: &SubjectPublicKeyInfo<'_>) -> bool {
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    if curve != Some(OID_NIST_EC_P521) || child.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA512 {
        return false;
    }
    let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_ASN1, &key.subject_public_key.data);
    key.verify(child.tbs_certificate.as_ref(), &child.signature_value.data).is_ok()
}

fn key_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<u32> {
    match key.parsed().ok()? {
        PublicKey::RSA(rsa) => {
            let modulus = trimmed(rsa.modulus);
            let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
            u32::try_from(bits).ok()
        }
        PublicKey::EC(point) => u32::try_from(point.key_size()).ok(),
        _ => None,
    }
}

/// The extension counts its bits from the other end than this parser.
fn usages(flags: u16) -> Vec<KeyUsage> {
    KeyUsage::ALL.into_iter().filter(|usage| flags & (1 << usage.bit()) != 0).collect()
}

fn trimmed(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}

const LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];
