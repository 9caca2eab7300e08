//! How a certificate is made (spec section 3.5; custom resources, section 4.4).

use std::{collections::BTreeSet, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    alternative_name::AlternativeName,
    refusal::Refusal,
    rsa::RsaSize,
    usage::{ExtendedKeyUsage, KeyUsage},
};

/// What is kept of the wish for a `certificate` credential. An empty text or list is as good as an absent one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateParameters {
    #[serde(flatten)]
    pub subject: Subject,
    /// In the order in which they stand in the certificate.
    pub alternative_names: Vec<AlternativeName>,
    pub key_usage: Vec<KeyUsage>,
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    pub is_ca: bool,
    /// How many CAs may stand below this one, 0 to 8; absent: any number.
    pub path_length: Option<u8>,
    /// The name of the signer as it was typed, leading slash included.
    pub ca: Option<String>,
    pub self_sign: bool,
    /// Seconds, an hour to ten years; absent: 365 days.
    pub duration: Option<u32>,
    /// Absent: RSA of 2048 bits.
    pub key: Option<KeyKind>,
}

/// Who the certificate is about. Each field is kept literally; none is read as the syntax of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    pub common_name: Option<String>,
    pub organization: Option<String>,
    pub organization_unit: Option<String>,
    pub locality: Option<String>,
    pub state: Option<String>,
    pub country: Option<String>,
}

/// A part of a subject, in the order of the certificate (spec section 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    CommonName,
    OrganizationUnit,
    Country,
    State,
    Organization,
    Locality,
}

/// The key of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum KeyKind {
    Rsa(RsaSize),
    EcdsaP256,
    EcdsaP384,
}

/// What is made, once every default is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRules {
    /// Never empty.
    pub subject: Vec<(Attribute, String)>,
    pub alternative_names: Vec<AlternativeName>,
    /// Empty: no such extension.
    pub key_usage: BTreeSet<KeyUsage>,
    /// Empty: no such extension.
    pub extended_key_usage: Vec<ExtendedKeyUsage>,
    pub is_ca: bool,
    pub path_length: Option<u8>,
    pub signer: Signer,
    /// Seconds.
    pub duration: u32,
    pub key: KeyKind,
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    Itself,
    /// The credential of that name, as it was typed.
    Ca(String),
}

impl CertificateParameters {
    /// Fills in the defaults of `model` and refuses contradictions.
    pub fn rules(&self, _model: u16) -> Result<CertificateRules, Refusal> {
        let subject = self.subject.attributes();
        if subject.is_empty() {
            return Err(Refusal::NoSubject);
        }
        if let Some((attribute, _)) = subject.iter().find(|(part, text)| text.chars().count() > part.max()) {
            return Err(Refusal::TooLong(*attribute));
        }
        let names = self.alternative_names.len();
        if names > MAX_NAMES {
            return Err(Refusal::TooManyNames(names));
        }
        let duration = self.duration.unwrap_or(365 * DAY);
        if !(HOUR..=MAX_DURATION).contains(&duration) {
            return Err(Refusal::Duration);
        }
        match self.path_length {
            Some(_) if !self.is_ca => return Err(Refusal::PathLengthOfLeaf),
            Some(length) if length > MAX_PATH => return Err(Refusal::PathLength(length)),
            _ => {}
        }
        Ok(CertificateRules {
            subject,
            alternative_names: self.alternative_names.clone(),
            key_usage: self.key_usage.iter().copied().collect(),
            extended_key_usage: self.extended_key_usage.clone(),
            is_ca: self.is_ca,
            path_length: self.path_length,
            signer: self.signer()?,
            duration,
            key: self.key.unwrap_or_default(),
        })
    }

    fn signer(&self) -> Result<Signer, Refusal> {
        match self.ca.as_deref().filter(|name| !name.is_empty()) {
            Some(_) if self.self_sign => Err(Refusal::SignerAndSelf),
            Some(name) if name.starts_with('/') => Ok(Signer::Ca(name.to_owned())),
            Some(name) => Ok(Signer::Ca(format!("/{name}"))),
            None if self.self_sign || self.is_ca => Ok(Signer::Itself),
            None => Err(Refusal::NoSigner),
        }
    }
}

impl CertificateRules {
    /// Whether a certificate made by the one set of rules is what the other asks for. By the rules of converge, the
    /// duration does not count, nor the order, the case and repeated spaces of the subject (spec section 4).
    pub fn same_as(&self, other: &Self) -> bool {
        let rest = |rules: &Self| Self { subject: Vec::new(), duration: 0, ..rules.clone() };
        let subject = |rules: &Self| -> BTreeSet<(&str, String)> {
            rules.subject.iter().map(|(part, text)| (part.api(), folded(text))).collect()
        };
        rest(self) == rest(other) && subject(self) == subject(other)
    }
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

impl Subject {
    /// The parts that are there, in the order of the certificate.
    pub fn attributes(&self) -> Vec<(Attribute, String)> {
        let parts = [
            (Attribute::CommonName, &self.common_name),
            (Attribute::OrganizationUnit, &self.organization_unit),
            (Attribute::Country, &self.country),
            (Attribute::State, &self.state),
            (Attribute::Organization, &self.organization),
            (Attribute::Locality, &self.locality),
        ];
        let present = parts.into_iter().filter_map(|(part, text)| Some((part, text.clone()?)));
        present.filter(|(_, text)| !text.is_empty()).collect()
    }
}

impl Attribute {
    /// The field of a manifest.
    pub fn resource(self) -> &'static str {
        match self {
            Self::CommonName => "commonName",
            Self::OrganizationUnit => "organizationUnit",
            _ => self.api(),
        }
    }

    /// The parameter of the API.
    pub fn api(self) -> &'static str {
        match self {
            Self::CommonName => "common_name",
            Self::OrganizationUnit => "organization_unit",
            Self::Country => "country",
            Self::State => "state",
            Self::Organization => "organization",
            Self::Locality => "locality",
        }
    }

    /// Characters.
    pub fn max(self) -> usize {
        match self {
            Self::CommonName | Self::OrganizationUnit | Self::Organization => 64,
            Self::Country => 2,
            Self::State | Self::Locality => 128,
        }
    }
}

impl KeyKind {
    pub const ALL: [Self; 5] = [
        Self::Rsa(RsaSize::Rsa2048),
        Self::Rsa(RsaSize::Rsa3072),
        Self::Rsa(RsaSize::Rsa4096),
        Self::EcdsaP256,
        Self::EcdsaP384,
    ];

    /// The word in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa(RsaSize::Rsa2048) => "rsa-2048",
            Self::Rsa(RsaSize::Rsa3072) => "rsa-3072",
            Self::Rsa(RsaSize::Rsa4096) => "rsa-4096",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
        }
    }
}

impl Default for KeyKind {
    fn default() -> Self {
        Self::Rsa(RsaSize::default())
    }
}

impl From<KeyKind> for String {
    fn from(kind: KeyKind) -> Self {
        kind.as_str().to_owned()
    }
}

impl TryFrom<String> for KeyKind {
    type Error = UnknownKeyKind;

    fn try_from(word: String) -> Result<Self, UnknownKeyKind> {
        word.parse()
    }
}

impl FromStr for KeyKind {
    type Err = UnknownKeyKind;

    fn from_str(word: &str) -> Result<Self, UnknownKeyKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownKeyKind)
    }
}

/// A word that names no kind of key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key.algorithm is unknown: give rsa-2048, rsa-3072, rsa-4096, ecdsa-p256 or ecdsa-p384")]
pub struct UnknownKeyKind;

/// Whole days for a number of seconds, rounded up: how the API tells a duration.
pub fn days(seconds: u32) -> u32 {
    seconds.div_ceil(DAY)
}

/// Seconds.
pub const DAY: u32 = 24 * HOUR;
pub const HOUR: u32 = 3600;
/// 87,600 hours, which are 3,650 days.
pub const MAX_DURATION: u32 = 3650 * DAY;
/// Alternative names of one certificate.
pub const MAX_NAMES: usize = 1000;
const MAX_PATH: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> CertificateParameters {
        CertificateParameters {
            subject: Subject { common_name: Some(name.into()), ..Subject::default() },
            self_sign: true,
            ..CertificateParameters::default()
        }
    }

    #[test]
    fn the_defaults_are_a_year_and_rsa_2048() {
        let rules = named("x").rules(1).unwrap();
        assert_eq!((rules.duration, rules.key), (31_536_000, KeyKind::Rsa(RsaSize::Rsa2048)));
        assert_eq!((rules.signer, rules.is_ca, rules.path_length), (Signer::Itself, false, None));
    }

    #[test]
    fn the_subject_stands_in_the_order_of_the_certificate() {
        let text = |text: &str| Some(text.to_owned());
        let subject = Subject {
            common_name: text("cn"),
            organization: text("o"),
            organization_unit: text("ou"),
            locality: text("l"),
            state: text(""),
            country: text("US"),
        };
        let order: Vec<_> = subject.attributes().into_iter().map(|(part, _)| part.resource()).collect();
        assert_eq!(order, ["commonName", "organizationUnit", "country", "organization", "locality"]);
    }

    #[test]
    fn a_name_that_signs_gets_its_slash() {
        let parameters = CertificateParameters { self_sign: false, ca: Some("ci/ca".into()), ..named("x") };
        assert_eq!(parameters.rules(1).unwrap().signer, Signer::Ca("/ci/ca".into()));
        let parameters = CertificateParameters { ca: Some(String::new()), ..named("x") };
        assert_eq!(parameters.rules(1).unwrap().signer, Signer::Itself);
    }

    #[test]
    fn contradictions_are_refused() {
        let long = |part: fn(&mut Subject) -> &mut Option<String>, length: usize| {
            let mut parameters = named("x");
            *part(&mut parameters.subject) = Some("ü".repeat(length));
            parameters.rules(1)
        };
        assert_eq!(long(|s| &mut s.common_name, 65), Err(Refusal::TooLong(Attribute::CommonName)));
        assert!(long(|s| &mut s.common_name, 64).is_ok());
        assert_eq!(long(|s| &mut s.state, 129), Err(Refusal::TooLong(Attribute::State)));
        assert_eq!(long(|s| &mut s.country, 3), Err(Refusal::TooLong(Attribute::Country)));

        let name = AlternativeName::dns("a.com").unwrap();
        let table = [
            (CertificateParameters { self_sign: true, ..CertificateParameters::default() }, Refusal::NoSubject),
            (named("").clone(), Refusal::NoSubject),
            (CertificateParameters { self_sign: false, ..named("x") }, Refusal::NoSigner),
            (CertificateParameters { ca: Some("/ca".into()), ..named("x") }, Refusal::SignerAndSelf),
            (CertificateParameters { duration: Some(HOUR - 1), ..named("x") }, Refusal::Duration),
            (CertificateParameters { duration: Some(MAX_DURATION + 1), ..named("x") }, Refusal::Duration),
            (CertificateParameters { path_length: Some(0), ..named("x") }, Refusal::PathLengthOfLeaf),
            (CertificateParameters { is_ca: true, path_length: Some(9), ..named("x") }, Refusal::PathLength(9)),
            (CertificateParameters { alternative_names: vec![name; 1001], ..named("x") }, Refusal::TooManyNames(1001)),
        ];
        for (parameters, refusal) in table {
            assert_eq!(parameters.rules(1), Err(refusal));
        }
    }

    #[test]
    fn what_converge_does_not_look_at_makes_no_difference() {
        let rules = |parameters: CertificateParameters| parameters.rules(1).unwrap();
        let base = rules(named("A  b"));
        assert!(base.same_as(&rules(CertificateParameters { duration: Some(DAY), ..named("a B") })));
        assert!(!base.same_as(&rules(named("ab"))));
        let ca = |name: &str| CertificateParameters { self_sign: false, ca: Some(name.into()), ..named("A b") };
        assert!(!base.same_as(&rules(ca("/ca"))));
        assert!(rules(ca("ca")).same_as(&rules(ca("/ca"))));
        assert!(!rules(ca("/CA")).same_as(&rules(ca("/ca"))));
        let usage = |list: &[KeyUsage]| CertificateParameters { key_usage: list.to_vec(), ..named("A b") };
        let (sign, crl) = (KeyUsage::DigitalSignature, KeyUsage::CrlSign);
        assert!(rules(usage(&[sign, crl])).same_as(&rules(usage(&[crl, sign, crl]))));
        assert!(!rules(usage(&[sign])).same_as(&rules(usage(&[crl]))));
    }

    #[test]
    fn kinds_of_keys_are_words() {
        for kind in KeyKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("rsa-1024".parse::<KeyKind>(), Err(UnknownKeyKind));
    }
}
