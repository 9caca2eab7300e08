//! When the last Secret was there and the last object Ready, as a watch tells it.
//!
//! Why not by asking? Each question would take processor time from what is measured, and its pauses would be part of the
//! result. The same two watches stand beside the floor, so that they cost both sides the same.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt::Debug,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use credsmith_harness::requests::Key;
use futures::StreamExt as _;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, Resource, ResourceExt as _, core::PartialObjectMeta};
use kube_runtime::{WatchStreamExt as _, watcher};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::watch, task::JoinHandle};

/// Two watches that count.
#[derive(Debug)]
pub struct Seen {
    secrets: Tally,
    ready: Tally,
}

impl Seen {
    /// Begins to wait for `count` objects of namespaces whose names begin with `prefix`. Returns when both watches stand.
    pub async fn start(client: &Client, prefix: &str, count: usize) -> Result<Self> {
        let ours = watcher::Config::default().labels("credsmith.dev/managed=true");
        let secrets = Api::<PartialObjectMeta<Secret>>::all(client.clone());
        let credentials = Api::<Credential>::all(client.clone());
        Ok(Self {
            secrets: Tally::start(secrets, ours, prefix, count, |_| true).await?,
            ready: Tally::start(credentials, watcher::Config::default(), prefix, count, Credential::is_ready).await?,
        })
    }

    /// Waits until all are there, and tells when that was.
    ///
    /// # Errors
    /// After `patience`, with the counts.
    pub async fn all(mut self, patience: Duration) -> Result<Instant> {
        let both = async { Ok::<_, anyhow::Error>(self.secrets.full().await?.max(self.ready.full().await?)) };
        let waited = tokio::time::timeout(patience, both).await;
        let (secrets, ready) = (self.secrets.count(), self.ready.count());
        waited.with_context(|| {
            format!(
                "after {patience:?} there are {secrets} Secrets, and {ready} objects are Ready, of {}",
                self.ready.goal
            )
        })?
    }
}

/// How many were seen, and when the last.
#[derive(Debug)]
struct Tally {
    goal: usize,
    seen: watch::Receiver<(usize, Option<Instant>)>,
    task: JoinHandle<()>,
}

impl Tally {
    async fn start<K>(
        api: Api<K>,
        config: watcher::Config,
        prefix: &str,
        goal: usize,
        counts: fn(&K) -> bool,
    ) -> Result<Self>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let (tell, seen) = watch::channel((0, None));
        let (listed, mut is_listed) = watch::channel(false);
        let prefix = prefix.to_owned();
        let task = tokio::spawn(async move {
            let mut known = HashSet::<Key>::new();
            let mut events = watcher(api, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        let namespace = object.namespace().unwrap_or_default();
                        if counts(&object)
                            && namespace.starts_with(&prefix)
                            && known.insert((namespace, object.name_any()))
                        {
                            tell.send_replace((known.len(), (known.len() == goal).then(Instant::now)));
                        }
                    }
                    Ok(watcher::Event::InitDone) => drop(listed.send_replace(true)),
                    Ok(watcher::Event::Init | watcher::Event::Delete(_)) | Err(_) => {} // it goes on by itself
                }
            }
        });
        is_listed.wait_for(|listed| *listed).await?;
        Ok(Self { goal, seen, task })
    }

    async fn full(&mut self) -> Result<Instant> {
        let (count, at) = *self.seen.wait_for(|(count, _)| *count >= self.goal).await?;
        match at {
            Some(at) => Ok(at),
            None => bail!("{count} objects were seen, of {}", self.goal),
        }
    }

    fn count(&self) -> usize {
        self.seen.borrow().0
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// As much of an object as is asked for here; the rest is skipped while it is read.
#[derive(Clone, Debug, Deserialize)]
struct Credential {
    metadata: ObjectMeta,
    status: Option<Status>,
}

#[derive(Clone, Debug, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

impl Credential {
    fn is_ready(&self) -> bool {
        let mut conditions = self.status.iter().flat_map(|status| &status.conditions);
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }
}

impl Resource for Credential {
    type DynamicType = ();
    type Scope = kube::core::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Credential".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "credsmith.dev".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "credentials".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_true_ready_is_ready() {
        let is_ready = |conditions| {
            let object =
                json!({"metadata": {"name": "c"}, "spec": {"type": "password"}, "status": {"conditions": conditions}});
            serde_json::from_value::<Credential>(object).expect("an object").is_ready()
        };
        assert!(is_ready(json!([{"type": "Projected", "status": "False"}, {"type": "Ready", "status": "True"}])));
        assert!(!is_ready(json!([{"type": "Projected", "status": "True"}, {"type": "Ready", "status": "False"}])));
        let fresh: Credential = serde_json::from_value(json!({"metadata": {"name": "c"}})).expect("an object");
        assert!(!fresh.is_ready());
    }
}
