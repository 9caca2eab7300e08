//! Keys and certificates of every origin, and refusals that carry them.

use credsmith_operator::Credential;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::operator::scene::{Caller, Says, Scene};

pub async fn run(scene: &Scene, app: &Caller) {
    let (ca, usage) = (true, ["key_cert_sign"]);
    let authority = json!({"selfSign": true, "isCA": ca, "keyUsage": usage, "commonName": "leaks", "key": curve()});
    scene.apply("keys-ca", json!({"type": "certificate", "certificate": authority})).await;
    join_all((0..OBJECTS).map(|nth| made(scene, nth))).await;
    join_all((0..SETS).map(|nth| over_the_api(scene, app, nth))).await;
    repaired(scene).await;
}

/// By the operator, and rotated.
async fn made(scene: &Scene, nth: usize) {
    let name = format!("key-{nth}");
    let leaf = || json!({"signedBy": {"name": "keys-ca"}, "commonName": "leaks", "key": curve()});
    let spec = match nth % 4 {
        0 => json!({"type": "rsa"}),
        1 => json!({"type": "ssh", "ssh": {"algorithm": "ed25519", "comment": scene.name()}}),
        2 => json!({"type": "certificate", "certificate": leaf()}),
        _ => json!({"type": "certificate", "certificate": {"selfSign": true, "commonName": "leaks"}}),
    };
    scene.apply(&name, spec).await;
    scene.reason(&name, "InSync").await;
    scene.annotate::<Credential>(&name, "credsmith.dev/rotate-at", json!("once")).await;
    scene.status(&name, "version 2", |object| object.version() == 2).await;
}

/// Generated, set as it was, and refused in several ways: each value is stored first, so that the scan knows it.
async fn over_the_api(scene: &Scene, app: &Caller, nth: usize) {
    let (made, given) = (scene.path(&format!("keys/{nth}")), scene.path(&format!("keys/{nth}-given")));
    let kind = ["rsa", "ssh", "certificate"][nth % 3];
    let parameters = if kind == "certificate" { json!({"common_name": "leaks", "self_sign": true}) } else { json!({}) };
    let answer = app.post(json!({"name": made, "type": kind, "parameters": parameters})).await;
    assert_eq!(answer.status, 200, "a {kind} was not made");
    let value = answer.json().unwrap()["value"].clone();
    let answer = app.put(json!({"name": given, "type": kind, "value": value})).await;
    assert_eq!(answer.status, 200, "a {kind} was refused");

    let key = value["private_key"].as_str().unwrap();
    let line = key.lines().nth(8).unwrap();
    let certificate = |certificate: Value, key: &str| json!({"certificate": certificate, "private_key": key});
    let bodies = [
        json!({"name": given, "type": kind, "value": key}),
        json!({"name": given, "type": "certificate", "value": certificate(json!(key), key)}),
        json!({"name": given, "type": "certificate", "value": certificate(value["certificate"].clone(), &key.replace(line, ""))}),
        json!({"name": given, "type": kind, "value": {"private_key": {"pem": key}}}),
        json!({"name": given, "type": kind, "parameters": {"key_length": key}}),
        json!({"name": given, "type": kind, "parameters": {"ca": key, "common_name": key, "alternative_names": [key]}}),
        json!({"name": given, "type": key}),
    ];
    for body in bodies {
        let body = body.to_string();
        for (method, body) in [("PUT", body.as_str()), ("POST", &body), ("PUT", &body[..body.len() - 2])] {
            let answer = app.send(method, "/api/v1/data", body).await;
            assert!(answer.status >= 400, "{method} of a bad body is answered with {}", answer.status);
        }
    }
}

/// A stranger overwrites the key of a certificate.
async fn repaired(scene: &Scene) {
    let values = scene.values("key-2").await;
    let edit = Patch::Merge(json!({"stringData": {"tls.key": values["tls.crt"]}}));
    scene.api::<Secret>().patch("key-2", &PatchParams::default(), &edit).await.unwrap();
    scene.shows("key-2", "tls.key", &values["tls.key"]).await;
}

fn curve() -> Value {
    json!({"algorithm": "ecdsa-p256"})
}

const OBJECTS: usize = 8;
const SETS: usize = 9;
