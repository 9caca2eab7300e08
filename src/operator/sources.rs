//! Secrets that values are read from.
//!
//! A source is somebody else's Secret without a label of ours, so the watch of our own Secrets does not show it. For each
//! namespace that has an object with a source, the metadata of its Secrets is watched, never their data: a source is
//! read only when its revision is one that was not read before. The watch ends when no object there depends on it any
//! more: whatever a look that came to its end did not ask about wakes the object no longer.

mod dependents;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
};

use credsmith_core::{
    domain::{CredentialType, SecretText},
    hub::Given,
    material::given::GivenCertificate,
};
use futures::{FutureExt, StreamExt};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, core::PartialObjectMeta};
use kube_runtime::{WatchStreamExt, watcher};
use prometheus::IntCounterVec;
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    credential::{parse::Source, target::forbidden},
    index::Key,
    queue::Queue,
    trouble::{Trouble, Watched as What},
    watching::backoff,
};
use dependents::Dependents;

/// Annotation on a Secret: it may be read into a credential.
pub const ALLOW_ADOPTION: &str = "credsmith.dev/allow-adoption";

/// What the watch told about a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// UID and resource version: equal means unchanged.
    pub revision: String,
    pub allowed: bool,
}

/// Why a source gives nothing. The texts name Secret, key and next step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Unusable(String),
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

/// The sources of all namespaces that have any.
pub struct Sources {
    client: Client,
    queue: Queue,
    failures: IntCounterVec,
    namespaces: Mutex<HashMap<String, (Arc<Watched>, AbortHandle)>>,
    /// What each look that is under way has asked about: an object has one look at a time.
    asked: Mutex<HashMap<Key, HashSet<String>>>,
}

#[derive(Debug)]
struct Watched {
    secrets: Mutex<HashMap<String, Seen>>,
    dependents: Mutex<Dependents>,
    listed: watch::Sender<bool>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Sources {
    /// Counts the failures of its watches in `failures`.
    pub fn new(client: Client, queue: Queue, failures: IntCounterVec) -> Self {
        Self { client, queue, failures, namespaces: Mutex::default(), asked: Mutex::default() }
    }

    /// What is known of a Secret, once its namespace has been listed; from then on `dependent`, an object of that
    /// namespace, is woken by its changes.
    pub async fn observe(&self, namespace: &str, secret: &str, dependent: &Key) -> Option<Seen> {
        lock(&self.asked).entry(dependent.clone()).or_default().insert(secret.to_owned());
        let watched = self.watched(namespace, secret, dependent);
        let mut listed = watched.listed.subscribe();
        let _ = listed.wait_for(|listed| *listed).await; // the sender lives as long as `watched`
        lock(&watched.secrets).get(secret).cloned()
    }

    /// The same for somebody who is not woken by anything, and for whom the watch goes on until they are
    /// [forgotten](Self::forget).
    pub async fn peek(&self, namespace: &str, secret: &str, guest: &Key) -> Option<Seen> {
        // No Secret has that name, so no change of one is theirs.
        let watched = self.watched(namespace, "", guest);
        let mut listed = watched.listed.subscribe();
        let _ = listed.wait_for(|listed| *listed).await; // the sender lives as long as `watched`
        lock(&watched.secrets).get(secret).cloned()
    }

    /// Whether the Secrets of a namespace are watched.
    #[cfg(test)]
    pub fn is_watched(&self, namespace: &str) -> bool {
        lock(&self.namespaces).contains_key(namespace)
    }

    /// A look at an object begins.
    pub fn look_begins(&self, object: &Key) {
        lock(&self.asked).insert(object.clone(), HashSet::new());
    }

    /// A look at an object has ended. Where it came to its end, whatever it did not ask about wakes the object no more;
    /// where it broke off, nobody knows what else it would have asked.
    pub fn look_ends(&self, object: &Key, came_to_its_end: bool) {
        let asked = lock(&self.asked).remove(object).unwrap_or_default();
        if came_to_its_end {
            self.keep(object, &asked);
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, object: &Key) {
        self.keep(object, &HashSet::new());
    }

    fn keep(&self, object: &Key, asked: &HashSet<String>) {
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let mut namespaces = lock(&self.namespaces);
        let Some((watched, task)) = namespaces.get(namespace) else { return };
        let mut dependents = lock(&watched.dependents);
        dependents.keep(object, asked);
        if dependents.is_empty() {
            drop(dependents);
            tracing::debug!(%namespace, "the watch of sources ends: nobody depends on it");
            task.abort();
            namespaces.remove(namespace);
        }
    }

    /// Reads a source. The revision that comes with it may be newer than the one that was observed.
    pub async fn read(&self, namespace: &str, source: &Source, kind: CredentialType) -> Result<(Given, String), Error> {
        let name = &source.name;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = api.get_opt(name).await?.ok_or_else(|| missing(source))?;
        if !allowed(&secret.metadata) {
            return Err(not_allowed(source));
        }
        if let Some(secret_type) = secret.type_.as_deref().filter(|secret_type| forbidden(secret_type)) {
            let field = source.field;
            return Err(Error::Unusable(format!(
                "{field}: Secret {name} has type {secret_type}, which is never read: put the value into a Secret of type Opaque"
            )));
        }
        let given = given(&secret, source, kind)?;
        Ok((given, revision(&secret.metadata)))
    }

    /// The watch of a namespace, with one more that depends on it: in one step, so that it does not end in between.
    fn watched(&self, namespace: &str, secret: &str, dependent: &Key) -> Arc<Watched> {
        let mut namespaces = lock(&self.namespaces);
        let (watched, _) = namespaces.entry(namespace.to_owned()).or_insert_with(|| {
            let watched = Arc::new(Watched {
                secrets: Mutex::default(),
                dependents: Mutex::default(),
                listed: watch::Sender::new(false),
            });
            let api = Api::namespaced(self.client.clone(), namespace);
            let trouble = Trouble::new(What::Sources, self.failures.clone());
            let task = tokio::spawn(go_on_following(api, watched.clone(), self.queue.clone(), trouble));
            (watched, task.abort_handle())
        });
        lock(&watched.dependents).add(secret, dependent);
        watched.clone()
    }
}

/// A watch that ended or panicked begins anew: nobody else would notice.
async fn go_on_following(
    api: Api<PartialObjectMeta<Secret>>,
    watched: Arc<Watched>,
    queue: Queue,
    mut trouble: Trouble,
) {
    for wait in backoff() {
        let following = follow(api.clone(), &watched, &queue, &mut trouble);
        let panicked = AssertUnwindSafe(following).catch_unwind().await.is_err();
        tracing::error!(panicked, "the watch of sources ended by itself and begins anew; report it");
        tokio::time::sleep(wait).await;
    }
}

async fn follow(api: Api<PartialObjectMeta<Secret>>, watched: &Watched, queue: &Queue, trouble: &mut Trouble) {
    let mut events = watcher(api, watcher::Config::default()).backoff(backoff()).boxed();
    let mut list = HashMap::new();
    while let Some(event) = events.next().await {
        trouble.note(&event);
        match event {
            Ok(watcher::Event::Init) => list.clear(),
            Ok(watcher::Event::InitApply(secret)) => {
                list.extend(entry(&secret));
            }
            Ok(watcher::Event::InitDone) => {
                let before = std::mem::replace(&mut *lock(&watched.secrets), std::mem::take(&mut list));
                let first = !watched.listed.send_replace(true);
                let now = lock(&watched.secrets).clone();
                let names: HashSet<_> = before.keys().chain(now.keys()).cloned().collect();
                for name in names.into_iter().filter(|name| !first && before.get(name) != now.get(name)) {
                    wake(watched, queue, &name);
                }
            }
            Ok(watcher::Event::Apply(secret)) => {
                if let Some((name, seen)) = entry(&secret) {
                    let before = lock(&watched.secrets).insert(name.clone(), seen.clone());
                    if before != Some(seen) {
                        wake(watched, queue, &name);
                    }
                }
            }
            Ok(watcher::Event::Delete(secret)) => {
                if let Some(name) = &secret.metadata.name {
                    lock(&watched.secrets).remove(name);
                    wake(watched, queue, name);
                }
            }
            Err(_) => {}
        }
    }
}

fn wake(watched: &Watched, queue: &Queue, name: &str) {
    for key in lock(&watched.dependents).of(name) {
        queue.wake(key, "source changed");
    }
}

fn entry(secret: &PartialObjectMeta<Secret>) -> Option<(String, Seen)> {
    let meta = &secret.metadata;
    Some((meta.name.clone()?, Seen { revision: revision(meta), allowed: allowed(meta) }))
}

fn revision(meta: &ObjectMeta) -> String {
    format!("{}/{}", meta.uid.as_deref().unwrap_or(""), meta.resource_version.as_deref().unwrap_or(""))
}

fn allowed(meta: &ObjectMeta) -> bool {
    let notes = meta.annotations.as_ref();
    notes.and_then(|notes| notes.get(ALLOW_ADOPTION)).is_some_and(|value| value == "true")
}

/// The parts of a Secret as a value of that type.
pub fn given(secret: &Secret, source: &Source, kind: CredentialType) -> Result<Given, Error> {
    let part = |part: &str| source.keys.get(part).map(|key| text(secret, source, key)).transpose();
    let unusable = || Error::Unusable(format!("{}: type {kind} cannot be read from a Secret", source.field));
    match kind {
        CredentialType::Password => part("password")?.map(Given::Password).ok_or_else(unusable),
        CredentialType::Value => part("value")?.map(Given::Value).ok_or_else(unusable),
        CredentialType::Json => part("value")?.map(Given::Json).ok_or_else(unusable),
        CredentialType::User => {
            let username = part("username")?.map(|name| name.expose().to_owned());
            let password = part("password")?.ok_or_else(unusable)?;
            Ok(Given::User { username, password })
        }
        CredentialType::Rsa => Ok(Given::Rsa { public_key: part("public_key")?, private_key: part("private_key")? }),
        CredentialType::Ssh => Ok(Given::Ssh { public_key: part("public_key")?, private_key: part("private_key")? }),
        CredentialType::Certificate => Ok(Given::Certificate(GivenCertificate {
            ca: part("ca")?,
            ca_name: None,
            certificate: part("certificate")?,
            private_key: part("private_key")?,
            transitional: false,
        })),
        CredentialType::Provider => Err(unusable()),
    }
}

fn text(secret: &Secret, source: &Source, key: &str) -> Result<SecretText, Error> {
    let (field, name) = (source.field, &source.name);
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let bytes = bytes.ok_or_else(|| Error::Unusable(format!("{field}: Secret {name} has no key {key}: add it")))?;
    let text = String::from_utf8(bytes.0.clone());
    text.map(SecretText::new).map_err(|_| {
        Error::Unusable(format!(
            "{field}: key {key} of Secret {name} is not UTF-8 text, and only text can be kept: put text there, such as its base64"
        ))
    })
}

/// What to say about a source that is not there.
pub fn missing(source: &Source) -> Error {
    Error::Unusable(format!("{}: there is no Secret {}: create it", source.field, source.name))
}

/// What to say about a source that did not consent.
pub fn not_allowed(source: &Source) -> Error {
    let (field, name) = (source.field, &source.name);
    Error::Unusable(format!(
        "{field}: Secret {name} does not allow it: kubectl annotate secret {name} {ALLOW_ADOPTION}=true"
    ))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with a map in hand")
}
