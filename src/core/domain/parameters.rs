//! What a value is generated from: one model for the resource and the API.
//!
//! Parameters are kept as they were asked for, absent ones absent, together with the number of the model whose defaults
//! they meant. A release with other defaults has another number, so nothing becomes due by an upgrade.

pub mod alternative_name;
pub mod certificate;
pub mod refusal;
pub mod rsa;
pub mod ssh;
pub mod usage;

use serde::{Deserialize, Serialize};

pub use certificate::CertificateParameters;
pub use refusal::{Refusal, Words};
pub use rsa::RsaParameters;
pub use ssh::SshParameters;

use super::{json::JsonText, kind::CredentialType};

/// Parameters by type, and the model they speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Which defaults the absent parameters mean.
    pub model: u16,
    #[serde(flatten)]
    pub of: ParametersOf,
}

/// The parameters of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ParametersOf {
    Password(PasswordParameters),
    User(UserParameters),
    Rsa(RsaParameters),
    Ssh(SshParameters),
    Certificate(Box<CertificateParameters>),
}

impl Parameters {
    pub fn password(parameters: PasswordParameters) -> Self {
        Self { model: MODEL, of: ParametersOf::Password(parameters) }
    }

    pub fn user(parameters: UserParameters) -> Self {
        Self { model: MODEL, of: ParametersOf::User(parameters) }
    }

    pub fn rsa(parameters: RsaParameters) -> Self {
        Self { model: MODEL, of: ParametersOf::Rsa(parameters) }
    }

    pub fn ssh(parameters: SshParameters) -> Self {
        Self { model: MODEL, of: ParametersOf::Ssh(parameters) }
    }

    pub fn certificate(parameters: CertificateParameters) -> Self {
        Self { model: MODEL, of: ParametersOf::Certificate(Box::new(parameters)) }
    }

    pub fn kind(&self) -> CredentialType {
        match self.of {
            ParametersOf::Password(_) => CredentialType::Password,
            ParametersOf::User(_) => CredentialType::User,
            ParametersOf::Rsa(_) => CredentialType::Rsa,
            ParametersOf::Ssh(_) => CredentialType::Ssh,
            ParametersOf::Certificate(_) => CredentialType::Certificate,
        }
    }

    /// What may be read without a key; `None` where even the parameters may tell something, as those of a password do.
    pub fn public(&self) -> Option<JsonText> {
        match self.of {
            ParametersOf::Password(_) | ParametersOf::User(_) => None,
            ParametersOf::Rsa(_) | ParametersOf::Ssh(_) | ParametersOf::Certificate(_) => {
                let text = serde_json::to_string(self).expect("parameters are always JSON");
                Some(JsonText::parse(&text).expect("it was just written"))
            }
        }
    }

    /// Refuses parameters that contradict each other.
    pub fn check(&self) -> Result<(), Error> {
        match &self.of {
            ParametersOf::Password(password) => password.rules(self.model).map(|_| ()),
            ParametersOf::User(user) => user.check(self.model),
            ParametersOf::Rsa(_) => Ok(()),
            ParametersOf::Ssh(ssh) => Ok(ssh.rules(self.model).map(|_| ())?),
            ParametersOf::Certificate(certificate) => Ok(certificate.rules(self.model).map(|_| ())?),
        }
    }
}

/// How a password is made (spec section 3.2; custom resources, section 4.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PasswordParameters {
    /// Characters, 4 to 200.
    pub length: Option<u16>,
    pub exclude_upper: Option<bool>,
    pub exclude_lower: Option<bool>,
    pub exclude_number: Option<bool>,
    pub include_special: Option<bool>,
    pub min_upper: Option<u16>,
    pub min_lower: Option<u16>,
    pub min_digit: Option<u16>,
    pub min_symbol: Option<u16>,
    /// The signs to draw from; brings symbols in.
    pub symbols: Option<String>,
    pub exclude_ambiguous: Option<bool>,
}

/// How a user is made (spec section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserParameters {
    /// Absent: 20 random letters. Empty counts as given.
    pub username: Option<String>,
    pub password: PasswordParameters,
}

impl UserParameters {
    fn check(&self, model: u16) -> Result<(), Error> {
        if self.username.as_ref().is_some_and(|name| name.chars().count() > MAX_USERNAME) {
            return Err(Error::Username);
        }
        self.password.rules(model).map(|_| ())
    }
}

/// What a password must look like once every default is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// Characters.
    pub length: u16,
    /// The classes in use, never empty.
    pub classes: Vec<Class>,
}

/// A set of characters and how many of them there must be at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub characters: String,
    pub least: u16,
}

impl PasswordParameters {
    /// Fills in the defaults of `model` and refuses contradictions.
    pub fn rules(&self, _model: u16) -> Result<PasswordRules, Error> {
        let length = self.length.unwrap_or(30);
        if !(4..=200).contains(&length) {
            return Err(Error::Length(length));
        }
        self.check_symbols()?;
        let ambiguous = if self.exclude_ambiguous.unwrap_or(false) { AMBIGUOUS } else { "" };
        let symbols_in_use =
            self.include_special.unwrap_or(false) || self.min_symbol.is_some() || self.symbols.is_some();
        let wanted = [
            ("minUpper", self.min_upper, !self.exclude_upper.unwrap_or(false), UPPER),
            ("minLower", self.min_lower, !self.exclude_lower.unwrap_or(false), LOWER),
            ("minDigit", self.min_digit, !self.exclude_number.unwrap_or(false), DIGITS),
            ("minSymbol", self.min_symbol, symbols_in_use, self.symbols.as_deref().unwrap_or(SYMBOLS)),
        ];
        let mut classes = Vec::new();
        for (field, least, in_use, characters) in wanted {
            match (in_use, least) {
                (false, Some(_)) => return Err(Error::ExcludedMinimum(field)),
                (false, None) => {}
                (true, least) => {
                    let least = least.unwrap_or(1);
                    if least > MAX_LEAST {
                        return Err(Error::Minimum { field, least });
                    }
                    let characters: String = characters.chars().filter(|c| !ambiguous.contains(*c)).collect();
                    if characters.is_empty() {
                        return Err(Error::NothingLeft);
                    }
                    classes.push(Class { characters, least });
                }
            }
        }
        if classes.is_empty() {
            return Err(Error::AllExcluded);
        }
        let sum = classes.iter().map(|class| class.least).sum();
        if sum > length {
            let implied = wanted.iter().filter(|(_, least, in_use, _)| *in_use && least.is_none()).count() as u16;
            return Err(Error::Sum { sum, implied, length });
        }
        Ok(PasswordRules { length, classes })
    }

    fn check_symbols(&self) -> Result<(), Error> {
        let Some(symbols) = &self.symbols else { return Ok(()) };
        let distinct: std::collections::BTreeSet<char> = symbols.chars().collect();
        let fine = !symbols.is_empty()
            && distinct.len() == symbols.chars().count()
            && symbols.chars().all(|c| c.is_ascii_punctuation());
        if fine { Ok(()) } else { Err(Error::Symbols) }
    }
}

/// Parameters that contradict each other or the rules. Field names as in the resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("length is {0}: give 4 to 200 characters")]
    Length(u16),
    #[error("every class of characters is excluded: leave at least one of upper, lower, number or special")]
    AllExcluded,
    #[error("{field} is {least}: give 0 to 50")]
    Minimum { field: &'static str, least: u16 },
    #[error("{0} asks for characters that are excluded: drop one of the two")]
    ExcludedMinimum(&'static str),
    #[error("{}", told_sum(*.sum, *.implied, *.length))]
    Sum {
        sum: u16,
        /// How much of it are classes that are in use and have no minimum: each counts one.
        implied: u16,
        length: u16,
    },
    #[error("symbols must be distinct printable ASCII signs, none of them a letter, a digit or a space")]
    Symbols,
    #[error("excludeAmbiguous leaves a class without characters: add other symbols or drop it")]
    NothingLeft,
    #[error("username has more than 255 characters: shorten it")]
    Username,
    /// Of keys and certificates.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Error {
    /// The same with fields named as the API names them.
    pub fn in_api_words(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.text(Words::Api),
            other => other.to_string(),
        }
    }
}

fn told_sum(sum: u16, implied: u16, length: u16) -> String {
    let counted = match implied {
        0 => String::new(),
        1 => " (one class in use without a minimum counts 1)".to_owned(),
        some => format!(" ({some} classes in use without a minimum count 1 each)"),
    };
    format!("the minimums add up to {sum}{counted}, more than the length of {length}: raise length or lower a minimum")
}

/// The model that this release writes.
pub const MODEL: u16 = 1;

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
/// The 29 signs of spec section 3.2.
const SYMBOLS: &str = "!#$%&()*,-./:;<=>?@[\\]^_`{|}~";
/// What people mistake for one another.
const AMBIGUOUS: &str = "0Oo1lI|";
const MAX_LEAST: u16 = 50;
const MAX_USERNAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(parameters: PasswordParameters) -> Result<PasswordRules, Error> {
        parameters.rules(MODEL)
    }

    #[test]
    fn the_defaults_are_thirty_letters_and_digits() {
        let rules = rules(PasswordParameters::default()).unwrap();
        assert_eq!(rules.length, 30);
        let classes: Vec<_> = rules.classes.iter().map(|c| (c.characters.as_str(), c.least)).collect();
        assert_eq!(classes, [(UPPER, 1), (LOWER, 1), (DIGITS, 1)]);
    }

    #[test]
    fn there_are_twenty_nine_signs() {
        assert_eq!(SYMBOLS.chars().count(), 29);
    }

    #[test]
    fn a_minimum_or_a_set_of_symbols_brings_symbols_in() {
        let by_minimum = rules(PasswordParameters { min_symbol: Some(2), ..Default::default() }).unwrap();
        assert_eq!(by_minimum.classes[3], Class { characters: SYMBOLS.into(), least: 2 });
        let by_set = rules(PasswordParameters { symbols: Some("-_".into()), ..Default::default() }).unwrap();
        assert_eq!(by_set.classes[3], Class { characters: "-_".into(), least: 1 });
    }

    #[test]
    fn ambiguous_characters_can_be_left_out() {
        let parameters =
            PasswordParameters { exclude_ambiguous: Some(true), include_special: Some(true), ..Default::default() };
        let all: String = rules(parameters).unwrap().classes.into_iter().map(|c| c.characters).collect();
        assert!(!all.contains(|c| AMBIGUOUS.contains(c)));
        assert_eq!(all.len(), 26 * 2 + 10 + 29 - 7);
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        let base = PasswordParameters::default;
        let table = [
            (PasswordParameters { length: Some(3), ..base() }, Error::Length(3)),
            (PasswordParameters { length: Some(201), ..base() }, Error::Length(201)),
            (
                PasswordParameters {
                    exclude_upper: Some(true),
                    exclude_lower: Some(true),
                    exclude_number: Some(true),
                    ..base()
                },
                Error::AllExcluded,
            ),
            (
                PasswordParameters { exclude_upper: Some(true), min_upper: Some(1), ..base() },
                Error::ExcludedMinimum("minUpper"),
            ),
            (PasswordParameters { min_digit: Some(51), ..base() }, Error::Minimum { field: "minDigit", least: 51 }),
            (
                PasswordParameters { length: Some(8), min_digit: Some(7), ..base() },
                Error::Sum { sum: 9, implied: 2, length: 8 },
            ),
            (PasswordParameters { symbols: Some("--".into()), ..base() }, Error::Symbols),
            (PasswordParameters { symbols: Some("a".into()), ..base() }, Error::Symbols),
            (PasswordParameters { symbols: Some(String::new()), ..base() }, Error::Symbols),
            (
                PasswordParameters { symbols: Some("|".into()), exclude_ambiguous: Some(true), ..base() },
                Error::NothingLeft,
            ),
        ];
        for (parameters, error) in table {
            assert_eq!(rules(parameters), Err(error));
        }
    }

    #[test]
    fn a_sum_says_which_classes_it_counts_unasked() {
        let told = |parameters| rules(parameters).unwrap_err().to_string();
        let (least, length) = (Some(6), Some(12));
        let end = ", more than the length of 12: raise length or lower a minimum";
        let one = PasswordParameters { length, min_upper: least, min_lower: least, ..Default::default() };
        assert_eq!(
            told(one.clone()),
            format!("the minimums add up to 13 (one class in use without a minimum counts 1){end}")
        );
        let two = PasswordParameters { include_special: Some(true), ..one.clone() };
        assert_eq!(
            told(two),
            format!("the minimums add up to 14 (2 classes in use without a minimum count 1 each){end}")
        );
        let none = PasswordParameters { min_digit: Some(1), ..one };
        assert_eq!(told(none), format!("the minimums add up to 13{end}"));
    }

    #[test]
    fn stored_parameters_are_read_again_as_they_were() {
        let stored = r#"{"model":1,"type":"user","username":"a","password":{"length":12}}"#;
        let parameters: Parameters = serde_json::from_str(stored).unwrap();
        let expected = UserParameters {
            username: Some("a".into()),
            password: PasswordParameters { length: Some(12), ..Default::default() },
        };
        assert_eq!(parameters, Parameters::user(expected));
        let again: Parameters = serde_json::from_str(&serde_json::to_string(&parameters).unwrap()).unwrap();
        assert_eq!(again, parameters);
    }

    /// What stands in stores: these lines are never edited, only added to.
    #[test]
    fn stored_parameters_of_keys_are_read_again_as_they_were() {
        let table = [
            (r#"{"model":1,"type":"rsa"}"#, Parameters::rsa(RsaParameters::default())),
            (
                r#"{"model":1,"type":"ssh","algorithm":"ed25519","key_length":null,"comment":"a b"}"#,
                Parameters::ssh(SshParameters {
                    algorithm: Some(ssh::SshAlgorithm::Ed25519),
                    comment: Some("a b".into()),
                    ..Default::default()
                }),
            ),
            (
                r#"{"model":1,"type":"certificate","common_name":"x","alternative_names":[{"dns":"a.com"},{"ip":"::1"}],
                    "key_usage":["crl_sign"],"extended_key_usage":["server_auth"],"is_ca":true,"path_length":0,
                    "ca":"/ca","duration":86400,"key":"ecdsa-p256"}"#,
                Parameters::certificate(CertificateParameters {
                    subject: certificate::Subject { common_name: Some("x".into()), ..Default::default() },
                    alternative_names: vec!["a.com".parse().unwrap(), "::1".parse().unwrap()],
                    key_usage: vec![usage::KeyUsage::CrlSign],
                    extended_key_usage: vec![usage::ExtendedKeyUsage::ServerAuth],
                    is_ca: true,
                    path_length: Some(0),
                    ca: Some("/ca".into()),
                    self_sign: false,
                    duration: Some(86400),
                    key: Some(certificate::KeyKind::EcdsaP256),
                }),
            ),
        ];
        for (stored, expected) in table {
            let parameters: Parameters = serde_json::from_str(stored).unwrap();
            assert_eq!(parameters, expected);
            let public = expected.public().unwrap();
            assert_eq!(serde_json::from_str::<Parameters>(public.as_str()).unwrap(), expected);
        }
        assert!(Parameters::password(PasswordParameters::default()).public().is_none());
    }

    #[test]
    fn a_refusal_names_the_field_as_the_asker_writes_it() {
        let error = Error::from(Refusal::KeyLength(1024));
        assert_eq!(error.to_string(), "keyLength is 1024: give 2048, 3072 or 4096");
        assert_eq!(error.in_api_words(), "key_length is 1024: give 2048, 3072 or 4096");
        assert_eq!(Error::AllExcluded.in_api_words(), Error::AllExcluded.to_string());
    }
}
