//! Ours: the operator starts, and has to bring many objects to Ready; then nothing happens, and it has to do nothing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use credsmith_harness::{
    kubeconfig,
    operator::OperatorProcess,
    requests::{Log, now},
    wait::eventually,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use serde::Serialize;
use serde_json::json;

use crate::{
    count::Counted,
    machine::{self, Memory, Spent},
    seen::Seen,
    stage::{Object, Stage},
};

/// One first sync.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    pub objects: usize,
    /// From the start of the process.
    pub took: Duration,
    /// Up to a few seconds later: what comes late counts too.
    pub requests: Counted,
    pub memory: Memory,
    /// For each object, in microseconds.
    pub spent_each: Spent,
    /// Cores that were busy before.
    pub busy_before: f64,
}

/// A time in which nothing was due.
#[derive(Clone, Debug, Serialize)]
pub struct Quiet {
    pub lasted: Duration,
    pub requests: Counted,
    pub memory: Memory,
    /// Of the operator, in microseconds.
    pub spent: u64,
    /// What the count makes of one write that was planted. Anything but 1 means that it counts wrongly.
    pub control: usize,
}

/// The operator at work.
pub struct Ours<'a> {
    stage: &'a Stage,
    log: Log,
    operator: OperatorProcess,
    objects: Vec<Object>,
}

impl<'a> Ours<'a> {
    /// One round: `count` objects that were there before, and a process with an empty store.
    pub async fn round(stage: &'a Stage, prefix: &str, count: usize) -> Result<(Round, Self)> {
        let objects = stage.make(prefix, count).await?;
        let mut log = Log::of(stage.plane()?);
        let busy_before = machine::rest().await?;

        let seen = Seen::start(stage.client(), prefix, count).await?;
        let before = Spent::now(stage.plane()?, None);
        // From here, although a token for the ServiceAccount is asked for before the process starts: some milliseconds.
        let (from, began) = (now(), Instant::now());
        let operator = stage.operator().await?;
        let patience = Duration::from_secs(60) + Duration::from_millis(100) * u32::try_from(count)?;
        let all = seen.all(patience).await;
        let took = all.with_context(|| format!("its log: {}", operator.process().log_tail()))? - began;
        let spent = Spent::now(stage.plane()?, operator.process().pid()) - before;

        tokio::time::sleep(LATE).await;
        let requests = Counted::of(&log.since(from)?);
        let memory = machine::memory_of(operator.process().pid().context("the operator has ended")?)?;
        let round = Round { objects: count, took, requests, memory, spent_each: spent.each(count), busy_before };
        Ok((round, Self { stage, log, operator, objects }))
    }

    /// Leaves it alone for so long, and counts what it does.
    pub async fn quiet(&mut self, lasts: Duration) -> Result<Quiet> {
        let pid = self.operator.process().pid();
        let from = now();
        let before = Spent::now(self.stage.plane()?, pid);
        // No condition ends this wait: that nothing happens is what is measured.
        tokio::time::sleep(lasts).await;
        let spent = (Spent::now(self.stage.plane()?, pid) - before).operator;
        let memory = machine::memory_of(pid.context("the operator has ended")?)?;
        let until = now();
        let control = self.plant_a_write(until).await?;
        let requests = self.log.since(from)?;
        let requests = Counted::of(requests.iter().filter(|request| request.at < until));
        Ok(Quiet { lasted: lasts, requests, memory, spent, control })
    }

    /// Writes once in the operator's name, which the count must see, and which changes nothing. It is the last: once it is in
    /// the log, so is everything before.
    async fn plant_a_write(&mut self, from: Timestamp) -> Result<usize> {
        let account = Client::try_from(kubeconfig::config(&self.operator.dir().join("kubeconfig")).await?)?;
        let namespace = &self.objects.first().context("some objects")?.namespace;
        let secrets: Api<Secret> = Api::namespaced(account, namespace);
        let trial = PostParams { dry_run: true, ..PostParams::default() };
        secrets.create(&trial, &serde_json::from_value(json!({"metadata": {"name": "planted"}}))?).await?;
        let log = &mut self.log;
        eventually("the planted write in the audit log", Duration::from_secs(10), || {
            let writes = log.since(from).map(|requests| Counted::of(&requests).writes);
            std::future::ready(writes.map(|writes| (writes > 0).then_some(writes)))
        })
        .await
    }

    /// Ends the process, and removes the objects.
    pub async fn end(self) -> Result<()> {
        self.operator.terminate().await?;
        self.stage.clear(&self.objects).await
    }
}

/// How long requests count to the first sync after everything was Ready.
const LATE: Duration = Duration::from_secs(3);
