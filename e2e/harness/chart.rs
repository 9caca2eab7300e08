//! The chart, as helm renders it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    cluster::Cluster,
    exec,
    namespace::MADE_BY,
    tools::{Program, Tools},
    wait::eventually,
};

/// The namespace that a release goes into by default.
pub const RELEASE_NAMESPACE: &str = "credsmith-system";

/// A chart with values, for one namespace.
#[derive(Clone, Debug)]
pub struct Release {
    /// The directory of the chart.
    pub chart: PathBuf,
    pub name: String,
    pub namespace: String,
    /// What would stand in a values file.
    pub values: Value,
}

impl Default for Release {
    /// Our chart with its own values, in [`RELEASE_NAMESPACE`].
    fn default() -> Self {
        Self {
            chart: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/credsmith"),
            name: "credsmith".into(),
            namespace: RELEASE_NAMESPACE.into(),
            values: json!({}),
        }
    }
}

/// One document of what helm renders.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The YAML text, untouched.
    pub text: String,
    /// The same as data, for tests that look into it.
    pub object: Value,
}

impl Release {
    /// What `helm template` renders, CRDs included and tests left out, in its order. `home` is a directory for helm itself.
    pub async fn render(&self, tools: &Tools, home: &Path) -> Result<Vec<Manifest>> {
        if !self.chart.join("Chart.yaml").exists() {
            bail!("there is no chart in {}", self.chart.display());
        }
        let mut helm = Command::new(tools.path(Program::Helm));
        helm.env_clear()
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .args(["template", &self.name])
            .arg(&self.chart)
            .args(["--namespace", &self.namespace, "--include-crds", "--skip-tests", "--values", "-"]);
        let text = String::from_utf8(exec::output(&mut helm, self.values.to_string().as_bytes()).await?)?;
        documents(&text)
    }

    /// Applies exactly what helm renders: the CRDs first, until they are established, then the rest. Makes the namespace when
    /// it is not there. Returns what was applied.
    ///
    /// Do it first thing on a new control plane: within 2 s of the CRD becoming established, the first create of a custom
    /// resource is held up for 2 s by the API server.
    pub async fn install(&self, cluster: &Cluster) -> Result<Vec<Manifest>> {
        let manifests = cluster.render(self).await?;
        self.make_namespace(cluster).await?;
        let (crds, rest): (Vec<_>, Vec<_>) = manifests.iter().partition(|manifest| manifest.is_crd());
        self.apply(cluster, &crds).await?;
        for crd in crds {
            established(cluster, crd.name()).await?;
        }
        self.apply(cluster, &rest).await?;
        Ok(manifests)
    }

    async fn make_namespace(&self, cluster: &Cluster) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(cluster.client()?);
        if namespaces.get_opt(&self.namespace).await?.is_some() {
            return Ok(());
        }
        let labels = [(MADE_BY.0.to_owned(), MADE_BY.1.to_owned())].into();
        let metadata = ObjectMeta { name: Some(self.namespace.clone()), labels: Some(labels), ..Default::default() };
        let made = namespaces.create(&PostParams::default(), &Namespace { metadata, ..Default::default() }).await;
        match made {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()), // by somebody else, just now
            made => Ok(made.map(drop)?),
        }
    }

    async fn apply(&self, cluster: &Cluster, manifests: &[&Manifest]) -> Result<()> {
        // As helm does it, with its own field manager: a real helm can go on from here.
        let mut apply = vec!["apply", "--server-side", "--field-manager=helm", "--filename=-"];
        if cluster.own().is_some() {
            apply.push("--force-conflicts"); // in a cluster of our own nobody else's word counts
        }
        // The flag that gives a namespace to what has none refuses objects of other namespaces: those go without it.
        let (here, elsewhere): (Vec<_>, Vec<_>) = manifests
            .iter()
            .copied()
            .partition(|manifest: &&Manifest| manifest.namespace().is_none_or(|named| named == self.namespace));
        for (some, namespace) in [(here, Some(self.namespace.as_str())), (elsewhere, None)] {
            if some.is_empty() {
                continue;
            }
            let mut arguments = apply.clone();
            arguments.extend(namespace.iter().flat_map(|name| ["--namespace", name]));
            cluster.kubectl(&arguments, &joined(&some)).await.context("installing the chart")?;
        }
        Ok(())
    }
}

impl Manifest {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace, where it names one.
    pub fn namespace(&self) -> Option<&str> {
        self.object["metadata"]["namespace"].as_str()
    }

    /// True for a CustomResourceDefinition.
    pub fn is_crd(&self) -> bool {
        self.kind() == "CustomResourceDefinition"
    }
}

/// Documents as one text again.
pub(crate) fn joined(manifests: &[&Manifest]) -> String {
    manifests.iter().map(|manifest| format!("---\n{}\n", manifest.text)).collect()
}

async fn established(cluster: &Cluster, name: &str) -> Result<()> {
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client()?);
    eventually(&format!("CRD {name} to be established"), Duration::from_secs(30), || async {
        let conditions = crds.get(name).await?.status.and_then(|status| status.conditions).unwrap_or_default();
        let is = |condition: &str| conditions.iter().any(|one| one.type_ == condition && one.status == "True");
        Ok(is("Established").then_some(()))
    })
    .await
}

/// Splits where a line begins with `---`: inside of a document every such line is indented.
pub(crate) fn documents(text: &str) -> Result<Vec<Manifest>> {
    let lines: Vec<_> = text.lines().collect();
    let parsed = lines.split(|line| line.starts_with("---")).map(|lines| {
        let text = lines.join("\n");
        let object = serde_yaml::from_str(&text).with_context(|| format!("helm rendered no YAML: {text}"))?;
        Ok(Manifest { text, object })
    });
    parsed.filter(|manifest| !manifest.as_ref().is_ok_and(|manifest| manifest.object.is_null())).collect()
}
