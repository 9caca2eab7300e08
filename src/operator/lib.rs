//! The Kubernetes side: thin doors from custom resources to the use cases.
//!
//! Four watches (objects, our Secrets' metadata, namespaces' metadata, the published certificate authority) and the
//! store's changes wake objects; one look at a time brings an object to what it says. Nothing is polled but a store that
//! does not answer, while somebody waits for it.

pub mod authority;
mod context;
mod counted;
pub mod credential;
mod events;
mod index;
mod looking;
mod namespaces;
mod pace;
mod queue;
mod reconcile;
pub mod reviews;
pub mod root_key;
mod schema;
mod secret;
mod sources;
mod status;
mod taken;
mod tasks;
mod timers;
mod trouble;
mod unreadable;
mod untold;
mod waiting;
mod watching;

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use credsmith_core::{
    domain::{Epoch, budget::Budget},
    hub::Hub,
};
use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Client, CustomResourceExt};
use kube_runtime::{
    controller::{self, applier},
    reflector::store::Writer,
};
use tokio::sync::watch;

pub use credential::Credential;
pub use tasks::Ended;
pub use trouble::FirstLists;

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
    /// New versions that are begun by time in a minute, at most.
    pub rotations_a_minute: u32,
    /// Who reports events; the pod's name.
    pub instance: String,
    /// Where it tells whether it has seen its objects yet.
    pub first_lists: Arc<FirstLists>,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Operator {
    /// Watches and reconciles until `stop` is over, then finishes the looks that are under way.
    ///
    /// # Errors
    /// When a watch ends: whoever goes on without it works on what was.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), Ended> {
        let (queue, wakes) = queue::Queue::new();
        let timers = Arc::new(timers::Timers::default());
        let client = counted::counted(self.client, &self.hub.metrics);
        let context = Arc::new(context::Context {
            index: index::Index::default(),
            secrets: secret::SeenSecrets::default(),
            taken: taken::Taken::default(),
            namespaces: namespaces::Namespaces::default(),
            sources: sources::Sources::new(client.clone(), queue.clone(), self.hub.metrics.watch_failures.clone()),
            authority: authority::Authority::new(self.authority),
            events: events::Events::new(client.clone(), self.instance),
            backoffs: context::Backoffs::default(),
            reasons: context::Reasons::new(self.hub.metrics.credentials.clone()),
            told: status::Told::default(),
            timers: timers.clone(),
            budget: Mutex::new(Budget::new(self.rotations_a_minute)),
            untold: untold::Untold::default(),
            unreadable: unreadable::Unreadable::default(),
            first_lists: self.first_lists,
            waiting_for_store: waiting::Waiting::default(),
            held: waiting::Waiting::default(),
            listed: watch::Sender::new(false),
            namespaces_listed: watch::Sender::new(false),
            secrets_listed: watch::Sender::new(false),
            client,
            hub: self.hub,
            epoch: self.epoch,
            home: (self.namespace.clone(), self.key_secrets),
            queue,
        });
        let store = Writer::default();
        let objects = store.as_reader();
        // There from the start: nobody looks for what appears only when it is too late.
        context.hub.metrics.panics.with_label_values(&[looking::LOOK]);
        let mut tasks = tasks::Tasks::default();
        tasks.keep("the watch of Credential objects", watching::credentials(context.clone(), store));
        tasks.keep("the watch of Secrets", watching::secrets(context.clone()));
        tasks.keep("the watch of namespaces", watching::namespaces(context.clone()));
        tasks.keep("the watch of ConfigMaps", authority::follow(context.clone()));
        tasks.keep("the timers", timers.run(context.hub.clock.clone(), context.queue.clone()));
        tasks.keep("the news from the store", watching::changes(context.clone()));
        tasks.keep("the wait for the store", watching::store_comes_back(context.clone()));
        tasks.keep("the certificate authority at home", publish_at_home(context.clone(), self.namespace));
        tasks.keep("the end of watches for nobody", watching::tidy(context.clone()));
        tasks.errand("the release of paths", watching::release_the_gone(context.clone()));

        let wakes = wakes.map(Ok::<_, std::convert::Infallible>).take_until(Box::pin(stop));
        let config = controller::Config::default().concurrency(self.concurrency);
        let looks = applier(
            |object, context| Box::pin(looking::look(object, context)),
            looking::error_policy,
            context,
            objects,
            wakes,
            config,
        );
        // Each error was told where it belongs: in the object's status, or in the log by the error policy.
        let ended = tokio::select! {
            () = looks.for_each(|_| futures::future::ready(())) => Ok(()),
            ended = tasks.broken() => Err(ended),
        };
        tasks.shutdown().await;
        ended
    }
}

/// The release namespace has the certificate even where it holds no object.
async fn publish_at_home(context: Arc<context::Context>, namespace: String) {
    context.authority.keep_published(&context.client, &namespace).await;
}
