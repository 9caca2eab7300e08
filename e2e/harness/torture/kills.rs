//! Where the kills fall, and what it takes to come back from one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{dice::Dice, world::World};
use crate::{
    cluster::Cluster,
    front::Front,
    layer::{Dropped, FileLayer},
    operator::{OperatorOptions, OperatorProcess},
    points::{Points, Told},
    wait::eventually,
};

/// What a kill is meant to hit. What it did hit, only the last words of the process say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// A step of the store that is done and not committed.
    OpenStep,
    /// The commit of one, which is written and not synced: on the file layer only.
    Sync,
    /// An object whose version is committed and whose status is not written.
    BeforeStatus,
    /// Wherever it happens to be.
    Anywhere,
}

/// One kill to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub aim: Aim,
    /// On the file layer, which then drops what was not synced.
    pub unsynced: bool,
}

/// What a kill hit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hit {
    pub in_step: bool,
    pub before_status: bool,
    /// A new value was asked for, and was being made or told.
    pub in_rotation: bool,
}

/// How long an operator took from its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovery {
    pub ready: Duration,
    /// And all objects are as they should be.
    pub converged: Duration,
}

/// As many plans, mixed: a third inside a step and half before a status, the rest anywhere; a quarter of them on the
/// layer, or all, where nothing is ever synced.
pub fn plans(kills: usize, all_unsynced: bool, dice: &mut Dice) -> Vec<Plan> {
    let (inside, before) = ((kills * 35).div_ceil(100), kills / 2); // some of the second sort land inside as well
    let aim = |at: usize| match at {
        at if at < inside => Aim::OpenStep,
        at if at < inside + before => Aim::BeforeStatus,
        _ => Aim::Anywhere,
    };
    let mut aims: Vec<_> = (0..kills).map(aim).collect();
    let mut unsynced: Vec<_> = (0..kills).map(|at| all_unsynced || at < kills.div_ceil(4)).collect();
    dice.shuffle(&mut aims);
    dice.shuffle(&mut unsynced);
    let mut plan = |(aim, unsynced)| match aim {
        Aim::OpenStep if unsynced && !all_unsynced && dice.percent(70) => Plan { aim: Aim::Sync, unsynced },
        aim => Plan { aim, unsynced },
    };
    aims.into_iter().zip(unsynced).map(&mut plan).collect()
}

/// The operator that is killed: one store, and a process with the layer or without it.
#[derive(Debug)]
pub struct Victim<'a> {
    cluster: &'a Cluster,
    program: PathBuf,
    dir: PathBuf,
    pub layer: FileLayer,
    syncs: bool,
    plain: Option<OperatorProcess>,
    layered: Option<OperatorProcess>,
}

/// A life of the victim.
#[derive(Debug)]
pub struct Life<'a> {
    operator: &'a OperatorProcess,
    points: Points,
    layer: &'a FileLayer,
    pub front: Front,
    pub ready: Duration,
    started: Instant,
}

impl<'a> Victim<'a> {
    pub async fn new(cluster: &'a Cluster, program: PathBuf, dir: &Path, syncs: bool) -> Result<Self> {
        fs::create_dir_all(dir.join("probe"))?;
        let layer = FileLayer::over(&dir.join("store")).await?;
        let dir = dir.to_owned();
        let key = dir.join("master.key");
        crate::state::write_private(&key, crate::state::random(32))?;
        Ok(Self { cluster, program, dir, layer, syncs, plain: None, layered: None })
    }

    pub fn store(&self) -> PathBuf {
        self.layer.directory().join("store.db")
    }

    pub fn master_key(&self) -> PathBuf {
        self.dir.join("master.key")
    }

    /// Starts it and waits until it is ready and its front answers.
    pub async fn start(&mut self, unsynced: bool) -> Result<Life<'_>> {
        let pipes = self.dir.join("probe");
        let (points, started) = (Points::lay(&pipes)?, Instant::now());
        let options = OperatorOptions {
            program: Some(self.program.clone()),
            dir: Some(self.dir.clone()),
            keys: format!("file:{}", self.master_key().display()),
            env: self.env(&pipes, unsynced),
            ..OperatorOptions::default()
        };
        let process = if unsynced { &mut self.layered } else { &mut self.plain };
        let operator = match process {
            Some(operator) => {
                operator.start_again()?;
                operator
            }
            none => none.insert(OperatorProcess::start(self.cluster, options).await?),
        };
        operator.ready().await?;
        let ready = started.elapsed();
        // After a loss it has another certificate authority, and the one before is still published for a moment.
        let front = eventually("the front to answer", PATIENCE, async || {
            let front = operator.front().await?;
            front.get("/info").await?;
            Ok(Some(front))
        });
        Ok(Life { front: front.await?, operator, points, layer: &self.layer, ready, started })
    }

    /// After a kill: the power is cut as well.
    pub fn drop_unsynced(&self) -> Result<Dropped> {
        self.layer.heal()?;
        self.layer.drop_unsynced()
    }

    fn env(&self, pipes: &Path, unsynced: bool) -> Vec<(String, String)> {
        let mut env =
            vec![Points::env(pipes), ("CREDSMITH_STORE".to_owned(), format!("sqlite://{}", self.store().display()))];
        if !self.syncs {
            env.push(("CREDSMITH_PROBE_SYNC".into(), "off".into()));
        }
        if unsynced {
            env.extend(self.layer.env());
        }
        env
    }
}

impl Life<'_> {
    /// Waits until all objects are as they should be.
    pub async fn converged(&self, world: &World) -> Result<Recovery> {
        let log = || format!("its log: {}", self.operator.process().log_tail());
        world.converged(CONVERGENCE).await.with_context(log)?;
        Ok(Recovery { ready: self.ready, converged: self.started.elapsed() })
    }

    /// Lets the load run for a while, kills the process where the aim is, and says what it hit.
    pub async fn kill(mut self, aim: Aim, world: &Arc<World>, dice: &mut Dice) -> Result<Hit> {
        let first = self.points.count();
        let run_up = if aim == Aim::Anywhere { 20 + dice.below(400) } else { 10 + dice.below(200) };
        self.points.until(PATIENCE, |told| told.points >= first + run_up).await;
        let (turn, known) = (1 + dice.below(6), world.with_status());
        match aim {
            Aim::OpenStep => {
                self.points.hold("store.open", turn)?;
                self.points.until(PATIENCE, |told| told.held && told.open > 0).await;
            }
            Aim::Sync => {
                self.layer.hold_sync()?;
                let held = eventually("a sync", PATIENCE, async || Ok(self.layer.is_holding().then_some(())));
                held.await.ok(); // where nobody syncs, nothing was to be synced
            }
            Aim::BeforeStatus => {
                self.points.hold("status.before", turn)?;
                self.points.until(PATIENCE, |told| told.held).await;
                // The others go on while that one is held; between two of their commits it is as quiet as it gets.
                let (here, more) = (self.points.count(), dice.below(20));
                let quiet = |told: &Told| told.points >= here + more && told.open == 0;
                self.points.until(Duration::from_secs(1), quiet).await;
            }
            Aim::Anywhere => {}
        }
        self.operator.kill()?;
        world.front.send_replace(None);
        let told = self.points.last_words().await?;
        let in_step = told.open > 0;
        // A path that was let go is committed as well, and its object has no status any more.
        let still = world.with_status();
        let is_due = |path: &&String| known.contains(*path) && still.contains(*path) || told.writing.contains(*path);
        let before_status = !in_step && told.unwritten.iter().any(|path| is_due(&path));
        let rotating = world.in_rotation();
        let in_rotation = told.at_work().any(|path| rotating.contains(path));
        Ok(Hit { in_step, before_status, in_rotation })
    }

    /// Ends without a kill at a point.
    pub async fn end(self) -> Result<()> {
        self.operator.terminate().await
    }
}

/// For what happens by itself while there is load.
const PATIENCE: Duration = Duration::from_secs(10);
/// Far more than is good, to see how much it takes.
const CONVERGENCE: Duration = Duration::from_secs(60);
