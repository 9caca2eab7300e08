//! When a value is due by time.
//!
//! Pure: the spec, the version that is there and the clock go in, a time comes out. The same version gives the same time
//! at every look, whoever looks and however often: what makes fleets not rotate together is drawn from the path.

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

/// When a new value is made by time (`spec.rotation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    pub by: By,
    /// `mode: Manual`: nothing by time, whatever else it says.
    pub manual: bool,
    /// Up to so much of the interval is taken off, by path.
    pub jitter: Percent,
    pub on_change: OnChange,
}

/// What the time is counted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Nothing by time.
    #[default]
    Nothing,
    /// So long after the version was made.
    Every(SignedDuration),
    /// So long before the version expires.
    Before(Before),
}

/// How long before its end a certificate is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Duration(SignedDuration),
    /// Of its lifetime.
    Share(Percent),
}

/// What becomes of a value whose parameters changed (`spec.rotation.onParametersChange`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    #[default]
    Keep,
    Regenerate,
}

/// A share, 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percent(u8);

impl Percent {
    /// `None` above 100.
    pub fn new(percent: u8) -> Option<Self> {
        (percent <= 100).then_some(Self(percent))
    }

    fn of(self, whole: SignedDuration) -> SignedDuration {
        scaled(whole, f64::from(self.0) / 100.0)
    }
}

/// The version that is there, as far as time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    pub at: Timestamp,
    /// Where it expires: when it began to be valid, and when it ends.
    pub valid: Option<(Timestamp, Timestamp)>,
    /// Until when a version made in its place could be valid at most: the end of its signer.
    pub limit: Option<Timestamp>,
}

/// What the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByTime {
    /// Nothing is due by time, ever.
    Never,
    /// It is as valid as its signer lets it be: a new version would end when this one does.
    WithItsSigner,
    /// Due then.
    At(Timestamp),
}

impl ByTime {
    pub fn is_due(self, now: Timestamp) -> bool {
        matches!(self, Self::At(at) if at <= now)
    }
}

impl Rotation {
    /// When the version is to be followed by another. `path` is the folded one.
    ///
    /// A certificate that was cut short, so that less than `renewBefore` was left of it from the start, is renewed after
    /// two thirds of its lifetime.
    pub fn due(&self, path: &str, made: Made) -> ByTime {
        if self.manual {
            return ByTime::Never;
        }
        let (from, interval) = match (self.by, made.valid) {
            (By::Every(interval), _) => (made.at, interval),
            (By::Before(before), Some((from, until))) => {
                if made.limit.is_some_and(|limit| limit <= until) {
                    return ByTime::WithItsSigner;
                }
                let lifetime = until.duration_since(from);
                let before = match before {
                    Before::Duration(before) => before,
                    Before::Share(share) => share.of(lifetime),
                };
                let interval = if before < lifetime { lifetime - before } else { scaled(lifetime, 2.0 / 3.0) };
                (from, interval)
            }
            (By::Nothing, _) | (By::Before(_), None) => return ByTime::Never,
        };
        let off = scaled(self.jitter.of(interval), drawn(path));
        // Beyond the years that can be written is never.
        from.checked_add(interval - off).map_or(ByTime::Never, ByTime::At)
    }
}

/// From when on it is said that a certificate expires soon: a tenth of its lifetime before its end, thirty days at most.
pub fn warned_from((from, until): (Timestamp, Timestamp)) -> Timestamp {
    let tenth = Percent(10).of(until.duration_since(from)).min(SignedDuration::from_hours(30 * 24));
    until.checked_sub(tenth).unwrap_or(until)
}

/// A number from 0 to 1 that belongs to the path.
fn drawn(path: &str) -> f64 {
    let hash = digest::digest(&digest::SHA256, format!("jitter {path}").as_bytes());
    let first = hash.as_ref().first_chunk().expect("SHA-256 gives 32 bytes");
    f64::from(u32::from_be_bytes(*first)) / f64::from(u32::MAX)
}

/// To the millisecond, which is what times are kept to.
fn scaled(whole: SignedDuration, by: f64) -> SignedDuration {
    SignedDuration::from_millis((whole.as_millis() as f64 * by) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Percent = Percent(0);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hours(hours: i64) -> SignedDuration {
        SignedDuration::from_hours(hours)
    }

    fn every(interval: i64, jitter: u8) -> Rotation {
        Rotation { by: By::Every(hours(interval)), jitter: Percent(jitter), ..Rotation::default() }
    }

    fn before(before: Before) -> Rotation {
        Rotation { by: By::Before(before), jitter: NONE, ..Rotation::default() }
    }

    fn made(at: Timestamp) -> Made {
        Made { at, valid: None, limit: None }
    }

    /// A certificate of so many hours.
    fn certificate(from: Timestamp, lifetime: i64) -> Made {
        Made { valid: Some((from, from + hours(lifetime))), ..made(from) }
    }

    #[test]
    fn the_time_is_counted_from_the_version_or_from_its_end() {
        let from = at("2026-01-01T00:00:00Z");
        let third = Before::Share(Percent(33));
        let table = [
            (every(720, 0), made(from), ByTime::At(at("2026-01-31T00:00:00Z"))),
            (every(720, 0), certificate(from, 24), ByTime::At(at("2026-01-31T00:00:00Z"))),
            (before(Before::Duration(hours(10))), certificate(from, 24), ByTime::At(at("2026-01-01T14:00:00Z"))),
            (before(third), certificate(from, 100), ByTime::At(at("2026-01-03T19:00:00Z"))),
            (before(third), made(from), ByTime::Never),
            (Rotation::default(), certificate(from, 24), ByTime::Never),
            (Rotation { manual: true, ..every(1, 0) }, made(from), ByTime::Never),
        ];
        for (rotation, made, expected) in table {
            assert_eq!(rotation.due("/a", made), expected, "{rotation:?} {made:?}");
        }
    }

    #[test]
    fn a_certificate_that_was_cut_short_is_renewed_after_two_thirds_of_its_life() {
        let from = at("2026-01-01T00:00:00Z");
        let cut = before(Before::Duration(hours(240))).due("/a", certificate(from, 30));
        assert_eq!(cut, ByTime::At(from + hours(20)));
    }

    #[test]
    fn a_certificate_that_ends_with_its_signer_waits_for_it() {
        let from = at("2026-01-01T00:00:00Z");
        let made = certificate(from, 24);
        let rotation = before(Before::Share(Percent(50)));
        let with_limit = |hours_left| Made { limit: Some(from + hours(hours_left)), ..made };
        assert_eq!(rotation.due("/a", with_limit(24)), ByTime::WithItsSigner);
        assert_eq!(rotation.due("/a", with_limit(25)), ByTime::At(from + hours(12)));
    }

    #[test]
    fn the_end_is_announced_a_tenth_of_the_lifetime_before_and_thirty_days_at_most() {
        let from = at("2026-01-01T00:00:00Z");
        assert_eq!(warned_from((from, from + hours(100))), from + hours(90));
        assert_eq!(warned_from((from, from + hours(87_600))), from + hours(87_600 - 720));
    }

    #[test]
    fn a_time_beyond_all_years_is_never() {
        let rotation = Rotation { by: By::Every(SignedDuration::MAX), ..Rotation::default() };
        assert_eq!(rotation.due("/a", made(at("2026-01-01T00:00:00Z"))), ByTime::Never);
    }

    proptest! {
        #[test]
        fn jitter_brings_the_time_forward_by_its_share_at_most_and_never_back(
            path in "/[a-z]{1,9}/[a-z]{1,9}", interval in 1_i64..87_600, jitter in 0_u8..=50, day in 0_i64..30_000,
        ) {
            let from = Timestamp::UNIX_EPOCH + hours(24 * day);
            let ByTime::At(plain) = every(interval, 0).due(&path, made(from)) else { panic!("a time") };
            let ByTime::At(due) = every(interval, jitter).due(&path, made(from)) else { panic!("a time") };
            prop_assert!(due <= plain && due >= plain - Percent(jitter).of(hours(interval)));
            prop_assert_eq!(every(interval, jitter).due(&path, made(from)), ByTime::At(due));
        }

        #[test]
        fn a_certificate_is_due_before_it_ends_and_after_it_began(
            lifetime in 1_i64..87_600, left in 1_i64..90_000, share in 1_u8..=99, jitter in 0_u8..=50,
        ) {
            let from = at("2026-01-01T00:00:00Z");
            for before in [Before::Duration(hours(left)), Before::Share(Percent(share))] {
                let rotation = Rotation { by: By::Before(before), jitter: Percent(jitter), ..Rotation::default() };
                let ByTime::At(due) = rotation.due("/a", certificate(from, lifetime)) else { panic!("a time") };
                prop_assert!(due > from && due < from + hours(lifetime), "{due}");
            }
        }
    }

    #[test]
    fn paths_spread_over_the_whole_jitter() {
        let from = at("2026-01-01T00:00:00Z");
        let rotation = every(1000, 50);
        let mut quarters = [0; 4];
        for number in 0..400 {
            let ByTime::At(due) = rotation.due(&format!("/shop/{number}"), made(from)) else { panic!("a time") };
            quarters[((due.duration_since(from + hours(500)).as_hours() - 1).clamp(0, 499) / 125) as usize] += 1;
        }
        assert!(quarters.iter().all(|count| (60..=140).contains(count)), "{quarters:?}");
    }
}
