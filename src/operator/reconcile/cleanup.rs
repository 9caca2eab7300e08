//! An object goes: with `deletionPolicy: Delete` its credential goes along, otherwise nothing happens in the store.

use std::sync::Arc;

use credsmith_core::{
    domain::ObjectUid,
    hub::{self, Caller},
};
use jiff::SignedDuration;
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
    set_finalizers(object, &of_others(object), context).await?;
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
    set_finalizers(object, &finalizers, context).await?;
    Ok(true)
}

/// The finalizers that are not ours.
fn of_others(object: &Credential) -> Vec<String> {
    object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect()
}

async fn set_finalizers(object: &Arc<Credential>, finalizers: &[String], context: &Arc<Context>) -> Result<(), Error> {
    let api: Api<Credential> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    // The resource version makes it a condition: a finalizer that somebody else added meanwhile is not lost.
    let patch = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
    let result = api.patch_metadata(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        // Somebody was faster, and the watch brings their change. Where it is one that wakes nobody, such as a status of
        // our own, the next try has it.
        Err(kube::Error::Api(status)) if status.code == 409 => Err(Error::Race),
        Err(error) => Err(error.into()),
    }
}

fn is_overdue(object: &Credential, now: jiff::Timestamp) -> bool {
    let since = object.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    since.is_some_and(|since| now.duration_since(since) > DEADLINE)
}

/// Only where the store must be told.
const FINALIZER: &str = "credsmith.dev/store";
const DEADLINE: SignedDuration = SignedDuration::from_mins(10);
