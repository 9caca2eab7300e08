//! What the tests share: a control plane, an operator process that logs everything, and a namespace for each test.

use std::{collections::BTreeMap, fmt::Debug, path::Path, sync::Mutex, time::Duration};

use anyhow::Result;
use credsmith_core::{keyring::master_key, world::SystemEntropy};
use credsmith_harness::{
    cluster::Cluster,
    namespace::Namespace,
    operator::{OperatorOptions, OperatorProcess},
    shared::shared,
    state,
    wait::eventually,
};
use credsmith_operator::Credential;
use k8s_openapi::api::{
    core::v1::{Secret, ServiceAccount},
    events::v1::Event,
    rbac::v1::RoleBinding,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub use super::{
    callers::{Caller, HEARD},
    says::Says,
};

/// The operator that all tests of this process share.
pub async fn operator() -> &'static OperatorProcess {
    static OPERATOR: OnceCell<Result<OperatorProcess, String>> = OnceCell::const_new();
    let begin = || async {
        state::keep_until_the_end();
        let cluster = shared().await;
        cluster.install_chart().await.map_err(|error| format!("{error:#}"))?;
        start(cluster, OperatorOptions::default()).await.map_err(|error| format!("{error:#}"))
    };
    let operator = OPERATOR.get_or_init(begin).await;
    operator.as_ref().unwrap_or_else(|error| panic!("no operator for the tests: {error}"))
}

/// Starts an operator that logs everything, and waits until it is ready.
pub async fn start(cluster: &Cluster, options: OperatorOptions) -> Result<OperatorProcess> {
    let operator = OperatorProcess::start(cluster, OperatorOptions { log: "trace".into(), ..options }).await?;
    operator.ready().await?;
    Ok(operator)
}

/// Writes a new master key.
pub fn fresh_key(file: &Path) {
    state::write_private(file, master_key::fresh(&SystemEntropy).expose()).unwrap();
}

/// A namespace with whatever a test puts into it. Everything in here panics where it fails, so that a test reads as a
/// transcript.
pub struct Scene {
    pub client: Client,
    pub cluster: &'static Cluster,
    pub operator: &'static OperatorProcess,
    namespace: Option<Namespace>,
    name: String,
}

impl Scene {
    pub async fn new() -> Self {
        let operator = operator().await;
        let cluster = shared().await;
        let namespace = cluster.namespace("shop").await.unwrap();
        let (client, name) = (cluster.client().unwrap(), namespace.name().to_owned());
        Self { client, cluster, operator, namespace: Some(namespace), name }
    }

    /// Its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same with a namespace of the same name, made anew.
    pub async fn made_again(mut self) -> Self {
        self.namespace.take().unwrap().delete(&self.client, true).await.unwrap();
        let namespace = Namespace::named(self.cluster, &self.name).await.unwrap();
        Self { namespace: Some(namespace), ..self }
    }

    /// The path that an object has when it says nothing else.
    pub fn path(&self, object: &str) -> String {
        format!("/{}/{object}", self.name)
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Applies a `Credential`.
    pub async fn apply(&self, name: &str, spec: Value) -> Credential {
        self.apply_annotated(name, json!({}), spec).await
    }

    /// Applies a `Credential` with annotations.
    pub async fn apply_annotated(&self, name: &str, annotations: Value, spec: Value) -> Credential {
        self.try_apply(name, annotations, spec).await.unwrap()
    }

    /// The same, where the API server may not be there.
    pub async fn try_apply(&self, name: &str, annotations: Value, spec: Value) -> kube::Result<Credential> {
        let object = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential",
            "metadata": {"name": name, "annotations": annotations}, "spec": spec,
        });
        self.api().patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await
    }

    /// Sets an annotation, or takes it away where the value is null.
    pub async fn annotate<K>(&self, name: &str, annotation: &str, value: Value)
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Deletes a `Credential` and waits until it is gone.
    pub async fn delete(&self, name: &str) {
        let objects = self.api::<Credential>();
        objects.delete(name, &DeleteParams::default()).await.unwrap();
        self.until("the end of the object", || async {
            Ok(objects.get_metadata_opt(name).await?.is_none().then_some(()))
        })
        .await;
    }

    /// Waits until the `Credential` says that it is `Ready`, or why not, by this reason, about the spec as it is now.
    pub async fn reason(&self, name: &str, reason: &str) -> Credential {
        self.status(name, &format!("Ready to be {reason}"), |object| object.condition("Ready").reason == reason).await
    }

    /// Waits until that holds for the status, which is about the spec as it is now.
    pub async fn status(&self, name: &str, what: &str, holds: impl Fn(&Credential) -> bool) -> Credential {
        let (objects, last) = (self.api::<Credential>(), Mutex::new(String::new()));
        let what = format!("{name}: {what}");
        let found = eventually(&what, PATIENCE, || async {
            let object = objects.get(name).await?;
            let observed = object.status.as_ref().and_then(|status| status.observed_generation);
            *last.lock().unwrap() = format!("{:#?}", object.status.as_ref().map(|status| &status.conditions));
            Ok(Some(object).filter(|object| observed == object.metadata.generation && holds(object)))
        });
        found.await.unwrap_or_else(|error| panic!("{error:#}; it says {}", last.lock().unwrap()))
    }

    /// A Secret of somebody else.
    pub async fn stranger(&self, name: &str, data: Value) -> Secret {
        let secret = json!({"metadata": {"name": name}, "stringData": data});
        let secret = serde_json::from_value(secret).unwrap();
        self.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap()
    }

    /// The same, and it may be read into a credential.
    pub async fn source(&self, name: &str, data: Value) {
        self.stranger(name, data).await;
        self.allow(name).await;
    }

    pub async fn allow(&self, secret: &str) {
        self.annotate::<Secret>(secret, "credsmith.dev/allow-adoption", json!("true")).await;
    }

    /// The Secret.
    pub async fn secret(&self, name: &str) -> Secret {
        self.api::<Secret>().get(name).await.unwrap()
    }

    /// What stands in the Secret.
    pub async fn values(&self, name: &str) -> BTreeMap<String, String> {
        values(self.secret(name).await)
    }

    /// Waits until that stands in the Secret.
    pub async fn shows(&self, name: &str, key: &str, value: &str) {
        self.until(&format!("key {key} of Secret {name}"), || async {
            let secret = self.api::<Secret>().get_opt(name).await?;
            Ok(secret.and_then(|secret| values(secret).remove(key)).filter(|now| now == value).map(drop))
        })
        .await;
    }

    /// Waits until there is no such Secret.
    pub async fn no_secret(&self, name: &str) {
        self.until(&format!("the end of Secret {name}"), || async {
            Ok(self.api::<Secret>().get_metadata_opt(name).await?.is_none().then_some(()))
        })
        .await;
    }

    /// A ServiceAccount of this namespace that may do everything with the values of `target`.
    pub async fn caller_of(&self, name: &str, target: &str) -> Caller {
        let accounts = self.api::<ServiceAccount>();
        let account = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let _ = accounts.create(&PostParams::default(), &account).await; // there already: fine
        for role in ["credsmith-value-reader", "credsmith-value-writer"] {
            let binding: RoleBinding = serde_json::from_value(json!({
                "metadata": {"name": format!("{}-{name}-{role}", self.name)},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.name}],
            }))
            .unwrap();
            let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), target);
            bindings.create(&PostParams::default(), &binding).await.unwrap();
        }
        Caller::new(self.operator, &self.client, &self.name, name).await
    }

    /// The same for the values of this namespace.
    pub async fn caller(&self) -> Caller {
        self.caller_of("app", &self.name).await
    }

    /// Events about an object, oldest first: type, reason and note.
    pub async fn events(&self, object: &str) -> Vec<String> {
        let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.regarding.as_ref().is_some_and(|about| about.name.as_deref() == Some(object)));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let text = |text: Option<String>| text.unwrap_or_default();
        events.into_iter().map(|e| format!("{} {}: {}", text(e.type_), text(e.reason), text(e.note))).collect()
    }

    /// Waits until there are so many events about an object.
    pub async fn events_until(&self, object: &str, count: usize) -> Vec<String> {
        let enough = || async { Ok(Some(self.events(object).await).filter(|events| events.len() >= count)) };
        self.until("events", enough).await
    }

    /// Runs kubectl in the namespace; what it prints, or what it says when it fails.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--namespace", &self.name]).collect();
        self.cluster.kubectl(&arguments, input).await
    }

    pub async fn until<T, A: Future<Output = Result<Option<T>>>>(&self, what: &str, condition: impl FnMut() -> A) -> T {
        until(what, condition).await
    }
}

/// Waits for that, and panics where it does not come.
pub async fn until<T, A: Future<Output = Result<Option<T>>>>(what: &str, condition: impl FnMut() -> A) -> T {
    eventually(what, PATIENCE, condition).await.unwrap_or_else(|error| panic!("{error:#}"))
}

/// Flips a bit of a version's sealed bytes, as a failing disk would, beside the running process.
pub fn damage(operator: &OperatorProcess, version: &str) {
    let id = uuid::Uuid::parse_str(version).unwrap();
    let store = Connection::open(operator.dir().join("store.db")).unwrap();
    store.busy_timeout(PATIENCE).unwrap();
    let find = "SELECT sealed FROM version WHERE id = ?1";
    let mut sealed: Vec<u8> = store.query_row(find, [id.as_bytes()], |row| row.get(0)).unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    let changed = store.execute("UPDATE version SET sealed = ?2 WHERE id = ?1", (id.as_bytes(), sealed)).unwrap();
    assert_eq!(changed, 1);
}

/// What stands in a Secret.
pub fn values(secret: Secret) -> BTreeMap<String, String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    secret.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, text(bytes.0))).collect()
}

pub const PATIENCE: Duration = Duration::from_secs(45);
