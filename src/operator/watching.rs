//! The watches, and whom each of their events wakes.

use std::{sync::Arc, time::Duration};

use credsmith_core::hub::Caller;
use futures::StreamExt;
use k8s_openapi::{
    api::core::v1::{Namespace, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, core::PartialObjectMeta};
use kube_runtime::{
    WatchStreamExt,
    reflector::store::Writer,
    utils::{Backoff, ResetTimerBackoff},
    watcher,
};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    context::Context,
    credential::{
        Credential,
        target::{MANAGED, OWNER_UID},
    },
    index::Guarded,
};

/// Follows the objects; fills the store that reconciles read from.
pub async fn credentials(context: Arc<Context>, mut store: Writer<Guarded>) {
    let api: Api<Guarded> = Api::all(context.client.clone());
    let mut events = watcher(api, watcher::Config::default()).backoff(backoff()).boxed();
    let mut list = Vec::new();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => slim(event),
            Err(error) => {
                tracing::debug!(%error, "the watch of credentials is interrupted and goes on");
                continue;
            }
        };
        store.apply_watcher_event(&event);
        match event {
            watcher::Event::Init => list.clear(),
            watcher::Event::InitApply(object) => list.push(object),
            watcher::Event::InitDone => {
                let gone = context.index.replace(&std::mem::take(&mut list));
                for uid in gone {
                    context.release(uid);
                }
                context.listed.send_replace(true);
                for key in context.index.all() {
                    context.queue.wake(&key, "listed");
                }
            }
            watcher::Event::Apply(object) => {
                if context.index.tell(&object) {
                    context.queue.wake(&kube_runtime::reflector::Lookup::to_object_ref(&object, ()), "changed");
                }
            }
            watcher::Event::Delete(object) => {
                if let Some(uid) = context.index.forget(&object) {
                    context.release(uid);
                }
            }
        }
    }
}

/// Follows the metadata of our Secrets.
pub async fn secrets(context: Arc<Context>) {
    let api: Api<PartialObjectMeta<Secret>> = Api::all(context.client.clone());
    let config = watcher::Config::default().labels(&format!("{MANAGED}=true"));
    let mut events = watcher(api, config).backoff(backoff()).boxed();
    let mut list: Vec<PartialObjectMeta<Secret>> = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => list.clear(),
            Ok(watcher::Event::InitApply(secret)) => list.push(secret),
            Ok(watcher::Event::InitDone) => {
                context.secrets.replace(&std::mem::take(&mut list));
                // At the first list every object is looked at anyway. Later one may have lost its Secret, or the label
                // that says whose it is; a look at the others costs no request.
                if context.secrets_listed.send_replace(true) {
                    for key in context.index.all() {
                        context.queue.wake(&key, "secrets listed");
                    }
                }
            }
            Ok(watcher::Event::Apply(secret)) => {
                let before = context.secrets.known(&secret.metadata).and_then(|seen| seen.owner_uid);
                if context.secrets.tell(&secret.metadata) {
                    let now = owner_uid(&secret.metadata);
                    // Whoever takes off the label that says whose it is leaves nobody to wake but the one before.
                    for uid in now.iter().chain(before.iter().filter(|before| Some(*before) != now.as_ref())) {
                        wake(&context, uid);
                    }
                }
            }
            Ok(watcher::Event::Delete(secret)) => {
                if let Some(uid) = context.secrets.forget(&secret.metadata).and_then(|seen| seen.owner_uid) {
                    wake(&context, &uid);
                }
            }
            Err(error) => tracing::debug!(%error, "the watch of secrets is interrupted and goes on"),
        }
    }
}

/// Follows namespaces: who may inherit, who is going.
pub async fn namespaces(context: Arc<Context>) {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(context.client.clone());
    let mut events = watcher(api, watcher::Config::default()).backoff(backoff()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(namespace) | watcher::Event::InitApply(namespace)) => {
                if context.namespaces.tell(&namespace.metadata) {
                    for key in context.index.of_namespace(namespace.metadata.name.as_deref().unwrap_or_default()) {
                        context.queue.wake(&key, "namespace changed");
                    }
                }
            }
            Ok(watcher::Event::Delete(namespace)) => context.namespaces.forget(&namespace.metadata),
            Ok(watcher::Event::InitDone) => {
                context.namespaces_listed.send_replace(true);
            }
            Ok(watcher::Event::Init) => {}
            Err(error) => tracing::debug!(%error, "the watch of namespaces is interrupted and goes on"),
        }
    }
}

/// Follows the store: whatever is written over the API shows in its Secret at once.
pub async fn changes(context: Arc<Context>) {
    let mut changes = context.hub.store.changes();
    loop {
        match changes.recv().await {
            Ok(name) => {
                for key in context.index.by_path(&name) {
                    context.queue.wake(&key, "stored");
                }
            }
            // Too many at once to be told one by one: look at everything.
            Err(RecvError::Lagged(_)) => {
                for key in context.index.all() {
                    context.queue.wake(&key, "stored");
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Objects that were deleted while nobody watched still have their paths in the store.
pub async fn release_the_gone(context: Arc<Context>) {
    let mut listed = context.listed.subscribe();
    if listed.wait_for(|listed| *listed).await.is_err() {
        return;
    }
    let mut owned = context.hub.store.owned();
    while let Some(row) = owned.next().await {
        match row {
            Ok(row) => {
                if let Some(object) = row.owner.object
                    && !context.index.is_live(object.uid.as_str())
                {
                    context.release(object.uid);
                }
            }
            Err(error) => tracing::warn!(%error, "an owner cannot be read"),
        }
    }
}

impl Context {
    /// Forgets in the background that an object has a path, until the store has taken it.
    pub fn release(self: &Arc<Self>, uid: credsmith_core::domain::ObjectUid) {
        let context = self.clone();
        self.backoffs.forget(uid.as_str());
        self.reasons.forget(uid.as_str());
        self.told.forget(uid.as_str());
        tokio::spawn(async move {
            let mut waits = backoff();
            loop {
                let caller = Caller::operator("", context.epoch, context.hub.clock.now());
                match context.hub.release(&caller, &uid).await {
                    Ok(()) => return,
                    Err(credsmith_core::hub::Error::Fenced(_)) => return,
                    Err(error) => tracing::debug!(%error, object = %uid, "a path is not released yet"),
                }
                tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
            }
        });
    }
}

fn owner_uid(meta: &ObjectMeta) -> Option<String> {
    meta.labels.as_ref().and_then(|labels| labels.get(OWNER_UID)).cloned()
}

fn wake(context: &Context, uid: &str) {
    if let Some(key) = context.index.by_uid(uid) {
        context.queue.wake(&key, "secret changed");
    }
}

/// Managed fields are half of an object and nobody here reads them.
fn slim(event: watcher::Event<Guarded>) -> watcher::Event<Guarded> {
    let slim = |mut object: Guarded| {
        if let Ok(object) = &mut object.0 {
            drop_fields(object);
        }
        object
    };
    match event {
        watcher::Event::Apply(object) => watcher::Event::Apply(slim(object)),
        watcher::Event::InitApply(object) => watcher::Event::InitApply(slim(object)),
        other => other,
    }
}

fn drop_fields(object: &mut Credential) {
    object.metadata.managed_fields = None;
}

/// Waits between attempts: soon at first, never longer than a few seconds, so that everything goes on at once when the
/// API server is back. They grow until there was no error for a while, since a watch that fails at once begins well.
pub fn backoff() -> impl Backoff {
    ResetTimerBackoff::new(Waits { next: SHORTEST_WAIT }, CALM)
}

#[derive(Debug)]
struct Waits {
    next: Duration,
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST_WAIT);
        Some(wait)
    }
}

impl Backoff for Waits {
    fn reset(&mut self) {
        self.next = SHORTEST_WAIT;
    }
}

const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);
const CALM: Duration = Duration::from_secs(10);
