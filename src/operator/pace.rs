//! How long to wait before an object is looked at again without having been woken.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// Why it is looked at again, and hence how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Somebody was faster: soon, and not for ever.
    Race,
    /// The API server does not answer, or has too much to do. Nothing else tells an object that it is back.
    Away,
    /// The store does not answer. Whoever sees it come back wakes the objects that wait for it.
    Store,
    /// It was refused, and no watch shows what would have to change.
    Failure,
    /// Something that is watched has to change: a look for the case that a watch missed it.
    Safety,
}

impl Pace {
    /// The wait after so many failures in a row, the first being 1. It doubles with each, up to a limit.
    ///
    /// What many objects meet at once is spread: each waits between half of it and all of it, by its own UID, so that they
    /// do not come back all at once.
    pub fn wait(self, failures: u32, uid: &str) -> Duration {
        let (first, most, spread) = match self {
            Self::Race => (Duration::from_millis(50), Duration::from_secs(10), true),
            Self::Away => (Duration::from_secs(2), Duration::from_secs(15), true),
            Self::Store => (Duration::from_secs(2), Duration::from_secs(60), true),
            Self::Failure => (Duration::from_secs(1), LONGEST, false),
            Self::Safety => (LONGEST, LONGEST, true),
        };
        let doublings = failures.saturating_sub(1).min(16);
        let wait = first.saturating_mul(1 << doublings).min(most);
        if spread { wait.mul_f64(share(uid, failures)) } else { wait }
    }
}

/// Between a half and one; the same for the same object and number, on every machine and in every test.
fn share(uid: &str, failures: u32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (uid, failures).hash(&mut hasher);
    let drawn = u32::try_from(hasher.finish() >> 32).unwrap_or_default();
    0.5 + f64::from(drawn) / f64::from(u32::MAX) / 2.0
}

const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Pace; 5] = [Pace::Race, Pace::Away, Pace::Store, Pace::Failure, Pace::Safety];

    #[test]
    fn waits_double_up_to_a_limit_and_never_pass_it() {
        let limits = [10_000, 15_000, 60_000, 300_000, 300_000];
        for (pace, limit) in ALL.into_iter().zip(limits) {
            for failures in 1..60 {
                let wait = pace.wait(failures, "u").as_millis();
                assert!((25..=limit).contains(&wait), "{pace:?} {failures}: {wait}");
            }
            assert!(pace.wait(u32::MAX, "u").as_millis() >= limit / 2, "{pace:?}");
        }
        assert_eq!([1, 2, 3, 4].map(|n| Pace::Failure.wait(n, "u").as_secs()), [1, 2, 4, 8]);
    }

    #[test]
    fn objects_that_fail_together_do_not_come_back_together() {
        let waits: BTreeSet<_> = (0..100).map(|nth| Pace::Store.wait(6, &format!("uid-{nth}"))).collect();
        assert!(waits.len() > 90, "{} different waits", waits.len());
        let (first, last) = (waits.first().unwrap(), waits.last().unwrap());
        assert!(*last - *first > Duration::from_secs(20), "{first:?} to {last:?}");
    }

    #[test]
    fn the_same_object_waits_the_same_time_again() {
        for pace in ALL {
            assert_eq!(pace.wait(3, "u"), pace.wait(3, "u"));
        }
    }
}
