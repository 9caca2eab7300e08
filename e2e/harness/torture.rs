//! The kill test: SIGKILL of the operator under mixed load, again and again; nothing that was acknowledged is lost, made
//! twice or half written.
//!
//! In reading order: [`journal`] notes what was acknowledged, [`world`] what the load wants and the watches show, [`load`] does it,
//! [`kills`] kills, [`store`] reads what is left, [`verdict`] compares; [`keys`] is what all of them know of keys and certificates.

mod dice;
mod journal;
mod keys;
mod kills;
mod load;
mod store;
mod verdict;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{
    dice::Dice,
    journal::Parts,
    kills::{Hit, Life, Plan, Recovery, Victim},
    store::Stored,
    verdict::{Verdict, judge, missing},
    world::World,
};
use crate::{
    cluster::Cluster, control_plane::Options as ControlPlaneOptions, front::Front, operator::built_beside, state,
    tools::say,
};

/// How to torture.
#[derive(Clone, Debug)]
pub struct Options {
    pub kills: usize,
    /// The control: nothing is synced and every kill drops what was not, so that losses have to show.
    pub without_sync: bool,
    /// Repeats the choices, as far as the machine does.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    kills: usize,
    in_step: usize,
    before_status: usize,
    unsynced: usize,
    /// Kills while a new value that was asked for was being made or told.
    in_rotation: usize,
    without_sync: bool,
    /// Changes of files that were lost because they were not synced.
    dropped: usize,
    slowest: Recovery,
    verdict: Verdict,
    /// Answers of the API that the load did not expect.
    odd: BTreeMap<String, usize>,
}

/// Starts a control plane with the chart in it and tortures an operator there.
///
/// # Errors
/// Where it cannot be done; what was found is in the report.
pub async fn torture(options: &Options) -> Result<Report> {
    let program = built_beside("credsmith-probe")
        .context("run it as `make torture` or `make test`, which build the program with its probe")?;
    let cluster = Cluster::start(ControlPlaneOptions::default()).await?;
    cluster.install_chart().await?;
    let dir = cluster.fresh_dir("torture")?;
    let report = Run::begin(&cluster, program, dir.clone(), options).await?.finish().await;
    if !report.as_ref().is_ok_and(Report::is_good) {
        let kept = state::cache()?.join("torture-failed");
        fs::remove_dir_all(&kept).ok();
        fs::rename(&dir, &kept)?;
        say(&format!("torture: journal, store and log are kept in {}", kept.display()));
    }
    report
}

impl Report {
    /// Whether it shows what it is to show: nothing lost and enough kills inside, or for the control a loss.
    pub fn is_good(&self) -> bool {
        if self.without_sync {
            return !self.verdict.lost.is_empty();
        }
        let enough = self.in_step * 10 >= self.kills * 3 && self.before_status * 10 >= self.kills * 2;
        // So few that a run of ten may have none.
        let in_rotation = self.kills < 50 || self.in_rotation * 20 >= self.kills;
        self.verdict.is_clean() && enough && in_rotation && self.odd.is_empty()
    }

    /// What is wrong, some of it.
    pub fn findings(&self) -> Vec<String> {
        let Verdict { lost, duplicated, half_written, .. } = &self.verdict;
        let named = [("lost", lost), ("duplicated", duplicated), ("half-written", half_written)];
        let found =
            named.into_iter().flat_map(|(what, found)| found.iter().take(10).map(move |one| format!("{what}: {one}")));
        let odd = self.odd.iter().take(10).map(|(answer, count)| format!("unexpected, {count} times: {answer}"));
        found.chain(odd).collect()
    }

    /// What a reader of the numbers may want to know beside.
    pub fn beside(&self) -> String {
        let (dropped, ready) = (self.dropped, self.slowest.ready.as_secs_f32());
        format!("{dropped} changes of files were not synced and dropped; ready again after {ready:.1} s at most")
    }

    /// How long the slowest operator took until it was ready, and until all objects had converged.
    pub fn slowest(&self) -> (Duration, Duration) {
        (self.slowest.ready, self.slowest.converged)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { acknowledged, lost, duplicated, half_written } = &self.verdict;
        if self.without_sync {
            return write!(f, "control: lost {}", lost.len());
        }
        write!(
            f,
            "kills {} (in-step {}, before-status {}, unsynced {}) acknowledged {acknowledged} lost {} duplicated {} \
             half-written {} slowest-recovery {:.1} s in-rotation {}",
            self.kills,
            self.in_step,
            self.before_status,
            self.unsynced,
            lost.len(),
            duplicated.len(),
            half_written.len(),
            self.slowest.converged.as_secs_f32(),
            self.in_rotation,
        )
    }
}

/// A torture under way.
struct Run<'a> {
    cluster: &'a Cluster,
    victim: Victim<'a>,
    world: Arc<World>,
    token: String,
    dice: Dice,
    report: Report,
    plans: Vec<Plan>,
}

impl<'a> Run<'a> {
    async fn begin(cluster: &'a Cluster, program: PathBuf, dir: PathBuf, options: &Options) -> Result<Self> {
        cluster.kubectl(&["create", "namespace", NAMESPACE], "").await?;
        cluster.kubectl(&["apply", "--filename=-"], CALLER).await?;
        let client = cluster.client()?;
        let audience = Some(crate::front::AUDIENCE);
        let token = crate::kubeconfig::token(&client, NAMESPACE, "app", audience, 2 * 3600).await?;
        let world = Arc::new(World::follow(client, NAMESPACE, &dir.join("journal.jsonl")).await?);
        keys::make_authority(&world).await?;
        let victim = Victim::new(cluster, program, &dir, !options.without_sync).await?;
        let mut dice = Dice::new(options.seed);
        let plans = kills::plans(options.kills, options.without_sync, &mut dice);
        let report = Report {
            kills: options.kills,
            in_step: 0,
            before_status: 0,
            unsynced: 0,
            in_rotation: 0,
            without_sync: options.without_sync,
            dropped: 0,
            slowest: Recovery::default(),
            verdict: Verdict::default(),
            odd: BTreeMap::new(),
        };
        Ok(Self { cluster, victim, world, token, dice, report, plans })
    }

    async fn finish(mut self) -> Result<Report> {
        let (began, plans) = (Instant::now(), std::mem::take(&mut self.plans));
        let mut load = load::begin(&self.world, &mut self.dice);
        for (number, plan) in plans.iter().enumerate() {
            let hit = self.live_and_die(number, *plan).await.with_context(|| format!("kill {}", number + 1))?;
            self.report.in_step += usize::from(hit.in_step);
            self.report.before_status += usize::from(hit.before_status);
            self.report.in_rotation += usize::from(hit.in_rotation);
            if plan.unsynced {
                self.report.dropped += self.victim.drop_unsynced()?.changes;
                self.report.unsynced += 1;
            }
            if (number + 1) % 10 == 0 {
                say(&format!(
                    "torture: {} of {} kills after {:.0} s",
                    number + 1,
                    plans.len(),
                    began.elapsed().as_secs_f32()
                ));
            }
        }
        self.last_look(&mut load).await?;
        let odd = std::mem::take(&mut *self.world.odd.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.report.without_sync {
            self.report.odd = odd; // a store that lost its past answers oddly
        }
        Ok(self.report)
    }

    /// From one kill to the next.
    async fn live_and_die(&mut self, number: usize, plan: Plan) -> Result<Hit> {
        self.world.open.send_replace(false);
        let store = self.victim.store();
        let life = self.victim.start(plan.unsynced).await?;
        open_front(&self.world, &life, &self.token);
        if !self.report.without_sync {
            recovered(&life, &self.world, number, &mut self.report).await?;
            let gone = missing(&self.world.journal.since(0), &store::ids(&store)?);
            if let Some(first) = gone.first() {
                bail!("{} acknowledged versions are gone, the first is {first}", gone.len());
            }
        }
        self.world.open.send_replace(true);
        life.kill(plan.aim, &self.world, &mut self.dice).await
    }

    /// Compares everything with everything, the load at an end.
    async fn last_look(&mut self, load: &mut tokio::task::JoinSet<()>) -> Result<()> {
        self.world.open.send_replace(false);
        let (store, key) = (self.victim.store(), self.victim.master_key());
        let life = self.victim.start(false).await?;
        open_front(&self.world, &life, &self.token);
        if !self.report.without_sync {
            recovered(&life, &self.world, self.report.kills, &mut self.report).await?;
        }
        self.world.over.send_replace(true);
        self.world.open.send_replace(true);
        while load.join_next().await.is_some() {}
        if !self.report.without_sync {
            life.converged(&self.world).await?;
        }
        let stored = store::read(&store, &key).await?;
        self.report.verdict = judge(&self.world.journal.since(0), &stored);
        if !self.report.without_sync {
            let front = life.front.with_token(&self.token);
            self.report.verdict.lost.extend(shown_otherwise(&front, &stored).await?);
        }
        life.end().await?;
        self.cluster.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"], "").await.map(drop)
    }
}

fn open_front(world: &World, life: &Life<'_>, token: &str) {
    world.front.send_replace(Some(life.front.with_token(token)));
}

async fn recovered(life: &Life<'_>, world: &World, kills: usize, report: &mut Report) -> Result<()> {
    let took = life.converged(world).await?;
    if kills > 0 {
        report.slowest.ready = report.slowest.ready.max(took.ready);
        report.slowest.converged = report.slowest.converged.max(took.converged);
    }
    Ok(())
}

/// Paths of which the API shows other versions than the store holds.
async fn shown_otherwise(front: &Front, stored: &[Stored]) -> Result<Vec<String>> {
    let mut otherwise = Vec::new();
    let live = || stored.iter().filter(|version| !version.deleted);
    for path in live().map(|version| version.path.as_str()).collect::<BTreeSet<_>>() {
        let answer = front.get(&format!("/api/v1/data?name={path}")).await?;
        let shown = answer.json()?["data"].as_array().cloned().unwrap_or_default();
        let shown: BTreeMap<String, Parts> = shown
            .iter()
            .map(|version| (version["id"].as_str().unwrap_or_default().to_owned(), journal::parts(version)))
            .collect();
        let held: BTreeMap<_, _> = live()
            .filter(|version| version.path == path)
            .map(|version| (version.id.clone(), version.parts.clone()))
            .collect();
        if shown != held {
            otherwise.push(format!("{path}: the API shows {} versions, the store holds {}", shown.len(), held.len()));
        }
    }
    Ok(otherwise)
}

const NAMESPACE: &str = "torture";
/// A ServiceAccount that may read and write values there.
const CALLER: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: app, namespace: torture}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: values, namespace: torture}
rules:
- apiGroups: [credsmith.dev]
  resources: [credentials/value]
  verbs: [get, list, update, delete]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: values, namespace: torture}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: values}
subjects: [{kind: ServiceAccount, name: app, namespace: torture}]
";
