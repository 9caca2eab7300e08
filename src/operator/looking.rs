//! One look, whatever happens in it: a panic costs the object that it happened with a wait, and nobody else anything.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use kube_runtime::{controller::Action, reflector::Lookup};
use prometheus::IntCounter;

use crate::{
    context::Context,
    index::{Guarded, Key},
    pace::Pace,
    reconcile, unreadable,
};

/// Why a look broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Reconcile(#[from] reconcile::Error),
    #[error("the API server: {0}")]
    Unreadable(#[from] kube::Error),
    #[error("it panicked")]
    Panicked,
}

/// Looks at an object.
pub async fn look(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let key = object.to_object_ref(());
    context.sources.look_begins(&key);
    let panics = context.hub.metrics.panics.with_label_values(&[LOOK]);
    let looked = caught(&key, &panics, async {
        match &object.0 {
            Ok(_) => Ok(reconcile::reconcile(object.clone(), context.clone()).await?),
            Err(invalid) => Ok(unreadable::tell(invalid, &context).await?),
        }
    });
    let looked = looked.await;
    if context.index.has(&key) {
        context.sources.look_ends(&key, looked.is_ok());
    } else {
        // It went while it was looked at, perhaps after the watch had told so.
        context.sources.look_ends(&key, true);
        context.sources.forget(&key);
    }
    looked
}

/// Waits longer each time.
pub fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    use kube::Resource;
    let again = || context.backoffs.failed(object.meta().uid.as_deref().unwrap_or_default(), Pace::Failure);
    match error {
        Error::Reconcile(error) => reconcile::error_policy(object, error, context),
        Error::Unreadable(_) | Error::Panicked => Action::requeue(again()),
    }
}

/// What a panic says is left out, it may hold a value; where it was stands in the line that the process logs of it.
async fn caught<T>(key: &Key, panics: &IntCounter, look: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let looked = AssertUnwindSafe(look).catch_unwind().await;
    looked.unwrap_or_else(|_| {
        panics.inc();
        let namespace = key.namespace.as_deref().unwrap_or_default();
        tracing::error!(
            object = %format!("{namespace}/{}", key.name),
            "the look at this Credential panicked, the line before says where; it is tried again: report it"
        );
        Err(Error::Panicked)
    })
}

/// Label of the metric.
pub const LOOK: &str = "look";

#[cfg(test)]
mod tests {
    use credsmith_core::metrics::Metrics;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_look_is_counted_and_is_an_error_like_another() {
        let (key, metrics) = (Key::new("db").within("shop"), Metrics::new());
        let panics = metrics.panics.with_label_values(&[LOOK]);
        let ended = caught(&key, &panics, async { panic!("as it was meant") }).await;
        assert!(matches!(ended, Err::<(), _>(Error::Panicked)));
        assert_eq!(panics.get(), 1);
        assert!(caught(&key, &panics, async { Ok(()) }).await.is_ok());
        assert_eq!(panics.get(), 1);
    }
}
