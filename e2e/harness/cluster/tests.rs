//! Programs and clusters that somebody else names: `KUBEBUILDER_ASSETS` and `CONTEXT`. Both are read from the environment, so
//! what reads them is this test program again, with another one.

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{
    chart::RELEASE_NAMESPACE,
    cluster::Cluster,
    control_plane::{ControlPlane, Options},
    namespace::MADE_BY,
    sandbox::Sandbox,
    tools::{Program, Tools},
};

#[tokio::test]
async fn a_control_plane_starts_from_kubebuilder_assets_and_context_names_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (assets, plane, state) = (dir.path().join("assets"), dir.path().join("plane"), dir.path().join("state"));
    // As `setup-envtest` leaves them; the rest comes from the cache.
    let tools = Tools::find(&Program::ALL).await?;
    fs::create_dir(&assets)?;
    for (name, program) in
        [("etcd", Program::Etcd), ("kube-apiserver", Program::Apiserver), ("kubectl", Program::Kubectl)]
    {
        symlink(tools.path(program).canonicalize()?, assets.join(name))?;
    }
    let down = Down(&plane);
    again(START, &[("KUBEBUILDER_ASSETS", &assets), (DIR, &plane)]).await?;
    let started = ControlPlane::open(&plane).await?.context("a control plane")?;
    for name in ["etcd", "kube-apiserver"] {
        let record = fs::read_to_string(plane.join(format!("run/{name}.json")))?;
        let program = assets.join(name).display().to_string();
        ensure!(record.contains(&program), "{name} was not started from {program}");
    }

    // CONTEXT is looked up where kubectl looks, and what is found there is read and nothing else.
    let inherited = dir.path().join("inherited.kubeconfig");
    fs::copy(started.admin_kubeconfig(), &inherited)?;
    let before = fs::read(&inherited)?;
    let named = [("KUBECONFIG", inherited.as_path()), ("CONTEXT", Path::new("e2e")), ("CREDSMITH_STATE", &state)];
    again(UP, &named).await?;
    again(DEMO, &named).await?;
    let cluster = Cluster::of(started).await?;
    let found = cluster.kubectl(&["get", "serviceaccount", "credsmith", "--namespace", RELEASE_NAMESPACE], "").await?;
    ensure!(found.contains("credsmith"), "{found}");
    ensure!(fs::read(&inherited)? == before, "the inherited kubeconfig was written to");
    ensure!(!state.join("control-plane").exists(), "it started a control plane of its own");

    let demos = ["get", "namespaces", "--field-selector=status.phase=Active", "--output=name"];
    ensure!(cluster.kubectl(&demos, "").await?.contains("namespace/demo-of-a-test"));
    again(DOWN, &named).await?;
    let left = cluster.kubectl(&["get", "crds", "--output=name"], "").await?;
    ensure!(!left.contains("credsmith"), "{left}");
    let left = cluster.kubectl(&demos, "").await?;
    ensure!(!left.contains("demo-of-a-test") && left.contains("demo-of-somebody"), "{left}");

    // What comes to nothing leaves nothing.
    let nowhere = [("KUBECONFIG", inherited.as_path()), ("CONTEXT", Path::new("nowhere")), ("CREDSMITH_STATE", &state)];
    let told = format!("{:#}", again(UP, &nowhere).await.expect_err("there is no such context"));
    ensure!(told.contains("CONTEXT=nowhere: kubectl knows no such context") && !state.exists(), "{told}");
    ensure!(fs::read(&inherited)? == before && !state.exists());
    drop(down);
    Ok(())
}

/// Not a test of its own: what the test above runs with another environment.
#[tokio::test]
async fn a_part_with_another_environment() -> Result<()> {
    match std::env::var(PART).as_deref() {
        Ok(START) => {
            let dir = std::env::var_os(DIR).context("a directory")?.into();
            ControlPlane::start(Options { dir: Some(dir), ..Options::default() }).await.map(drop)
        }
        Ok(UP) => Sandbox::up(false).await.map(drop),
        Ok(DEMO) => {
            // As the demo does.
            let sandbox = Sandbox::find().await?.context("what is up")?;
            let label = format!("{}={}", MADE_BY.0, MADE_BY.1);
            for (name, marked) in [("demo-of-a-test", true), ("demo-of-somebody", false)] {
                sandbox.will_have(name)?;
                sandbox.cluster.kubectl(&["create", "namespace", name], "").await?;
                if marked {
                    sandbox.cluster.kubectl(&["label", "namespace", name, &label], "").await?;
                }
            }
            Ok(())
        }
        Ok(DOWN) => Sandbox::down().await.map(drop),
        _ => Ok(()),
    }
}

async fn again(part: &str, environment: &[(&str, &Path)]) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--exact", "cluster::tests::a_part_with_another_environment", "--nocapture"])
        .env_remove("CONTEXT")
        // Whoever reads it without being told to fails.
        .env("KUBECONFIG", "/nowhere/to/be/found")
        .env(PART, part)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(120), command.output()).await??;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{part}: {said}{}", String::from_utf8_lossy(&ended.stdout));
    Ok(())
}

/// Ends what survives, however the test ends.
struct Down<'a>(&'a Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        crate::process::end_all(&self.0.join("run")).ok();
    }
}

const PART: &str = "HARNESS_TEST_PART";
const DIR: &str = "HARNESS_TEST_DIR";
const START: &str = "start";
const UP: &str = "up";
const DEMO: &str = "demo";
const DOWN: &str = "down";
