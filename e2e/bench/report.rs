//! What a run says, and whether it says anything at all.

use std::{fmt, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    floor,
    load::{self, MOST_LOAD},
    ours::{self, Quiet},
};

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Before anything was started.
    pub load: f64,
    pub release_build: bool,
    /// Objects that the floor has in hand at a time, and the rates by which that was chosen.
    pub floor_in_flight: usize,
    pub floor_tried: Vec<(usize, f64)>,
    /// Bytes of the Secret and of the status that either sends.
    pub sizes: (usize, usize),
    pub floor: Vec<floor::Round>,
    pub ours: Vec<ours::Round>,
    pub quiet: Quiet,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Objects per second, medians of the rounds.
    pub ours: f64,
    pub floor: f64,
    pub ratio: f64,
    /// Requests that name an object, for each object, of all rounds.
    pub requests_each: f64,
    /// The most that a process of any round held.
    pub rss_mib: f64,
    pub quiet_writes: usize,
    pub quiet_requests: usize,
    /// The median of the floor's creates without patches.
    pub creates_a_second: f64,
}

impl Report {
    pub fn figures(&self) -> Figures {
        let rate = |objects: usize, took: Duration| objects as f64 / took.as_secs_f64();
        let ours = median(self.ours.iter().map(|round| rate(round.objects, round.took)));
        let floor = median(self.floor.iter().map(|round| rate(round.objects, round.took)));
        let objects: usize = self.ours.iter().map(|round| round.objects).sum();
        let requests: usize = self.ours.iter().map(|round| round.requests.objects).sum();
        let peaks = self.ours.iter().map(|round| round.memory.peak_kib).chain([self.quiet.memory.peak_kib]);
        Figures {
            ours,
            floor,
            ratio: ours / floor,
            requests_each: requests as f64 / objects as f64,
            rss_mib: peaks.max().unwrap_or(0) as f64 / 1024.0,
            quiet_writes: self.quiet.requests.writes,
            quiet_requests: self.quiet.requests.all,
            creates_a_second: median(self.floor.iter().map(|round| round.creates_a_second)),
        }
    }

    /// Why the figures say nothing, if so.
    pub fn void(&self) -> Vec<String> {
        let mut why: Vec<_> = load::void(self.load).into_iter().collect();
        // After a round of our own the load of the last minute says nothing; the cores that were busy just before do.
        let floors = self.floor.iter().map(|round| round.busy_before);
        let busy = floors.chain(self.ours.iter().map(|round| round.busy_before)).fold(0.0, f64::max);
        if busy > MOST_LOAD {
            why.push(format!("{busy:.2} cores were busy with something else before a round, over {MOST_LOAD}"));
        }
        let creates = self.figures().creates_a_second;
        if !reaches(creates, FEWEST_CREATES) {
            why.push(format!("the floor is weak: {creates:.0} creates alone a second, under {FEWEST_CREATES:.0}"));
        }
        if !self.release_build {
            why.push("this is no release build".to_owned());
        }
        if self.quiet.lasted < QUIET {
            why.push(format!("only {:?} were quiet, not {QUIET:?}", self.quiet.lasted));
        }
        if self.quiet.control != 1 {
            why.push(format!("one planted write was counted as {}", self.quiet.control));
        }
        why
    }

    /// What is under the bar.
    pub fn under_the_bar(&self) -> Vec<String> {
        let Figures { ratio, requests_each, quiet_writes, .. } = self.figures();
        let mut why = Vec::new();
        if !reaches(ratio, LEAST_RATIO) {
            why.push(format!("ratio {ratio:.2}, the bar is {LEAST_RATIO}"));
        }
        if !reaches(MOST_REQUESTS, requests_each) {
            why.push(format!("{requests_each:.2} requests for each object, the bar is {MOST_REQUESTS}"));
        }
        if quiet_writes > 0 {
            why.push(format!("{quiet_writes} writes while nothing was due, the bar is 0"));
        }
        why
    }

    /// Writes all of it to `target/bench/operator.json`.
    pub fn write(&self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        let all = serde_json::json!({
            "figures": self.figures(), "void": self.void(), "under_the_bar": self.under_the_bar(), "run": self,
        });
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("operator.json"), format!("{all:#}\n")))
            .with_context(|| format!("writing to {}", folder.display()))
    }
}

impl fmt::Display for Report {
    /// The raw counts, why they say nothing or too little, and the line that sums up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried: Vec<_> = self.floor_tried.iter().map(|(at, rate)| format!("{at}: {rate:.0}/s")).collect();
        let (secret, status) = self.sizes;
        writeln!(
            f,
            "load before {:.2}; a Secret of {secret} bytes, a status of {status}; etcd without fsync",
            self.load
        )?;
        writeln!(f, "floor in flight {} (tried {})", self.floor_in_flight, tried.join(", "))?;
        for (nth, (floor, ours)) in self.floor.iter().zip(&self.ours).enumerate() {
            let s = &floor.spent_each;
            writeln!(
                f,
                "round {nth} floor {} in {:.2} s, creates alone {:.0}/s; CPU us each: client {} apiserver {} etcd {} \
                 controllers {}; busy before {:.2}",
                floor.objects,
                floor.took.as_secs_f64(),
                floor.creates_a_second,
                s.bench,
                s.apiserver,
                s.etcd,
                s.controller_manager,
                floor.busy_before
            )?;
            let (s, r, m) = (&ours.spent_each, &ours.requests, ours.memory);
            writeln!(
                f,
                "round {nth} ours  {} in {:.2} s, requests about objects {} lists {} watches {} failed {}; CPU us each: \
                 operator {} watching {} apiserver {} etcd {} controllers {}; rss {} KiB, peak {} KiB; busy before {:.2}",
                ours.objects,
                ours.took.as_secs_f64(),
                r.objects,
                r.lists,
                r.watches,
                r.failed,
                s.operator,
                s.bench,
                s.apiserver,
                s.etcd,
                s.controller_manager,
                m.resident_kib,
                m.peak_kib,
                ours.busy_before
            )?;
            writeln!(f, "round {nth} ours  requests {:?}", r.sorts)?;
        }
        let Quiet { lasted, requests, memory, spent, control } = &self.quiet;
        let share = *spent as f64 / lasted.as_micros() as f64 * 100.0;
        let a_minute = requests.all as f64 / lasted.as_secs_f64() * 60.0;
        writeln!(
            f,
            "quiet for {:.0} s: writes {} requests {} ({a_minute:.1} a minute) {:?}, CPU {share:.2} % of a core, rss {} KiB; \
             control: planted 1 write, counted {control}",
            lasted.as_secs_f64(),
            requests.writes,
            requests.all,
            requests.sorts,
            memory.resident_kib
        )?;
        self.void().iter().try_for_each(|why| writeln!(f, "void: {why}"))?;
        self.under_the_bar().iter().try_for_each(|why| writeln!(f, "under the bar: {why}"))?;
        let Figures { ours, floor, ratio, requests_each, rss_mib, quiet_writes, quiet_requests, .. } = self.figures();
        write!(
            f,
            "bench-operator: ours {ours:.0}/s floor {floor:.0}/s ratio {ratio:.2} requests-each {requests_each:.2} rss \
             {rss_mib:.0} MiB quiet-writes {quiet_writes} quiet-requests {quiet_requests}"
        )
    }
}

/// What is no number reaches nothing.
fn reaches(value: f64, bar: f64) -> bool {
    value >= bar
}

/// The middle one, of an even number the lower of both; not a number where there is none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// How long nothing is due.
pub const QUIET: Duration = Duration::from_secs(120);
const FEWEST_CREATES: f64 = 300.0;
const LEAST_RATIO: f64 = 0.5;
const MOST_REQUESTS: f64 = 3.0;

#[cfg(test)]
mod tests;
