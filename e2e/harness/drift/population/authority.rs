//! The authority that signs the certificates of a namespace.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{credentials, reason};
use crate::wait::wait_for_condition;

/// Makes one in each namespace, and waits for it: a certificate that has to wait for its signer costs a status more.
pub async fn make(client: &Client, namespaces: impl Iterator<Item = &str> + Clone) -> Result<()> {
    let object = DynamicObject::new(NAME, &credentials()).data(json!({"spec": spec()}));
    for namespace in namespaces.clone() {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &credentials());
        api.create(&PostParams::default(), &object).await.with_context(|| format!("an authority in {namespace}"))?;
    }
    for namespace in namespaces {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &credentials());
        let is_made = |object: Option<&DynamicObject>| object.is_some_and(|object| reason(object) == "StoredOnly");
        let what = format!("signs in {namespace}");
        wait_for_condition(&api, NAME, &what, Duration::from_secs(60), is_made).await?;
    }
    Ok(())
}

/// What a certificate says that it signs.
pub fn leaf() -> Value {
    json!({"type": "certificate", "certificate": {
        "signedBy": {"name": NAME}, "commonName": "drift", "dnsNames": ["drift.example"], "key": {"algorithm": "ecdsa-p256"},
    }})
}

fn spec() -> Value {
    json!({
        "type": "certificate",
        "certificate": {
            "selfSign": true, "isCA": true, "commonName": "drift", "keyUsage": ["key_cert_sign", "crl_sign"],
            "key": {"algorithm": "ecdsa-p256"},
        },
        "target": {"disabled": true}, // nobody mounts it, so it is none of those that are edited
    })
}

const NAME: &str = "authority";
