//! A full and a failing disk: named to whoever asks, nothing lost, and all goes on by itself afterwards.
//!
//! The disk is the harness's file layer below a real operator, on a control plane of their own.

use std::time::Duration;

use anyhow::{Result, ensure};
use credsmith_harness::{
    cluster::Cluster,
    control_plane::Options,
    front::Front,
    layer::{Call, Errno, FileLayer},
    operator::{OperatorOptions, OperatorProcess},
    wait::eventually,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_full_or_failing_disk_is_named_loses_nothing_and_heals_by_itself() -> Result<()> {
    credsmith_harness::state::keep_until_the_end();
    let cluster = Cluster::start(Options::default()).await?;
    cluster.install_chart().await?;
    let namespace = cluster.namespace("disk").await?;
    let dir = cluster.fresh_dir("disk")?;
    let layer = FileLayer::over(&dir.join("store")).await?;
    let mut env = layer.env();
    env.push(("CREDSMITH_STORE".into(), format!("sqlite://{}/store.db", layer.directory().display())));
    let options = OperatorOptions { dir: Some(dir), env, ..OperatorOptions::default() };
    let operator = OperatorProcess::start(&cluster, options).await?;
    operator.ready().await?;
    let client = cluster.client()?;
    let front = allowed(&cluster, &client, &operator, namespace.name()).await?;
    let scene = Scene { layer, operator, front, client, namespace: namespace.name() };

    let full = "its disk is full; make room on the volume, then writing goes on by itself";
    let write = "its disk fails: disk I/O error (SQLite code 778); look at the volume";
    let sync = "its disk fails: disk I/O error (SQLite code 1034); look at the volume";
    scene.fails(Call::Write, Errno::NOSPC, "full", full).await?;
    scene.fails(Call::Write, Errno::IO, "write", write).await?;
    scene.fails(Call::Sync, Errno::NOSPC, "full-sync", sync).await?;
    scene.fails(Call::Sync, Errno::IO, "sync", sync).await?;
    scene.keeps_everything_through_a_power_cut().await
}

struct Scene<'a> {
    layer: FileLayer,
    operator: OperatorProcess,
    front: Front,
    client: Client,
    namespace: &'a str,
}

impl Scene<'_> {
    async fn fails(&self, call: Call, error: Errno, name: &str, cause: &str) -> Result<()> {
        let path = |more: &str| format!("/{}/{name}{more}", self.namespace);
        let before = self.put(&path("-before"), "kept").await?;
        assert_eq!(before.0, 200, "{}", before.1);
        let pid = self.operator.process().pid();

        self.layer.fail(call, error)?;
        let refused = json!({"error": format!("the store is not available: {cause}: try again in a moment")});
        for _ in 0..3 {
            assert_eq!(self.put(&path("-meanwhile"), "lost").await?, (503, refused.clone()), "{call:?} {error:?}");
        }
        let generate = json!({"name": path("-generated"), "type": "password"});
        let answer = self.front.post(DATA, &generate).await?;
        assert_eq!((answer.status, answer.json()?), (503, refused));
        assert_eq!(self.current(&path("-before")).await?, before, "what is there is read all the while");
        assert_eq!(self.current(&path("-meanwhile")).await?.0, 404, "what was refused is not there");
        self.apply(name).await?;
        let message = format!(
            "the store cannot be asked, so nothing is made: the store is not available: {cause}; it is tried again"
        );
        self.until_ready(name, ("False", "StoreUnavailable", &message)).await?;
        assert_eq!(self.operator.process().pid(), pid, "it lives");
        assert_eq!(self.plain("/healthz").await?, (200, "ok".into()));
        assert_eq!(self.plain("/readyz").await?, (503, "the store is not available".into()));

        self.layer.heal()?;
        self.until_ready(name, ("True", "InSync", "")).await?;
        assert_eq!(self.plain("/readyz").await?, (200, "ok".into()));
        assert_eq!(self.put(&path("-meanwhile"), "taken").await?.0, 200);
        assert_eq!(self.current(&path("-before")).await?, before);
        assert_eq!(self.operator.process().pid(), pid);
        Ok(())
    }

    async fn keeps_everything_through_a_power_cut(&self) -> Result<()> {
        let names = ["full", "write", "full-sync", "sync"];
        let paths = || {
            names
                .iter()
                .flat_map(|name| ["", "-before", "-meanwhile"].map(|more| format!("/{}/{name}{more}", self.namespace)))
        };
        let mut acknowledged = Vec::new();
        for path in paths() {
            acknowledged.push(self.current(&path).await?);
        }
        assert!(acknowledged.iter().all(|(status, _)| *status == 200), "{}", acknowledged.len());
        self.operator.kill()?;
        self.layer.drop_unsynced()?;
        self.operator.start_again()?;
        self.operator.ready().await?;
        for (path, before) in paths().zip(acknowledged) {
            assert_eq!(self.current(&path).await?, before, "{path}");
        }
        Ok(())
    }

    async fn put(&self, path: &str, value: &str) -> Result<(u16, Value)> {
        let answer = self.front.put(DATA, &json!({"name": path, "type": "value", "value": value})).await?;
        Ok((answer.status, answer.json()?))
    }

    async fn current(&self, path: &str) -> Result<(u16, Value)> {
        let answer = self.front.get(&format!("{DATA}?name={path}&current=true")).await?;
        let mut body = answer.json()?;
        let first = body["data"].get_mut(0).map(Value::take);
        Ok((answer.status, first.unwrap_or(body)))
    }

    async fn plain(&self, path: &str) -> Result<(u16, String)> {
        let front = Front::new(&self.operator.plain_url(), &self.operator.ca().await?)?;
        let answer = front.get(path).await?;
        Ok((answer.status, answer.text))
    }

    async fn apply(&self, name: &str) -> Result<()> {
        let object = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name},
            "spec": {"type": "password"},
        });
        self.credentials().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    async fn until_ready(&self, name: &str, expected: (&str, &str, &str)) -> Result<()> {
        eventually(&format!("Ready of {name} to be {expected:?}"), Duration::from_secs(30), async || {
            let object = self.credentials().get(name).await?;
            let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
            let found = ["status", "reason", "message"].map(|field| ready[field].as_str().unwrap_or_default());
            ensure!(found == [expected.0, expected.1, expected.2], "it is {found:?}");
            Ok(Some(()))
        })
        .await
    }

    fn credentials(&self) -> Api<DynamicObject> {
        let kind = ApiResource::erase::<credsmith_operator::Credential>(&());
        Api::namespaced_with(self.client.clone(), self.namespace, &kind)
    }
}

/// The front for a ServiceAccount that may read and write values in a namespace.
async fn allowed(cluster: &Cluster, client: &Client, operator: &OperatorProcess, namespace: &str) -> Result<Front> {
    let verbs = "--verb=get,list,update,delete";
    let role =
        ["create", "role", "values", verbs, "--resource=credentials.credsmith.dev/value", "--namespace", namespace];
    cluster.kubectl(&role, "").await?;
    let account = format!("--serviceaccount={namespace}:default");
    let binding = ["create", "rolebinding", "values", "--role=values", &account, "--namespace", namespace];
    cluster.kubectl(&binding, "").await?;
    operator.front().await?.as_service_account(client, namespace, "default").await
}

const DATA: &str = "/api/v1/data";
