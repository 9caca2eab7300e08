//! What the kernel knows: how busy the machine is, and what a process costs.

use std::{
    fs,
    ops::Sub,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use credsmith_harness::control_plane::{Component, ControlPlane};
use serde::Serialize;

/// Waits until less than a fifth of one core is busy, half a minute at most, and tells how many cores were busy last. Not the
/// load of the last minute: after a round of our own that says nothing.
pub async fn rest() -> Result<f64> {
    let started = Instant::now();
    loop {
        let before = busy_ticks()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let busy = (busy_ticks()? - before) as f64 / TICKS_A_SECOND as f64;
        if busy < RESTING || started.elapsed() > PATIENCE {
            return Ok(busy);
        }
    }
}

fn busy_ticks() -> Result<u64> {
    busy_in(&fs::read_to_string("/proc/stat")?).context("the processor times in /proc/stat")
}

/// Everything but idling and waiting for a disk, of all cores.
fn busy_in(text: &str) -> Option<u64> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    // The last two, guests, are part of the first two.
    let ticks: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let (idle, waiting) = (ticks.get(3)?, ticks.get(4)?);
    Some(ticks.iter().sum::<u64>() - idle - waiting)
}

/// The memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The most that was ever resident.
    pub peak_kib: u64,
    pub resident_kib: u64,
}

/// The memory of a running process.
pub fn memory_of(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    memory_in(&text).with_context(|| format!("VmHWM and VmRSS of process {pid}"))
}

fn memory_in(text: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Memory { peak_kib: kib("VmHWM")?, resident_kib: kib("VmRSS")? })
}

/// The processor time of all who take part, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Ours: 0 while it does not run, and in a round of the floor.
    pub operator: u64,
    /// The floor's client, and the watches by which both are timed.
    pub bench: u64,
    pub apiserver: u64,
    pub etcd: u64,
    /// The garbage collector follows every Secret.
    pub controller_manager: u64,
}

impl Spent {
    /// Up to now.
    pub fn now(plane: &ControlPlane, operator: Option<u32>) -> Self {
        let of = |component| plane.pid(component).map_or(0, processor_time);
        Self {
            operator: operator.map_or(0, processor_time),
            bench: processor_time(std::process::id()),
            apiserver: of(Component::Apiserver),
            etcd: of(Component::Etcd),
            controller_manager: of(Component::ControllerManager),
        }
    }

    /// For each of so many.
    pub fn each(self, count: usize) -> Self {
        self.map(|micros| micros / count.max(1) as u64)
    }

    fn map(self, one: impl Fn(u64) -> u64) -> Self {
        Self {
            operator: one(self.operator),
            bench: one(self.bench),
            apiserver: one(self.apiserver),
            etcd: one(self.etcd),
            controller_manager: one(self.controller_manager),
        }
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            operator: self.operator.saturating_sub(before.operator),
            bench: self.bench.saturating_sub(before.bench),
            apiserver: self.apiserver.saturating_sub(before.apiserver),
            etcd: self.etcd.saturating_sub(before.etcd),
            controller_manager: self.controller_manager.saturating_sub(before.controller_manager),
        }
    }
}

/// Of a process with all its threads; 0 of one that is gone.
fn processor_time(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    ticks_in(&text).unwrap_or(0) * (1_000_000 / TICKS_A_SECOND)
}

fn ticks_in(text: &str) -> Option<u64> {
    // The second field, the name, is in parentheses and may hold anything.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
}

/// What Linux tells processes by, on every platform, whatever the kernel counts in.
const TICKS_A_SECOND: u64 = 100;
/// Of one core.
const RESTING: f64 = 0.2;
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idling_and_waiting_for_a_disk_is_not_busy() {
        assert_eq!(busy_in("cpu  100 20 30 4000 500 6 7 8 100 0\ncpu0 1 2 3\n"), Some(171));
        assert_eq!(busy_in("intr 5"), None);
    }

    #[test]
    fn memory_is_read_by_name() {
        let text = "Name:\tcredsmith\nVmPeak:\t  900000 kB\nVmHWM:\t   52340 kB\nVmRSS:\t   48012 kB\nThreads:\t5\n";
        assert_eq!(memory_in(text), Some(Memory { peak_kib: 52340, resident_kib: 48012 }));
        assert_eq!(memory_in("VmHWM:\t 1 kB\n"), None);
    }

    #[test]
    fn processor_time_is_that_of_user_and_system() {
        let text = "77 (a ) name) S 1 77 77 0 -1 4194560 500 0 0 0 31 12 0 0 20 0 5 0 12345 900 100";
        assert_eq!(ticks_in(text), Some(43));
        assert!(processor_time(std::process::id()) < 3_600_000_000);
        assert_eq!(processor_time(0), 0);
    }

    #[test]
    fn what_was_spent_is_a_difference_and_is_shared_by_all() {
        let before = Spent { operator: 100, apiserver: 1000, ..Default::default() };
        let after = Spent { operator: 700, apiserver: 9000, bench: 40, ..Default::default() };
        let each = (after - before).each(20);
        assert_eq!(each, Spent { operator: 30, apiserver: 400, bench: 2, ..Default::default() });
    }
}
