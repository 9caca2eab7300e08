//! One look at one object: observe → ensure → project → tell.

mod cleanup;
mod ensure;
mod outcome;
mod project;

use std::{sync::Arc, time::Duration};

use credsmith_core::{
    domain::ObjectUid,
    hub::{self, Caller},
};
use kube::ResourceExt;
use kube_runtime::controller::Action;

use crate::{
    context::Context,
    credential::{Credential, parse},
    index::Guarded,
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
    #[error(transparent)]
    Secret(#[from] crate::secret::write::Error),
    #[error("the API server did not answer in {} s", PATIENCE.as_secs())]
    Slow,
}

/// Looks at an object and brings everything to what it says.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let object = match &object.0 {
        Ok(object) => {
            let mut object = object.clone();
            context.told.complete(&mut object);
            Arc::new(object)
        }
        Err(invalid) => {
            // Only an object from before this schema gets here; it has no spec that could be met or blamed by field.
            tracing::warn!(object = invalid.metadata.name.as_deref(), error = %invalid.error, "an object cannot be read");
            return Ok(Action::await_change());
        }
    };
    let uid = object.uid().unwrap_or_default();
    let result = tokio::time::timeout(PATIENCE, look(&object, &context)).await.unwrap_or(Err(Error::Slow));
    let label = match &result {
        Ok(outcome) => outcome.reason,
        Err(_) => "Error",
    };
    context.hub.metrics.reconciles.with_label_values(&[label]).inc();
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            // The object says why before it is tried again; where even that fails, the next try tells.
            if let Some(outcome) = Outcome::of_error(&object, &error) {
                tell(&object, &context, outcome).await?;
            }
            return Err(error);
        }
    };
    let again = outcome.again;
    tell(&object, &context, outcome).await?;
    match again {
        Again::OnChange => {
            context.backoffs.forget(&uid);
            Ok(Action::await_change())
        }
        Again::Later => Ok(Action::requeue(context.backoffs.failed(&uid))),
    }
}

/// When to look again without being woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    OnChange,
    /// It depends on something that no watch shows.
    Later,
}

/// Waits longer each time. Losing a race is no failure: it is looked at again at once.
pub fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    use kube::Resource;
    let uid = object.meta().uid.clone().unwrap_or_default();
    let wait = match error {
        Error::Hub(hub::Error::Conflict) => Duration::from_millis(50),
        Error::Hub(hub::Error::Fenced(_)) => return Action::await_change(),
        error if is_away(error) => AWAY,
        _ => context.backoffs.failed(&uid),
    };
    tracing::debug!(object = ?object.meta().name, %error, ?wait, "will be tried again");
    Action::requeue(wait)
}

/// Whether nobody answered who could: that is not the object's fault, so it is no reason to wait longer each time.
fn is_away(error: &Error) -> bool {
    if matches!(error, Error::Slow) {
        return true;
    }
    let (Error::Kube(error) | Error::Secret(crate::secret::write::Error::Kube(error))) = error else { return false };
    match error {
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        kube::Error::Api(status) => matches!(status.code, 429 | 503 | 504),
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
    if let Some(refused) = context.refuse_our_own(&namespace, &plan) {
        return Ok(Outcome::refused(object, &refused));
    }
    let caller = Caller::operator(&namespace, context.epoch, context.hub.clock.now());
    let ensured = ensure::ensure(object, &plan, &ns, &caller, context).await?;
    if !context.index.is_live(&object.uid().unwrap_or_default()) {
        // Deleted while it was looked at: what was claimed for it just now is let go again.
        context.release(ObjectUid::new(object.uid().unwrap_or_default()));
        return Ok(Outcome::silent());
    }
    let outcome = project::project(object, &plan, ensured, context).await?;
    // After the main job, which it must not hold up.
    match context.authority.publish(&context.client, &namespace).await {
        Ok(()) => Ok(outcome),
        Err(error) => {
            tracing::warn!(%error, %namespace, "the front's certificate authority cannot be published; it is tried again");
            Ok(outcome.later())
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
    let now = context.hub.clock.now();
    let status = outcome.status(object, now);
    status::write(&context.client, &context.told, &context.hub.metrics, object, &status).await.or_else(gone)?;
    for event in outcome.events {
        let reference = kube::Resource::object_ref(object.as_ref(), &());
        if let Err(error) = context.recorder.publish(&event, &reference).await {
            tracing::debug!(%error, "an event is lost");
        }
    }
    Ok(())
}

/// An object that is gone needs no status, and one that was made again under its name gets its own.
fn gone(error: kube::Error) -> Result<bool, kube::Error> {
    match &error {
        kube::Error::Api(status) if status.code == 404 || status.code == 409 => Ok(false),
        _ => Err(error),
    }
}

fn is_paused(object: &Credential) -> bool {
    object.annotations().get(PAUSED).is_some_and(|value| value == "true")
}

/// How long one look may take: a request that hangs must not keep the others waiting for ever.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between tries while the API server is away.
const AWAY: Duration = Duration::from_secs(2);
/// Annotation: nothing is done until it is gone.
pub const PAUSED: &str = "credsmith.dev/paused";
/// Annotation: a new value, once for each text.
pub const ROTATE_AT: &str = "credsmith.dev/rotate-at";
/// Annotation: look again now.
pub const RECONCILE_AT: &str = "credsmith.dev/reconcile-at";
