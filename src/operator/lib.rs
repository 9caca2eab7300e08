//! The Kubernetes side: thin doors from custom resources to the use cases.
//!
//! Four watches (objects, our Secrets' metadata, namespaces' metadata, the published certificate authority) and the
//! store's changes wake objects; one look at a time brings an object to what it says. Nothing is polled.

pub mod authority;
mod context;
pub mod credential;
mod index;
mod namespaces;
mod queue;
mod reconcile;
pub mod reviews;
pub mod root_key;
mod schema;
mod secret;
mod sources;
mod status;
mod timers;
mod watching;

use std::{fmt, sync::Arc};

use credsmith_core::{domain::Epoch, hub::Hub};
use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Client, CustomResourceExt};
use kube_runtime::{
    controller::{self, applier},
    events::{Recorder, Reporter},
    reflector::store::Writer,
};
use tokio::{sync::watch, task::JoinSet};

pub use credential::Credential;

/// Every kind that this release knows, as it is installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![schema::without_nulls(Credential::crd())]
}

/// What the operator is started with.
pub struct Operator {
    pub client: Client,
    pub hub: Arc<Hub>,
    /// The one that was raised at start; the store refuses every older one.
    pub epoch: Epoch,
    /// The release namespace.
    pub namespace: String,
    /// Secrets of the release namespace that hold master keys: no object may touch them.
    pub key_secrets: Vec<String>,
    /// The front's certificate authority, as PEM.
    pub authority: String,
    /// Objects that are looked at side by side.
    pub concurrency: u16,
    /// Who reports events; the pod's name.
    pub instance: String,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Operator {
    /// Watches and reconciles until `stop` is over, then finishes the looks that are under way.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) {
        let (queue, wakes) = queue::Queue::new();
        let reporter = Reporter { controller: "credsmith.dev/operator".into(), instance: Some(self.instance) };
        let context = Arc::new(context::Context {
            index: index::Index::default(),
            secrets: secret::SeenSecrets::default(),
            namespaces: namespaces::Namespaces::default(),
            sources: sources::Sources::new(self.client.clone(), queue.clone()),
            authority: authority::Authority::new(self.authority),
            recorder: Recorder::new(self.client.clone(), reporter),
            backoffs: context::Backoffs::default(),
            reasons: context::Reasons::new(self.hub.metrics.credentials.clone()),
            told: status::Told::default(),
            listed: watch::Sender::new(false),
            namespaces_listed: watch::Sender::new(false),
            secrets_listed: watch::Sender::new(false),
            client: self.client,
            hub: self.hub,
            epoch: self.epoch,
            home: (self.namespace.clone(), self.key_secrets),
            queue,
        });
        let store = Writer::default();
        let objects = store.as_reader();
        let mut watches = JoinSet::new();
        watches.spawn(watching::credentials(context.clone(), store));
        watches.spawn(watching::secrets(context.clone()));
        watches.spawn(watching::namespaces(context.clone()));
        watches.spawn(watching::changes(context.clone()));
        watches.spawn(watching::release_the_gone(context.clone()));
        watches.spawn(authority::follow(context.clone()));
        watches.spawn(publish_at_home(context.clone(), self.namespace));

        let wakes = wakes.map(Ok::<_, std::convert::Infallible>).take_until(Box::pin(stop));
        let config = controller::Config::default().concurrency(self.concurrency);
        let looks = applier(
            |object, context| Box::pin(reconcile::reconcile(object, context)),
            reconcile::error_policy,
            context,
            objects,
            wakes,
            config,
        );
        // Each error was told where it belongs: in the object's status, or in the log by the error policy.
        looks.for_each(|_| futures::future::ready(())).await;
        watches.shutdown().await;
    }
}

/// The release namespace gets the certificate even where it holds no object.
async fn publish_at_home(context: Arc<context::Context>, namespace: String) {
    for wait in watching::backoff() {
        match context.authority.publish(&context.client, &namespace).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, %namespace, "the certificate authority is not published yet"),
        }
        tokio::time::sleep(wait).await;
    }
}
