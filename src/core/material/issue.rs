//! Certificates, made: field by field as recorded (spec section 3.6).

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    der::{self, Reader},
    key::PrivateKey,
    x509::Certificate,
};
use crate::{
    domain::parameters::{
        alternative_name::AlternativeName,
        certificate::{Attribute, CertificateRules, DAY, Signer},
        usage::{ExtendedKeyUsage, KeyUsage},
    },
    world::Entropy,
};

/// What an installation adds to what is asked for (spec sections 3.6 and 3.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Days that a CA is good for at least; 0 for no such rule.
    pub ca_minimum_days: u32,
    /// The same for every other certificate.
    pub leaf_minimum_days: u32,
    /// A self-signed CA that names no key usage gets key_cert_sign and crl_sign.
    pub default_ca_key_usages: bool,
}

impl Policy {
    /// What is made of what was asked for, and whether its duration is another.
    pub fn apply(&self, rules: CertificateRules) -> (CertificateRules, bool) {
        let days = if rules.is_ca { self.ca_minimum_days } else { self.leaf_minimum_days };
        let duration = rules.duration.max(days.saturating_mul(DAY));
        let overridden = duration != rules.duration;
        let mut rules = CertificateRules { duration, ..rules };
        if self.default_ca_key_usages && rules.is_ca && rules.signer == Signer::Itself && rules.key_usage.is_empty() {
            rules.key_usage.extend([KeyUsage::KeyCertSign, KeyUsage::CrlSign]);
        }
        (rules, overridden)
    }
}

/// Who signs.
#[derive(Debug)]
pub struct Issuer<'a> {
    pub certificate: &'a Certificate,
    pub key: &'a PrivateKey,
}

/// From when to when, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Validity {
    /// From the second that `now` is in.
    pub fn starting(now: Timestamp, seconds: u32) -> Self {
        let not_before = Timestamp::from_second(now.as_second()).expect("less is still a time");
        // The latest time that there is lies eight thousand years ahead.
        let not_after = not_before.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX);
        Self { not_before, not_after }
    }

    /// The same, ending with the signer; `None` where that one has ended.
    pub fn within(self, signer: &Certificate) -> Option<Self> {
        let not_after = self.not_after.min(signer.not_after);
        (not_after > self.not_before).then_some(Self { not_after, ..self })
    }
}

/// Makes the certificate of a public key (`spki`, as in [`PrivateKey::spki`]), signed by `issuer`.
pub fn signed_by(
    issuer: &Issuer<'_>,
    rules: &CertificateRules,
    spki: &[u8],
    validity: Validity,
    entropy: &dyn Entropy,
) -> Certificate {
    // The CA's subject is copied, never written again: another spelling of the same name is another name to whoever
    // verifies, and a foreign CA may be named in ways that nobody here would write.
    write(rules, spki, validity, issuer.key, &issuer.certificate.subject, issuer.certificate.ski.as_deref(), entropy)
}

/// Makes the certificate of a key, signed by the same key.
pub fn self_signed(
    key: &PrivateKey,
    rules: &CertificateRules,
    validity: Validity,
    entropy: &dyn Entropy,
) -> Certificate {
    let spki = key.spki();
    let ski = key_identifier(&spki);
    write(rules, &spki, validity, key, &name(&rules.subject), Some(&ski), entropy)
}

fn write(
    rules: &CertificateRules,
    spki: &[u8],
    validity: Validity,
    key: &PrivateKey,
    issuer: &[u8],
    issuer_ski: Option<&[u8]>,
    entropy: &dyn Entropy,
) -> Certificate {
    let algorithm = key.algorithm();
    let tbs = der::sequence(&[
        der::tlv(der::constructed(0), &der::integer(&[2])), // version 3
        der::integer(&serial(entropy)),
        algorithm.clone(),
        issuer.to_vec(),
        der::sequence(&[time(validity.not_before), time(validity.not_after)]),
        name(&rules.subject),
        spki.to_vec(),
        der::tlv(der::constructed(3), &der::sequence(&extensions(rules, spki, issuer_ski))),
    ]);
    let signature = der::bit_string(&key.sign(&tbs));
    let der = der::sequence(&[tbs, algorithm, signature]);
    Certificate::from_der(&der).expect("what was just written is read")
}

/// Positive, up to 159 bits.
fn serial(entropy: &dyn Entropy) -> [u8; 20] {
    let mut serial = [0; 20];
    while serial.iter().all(|byte| *byte == 0) {
        entropy.fill(&mut serial);
        serial[0] &= 0x7f;
    }
    serial
}

/// Two digits of the year until 2049, four from then on (RFC 5280, section 4.1.2.5).
fn time(at: Timestamp) -> Vec<u8> {
    let date = at.to_zoned(TimeZone::UTC);
    let (tag, format) =
        if date.year() < 2050 { (der::UTC_TIME, "%y%m%d%H%M%SZ") } else { (der::GENERALIZED_TIME, "%Y%m%d%H%M%SZ") };
    der::tlv(tag, date.strftime(format).to_string().as_bytes())
}

fn name(subject: &[(Attribute, String)]) -> Vec<u8> {
    let part = |(attribute, text): &(Attribute, String)| {
        let last = match attribute {
            Attribute::CommonName => 3,
            Attribute::Country => 6,
            Attribute::Locality => 7,
            Attribute::State => 8,
            Attribute::Organization => 10,
            Attribute::OrganizationUnit => 11,
        };
        let tag = if text.chars().all(is_printable) { der::PRINTABLE_STRING } else { der::UTF8_STRING };
        let attribute = der::sequence(&[der::oid(&[0x55, 0x04, last]), der::tlv(tag, text.as_bytes())]);
        der::set_of_one(&attribute)
    };
    der::sequence(&subject.iter().map(part).collect::<Vec<_>>())
}

/// What a PrintableString may hold (X.680, section 41.4).
fn is_printable(c: char) -> bool {
    c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c)
}

fn extensions(rules: &CertificateRules, spki: &[u8], issuer_ski: Option<&[u8]>) -> Vec<Vec<u8>> {
    let mut out = vec![extension(14, false, &der::octets(&key_identifier(spki)))];
    if !rules.alternative_names.is_empty() {
        let names: Vec<_> = rules.alternative_names.iter().map(alternative_name).collect();
        out.push(extension(17, false, &der::sequence(&names)));
    }
    if !rules.key_usage.is_empty() {
        out.push(extension(15, true, &der::named_bits(rules.key_usage.iter().map(|usage| usage.bit()))));
    }
    if !rules.extended_key_usage.is_empty() {
        let purposes: Vec<_> = rules.extended_key_usage.iter().map(|usage| purpose(*usage)).collect();
        out.push(extension(37, false, &der::sequence(&purposes)));
    }
    if let Some(ski) = issuer_ski {
        out.push(extension(35, false, &der::sequence(&[der::tlv(der::tagged(0), ski)])));
    }
    let mut constraints = Vec::new();
    if rules.is_ca {
        constraints.push(der::tlv(der::BOOLEAN, &[0xff]));
        constraints.extend(rules.path_length.map(|length| der::integer(&[length])));
    }
    out.push(extension(19, true, &der::sequence(&constraints)));
    out
}

/// An extension of the family id-ce (RFC 5280, section 4.2.1).
fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![der::oid(&[0x55, 0x1d, number])];
    if critical {
        parts.push(der::tlv(der::BOOLEAN, &[0xff]));
    }
    parts.push(der::octets(value));
    der::sequence(&parts)
}

fn alternative_name(name: &AlternativeName) -> Vec<u8> {
    match name {
        AlternativeName::Dns(name) => der::tlv(der::tagged(2), name.as_bytes()),
        AlternativeName::Ip(std::net::IpAddr::V4(address)) => der::tlv(der::tagged(7), &address.octets()),
        AlternativeName::Ip(std::net::IpAddr::V6(address)) => der::tlv(der::tagged(7), &address.octets()),
    }
}

/// A purpose of the family id-kp (RFC 5280, section 4.2.1.12).
fn purpose(usage: ExtendedKeyUsage) -> Vec<u8> {
    let last = match usage {
        ExtendedKeyUsage::ServerAuth => 1,
        ExtendedKeyUsage::ClientAuth => 2,
        ExtendedKeyUsage::CodeSigning => 3,
        ExtendedKeyUsage::EmailProtection => 4,
        ExtendedKeyUsage::Timestamping => 8,
    };
    der::oid(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, last])
}

/// SHA-1 of the bits of the key (RFC 5280, section 4.2.1.2, method 1). A name for the key, not a proof of anything.
pub fn key_identifier(spki: &[u8]) -> Vec<u8> {
    let mut key = Reader::new(spki).sequence().expect("a public key is a sequence");
    key.any();
    let bits = key.take(der::BIT_STRING).and_then(|bits| bits.split_first()).map(|(_, bits)| bits);
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits.expect("a public key has bits")).as_ref().to_vec()
}

#[cfg(test)]
#[path = "issue/tests.rs"]
mod tests;
