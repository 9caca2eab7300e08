//! When objects are to be looked at because their time has come. Nothing is polled: one task sleeps until the earliest.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use credsmith_core::world::Clock;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{index::Key, queue::Queue};

/// One time for each object, by UID.
#[derive(Debug, Default)]
pub struct Timers {
    state: Mutex<State>,
    sooner: Notify,
}

#[derive(Debug, Default)]
struct State {
    times: HashMap<String, (Timestamp, Key)>,
    order: BTreeSet<(Timestamp, String)>,
}

impl Timers {
    /// Looks at the object at that time; in place of the time that was set before.
    pub fn set(&self, uid: &str, key: Key, at: Timestamp) {
        let mut state = self.lock();
        state.forget(uid);
        state.times.insert(uid.to_owned(), (at, key));
        state.order.insert((at, uid.to_owned()));
        if state.earliest() == Some(at) {
            self.sooner.notify_one();
        }
    }

    /// Nothing is due by time.
    pub fn forget(&self, uid: &str) {
        self.lock().forget(uid);
    }

    /// How many objects have a time.
    pub fn len(&self) -> usize {
        self.lock().times.len()
    }

    /// Wakes each object at its time, until it is dropped.
    pub async fn run(self: Arc<Self>, clock: Arc<dyn Clock>, queue: Queue) {
        loop {
            let earliest = self.lock().earliest();
            let its_time = async {
                match earliest {
                    Some(at) => clock.until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = its_time => {
                    let due = self.lock().take_due(clock.now());
                    for key in due {
                        queue.wake(&key, "its time has come");
                    }
                }
                () = self.sooner.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the times in hand")
    }
}

impl State {
    fn earliest(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    fn forget(&mut self, uid: &str) {
        if let Some((at, _)) = self.times.remove(uid) {
            self.order.remove(&(at, uid.to_owned()));
        }
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<Key> {
        let mut due = Vec::new();
        while let Some((at, uid)) = self.order.first().cloned()
            && at <= now
        {
            self.order.remove(&(at, uid.clone()));
            due.extend(self.times.remove(&uid).map(|(_, key)| key));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use credsmith_core::world::FixedClock;
    use futures::{FutureExt, StreamExt};
    use kube_runtime::reflector::ObjectRef;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(name: &str) -> Key {
        ObjectRef::new(name).within("shop")
    }

    #[tokio::test]
    async fn each_object_is_woken_at_its_latest_time_and_once() {
        let (queue, mut wakes) = Queue::new();
        let clock = Arc::new(FixedClock::new(at(0)));
        let timers = Arc::new(Timers::default());
        timers.set("a", key("a"), at(10));
        timers.set("b", key("b"), at(20));
        timers.set("c", key("c"), at(20));
        tokio::spawn(timers.clone().run(clock.clone(), queue));
        timers.set("a", key("a"), at(30));
        timers.set("d", key("d"), at(5));
        timers.forget("c");

        clock.advance(Duration::from_secs(5));
        assert_eq!(wakes.next().await.unwrap().obj_ref.name, "d");
        clock.advance(Duration::from_secs(15));
        assert_eq!(wakes.next().await.unwrap().obj_ref.name, "b");
        clock.advance(Duration::from_secs(60));
        assert_eq!(wakes.next().await.unwrap().obj_ref.name, "a");
        assert_eq!((timers.len(), wakes.next().now_or_never().is_none()), (0, true));
    }

    #[tokio::test]
    async fn a_sooner_time_ends_the_sleep_for_a_later_one() {
        let (queue, mut wakes) = Queue::new();
        let clock = Arc::new(FixedClock::new(at(0)));
        let timers = Arc::new(Timers::default());
        timers.set("later", key("later"), at(1000));
        tokio::spawn(timers.clone().run(clock.clone(), queue));
        tokio::task::yield_now().await;
        timers.set("sooner", key("sooner"), at(1));
        clock.set(at(1));
        assert_eq!(wakes.next().await.unwrap().obj_ref.name, "sooner");
    }
}
