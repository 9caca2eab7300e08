use std::collections::BTreeSet;

use x509_parser::{
    asn1_rs::Tag,
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    x509::{AttributeTypeAndValue, X509Version},
};

use super::*;
use crate::{
    domain::{
        SecretText,
        parameters::{
            CertificateParameters,
            certificate::{KeyKind, Subject},
        },
    },
    material::{FreshKey, KeyStock, RsaKeys},
    world::SeededEntropy,
};

fn now() -> Timestamp {
    "2026-01-16T12:00:00.987Z".parse().unwrap()
}

fn parameters(name: &str) -> CertificateParameters {
    CertificateParameters {
        subject: Subject { common_name: Some(name.into()), ..Subject::default() },
        self_sign: true,
        ..CertificateParameters::default()
    }
}

fn rules(parameters: CertificateParameters) -> CertificateRules {
    parameters.rules(1).unwrap()
}

fn own(parameters: CertificateParameters, key: &FreshKey) -> Certificate {
    let rules = rules(parameters);
    let validity = Validity::starting(now(), rules.duration);
    self_signed(&key.key, &rules, validity, &SeededEntropy::new(3))
}

fn ec() -> FreshKey {
    FreshKey::on_curve(KeyKind::EcdsaP256).unwrap()
}

async fn rsa() -> FreshKey {
    KeyStock::default().take(crate::domain::parameters::rsa::RsaSize::Rsa2048).await.unwrap().into_fresh()
}

/// Number and criticality of each extension, in the order of the certificate.
fn extensions(certificate: &Certificate) -> Vec<(String, bool)> {
    let (_, read) = X509Certificate::from_der(certificate.der()).unwrap();
    read.extensions().iter().map(|one| (one.oid.to_id_string(), one.critical)).collect()
}

fn texts(certificate: &Certificate) -> Vec<(String, Tag, String)> {
    let (_, read) = X509Certificate::from_der(certificate.der()).unwrap();
    let parts = read.subject().iter_attributes();
    let shown = |part: &AttributeTypeAndValue<'_>| {
        let name = part.attr_type().to_id_string();
        (name, part.attr_value().header.tag(), part.as_str().unwrap().to_owned())
    };
    parts.map(shown).collect()
}

#[tokio::test]
async fn a_root_is_made_field_by_field_as_recorded() {
    let key = rsa().await;
    let root = own(CertificateParameters { is_ca: true, ..parameters("root") }, &key);
    let (_, read) = X509Certificate::from_der(root.der()).unwrap();
    assert_eq!(read.version(), X509Version::V3);
    assert_eq!(read.signature_algorithm.algorithm.to_id_string(), "1.2.840.113549.1.1.11");
    assert_eq!(read.signature_algorithm, read.tbs_certificate.signature);
    assert!(read.raw_serial().len() <= 20 && read.raw_serial()[0] < 0x80);
    assert_eq!(root.subject, root.issuer);
    assert_eq!(root.not_before, "2026-01-16T12:00:00Z".parse().unwrap());
    assert_eq!(root.not_after, "2027-01-16T12:00:00Z".parse().unwrap());
    let expected = [("2.5.29.14", false), ("2.5.29.35", false), ("2.5.29.19", true)];
    assert_eq!(extensions(&root), expected.map(|(oid, critical)| (oid.to_owned(), critical)));
    assert!(root.is_ca && root.is_self_signed() && root.path_length.is_none());
    assert_eq!((root.key_bits, root.key_usage.clone()), (Some(2048), None));
    assert!(root.has_key(&key.key.spki()));
    let ParsedExtension::AuthorityKeyIdentifier(aki) = read.extensions()[1].parsed_extension() else { panic!() };
    assert_eq!(aki.key_identifier.as_ref().unwrap().0, root.ski.as_deref().unwrap());
    assert!(aki.authority_cert_issuer.is_none() && aki.authority_cert_serial.is_none());
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &read.public_key().subject_public_key.data);
    assert_eq!(root.ski.as_deref().unwrap(), sha1.as_ref());
}

#[tokio::test]
async fn extensions_stand_in_the_recorded_order() {
    let ca = rsa().await;
    let root = own(CertificateParameters { is_ca: true, ..parameters("root") }, &ca);
    let rules = rules(CertificateParameters {
        alternative_names: ["a.com", "10.0.0.1", "::1"].map(|name| name.parse().unwrap()).to_vec(),
        key_usage: vec![KeyUsage::CrlSign, KeyUsage::DigitalSignature, KeyUsage::DecipherOnly],
        extended_key_usage: vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth],
        self_sign: false,
        ca: Some("/ca".into()),
        ..parameters("leaf")
    });
    let issuer = Issuer { certificate: &root, key: &ca.key };
    let leaf_key = ec();
    let validity = Validity::starting(now(), rules.duration);
    let leaf = signed_by(&issuer, &rules, &leaf_key.key.spki(), validity, &SeededEntropy::new(4));
    let expected = [
        ("2.5.29.14", false),
        ("2.5.29.17", false),
        ("2.5.29.15", true),
        ("2.5.29.37", false),
        ("2.5.29.35", false),
        ("2.5.29.19", true),
    ];
    assert_eq!(extensions(&leaf), expected.map(|(oid, critical)| (oid.to_owned(), critical)));
    assert_eq!(leaf.issuer, root.subject);
    assert!(leaf.is_issued_by(&root) && !leaf.is_self_signed() && !leaf.is_ca);
    let usages = [KeyUsage::DigitalSignature, KeyUsage::CrlSign, KeyUsage::DecipherOnly];
    assert_eq!(leaf.key_usage.as_deref(), Some(&usages[..]));
    assert_eq!(leaf.key_usage_words().unwrap(), "digital_signature,crl_sign,decipher_only");
    let (_, read) = X509Certificate::from_der(leaf.der()).unwrap();
    let names = &read.subject_alternative_name().unwrap().unwrap().value.general_names;
    let expected = [
        GeneralName::DNSName("a.com"),
        GeneralName::IPAddress(&[10, 0, 0, 1]),
        GeneralName::IPAddress(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ];
    assert_eq!(names[..], expected);
    let constraints = read.extensions().iter().find(|one| one.oid.to_id_string() == "2.5.29.19").unwrap();
    assert_eq!(constraints.value, [0x30, 0]);
}

#[test]
fn a_path_length_is_kept() {
    let limited = CertificateParameters { is_ca: true, path_length: Some(0), ..parameters("ca") };
    assert_eq!(own(limited, &ec()).path_length, Some(0));
}

/// Spec section 3.6: what was recorded for each of these.
#[test]
fn strings_are_printable_where_they_can_be() {
    let key = ec();
    let printable = ["a b", "it's", "a/b", "a:b", "(x)", "a?b", "a.b-c", "x=y", "a,b+c"];
    for text in printable {
        assert_eq!(texts(&own(parameters(text), &key)), [("2.5.4.3".into(), Tag::PrintableString, text.into())]);
    }
    for text in
        ["ünïcode", "日本", "a_b", "*.example.com", "a@b.c", "Ab&Cd", "a!b", "100%", "a;b", "#x", "\"q\"", "a\\b"]
    {
        assert_eq!(texts(&own(parameters(text), &key)), [("2.5.4.3".into(), Tag::Utf8String, text.into())], "{text}");
    }
}

#[test]
fn the_subject_stands_in_the_recorded_order() {
    let text = |text: &str| Some(text.to_owned());
    let subject = Subject {
        common_name: text("cn"),
        organization: text("Org"),
        organization_unit: text("Unit"),
        locality: text("Loc"),
        state: text("State"),
        country: text("US"),
    };
    let certificate = own(CertificateParameters { subject, ..parameters("") }, &ec());
    let order: Vec<_> = texts(&certificate).into_iter().map(|(oid, _, text)| (oid, text)).collect();
    let expected = [
        ("2.5.4.3", "cn"),
        ("2.5.4.11", "Unit"),
        ("2.5.4.6", "US"),
        ("2.5.4.8", "State"),
        ("2.5.4.10", "Org"),
        ("2.5.4.7", "Loc"),
    ];
    assert_eq!(order, expected.map(|(oid, text)| (oid.to_owned(), text.to_owned())));
}

#[test]
fn a_year_after_2049_has_four_digits() {
    assert_eq!(time("2049-12-31T23:59:59Z".parse().unwrap()), b"\x17\x0d491231235959Z");
    assert_eq!(time("2050-01-01T00:00:00Z".parse().unwrap()), b"\x18\x0f20500101000000Z");
}

#[test]
fn a_certificate_ends_with_its_signer() {
    let key = ec();
    let root = own(CertificateParameters { is_ca: true, duration: Some(DAY), ..parameters("root") }, &key);
    let asked = Validity::starting(now(), 30 * DAY);
    assert_eq!(asked.within(&root).unwrap().not_after, root.not_after);
    let later = Validity::starting(root.not_after, DAY);
    assert_eq!(later.within(&root), None);
    let shorter = Validity::starting(now(), 3600);
    assert_eq!(shorter.within(&root), Some(shorter));
}

#[test]
fn an_installation_may_want_more_than_was_asked_for() {
    let policy = Policy { ca_minimum_days: 1460, leaf_minimum_days: 730, default_ca_key_usages: true };
    let (leaf, overridden) = policy.apply(rules(parameters("x")));
    assert_eq!((leaf.duration, overridden, leaf.key_usage), (730 * DAY, true, BTreeSet::new()));
    let (ca, overridden) = policy.apply(rules(CertificateParameters { is_ca: true, ..parameters("x") }));
    assert_eq!((ca.duration, overridden), (1460 * DAY, true));
    assert_eq!(ca.key_usage, BTreeSet::from([KeyUsage::KeyCertSign, KeyUsage::CrlSign]));
    let long = CertificateParameters { duration: Some(3650 * DAY), ..parameters("x") };
    assert!(!policy.apply(rules(long)).1);
    let asked = CertificateParameters { is_ca: true, key_usage: vec![KeyUsage::CrlSign], ..parameters("x") };
    assert_eq!(policy.apply(rules(asked)).0.key_usage, BTreeSet::from([KeyUsage::CrlSign]));
    assert_eq!(Policy::default().apply(rules(parameters("x"))), (rules(parameters("x")), false));
}

#[test]
fn serials_are_positive_and_differ() {
    let entropy = SeededEntropy::new(9);
    let serials: BTreeSet<_> = (0..1000).map(|_| serial(&entropy)).collect();
    assert_eq!(serials.len(), 1000);
    assert!(serials.iter().all(|serial| serial[0] < 0x80));
}

#[test]
fn keys_come_back_from_their_pem() {
    for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384] {
        let fresh = FreshKey::on_curve(kind).unwrap();
        let again = PrivateKey::from_pem(&fresh.pem).unwrap();
        assert_eq!(again.spki(), fresh.key.spki());
    }
    assert!(PrivateKey::from_pem(&SecretText::new("x".into())).is_err());
}
