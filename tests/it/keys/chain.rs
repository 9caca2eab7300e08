//! What is generated, file by file as a Secret holds it.

use credsmith_core::{
    domain::{
        Parameters, SecretText,
        parameters::{
            CertificateParameters, RsaParameters, SshParameters,
            certificate::{DAY, KeyKind},
            rsa::RsaSize,
            ssh::SshAlgorithm,
            usage::{ExtendedKeyUsage, KeyUsage},
        },
    },
    hub::{Error, Given, SignerFault, Version},
    material::given::GivenCertificate,
};

use super::{Operator, leaf_of, named, tools::Bench};

fn ca(name: &str, signer: Option<&str>, key: KeyKind) -> Parameters {
    Parameters::certificate(CertificateParameters {
        is_ca: true,
        ca: signer.map(Into::into),
        key: Some(key),
        key_usage: vec![KeyUsage::KeyCertSign, KeyUsage::CrlSign],
        ..named(name)
    })
}

fn part(version: &Version, name: &str) -> String {
    let parts = version.value.parts();
    let found: Option<&(_, SecretText)> = parts.iter().find(|(part, _)| *part == name);
    found.unwrap_or_else(|| panic!("{name}: {parts:?}")).1.expose().to_owned()
}

#[tokio::test]
async fn openssl_verifies_a_leaf_below_an_intermediate_with_what_its_secret_holds() {
    for key in KeyKind::ALL.into_iter().filter(|key| *key != KeyKind::Rsa(RsaSize::Rsa4096)) {
        let operator = Operator::new().await;
        operator.generate("/ci/root", ca("Root", None, key)).await.unwrap();
        operator.generate("/ci/int", ca("Intermediate", Some("/ci/root"), key)).await.unwrap();
        let leaf = operator.generate("/ci/leaf", leaf_of("/ci/int")).await.unwrap();
        let bundle = operator.app.hub.bundle(&leaf).await.unwrap().unwrap();
        assert_eq!(bundle.certificate.expose().matches("BEGIN CERTIFICATE").count(), 2); // without the root

        let bench = Bench::new();
        bench.write("tls.crt", bundle.certificate.expose());
        bench.write("ca.crt", bundle.ca.unwrap().expose());
        let says = bench.openssl(&[
            "verify",
            "-no-CApath",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "svc.example",
            "-CAfile",
            "ca.crt",
            "-untrusted",
            "tls.crt",
            "tls.crt",
        ]);
        assert_eq!(says.trim(), "tls.crt: OK", "{key:?}");
    }
}

#[tokio::test]
async fn openssl_reads_what_was_asked_for() {
    let operator = Operator::new().await;
    let parameters = CertificateParameters {
        self_sign: true,
        duration: Some(30 * DAY),
        alternative_names: ["a.com", "*.b.com", "10.0.0.1", "2001:db8::1"].map(|name| name.parse().unwrap()).to_vec(),
        key_usage: vec![KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment],
        extended_key_usage: vec![ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::Timestamping],
        ..named("Ünï, O=injected")
    };
    let made = operator.generate("/ci/leaf", Parameters::certificate(parameters)).await.unwrap();
    let bench = Bench::new();
    bench.write("tls.crt", part(&made, "tls.crt"));
    let says = bench.openssl(&["x509", "-in", "tls.crt", "-noout", "-text", "-nameopt", "utf8,sep_multiline"]);
    for line in [
        "Signature Algorithm: sha256WithRSAEncryption",
        "CN=Ünï, O=injected",
        "DNS:a.com, DNS:*.b.com, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1",
        "Digital Signature, Key Encipherment",
        "TLS Web Server Authentication, Time Stamping",
        "CA:FALSE",
        "Public-Key: (2048 bit)",
    ] {
        assert!(says.contains(line), "{line}\n{says}");
    }
    assert!(!says.contains("\n            O=injected"), "{says}");
}

#[tokio::test]
async fn openssl_checks_rsa_keys_and_finds_the_same_public_half() {
    let operator = Operator::new().await;
    for size in [RsaSize::Rsa2048, RsaSize::Rsa3072, RsaSize::Rsa4096] {
        let parameters = Parameters::rsa(RsaParameters { key_length: Some(size) });
        let made = operator.generate(&format!("/ci/rsa-{}", size.bits()), parameters).await.unwrap();
        let bench = Bench::new();
        bench.write("private.pem", part(&made, "private.pem"));
        bench.write("public.pem", part(&made, "public.pem"));
        assert!(bench.openssl(&["rsa", "-in", "private.pem", "-noout", "-check"]).contains("RSA key ok"));
        assert_eq!(bench.openssl(&["pkey", "-in", "private.pem", "-pubout"]), part(&made, "public.pem"));
        assert!(bench.read("private.pem").starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        // Written again by openssl, it is the same text: the form is exactly the traditional one.
        bench.openssl(&["rsa", "-in", "private.pem", "-traditional", "-out", "again.pem"]);
        assert_eq!(bench.read("again.pem"), bench.read("private.pem"));
    }
}

#[tokio::test]
async fn ssh_keygen_tells_the_same_fingerprint_and_public_half() {
    let operator = Operator::new().await;
    let comment = Some("deploy at shop".to_owned());
    let rsa = SshParameters { comment: comment.clone(), ..SshParameters::default() };
    let ed25519 = SshParameters { algorithm: Some(SshAlgorithm::Ed25519), comment, ..SshParameters::default() };
    for (name, parameters, says) in [("/ci/rsa", rsa, "2048 SHA256:"), ("/ci/ed", ed25519, "256 SHA256:")] {
        let made = operator.generate(name, Parameters::ssh(parameters)).await.unwrap();
        let bench = Bench::new();
        bench.write("id.pub", part(&made, "ssh-publickey") + "\n");
        bench.write("id", part(&made, "ssh-privatekey"));
        let listed = bench.ssh_keygen(&["-l", "-f", "id.pub"]);
        let expected = format!("{says}{} deploy at shop (", part(&made, "ssh-fingerprint"));
        assert!(listed.starts_with(&expected), "{listed} is not {expected}");
        let derived = bench.ssh_keygen(&["-y", "-P", "", "-f", "id"]);
        let words = |line: &str| line.split(' ').take(2).map(|word| word.trim().to_owned()).collect::<Vec<_>>();
        assert_eq!(words(&derived), words(&part(&made, "ssh-publickey")));
    }
}

#[tokio::test]
async fn a_leaf_of_a_resource_ends_with_its_ca() {
    let operator = Operator::new().await;
    let short = CertificateParameters { is_ca: true, duration: Some(10 * DAY), ..named("Root") };
    let root = operator.generate("/ci/root", Parameters::certificate(short)).await.unwrap();
    let leaf = operator.generate("/ci/leaf", leaf_of("/ci/root")).await.unwrap();
    assert_eq!(leaf.row.facts.expires, root.row.facts.expires);
}

#[tokio::test]
async fn a_leaf_waits_for_a_signer_and_says_for_which() {
    let operator = Operator::new().await;
    let fault = async |name: &str| match operator.generate("/ci/leaf", leaf_of(name)).await.unwrap_err() {
        Error::Signer(fault) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault("/ci/root").await, SignerFault::Missing("/ci/root".into()));
    assert_eq!(fault("/other/root").await, SignerFault::Missing("/other/root".into())); // not ours to read
    let lonely = CertificateParameters { self_sign: true, ..named("x") };
    operator.generate("/ci/lonely", Parameters::certificate(lonely)).await.unwrap();
    assert_eq!(fault("/ci/lonely").await, SignerFault::NotCa("/ci/lonely".into()));
    let root = operator.generate("/ci/whole", ca("Root", None, KeyKind::EcdsaP384)).await.unwrap();
    let given = GivenCertificate {
        ca: None,
        ca_name: None,
        certificate: Some(SecretText::new(part(&root, "tls.crt"))),
        private_key: None,
        transitional: false,
    };
    operator.import("/ci/public", Given::Certificate(given)).await;
    assert_eq!(fault("/ci/public").await, SignerFault::NoKey("/ci/public".into()));
    let short = CertificateParameters { is_ca: true, duration: Some(DAY), ..named("Root") };
    operator.generate("/ci/short", Parameters::certificate(short)).await.unwrap();
    operator.app.clock.advance(std::time::Duration::from_secs(2 * 86400));
    assert_eq!(fault("/ci/short").await, SignerFault::Expired("/ci/short".into()));
}
