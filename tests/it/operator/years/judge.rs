//! What may and what may not have happened, by arithmetic of its own: it knows the manifests and the versions that the
//! store holds, and no rule of the product.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// What a manifest says about time.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Nothing by time.
    Never,
    /// Days after the version was made.
    Every(i64),
    /// So many hours before it ends.
    HoursBefore(i64),
    /// So many hundredths of its lifetime before it ends.
    ShareBefore(i64),
}

/// A version, as far as time goes.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub at: Timestamp,
    pub expires: Option<Timestamp>,
}

/// A credential with its versions, oldest first.
#[derive(Clone, Debug)]
pub struct History {
    pub rule: Rule,
    pub versions: Vec<Made>,
}

/// How the years were.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub credentials: usize,
    /// Versions made by `every`.
    pub rotations: usize,
    /// Versions made by `renewBefore`.
    pub renewals: usize,
    /// Versions made before their time, or for a value that has none.
    pub early: usize,
    /// Certificates that ended while somebody could have renewed them.
    pub expired: usize,
    /// Starts that a minute had too many.
    pub over_budget: usize,
}

impl Rule {
    /// When a version is due at the latest. `None`: never.
    pub fn latest(self, made: Made) -> Option<Timestamp> {
        Some(made.at + self.interval(made)?)
    }

    /// When it is due at the earliest: a twentieth of the interval before.
    fn earliest(self, made: Made) -> Option<Timestamp> {
        Some(made.at + self.interval(made)? * 19 / 20)
    }

    fn interval(self, made: Made) -> Option<SignedDuration> {
        let lifetime = made.expires.map(|end| end.duration_since(made.at));
        match self {
            Self::Never => None,
            Self::Every(days) => Some(SignedDuration::from_hours(24 * days)),
            Self::HoursBefore(hours) => Some(lifetime? - SignedDuration::from_hours(hours)),
            Self::ShareBefore(share) => Some(lifetime? * i32::try_from(100 - share).ok()? / 100),
        }
    }
}

/// Judges all of them. `away` are the times in which nobody could renew; `until` is where the years end.
pub fn judge(histories: &[History], away: &[(Timestamp, Timestamp)], a_minute: usize, until: Timestamp) -> Verdict {
    let mut verdict = Verdict { credentials: histories.len(), ..Verdict::default() };
    let mut starts = Vec::new();
    for History { rule, versions } in histories {
        for (made, next) in versions.iter().zip(versions.iter().skip(1)) {
            match rule {
                Rule::Every(_) => verdict.rotations += 1,
                Rule::HoursBefore(_) | Rule::ShareBefore(_) => verdict.renewals += 1,
                Rule::Never => {}
            }
            // Times are kept to the millisecond, and the end of a certificate to the second.
            let is_due = rule.earliest(*made).is_some_and(|earliest| next.at + SLACK >= earliest);
            verdict.early += usize::from(!is_due);
            starts.push(next.at);
        }
        let followed = versions.iter().skip(1).map(|next| next.at).chain([until]);
        let ended = versions.iter().zip(followed).filter_map(|(made, next)| made.expires.filter(|end| *end <= next));
        let excused = |end: &Timestamp| away.iter().any(|(from, to)| (from..=to).contains(&end));
        verdict.expired += ended.filter(|end| !excused(end)).count();
    }
    starts.sort_unstable();
    for (nth, start) in starts.iter().enumerate() {
        let a_minute_ago = *start - SignedDuration::from_mins(1);
        let before = starts[..nth].iter().rev().take_while(|other| **other > a_minute_ago).count();
        verdict.over_budget += usize::from(before >= a_minute);
    }
    verdict
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { credentials, rotations, renewals, early, expired, over_budget } = self;
        write!(
            f,
            "years: 3 credentials {credentials} rotations {rotations} renewals {renewals} early {early} expired {expired} \
             over-budget {over_budget}"
        )
    }
}

const SLACK: SignedDuration = SignedDuration::from_secs(1);

#[cfg(test)]
mod control {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day)
    }

    fn history(rule: Rule, days: &[i64], lifetime: Option<i64>) -> History {
        let made = |at: &i64| Made { at: day(*at), expires: lifetime.map(|days| day(*at + days)) };
        History { rule, versions: days.iter().map(made).collect() }
    }

    fn judged(history: History) -> Verdict {
        judge(&[history], &[], 60, day(1000))
    }

    #[test]
    fn what_is_as_it_should_be_is_found_so() {
        let fine = [
            history(Rule::Never, &[0], None),
            history(Rule::Every(100), &[0, 95, 195, 800], None),
            history(Rule::HoursBefore(240), &[0, 80, 159, 239, 316, 395, 475, 552, 631, 710, 788, 866, 945], Some(90)),
            history(Rule::ShareBefore(33), &[920], Some(90)),
        ];
        let expected = Verdict { credentials: 4, rotations: 3, renewals: 12, ..Verdict::default() };
        assert_eq!(judge(&fine, &[], 60, day(1000)), expected);
    }

    #[test]
    fn a_version_before_its_time_is_found() {
        assert_eq!(judged(history(Rule::Every(100), &[0, 94], None)).early, 1);
        assert_eq!(judged(history(Rule::ShareBefore(33), &[950, 1003], Some(90))).early, 1);
        assert_eq!(judged(history(Rule::Never, &[0, 900], None)).early, 1);
    }

    #[test]
    fn a_certificate_that_ended_is_found_unless_nobody_could_renew_it() {
        let ended = history(Rule::HoursBefore(240), &[0, 95, 930], Some(90));
        assert_eq!(judged(ended.clone()).expired, 2, "one that was renewed too late, and one in between");
        let away = [(day(80), day(94)), (day(184), day(186))];
        assert_eq!(judge(&[ended], &away, 60, day(1000)).expired, 0);
        assert_eq!(judged(history(Rule::HoursBefore(240), &[900], Some(90))).expired, 1, "the last one");
    }

    #[test]
    fn a_minute_with_too_many_starts_is_found() {
        let together = vec![history(Rule::Every(100), &[0, 100], None); 62];
        assert_eq!(judge(&together, &[], 60, day(1000)).over_budget, 2);
        assert_eq!(judge(&together[..60], &[], 60, day(1000)).over_budget, 0);
    }
}
