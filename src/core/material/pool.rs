//! RSA keys, made off the path of requests (dependencies, section 5).
//!
//! A key takes a tenth of a second at 2048 bits and seconds at 4096, so nobody makes one where others wait: keys are made
//! on threads of their own, one fewer than there are cores, and who asks waits in a queue with an end. Some keys are made
//! ahead, of the sizes that somebody asked for lately, by one thread that yields to everything else. Each is handed out
//! once, lives in memory only and is wiped when dropped.
//!
//! Why not `spawn_blocking` and a semaphore? Its threads have the priority of those that answer requests, and on a machine
//! with few cores that is what a GET beside a burst of keys feels.

mod stock;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::oneshot;

pub use stock::KeyStock;

use super::key::RsaKey;
use crate::{domain::parameters::rsa::RsaSize, metrics::Metrics, world::Clock};

/// Hands out RSA keys that nobody else has.
#[async_trait]
pub trait RsaKeys: fmt::Debug + Send + Sync + 'static {
    /// A key, at once or when one is made. Whoever gives up waiting leaves the queue.
    async fn take(&self, size: RsaSize) -> Result<RsaKey, Busy>;
}

/// So many keys are being waited for that another would wait too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many RSA keys are being made at the moment")]
pub struct Busy;

/// How many keys lie ready, and how many are made at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Keys of 2048 bits that lie ready; a quarter as many of 3072 and an eighth of 4096. 0: none.
    pub ready: usize,
    /// Threads that make keys for who waits.
    pub makers: usize,
}

impl PoolSettings {
    /// For this machine.
    pub fn with_ready(ready: usize) -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        Self { ready, makers: cores.saturating_sub(1).max(1) }
    }

    fn target(&self, size: RsaSize) -> usize {
        match size {
            RsaSize::Rsa2048 => self.ready,
            RsaSize::Rsa3072 => self.ready.div_ceil(4),
            RsaSize::Rsa4096 => self.ready.div_ceil(8),
        }
    }
}

/// Ready keys, and a queue for when there are none. Its threads end some time after it is dropped.
pub struct Pool {
    shared: Arc<Shared>,
    metrics: Metrics,
}

struct Shared {
    settings: PoolSettings,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    state: Mutex<State>,
    /// Somebody waits in the queue, or it ends.
    queued: Condvar,
    /// There may be something to fill up, or it ends.
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Wish>,
    /// What the queue and the makers have before them, in keys of 2048 bits.
    load: usize,
    sizes: [Ready; RsaSize::ALL.len()],
    is_over: bool,
}

struct Wish {
    size: RsaSize,
    to: oneshot::Sender<RsaKey>,
}

#[derive(Default)]
struct Ready {
    keys: Vec<RsaKey>,
    asked: Option<Timestamp>,
}

impl Pool {
    /// Starts the threads.
    pub fn start(settings: PoolSettings, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let shared = Arc::new(Shared {
            settings,
            clock,
            metrics: metrics.clone(),
            state: Mutex::default(),
            queued: Condvar::new(),
            wanted: Condvar::new(),
        });
        for _ in 0..settings.makers.max(1) {
            spawn("rsa-maker", MAKER_NICENESS, &shared, Shared::make);
        }
        if settings.ready > 0 {
            spawn("rsa-filler", FILLER_NICENESS, &shared, Shared::fill);
        }
        Self { shared, metrics }
    }

    /// How many keys of a size lie ready.
    pub fn ready(&self, size: RsaSize) -> usize {
        self.shared.lock().sizes[place(size)].keys.len()
    }

    fn count(&self, size: RsaSize, outcome: &str) {
        self.metrics.key_requests.with_label_values(&[&size.bits().to_string(), outcome]).inc();
    }
}

#[async_trait]
impl RsaKeys for Pool {
    async fn take(&self, size: RsaSize) -> Result<RsaKey, Busy> {
        let made = {
            let mut state = self.shared.lock();
            let ready = &mut state.sizes[place(size)];
            ready.asked = Some(self.shared.clock.now());
            let key = ready.keys.pop();
            self.shared.tell(&state, size);
            self.shared.wanted.notify_one();
            if let Some(key) = key {
                self.count(size, "hit");
                return Ok(key);
            }
            if state.load + cost(size) > MOST_LOAD {
                self.count(size, "refused");
                return Err(Busy);
            }
            let (to, made) = oneshot::channel();
            state.load += cost(size);
            state.queue.push_back(Wish { size, to });
            self.shared.queued.notify_one();
            made
        };
        self.count(size, "miss");
        made.await.map_err(|_| Busy)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.queue.clear();
        self.shared.queued.notify_all();
        self.shared.wanted.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Shared {
    /// Makes keys for who waits, one after the other.
    fn make(&self) {
        let mut state = self.lock();
        while !state.is_over {
            let Some(Wish { size, to }) = state.queue.pop_front() else {
                state = self.queued.wait(state).expect(UNPOISONED);
                continue;
            };
            drop(state);
            if !to.is_closed() {
                let _ = to.send(RsaKey::generate(size)); // who waited has gone: the key is wiped
            }
            state = self.lock();
            state.load = state.load.saturating_sub(cost(size));
            if state.queue.is_empty() {
                self.wanted.notify_one();
            }
        }
    }

    /// Keeps the stock filled, of what was asked for lately, while nobody waits.
    fn fill(&self) {
        let mut state = self.lock();
        while !state.is_over {
            self.forget(&mut state);
            let missing = RsaSize::ALL.into_iter().find(|size| {
                let ready = &state.sizes[place(*size)];
                ready.asked.is_some() && ready.keys.len() < self.settings.target(*size)
            });
            let Some(size) = missing.filter(|_| state.queue.is_empty()) else {
                state = self.wanted.wait_timeout(state, LOOK_AGAIN).expect(UNPOISONED).0;
                continue;
            };
            drop(state);
            let key = RsaKey::generate(size);
            state = self.lock();
            state.sizes[place(size)].keys.push(key);
            self.tell(&state, size);
        }
    }

    /// Wipes what nobody has asked for in a while.
    fn forget(&self, state: &mut State) {
        let now = self.clock.now();
        for size in RsaSize::ALL {
            let ready = &mut state.sizes[place(size)];
            if ready.asked.is_some_and(|asked| now.duration_since(asked).unsigned_abs() > LATELY) {
                *ready = Ready::default();
                self.tell(state, size);
            }
        }
    }

    fn tell(&self, state: &State, size: RsaSize) {
        let ready = state.sizes[place(size)].keys.len() as i64;
        self.metrics.keys_ready.with_label_values(&[&size.bits().to_string()]).set(ready);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }
}

fn spawn(name: &str, niceness: i32, shared: &Arc<Shared>, work: fn(&Shared)) {
    let shared = shared.clone();
    let run = move || {
        // Of this thread alone, as Linux has it. Without it keys are made all the same, and requests feel it.
        if let Err(error) = rustix::process::setpriority_process(None, niceness) {
            tracing::debug!(%error, niceness, "a thread that makes keys keeps its priority");
        }
        work(&shared);
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("the machine has room for a few threads");
}

fn place(size: RsaSize) -> usize {
    size as usize
}

/// Roughly how much longer than 2048 bits it takes (dependencies, section 5).
fn cost(size: RsaSize) -> usize {
    match size {
        RsaSize::Rsa2048 => 1,
        RsaSize::Rsa3072 => 4,
        RsaSize::Rsa4096 => 16,
    }
}

/// Of the queue, in keys of 2048 bits: half a minute of one core, which is what clients wait (spec section 10.1).
const MOST_LOAD: usize = 256;
/// After which nothing of a size is kept ready any more.
const LATELY: Duration = Duration::from_secs(60 * 60);
/// How often the stock is looked at while nobody asks.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Below those who answer requests.
const MAKER_NICENESS: i32 = 10;
/// Below everybody.
const FILLER_NICENESS: i32 = 19;
const UNPOISONED: &str = "nobody panics with the stock in hand";

#[cfg(test)]
mod tests;
