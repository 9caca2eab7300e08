//! What every reconcile reads.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use credsmith_core::{
    domain::{Epoch, ObjectUid, budget::Budget},
    hub::{Hub, Surroundings},
};
use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;

use crate::{
    authority::Authority,
    credential::parse::{Origin, Plan, Refusal, parameters},
    events::Events,
    index::Index,
    namespaces::Namespaces,
    pace::Pace,
    queue::Queue,
    secret::SeenSecrets,
    sources::Sources,
    status::Told,
    taken::Taken,
    timers::Timers,
    trouble::FirstLists,
    unreadable::Unreadable,
    untold::Untold,
    waiting::Waiting,
};

/// One per process.
pub struct Context {
    pub client: Client,
    pub hub: Arc<Hub>,
    pub epoch: Epoch,
    pub index: Index,
    pub secrets: SeenSecrets,
    pub taken: Taken,
    pub namespaces: Namespaces,
    pub sources: Sources,
    pub authority: Authority,
    pub queue: Queue,
    pub events: Events,
    pub backoffs: Backoffs,
    pub reasons: Reasons,
    pub told: Told,
    /// When objects are looked at because their time has come.
    pub timers: Arc<Timers>,
    /// How many versions that nobody asked for may be begun in a minute.
    pub budget: Mutex<Budget>,
    pub untold: Untold,
    pub unreadable: Unreadable,
    /// Whether each watch ever showed everything.
    pub first_lists: Arc<FirstLists>,
    /// Whoever sees the store answer again wakes these.
    pub waiting_for_store: Waiting,
    /// Authorities that wait until what they signed is in use no more. Whoever sees one of those change wakes them.
    pub held: Waiting,
    /// The release namespace, and the Secrets in it that no object may touch: the master keys.
    pub home: (String, Vec<String>),
    /// Whether the objects have been listed once.
    pub listed: watch::Sender<bool>,
    /// Whether namespaces have been listed once: before, each would have to be asked for.
    pub namespaces_listed: watch::Sender<bool>,
    /// Whether our Secrets have been listed once: before, everything would look absent.
    pub secrets_listed: watch::Sender<bool>,
}

impl Context {
    /// Refuses an object that would be signed by itself, over others.
    pub fn refuse_circle(&self, plan: &Plan) -> Option<Refusal> {
        plan.origin.parameters().and_then(parameters::signer)?;
        let way = self.index.cycle(&plan.name)?;
        Some(Refusal::Invalid(format!(
            "spec.certificate.signedBy goes in a circle, {}: none of them can be made before another; let one of them sign \
             itself",
            way.join(" is signed by ")
        )))
    }

    /// Refuses an object that names a Secret of ours as source or target.
    pub fn refuse_our_own(&self, namespace: &str, plan: &Plan) -> Option<Refusal> {
        let (home, keys) = &self.home;
        let source = match &plan.origin {
            Origin::Source(source) | Origin::Adopt(_, source) | Origin::AdoptInput(source) => Some(source),
            Origin::Generate(_) | Origin::Input => None,
        };
        let target = plan.target.iter().map(|target| (&target.name, "spec.target.name"));
        let mut named = target.chain(source.map(|source| (&source.name, source.field)));
        let (ours, field) = named.find(|(name, _)| namespace == home && keys.contains(name))?;
        Some(Refusal::Policy(format!("{field}: Secret {ours} holds the operator's master key: name another Secret")))
    }
}

impl Context {
    /// An object that is not to be given a version by time has no place in the line.
    pub fn leave_the_line(&self, object: &ObjectUid) {
        self.budget.lock().expect("nobody panics with the budget in hand").leave(object);
    }
}

impl Surroundings for Context {
    fn is_live(&self, object: &ObjectUid) -> bool {
        self.index.is_live(object.as_str())
    }

    fn start(&self, object: &ObjectUid, now: Timestamp) -> Result<(), Timestamp> {
        self.budget.lock().expect("nobody panics with the budget in hand").start(object, now)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// How often each object failed in a row, by UID.
#[derive(Debug, Default)]
pub struct Backoffs(Mutex<HashMap<String, u32>>);

impl Backoffs {
    /// How long to wait after one more failure. With [`Pace::Failure`] that makes six tries in the first minute.
    pub fn failed(&self, uid: &str, pace: Pace) -> Duration {
        let mut all = self.lock();
        let failures = all.entry(uid.to_owned()).or_default();
        *failures += 1;
        pace.wait(*failures, uid)
    }

    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

/// What each object's `Ready` says, by UID, counted in a metric.
#[derive(Debug)]
pub struct Reasons {
    all: Mutex<HashMap<String, &'static str>>,
    gauge: prometheus::IntGaugeVec,
}

impl Reasons {
    pub fn new(gauge: prometheus::IntGaugeVec) -> Self {
        Self { all: Mutex::default(), gauge }
    }

    pub fn set(&self, uid: &str, reason: &'static str) {
        self.gauge.with_label_values(&[reason]).inc();
        self.leave(self.lock().insert(uid.to_owned(), reason));
    }

    pub fn forget(&self, uid: &str) {
        self.leave(self.lock().remove(uid));
    }

    fn leave(&self, reason: Option<&'static str>) {
        if let Some(reason) = reason {
            self.gauge.with_label_values(&[reason]).dec();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, &'static str>> {
        self.all.lock().expect("nobody panics with the map in hand")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_is_counted_under_its_latest_reason() {
        let metrics = credsmith_core::metrics::Metrics::new();
        let reasons = Reasons::new(metrics.credentials.clone());
        reasons.set("a", "InSync");
        reasons.set("b", "WaitingForInput");
        reasons.set("b", "InSync");
        reasons.forget("a");
        reasons.forget("a");
        let count = |reason| metrics.credentials.with_label_values(&[reason]).get();
        assert_eq!((count("InSync"), count("WaitingForInput")), (1, 0));
    }

    #[test]
    fn a_bad_object_is_tried_at_most_six_times_a_minute() {
        let backoffs = Backoffs::default();
        let mut at = Duration::ZERO;
        let mut tries = vec![at];
        for _ in 0..12 {
            at += backoffs.failed("u", Pace::Failure);
            tries.push(at);
        }
        for start in &tries {
            let within = tries.iter().filter(|try_| **try_ >= *start && **try_ < *start + Duration::from_secs(60));
            assert!(within.count() <= 6, "{tries:?}");
        }
        backoffs.forget("u");
        assert_eq!(backoffs.failed("u", Pace::Failure), Duration::from_secs(1));
    }
}
