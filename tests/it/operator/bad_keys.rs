//! Parameters and given pairs that cannot be: who refuses each, with which words, and that nothing of it is stored.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{
    certificates::{certificate, foreign_ca, leaf, with},
    scene::{Says, Scene},
    table::dry_run,
};
use crate::keys::tools::Bench;

#[tokio::test]
async fn the_api_server_refuses_what_the_schema_can_say() {
    let scene = Scene::new().await;
    let answers = join_all(schema().into_iter().map(async |(spec, words)| match dry_run(&scene, &spec).await {
        Err(said) if said.contains(words) && !words.is_empty() => None,
        Ok(()) if words.is_empty() => None,
        answer => Some(format!("{}: {answer:?} instead of {words:?}", cut(&spec))),
    }));
    let wrong: Vec<_> = answers.await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn ready_names_the_field_that_no_schema_can_refuse_and_nothing_is_stored() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let table = refused();
    let name = |nth: usize| format!("bad-{nth}");
    for (nth, (spec, _)) in table.iter().enumerate() {
        scene.apply(&name(nth), spec.clone()).await;
    }
    for (nth, (spec, message)) in table.iter().enumerate() {
        let object = scene.reason(&name(nth), "InvalidSpec").await;
        assert_eq!((object.message().as_str(), object.has("Stalled")), (*message, true), "{spec}");
        assert!(object.status.unwrap().current_version.is_none());
        scene.no_secret(&name(nth)).await;
        assert_eq!(app.get(&format!("/api/v1/data?name={}", scene.path(&name(nth)))).await.status, 404);
    }
}

#[tokio::test]
async fn ready_says_what_is_wrong_with_a_certificate_that_is_given_and_nothing_is_stored() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let bench = Bench::new();
    foreign_ca(&bench, "/CN=One");
    let (one, key) = (bench.read("ca.crt"), bench.read("ca.key"));
    foreign_ca(&bench, "/CN=Two");
    let (two, other_key) = (bench.read("ca.crt"), bench.read("ca.key"));
    bench.write("plain.key", &other_key);
    bench.openssl(&["pkcs8", "-topk8", "-in", "plain.key", "-passout", "pass:x", "-out", "sealed.key"]);
    bench.openssl(&["ec", "-in", "plain.key", "-aes256", "-passout", "pass:x", "-out", "old.key"]);
    let self_made = ["req", "-x509", "-subj", "/CN=Leaf", "-key", "plain.key", "-addext", "basicConstraints=CA:FALSE"];
    bench.openssl(&[&self_made[..], &["-days", "30", "-out", "leaf.crt"]].concat());
    bench.write("one.crt", &one);
    bench.write("one.key", &key);
    let request = ["req", "-new", "-subj", "/CN=Below", "-key", "plain.key", "-out", "below.csr"];
    bench.openssl(&request);
    bench.openssl(&["x509", "-req", "-in", "below.csr", "-CA", "leaf.crt", "-CAkey", "plain.key", "-out", "below.crt"]);
    let damaged = two.replacen("MII", "!!!", 1);
    let broken = "Private key is malformed. Its PEM is broken: give it whole, from its BEGIN line to its END line.";
    let sealed = "Private key is malformed. Key file is not in PKCS#1 or unencrypted PKCS#8 format";
    let table = [
        (json!({"c": two, "k": key}), "private_key does not belong to the certificate: give the key it was made for"),
        (json!({"c": damaged, "k": other_key}), "certificate is no X.509 certificate in PEM"),
        (json!({"c": "", "k": other_key}), "the certificate is missing: give it beside what belongs to it"),
        (json!({"c": two, "k": other_key.replace("-----END", "-----EN")}), broken),
        (json!({"c": two, "k": bench.read("sealed.key")}), sealed),
        (json!({"c": two, "k": bench.read("old.key")}), sealed),
        (
            json!({"c": two, "k": other_key, "a": one}),
            "ca did not sign the certificate: give the certificate of the CA that did",
        ),
        (
            json!({"c": bench.read("below.crt"), "k": other_key, "a": bench.read("leaf.crt")}),
            "ca is no certificate of a CA: its basic constraints must say so",
        ),
        (
            json!({"c": format!("{two}{}", "x".repeat(7000)), "k": other_key}),
            "certificate is longer than 7000 bytes: give one certificate without text around it",
        ),
    ];
    for (nth, (data, why)) in table.into_iter().enumerate() {
        let (source, name) = (format!("source-{nth}"), format!("given-{nth}"));
        let mut keys = json!({"certificate": "c", "private_key": "k"});
        let mut named = "c and k";
        if data.get("a").is_some() {
            keys["ca"] = json!("a");
            named = "a and c and k";
        }
        scene.source(&source, data).await;
        scene.apply(&name, certificate(json!({"fromSecret": {"name": source, "keys": keys}}))).await;
        let message = format!("spec.certificate.fromSecret: key {named} of Secret {source} cannot be used: {why}");
        let object = scene.reason(&name, "WaitingForInput").await;
        assert_eq!(object.message(), message);
        assert!(object.status.unwrap().current_version.is_none());
        scene.no_secret(&name).await;
        assert_eq!(app.get(&format!("/api/v1/data?name={}", scene.path(&name))).await.status, 404);
    }
}

/// What the API server says to a spec; nothing where it takes it.
fn schema() -> Vec<(Value, &'static str)> {
    let of = |block: Value| certificate(with(block, "commonName", json!("x")));
    let own = |field: &str, value: Value| of(with(json!({"selfSign": true}), field, value));
    let rsa = |bits: i64| json!({"type": "rsa", "rsa": {"keyLength": bits}});
    let ssh = |block: Value| json!({"type": "ssh", "ssh": block});
    let rotation = |block: Value| json!({"type": "password", "rotation": block});
    let names = |count: usize| json!((0..count).map(|nth| format!("n{nth}.example")).collect::<Vec<_>>());
    let text = |length: usize| json!("x".repeat(length));
    let mut table = vec![
        (rsa(4096), ""),
        (rsa(1024), "Unsupported value"),
        (rsa(2047), "Unsupported value"),
        (rsa(8192), "Unsupported value"),
        (ssh(json!({"algorithm": "dsa"})), "Unsupported value"),
        (ssh(json!({"keyLength": 1024})), "Unsupported value"),
        (ssh(json!({"algorithm": "ed25519", "keyLength": 2048})), "keyLength may only stand with algorithm rsa"),
        (ssh(json!({"comment": text(255)})), ""),
        (ssh(json!({"comment": text(256)})), "Too long"),
        (ssh(json!({"comment": "a\nb"})), "spec.ssh.comment"),
        (own("organization", text(64)), ""),
        (own("organization", text(65)), "Too long"),
        (own("organizationUnit", text(65)), "Too long"),
        (own("locality", text(129)), "Too long"),
        (own("state", text(129)), "Too long"),
        (own("country", text(3)), "Too long"),
        (own("dnsNames", names(1000)), ""),
        (own("dnsNames", names(10_000)), "Too many"),
        (
            of(json!({"selfSign": true, "dnsNames": names(600), "ipAddresses": vec!["10.0.0.1"; 401]})),
            "at most 1000 entries",
        ),
        (own("keyUsage", json!(["sign_everything"])), "Unsupported value"),
        (own("extendedKeyUsage", json!(["time_travel"])), "Unsupported value"),
        (own("duration", json!("1h")), ""),
        (own("duration", json!("87600h")), ""),
        (own("duration", json!("59m")), "duration is 1h to 87600h"),
        (own("duration", json!("87601h")), "duration is 1h to 87600h"),
        (own("duration", json!("1d")), "spec.certificate.duration"),
        (own("pathLength", json!(0)), "pathLength may only stand with isCA"),
        (of(json!({"isCA": true, "pathLength": 8})), ""),
        (of(json!({"isCA": true, "pathLength": 9})), "less than or equal to 8"),
        (own("key", json!({"algorithm": "rsa-1024"})), "Unsupported value"),
        (of(json!({"selfSign": true, "signedBy": {"name": "ca"}})), "signedBy and selfSign contradict each other"),
        (of(json!({"signedBy": {"name": "ca", "path": "/shop/ca"}})), "give either name or path"),
        (
            of(json!({"fromSecret": {"name": "s", "keys": {"certificate": "c"}}})),
            "fromSecret stands alone in its block",
        ),
        (json!({"type": "rsa", "ssh": {}}), "ssh may only stand with type ssh"),
        (rotation(json!({"every": "1m"})), ""),
        (rotation(json!({"every": "59s"})), "spec.rotation.every"),
        (rotation(json!({"every": "1h", "schedule": "0 3 * * 6"})), "give one of every, schedule or renewBefore"),
        (rotation(json!({"renewBefore": "33%"})), "rotation.renewBefore may only stand with type certificate"),
        (rotation(json!({"mode": "Sometimes"})), "Unsupported value"),
    ];
    for (jitter, words) in [("0%", ""), ("50%", ""), ("51%", "spec.rotation.jitter"), ("5", "spec.rotation.jitter")] {
        table.push((rotation(json!({"jitter": jitter})), words));
    }
    for (before, words) in
        [("1%", ""), ("99%", ""), ("0%", "renewBefore"), ("100%", "renewBefore"), ("1d", "renewBefore")]
    {
        table.push((with(leaf_spec(), "rotation", json!({"renewBefore": before})), words));
    }
    table
}

/// What only the operator sees: a spec, and the message of `Ready`.
fn refused() -> Vec<(Value, &'static str)> {
    let own = |block: Value| certificate(with(block, "selfSign", json!(true)));
    let given = |kind: &str, keys: Value| json!({"type": kind, kind: {"fromSecret": {"name": "s", "keys": keys}}});
    vec![
        (
            own(json!({})),
            "spec.certificate: the certificate has no subject: give commonName, organization or another of its fields",
        ),
        (
            certificate(json!({"commonName": "x"})),
            "spec.certificate: nobody signs the certificate: give signedBy, selfSign or isCA",
        ),
        (
            own(json!({"commonName": "x", "dnsNames": ["a b"]})),
            "spec.certificate: dnsNames or ipAddresses holds \"a b\": give host names, of labels of letters, digits, - and _, \
             with at most one * as the first label, and IP addresses",
        ),
        (
            own(json!({"commonName": "x", "ipAddresses": ["300.0.0.1"]})),
            "spec.certificate: dnsNames or ipAddresses holds \"300.0.0.1\": give host names, of labels of letters, digits, - \
             and _, with at most one * as the first label, and IP addresses",
        ),
        (
            with(leaf_spec(), "rotation", json!({"renewBefore": "8760h"})),
            "spec.rotation.renewBefore 8760h is not shorter than spec.certificate.duration 8760h: the certificate would be due \
             from its first moment; give less",
        ),
        (
            with(given("ssh", json!({"private_key": "k"})), "rotation", json!({"every": "1h"})),
            "spec.rotation.every may only stand with a value that is generated: remove it; a given value changes with its \
             source or over the API",
        ),
        (
            given("certificate", json!({"certificate": "c", "key": "k"})),
            "spec.certificate.fromSecret.keys: key is no part of type certificate, use certificate, private_key, ca",
        ),
        (
            given("certificate", json!({"private_key": "k"})),
            "spec.certificate.fromSecret.keys: name the key that holds certificate",
        ),
        (
            given("rsa", json!({"pem": "k"})),
            "spec.rsa.fromSecret.keys: pem is no part of type rsa, use public_key, private_key",
        ),
        (
            with(json!({"type": "ssh"}), "adoption", json!({"fromSecret": {"name": "s", "key": "k"}})),
            "spec.adoption.fromSecret.key: a ssh has several parts, name them under spec.adoption.fromSecret.keys",
        ),
    ]
}

fn leaf_spec() -> Value {
    certificate(leaf("x", "ca"))
}

/// As much of a spec as fits into a line.
fn cut(spec: &Value) -> String {
    spec.to_string().chars().take(120).collect()
}
