//! A cluster with the operator in it that stays up for a shell: `harness up`, `env` and `down`.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::Api;

use crate::{
    chart::{Manifest, Release, joined},
    cluster::{Cluster, named_context},
    control_plane::{Component, ControlPlane, Options},
    namespace::MADE_BY,
    operator::{OperatorOptions, OperatorProcess},
    process::{self, Lifetime, Signal},
    state::{self, StateDir, write_private},
    tools::say,
};

/// The cluster of this user's shell: a control plane that survives the command that started it, or the cluster of the kubectl
/// context that `CONTEXT` names; the chart in it, and the operator as a process of this host.
///
/// Its state is in `CREDSMITH_STATE`, by default in the cache.
#[derive(Debug)]
pub struct Sandbox {
    pub cluster: Cluster,
    /// The operator, when it runs.
    pub operator: Option<OperatorProcess>,
    dir: PathBuf,
}

impl Sandbox {
    /// Starts what is not running yet, and says on standard error what it does. After a restart of the machine everything that was
    /// in the cluster is there again.
    pub async fn up(with_operator: bool) -> Result<Self> {
        let dir = directory()?;
        let _turn = take_turn(&dir)?;
        claim(&dir)?;
        let up = Self::up_in(&dir, with_operator).await;
        let made_nothing =
            named_context().is_some() && !dir.join(APPLIED).exists() && !dir.join(CONTROL_PLANE).exists();
        if up.is_err() && made_nothing {
            // There is nothing in somebody's cluster that `down` would have to know of.
            fs::remove_dir_all(&dir).ok();
        }
        up
    }

    async fn up_in(dir: &Path, with_operator: bool) -> Result<Self> {
        let cluster = match named_context() {
            Some(name) => Cluster::of_context(&name, StateDir::kept(dir)?).await?,
            None => Cluster::of(own_control_plane(dir).await?).await?,
        };
        let mut sandbox = Self { cluster, operator: None, dir: dir.to_owned() };
        sandbox.install().await?;
        if with_operator {
            sandbox.operator = Some(sandbox.running_operator().await?);
        }
        Ok(sandbox)
    }

    /// What is up, `None` when nothing is.
    pub async fn find() -> Result<Option<Self>> {
        let dir = directory()?;
        if !dir.join(APPLIED).exists() {
            return Ok(None);
        }
        let cluster = match named_context() {
            Some(name) => Cluster::of_context(&name, StateDir::kept(&dir)?).await?,
            None => match ControlPlane::open(&dir.join(CONTROL_PLANE)).await? {
                Some(plane) if plane.is_running(Component::Apiserver) => Cluster::of(plane).await?,
                _ => return Ok(None),
            },
        };
        let operator = OperatorProcess::open(&cluster, &dir.join(OPERATOR))?;
        let operator = operator.filter(|operator| operator.process().alive());
        Ok(Some(Self { cluster, operator, dir }))
    }

    /// Ends what is up, and removes its state. Of a cluster named by `CONTEXT` only what [`up`](Self::up) and the demo made there:
    /// that includes the CRDs, and with them every custom resource. False when nothing was up.
    pub async fn down() -> Result<bool> {
        let dir = directory()?;
        let _turn = take_turn(&dir)?;
        if !dir.join(MARK).exists() {
            return Ok(false);
        }
        if named_context().is_some()
            && let Some(sandbox) = Self::find().await?
        {
            sandbox.uninstall().await?;
        }
        process::end_all(&dir.join(OPERATOR))?;
        process::end_all(&dir.join(CONTROL_PLANE).join("run"))?;
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        Ok(true)
    }

    /// Lines for a shell to evaluate: `KUBECONFIG` and `PATH`, and while an operator runs `URL` and `CA` (a file) of its front.
    pub fn exports(&self) -> String {
        let path: String = self.cluster.tools().directories().map(|dir| format!("{}:", quoted(dir))).collect();
        let mut lines =
            format!("export KUBECONFIG={}\nexport PATH={path}\"$PATH\"\n", quoted(self.cluster.kubeconfig()));
        if let Some(operator) = &self.operator {
            lines += &format!("export URL={} CA={}\n", operator.url(), quoted(&self.dir.join(CA)));
        }
        lines
    }

    /// Remembers a namespace that is about to be made, for [`down`](Self::down). It is removed where it has the harness's
    /// label.
    pub fn will_have(&self, namespace: &str) -> Result<()> {
        let mut all = fs::read_to_string(self.dir.join(NAMESPACES)).unwrap_or_default();
        all.push_str(namespace);
        all.push('\n');
        write_private(&self.dir.join(NAMESPACES), all)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    async fn install(&self) -> Result<()> {
        let release = Release::default();
        let applied = self.dir.join(APPLIED);
        let manifests = self.cluster.render(&release).await?;
        if self.cluster.own().is_none() && !applied.exists() {
            self.refuse_what_is_not_ours(&release, &manifests).await?;
        }
        let first = !applied.exists();
        // Before it is applied: what fails half-way is to be removed as well.
        write_private(&applied, joined(&manifests.iter().collect::<Vec<_>>()))?;
        release.install(&self.cluster).await?;
        if let (Some(plane), true) = (self.cluster.own(), first) {
            // Its garbage collector looks for new kinds when it starts, and then every half minute.
            plane.kill(Component::ControllerManager, Signal::KILL).await?;
            plane.start_again(Component::ControllerManager).await?;
        }
        say(&format!("chart: installed in namespace {}", release.namespace));
        Ok(())
    }

    /// In somebody's cluster an installation that is there already is not to be overwritten, and surely not removed by `down`.
    async fn refuse_what_is_not_ours(&self, release: &Release, manifests: &[Manifest]) -> Result<()> {
        let client = self.cluster.client()?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let crds: Api<CustomResourceDefinition> = Api::all(client);
        let mut found = Vec::new();
        if namespaces.get_opt(&release.namespace).await?.is_some() {
            found.push(format!("namespace {}", release.namespace));
        }
        for crd in manifests.iter().filter(|manifest| manifest.is_crd()) {
            if crds.get_opt(crd.name()).await?.is_some() {
                found.push(format!("CRD {}", crd.name()));
            }
        }
        if !found.is_empty() {
            bail!(
                "Credsmith seems to be installed in this cluster already ({}): uninstall it, or name another CONTEXT",
                found.join(", ")
            );
        }
        Ok(())
    }

    async fn running_operator(&self) -> Result<OperatorProcess> {
        let dir = self.dir.join(OPERATOR);
        let before = OperatorProcess::open(&self.cluster, &dir)?.filter(|operator| operator.process().alive());
        let operator = match before {
            Some(operator) if !operator.process().is_outdated() => {
                say(&format!("operator: runs already at {}", operator.url()));
                operator
            }
            before => {
                if let Some(operator) = before {
                    say("operator: was built anew since it was started; ending it");
                    operator.terminate().await?;
                }
                // As in a cluster, where the process makes the Secret at its first start.
                let keys = "secret:credsmith-root-key".into();
                let options =
                    OperatorOptions { dir: Some(dir), keys, lifetime: Lifetime::Detached, ..Default::default() };
                let operator = OperatorProcess::start(&self.cluster, options).await?;
                say(&format!("operator: started at {}, log {}", operator.url(), operator.process().log().display()));
                operator
            }
        };
        operator.ready().await?;
        fs::write(self.dir.join(CA), operator.ca().await?)?;
        Ok(operator)
    }

    async fn uninstall(&self) -> Result<()> {
        let Ok(applied) = fs::read_to_string(self.dir.join(APPLIED)) else { return Ok(()) };
        let (crds, rest): (Vec<_>, Vec<_>) =
            crate::chart::documents(&applied)?.into_iter().partition(|manifest| manifest.is_crd());
        // While the operator still runs: it is what lets go of the custom resources, by their finalizers.
        self.delete(&crds, "--timeout=60s").await?;
        if let Some(operator) = &self.operator {
            operator.terminate().await?;
        }
        self.delete(&rest, "--wait=false").await?;
        let namespaces: Api<Namespace> = Api::all(self.cluster.client()?);
        let demos = fs::read_to_string(self.dir.join(NAMESPACES)).unwrap_or_default();
        for name in demos.lines().chain([Release::default().namespace.as_str()]) {
            let found = namespaces.get_opt(name).await?;
            let labels = found.and_then(|namespace| namespace.metadata.labels).unwrap_or_default();
            if labels.get(MADE_BY.0).is_some_and(|by| by == MADE_BY.1) {
                namespaces.delete(name, &Default::default()).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, manifests: &[Manifest], wait: &str) -> Result<()> {
        if manifests.is_empty() {
            return Ok(());
        }
        let namespace = Release::default().namespace;
        let arguments = ["delete", "--ignore-not-found", "--namespace", &namespace, wait, "--filename=-"];
        let text = joined(&manifests.iter().collect::<Vec<_>>());
        self.cluster.kubectl(&arguments, &text).await.context("uninstalling the chart").map(drop)
    }
}

async fn own_control_plane(dir: &Path) -> Result<ControlPlane> {
    let (dir, started) = (dir.join(CONTROL_PLANE), Instant::now());
    let plane = match ControlPlane::open(&dir).await? {
        Some(plane) => plane,
        None => ControlPlane::start(Options { dir: Some(dir), ..Default::default() }).await?,
    };
    let components = [Component::Etcd, Component::Apiserver, Component::ControllerManager];
    let mut said = started.elapsed() > Duration::from_secs(1);
    for component in components {
        if !plane.is_running(component) {
            said = true;
            plane.start_again(component).await?;
        }
    }
    if said {
        say(&format!(
            "control plane: started in {:.1} s, logs in {}",
            started.elapsed().as_secs_f32(),
            plane.dir().join("log").display()
        ));
    } else {
        say("control plane: runs already");
    }
    Ok(plane)
}

fn directory() -> Result<PathBuf> {
    if let Some(named) = env::var_os("CREDSMITH_STATE").filter(|dir| !dir.is_empty()) {
        return Ok(std::path::absolute(named)?);
    }
    let name = named_context().map_or("default".into(), |context| {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        format!("context-{}", context.chars().map(safe).collect::<String>())
    });
    Ok(state::cache()?.join("run").join(name))
}

/// One `up` or `down` at a time.
fn take_turn(dir: &Path) -> Result<File> {
    let beside = dir.with_added_extension("lock");
    state::make(dir.parent().context("a directory below another")?)?;
    let lock = File::create(&beside).with_context(|| format!("cannot make {}", beside.display()))?;
    lock.lock()?;
    Ok(lock)
}

/// Marks a directory as ours, for `down` removes it with all that is in it.
fn claim(dir: &Path) -> Result<()> {
    state::make(dir)?;
    let mark = dir.join(MARK);
    if !mark.exists() && fs::read_dir(dir)?.next().is_some() {
        bail!("{} has other files in it: let CREDSMITH_STATE name a directory of its own", dir.display());
    }
    Ok(fs::write(mark, "state of `harness up`; `harness down` removes this directory\n")?)
}

/// For a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

const MARK: &str = ".credsmith-sandbox";
const CONTROL_PLANE: &str = "control-plane";
const OPERATOR: &str = "operator";
/// The namespaces of demos.
const NAMESPACES: &str = "namespaces";
const APPLIED: &str = "applied.yaml";
const CA: &str = "ca.crt";
