//! The keys and certificates of a walk: kinds that are made in no time.

use serde_json::{Value, json};

/// What the manifest of an object says. `leaf` is signed by `authority`, which a step may have deleted.
pub fn spec(object: &str) -> Value {
    match object {
        "authority" => certificate(json!({"selfSign": true, "isCA": true, "keyUsage": ["key_cert_sign", "crl_sign"]})),
        "leaf" => certificate(json!({"signedBy": {"name": "authority"}, "dnsNames": ["walk.example"]})),
        "curve" => certificate(json!({"selfSign": true, "extendedKeyUsage": ["server_auth"]})),
        "shell" => json!({"type": "ssh", "ssh": {"algorithm": "ed25519", "comment": "walk"}}),
        other => panic!("nothing is known of {other}"),
    }
}

fn certificate(mut block: Value) -> Value {
    block["commonName"] = json!("walk");
    block["key"] = json!({"algorithm": "ecdsa-p256"});
    json!({"type": "certificate", "certificate": block})
}
