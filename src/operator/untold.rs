//! Events that wait until the status they belong to is written.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use kube_runtime::events::Event;

/// Events by the UID of their object. One about a version is put in as soon as the version is stored and taken out to be
/// published, so that it comes out once, whatever becomes of the Secret and of how many looks that takes.
#[derive(Default)]
pub struct Untold(Mutex<HashMap<String, Vec<Event>>>);

impl fmt::Debug for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Untold")
    }
}

impl Untold {
    /// Keeps an event, unless the very same waits already.
    pub fn add(&self, uid: &str, event: Event) {
        let mut all = self.lock();
        let events = all.entry(uid.to_owned()).or_default();
        if !events.iter().any(|known| known.reason == event.reason && known.note == event.note) {
            events.push(event);
        }
    }

    /// Whether an event with that reason waits.
    pub fn holds(&self, uid: &str, reason: &str) -> bool {
        self.lock().get(uid).is_some_and(|events| events.iter().any(|event| event.reason == reason))
    }

    /// Takes them out, oldest first.
    pub fn take(&self, uid: &str) -> Vec<Event> {
        self.lock().remove(uid).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Event>>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

#[cfg(test)]
mod tests {
    use kube_runtime::events::EventType;

    use super::*;

    #[test]
    fn an_event_that_is_told_twice_before_it_comes_out_comes_out_once() {
        let event = |note: &str| Event {
            type_: EventType::Normal,
            reason: "Rotated".into(),
            note: Some(note.into()),
            action: "Reconcile".into(),
            secondary: None,
        };
        let untold = Untold::default();
        for note in ["version 2", "version 2", "version 3"] {
            untold.add("u", event(note));
        }
        assert!(untold.holds("u", "Rotated") && !untold.holds("u", "Adopted"));
        let notes: Vec<_> = untold.take("u").into_iter().filter_map(|event| event.note).collect();
        assert_eq!(notes, ["version 2", "version 3"]);
        assert!(untold.take("u").is_empty());
    }
}
