//! One look at one object: observe → ensure → project → tell.

mod before;
pub mod cleanup;
mod ensure;
pub mod outcome;
mod project;
pub mod serving;
#[cfg(test)]
mod tests;
mod validity;
mod version;

use std::{sync::Arc, time::Duration};

use credsmith_core::{
    domain::{CredentialType, ObjectUid, Parameters},
    hub::{self, Caller},
};
use kube::ResourceExt;
use kube_runtime::controller::Action;

use crate::{
    context::Context,
    credential::{Credential, parse},
    index::{Guarded, Key},
    pace::Pace,
    secret::failure::is_of_ending_namespace,
    status,
};
use outcome::Outcome;

/// What goes wrong on the way and may go right the next time. What only an edit can mend is no error but an [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
    #[error(transparent)]
    Hub(#[from] hub::Error),
    #[error("somebody else was faster")]
    Race,
    #[error("the API server did not answer in {} s", PATIENCE.as_secs())]
    Slow,
}

/// Looks at an object and brings everything to what it says.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    // What cannot be read has no spec that could be met; somebody else tells of it.
    let Ok(object) = &object.0 else { return Ok(Action::await_change()) };
    let mut object = object.clone();
    context.told.complete(&mut object);
    let object = Arc::new(object);
    let result = tokio::time::timeout(PATIENCE, attempt(&object, &context)).await.unwrap_or(Err(Error::Slow));
    let label = result.as_ref().map_or("Error", |(reason, _)| reason);
    context.hub.metrics.reconciles.with_label_values(&[label]).inc();
    let key = Key::new(&object.name_any()).within(&object.namespace().unwrap_or_default());
    match &result {
        Err(Error::Hub(hub::Error::Unavailable(_))) => context.waiting_for_store.insert(key),
        Err(_) => {}
        Ok(_) => context.waiting_for_store.remove(&key),
    }
    let uid = object.uid().unwrap_or_default();
    Ok(match result?.1 {
        Again::OnChange => {
            context.backoffs.forget(&uid);
            Action::await_change()
        }
        Again::After(Pace::Safety) => {
            context.backoffs.forget(&uid);
            Action::requeue(Pace::Safety.wait(1, &uid))
        }
        Again::After(pace) => Action::requeue(context.backoffs.failed(&uid, pace)),
    })
}

/// Looks, and tells what was found: the reason of `Ready`, and when to look again.
async fn attempt(object: &Arc<Credential>, context: &Arc<Context>) -> Result<(&'static str, Again), Error> {
    match look(object, context).await {
        Ok(outcome) => {
            let found = (outcome.reason, outcome.again);
            tell(object, context, outcome).await?;
            Ok(found)
        }
        // A namespace that is going takes the object along: nothing is said, and nothing is tried again.
        Err(Error::Kube(error)) if is_of_ending_namespace(&error) => Ok(("Silent", Again::OnChange)),
        Err(error) => {
            // The object says why before it is tried again; where even that fails, the next try tells.
            if let Some(outcome) = Outcome::of_error(object, &error) {
                tell(object, context, outcome).await?;
            }
            Err(error)
        }
    }
}

/// When to look again without being woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    OnChange,
    After(Pace),
}

/// Waits longer each time.
pub fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    use kube::Resource;
    let uid = object.meta().uid.clone().unwrap_or_default();
    let pace = match error {
        Error::Hub(hub::Error::Fenced(_)) => return Action::await_change(),
        Error::Hub(hub::Error::Conflict | hub::Error::Busy(_)) | Error::Race => Pace::Race,
        Error::Hub(hub::Error::Unavailable(_)) => Pace::Store,
        error if is_away(error) => Pace::Away,
        _ => Pace::Failure,
    };
    let wait = context.backoffs.failed(&uid, pace);
    tracing::debug!(object = ?object.meta().name, %error, ?wait, "will be tried again");
    Action::requeue(wait)
}

/// Whether nobody answered who could.
fn is_away(error: &Error) -> bool {
    match error {
        Error::Slow | Error::Kube(kube::Error::HyperError(_) | kube::Error::Service(_)) => true,
        Error::Kube(kube::Error::Api(status)) => matches!(status.code, 429 | 503 | 504),
        _ => false,
    }
}

async fn look(object: &Arc<Credential>, context: &Arc<Context>) -> Result<Outcome, Error> {
    let namespace = object.namespace().unwrap_or_default();
    if object.metadata.deletion_timestamp.is_some() {
        return cleanup::cleanup(object, context).await;
    }
    for listed in [&context.secrets_listed, &context.namespaces_listed] {
        let _ = listed.subscribe().wait_for(|listed| *listed).await; // the sender is the context's
    }
    let Some(ns) = context.namespaces.get(&context.client, &namespace).await? else {
        return Ok(Outcome::silent());
    };
    if ns.terminating {
        return Ok(Outcome::silent());
    }
    if is_paused(object) {
        return Ok(Outcome::paused(object));
    }
    let plan = match parse::parse(object) {
        Ok(plan) => plan,
        Err(refusal) => return Ok(Outcome::refused(object, &refusal)),
    };
    if cleanup::finalizer_is_to_change(object, &plan, context).await? {
        // The change of the object wakes it again.
        return Ok(Outcome::silent());
    }
    if let Some(refused) = context.refuse_our_own(&namespace, &plan).or_else(|| context.refuse_circle(&plan)) {
        return Ok(Outcome::refused(object, &refused));
    }
    let caller = Caller::operator(&namespace, context.epoch, context.hub.clock.now());
    let ensured = ensure::ensure(object, &plan, &ns, &caller, context);
    let ensured = match plan.origin.parameters().map(Parameters::kind) {
        // A key may take longer than a look may, where many are made: the object says so and is looked at again.
        Some(CredentialType::Rsa | CredentialType::Ssh | CredentialType::Certificate) => {
            tokio::time::timeout(KEY_PATIENCE, ensured).await.unwrap_or_else(|_| Err(busy()))?
        }
        _ => ensured.await?,
    };
    if !context.index.is_live(&object.uid().unwrap_or_default()) {
        // Deleted while it was looked at: what was claimed for it just now is let go again.
        context.release(ObjectUid::new(object.uid().unwrap_or_default()));
        return Ok(Outcome::silent());
    }
    let outcome = project::project(object, &plan, ensured, context).await?;
    // After the main job, which it must not hold up.
    match context.authority.publish(&context.client, &namespace).await {
        Ok(()) => Ok(outcome),
        Err(error) if is_of_ending_namespace(&error) => Ok(Outcome::silent()),
        Err(error) => {
            tracing::warn!(%error, %namespace, "the front's certificate authority cannot be published; it is tried again");
            Ok(outcome.later(Pace::Failure))
        }
    }
}

async fn tell(object: &Arc<Credential>, context: &Arc<Context>, outcome: Outcome) -> Result<(), kube::Error> {
    if outcome.silent {
        return Ok(());
    }
    let uid = object.uid().unwrap_or_default();
    if context.index.is_live(&uid) {
        context.reasons.set(&uid, outcome.reason);
    }
    let outcome = match outcome.known_version(object).filter(|_| !outcome.is_ready()) {
        Some(known) => outcome.with_served_version(serving::version(&object.metadata, known, context).await),
        None => outcome,
    };
    let now = context.hub.clock.now();
    let status = outcome.status(object, now);
    for event in outcome.events {
        context.untold.add(&uid, event);
    }
    status::write(&context.client, &context.told, object, &status).await.or_else(gone)?;
    for event in context.untold.take(&uid) {
        let reference = kube::Resource::object_ref(object.as_ref(), &());
        match context.events.publish(&event, &reference, context.hub.clock.now()).await {
            Err(error) if is_of_ending_namespace(&error) => return Ok(()),
            Err(error) => tracing::debug!(%error, "an event is lost"),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// An object that is gone needs no status, and one that was made again under its name gets its own.
fn gone(error: kube::Error) -> Result<bool, kube::Error> {
    match &error {
        kube::Error::Api(status) if status.code == 404 || status.code == 409 => Ok(false),
        _ if is_of_ending_namespace(&error) => Ok(false),
        _ => Err(error),
    }
}

fn is_paused(object: &Credential) -> bool {
    object.annotations().get(PAUSED).is_some_and(|value| value == "true")
}

fn busy() -> Error {
    hub::Error::Busy("its key is being made, behind those of others".into()).into()
}

/// How long one look waits for a key.
const KEY_PATIENCE: Duration = Duration::from_secs(40);
/// How long one look may take, with what it tells: a request that hangs must not keep the others waiting for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// Annotation: nothing is done until it is gone.
pub const PAUSED: &str = "credsmith.dev/paused";
/// Annotation: a new value, once for each text.
pub const ROTATE_AT: &str = "credsmith.dev/rotate-at";
/// Annotation: look again now.
pub const RECONCILE_AT: &str = "credsmith.dev/reconcile-at";
