//! Keys for tests.

use std::sync::Mutex;

use async_trait::async_trait;

use super::{Busy, RsaKeys};
use crate::{domain::parameters::rsa::RsaSize, material::key::RsaKey};

/// The same few keys of a process again and again, for tests that would else wait for keys. Each starts with the first
/// one, and it takes [`KEYS`] calls until a key comes back.
#[derive(Debug, Default)]
pub struct KeyStock(Mutex<[usize; RsaSize::ALL.len()]>);

#[async_trait]
impl RsaKeys for KeyStock {
    async fn take(&self, size: RsaSize) -> Result<RsaKey, Busy> {
        let number = {
            let mut taken = self.0.lock().expect(UNPOISONED);
            let number = taken[size as usize] % KEYS;
            taken[size as usize] += 1;
            number
        };
        // The lock is held while a key is made, so that each is made once, whoever asks first.
        let mut stock = STOCK.lock().expect(UNPOISONED);
        let of_size = &mut stock[size as usize];
        while of_size.len() <= number {
            of_size.push(RsaKey::generate(size));
        }
        Ok(of_size[number].duplicate())
    }
}

/// How many different ones there are of each size.
pub const KEYS: usize = 32;
static STOCK: Mutex<[Vec<RsaKey>; RsaSize::ALL.len()]> = Mutex::new([const { Vec::new() }; RsaSize::ALL.len()]);
const UNPOISONED: &str = "nobody panics with the stock in hand";
