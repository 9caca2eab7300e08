//! CAs that somebody else made (dependencies, section 4.2): each signs a leaf that openssl accepts.

use credsmith_core::{
    domain::{SecretText, Value},
    hub::{Given, Version},
    material::given::GivenCertificate,
};

use super::{Operator, leaf_of, tools::Bench};

/// How openssl makes a CA.
struct Kind {
    name: &'static str,
    /// Of `openssl genpkey`.
    key: &'static [&'static str],
    /// `SEC1` behind a block of parameters, or as genpkey writes it.
    sec1: bool,
    /// Lines of the section `dn`.
    subject: &'static [u8],
    /// Lines of the section `ext`; `None`: version 1.
    extensions: Option<&'static str>,
    /// By another CA.
    intermediate: bool,
    /// What openssl says about it, so that the kind is what its name says.
    shows: &'static str,
}

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const CA: &str =
    "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nkeyUsage=critical,keyCertSign,cRLSign\n";
const PLAIN: Kind = Kind {
    name: "plain",
    key: RSA,
    sec1: false,
    subject: b"CN=Plain\n",
    extensions: Some(CA),
    intermediate: false,
    shows: "CN=PRINTABLESTRING:Plain",
};
const KINDS: [Kind; 14] = [
    PLAIN,
    Kind {
        shows: "DC=IA5STRING:example, DC=IA5STRING:shop, OU=PRINTABLESTRING:one, OU=PRINTABLESTRING:two",
        name: "two-ous-and-dcs",
        subject: b"0.DC=example\n1.DC=shop\n0.OU=one\n1.OU=two\nCN=OUs\n",
        ..PLAIN
    },
    Kind {
        shows: "OU=PRINTABLESTRING:Side + CN=PRINTABLESTRING:Multi",
        name: "multi-valued",
        subject: b"O=Org\nCN=Multi\n+OU=Side\n",
        ..PLAIN
    },
    Kind { shows: "O=T61STRING:M", name: "teletex", subject: b"O=M\xfcller\nCN=T61\n", ..PLAIN },
    Kind {
        shows: "emailAddress=IA5STRING:ca@example.com",
        name: "e-mail",
        subject: b"CN=Mail\nemailAddress=ca@example.com\n",
        ..PLAIN
    },
    Kind {
        name: "no-ski",
        extensions: Some(
            "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nkeyUsage=critical,keyCertSign\n",
        ),
        ..PLAIN
    },
    Kind {
        name: "no-key-usage",
        extensions: Some("basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n"),
        ..PLAIN
    },
    Kind { shows: "Version: 1 (0x0)", name: "version-1", extensions: None, ..PLAIN },
    Kind { shows: "NIST CURVE: P-256", name: "p256-sec1", key: P256, sec1: true, ..PLAIN },
    Kind { shows: "NIST CURVE: P-256", name: "p256-pkcs8", key: P256, ..PLAIN },
    Kind {
        shows: "NIST CURVE: P-384",
        name: "p384",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        ..PLAIN
    },
    Kind {
        shows: "NIST CURVE: P-521",
        name: "p521",
        key: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        ..PLAIN
    },
    Kind { shows: "ED25519 Public-Key", name: "ed25519", key: &["-algorithm", "ED25519"], ..PLAIN },
    Kind { shows: "Issuer: CN=UTF8STRING:Root", name: "intermediate", intermediate: true, ..PLAIN },
];

#[tokio::test]
async fn every_kind_of_foreign_ca_signs_a_leaf_that_openssl_accepts() {
    let operator = Operator::new().await;
    let mut accepted = 0;
    for kind in &KINDS {
        let bench = Bench::new();
        make(&bench, kind);
        let says = bench.openssl(&[
            "x509",
            "-in",
            "ca.crt",
            "-noout",
            "-text",
            "-nameopt",
            "sep_comma_plus_space,sname,show_type",
        ]);
        assert!(says.contains(kind.shows), "{}: {says}", kind.name);
        let name = format!("/ci/{}", kind.name);
        let ca = operator.import(&name, Given::Certificate(given(&bench))).await;
        assert!(ca.row.facts.is_ca, "{}", kind.name);
        let leaf = operator.generate(&format!("{name}-leaf"), leaf_of(&name)).await.unwrap();
        verify(&bench, &operator, &leaf, kind).await;
        accepted += 1;
        eprintln!("foreign CA {}: openssl verify accepts its leaf", kind.name);
    }
    eprintln!("{accepted}/{}", KINDS.len());
    assert_eq!(accepted, 14);
}

/// The comparison of the issuer can fail: the name of another CA in the same place is refused.
#[tokio::test]
async fn openssl_refuses_a_leaf_of_another_ca() {
    let operator = Operator::new().await;
    let bench = Bench::new();
    make(&bench, &PLAIN);
    operator.import("/ci/ca", Given::Certificate(given(&bench))).await;
    let leaf = operator.generate("/ci/leaf", leaf_of("/ci/ca")).await.unwrap();
    bench.write("leaf.crt", text(&leaf));
    let other = Bench::new();
    make(&other, &KINDS[1]);
    other.write("leaf.crt", text(&leaf));
    let output = super::tools::openssl(&other.path("."), &["verify", "-CAfile", "ca.crt", "leaf.crt"]);
    assert!(!output.status.success());
}

fn make(bench: &Bench, kind: &Kind) {
    let mut config =
        b"string_mask=default\n[req]\nprompt=no\nstring_mask=default\ndistinguished_name=dn\n[dn]\n".to_vec();
    config.extend_from_slice(kind.subject);
    config.extend_from_slice(b"[ext]\n");
    config.extend_from_slice(kind.extensions.unwrap_or_default().as_bytes());
    bench.write("ca.cnf", config);
    bench.openssl(&[&["genpkey", "-out", "ca.key"], kind.key].concat());
    if kind.sec1 {
        bench.openssl(&["ecparam", "-name", "prime256v1", "-out", "ca.params"]);
        bench.openssl(&["ec", "-in", "ca.key", "-out", "ca.sec1"]);
        let both = bench.read("ca.params") + &bench.read("ca.sec1");
        assert!(both.contains("BEGIN EC PARAMETERS") && both.contains("BEGIN EC PRIVATE KEY"));
        bench.write("ca.key", both);
    }
    bench.openssl(&["req", "-new", "-key", "ca.key", "-config", "ca.cnf", "-out", "ca.csr"]);
    let mut sign = vec!["x509", "-req", "-in", "ca.csr", "-out", "ca.crt", "-days", "3650"];
    if kind.extensions.is_some() {
        sign.extend(["-extfile", "ca.cnf", "-extensions", "ext"]);
    }
    if kind.intermediate {
        bench.write(
            "root.cnf",
            format!("[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nCN=Root\n[ext]\n{CA}"),
        );
        bench.openssl(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.crt", "-days",
            "3650", "-config", "root.cnf",
        ]);
        sign.extend(["-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial"]);
    } else {
        sign.extend(["-signkey", "ca.key"]);
    }
    bench.openssl(&sign);
}

fn given(bench: &Bench) -> GivenCertificate {
    let secret = |file: &str| Some(SecretText::new(bench.read(file)));
    GivenCertificate {
        ca: bench.path("root.crt").exists().then(|| bench.read("root.crt")).map(SecretText::new),
        ca_name: None,
        certificate: secret("ca.crt"),
        private_key: secret("ca.key"),
        transitional: false,
    }
}

/// As a consumer sees it: the files that the Secret would hold, and nothing else.
async fn verify(bench: &Bench, operator: &Operator, leaf: &Version, kind: &Kind) {
    let bundle = operator.app.hub.bundle(leaf).await.unwrap().unwrap();
    bench.write("tls.crt", bundle.certificate.expose());
    bench.write("tls.key", bundle.private_key.unwrap().expose());
    bench.write("trust.crt", bundle.ca.unwrap().expose());
    let says = bench.openssl(&[
        "verify",
        "-no-CApath",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "svc.example",
        "-CAfile",
        "trust.crt",
        "-untrusted",
        "tls.crt",
        "tls.crt",
    ]);
    assert_eq!(says.trim(), "tls.crt: OK", "{}", kind.name);
    let of = |what: &str, file: &str| bench.openssl(&["x509", "-noout", what, "-in", file]);
    assert_eq!(of("-issuer_hash", "tls.crt"), of("-subject_hash", "ca.crt"), "{}", kind.name);
    let halves = [bench.openssl(&["pkey", "-in", "tls.key", "-pubout"]), of("-pubkey", "tls.crt")];
    assert_eq!(halves[0], halves[1].split_inclusive("-----END PUBLIC KEY-----\n").next().unwrap());
}

fn text(version: &Version) -> &str {
    let Value::Certificate(of) = &version.value else { panic!("a certificate") };
    of.certificate.expose()
}
