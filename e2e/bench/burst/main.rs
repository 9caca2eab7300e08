//! `make bench-burst`: how long a GET takes beside 32 RSA keys that are asked for at once after a minute of idling, against
//! GETs alone of the same run; with keys that lie ready and without.
//!
//! [`load`] tells how busy the machine is, [`gets`] asks and takes the times, [`report`] says what it comes to.

mod gets;
#[path = "../load.rs"]
mod load;
mod report;

use std::{env, process::ExitCode, time::Duration, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use credsmith_harness::{
    cluster::Cluster,
    control_plane::Options,
    front::Front,
    operator::{OperatorOptions, OperatorProcess},
};
use futures::future::try_join_all;
use serde_json::json;

use crate::{
    gets::Gets,
    report::{Report, Round},
};

/// Measures GETs beside a burst of keys.
#[derive(Debug, Parser)]
#[command(name = "bench-burst")]
struct Arguments {
    /// Rounds with the pool, and without
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of idling before each burst; a run with fewer than 60 is void
    #[arg(long, default_value = "60")]
    idle: u64,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of the command")]
async fn main() -> ExitCode {
    let report = match run(&Arguments::parse()).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    println!("{report}");
    if let Err(error) = report.write() {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    if report.void().is_empty() && report.over_the_bar().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(arguments: &Arguments) -> Result<Report> {
    // First of all: from here on the load is our own.
    let load = load::load()?;
    // The one beside this program and no other: a debug build would be measured as if it were the product.
    let program = env::current_exe()?.with_file_name("credsmith");
    if !program.is_file() {
        bail!("{} is not there: run `make bench-burst`, which builds it", program.display());
    }
    let cluster = Cluster::start(Options::default()).await?;
    cluster.install_chart().await?;
    cluster.kubectl(&["apply", "--filename=-"], CALLER).await?;
    let idle = Duration::from_secs(arguments.idle);
    let mut rounds = [Vec::new(), Vec::new()];
    for (rounds, ready) in rounds.iter_mut().zip([KEYS, 0]) {
        let options = OperatorOptions {
            program: Some(program.clone()),
            log: "info".into(),
            env: vec![("CREDSMITH_READY_KEYS".into(), ready.to_string())],
            ..OperatorOptions::default()
        };
        let operator = OperatorProcess::start(&cluster, options).await?;
        operator.ready().await?;
        let front = operator.front().await?.as_service_account(&cluster.client()?, NAMESPACE, "app").await?;
        for nth in 0..arguments.rounds {
            let round = round(&front, idle, nth).await.with_context(|| format!("{ready} keys ready, round {nth}"))?;
            eprintln!("{ready} keys ready, round {nth}: {round}");
            rounds.push(round);
        }
        operator.terminate().await?;
    }
    let [with_pool, without_pool] = rounds;
    Ok(Report { load, release_build: !cfg!(debug_assertions), idle, with_pool, without_pool })
}

/// Idles, asks alone, and asks beside the burst.
async fn round(front: &Front, idle: Duration, nth: u32) -> Result<Round> {
    let path = format!("/{NAMESPACE}/read");
    set(front, &path).await?;
    generate(front, &format!("/{NAMESPACE}/wake-{nth}")).await?; // only sizes that were asked for lately are kept ready
    Gets::start(front, &path).for_a_while(Duration::from_secs(2)).await?;
    tokio::time::sleep(idle).await;

    let alone = Gets::start(front, &path).for_a_while(ALONE).await?;
    let beside = Gets::start(front, &path);
    let started = Instant::now();
    try_join_all((0..KEYS).map(|key| async move { generate(front, &format!("/{NAMESPACE}/burst-{nth}-{key}")).await }))
        .await?;
    let burst = started.elapsed();
    // What was taken is made anew, and that is felt as well.
    let beside = beside.for_a_while(AFTER).await?;
    Ok(Round { alone, beside, burst })
}

async fn set(front: &Front, path: &str) -> Result<()> {
    let answer = front.put("/api/v1/data", &json!({"name": path, "type": "value", "value": "read"})).await?;
    ensure!(answer.status == 200, "a PUT was answered {}", answer.status);
    Ok(())
}

async fn generate(front: &Front, path: &str) -> Result<()> {
    let body = json!({"name": path, "type": "rsa", "mode": "overwrite", "parameters": {"key_length": 2048}});
    let answer = front.post("/api/v1/data", &body).await?;
    ensure!(answer.status == 200, "a POST was answered {}", answer.status);
    Ok(())
}

/// In a burst, and so many lie ready by default.
const KEYS: usize = 32;
const ALONE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(5);
const NAMESPACE: &str = "burst";
/// A ServiceAccount that may read and write values there.
const CALLER: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: burst}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app, namespace: burst}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: values, namespace: burst}
rules:
- apiGroups: [credsmith.dev]
  resources: [credentials/value]
  verbs: [get, list, update, delete]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: values, namespace: burst}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: values}
subjects: [{kind: ServiceAccount, name: app, namespace: burst}]
";
