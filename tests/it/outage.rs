//! API server and etcd are killed for a minute: the front serves whoever it knows, and afterwards the operator catches up
//! without asking for more than it needs.

mod load;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use credsmith_harness::{
    audit::Audit,
    cluster::Cluster,
    control_plane::{Component, ControlPlane, Options},
    front::Front,
    namespace::Namespace,
    operator::{OperatorOptions, OperatorProcess},
    process::Signal,
    requests::{Log, Needless, Request, now},
    wait::{eventually, wait_for_condition},
};
use credsmith_operator::Credential;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use load::{Load, Reader};

#[tokio::test(flavor = "multi_thread")]
async fn known_callers_are_served_while_the_api_server_is_away() -> Result<()> {
    let scene = Scene::set().await?;
    let load = Load::start(scene.readers().await?).await?;
    let (writer, stranger) = (scene.caller("writer").await?, scene.caller("stranger").await?);
    scene.set_token(&writer, "before").await?;
    scene.token_is("before").await?;
    scene.leave_the_watches_behind().await?;

    let plane = scene.plane()?;
    // At once: an API server without its etcd would still answer some questions.
    tokio::try_join!(plane.kill(Component::Apiserver, Signal::KILL), plane.kill(Component::Etcd, Signal::KILL))?;
    let over = Instant::now() + OUTAGE;
    let answer = stranger.get(&scene.path("p0")).await?;
    ensure!(matches!(answer.status, 401 | 503), "a caller who was not seen before is answered {}", answer.status);
    let answer = load.readers[0].front.put("/api/v1/data", &scene.token("mine")).await?;
    ensure!(matches!(answer.status, 403 | 503), "a right that was not asked for before is answered {}", answer.status);
    scene.set_token(&writer, "during").await?;
    sleep_until(over).await; // the length of the outage is what is tested

    let back = now();
    plane.start_again(Component::Etcd).await?;
    plane.compact_etcd().await?; // every watch has to begin anew
    plane.start_again(Component::Apiserver).await?;
    scene.token_is("during").await?;
    scene.apply("late", json!({"type": "password"})).await?;
    scene.is_ready("late").await?;
    let answer = stranger.get(&scene.path("p0")).await?;
    ensure!(answer.status == 200, "with the API server back a new caller is answered {}", answer.status);

    let served = load.stop().await?;
    tell!("served {} of {}", served.good, served.all);
    assert!(served.good == served.all, "{:?}", served.bad);
    assert!(served.all > usize::try_from(OUTAGE.as_secs())? * 49, "the load was {} requests", served.all);
    scene.nothing_needless_since(back).await?;
    scene.the_newest_secret_comes_back_although_nobody_saw_it_go().await
}

/// A namespace with some credentials, callers of the front, and an operator in a control plane of its own.
struct Scene {
    operator: OperatorProcess,
    client: Client,
    namespace: Namespace,
    cluster: Cluster, // the last: the others live in it
}

impl Scene {
    async fn set() -> Result<Self> {
        credsmith_harness::state::keep_until_the_end();
        let cluster = Cluster::start(Options { audit: Audit::Everything, ..Options::default() }).await?;
        cluster.install_chart().await?;
        let operator = OperatorProcess::start(&cluster, OperatorOptions::default()).await?;
        operator.ready().await?;
        let namespace = cluster.namespace("outage").await?;
        let scene = Self { operator, client: cluster.client()?, namespace, cluster };
        scene.cluster.kubectl(&["apply", "--namespace", scene.namespace.name(), "--filename=-"], CALLERS).await?;
        for nth in 0..PASSWORDS {
            scene.apply(&format!("p{nth}"), json!({"type": "password"})).await?;
        }
        // One with a source, whose namespace is then watched as well.
        let from = json!({"name": "source", "key": "value"});
        scene.apply("copy", json!({"type": "value", "value": {"fromSecret": from}})).await?;
        scene.apply("token", json!({"type": "value"})).await?;
        for name in (0..PASSWORDS).map(|nth| format!("p{nth}")).chain(["copy".into()]) {
            scene.is_ready(&name).await?;
        }
        scene.says("token", "WaitingForInput").await?;
        Ok(scene)
    }

    fn plane(&self) -> Result<&ControlPlane> {
        self.cluster.own().context("it was just started")
    }

    async fn apply(&self, name: &str, spec: Value) -> Result<()> {
        let object = Credential::new(name, serde_json::from_value(spec)?);
        self.credentials().create(&PostParams::default(), &object).await?;
        Ok(())
    }

    async fn is_ready(&self, name: &str) -> Result<()> {
        self.says(name, "InSync").await
    }

    async fn says(&self, name: &str, reason: &str) -> Result<()> {
        let says = |object: Option<&Credential>| {
            let conditions = object.and_then(|object| object.status.as_ref()).map(|status| &status.conditions);
            conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.reason == reason)
        };
        wait_for_condition(&self.credentials(), name, reason, Duration::from_secs(60), says).await.map(drop)
    }

    fn credentials(&self) -> Api<Credential> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    async fn caller(&self, name: &str) -> Result<Front> {
        self.operator.front().await?.as_service_account(&self.client, self.namespace.name(), name).await
    }

    async fn readers(&self) -> Result<Vec<Reader>> {
        let mut readers = Vec::new();
        for nth in 0..PASSWORDS {
            readers.push(Reader {
                front: self.caller(&format!("reader-{nth}")).await?,
                path: self.path(&format!("p{nth}")),
            });
        }
        Ok(readers)
    }

    fn path(&self, name: &str) -> String {
        format!("/api/v1/data?name=/{}/{name}&current=true", self.namespace.name())
    }

    fn token(&self, value: &str) -> Value {
        json!({"name": format!("/{}/token", self.namespace.name()), "type": "value", "value": value})
    }

    async fn set_token(&self, writer: &Front, value: &str) -> Result<()> {
        let answer = writer.put("/api/v1/data", &self.token(value)).await?;
        ensure!(answer.status == 200, "PUT was answered {}", answer.status);
        Ok(())
    }

    /// Waits until the Secret shows what was written over the API.
    async fn token_is(&self, value: &str) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace.name());
        eventually(&format!("the Secret to hold what was written {value}"), Duration::from_secs(30), || async {
            let data = secrets.get_opt("token").await?.and_then(|secret| secret.data).unwrap_or_default();
            Ok(data.get("value").is_some_and(|bytes| bytes.0 == value.as_bytes()).then_some(()))
        })
        .await
    }

    /// Writes something that none of the operator's watches shows, so that none of them is at the newest revision.
    async fn leave_the_watches_behind(&self) -> Result<()> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), self.namespace.name());
        let map = serde_json::from_value(json!({"metadata": {"name": "unwatched"}}))?;
        maps.create(&PostParams::default(), &map).await?;
        Ok(())
    }

    /// The list that the watch begins anew with has nothing as new as that Secret was.
    async fn the_newest_secret_comes_back_although_nobody_saw_it_go(&self) -> Result<()> {
        let (plane, process) = (self.plane()?, self.operator.process());
        plane.kill(Component::Apiserver, Signal::KILL).await?;
        process.signal(Signal::STOP)?;
        plane.start_again(Component::Apiserver).await?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), self.namespace.name());
        let ours = ListParams::default().labels("credsmith.dev/managed=true");
        let revision = |secret: &Secret| secret.resource_version().and_then(|text| text.parse::<u64>().ok());
        let newest = secrets.list(&ours).await?.items.into_iter().max_by_key(revision).context("some Secrets")?;
        let (name, uid) = (newest.name_any(), newest.uid());
        secrets.delete(&name, &DeleteParams::default()).await?;
        plane.compact_etcd().await?; // the deletion cannot be watched any more
        process.signal(Signal::CONT)?;
        eventually(&format!("Secret {name}, deleted unseen"), Duration::from_secs(30), || async {
            Ok(secrets.get_opt(&name).await?.filter(|secret| secret.uid() != uid).map(drop))
        })
        .await?;
        self.is_ready(&name).await
    }

    /// What the operator asked of the API server since it was back: nothing was written that nobody touched, and each watch
    /// that could not go on where it was cost one list.
    async fn nothing_needless_since(&self, back: Timestamp) -> Result<()> {
        let mut log = Log::of(self.plane()?);
        log.wait_for_quiet().await?;
        let requests = log.since(back)?;
        let touched: HashSet<_> = ["token", "late"].map(|name| (self.namespace.name().into(), name.into())).into();
        let needless = Needless::among(requests.iter().filter(|request| request.writes()), &touched);
        assert_eq!(needless.count(), 0, "\n{needless}");

        let count = |verb: &str| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            let answered = |request: &&Request| request.verb == verb && request.code == 200;
            for request in requests.iter().filter(answered) {
                *counts.entry(format!("{} in {:?}", request.resource, request.namespace)).or_default() += 1;
            }
            counts
        };
        let (lists, watches) = (count("list"), count("watch"));
        tell!("lists after the outage: {lists:?}");
        assert!(!lists.is_empty(), "no watch was behind what etcd forgot");
        assert!(lists.values().all(|count| *count == 1), "a watch cost more than one list: {lists:?}");
        assert_eq!(watches.len(), WATCHES, "watches that go on: {watches:?}");
        Ok(())
    }
}

const OUTAGE: Duration = Duration::from_secs(60);
/// Each with a reader of its own.
const PASSWORDS: usize = 5;
/// Objects, our Secrets, the Secrets of the namespace with a source, namespaces, and the front's authority.
const WATCHES: usize = 5;

/// Readers may only read; the writer may only write; the stranger may read too, but does not ask before the outage.
const CALLERS: &str = r#"
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: reader-0}}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: reader-1}}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: reader-2}}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: reader-3}}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: reader-4}}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: writer}}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: stranger}}
  - apiVersion: v1
    kind: Secret
    metadata: {name: source, annotations: {credsmith.dev/allow-adoption: "true"}}
    stringData: {value: given}
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: {name: readers}
    rules: [{apiGroups: [credsmith.dev], resources: [credentials/value], verbs: [get]}]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: {name: writers}
    rules: [{apiGroups: [credsmith.dev], resources: [credentials/value], verbs: [update]}]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: {name: readers}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: readers}
    subjects:
      - {kind: ServiceAccount, name: reader-0}
      - {kind: ServiceAccount, name: reader-1}
      - {kind: ServiceAccount, name: reader-2}
      - {kind: ServiceAccount, name: reader-3}
      - {kind: ServiceAccount, name: reader-4}
      - {kind: ServiceAccount, name: stranger}
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: {name: writers}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: writers}
    subjects: [{kind: ServiceAccount, name: writer}]
"#;
