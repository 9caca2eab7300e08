//! Objects that this release cannot read: stored before the definition changed, or let in by one that was loosened. The
//! watch tells only their metadata, so what they say of themselves is asked for, once for each change.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Mutex, MutexGuard},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::{PartialObjectMeta, error_boundary::InvalidObject},
};
use kube_runtime::{controller::Action, events::EventType};
use serde_json::{Value, json};

use crate::{
    context::Context,
    credential::Credential,
    reconcile::{
        cleanup::{FINALIZER, set_finalizers},
        outcome::event,
        serving,
    },
};

/// What each of them was told for, by UID: its generation.
#[derive(Debug, Default)]
pub struct Unreadable(Mutex<HashMap<String, Option<i64>>>);

impl Unreadable {
    /// Forgets an object that is gone or can be read.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Option<i64>>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

/// Says in the object's status which field is wrong. An edit wakes it again.
pub async fn tell(invalid: &InvalidObject, context: &Context) -> Result<Action, kube::Error> {
    let meta = &invalid.metadata;
    if meta.deletion_timestamp.is_some() {
        return release(invalid, context).await;
    }
    let uid = meta.uid.clone().unwrap_or_default();
    if context.unreadable.lock().get(&uid) == Some(&meta.generation) {
        return Ok(Action::await_change());
    }
    let (namespace, name) = (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
    let api = api(&context.client, &namespace);
    // No right to `get` is needed for anything else.
    let found = api.list(&ListParams::default().fields(&format!("metadata.name={name}"))).await?.items.pop();
    let found = found.filter(|found| found.metadata.uid == meta.uid);
    let Some((object, why)) = found.and_then(|object| complaint(&object).map(|why| (object, why))) else {
        // It is gone, or was mended meanwhile: either wakes whoever has to know.
        return Ok(Action::await_change());
    };
    context.hub.metrics.reconciles.with_label_values(&[REASON]).inc();
    context.reasons.set(&uid, REASON);
    tracing::warn!(object = %format!("{namespace}/{name}"), "a Credential cannot be read: {why}");
    let before = object.data.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let known = |field: &str| object.data.pointer(&format!("/status/currentVersion/{field}"));
    let known = known("id").and_then(Value::as_str).zip(known("number").and_then(Value::as_i64));
    let serving = match known {
        Some((id, number)) => serving::version(&object.metadata, (id.to_owned(), number), context).await,
        None => None,
    };
    let generation = object.metadata.generation;
    let now = conditions(&before, &why, serving, generation, context.hub.clock.now());
    if now != before {
        let status = json!({"observedGeneration": generation, "conditions": now});
        // The UID keeps a late answer from an object of the same name that was made since.
        let patch = json!({"metadata": {"uid": uid}, "status": status});
        match api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(Action::await_change()),
            Err(error) => return Err(error),
        }
    }
    context.unreadable.lock().insert(uid, generation);
    Ok(Action::await_change())
}

/// Lets go of an object that is being deleted: nobody can read what is to become of its value, so that stays.
async fn release(invalid: &InvalidObject, context: &Context) -> Result<Action, kube::Error> {
    let meta = &invalid.metadata;
    let (others, ours): (Vec<_>, Vec<_>) = meta.finalizers.iter().flatten().cloned().partition(|one| one != FINALIZER);
    if ours.is_empty() {
        return Ok(Action::await_change());
    }
    set_finalizers(meta, &others, context).await?;
    let path = default_path(meta);
    tracing::warn!(%path, "a Credential that cannot be read is deleted; nothing is deleted from the store");
    let note = format!(
        "the object could not be read, so nothing is deleted from the store: delete {path}, or the path that it named, over \
         the API"
    );
    let about = PartialObjectMeta::<Credential> { types: None, metadata: meta.clone(), _phantom: PhantomData };
    let (event, reference) = (event(EventType::Warning, REASON, note), about.object_ref(&()));
    let _ = context.events.publish(&event, &reference, context.hub.clock.now()).await; // the object is gone either way
    Ok(Action::await_change())
}

/// The path of an object that says no other.
fn default_path(meta: &ObjectMeta) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("/{}/{}", part(&meta.namespace), part(&meta.name))
}

fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind())
}

fn kind() -> ApiResource {
    ApiResource::erase::<Credential>(&())
}

/// What the parser says, by field, and what to do. Its text is shortened to what it expects: the rest quotes the manifest.
/// `None` where the object can be read.
fn complaint(object: &DynamicObject) -> Option<String> {
    let text = serde_json::to_string(object).ok()?;
    let parsed: Result<Credential, _> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text));
    let error = parsed.err()?;
    let (field, said) = (error.path().to_string(), error.inner().to_string());
    // Behind the text the parser says where in our copy it stands, which nobody can look up.
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let what = match said.rsplit_once(", expected ") {
        Some((_, expected)) => format!("this release takes {expected} there"),
        None if said.starts_with("missing field") => said.to_owned(),
        None => "this release does not take what stands there".to_owned(),
    };
    Some(format!(
        "{field}: {what}: edit the object (kubectl edit), or see that the CRD credentials.credsmith.dev is the one of this release: kubectl \
         apply --server-side -f crds/"
    ))
}

/// The conditions as they are to be: what others than these three say stays.
fn conditions(
    before: &[Value],
    why: &str,
    serving: Option<i64>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Value> {
    let message = match serving {
        Some(version) => format!("{why} (still serving version {version})"),
        None => why.to_owned(),
    };
    let condition = |type_: &str, status: &str, reason: &str, message: &str| {
        let same = before.iter().find(|condition| condition["type"] == type_ && condition["status"] == status);
        let at = same.map(|condition| condition["lastTransitionTime"].clone()).filter(|at| !at.is_null());
        // To the second, as the API server keeps it.
        let at = at.unwrap_or_else(|| json!(Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()));
        json!({
            "type": type_, "status": status, "reason": reason, "message": message,
            "observedGeneration": generation, "lastTransitionTime": at,
        })
    };
    let ours = ["Ready", "Stalled", "Reconciling"];
    let mut all = vec![condition("Ready", "False", REASON, &message)];
    all.extend(before.iter().filter(|one| !ours.iter().any(|type_| one["type"] == *type_)).cloned());
    all.push(condition("Stalled", "True", "NeedsAttention", why));
    all
}

/// The reason of `Ready`.
const REASON: &str = "InvalidSpec";

#[cfg(test)]
mod tests {
    use super::*;

    fn said(spec: Value) -> Option<String> {
        let object = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": "db"}, "spec": spec,
        });
        complaint(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn the_field_that_cannot_be_read_is_named_and_its_text_is_not() {
        let table = [
            (
                json!({"type": "password", "password": {"length": "hunter2"}}),
                "spec.password.length: this release takes i32",
            ),
            (json!({"type": "hunter2"}), "spec.type: this release takes one of `password`"),
            (json!({"type": "user", "user": {"hashes": "hunter2"}}), "spec.user.hashes: this release takes a sequence"),
            (json!({}), "spec: missing field `type`"),
        ];
        for (spec, start) in table {
            let said = said(spec).unwrap();
            assert!(said.starts_with(start) && !said.contains("hunter2"), "{said}");
            assert!(said.contains("kubectl apply --server-side -f crds/") && !said.contains("column"), "{said}");
        }
        assert_eq!(said(json!({"type": "password"})), None);
    }

    #[test]
    fn other_conditions_stay_and_a_second_telling_changes_nothing() {
        let before = [
            json!({"type": "Ready", "status": "True", "reason": "InSync", "lastTransitionTime": "2026-01-01T00:00:00Z"}),
            json!({"type": "Generated", "status": "True", "reason": "Generated"}),
            json!({"type": "Reconciling", "status": "True", "reason": "Progressing"}),
        ];
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = conditions(&before, "spec.x: no", Some(3), Some(2), at("2026-01-02T00:00:00.5Z"));
        let types: Vec<_> = first.iter().map(|condition| condition["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["Ready", "Generated", "Stalled"]);
        assert_eq!(first[0]["message"], "spec.x: no (still serving version 3)");
        assert_eq!(first[0]["lastTransitionTime"], "2026-01-02T00:00:00Z");
        assert_eq!(conditions(&first, "spec.x: no", Some(3), Some(2), at("2026-01-03T00:00:00Z")), first);
    }
}
