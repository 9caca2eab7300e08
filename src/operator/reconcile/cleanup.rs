//! An object goes: with `deletionPolicy: Delete` its credential goes along, otherwise nothing happens in the store.

use std::sync::Arc;

use credsmith_core::{
    domain::ObjectUid,
    hub::{self, Caller},
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use kube_runtime::events::EventType;
use serde_json::json;

use super::{
    Error,
    outcome::{Outcome, event},
};
use crate::{
    context::Context,
    credential::{
        Credential,
        parse::{Plan, path_of},
    },
};

/// Tombstones the credential, then lets the object go. Removal never waits longer than ten minutes for the store.
pub async fn cleanup(object: &Arc<Credential>, context: &Arc<Context>) -> Result<Outcome, Error> {
    if !object.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Outcome::silent());
    }
    let namespace = object.namespace().unwrap_or_default();
    let now = context.hub.clock.now();
    let caller = Caller::operator(&namespace, context.epoch, now);
    let uid = ObjectUid::new(object.uid().unwrap_or_default());
    let mut outcome = Outcome::silent();
    if let Some(path) = path_of(object) {
        match context.hub.delete_with_object(&caller, &path, &uid).await {
            // Nothing was ever stored there, or another object has the path.
            Ok(false) => {}
            Ok(true) => {
                let note = format!("{path} is deleted; its versions stay for the time of retention");
                outcome.events.push(event(EventType::Normal, "SoftDeleted", note));
            }
            // A path outside the namespace was never had.
            Err(hub::Error::NotFound | hub::Error::Denied) => {}
            Err(error) if is_overdue(object, now) => {
                tracing::warn!(%error, %path, "released without a tombstone: the store was away for ten minutes");
                let note = format!("{path} stays in the store: {error}; delete it over the API");
                outcome.events.push(event(EventType::Warning, "StoreUnavailable", note));
            }
            Err(error) => return Err(error.into()),
        }
    }
    changed(set_finalizers(&object.metadata, &of_others(object), context).await)?;
    let going = context.namespaces.get(&context.client, &namespace).await?.is_none_or(|seen| seen.terminating);
    if going {
        return Ok(Outcome::silent());
    }
    for event in std::mem::take(&mut outcome.events) {
        let reference = kube::Resource::object_ref(object.as_ref(), &());
        let _ = context.events.publish(&event, &reference, now).await; // the object is gone either way
    }
    Ok(outcome)
}

/// Adds or removes our finalizer, where the policy asks for it. Tells whether it did.
pub async fn finalizer_is_to_change(
    object: &Arc<Credential>,
    plan: &Plan,
    context: &Arc<Context>,
) -> Result<bool, Error> {
    let present = object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    if present == plan.delete_with_object {
        return Ok(false);
    }
    let mut finalizers = of_others(object);
    if plan.delete_with_object {
        finalizers.push(FINALIZER.to_owned());
    }
    changed(set_finalizers(&object.metadata, &finalizers, context).await)?;
    Ok(true)
}

/// The finalizers that are not ours.
fn of_others(object: &Credential) -> Vec<String> {
    object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect()
}

/// Sets the finalizers of an object, whether or not it can be read. One that is gone has none.
pub async fn set_finalizers(meta: &ObjectMeta, finalizers: &[String], context: &Context) -> Result<(), kube::Error> {
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let api: Api<Credential> = Api::namespaced(context.client.clone(), namespace);
    // The resource version makes it a condition: a finalizer that somebody else added meanwhile is not lost.
    let patch = json!({"metadata": {"resourceVersion": meta.resource_version, "finalizers": finalizers}});
    match api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

fn changed(result: Result<(), kube::Error>) -> Result<(), Error> {
    match result {
        // Somebody was faster, and the watch brings their change. Where it is one that wakes nobody, such as a status of
        // our own, the next try has it.
        Err(kube::Error::Api(status)) if status.code == 409 => Err(Error::Race),
        result => Ok(result?),
    }
}

fn is_overdue(object: &Credential, now: jiff::Timestamp) -> bool {
    let since = object.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    since.is_some_and(|since| now.duration_since(since) > DEADLINE)
}

/// Only where the store must be told.
pub const FINALIZER: &str = "credsmith.dev/store";
const DEADLINE: SignedDuration = SignedDuration::from_mins(10);
