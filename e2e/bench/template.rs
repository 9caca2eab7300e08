//! What the floor sends: the very Secret and status that the operator wrote for one object, made out to others.
//!
//! So both sides send the same fields and the same bytes, whatever the operator learns to write.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::stage::Object;

/// What the operator wrote for one object.
#[derive(Debug)]
pub struct Template {
    of: Object,
    manager: String,
    secret: String,
    status: String,
}

/// The two requests for one object: paths with their queries, and bodies.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    pub create: (String, String),
    pub status: (String, String),
}

impl Template {
    /// From an object's Secret and status, as the API server shows them.
    pub fn of(object: Object, mut secret: Value, credential: &Value) -> Result<Self> {
        let manager = secret.pointer("/metadata/managedFields/0/manager").and_then(Value::as_str);
        let manager = manager.context("a Secret that somebody wrote")?.to_owned();
        let metadata = secret["metadata"].as_object_mut().context("an object with metadata")?;
        for theirs in ["managedFields", "resourceVersion", "uid", "creationTimestamp"] {
            metadata.remove(theirs);
        }
        let status = credential.get("status").context("an object with a status")?;
        // As the operator does: the UID makes sure that it is the same object.
        let status = json!({"metadata": {"uid": object.uid}, "status": status});
        Ok(Self { manager, secret: secret.to_string(), status: status.to_string(), of: object })
    }

    /// The same for another object.
    pub fn order(&self, object: &Object) -> Order {
        let Object { namespace, name, .. } = object;
        // A field manager holds the beginning of the UID.
        let manager = self.manager.replace(beginning(&self.of.uid), beginning(&object.uid));
        let create = format!("/api/v1/namespaces/{namespace}/secrets?fieldManager={manager}");
        let status = format!("/apis/credsmith.dev/v1alpha1/namespaces/{namespace}/credentials/{name}/status");
        Order {
            create: (create, self.made_out_to(object, &self.secret)),
            status: (status, self.made_out_to(object, &self.status)),
        }
    }

    /// The lengths of both bodies.
    pub fn sizes(&self) -> (usize, usize) {
        (self.secret.len(), self.status.len())
    }

    fn made_out_to(&self, object: &Object, text: &str) -> String {
        let text = text.replace(&self.of.uid, &object.uid);
        text.replace(&self.of.namespace, &object.namespace).replace(&self.of.name, &object.name)
    }
}

fn beginning(uid: &str) -> &str {
    uid.get(..8).unwrap_or(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(namespace: &str, name: &str, uid: &str) -> Object {
        Object { namespace: namespace.into(), name: name.into(), uid: uid.into() }
    }

    #[test]
    fn nothing_of_the_first_object_is_left() {
        let of = object("bench-sample", "the-sample", "11111111-aaaa");
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "the-sample",
                "namespace": "bench-sample",
                "uid": "of the Secret",
                "resourceVersion": "7",
                "creationTimestamp": "2026-01-16T14:40:00Z",
                "labels": {"credsmith.dev/owner-uid": "11111111-aaaa"},
                "annotations": {"credsmith.dev/credential": "/bench-sample/the-sample"},
                "ownerReferences": [{"name": "the-sample", "uid": "11111111-aaaa"}],
                "managedFields": [{"manager": "credsmith-11111111", "operation": "Update"}],
            },
        });
        let credential = json!({"status": {"path": "/bench-sample/the-sample"}});
        let template = Template::of(of, secret, &credential).expect("a template");
        let order = template.order(&object("shop", "db", "22222222-bbbb"));
        assert_eq!(order.create.0, "/api/v1/namespaces/shop/secrets?fieldManager=credsmith-22222222");
        assert_eq!(order.status.0, "/apis/credsmith.dev/v1alpha1/namespaces/shop/credentials/db/status");
        let secret: Value = serde_json::from_str(&order.create.1).expect("JSON");
        assert_eq!(
            secret["metadata"],
            json!({
                "name": "db",
                "namespace": "shop",
                "labels": {"credsmith.dev/owner-uid": "22222222-bbbb"},
                "annotations": {"credsmith.dev/credential": "/shop/db"},
                "ownerReferences": [{"name": "db", "uid": "22222222-bbbb"}],
            })
        );
        let status: Value = serde_json::from_str(&order.status.1).expect("JSON");
        assert_eq!(status, json!({"metadata": {"uid": "22222222-bbbb"}, "status": {"path": "/shop/db"}}));
    }
}
