//! The watches, and whom each of their events wakes.

use std::{sync::Arc, time::Duration};

use credsmith_core::{
    domain::{CredentialName, ObjectUid},
    hub::Caller,
    store::{self, Change, CredentialRow},
};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::{
    api::core::v1::{Namespace, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, core::PartialObjectMeta};
use kube_runtime::{
    WatchStreamExt,
    reflector::{Lookup, store::Writer},
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
    index::{Guarded, Key},
    trouble::{Trouble, Watched},
    waiting::Waiting,
};

/// Follows the objects; fills the store that reconciles read from.
pub async fn credentials(context: Arc<Context>, mut store: Writer<Guarded>) {
    let api: Api<Guarded> = Api::all(context.client.clone());
    let mut events = watcher(api, watcher::Config::default()).backoff(backoff()).boxed();
    let mut list = Vec::new();
    let mut trouble = context.trouble(Watched::Credentials);
    while let Some(event) = events.next().await {
        context.note(&mut trouble, Watched::Credentials, &event);
        let Ok(event) = event.map(slim) else { continue };
        store.apply_watcher_event(&event);
        match event {
            watcher::Event::Init => list.clear(),
            watcher::Event::InitApply(object) => list.push(object),
            watcher::Event::InitDone => {
                let gone = context.index.replace(&std::mem::take(&mut list));
                for (key, uid) in gone {
                    context.gone(&key, uid);
                }
                context.listed.send_replace(true);
                for key in context.index.all() {
                    context.queue.wake(&key, "listed");
                }
            }
            watcher::Event::Apply(object) => {
                let key = Lookup::to_object_ref(&object, ());
                let before = context.index.signer_of(&key);
                if context.index.tell(&object) {
                    context.queue.wake(&key, "changed");
                }
                if context.index.signer_of(&key) != before {
                    context.wake_below(&key);
                }
            }
            watcher::Event::Delete(object) => {
                let key = Lookup::to_object_ref(&object, ());
                if context.index.signer_of(&key).is_some() {
                    context.wake_below(&key);
                }
                if let Some(uid) = context.index.forget(&object) {
                    context.gone(&Lookup::to_object_ref(&object, ()), uid);
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
    let mut trouble = context.trouble(Watched::Secrets);
    while let Some(event) = events.next().await {
        context.note(&mut trouble, Watched::Secrets, &event);
        match event {
            // Told before the list is asked for.
            Ok(watcher::Event::Init) => {
                list.clear();
                context.secrets.list_begins();
            }
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
            Err(_) => {}
        }
    }
}

/// Follows namespaces: who may inherit, who is going.
pub async fn namespaces(context: Arc<Context>) {
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(context.client.clone());
    let mut events = watcher(api, watcher::Config::default()).backoff(backoff()).boxed();
    let mut trouble = context.trouble(Watched::Namespaces);
    while let Some(event) = events.next().await {
        context.note(&mut trouble, Watched::Namespaces, &event);
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
            Ok(watcher::Event::Init) | Err(_) => {}
        }
    }
}

/// Follows the store: whatever is written over the API shows in its Secret at once.
pub async fn changes(context: Arc<Context>) {
    let mut changes = context.hub.store.changes();
    loop {
        match changes.recv().await {
            Ok(Change { name, by }) => {
                // Whoever wrote its own version goes on with it.
                let goes_on = by.and_then(|uid| context.index.by_uid(uid.as_str()));
                for key in context.index.by_path(&name).into_iter().filter(|key| goes_on.as_ref() != Some(key)) {
                    context.queue.wake(&key, "stored");
                }
                for key in context.index.below(name.folded()) {
                    context.queue.wake(&key, "signer stored");
                }
                for key in context.held_by(&name) {
                    context.queue.wake(&key, "what it signed was stored");
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
    for uid in owners(|| context.hub.store.owned(), backoff()).await {
        if !context.index.is_live(uid.as_str()) {
            context.release(uid);
        }
    }
}

/// Ends the watches that were for a crowd, once it has passed.
pub async fn tidy(context: Arc<Context>) {
    context.taken.tidy(&context.sources, || context.hub.clock.now()).await;
}

/// Wakes the objects that wait for the store, as soon as it answers again. Asks it only while somebody waits.
pub async fn store_comes_back(context: Arc<Context>) {
    loop {
        tokio::time::sleep(STORE_IS_ASKED).await;
        for key in who_goes_on(&context.waiting_for_store, || context.hub.store.ping()).await {
            if let Some(uid) = context.index.uid_of(&key) {
                context.backoffs.forget(&uid);
            }
            context.queue.wake(&key, "store is back");
        }
    }
}

/// Those who waited, where the store answers.
async fn who_goes_on<F: Future<Output = Result<(), store::Error>>>(
    waiting: &Waiting,
    ping: impl Fn() -> F,
) -> Vec<Key> {
    if waiting.is_empty() || ping().await.is_err() {
        return Vec::new();
    }
    waiting.drain()
}

/// The objects that have a path in the store. Tried until it can be read to its end: half of it would leave paths to
/// objects that are gone until the next start.
async fn owners<'a>(
    owned: impl Fn() -> BoxStream<'a, Result<CredentialRow, store::Error>>,
    mut waits: impl Iterator<Item = Duration>,
) -> Vec<ObjectUid> {
    'again: loop {
        let (mut rows, mut found) = (owned(), Vec::new());
        while let Some(row) = rows.next().await {
            match row {
                Ok(row) => found.extend(row.owner.object.map(|object| object.uid)),
                // Another try would find it as damaged, and the others need not wait for it.
                Err(error @ store::Error::Corrupt { .. }) => tracing::warn!(%error, "an owner cannot be read"),
                Err(error) => {
                    tracing::warn!(%error, "paths of objects that are gone cannot be released yet; it is tried again");
                    tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
                    continue 'again;
                }
            }
        }
        return found;
    }
}

impl Context {
    /// What goes wrong with a watch.
    pub fn trouble(&self, what: Watched) -> Trouble {
        Trouble::new(what, self.hub.metrics.watch_failures.clone())
    }

    /// Takes what a watch gave: tells, counts, and remembers whether it ever showed everything.
    pub fn note<K>(&self, trouble: &mut Trouble, what: Watched, event: &watcher::Result<watcher::Event<K>>) {
        match (trouble.note(event), event) {
            (Some(why), _) => self.first_lists.failed(what, why),
            (None, Ok(watcher::Event::InitDone)) => self.first_lists.done(what),
            (None, _) => {}
        }
    }

    /// Wakes whoever hangs from an object whose signer is another now: a circle may have begun, or ended.
    fn wake_below(&self, key: &Key) {
        let path = self.index.path_of(key).unwrap_or_default();
        for key in self.index.below(&path) {
            self.queue.wake(&key, "signer changed");
        }
    }

    /// The authorities that wait for the end of what is at a path.
    fn held_by(&self, name: &CredentialName) -> Vec<Key> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let objects = self.index.by_path(name);
        if objects.is_empty() {
            // Made over the API: nobody here knows who signed it.
            return self.held.of_namespace(name.namespace());
        }
        let signers = objects.iter().filter_map(|key| self.index.signer_of(key));
        signers.flat_map(|signer| self.index.at(&signer)).filter(|key| self.held.has(key)).collect()
    }

    /// Forgets an object that is gone, and lets its path go.
    fn gone(self: &Arc<Self>, key: &Key, uid: ObjectUid) {
        // Another may have its name by now.
        if !self.index.has(key) {
            self.sources.forget(key);
        }
        self.waiting_for_store.remove(key);
        self.held.remove(key);
        self.release(uid);
    }

    /// Forgets in the background that an object has a path, until the store has taken it.
    pub fn release(self: &Arc<Self>, uid: ObjectUid) {
        let context = self.clone();
        self.backoffs.forget(uid.as_str());
        self.reasons.forget(uid.as_str());
        self.told.forget(uid.as_str());
        self.untold.take(uid.as_str());
        self.unreadable.forget(uid.as_str());
        self.timers.forget(uid.as_str());
        self.leave_the_line(&uid);
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

/// How often the store is asked while somebody waits for it.
const STORE_IS_ASKED: Duration = Duration::from_secs(1);
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);
const CALM: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::stream;

    use super::*;

    fn unavailable() -> Result<CredentialRow, store::Error> {
        Err(store::Error::Unavailable("the disk is away".into()))
    }

    #[tokio::test]
    async fn paths_of_objects_that_are_gone_are_asked_for_until_the_store_has_told_all() {
        let tries = AtomicUsize::new(0);
        let owned = || match tries.fetch_add(1, Ordering::Relaxed) {
            0..3 => stream::iter([unavailable()]).boxed(),
            _ => stream::empty().boxed(),
        };
        assert!(owners(owned, std::iter::repeat(Duration::ZERO)).await.is_empty());
        assert_eq!(tries.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn whoever_waits_for_the_store_goes_on_when_it_answers_and_it_is_asked_for_nobody_else() {
        let (waiting, asked) = (Waiting::default(), AtomicUsize::new(0));
        let away = || {
            asked.fetch_add(1, Ordering::Relaxed);
            async { Err(store::Error::Unavailable("the disk is away".into())) }
        };
        assert!(who_goes_on(&waiting, away).await.is_empty());
        assert_eq!(asked.load(Ordering::Relaxed), 0, "nobody waits");
        let key = Key::new("db").within("shop");
        waiting.insert(key.clone());
        assert!(who_goes_on(&waiting, away).await.is_empty());
        assert_eq!(who_goes_on(&waiting, || async { Ok(()) }).await, [key]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_damaged_owner_is_not_waited_for() {
        let tries = AtomicUsize::new(0);
        let damaged = || Err(store::Error::Corrupt { table: "credential", id: "1".into(), what: "torn".into() });
        let owned = || {
            tries.fetch_add(1, Ordering::Relaxed);
            stream::iter([damaged()]).boxed()
        };
        assert!(owners(owned, std::iter::repeat(Duration::ZERO)).await.is_empty());
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }
}
