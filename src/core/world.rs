//! The time and the dice: the only module that asks the operating system for either.

use std::{fmt, sync::Mutex, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest;
use jiff::Timestamp;
use tokio::sync::watch;

/// Says what time it is.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Returns once it is that time or later. A clock that is set meanwhile is followed, a minute late at most.
    async fn until(&self, at: Timestamp);
}

/// Makes randomness fit for keys.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn until(&self, at: Timestamp) {
        loop {
            let left = at.duration_since(self.now());
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST_SLEEP)).await,
                _ => return,
            }
        }
    }
}

/// Timers count time that passes, and know nothing of a clock that is set or a machine that slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FixedClock(watch::Sender<Timestamp>);

impl FixedClock {
    pub fn new(at: Timestamp) -> Self {
        Self(watch::Sender::new(at))
    }

    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|at| *at = at.checked_add(by).expect("a test stays within the years that can be written"));
    }

    /// Sets it, back too.
    pub fn set(&self, at: Timestamp) {
        self.0.send_replace(at);
    }
}

#[async_trait]
impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn until(&self, at: Timestamp) {
        let _ = self.0.subscribe().wait_for(|now| *now >= at).await; // the sender is this clock's
    }
}

/// The generator of the operating system. Panics where there is none: without randomness nothing here is safe to do.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the Entropy")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

/// The same bytes for the same seed, for tests that must repeat.
pub struct SeededEntropy(Mutex<Stream>);

struct Stream {
    seed: u64,
    block: u64,
    left: Vec<u8>,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Stream { seed, block: 0, left: Vec::new() }))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut stream = self.0.lock().expect("nobody panics with the dice in hand");
        for byte in bytes {
            if stream.left.is_empty() {
                let input = [stream.seed.to_be_bytes(), stream.block.to_be_bytes()].concat();
                stream.left = digest::digest(&digest::SHA256, &input).as_ref().to_vec();
                stream.block += 1;
            }
            *byte = stream.left.pop().expect("a block was just made");
        }
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy")
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_time_that_has_come_is_not_waited_for() {
        let clock = SystemClock;
        clock.until(clock.now()).await;
        clock.until(Timestamp::MIN).await;
        clock.until(clock.now() + Duration::from_millis(5)).await;
    }

    #[tokio::test]
    async fn a_clock_that_is_set_forward_wakes_whoever_waits() {
        let clock = FixedClock::new(Timestamp::UNIX_EPOCH);
        let mut waiting = clock.until(Timestamp::UNIX_EPOCH + Duration::from_secs(60));
        assert_eq!((&mut waiting).now_or_never(), None);
        clock.set(Timestamp::MIN);
        assert_eq!((&mut waiting).now_or_never(), None);
        clock.set(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(61));
        assert_eq!(waiting.now_or_never(), Some(()));
    }
}
