//! Objects that wait for the store.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard},
};

use crate::index::Key;

/// The objects whose last look ended because the store did not answer. Whoever sees it answer again takes them out and
/// wakes them: `for key in context.waiting_for_store.drain() { context.queue.wake(&key, "store is back") }`.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashSet<Key>>);

impl Waiting {
    /// This object waits.
    pub fn insert(&self, key: Key) {
        self.lock().insert(key);
    }

    /// This object waits no more: a look got its answer.
    pub fn remove(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Whether nobody waits: then nobody has to ask the store.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes out all that wait.
    pub fn drain(&self) -> Vec<Key> {
        self.lock().drain().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().expect("nobody panics with the set in hand")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_woken_once_and_whoever_was_answered_is_not() {
        let (waiting, key) = (Waiting::default(), |name: &str| Key::new(name).within("shop"));
        for name in ["a", "b", "a"] {
            waiting.insert(key(name));
        }
        waiting.remove(&key("b"));
        assert_eq!(waiting.drain(), [key("a")]);
        assert_eq!(waiting.drain(), []);
    }
}
