//! Three years of a real operator on a real API server, with a clock that is handed to it: no value changes that was not
//! due, none expires that could have been renewed, and no minute sees more starts than the budget. The clock leaps 400
//! days forward and back again on the way, and the operator is away for a week.

mod judge;

use std::{collections::BTreeMap, io::Write as _, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use credsmith_core::{
    domain::CredentialName,
    hub::Hub,
    keyring::{Keyring, MasterKey},
    material::{KeyStock, Material},
    metrics::Metrics,
    store::Change,
    world::{Clock, FixedClock, SystemEntropy},
};
use credsmith_harness::{cluster::Cluster, control_plane::Options, namespace::Namespace, state};
use credsmith_operator::{Credential, Ended, Operator, reviews::AccessReviews};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt, api::PostParams};
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::scene::{Says, until};
use judge::{History, Made, Rule, judge};

#[tokio::test(flavor = "multi_thread")]
async fn three_years_pass_and_nothing_changes_before_its_time_and_nothing_expires() {
    state::keep_until_the_end();
    let mut world = World::begin().await;
    let first = world.clock.now();
    let day = |day: i64| first + days(day);

    world.live_until(day(200)).await;
    world.leap(400); // what was to come for 400 days is due at once
    world.live_until(day(640)).await;
    world.leap(-400); // versions of a time to come: nothing is due for them
    world.live_until(day(800)).await;
    world.stop().await;
    world.leap(7);
    world.start().await;
    world.live_until(day(3 * 365)).await;

    let histories = world.histories().await;
    let verdict = judge(&histories, &world.away, A_MINUTE as usize, world.clock.now());
    writeln!(std::io::stderr(), "{verdict}").unwrap(); // past the capture: this line is what the test is for
    assert_eq!((verdict.early, verdict.expired, verdict.over_budget), (0, 0, 0), "{verdict}");
    assert_eq!(verdict.credentials, 200);
    assert!(verdict.rotations > 500 && verdict.renewals > 300, "too little happened: {verdict}");
    world.says_what_the_store_holds().await;
    world.stop().await;
}

/// The operator, and what the test knows of its credentials.
struct World {
    hub: Arc<Hub>,
    clock: Arc<FixedClock>,
    running: Option<Running>,
    changes: broadcast::Receiver<Change>,
    /// What the manifests say, and the newest version of each: its number and times.
    known: BTreeMap<String, (Rule, i64, Made)>,
    /// When nobody could renew anything.
    away: Vec<(Timestamp, Timestamp)>,
    namespace: Namespace,
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

impl World {
    async fn begin() -> Self {
        let cluster = Cluster::start(Options::default()).await.unwrap();
        cluster.install_chart().await.unwrap();
        let namespace = cluster.namespace("years").await.unwrap();
        let (client, dir) = (cluster.client().unwrap(), tempfile::tempdir().unwrap());
        let store = credsmith_sql::open(&format!("sqlite://{}/store.db", dir.path().display())).unwrap();
        let entropy = Arc::new(SystemEntropy);
        let master = MasterKey::new("file", zeroize::Zeroizing::new([7; 32]));
        let (keyring, _) = Keyring::open(&[Box::new(master)], Vec::new(), entropy.as_ref()).await.unwrap();
        let clock = Arc::new(FixedClock::new("2026-01-16T12:00:00Z".parse().unwrap()));
        let hub = Arc::new(Hub {
            store: store.clone(),
            keyring: Arc::new(keyring),
            clock: clock.clone(),
            entropy,
            reviewer: Arc::new(AccessReviews::new(client.clone(), clock.clone())),
            material: Material::new(Arc::new(KeyStock::default())),
            metrics: Metrics::new(),
        });
        let changes = store.changes();
        let (known, away) = (BTreeMap::new(), Vec::new());
        let mut world = Self { hub, clock, running: None, changes, known, away, namespace, cluster, _dir: dir };
        world.start().await;
        let objects: Api<Credential> = Api::namespaced(client, world.namespace.name());
        let manifests = manifests();
        stream::iter(&manifests)
            .for_each_concurrent(16, async |(name, spec, _)| {
                let object = json!({"apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential",
                                    "metadata": {"name": name}, "spec": spec});
                objects.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
            })
            .await;
        for (name, _, rule) in manifests {
            let newest = until(&name, || async { Ok(world.newest(&name).await) }).await;
            world.known.insert(name, (rule, newest.0, newest.1));
        }
        world
    }

    async fn start(&mut self) {
        let (stop, asked) = oneshot::channel::<()>();
        let operator = Operator {
            client: self.cluster.client().unwrap(),
            hub: self.hub.clone(),
            epoch: self.hub.store.raise_epoch().await.unwrap(),
            namespace: "credsmith-system".into(),
            key_secrets: Vec::new(),
            authority: String::new(),
            concurrency: 16,
            rotations_a_minute: A_MINUTE,
            instance: "years".into(),
            first_lists: Arc::default(),
        };
        let running = tokio::spawn(operator.run(async {
            let _ = asked.await; // dropped with the test
        }));
        self.running = Some((stop, running));
    }

    async fn stop(&mut self) {
        let Some((stop, running)) = self.running.take() else { return };
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    }

    /// Lets the time pass: the clock goes from one due time to the next, and where more than one is due at once, on by
    /// steps that the budget allows.
    async fn live_until(&mut self, end: Timestamp) {
        while let Some((name, number, due)) = self.next_due().filter(|(.., due)| *due <= end) {
            self.clock.set(due.max(self.clock.now()));
            let mut steps = 0;
            while self.known[&name].1 == number {
                self.hear().await;
                if self.known[&name].1 == number {
                    self.clock.advance(STEP);
                    steps += 1;
                    assert!(
                        steps < MOST_STEPS,
                        "{name} was due at {due} and has no new version: {:?}",
                        self.known[&name]
                    );
                }
            }
        }
        self.clock.set(end.max(self.clock.now()));
    }

    /// Who is surely due next, with the number of its newest version. What is due earlier by its jitter is made on the way.
    fn next_due(&self) -> Option<(String, i64, Timestamp)> {
        let due = |(name, (rule, number, made)): (&String, &(Rule, i64, Made))| {
            Some((name.clone(), *number, rule.latest(*made)? + SignedDuration::from_secs(1)))
        };
        self.known.iter().filter_map(due).min_by_key(|(.., due)| *due)
    }

    /// Waits for one change of the store, not for long: a turn in the line may have been given to nobody.
    async fn hear(&mut self) {
        let names: Vec<_> = match timeout(QUIET, self.changes.recv()).await {
            Ok(Ok(Change { name, .. })) => vec![name.as_str().rsplit('/').next().unwrap_or_default().to_owned()],
            Ok(Err(_)) => self.known.keys().cloned().collect(),
            Err(_) => return,
        };
        for name in names {
            if let Some((number, made)) = self.newest(&name).await
                && let Some(known) = self.known.get_mut(&name)
            {
                (known.1, known.2) = (number, made);
            }
        }
    }

    /// The clock is wrong, or right again.
    fn leap(&mut self, by: i64) {
        let before = self.clock.now();
        self.clock.set(before + days(by));
        if by > 0 {
            // An hour to make up for what is overdue.
            self.away.push((before, self.clock.now() + SignedDuration::from_hours(1)));
        }
    }

    async fn newest(&self, name: &str) -> Option<(i64, Made)> {
        let row = self.hub.store.versions(&self.path(name), Some(1)).await.unwrap().pop()?;
        Some((row.number, Made { at: row.stamp.at, expires: row.facts.expires }))
    }

    async fn histories(&self) -> Vec<History> {
        let mut all = Vec::new();
        for (name, (rule, ..)) in &self.known {
            let rows = self.hub.store.versions(&self.path(name), None).await.unwrap();
            let versions = rows.iter().rev().map(|row| Made { at: row.stamp.at, expires: row.facts.expires });
            all.push(History { rule: *rule, versions: versions.collect() });
        }
        all
    }

    /// Every object is ready, and tells of the newest version that the store holds.
    async fn says_what_the_store_holds(&self) {
        let objects: Api<Credential> = Api::namespaced(self.cluster.client().unwrap(), self.namespace.name());
        until("all objects to tell of their newest versions", || async {
            let mut left = Vec::new();
            for object in objects.list(&Default::default()).await? {
                let (number, _) = self.newest(&object.name_any()).await.context("no version")?;
                if !object.has("Ready") || object.version() != number {
                    left.push(format!("{}: {} of {number}", object.name_any(), object.version()));
                }
            }
            ensure!(left.is_empty(), "{left:?}");
            Ok(Some(()))
        })
        .await;
    }

    fn path(&self, name: &str) -> CredentialName {
        format!("/{}/{name}", self.namespace.name()).parse().unwrap()
    }
}

/// Who asks it to stop, and its end.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), Ended>>);

/// 200 of them: name, spec, and what the spec says about time.
fn manifests() -> Vec<(String, Value, Rule)> {
    let mut all = Vec::new();
    let mut add = |kind: &str, nth: i64, spec: Value, rule| all.push((format!("{kind}-{nth}"), spec, rule));
    for nth in 0..110 {
        let (kind, every) = (if nth % 2 == 0 { "password" } else { "user" }, 30 + nth * 37 % 271);
        let spec = json!({"type": kind, "rotation": {"every": format!("{}h", 24 * every)}});
        add(kind, nth, spec, Rule::Every(every));
    }
    let key = json!({"algorithm": "ecdsa-p256"});
    for nth in 0..40 {
        let (lifetime, before, rule) = match nth % 2 {
            0 => (2160, "33%", Rule::ShareBefore(33)),
            _ => (1440 + 24 * nth, "240h", Rule::HoursBefore(240)),
        };
        let block =
            json!({"commonName": "leaf", "signedBy": {"name": "ca-0"}, "key": key, "duration": format!("{lifetime}h")});
        let spec = json!({"type": "certificate", "certificate": block, "rotation": {"renewBefore": before}});
        add("leaf", nth, spec, rule);
    }
    for nth in 0..30 {
        let spec = json!({"type": "password", "rotation": {"every": "720h", "mode": "Manual"}});
        add("manual", nth, spec, Rule::Never);
    }
    for nth in 0..19 {
        add("plain", nth, json!({"type": "user"}), Rule::Never);
    }
    let ca = json!({"commonName": "ca", "isCA": true, "key": key, "duration": "87600h"});
    add("ca", 0, json!({"type": "certificate", "certificate": ca}), Rule::Never);
    all
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// Starts in a minute, and the step that each of them has.
const A_MINUTE: u32 = 60;
const STEP: Duration = Duration::from_secs(1);
/// More than all of them at once need.
const MOST_STEPS: u32 = 1000;
/// How long the store may be silent before the clock goes on.
const QUIET: Duration = Duration::from_millis(300);
