//! The front's certificate authority, published where callers can mount it: as a ConfigMap in the release namespace and
//! in every namespace that holds a `Credential`, since a pod mounts only what is in its own.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use kube_runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio::sync::{Notify, watch};

use crate::{context::Context, trouble::Watched, watching::backoff};

/// The ConfigMap's name.
pub const CONFIG_MAP: &str = "credsmith-ca";

/// Where it stands as it should.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    /// Namespaces whose ConfigMap is right, as the watch told.
    right: Mutex<HashSet<String>>,
    /// One writes at a time: the first objects of a namespace come all at once, and one request is enough.
    turn: tokio::sync::Mutex<()>,
    listed: watch::Sender<bool>,
    /// One that was right is so no more.
    went_wrong: Notify,
}

impl Authority {
    /// `pem` is the certificate.
    pub fn new(pem: String) -> Self {
        Self {
            pem,
            right: Mutex::default(),
            turn: Default::default(),
            listed: watch::Sender::new(false),
            went_wrong: Notify::new(),
        }
    }

    /// Makes sure that the namespace has it. Where it is right, nothing is asked.
    pub async fn publish(&self, client: &Client, namespace: &str) -> Result<(), kube::Error> {
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await; // the sender is ours
        if self.lock().contains(namespace) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if self.lock().contains(namespace) {
            return Ok(());
        }
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": CONFIG_MAP,
                "labels": {"app.kubernetes.io/managed-by": "credsmith"},
            },
            "data": {KEY: self.pem},
        });
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let params = PatchParams::apply("credsmith").force();
        api.patch(CONFIG_MAP, &params, &Patch::Apply(&map)).await?;
        self.lock().insert(namespace.to_owned());
        Ok(())
    }

    /// Keeps it published in a namespace, whether or not that holds an object.
    pub async fn keep_published(&self, client: &Client, namespace: &str) {
        let mut waits = backoff();
        loop {
            match self.publish(client, namespace).await {
                Ok(()) => self.went_wrong.notified().await,
                Err(error) => {
                    tracing::debug!(%error, %namespace, "the certificate authority is not published yet");
                    tokio::time::sleep(waits.next().unwrap_or_default()).await;
                }
            }
        }
    }

    /// Takes a list of the namespaces where it is right, and returns those where it was and is no more.
    fn replace(&self, right: HashSet<String>) -> Vec<String> {
        let before = std::mem::replace(&mut *self.lock(), right);
        let now = self.lock();
        before.into_iter().filter(|namespace| !now.contains(namespace)).collect()
    }

    fn tell(&self, map: &ConfigMap) -> bool {
        let Some(namespace) = map.metadata.namespace.clone() else { return true };
        let right = self.is_right(map);
        let mut all = self.lock();
        if right {
            all.insert(namespace)
        } else {
            all.remove(&namespace)
        };
        right
    }

    fn is_right(&self, map: &ConfigMap) -> bool {
        map.data.as_ref().and_then(|data| data.get(KEY)) == Some(&self.pem)
    }

    fn forget(&self, map: &ConfigMap) {
        if let Some(namespace) = &map.metadata.namespace {
            self.lock().remove(namespace);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.right.lock().expect("nobody panics with the set in hand")
    }
}

/// Follows the ConfigMaps; one that was changed or deleted, also while nobody watched, is written again while its
/// namespace needs it.
pub async fn follow(context: Arc<Context>) {
    let authority = &context.authority;
    let api: Api<ConfigMap> = Api::all(context.client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={CONFIG_MAP}"));
    let mut events = watcher(api, config).backoff(backoff()).boxed();
    let mut list = HashSet::new();
    let mut trouble = context.trouble(Watched::Authorities);
    while let Some(event) = events.next().await {
        context.note(&mut trouble, Watched::Authorities, &event);
        let wrong = match event {
            Ok(watcher::Event::Init) => {
                list.clear();
                Vec::new()
            }
            Ok(watcher::Event::InitApply(map)) => {
                list.extend(map.metadata.namespace.clone().filter(|_| authority.is_right(&map)));
                Vec::new()
            }
            Ok(watcher::Event::InitDone) => {
                let wrong = authority.replace(std::mem::take(&mut list));
                authority.listed.send_replace(true);
                wrong
            }
            Ok(watcher::Event::Apply(map)) if authority.tell(&map) => Vec::new(),
            Ok(watcher::Event::Delete(map)) => {
                authority.forget(&map);
                map.metadata.namespace.into_iter().collect()
            }
            Ok(watcher::Event::Apply(map)) => map.metadata.namespace.into_iter().collect(),
            Err(_) => Vec::new(),
        };
        for namespace in &wrong {
            authority.went_wrong.notify_one();
            // All of them, since a look that ends early publishes nothing; the first that does is enough for the others.
            for key in context.index.of_namespace(namespace) {
                context.queue.wake(&key, "certificate authority changed");
            }
        }
    }
}

const KEY: &str = "ca.crt";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_list_no_longer_shows_as_right_went_wrong() {
        let authority = Authority::new("pem".into());
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        assert!(authority.replace(set(&["shop", "home"])).is_empty());
        assert_eq!(authority.replace(set(&["home", "new"])), ["shop"]);
        assert_eq!(*authority.lock(), set(&["home", "new"]));
    }
}
