//! Parameters and dice make a value.

use zeroize::Zeroizing;

use super::{
    parameters::{Error, Parameters, ParametersOf, PasswordRules},
    secret::SecretText,
    value::{User, Value},
};
use crate::world::Entropy;

/// Makes a value; `None` for the types whose making takes more than dice. [`Error`] where the parameters contradict each
/// other.
pub fn generate(parameters: &Parameters, entropy: &dyn Entropy) -> Result<Option<Value>, Error> {
    parameters.check()?;
    match &parameters.of {
        ParametersOf::Rsa(_) | ParametersOf::Ssh(_) | ParametersOf::Certificate(_) => Ok(None),
        ParametersOf::Password(of) => Ok(Some(Value::Password(password(&of.rules(parameters.model)?, entropy)))),
        ParametersOf::User(of) => {
            let username = match &of.username {
                Some(given) => given.clone(),
                None => letters(20, entropy),
            };
            let password = password(&of.password.rules(parameters.model)?, entropy);
            Ok(Some(Value::User(User::new(Some(username), password, entropy))))
        }
    }
}

/// At least so many of each class, the rest uniform over all of them, then shuffled.
fn password(rules: &PasswordRules, entropy: &dyn Entropy) -> SecretText {
    let mut dice = Dice::new(entropy);
    let mut out = Zeroizing::new(Vec::with_capacity(rules.length.into()));
    for class in &rules.classes {
        for _ in 0..class.least {
            out.push(dice.pick(class.characters.as_bytes()));
        }
    }
    let union: Vec<u8> = rules.classes.iter().flat_map(|class| class.characters.bytes()).collect();
    while out.len() < rules.length.into() {
        out.push(dice.pick(&union));
    }
    for last in (1..out.len()).rev() {
        out.swap(last, dice.below(last + 1)); // Fisher and Yates
    }
    SecretText::new(out.iter().copied().map(char::from).collect())
}

fn letters(count: usize, entropy: &dyn Entropy) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut dice = Dice::new(entropy);
    (0..count).map(|_| char::from(dice.pick(LETTERS))).collect()
}

/// Random bytes, fetched many at a time: each fetch is a system call.
struct Dice<'a> {
    entropy: &'a dyn Entropy,
    bytes: Zeroizing<[u8; 64]>,
    used: usize,
}

impl<'a> Dice<'a> {
    fn new(entropy: &'a dyn Entropy) -> Self {
        let bytes = Zeroizing::new([0; 64]);
        Self { entropy, used: bytes.len(), bytes }
    }

    fn pick(&mut self, from: &[u8]) -> u8 {
        from[self.below(from.len())]
    }

    /// A number below `bound` (1 to 256), each equally likely: a byte that would favour the small ones is drawn again.
    fn below(&mut self, bound: usize) -> usize {
        let fair = 256 - 256 % bound;
        loop {
            let drawn = usize::from(self.byte());
            if drawn < fair {
                return drawn % bound;
            }
        }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.bytes.len() {
            self.entropy.fill(self.bytes.as_mut_slice());
            self.used = 0;
        }
        self.used += 1;
        self.bytes[self.used - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::parameters::{MODEL, PasswordParameters, UserParameters},
        world::SeededEntropy,
    };
    use proptest::prelude::*;

    fn text(value: &Value) -> &str {
        match value {
            Value::Password(text) => text.expose(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_user_gets_twenty_letters_and_a_hash() {
        let entropy = SeededEntropy::new(7);
        let Some(Value::User(user)) = generate(&Parameters::user(UserParameters::default()), &entropy).unwrap() else {
            panic!("a user")
        };
        let name = user.username.as_deref().unwrap();
        assert!(name.len() == 20 && name.chars().all(|c| c.is_ascii_alphabetic()), "{name}");
        assert_eq!(user.password.expose().len(), 30);
        assert!(user.password_hash.expose().starts_with("$6$"));
    }

    #[test]
    fn an_empty_user_name_counts_as_given() {
        let parameters = UserParameters { username: Some(String::new()), ..Default::default() };
        let Some(Value::User(user)) = generate(&Parameters::user(parameters), &SeededEntropy::new(7)).unwrap() else {
            panic!("a user")
        };
        assert_eq!(user.username.as_deref(), Some(""));
    }

    #[test]
    fn no_character_is_favoured() {
        // 62 characters over 62,000 draws: chi-square with 61 degrees of freedom stays below 110 in 99.99 of 100 runs;
        // the seed makes the run repeatable.
        let entropy = SeededEntropy::new(1);
        let mut counts = std::collections::HashMap::new();
        let parameters = PasswordParameters {
            length: Some(200),
            min_upper: Some(0),
            min_lower: Some(0),
            min_digit: Some(0),
            ..Default::default()
        };
        for _ in 0..310 {
            let value = generate(&Parameters::password(parameters.clone()), &entropy).unwrap().unwrap();
            for c in text(&value).chars() {
                *counts.entry(c).or_insert(0_u32) += 1;
            }
        }
        assert_eq!(counts.len(), 62);
        let chi: f64 = counts.values().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 110.0, "{chi}");
    }

    proptest! {
        #[test]
        fn a_password_has_the_length_and_the_classes_asked_for(
            length in 4_u16..200, upper in 0_u16..10, symbols in proptest::option::of(0_u16..10), seed in any::<u64>(),
        ) {
            let parameters = PasswordParameters {
                length: Some(length), min_upper: Some(upper), min_symbol: symbols, ..Default::default()
            };
            if let Ok(rules) = parameters.rules(MODEL) {
                let value = generate(&Parameters::password(parameters), &SeededEntropy::new(seed)).unwrap().unwrap();
                let text = text(&value);
                prop_assert_eq!(text.chars().count(), usize::from(length));
                for class in rules.classes {
                    let found = text.chars().filter(|c| class.characters.contains(*c)).count();
                    prop_assert!(found >= usize::from(class.least));
                }
            }
        }
    }
}
