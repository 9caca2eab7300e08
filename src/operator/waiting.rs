//! Objects that wait for something that somebody else sees.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard},
};

use crate::index::Key;

/// The objects whose last look ended in a wait: for a store that did not answer, or for what an authority signed. Whoever
/// sees that it is over wakes them.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<HashSet<Key>>);

impl Waiting {
    /// This object waits.
    pub fn insert(&self, key: Key) {
        self.lock().insert(key);
    }

    pub fn has(&self, key: &Key) -> bool {
        self.lock().contains(key)
    }

    /// Those of a namespace.
    pub fn of_namespace(&self, namespace: &str) -> Vec<Key> {
        self.lock().iter().filter(|key| key.namespace.as_deref() == Some(namespace)).cloned().collect()
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
