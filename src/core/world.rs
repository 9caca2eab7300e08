//! The time and the dice: the only module that asks the operating system for either.

use std::{fmt, sync::Mutex, time::Duration};

use aws_lc_rs::digest;
use jiff::Timestamp;

/// Says what time it is.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// Makes randomness fit for keys.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct FixedClock(Mutex<Timestamp>);

impl FixedClock {
    pub fn new(at: Timestamp) -> Self {
        Self(Mutex::new(at))
    }

    pub fn advance(&self, by: Duration) {
        let mut at = self.0.lock().expect("nobody panics with the clock in hand");
        *at = at.checked_add(by).expect("a test stays within the years that can be written");
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("nobody panics with the clock in hand")
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
