//! A Kubernetes cluster to test against: a control plane of our own, or the one named by `CONTEXT`.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use kube::{Client, Config};
use tokio::{process::Command, sync::OnceCell};

use crate::{
    chart::{Manifest, Release},
    control_plane::{ControlPlane, Options},
    exec, kubeconfig,
    namespace::Namespace,
    state::{StateDir, random_hex, write_private},
    tools::{Program, Tools, say},
};

/// A cluster. What every cluster can do is here; what only our own can do is behind [`powers`](Self::powers).
#[derive(Debug)]
pub struct Cluster {
    own: Option<ControlPlane>,
    kubeconfig: PathBuf,
    config: Config,
    tools: Tools,
    installed: OnceCell<()>,
    dir: StateDir,
}

impl Cluster {
    /// Starts a control plane of our own, whatever `CONTEXT` says. For tests that stop a component, delete a CRD or count
    /// requests; all others use [`shared`](crate::shared::shared).
    pub async fn start(options: Options) -> Result<Self> {
        Self::of(ControlPlane::start(options).await?).await
    }

    /// A control plane that runs already.
    pub async fn of(plane: ControlPlane) -> Result<Self> {
        let kubeconfig = plane.admin_kubeconfig();
        Ok(Self {
            config: kubeconfig::config(&kubeconfig).await?,
            kubeconfig,
            tools: plane.tools().clone(),
            installed: OnceCell::new(),
            // Not in the control plane's own directory when that survives: what is made here is for this process.
            dir: StateDir::temporary("cluster")?,
            own: Some(plane),
        })
    }

    /// The cluster of the kubectl context `name`, found where kubectl looks (`KUBECONFIG`, else `~/.kube/config`), as a
    /// kubeconfig of our own in `dir`. Without a name like this no inherited kubeconfig is ever read.
    pub async fn of_context(name: &str, dir: StateDir) -> Result<Self> {
        let tools = Tools::find(&Program::CLIENTS).await?;
        let mut view = Command::new(tools.path(Program::Kubectl));
        view.args(["config", "view", "--raw", "--flatten", "--minify", "--context", name]).env("KUBERC", "off");
        let text = exec::output(&mut view, &[])
            .await
            .with_context(|| format!("CONTEXT={name}: kubectl knows no such context"))?;
        let kubeconfig = dir.path().join("context.kubeconfig");
        write_private(&kubeconfig, text)?;
        let config = kubeconfig::config(&kubeconfig).await?;
        Ok(Self { own: None, kubeconfig, config, tools, installed: OnceCell::new(), dir })
    }

    /// The kubeconfig of its administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client for its administrator, for the async runtime it is called in: hand none from one test to another.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config.clone())?)
    }

    /// The settings such a client is made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The control plane, for a test that reads etcd or the audit log, or kills a process. `None` for a cluster named by
    /// `CONTEXT`, with a line that says that `test` is skipped.
    pub fn powers(&self, test: &str) -> Option<&ControlPlane> {
        if self.own.is_none() {
            say(&format!("skipped: {test} (it needs a control plane of its own, CONTEXT names another)"));
        }
        self.own.as_ref()
    }

    /// The control plane, where it is our own.
    pub fn own(&self) -> Option<&ControlPlane> {
        self.own.as_ref()
    }

    /// A fresh namespace `PREFIX-RANDOM` with its default ServiceAccount; deleted, without waiting for it, when dropped.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace> {
        Namespace::fresh(self, prefix).await
    }

    /// Installs the chart with its own values into its usual namespace; once, however many tests ask.
    pub async fn install_chart(&self) -> Result<()> {
        self.installed.get_or_try_init(|| async { Release::default().install(self).await.map(drop) }).await.copied()
    }

    /// What helm makes of a chart.
    pub async fn render(&self, release: &Release) -> Result<Vec<Manifest>> {
        release.render(&self.tools, &self.dir.sub("helm")?).await
    }

    /// Runs kubectl as the administrator, with `input` on its standard input; returns what it prints.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(self.tools.path(Program::Kubectl));
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            // It would write to and read from the home directory.
            .env("KUBECACHEDIR", self.dir.sub("kubectl")?)
            .env("KUBERC", "off");
        Ok(String::from_utf8(exec::output(&mut command, input.as_bytes()).await?)?)
    }

    /// A new directory that goes with this cluster's, for the files of one test.
    pub fn fresh_dir(&self, prefix: &str) -> Result<PathBuf> {
        self.dir.sub(&format!("{prefix}-{}", random_hex(4)))
    }

    /// The programs for it.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }
}

/// The value of `CONTEXT`, when it names a kubectl context.
pub fn named_context() -> Option<String> {
    env::var("CONTEXT").ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
