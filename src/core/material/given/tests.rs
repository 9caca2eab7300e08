use super::*;
use crate::{
    domain::parameters::{
        CertificateParameters,
        certificate::{KeyKind, Subject},
        rsa::RsaSize,
    },
    material::{
        FreshKey, KeyStock, RsaKeys,
        issue::{Issuer, Validity, self_signed, signed_by},
        pem,
    },
    world::SeededEntropy,
};

fn text(text: &str) -> Option<SecretText> {
    Some(SecretText::new(text.to_owned()))
}

fn given(ca: Option<&str>, certificate: &str, private_key: Option<&SecretText>) -> GivenCertificate {
    GivenCertificate {
        ca: ca.and_then(text),
        ca_name: None,
        certificate: text(certificate),
        private_key: private_key.map(SecretText::duplicate),
        transitional: false,
    }
}

/// A CA, a leaf of it, and a leaf that signed itself, all RSA.
struct Tree {
    ca: Certificate,
    leaf: Certificate,
    leaf_key: SecretText,
    lonely: Certificate,
    curve: FreshKey,
    on_curve: Certificate,
}

async fn tree() -> Tree {
    let stock = KeyStock::default();
    let ca_key = stock.take(RsaSize::Rsa2048).await.unwrap().into_fresh();
    let leaf_key = stock.take(RsaSize::Rsa2048).await.unwrap().into_fresh();
    let curve = FreshKey::on_curve(KeyKind::EcdsaP256).unwrap();
    let rules = |is_ca: bool| {
        let subject = Subject { common_name: Some("x".into()), ..Subject::default() };
        CertificateParameters { subject, self_sign: true, is_ca, ..CertificateParameters::default() }.rules(1).unwrap()
    };
    let validity = Validity::starting("2026-01-16T12:00:00Z".parse().unwrap(), 86400);
    let dice = SeededEntropy::new(1);
    let ca = self_signed(&ca_key.key, &rules(true), validity, &dice);
    let issuer = Issuer { certificate: &ca, key: &ca_key.key };
    let leaf = signed_by(&issuer, &rules(false), &leaf_key.key.spki(), validity, &dice);
    let lonely = self_signed(&leaf_key.key, &rules(false), validity, &dice);
    let on_curve = signed_by(&issuer, &rules(false), &curve.key.spki(), validity, &dice);
    Tree { ca, leaf, leaf_key: leaf_key.pem, lonely, curve, on_curve }
}

fn refused(given: GivenCertificate, accepted: AcceptedKeys) -> Option<Refused> {
    given.tidy().check(accepted).err()
}

#[tokio::test]
async fn what_fits_together_is_accepted() {
    let Tree { ca, leaf, leaf_key, lonely, curve, on_curve } = tree().await;
    let (ca, leaf, lonely, on_curve) = (ca.pem(), leaf.pem(), lonely.pem(), on_curve.pem());
    let crlf = leaf.replace('\n', "\r\n");
    let around = format!("issued to x\n{leaf}and more\n{ca}");
    for certificate in [&leaf, &crlf, &around, &leaf.trim_end().to_owned()] {
        assert_eq!(refused(given(Some(&ca), certificate, Some(&leaf_key)), AcceptedKeys::Rsa), None);
    }
    assert_eq!(refused(given(None, &ca, None), AcceptedKeys::Rsa), None);
    assert_eq!(refused(given(Some(""), &leaf, None), AcceptedKeys::Rsa), None);
    // Its own certificate need not be a CA's.
    assert_eq!(refused(given(Some(&lonely), &lonely, Some(&leaf_key)), AcceptedKeys::Rsa), None);
    assert_eq!(refused(given(Some(&ca), &on_curve, Some(&curve.pem)), AcceptedKeys::All), None);
    assert_eq!(refused(given(Some(&ca), &on_curve, None), AcceptedKeys::Rsa), None);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let Tree { ca, leaf, leaf_key, lonely, curve, on_curve } = tree().await;
    let (ca, leaf, lonely, on_curve) = (ca.pem(), leaf.pem(), lonely.pem(), on_curve.pem());
    let long = format!("{leaf}{}", "x".repeat(7001 - leaf.len()));
    let broken = leaf.replacen('M', "!", 1);
    let both = GivenCertificate { ca_name: Some("/ca".into()), ..given(Some(&ca), &leaf, None) };
    let key_only = GivenCertificate { certificate: None, ..given(None, "", Some(&leaf_key)) };
    let nothing = GivenCertificate { private_key: text(""), ca_name: Some("/ca".into()), ..given(None, "", None) };
    let table = [
        (nothing, Refused::Nothing),
        (key_only, Refused::NoCertificate),
        (both, Refused::CaAndCaName),
        (given(None, "x", None), Refused::Certificate),
        (given(None, &broken, None), Refused::Certificate),
        (given(None, leaf_key.expose(), None), Refused::Certificate),
        (given(None, &long, None), Refused::TooLong("certificate")),
        (given(Some(&lonely), &leaf, None), Refused::NotSignedByCa),
        (given(Some("x"), &leaf, None), Refused::NotSignedByCa),
        (given(None, &ca, Some(&leaf_key)), Refused::OtherKey),
        (given(None, &on_curve, Some(&curve.pem)), Refused::KeyNotRsa),
    ];
    for (given, expected) in table {
        assert_eq!(refused(given, AcceptedKeys::Rsa), Some(expected));
    }
    let exact = format!("{leaf}{}", "x".repeat(7000 - leaf.len()));
    assert_eq!(refused(given(None, &exact, None), AcceptedKeys::Rsa), None);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_says_why() {
    let Tree { leaf, leaf_key, curve, .. } = tree().await;
    let leaf = leaf.pem();
    let key = leaf_key.expose();
    let encrypted = key.replacen(
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
        1,
    );
    let hollow = pem::encode("RSA PRIVATE KEY", &[0x30, 0]);
    let table = [
        ("no pem", Refused::KeyForm),
        (encrypted.as_str(), Refused::KeyForm),
        (&key.replace("RSA PRIVATE", "ENCRYPTED PRIVATE"), Refused::KeyForm),
        (&key.replace("RSA PRIVATE", "PRIVATE"), Refused::KeyForm),
        (&key.replace("-----END RSA PRIVATE KEY-----", ""), Refused::KeyBroken),
        (&key.replacen('M', "!", 1), Refused::KeyBroken),
        (curve.pem.expose(), Refused::KeyNotRsa),
        (hollow.expose(), Refused::KeyNotRsa),
    ];
    for (key, expected) in table {
        let given = given(None, &leaf, text(key).as_ref());
        assert_eq!(refused(given, AcceptedKeys::Rsa), Some(expected), "{key}");
    }
    assert_eq!(
        Refused::KeyNotRsa.to_string(),
        "Private key is malformed. Key file does not contain an RSA private key"
    );
}
