//! Credentials of several types in several namespaces, all made and Ready.

mod authority;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster, follow::Followed, front::Front, namespace::Namespace, operator::OperatorProcess, requests::Key,
};

/// What was made.
#[derive(Debug)]
pub struct Population {
    /// Of the objects and of their Secrets.
    pub keys: Vec<Key>,
    /// How long it took, from the first create to the last one that was Ready.
    pub took: Duration,
    /// They go with it.
    _namespaces: Vec<Namespace>,
}

impl Population {
    /// Makes `count` of them.
    pub async fn make(cluster: &Cluster, operator: &OperatorProcess, count: usize) -> Result<Self> {
        let client = cluster.client()?;
        let namespaces: Vec<_> = stream::iter(0..(count / 100).clamp(2, MOST_NAMESPACES))
            .map(|_| cluster.namespace("drift"))
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
        for namespace in &namespaces {
            make_source(&client, namespace.name()).await?;
        }
        authority::make(&client, namespaces.iter().map(Namespace::name)).await?;
        let front = writer(cluster, operator).await?;
        let keys: Vec<Key> = (0..count)
            .map(|nth| (namespaces[nth % namespaces.len()].name().to_owned(), format!("c{nth:04}")))
            .collect();

        let reasons = Followed::start(Api::all_with(client.clone(), &credentials()), reason).await?;
        let started = Instant::now();
        let make = |(nth, key)| make_one(&client, &front, &reasons, Kind::of(nth), key);
        stream::iter(keys.iter().enumerate()).map(make).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        let patience = Duration::from_secs(60) + Duration::from_millis(200) * u32::try_from(count)?;
        reasons
            .until("all credentials to be in sync", patience, |all| {
                keys.iter().all(|key| all.get(key).is_some_and(|latest| latest.value == "InSync"))
            })
            .await?;
        Ok(Self { keys, took: started.elapsed(), _namespaces: namespaces })
    }

    /// How many objects generate their value: those need no request but the create of the Secret and the patch of the status.
    pub fn generated(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().enumerate().filter(|(nth, _)| Kind::of(*nth).is_generated()).map(|(_, key)| key)
    }
}

/// What they are, of twenty each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Password,
    PasswordWithKeys,
    /// Its Secret has no owner reference: only labels and annotations say whose it is.
    PasswordRetained,
    User,
    UserWithKeys,
    ValueFromSecret,
    JsonOverApi,
    JsonExpanded,
    Ssh,
    /// Its Secret has the certificate, its key and what verifies it.
    Certificate,
}

impl Kind {
    fn of(nth: usize) -> Self {
        match nth % 20 {
            0 => Self::PasswordWithKeys,
            1 => Self::PasswordRetained,
            2..6 => Self::Password,
            6 | 15 => Self::Ssh,
            7 | 14 => Self::Certificate,
            8 => Self::UserWithKeys,
            9..14 => Self::User,
            16 | 17 => Self::ValueFromSecret,
            18 => Self::JsonOverApi,
            _ => Self::JsonExpanded,
        }
    }

    fn is_generated(self) -> bool {
        !matches!(self, Self::ValueFromSecret | Self::JsonOverApi | Self::JsonExpanded)
    }

    fn spec(self) -> Value {
        match self {
            Self::Password => json!({"type": "password"}),
            Self::PasswordWithKeys => json!({"type": "password", "target": {"keys": {"db-password": "password"}}}),
            Self::PasswordRetained => json!({"type": "password", "target": {"deletionPolicy": "Retain"}}),
            Self::User => json!({"type": "user", "user": {"username": "orders"}}),
            Self::UserWithKeys => json!({
                "type": "user",
                "user": {"username": "orders"},
                "target": {"keys": {"login": "username", "secret": "password"}},
            }),
            Self::ValueFromSecret => {
                json!({"type": "value", "value": {"fromSecret": {"name": SOURCE, "key": "value"}}})
            }
            Self::JsonOverApi => json!({"type": "json"}),
            Self::JsonExpanded => json!({"type": "json", "target": {"expand": true}}),
            Self::Ssh => json!({"type": "ssh", "ssh": {"algorithm": "ed25519"}}),
            Self::Certificate => authority::leaf(),
        }
    }
}

async fn make_one(client: &Client, front: &Front, reasons: &Followed<String>, kind: Kind, key: &Key) -> Result<()> {
    let (namespace, name) = key;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &credentials());
    let object = DynamicObject::new(name, &credentials()).data(json!({"spec": kind.spec()}));
    api.create(&PostParams::default(), &object).await?;
    if !matches!(kind, Kind::JsonOverApi | Kind::JsonExpanded) {
        return Ok(());
    }
    // Not before the path belongs to the object: what the API made first would need an administrator's consent.
    let waits = |latest: &str| latest == "WaitingForInput";
    reasons
        .until(&format!("{name} to wait for its value"), Duration::from_secs(60), |all| {
            all.get(key).is_some_and(|latest| waits(&latest.value))
        })
        .await?;
    let body = json!({"name": format!("/{namespace}/{name}"), "type": "json", "value": {"host": "db", "user": name}});
    let answer = front.put("/api/v1/data", &body).await?;
    ensure!(answer.status == 200, "PUT of {namespace}/{name} was answered {}", answer.status);
    Ok(())
}

/// A Secret that the objects of a namespace read their value from.
async fn make_source(client: &Client, namespace: &str) -> Result<()> {
    let source = json!({
        "metadata": {"name": SOURCE, "annotations": {"credsmith.dev/allow-adoption": "true"}},
        "stringData": {"value": format!("given to {namespace}")},
    });
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &serde_json::from_value(source)?).await.context("a source")?;
    Ok(())
}

/// The front as somebody who may write everywhere.
async fn writer(cluster: &Cluster, operator: &OperatorProcess) -> Result<Front> {
    let client = cluster.client()?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    accounts.create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": WRITER}}))?).await?;
    let role = ["create", "clusterrole", WRITER, "--verb=update", "--resource=credentials.credsmith.dev/value"];
    cluster.kubectl(&role, "").await?;
    let account = format!("--serviceaccount=default:{WRITER}");
    let binding = ["create", "clusterrolebinding", WRITER, &format!("--clusterrole={WRITER}"), &account];
    cluster.kubectl(&binding, "").await?;
    operator.front().await?.as_service_account(&client, "default", WRITER).await
}

/// The resource, without the crate that defines it: the harness knows the product from outside.
pub fn credentials() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("credsmith.dev", "v1alpha1", "Credential"), "credentials")
}

/// The reason of its `Ready`.
fn reason(object: &DynamicObject) -> String {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    ready.and_then(|ready| ready["reason"].as_str()).unwrap_or_default().to_owned()
}

const SOURCE: &str = "source";
const WRITER: &str = "drift-writer";
const MOST_NAMESPACES: usize = 8;
const SIDE_BY_SIDE: usize = 16;
