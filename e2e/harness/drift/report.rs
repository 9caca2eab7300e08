//! What a run says.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    time::Duration,
};

use super::population::Population;
use crate::requests::{Key, Needless, Request};

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub first_sync: FirstSync,
    pub edits: usize,
    pub repaired: usize,
    pub slowest: Duration,
    pub needless: Needless,
    /// What the counter makes of one request that was planted. Anything but 1 means that it counts wrongly.
    pub control: usize,
    /// What else is not as it should be.
    pub faults: Vec<String>,
}

/// What it costs to make them all.
#[derive(Debug)]
pub struct FirstSync {
    pub credentials: usize,
    pub took: Duration,
    /// Requests of the operator that name an object, for each credential.
    pub requests_each: f64,
    /// The same of those whose value is generated: one create and one patch of the status is the floor.
    pub requests_each_generated: f64,
    /// How many of each sort, by verb and resource.
    pub requests: BTreeMap<String, usize>,
}

impl Report {
    /// Whether all of it is as it has to be.
    pub fn passed(&self) -> bool {
        self.repaired == self.edits && self.needless.count() == 0 && self.control == 1 && self.faults.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults.iter().take(MOST_FAULTS).try_for_each(|fault| writeln!(f, "  fault: {fault}"))?;
        write!(f, "{}", self.needless)?;
        let (slowest, needless) = (self.slowest.as_secs_f32(), self.needless.count());
        writeln!(
            f,
            "drift: edits {} repaired {} slowest {slowest:.2} s needless requests {needless}",
            self.edits, self.repaired
        )?;
        writeln!(f, "{}", self.first_sync)?;
        write!(f, "control: counted {}", self.control)
    }
}

impl FirstSync {
    /// Of what the operator asked while they were made.
    pub fn of(population: &Population, requests: &[Request]) -> Self {
        let generated: HashSet<&Key> = population.generated().collect();
        let about: Vec<_> = requests.iter().filter_map(Request::about).collect();
        let mut sorts = BTreeMap::new();
        for request in requests.iter().filter(|request| request.about().is_some()) {
            *sorts.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
        }
        let of_generated = about.iter().filter(|key| generated.contains(key)).count();
        Self {
            credentials: population.keys.len(),
            took: population.took,
            requests_each: about.len() as f64 / population.keys.len() as f64,
            requests_each_generated: of_generated as f64 / generated.len() as f64,
            requests: sorts,
        }
    }
}

impl fmt::Display for FirstSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { credentials, took, requests_each, requests_each_generated, .. } = self;
        write!(
            f,
            "first sync: {credentials} credentials in {:.1} s, requests each {requests_each:.2} ({requests_each_generated:.2} \
             where the value is generated)",
            took.as_secs_f32()
        )
    }
}

/// So many are shown: the first tell what the others would.
const MOST_FAULTS: usize = 20;
