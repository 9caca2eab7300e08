//! What every reconcile reads.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use credsmith_core::{domain::Epoch, hub::Hub};
use kube::Client;
use kube_runtime::events::Recorder;
use tokio::sync::watch;

use crate::{
    authority::Authority, index::Index, namespaces::Namespaces, queue::Queue, secret::SeenSecrets, sources::Sources,
};

/// One per process.
pub struct Context {
    pub client: Client,
    pub hub: Arc<Hub>,
    pub epoch: Epoch,
    pub index: Index,
    pub secrets: SeenSecrets,
    pub namespaces: Namespaces,
    pub sources: Sources,
    pub authority: Authority,
    pub queue: Queue,
    pub recorder: Recorder,
    pub backoffs: Backoffs,
    /// Whether the objects have been listed once.
    pub listed: watch::Sender<bool>,
    /// Whether our Secrets have been listed once: before, everything would look absent.
    pub secrets_listed: watch::Sender<bool>,
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
    /// How long to wait after one more failure: 1 s, 2 s, 4 s and so on up to five minutes, which is six times in the
    /// first minute.
    pub fn failed(&self, uid: &str) -> Duration {
        let mut all = self.lock();
        let failures = all.entry(uid.to_owned()).or_default();
        *failures += 1;
        Duration::from_secs(1 << (*failures - 1).min(8)).min(LONGEST)
    }

    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_object_is_tried_at_most_six_times_a_minute() {
        let backoffs = Backoffs::default();
        let mut at = Duration::ZERO;
        let mut tries = vec![at];
        for _ in 0..12 {
            at += backoffs.failed("u");
            tries.push(at);
        }
        for start in &tries {
            let within = tries.iter().filter(|try_| **try_ >= *start && **try_ < *start + Duration::from_secs(60));
            assert!(within.count() <= 6, "{tries:?}");
        }
        backoffs.forget("u");
        assert_eq!(backoffs.failed("u"), Duration::from_secs(1));
    }
}
