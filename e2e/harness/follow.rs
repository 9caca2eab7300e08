//! Following all objects of a kind: what each looks like now, and since when.

use std::{
    collections::HashMap,
    fmt::{self, Debug},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use futures::StreamExt as _;
use kube::{Api, Resource, ResourceExt as _};
use kube_runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::{requests::Key, wait::eventually};

/// The objects of a kind, each boiled down to `V`. Ends when dropped.
pub struct Followed<V> {
    latest: Arc<Mutex<HashMap<Key, Latest<V>>>>,
    task: JoinHandle<()>,
}

/// What an object looks like.
#[derive(Clone, Debug)]
pub struct Latest<V> {
    pub value: V,
    /// Its resource version.
    pub revision: u64,
    /// When it was seen to look like this: a moment after it began to.
    pub at: Instant,
}

impl<V: Clone + Send + 'static> Followed<V> {
    /// Begins, and waits until everything that is there has been listed.
    pub async fn start<K>(api: Api<K>, boil: impl Fn(&K) -> V + Send + 'static) -> Result<Self>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let latest = Arc::new(Mutex::new(HashMap::new()));
        let (into, (done, mut listed)) = (latest.clone(), tokio::sync::watch::channel(false));
        let task = tokio::spawn(async move {
            let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        let revision = revision(&object);
                        lock(&into).insert(key(&object), Latest { value: boil(&object), revision, at: Instant::now() });
                    }
                    Ok(watcher::Event::Delete(object)) => {
                        lock(&into).remove(&key(&object));
                    }
                    Ok(watcher::Event::InitDone) => {
                        done.send_replace(true);
                    }
                    Ok(watcher::Event::Init) | Err(_) => {} // it goes on by itself
                }
            }
        });
        listed.wait_for(|listed| *listed).await?;
        Ok(Self { latest, task })
    }

    /// One of them.
    pub fn get(&self, key: &Key) -> Option<Latest<V>> {
        lock(&self.latest).get(key).cloned()
    }

    /// Waits until `enough` says so of all of them.
    pub async fn until(
        &self,
        what: &str,
        deadline: Duration,
        mut enough: impl FnMut(&HashMap<Key, Latest<V>>) -> bool,
    ) -> Result<()> {
        eventually(what, deadline, || std::future::ready(Ok(enough(&lock(&self.latest)).then_some(())))).await
    }
}

impl<V> Drop for Followed<V> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<V> Debug for Followed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Followed") // what it holds may be secret
    }
}

/// Namespace and name of an object.
pub fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Its resource version, which rises with every change.
pub fn revision<K: Resource>(object: &K) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
