//! Where the kill test looks in: before and after each step of the store, and each write of a status.
//!
//! A build without the feature `probe` has nothing of it: the calls are empty, and what they would tell is not made.
//! A build with it has one watcher (`src/server/probe.rs`), which hears of each point and may hold whoever reaches one,
//! so that SIGKILL finds it there while everything else goes on.

#[cfg(feature = "probe")]
pub use on::{Watcher, watch};

/// A place in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A step was done in its transaction, which is not committed.
    StepOpen,
    /// The transaction of all steps that were open is on disk; nobody was answered.
    Committed,
    /// The transaction of all steps that were open is undone.
    Lost,
    /// A status is about to be sent.
    StatusBefore,
    /// A status was taken, or there was none to send.
    StatusAfter,
}

impl Point {
    /// As it is told and ordered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StepOpen => "store.open",
            Self::Committed => "store.committed",
            Self::Lost => "store.lost",
            Self::StatusBefore => "status.before",
            Self::StatusAfter => "status.after",
        }
    }
}

/// Says that a thread is at a point, which concerns `what`. Returns unless it is held there.
#[cfg(not(feature = "probe"))]
#[inline(always)]
pub fn reached(_: Point, _: impl FnOnce() -> String) {}

/// The same for a task, which is held without its thread.
#[cfg(not(feature = "probe"))]
#[inline(always)]
pub async fn passed(_: Point, _: impl FnOnce() -> String) {}

/// Whether the store syncs its commits. Only a build of the kill test can leave that out, to show that it is missed.
#[cfg(not(feature = "probe"))]
#[inline(always)]
pub const fn syncs() -> bool {
    true
}

#[cfg(feature = "probe")]
pub use on::{passed, reached, syncs};

#[cfg(feature = "probe")]
mod on {
    use std::sync::OnceLock;

    use super::Point;

    /// Hears of each point.
    pub trait Watcher: Send + Sync {
        /// Whether whoever reached it is to stay there until the process is killed.
        fn reached(&self, point: Point, what: &str) -> bool;
        /// See [`syncs`].
        fn syncs(&self) -> bool;
    }

    /// Lets `watcher` hear of each point from now on. The first one stays.
    pub fn watch(watcher: Box<dyn Watcher>) {
        let _ = WATCHER.set(watcher); // the first one stays
    }

    pub fn reached(point: Point, what: impl FnOnce() -> String) {
        if held(point, what) {
            loop {
                std::thread::park();
            }
        }
    }

    pub async fn passed(point: Point, what: impl FnOnce() -> String) {
        if held(point, what) {
            std::future::pending::<()>().await;
        }
    }

    pub fn syncs() -> bool {
        WATCHER.get().is_none_or(|watcher| watcher.syncs())
    }

    fn held(point: Point, what: impl FnOnce() -> String) -> bool {
        WATCHER.get().is_some_and(|watcher| watcher.reached(point, &what()))
    }

    static WATCHER: OnceLock<Box<dyn Watcher>> = OnceLock::new();
}
