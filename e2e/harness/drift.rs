//! `make drift`: thousands of Secrets, some of them edited behind the operator's back, each repaired, and not one request
//! about an object that nobody touched.

mod edits;
mod population;
mod report;
mod run;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use self::{population::Population, run::Run};
pub use self::{
    population::credentials,
    report::{FirstSync, Report},
};
use crate::{
    audit::Audit,
    cluster::Cluster,
    control_plane::Options as PlaneOptions,
    operator::{OperatorOptions, OperatorProcess},
    requests::{Log, Needless, now},
    state,
    tools::say,
};

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Secrets; one in eight is edited.
    pub secrets: usize,
    /// How long requests are counted after the last repair.
    pub quiet: Duration,
}

impl Options {
    /// The run of `make drift`.
    pub fn full(secrets: usize) -> Self {
        Self { secrets, quiet: Duration::from_secs(120) }
    }

    /// The one that is part of the tests.
    pub fn short() -> Self {
        Self { secrets: 200, quiet: Duration::from_secs(30) }
    }
}

/// `harness drift`.
pub async fn drift(options: &Options) -> Result<()> {
    let report = run(options).await?;
    print(&report.to_string());
    if report.passed() { Ok(()) } else { bail!("the run failed") }
}

/// Makes a control plane of its own and goes through all of it.
pub async fn run(options: &Options) -> Result<Report> {
    let cluster = Cluster::start(PlaneOptions { audit: Audit::Everything, ..Default::default() }).await?;
    cluster.install_chart().await?;
    let operator = OperatorProcess::start(&cluster, operator_options(&cluster)?).await?;
    operator.ready().await?;
    let mut log = Log::of(cluster.own().context("a control plane of its own")?);

    let from = now();
    let population = Population::make(&cluster, &operator, options.secrets).await?;
    log.wait_for_quiet().await?;
    let first_sync = FirstSync::of(&population, &log.since(from)?);
    say(&format!("{first_sync}: {:?}; editing", first_sync.requests));

    let mut run = Run::begin(cluster.client()?, operator, &population.keys).await?;
    let from = now();
    run.edit(&population.keys).await?;
    let (repaired, slowest, mut faults) = run.judge();
    run.hear_the_events(&mut faults).await?;

    let touched = run.touched();
    say(&format!("slowest repairs: {:.2?}", run.slowest_of_each()));
    say(&format!("{repaired} of {} repaired; counting requests for {:?}", touched.len(), options.quiet));
    // No condition ends this wait: that nothing happens is what is measured.
    tokio::time::sleep(options.quiet).await;
    let until = now();
    let control = run.plant_a_request(&population.keys, &mut log).await?;
    let requests = log.since(from)?;
    let needless = Needless::among(requests.iter().filter(|request| request.at < until), &touched);
    let control = Needless::among(log.since(control)?.iter(), &touched).count();
    Ok(Report { first_sync, edits: touched.len(), repaired, slowest, needless, control, faults })
}

/// The master key lies in a file: one in a Secret is read by its name at each start, which has nothing to do with drift.
fn operator_options(cluster: &Cluster) -> Result<OperatorOptions> {
    let key = cluster.fresh_dir("key")?.join("master");
    state::write_private(&key, STANDARD.encode(state::random(32)))?;
    Ok(OperatorOptions { keys: format!("file:{}", key.display()), ..OperatorOptions::default() })
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn print(text: &str) {
    println!("{text}");
}
