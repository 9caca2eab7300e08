//! An API server for answers that a real one does not give on request: it keeps one object, and the rest is scripted.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use credsmith_core::{
    auth::{Identity, ReviewUnavailable, Reviewer},
    domain::{CredentialName, Operation, budget::Budget},
    hub::Hub,
    keyring::{Keyring, MasterKey},
    material::{KeyStock, Material},
    metrics::Metrics,
    store::{InMemory, Store},
    world::{FixedClock, SeededEntropy},
};
use http::{Method, Request, Response};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Client, api::PartialObjectMeta, client::Body, core::DeserializeGuard};
use kube_runtime::controller::Action;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::service_fn;

use crate::{
    authority::{self, Authority},
    context::{Backoffs, Context, Reasons},
    counted::counted,
    credential::{Credential, CredentialStatus},
    events::Events,
    namespaces::Namespaces,
    queue::{Queue, Wakes},
    reconcile::{Error, error_policy, reconcile},
    secret::SeenSecrets,
    sources::Sources,
};

/// What stands in the way: given method and path, an answer in place of the usual one.
type Script = Box<dyn FnMut(&Method, &str) -> Option<Answer> + Send>;

/// An answer that is no success.
pub struct Answer(pub u16, pub Value);

impl Answer {
    pub fn new(code: u16, message: &str) -> Self {
        Self(code, json!({"message": message}))
    }

    pub fn terminating() -> Self {
        let cause = json!({"reason": "NamespaceTerminating", "message": "namespace shop is being terminated"});
        Self(403, json!({"reason": "Forbidden", "details": {"causes": [cause]}}))
    }
}

/// The operator's side and the API server's.
pub struct World {
    pub context: Arc<Context>,
    server: Arc<Server>,
    _wakes: Wakes,
}

struct Server(Mutex<State>);

struct State {
    object: Value,
    revision: u64,
    asked: Vec<String>,
    script: Script,
    /// A Secret that somebody else has made.
    stranger: Option<Value>,
}

impl World {
    /// With the object `shop/db` of that manifest.
    pub async fn new(spec: Value) -> Self {
        let object = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "spec": spec,
            "metadata": {"name": "db", "namespace": "shop", "uid": UID, "resourceVersion": "1", "generation": 1},
        });
        let state = State { object, revision: 1, asked: Vec::new(), script: Box::new(|_, _| None), stranger: None };
        let server = Arc::new(Server(Mutex::new(state)));
        let client = server.client();
        let (hub, epoch) = hub().await;
        let client = counted(client, &hub.metrics);
        let (queue, wakes) = Queue::new();
        let context = Arc::new(Context {
            index: Default::default(),
            secrets: SeenSecrets::default(),
            timers: Default::default(),
            budget: Mutex::new(Budget::new(60)),
            taken: Default::default(),
            namespaces: Namespaces::default(),
            sources: Sources::new(client.clone(), queue.clone(), hub.metrics.watch_failures.clone()),
            authority: Authority::new("pem".into()),
            events: Events::new(client.clone(), "test".into()),
            backoffs: Backoffs::default(),
            reasons: Reasons::new(hub.metrics.credentials.clone()),
            told: Default::default(),
            untold: Default::default(),
            unreadable: Default::default(),
            first_lists: Default::default(),
            waiting_for_store: Default::default(),
            held: Default::default(),
            listed: watch::Sender::new(true),
            namespaces_listed: watch::Sender::new(true),
            secrets_listed: watch::Sender::new(true),
            client,
            hub: Arc::new(hub),
            epoch,
            home: ("credsmith-system".into(), Vec::new()),
            queue,
        });
        let namespace = ObjectMeta { name: Some("shop".into()), uid: Some("ns".into()), ..ObjectMeta::default() };
        context.namespaces.tell(&PartialObjectMeta::<Namespace> { metadata: namespace, ..Default::default() }.metadata);
        tokio::spawn(authority::follow(context.clone()));
        let world = Self { context, server, _wakes: wakes };
        world.context.index.tell(&world.guarded());
        world
    }

    /// From now on that stands in the way.
    pub fn script(&self, script: impl FnMut(&Method, &str) -> Option<Answer> + Send + 'static) {
        self.server.lock().script = Box::new(script);
    }

    /// Every write of that resource is answered so.
    pub fn refuse(&self, resource: &'static str, answer: impl Fn() -> Answer + Send + 'static) {
        self.script(move |method, path| (*method != Method::GET && path.contains(resource)).then(&answer));
    }

    /// That Secret of somebody else stands where ours should.
    pub fn strangers(&self, secret: Value) {
        self.server.lock().stranger = Some(secret);
        self.script(|method, path| {
            let taken = *method == Method::POST && path.ends_with("/secrets");
            taken.then(|| Answer::new(409, "secrets \"db\" already exists"))
        });
    }

    /// Changes metadata of the object.
    pub fn edit(&self, metadata: Value) {
        merge(&mut self.server.lock().object["metadata"], &metadata);
        self.context.index.tell(&self.guarded());
    }

    /// One look, with what the error policy makes of it.
    pub async fn look(&self) -> (Result<Action, Error>, Action) {
        let object = Arc::new(self.guarded());
        let result = reconcile(object.clone(), self.context.clone()).await;
        let action = match &result {
            Ok(action) => action.clone(),
            Err(error) => error_policy(object, error, self.context.clone()),
        };
        (result, action)
    }

    /// What was asked since this was called last, without reads.
    pub fn writes(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut self.server.lock().asked);
        asked.retain(|line| !line.starts_with("GET"));
        asked
    }

    pub fn status(&self) -> CredentialStatus {
        self.object().status.unwrap_or_default()
    }

    /// Reason and message of a condition.
    pub fn says(&self, type_: &str) -> (String, String) {
        let conditions = self.status().conditions;
        let found = conditions.into_iter().find(|condition| condition.type_ == type_);
        found.map(|condition| (condition.reason, condition.message)).unwrap_or_default()
    }

    pub async fn versions(&self) -> usize {
        let name: CredentialName = "/shop/db".parse().unwrap();
        self.context.hub.store.versions(&name, None).await.unwrap().len()
    }

    fn object(&self) -> Credential {
        serde_json::from_value(self.server.lock().object.clone()).unwrap()
    }

    pub fn guarded(&self) -> DeserializeGuard<Credential> {
        DeserializeGuard(Ok(self.object()))
    }
}

impl Server {
    fn client(self: &Arc<Self>) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "shop")
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let (parts, body) = request.into_parts();
        let body: Value = serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default();
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
        if query.contains("watch=true") {
            return futures::future::pending().await;
        }
        let (code, answer) = self.lock().handle(&parts.method, &path, &query, &body);
        let response = Response::builder().status(code).body(Body::from(serde_json::to_vec(&answer).unwrap()));
        Ok(response.unwrap())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn handle(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let what = body["reason"].as_str().map(|reason| format!(" {reason}")).unwrap_or_default();
        self.asked.push(format!("{method} {}{what}", path.rsplit("/shop/").next().unwrap_or(path)));
        if let Some(Answer(code, mut answer)) = (self.script)(method, path) {
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "metadata": {}});
            merge(&mut answer, &status);
            return (code, answer);
        }
        self.revision += 1;
        let revision = self.revision.to_string();
        let mut answer = match (method, path) {
            (&Method::GET, "/api/v1/configmaps") => {
                let map = json!({"metadata": {"name": "credsmith-ca", "namespace": "shop"}, "data": {"ca.crt": "pem"}});
                return (200, json!({"metadata": {"resourceVersion": revision}, "items": [map]}));
            }
            (&Method::GET, _) if query.contains("limit=") || path.ends_with("/secrets") => {
                let items: Vec<_> = self.stranger.iter().collect();
                return (200, json!({"metadata": {"resourceVersion": revision}, "items": items}));
            }
            (&Method::GET, path) if path.contains("/secrets/") && self.stranger.is_some() => {
                return (200, self.stranger.clone().unwrap_or_default());
            }
            (&Method::GET, _) => {
                let none =
                    json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "metadata": {}});
                return (404, none);
            }
            (&Method::PATCH, path) if path.contains("/credentials/") => {
                merge(&mut self.object, body);
                self.object["metadata"]["resourceVersion"] = json!(revision);
                return (200, self.object.clone());
            }
            _ => body.clone(),
        };
        answer["metadata"]["resourceVersion"] = json!(revision);
        answer["metadata"]["uid"] = json!("made");
        (201, answer)
    }
}

/// RFC 7396.
fn merge(into: &mut Value, patch: &Value) {
    match patch {
        Value::Object(members) => {
            if !into.is_object() {
                *into = json!({});
            }
            for (key, value) in members {
                if value.is_null() {
                    into.as_object_mut().unwrap().remove(key);
                } else {
                    merge(&mut into[key], value);
                }
            }
        }
        other => *into = other.clone(),
    }
}

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Reviewer for Nobody {
    async fn allows(&self, _: &Identity, _: Operation, _: Option<&str>) -> Result<bool, ReviewUnavailable> {
        Ok(false)
    }
}

async fn hub() -> (Hub, credsmith_core::domain::Epoch) {
    let entropy = Arc::new(SeededEntropy::new(1));
    let master = MasterKey::new("file", zeroize::Zeroizing::new([1; 32]));
    let (keyring, _) = Keyring::open(&[Box::new(master)], Vec::new(), entropy.as_ref()).await.unwrap();
    let store = Arc::new(InMemory::new());
    let epoch = store.raise_epoch().await.unwrap();
    let clock = Arc::new(FixedClock::new("2026-01-16T12:00:00Z".parse().unwrap()));
    let reviewer = Arc::new(Nobody);
    let material = Material::new(Arc::new(KeyStock::default()));
    (Hub { store, keyring: Arc::new(keyring), clock, entropy, reviewer, material, metrics: Metrics::new() }, epoch)
}

pub const UID: &str = "0123456789";
