//! Answers of the API server, and for how long they hold.

use std::{collections::HashMap, hash::Hash, sync::Mutex};

use jiff::{SignedDuration, Timestamp};

/// Answers, and when they were given.
#[derive(Debug)]
pub struct Memory<K, V>(Mutex<HashMap<K, Remembered<V>>>);

#[derive(Debug)]
struct Remembered<V> {
    value: V,
    /// When it was given.
    at: Timestamp,
    /// Until when nobody is asked, since a moment ago nobody answered.
    rest: Timestamp,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    /// An answer that need not be asked for again, or not now.
    pub fn fresh(&self, key: &K, now: Timestamp) -> Option<V> {
        let all = self.lock();
        let known = all.get(key)?;
        (known.holds(now, FRESH) || now < known.rest && known.holds(now, STALE)).then(|| known.value.clone())
    }

    /// An answer that holds as long as nobody who knows better says otherwise.
    pub fn holds(&self, key: &K, now: Timestamp) -> Option<V> {
        self.lock().get(key).filter(|known| known.holds(now, STALE)).map(|known| known.value.clone())
    }

    /// An answer that holds while nobody can be asked. For a moment nobody is: an API server that hangs would make each
    /// request wait for it.
    pub fn stale(&self, key: &K, now: Timestamp) -> Option<V> {
        let mut all = self.lock();
        let known = all.get_mut(key)?;
        known.rest = now + REST;
        known.holds(now, STALE).then(|| known.value.clone())
    }

    /// Takes an answer.
    pub fn learn(&self, key: K, value: V, now: Timestamp) {
        let mut all = self.lock();
        if all.len() >= MOST_ANSWERS {
            all.retain(|_, known| known.holds(now, FRESH));
        }
        if all.len() < MOST_ANSWERS {
            all.insert(key, Remembered { value, at: now, rest: now });
        }
    }

    /// Forgets one that holds no longer.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Remembered<V>>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

impl<V> Remembered<V> {
    fn holds(&self, now: Timestamp, most: SignedDuration) -> bool {
        // An answer from the future belongs to a clock that was set back: it is no answer.
        let age = now.duration_since(self.at);
        !age.is_negative() && age < most
    }
}

const FRESH: SignedDuration = SignedDuration::from_mins(1);
const STALE: SignedDuration = SignedDuration::from_mins(10);
const REST: SignedDuration = SignedDuration::from_secs(5);
/// A flood of made-up callers must not fill the memory.
const MOST_ANSWERS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn an_answer_is_fresh_for_a_minute_and_holds_for_ten() {
        let memory = Memory::default();
        memory.learn("k", true, at(1000));
        assert_eq!(memory.fresh(&"k", at(1059)), Some(true));
        assert_eq!(memory.fresh(&"k", at(1060)), None);
        assert_eq!(memory.stale(&"k", at(1600)), None);
        assert_eq!(memory.stale(&"k", at(999)), None);
        assert_eq!(memory.stale(&"k", at(1594)), Some(true));
        assert_eq!(memory.fresh(&"k", at(1598)), Some(true), "nobody is asked again at once");
        assert_eq!(memory.fresh(&"k", at(1599)), None);
        assert_eq!(memory.stale(&"k", at(1599)), Some(true));
        assert_eq!(memory.fresh(&"k", at(1600)), None, "no rest makes an answer hold longer");
        assert_eq!(memory.stale(&"other", at(1000)), None);
    }
}
