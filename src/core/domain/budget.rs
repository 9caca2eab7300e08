//! How many rotations may start by time in a minute.
//!
//! After a long stop everything is overdue at once. Each gets a place in a line whose steps are evenly spaced, comes back
//! at its time, and nobody has to ask again in between.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::ids::ObjectUid;

/// The line. Pure: the clock is an argument.
#[derive(Clone, Debug)]
pub struct Budget {
    step: SignedDuration,
    /// When somebody started last.
    last: Timestamp,
    /// When the place after the last one begins.
    free: Timestamp,
    places: HashMap<ObjectUid, Timestamp>,
}

impl Budget {
    /// So many starts a minute, at least one.
    pub fn new(a_minute: u32) -> Self {
        let step = SignedDuration::from_millis(60_000_u64.div_ceil(a_minute.max(1).into()) as i64);
        Self { step, last: Timestamp::MIN, free: Timestamp::MIN, places: HashMap::new() }
    }

    /// Lets an object start now, or says when its turn is.
    pub fn start(&mut self, object: &ObjectUid, now: Timestamp) -> Result<(), Timestamp> {
        if self.is_beyond_the_line(now) {
            // The clock went back, or most of the line left: whoever is still there need not wait for nobody.
            self.places.clear();
            self.free = if self.last <= now { self.last.checked_add(self.step).unwrap_or(now) } else { now };
        }
        let place = match self.places.get(object) {
            Some(place) => *place,
            None => {
                let place = self.free.max(now);
                self.free = place.checked_add(self.step).unwrap_or(Timestamp::MAX);
                place
            }
        };
        if place <= now {
            self.places.remove(object);
            self.last = now;
            return Ok(());
        }
        self.places.insert(object.clone(), place);
        Err(place)
    }

    /// An object that is gone, or that needs to start no more, leaves the line.
    pub fn leave(&mut self, object: &ObjectUid) {
        self.places.remove(object);
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.places.len()
    }

    /// Whether the line begins, or where nobody waits ends, later than those who wait can account for.
    fn is_beyond_the_line(&self, now: Timestamp) -> bool {
        let longest = self.step.checked_mul(i32::try_from(self.places.len() + 1).unwrap_or(i32::MAX));
        let end = longest.and_then(|longest| now.checked_add(longest).ok());
        self.places.is_empty() && end.is_some_and(|end| self.free > end)
            || self.places.values().min().is_some_and(|first| end.is_some_and(|end| *first > end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(number: usize) -> ObjectUid {
        ObjectUid::new(format!("u{number}"))
    }

    fn noon() -> Timestamp {
        "2026-01-16T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn one_that_comes_alone_starts_at_once() {
        let mut budget = Budget::new(60);
        assert_eq!(budget.start(&uid(1), noon()), Ok(()));
        assert_eq!(budget.start(&uid(2), noon() + SignedDuration::from_secs(1)), Ok(()));
    }

    #[test]
    fn many_start_one_after_another_and_each_is_told_its_turn_once() {
        let mut budget = Budget::new(60);
        let asked: Vec<_> = (0..100).map(|number| budget.start(&uid(number), noon())).collect();
        for (number, answer) in asked.iter().enumerate() {
            let turn = noon() + SignedDuration::from_secs(number as i64);
            assert_eq!(*answer, if number == 0 { Ok(()) } else { Err(turn) });
        }
        assert_eq!(budget.start(&uid(50), noon()), Err(noon() + SignedDuration::from_secs(50)));
        assert_eq!(budget.waiting(), 99);
        for number in 1..100 {
            assert_eq!(budget.start(&uid(number), noon() + SignedDuration::from_secs(number as i64)), Ok(()));
        }
        assert_eq!(budget.waiting(), 0);
    }

    #[test]
    fn no_minute_sees_more_than_the_budget() {
        let mut budget = Budget::new(7);
        let mut starts = Vec::new();
        for second in 0..600 {
            let now = noon() + SignedDuration::from_secs(second);
            starts.extend((0..60).filter(|number| budget.start(&uid(*number), now).is_ok()).map(|_| now));
        }
        for from in &starts {
            let minute = starts.iter().filter(|at| *at >= from && **at < *from + SignedDuration::from_mins(1));
            assert!(minute.count() <= 7, "from {from}");
        }
        assert!(starts.len() >= 69, "{} starts in ten minutes", starts.len());
    }

    #[test]
    fn a_clock_that_went_back_keeps_nobody_waiting() {
        let mut budget = Budget::new(60);
        for number in 0..10 {
            let _ = budget.start(&uid(number), noon());
        }
        let before = noon() - SignedDuration::from_hours(24 * 400);
        assert_eq!(budget.start(&uid(5), before), Ok(()));
        let mut idle = Budget::new(60);
        assert_eq!(idle.start(&uid(1), noon()), Ok(()));
        assert_eq!(idle.start(&uid(2), before), Ok(()));
    }

    #[test]
    fn whoever_leaves_the_line_starts_anew() {
        let mut budget = Budget::new(60);
        let _ = (budget.start(&uid(0), noon()), budget.start(&uid(1), noon()));
        budget.leave(&uid(1));
        assert_eq!(budget.waiting(), 0);
        assert!(budget.start(&uid(1), noon()).is_err());
    }
}
