//! How many rotations may start by time in a minute.
//!
//! After a long stop everything is overdue at once. Each gets a place in a line whose steps are evenly spaced, comes back
//! at its time, and nobody has to ask again in between. Whatever the clock does, no minute sees more starts than that.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::ids::ObjectUid;

/// The line. Pure: the clock is an argument.
#[derive(Clone, Debug)]
pub struct Budget {
    step: SignedDuration,
    /// Starts in a minute.
    most: usize,
    /// The latest starts, as many as a minute may see.
    starts: VecDeque<Timestamp>,
    /// When the place after the last one begins.
    free: Timestamp,
    places: HashMap<ObjectUid, Timestamp>,
}

impl Budget {
    /// So many starts a minute, at least one.
    pub fn new(a_minute: u32) -> Self {
        let a_minute = a_minute.max(1);
        let step = SignedDuration::from_millis(60_000_u64.div_ceil(a_minute.into()) as i64);
        Self { step, most: a_minute as usize, starts: VecDeque::new(), free: Timestamp::MIN, places: HashMap::new() }
    }

    /// Lets an object start now, or says when its turn is.
    pub fn start(&mut self, object: &ObjectUid, now: Timestamp) -> Result<(), Timestamp> {
        if self.is_beyond_the_line(now) {
            // The clock went back, or most of the line left: whoever is still there need not wait for nobody.
            self.places.clear();
            self.free = self.after_last().filter(|free| *free <= later(now, self.step)).unwrap_or(now);
        }
        let mut place = match self.places.get(object) {
            Some(place) => *place,
            None => self.line_up(now),
        };
        // A clock that jumps, or a machine that slept, lets many turns come at once: one of them is taken, and the others
        // line up anew.
        if now.duration_since(place) > LATE
            && let Some(next) = self.after_last().filter(|next| *next > now)
        {
            place = self.line_up(next);
        }
        if place <= now {
            place = self.full_until(now).unwrap_or(place);
        }
        if place <= now {
            self.places.remove(object);
            if self.starts.len() == self.most {
                self.starts.pop_front();
            }
            self.starts.push_back(now);
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

    /// The next free place from then on.
    fn line_up(&mut self, from: Timestamp) -> Timestamp {
        let place = self.free.max(from);
        self.free = later(place, self.step);
        place
    }

    /// The place after the last start.
    fn after_last(&self) -> Option<Timestamp> {
        self.starts.back().map(|last| later(*last, self.step))
    }

    /// Where this minute has seen all that it may: when the next one can start.
    fn full_until(&self, now: Timestamp) -> Option<Timestamp> {
        let is_recent = |start: &&Timestamp| **start <= now && later(**start, MINUTE) > now;
        let recent = self.starts.iter().filter(is_recent);
        (recent.clone().count() >= self.most).then(|| recent.min().map(|first| later(*first, MINUTE))).flatten()
    }

    /// Whether the line begins, or where nobody waits ends, later than those who wait can account for.
    fn is_beyond_the_line(&self, now: Timestamp) -> bool {
        let longest = self.step.checked_mul(i32::try_from(self.places.len() + 1).unwrap_or(i32::MAX));
        let end = longest.and_then(|longest| now.checked_add(longest).ok());
        self.places.is_empty() && end.is_some_and(|end| self.free > end)
            || self.places.values().min().is_some_and(|first| end.is_some_and(|end| *first > end))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How late somebody may come to its turn and still have it: looks take their time.
const LATE: SignedDuration = SignedDuration::from_secs(5);

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
    fn a_clock_that_jumps_over_many_turns_lets_one_start_and_the_others_line_up_anew() {
        let mut budget = Budget::new(60);
        for number in 0..200 {
            let _ = budget.start(&uid(number), noon());
        }
        let mut now = noon() + SignedDuration::from_hours(24 * 400);
        let (mut left, mut starts) = ((1..200).collect::<Vec<_>>(), Vec::new());
        while !left.is_empty() {
            left.retain(|number| {
                let start = budget.start(&uid(*number), now);
                starts.extend(start.is_ok().then_some(now));
                start.is_err()
            });
            assert_eq!(starts.last(), Some(&now), "somebody starts at each step");
            now += SignedDuration::from_secs(1);
        }
        assert_eq!(starts.len(), 199);
        assert!(starts.windows(2).all(|two| two[0] < two[1]), "one at a time");
    }

    #[test]
    fn looks_that_come_a_little_late_keep_their_turn_and_no_minute_is_overdrawn() {
        let mut budget = Budget::new(60);
        for number in 0..300 {
            let _ = budget.start(&uid(number), noon());
        }
        let mut starts = vec![noon()];
        for number in 1..300_i64 {
            // Every fifth comes late, together with those after it.
            let late = if number % 5 == 0 { 0 } else { 5 - number % 5 };
            let mut now = noon() + SignedDuration::from_secs(number + late);
            if let Err(turn) = budget.start(&uid(number as usize), now) {
                assert!(turn <= now + SignedDuration::from_secs(5), "{number} waits until {turn}");
                now = turn;
                assert_eq!(budget.start(&uid(number as usize), now), Ok(()), "{number}");
            }
            starts.push(now);
        }
        for from in &starts {
            let minute = starts.iter().filter(|at| *at >= from && **at < *from + MINUTE);
            assert!(minute.count() <= 60, "from {from}");
        }
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
