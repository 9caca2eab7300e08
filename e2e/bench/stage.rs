//! Where it happens: a control plane of its own with the chart in it, and the objects of each round.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use credsmith_harness::{
    audit::Audit,
    chart::RELEASE_NAMESPACE,
    cluster::Cluster,
    control_plane::{ControlPlane, Options},
    drift::credentials,
    kubeconfig,
    operator::{OperatorOptions, OperatorProcess},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde_json::json;

use crate::{seen::Seen, template::Template};

/// A `Credential` that was made, and is to have a Secret of the same name.
#[derive(Clone, Debug)]
pub struct Object {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// A control plane with the chart installed.
pub struct Stage {
    cluster: Cluster,
    client: Client,
    /// The operator, release build.
    program: PathBuf,
}

impl Stage {
    /// Starts everything but the operator.
    pub async fn set() -> Result<Self> {
        // The one beside this program and no other: a debug build would be measured as if it were the product.
        let program = env::current_exe()?.with_file_name("credsmith");
        if !program.is_file() {
            bail!("{} is not there: run `make bench-operator`, which builds it", program.display());
        }
        let cluster = Cluster::start(Options { audit: Audit::Operator, ..Options::default() }).await?;
        cluster.install_chart().await?;
        let client = cluster.client()?;
        Ok(Self { cluster, client, program })
    }

    /// A client for its administrator.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its processes.
    pub fn plane(&self) -> Result<&ControlPlane> {
        self.cluster.own().context("a control plane of its own")
    }

    /// Starts the operator on a store of its own.
    pub async fn operator(&self) -> Result<OperatorProcess> {
        let options = OperatorOptions { program: Some(self.program.clone()), ..OperatorOptions::default() };
        OperatorProcess::start(&self.cluster, options).await
    }

    /// The address of the API server, and a token for the floor's client: a ServiceAccount in the namespace of the release, so
    /// that the API server authenticates, authorizes, queues and records its requests as it does the operator's.
    pub async fn floor_account(&self) -> Result<(kube::Config, String)> {
        self.cluster.kubectl(&["apply", "--server-side", "--filename=-"], FLOOR_ACCOUNT).await?;
        let token = kubeconfig::token(&self.client, RELEASE_NAMESPACE, FLOOR, None, DAY).await?;
        Ok((self.cluster.config().clone(), token))
    }

    /// What the operator writes for one object.
    pub async fn sample(&self) -> Result<Template> {
        let object = self.make_in(&["bench-sample".to_owned()], "the-sample", 1).await?.remove(0);
        let seen = Seen::start(&self.client, &object.namespace, 1).await?;
        let operator = self.operator().await?;
        seen.all(Duration::from_secs(60))
            .await
            .with_context(|| format!("its log: {}", operator.process().log_tail()))?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &object.namespace);
        let secret = serde_json::to_value(secrets.get(&object.name).await?)?;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &object.namespace, &credentials());
        let credential = serde_json::to_value(api.get(&object.name).await?)?;
        operator.terminate().await?;
        self.clear(std::slice::from_ref(&object)).await?;
        Template::of(object, secret, &credential)
    }

    /// Makes `count` objects in a few namespaces whose names begin with `prefix`.
    pub async fn make(&self, prefix: &str, count: usize) -> Result<Vec<Object>> {
        let namespaces: Vec<_> =
            (0..(count / 100).clamp(2, MOST_NAMESPACES)).map(|nth| format!("{prefix}-{nth}")).collect();
        self.make_in(&namespaces, "c", count).await
    }

    async fn make_in(&self, namespaces: &[String], name: &str, count: usize) -> Result<Vec<Object>> {
        let all: Api<Namespace> = Api::all(self.client.clone());
        for name in namespaces {
            let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
            all.create(&PostParams::default(), &namespace).await?;
        }
        let make = |nth: usize| {
            let (namespace, name) = (namespaces[nth % namespaces.len()].clone(), format!("{name}{nth:05}"));
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &credentials());
            async move {
                let object = DynamicObject::new(&name, &credentials()).data(json!({"spec": {"type": "password"}}));
                let made = api.create(&PostParams::default(), &object).await?;
                Ok::<_, anyhow::Error>(Object { namespace, name, uid: made.uid().context("a UID")? })
            }
        };
        stream::iter(0..count).map(make).buffered(SIDE_BY_SIDE).try_collect().await
    }

    /// Deletes objects with their Secrets, so that the operator's next start does not find them. The namespaces stay: the API
    /// server would go through everything that may be in one.
    pub async fn clear(&self, objects: &[Object]) -> Result<()> {
        let mut namespaces: Vec<_> = objects.iter().map(|object| object.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let (how, which) = (DeleteParams::default(), ListParams::default());
        let clear = async |namespace: &str| {
            // The Secrets first, or else the garbage collector would find them one by one.
            let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
            secrets.delete_collection(&how, &which).await?;
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &credentials());
            api.delete_collection(&how, &which).await.map(drop)
        };
        stream::iter(namespaces).map(clear).buffer_unordered(MOST_NAMESPACES).try_collect::<()>().await?;
        Ok(())
    }
}

const FLOOR: &str = "bench-floor";
const FLOOR_ACCOUNT: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: bench-floor, namespace: credsmith-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bench-floor}
rules:
  - {apiGroups: [credsmith.dev], resources: [credentials/status], verbs: [patch]}
  - {apiGroups: [\"\"], resources: [secrets], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bench-floor}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bench-floor}
subjects:
  - {kind: ServiceAccount, name: bench-floor, namespace: credsmith-system}
";
const MOST_NAMESPACES: usize = 8;
const SIDE_BY_SIDE: usize = 16;
const DAY: i64 = 86_400;
