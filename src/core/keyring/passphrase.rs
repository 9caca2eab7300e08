//! A master key that is derived from a passphrase.
//!
//! PBKDF2 with HMAC-SHA-512 (RFC 8018). Salt and cost lie with each wrapped key, so both may differ from key to key; the
//! cost is bounded, since a store that somebody tampered with must not keep a start busy for hours.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, sync::Mutex};

use async_trait::async_trait;
use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use super::{DataKey, Error, KeyId, KeyProvider, MasterKey, WrappedKey};
use crate::{domain::SecretText, world::Entropy};

/// The provider `passphrase`.
pub struct Passphrase {
    text: SecretText,
    derived: Mutex<Derived>,
}

#[derive(Default)]
struct Derived {
    by_recipe: HashMap<Recipe, Arc<MasterKey>>,
    active: Option<Recipe>,
}

/// How a passphrase becomes a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Recipe {
    salt: [u8; 16],
    rounds: NonZeroU32,
}

impl Passphrase {
    /// [`Error::Provider`] where it is shorter than twelve characters: a passphrase is all that stands between a stolen
    /// volume and its values.
    pub fn new(text: SecretText) -> Result<Self, Error> {
        if text.expose().chars().count() < LEAST_CHARACTERS {
            return Err(Error::Provider("the passphrase is shorter than 12 characters: choose a longer one".into()));
        }
        Ok(Self { text, derived: Mutex::default() })
    }

    fn derive(&self, recipe: Recipe) -> Arc<MasterKey> {
        let mut derived = self.derived.lock().expect(UNPOISONED);
        let make = || {
            let mut bytes = Zeroizing::new([0; 32]);
            let secret = self.text.expose().as_bytes();
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, recipe.rounds, &recipe.salt, secret, bytes.as_mut());
            Arc::new(MasterKey::new("passphrase", bytes))
        };
        derived.by_recipe.entry(recipe).or_insert_with(make).clone()
    }

    fn active_recipe(&self) -> Option<Recipe> {
        self.derived.lock().expect(UNPOISONED).active
    }
}

#[async_trait]
impl KeyProvider for Passphrase {
    async fn active(&self, known: &[&WrappedKey], entropy: &dyn Entropy) -> Result<KeyId, Error> {
        let mine = known.iter().find_map(|wrapped| {
            let (recipe, _) = Recipe::read(&wrapped.bytes)?;
            (self.derive(recipe).id() == &wrapped.master).then_some(recipe)
        });
        let recipe = mine.unwrap_or_else(|| Recipe::new(entropy));
        self.derived.lock().expect(UNPOISONED).active = Some(recipe);
        Ok(self.derive(recipe).id().clone())
    }

    async fn wrap_key(&self, key: &DataKey, entropy: &dyn Entropy) -> Result<WrappedKey, Error> {
        let recipe = self.active_recipe().unwrap_or_else(|| Recipe::new(entropy));
        let master = self.derive(recipe);
        let bytes = [recipe.salt.as_slice(), &recipe.rounds.get().to_be_bytes(), &master.wrap(key, entropy)].concat();
        Ok(WrappedKey { master: master.id().clone(), bytes })
    }

    async fn unwrap_key(&self, wrapped: &WrappedKey) -> Option<Result<DataKey, Error>> {
        if !wrapped.master.as_str().starts_with("passphrase:") {
            return None;
        }
        let (recipe, rest) = Recipe::read(&wrapped.bytes)?;
        let master = self.derive(recipe);
        (master.id() == &wrapped.master).then(|| master.unwrap(rest).ok_or(Error::Tampered))
    }
}

impl Recipe {
    fn new(entropy: &dyn Entropy) -> Self {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        Self { salt, rounds: ROUNDS }
    }

    /// `None` where the cost is out of bounds or bytes are missing: then it is no key of ours.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (salt, rest) = bytes.split_first_chunk::<16>()?;
        let (rounds, rest) = rest.split_first_chunk::<4>()?;
        let rounds = NonZeroU32::new(u32::from_be_bytes(*rounds))?;
        (LEAST_ROUNDS..=MOST_ROUNDS).contains(&rounds.get()).then_some((Self { salt: *salt, rounds }, rest))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[passphrase]")
    }
}

const LEAST_CHARACTERS: usize = 12;
/// About a third of a second on one core; the figure that OWASP gave for this function in 2023 is 210,000.
const ROUNDS: NonZeroU32 = NonZeroU32::new(300_000).expect("not zero");
const LEAST_ROUNDS: u32 = 100_000;
const MOST_ROUNDS: u32 = 10_000_000;
const UNPOISONED: &str = "nobody panics with the derived keys in hand";
