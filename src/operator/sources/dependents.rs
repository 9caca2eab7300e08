//! Which objects want to know about which Secret of a namespace.

use std::collections::{HashMap, HashSet};

use crate::index::Key;

/// Objects by the Secret that they depend on.
#[derive(Debug, Default)]
pub struct Dependents(HashMap<String, HashSet<Key>>);

impl Dependents {
    pub fn add(&mut self, secret: &str, object: &Key) {
        self.0.entry(secret.to_owned()).or_default().insert(object.clone());
    }

    /// Forgets that an object depends on any Secret but these.
    pub fn keep(&mut self, object: &Key, secrets: &HashSet<String>) {
        self.0.retain(|secret, objects| {
            if !secrets.contains(secret) {
                objects.remove(object);
            }
            !objects.is_empty()
        });
    }

    pub fn of(&self, secret: &str) -> impl Iterator<Item = &Key> {
        self.0.get(secret).into_iter().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_depends_on_what_its_last_look_asked_about_and_on_nothing_else() {
        let key = |name: &str| Key::new(name).within("shop");
        let secrets = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        let mut dependents = Dependents::default();
        dependents.add("old", &key("a"));
        dependents.add("old", &key("b"));
        dependents.add("new", &key("a"));
        dependents.keep(&key("a"), &secrets(&["new"]));
        assert_eq!(dependents.of("old").collect::<Vec<_>>(), [&key("b")]);
        assert_eq!(dependents.of("new").collect::<Vec<_>>(), [&key("a")]);
        dependents.keep(&key("a"), &secrets(&[]));
        assert!(!dependents.is_empty());
        dependents.keep(&key("b"), &secrets(&[]));
        assert!(dependents.is_empty());
    }
}
