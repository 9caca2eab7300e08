//! An object goes: with `deletionPolicy: Delete` its credential goes along, otherwise nothing happens in the store.

use std::sync::Arc;

use credsmith_core::{
    domain::{CredentialName, ObjectUid},
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
        spec::StorePolicy,
    },
    index::Key,
    pace::Pace,
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
    let key = Key::new(&object.name_any()).within(&namespace);
    // Whoever changed their mind while it waited for what it signed, gets what they ask for.
    let goes_along = object.spec.deletion_policy == Some(StorePolicy::Delete);
    if let Some(path) = path_of(object).filter(|_| goes_along) {
        let leaves = match context.hub.leaves(&caller, &path, MOST_NAMED + 1).await {
            // A path outside the namespace was never had.
            Err(hub::Error::NotFound | hub::Error::Denied) => Vec::new(),
            Err(_) if is_overdue(object, now) => Vec::new(),
            leaves => leaves?,
        };
        if !leaves.is_empty() && !is_going(&namespace, context).await? {
            context.held.insert(key);
            return Ok(has_dependents(&path, &leaves));
        }
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
    if is_going(&namespace, context).await? {
        return Ok(Outcome::silent());
    }
    for event in std::mem::take(&mut outcome.events) {
        let reference = kube::Resource::object_ref(object.as_ref(), &());
        let _ = context.events.publish(&event, &reference, now).await; // the object is gone either way
    }
    Ok(outcome)
}

/// Whether the namespace is going: it takes along what is in it, dependents or not.
async fn is_going(namespace: &str, context: &Context) -> Result<bool, Error> {
    Ok(context.namespaces.get(&context.client, namespace).await?.is_none_or(|seen| seen.terminating))
}

/// An authority does not go while what it signed is in use.
fn has_dependents(path: &CredentialName, leaves: &[CredentialName]) -> Outcome {
    let named: Vec<_> = leaves.iter().take(MOST_NAMED as usize).map(ToString::to_string).collect();
    let more = if leaves.len() > named.len() { " and others" } else { "" };
    let message = format!(
        "{path} signed {}{more}, which are in use: delete them first (over the API, where no object has them or theirs retains \
         them), let another credential sign them, or set spec.deletionPolicy to Retain",
        named.join(", ")
    );
    Outcome::waiting("HasDependents", message).later(Pace::Failure)
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
/// Names in a message.
const MOST_NAMED: u32 = 10;
const DEADLINE: SignedDuration = SignedDuration::from_mins(10);
