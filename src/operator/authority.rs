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
use tokio::sync::watch;

use crate::{context::Context, watching::backoff};

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
}

impl Authority {
    /// `pem` is the certificate.
    pub fn new(pem: String) -> Self {
        Self { pem, right: Mutex::default(), turn: Default::default(), listed: watch::Sender::new(false) }
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

/// Follows the ConfigMaps; one that was changed or deleted is written again while its namespace needs it.
pub async fn follow(context: Arc<Context>) {
    let authority = &context.authority;
    let api: Api<ConfigMap> = Api::all(context.client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={CONFIG_MAP}"));
    let mut events = watcher(api, config).backoff(backoff()).boxed();
    let mut list = HashSet::new();
    while let Some(event) = events.next().await {
        let wrong = match event {
            Ok(watcher::Event::Init) => {
                list.clear();
                None
            }
            Ok(watcher::Event::InitApply(map)) => {
                list.extend(map.metadata.namespace.clone().filter(|_| authority.is_right(&map)));
                None
            }
            Ok(watcher::Event::InitDone) => {
                *authority.lock() = std::mem::take(&mut list);
                authority.listed.send_replace(true);
                None
            }
            Ok(watcher::Event::Apply(map)) => (!authority.tell(&map)).then_some(map),
            Ok(watcher::Event::Delete(map)) => {
                authority.forget(&map);
                Some(map)
            }
            Err(error) => {
                tracing::debug!(%error, "the watch of ConfigMaps is interrupted and goes on");
                None
            }
        };
        let namespace = wrong.and_then(|map| map.metadata.namespace);
        // One object of the namespace is enough: its reconcile publishes.
        let key = namespace.and_then(|namespace| context.index.of_namespace(&namespace).into_iter().next());
        if let Some(key) = key {
            context.queue.wake(&key, "certificate authority changed");
        }
    }
}

const KEY: &str = "ca.crt";
