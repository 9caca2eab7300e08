//! Certificates: who signs whom, what stands in the Secrets, and what is said when nobody can sign.

use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::scene::{Says, Scene};
use crate::keys::tools::Bench;

#[tokio::test]
async fn a_chain_that_was_applied_leaf_first_ends_verified_by_openssl() {
    let scene = Scene::new().await;
    let names = json!({
        "commonName": "orders.shop.svc", "dnsNames": ["orders.shop.svc", "*.orders"], "ipAddresses": ["10.0.0.1"],
        "keyUsage": ["digital_signature"], "extendedKeyUsage": ["server_auth"], "key": {"algorithm": "ecdsa-p256"},
    });
    scene.apply("leaf", certificate(with(names, "signedBy", json!({"name": "middle"})))).await;
    assert_eq!(
        scene.reason("leaf", "WaitingForSigner").await.message(),
        format!(
            "spec.certificate.signedBy: there is no certificate at {}: apply a Credential for it, or name another signer; it is \
             signed as soon as that one can",
            scene.path("middle")
        )
    );
    scene.no_secret("leaf").await;
    scene.apply("middle", certificate(with(ca("Middle"), "signedBy", json!({"path": scene.path("root")})))).await;
    assert!(scene.reason("middle", "WaitingForSigner").await.message().contains(&scene.path("root")));
    scene.apply("root", certificate(with(ca("Root"), "duration", json!("26280h")))).await;
    for name in ["root", "middle", "leaf"] {
        let object = scene.reason(name, "InSync").await;
        assert_eq!(object.version(), 1, "{name}");
        assert_eq!(scene.secret(name).await.type_.as_deref(), Some("kubernetes.io/tls"));
    }

    let (root, middle, leaf) = (scene.values("root").await, scene.values("middle").await, scene.values("leaf").await);
    assert_eq!(leaf.keys().collect::<Vec<_>>(), ["ca.crt", "tls.crt", "tls.key"]);
    let chain = pems(&leaf["tls.crt"]);
    assert_eq!((chain.len(), chain[1].trim()), (2, pems(&middle["tls.crt"])[0].trim()), "the leaf, then who signed it");
    assert_eq!((root["ca.crt"].trim(), leaf["ca.crt"].trim()), (root["tls.crt"].trim(), root["tls.crt"].trim()));
    verify(&leaf["ca.crt"], &leaf["tls.crt"], "orders.shop.svc");

    let object = scene.reason("leaf", "InSync").await;
    let said = object.status.as_ref().unwrap().certificate.clone().unwrap();
    assert_eq!((said.signed_by, said.signer_version), (Some(scene.path("middle")), Some(1)));
    assert_eq!((said.is_ca, said.phase), (Some(false), None));
    let bench = Bench::new();
    bench.write("tls.crt", &leaf["tls.crt"]);
    let dates = bench.openssl(&["x509", "-in", "tls.crt", "-noout", "-serial", "-enddate", "-dateopt", "iso_8601"]);
    let (serial, until) = (said.serial.unwrap().to_uppercase(), said.not_after.unwrap());
    assert!(dates.contains(serial.trim_start_matches("00")), "{serial}: {dates}");
    assert!(dates.contains(&until.replace('T', " ")), "{until}: {dates}");
    let root = scene.reason("root", "InSync").await.status.unwrap().certificate.unwrap();
    assert_eq!(
        (root.signed_by, root.is_ca, root.phase.as_deref()),
        (Some(scene.path("root")), Some(true), Some("Stable"))
    );

    let wide = scene.kubectl(&["get", "cred", "leaf", "--output=wide"], "").await.unwrap();
    let row: Vec<_> = wide.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(row.contains(&until.as_str()) && row.last() == Some(&scene.path("middle").as_str()), "{wide}");

    // The same bytes come back, and the API has them too.
    scene.delete("leaf").await;
    scene.no_secret("leaf").await;
    let again = certificate(json!({"commonName": "orders.shop.svc", "signedBy": {"name": "middle"}}));
    scene.apply("leaf", with(again, "rotation", json!({"onParametersChange": "Keep"}))).await;
    scene.reason("leaf", "InSync").await;
    assert!(scene.values("leaf").await == leaf);
    let answered = scene.caller().await.value(&scene.path("leaf")).await;
    assert!(answered["private_key"] == leaf["tls.key"].as_str() && chain[0].trim() == text(&answered["certificate"]));
}

#[tokio::test]
async fn a_leaf_is_cut_to_the_end_of_its_authority_and_says_so() {
    let scene = Scene::new().await;
    scene.apply("ca", certificate(with(ca("CA"), "duration", json!("48h")))).await;
    scene.apply("leaf", certificate(leaf("leaf", "ca"))).await;
    let object = scene.reason("leaf", "InSync").await;
    let until = |object: &Credential| object.status.as_ref().unwrap().certificate.as_ref().unwrap().not_after.clone();
    let of_ca = scene.reason("ca", "InSync").await;
    assert_eq!(until(&object), until(&of_ca));
    let said = object.condition("Generated").message;
    assert!(said.starts_with("valid for 4") && said.ends_with(&format!("its signer {}", scene.path("ca"))), "{said}");

    // Another wish for the time makes no version, and nobody claims that a signer was in the way.
    scene.apply("short", certificate(with(leaf("short", "ca"), "duration", json!("2h")))).await;
    scene.reason("short", "InSync").await;
    scene.apply("short", certificate(with(leaf("short", "ca"), "duration", json!("20h")))).await;
    let object = scene.reason("short", "InSync").await;
    assert_eq!((object.version(), object.condition("Generated").message.as_str()), (1, ""));
}

#[tokio::test]
async fn a_circle_of_signers_is_named_by_all_of_it_and_ends_with_an_edit() {
    let scene = Scene::new().await;
    let signed = |name: &str, by: &str| certificate(with(ca(name), "signedBy", json!({"name": by})));
    scene.apply("a", signed("a", "b")).await;
    scene.reason("a", "WaitingForSigner").await;
    scene.apply("c", signed("c", "a")).await;
    scene.reason("c", "WaitingForSigner").await;
    scene.apply("b", signed("b", "c")).await;
    for (name, way) in [("a", ["a", "b", "c", "a"]), ("b", ["b", "c", "a", "b"]), ("c", ["c", "a", "b", "c"])] {
        let object = scene.reason(name, "InvalidSpec").await;
        let way = way.map(|name| scene.path(name)).join(" is signed by ");
        let message = format!(
            "spec.certificate.signedBy goes in a circle, {way}: none of them can be made before another; let one of them sign \
             itself"
        );
        assert_eq!((object.message(), object.has("Stalled")), (message, true));
        scene.no_secret(name).await;
    }
    scene.apply("c", certificate(ca("c"))).await;
    for name in ["a", "b", "c"] {
        scene.reason(name, "InSync").await;
    }
    // A circle that closes around what is there already changes nothing of it.
    let before = scene.values("a").await;
    scene.apply("c", signed("c", "a")).await;
    for name in ["a", "b", "c"] {
        let message = scene.reason(name, "InvalidSpec").await.message();
        assert!(message.ends_with("(still serving version 1)"), "{message}");
    }
    scene.apply("c", certificate(ca("c"))).await;
    for name in ["a", "b", "c"] {
        assert_eq!(scene.reason(name, "InSync").await.version(), 1);
    }
    assert!(scene.values("a").await == before);
}

#[tokio::test]
async fn who_cannot_sign_is_named_with_what_to_do() {
    let scene = Scene::new().await;
    scene
        .apply(
            "plain",
            certificate(json!({"commonName": "plain", "selfSign": true, "key": {"algorithm": "ecdsa-p256"}})),
        )
        .await;
    scene.apply("word", json!({"type": "password"})).await;
    let bench = Bench::new();
    foreign_ca(&bench, "/CN=Keyless");
    scene.source("keyless-source", json!({"c": bench.read("ca.crt")})).await;
    let from = json!({"fromSecret": {"name": "keyless-source", "keys": {"certificate": "c"}}});
    scene.apply("keyless", certificate(from)).await;
    for name in ["plain", "word", "keyless"] {
        scene.apply(&format!("by-{name}"), certificate(leaf(name, name))).await;
    }
    let path = |name: &str| scene.path(name);
    let table = [
        ("by-plain", format!("the certificate {} is no CA: name a CA, or set isCA there", path("plain"))),
        (
            "by-word",
            format!("there is no certificate at {}: apply a Credential for it, or name another signer", path("word")),
        ),
        (
            "by-keyless",
            format!("the CA {} has no private key here, so it cannot sign: set it with its key", path("keyless")),
        ),
    ];
    for (name, why) in table {
        let message = format!("spec.certificate.signedBy: {why}; it is signed as soon as that one can");
        let told = |object: &Credential| object.message() == message;
        let object = scene.status(name, &message, told).await;
        assert_eq!(object.condition("Ready").reason, "WaitingForSigner");
        scene.no_secret(name).await;
    }
    // The Secret of type tls needs a key, and there is none to be had.
    let object = scene.status("keyless", "no key", |object| object.condition("Ready").status == "False").await;
    assert_eq!(object.condition("Ready").reason, "InvalidSpec", "{}", object.message());
    assert!(object.message().contains("tls.key"), "{}", object.message());

    scene.apply("away", certificate(with(leaf("x", ""), "signedBy", json!({"path": "/billing/ca"})))).await;
    let object = scene.reason("away", "PolicyDenied").await;
    assert!(object.message().starts_with("spec.certificate.signedBy /billing/ca lies outside"), "{}", object.message());

    // What mends it is seen without being asked for: an edit makes an authority of one, and a key comes for another.
    scene.apply("plain", certificate(ca("plain"))).await;
    scene.reason("by-plain", "InSync").await;
    let edit = json!({"stringData": {"k": bench.read("ca.key")}});
    let edit = kube::api::Patch::Merge(edit);
    scene.api::<Secret>().patch("keyless-source", &kube::api::PatchParams::default(), &edit).await.unwrap();
    let keys = json!({"certificate": "c", "private_key": "k"});
    scene.apply("keyless", certificate(json!({"fromSecret": {"name": "keyless-source", "keys": keys}}))).await;
    scene.reason("keyless", "InSync").await;
    scene.reason("by-keyless", "InSync").await;
}

#[tokio::test]
async fn an_authority_of_somebody_else_signs_and_its_bytes_are_kept() {
    let scene = Scene::new().await;
    let bench = Bench::new();
    foreign_ca(&bench, "/DC=com/DC=example/O=Shop/OU=One/OU=Two/CN=Foreign");
    scene.source("source", json!({"c": bench.read("ca.crt"), "k": bench.read("ca.key")})).await;
    let keys = json!({"certificate": "c", "private_key": "k"});
    scene.apply("ca", certificate(json!({"fromSecret": {"name": "source", "keys": keys}}))).await;
    let object = scene.reason("ca", "InSync").await;
    assert_eq!(object.condition("Generated").reason, "Imported");
    let values = scene.values("ca").await;
    assert!(values["tls.crt"].trim() == bench.read("ca.crt").trim() && values["tls.key"] == bench.read("ca.key"));

    scene.apply("leaf", certificate(with(leaf("svc", "ca"), "dnsNames", json!(["svc.example"])))).await;
    scene.reason("leaf", "InSync").await;
    let values = scene.values("leaf").await;
    assert_eq!(values["ca.crt"].trim(), bench.read("ca.crt").trim());
    verify(&values["ca.crt"], &values["tls.crt"], "svc.example");
}

/// A CA made by openssl: `ca.crt` and `ca.key`.
pub fn foreign_ca(bench: &Bench, subject: &str) {
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key"];
    let shape = ["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-days", "365", "-out", "ca.crt"];
    bench.openssl(&[&["req", "-x509", "-subj", subject][..], &new_key, &shape].concat());
}

/// openssl accepts it for a TLS server of that name.
pub fn verify(ca: &str, chain: &str, host: &str) {
    let bench = Bench::new();
    bench.write("ca.crt", ca);
    bench.write("tls.crt", chain);
    let verify = ["verify", "-no-CApath", "-purpose", "sslserver", "-verify_hostname", host];
    let says = bench.openssl(&[&verify[..], &["-CAfile", "ca.crt", "-untrusted", "tls.crt", "tls.crt"]].concat());
    assert_eq!(says.trim(), "tls.crt: OK");
}

/// A spec.
pub fn certificate(block: Value) -> Value {
    json!({"type": "certificate", "certificate": block})
}

/// The block of an authority on a curve.
pub fn ca(name: &str) -> Value {
    json!({"commonName": name, "isCA": true, "keyUsage": ["key_cert_sign", "crl_sign"], "key": {"algorithm": "ecdsa-p384"}})
}

/// The block of what another one signs.
pub fn leaf(name: &str, signer: &str) -> Value {
    json!({"commonName": name, "signedBy": {"name": signer}, "key": {"algorithm": "ecdsa-p256"}})
}

pub fn with(mut block: Value, field: &str, value: Value) -> Value {
    block[field] = value;
    block
}

/// The certificates of a text.
pub fn pems(text: &str) -> Vec<&str> {
    text.split_inclusive("-----END CERTIFICATE-----").filter(|pem| pem.contains("BEGIN")).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default().trim()
}
