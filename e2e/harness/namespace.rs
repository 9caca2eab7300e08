//! A namespace for one test.

use std::{
    sync::{OnceLock, mpsc},
    time::Duration,
};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace as Object, ServiceAccount};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::{cluster::Cluster, state::random_hex, wait::eventually};

/// A namespace that is deleted when this is dropped. Nobody waits for the deletion to end: that takes 5 s.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    config: Config,
    deleted: bool,
}

impl Namespace {
    /// Makes the namespace `PREFIX-RANDOM` and waits for its default ServiceAccount.
    pub async fn fresh(cluster: &Cluster, prefix: &str) -> Result<Self> {
        Self::named(cluster, &format!("{prefix}-{}", random_hex(4))).await
    }

    /// The same by its whole name, for a test that makes one again.
    pub async fn named(cluster: &Cluster, name: &str) -> Result<Self> {
        let name = name.to_owned();
        let client = cluster.client()?;
        let labels = [(MADE_BY.0.to_owned(), MADE_BY.1.to_owned())].into();
        let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..Default::default() };
        let namespaces: Api<Object> = Api::all(client.clone());
        namespaces
            .create(&PostParams::default(), &Object { metadata, ..Default::default() })
            .await
            .with_context(|| format!("cannot make the namespace {name}"))?;
        let namespace = Self { name, config: cluster.config().clone(), deleted: false };
        let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace.name());
        let what = format!("the default ServiceAccount of {}", namespace.name());
        eventually(&what, Duration::from_secs(30), || async { Ok(accounts.get_opt("default").await?) }).await?;
        Ok(namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for its deletion now, and waits until it is gone when `wait` says so: 5 s.
    pub async fn delete(mut self, client: &Client, wait: bool) -> Result<()> {
        let namespaces: Api<Object> = Api::all(client.clone());
        namespaces.delete(&self.name, &DeleteParams::background()).await?;
        self.deleted = true;
        if wait {
            let what = format!("the end of namespace {}", self.name);
            let gone = || async { Ok(namespaces.get_opt(&self.name).await?.is_none().then_some(())) };
            eventually(&what, Duration::from_secs(60), gone).await?;
        }
        Ok(())
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.deleted {
            delete_elsewhere(self.config.clone(), self.name.clone());
        }
    }
}

/// Deletes from a thread with an async runtime of its own, for the test's ends before it could run another task. Waits for the
/// answer to the request, since the process may end next.
fn delete_elsewhere(config: Config, name: String) {
    type Order = (Config, String, mpsc::Sender<()>);
    static CLEANER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let cleaner = CLEANER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        let clean = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an async runtime");
            for (config, name, done) in orders {
                runtime.block_on(async {
                    let Ok(client) = Client::try_from(config) else { return };
                    let namespaces: Api<Object> = Api::all(client);
                    let how = DeleteParams::background();
                    let delete = namespaces.delete(&name, &how);
                    tokio::time::timeout(PATIENCE, delete).await.ok(); // a killed API server has nothing to delete
                });
                done.send(()).ok();
            }
        };
        std::thread::Builder::new().name("cleaner".into()).spawn(clean).expect("a thread can be started");
        sender
    });
    let (done, is_done) = mpsc::channel();
    if cleaner.send((config, name, done)).is_ok() {
        is_done.recv_timeout(PATIENCE).ok();
    }
}

/// The label of what the harness made, so that it deletes nothing else.
pub(crate) const MADE_BY: (&str, &str) = ("app.kubernetes.io/created-by", "credsmith-harness");
const PATIENCE: Duration = Duration::from_secs(5);
