//! Where a value comes from, as a manifest says it.

use std::collections::BTreeMap;

use credsmith_core::domain::{CredentialType, Parameters};

use super::{Refusal, parameters::parameters};
use crate::credential::spec::{CredentialSpec, KeySource, PartsSource};

/// Where the value comes from.
#[derive(Debug)]
pub enum Origin {
    Generate(Parameters),
    Source(Source),
    /// Read once, while there is no version; generated from then on.
    Adopt(Parameters, Source),
    /// Read once, while there is no version; set over the API from then on.
    AdoptInput(Source),
    Input,
}

impl Origin {
    /// What it is generated from, at once or from the second version on.
    pub fn parameters(&self) -> Option<&Parameters> {
        match self {
            Self::Generate(parameters) | Self::Adopt(parameters, _) => Some(parameters),
            Self::Source(_) | Self::AdoptInput(_) | Self::Input => None,
        }
    }
}

/// A Secret of the same namespace, and which of its keys are which part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    /// Part → key.
    pub keys: BTreeMap<String, String>,
    /// Where it stands in the manifest, for messages.
    pub field: &'static str,
}

impl Source {
    /// A revision of the Secret, and which of its keys are read: another key of the same Secret is another source.
    pub fn mark(&self, revision: &str) -> String {
        let keys: Vec<_> = self.keys.iter().map(|(part, key)| format!("{part}={key}")).collect();
        format!("{}/{revision}#{}", self.name, keys.join(","))
    }
}

/// Parses, or says which field is wrong and what to do.
pub fn origin(spec: &CredentialSpec, kind: CredentialType, namespace: &str) -> Result<Origin, Refusal> {
    match (followed(spec, kind), adopted(spec, kind)?) {
        (Some(_), Some(_)) => Err(Refusal::Invalid(
            "spec.adoption.fromSecret may not stand beside a fromSecret that is followed: remove one of them".into(),
        )),
        (Some(source), None) => {
            check_parts(&source, kind)?;
            Ok(Origin::Source(source))
        }
        (None, adopted) => {
            if let Some(source) = &adopted {
                check_parts(source, kind)?;
            }
            Ok(match (parameters(spec, kind, namespace)?, adopted) {
                (Some(parameters), None) => Origin::Generate(parameters),
                (Some(parameters), Some(source)) => Origin::Adopt(parameters, source),
                (None, Some(source)) => Origin::AdoptInput(source),
                (None, None) => Origin::Input,
            })
        }
    }
}

fn followed(spec: &CredentialSpec, kind: CredentialType) -> Option<Source> {
    match kind {
        CredentialType::Password => {
            key_source(spec.password.as_ref()?.from_secret.as_ref()?, "password", "spec.password.fromSecret")
        }
        CredentialType::Value => {
            key_source(spec.value.as_ref()?.from_secret.as_ref()?, "value", "spec.value.fromSecret")
        }
        CredentialType::Json => key_source(spec.json.as_ref()?.from_secret.as_ref()?, "value", "spec.json.fromSecret"),
        CredentialType::User => parts_source(spec.user.as_ref()?.from_secret.as_ref()?, "spec.user.fromSecret"),
        CredentialType::Certificate => {
            parts_source(spec.certificate.as_ref()?.from_secret.as_ref()?, "spec.certificate.fromSecret")
        }
        CredentialType::Ssh => parts_source(spec.ssh.as_ref()?.from_secret.as_ref()?, "spec.ssh.fromSecret"),
        CredentialType::Rsa => parts_source(spec.rsa.as_ref()?.from_secret.as_ref()?, "spec.rsa.fromSecret"),
        CredentialType::Provider => None,
    }
}

fn key_source(source: &KeySource, part: &str, field: &'static str) -> Option<Source> {
    let keys = BTreeMap::from([(part.to_owned(), source.key.clone())]);
    Some(Source { name: source.name.clone(), keys, field })
}

fn parts_source(source: &PartsSource, field: &'static str) -> Option<Source> {
    Some(Source { name: source.name.clone(), keys: source.keys.clone(), field })
}

fn adopted(spec: &CredentialSpec, kind: CredentialType) -> Result<Option<Source>, Refusal> {
    let Some(source) = spec.adoption.as_ref().and_then(|adoption| adoption.from_secret.as_ref()) else {
        return Ok(None);
    };
    let field = "spec.adoption.fromSecret";
    let keys = match (&source.key, &source.keys, single_part(kind)) {
        (Some(_), _, None) => {
            return Err(Refusal::Invalid(format!(
                "{field}.key: a {kind} has several parts, name them under {field}.keys"
            )));
        }
        (Some(key), _, Some(part)) => BTreeMap::from([(part.to_owned(), key.clone())]),
        (None, Some(keys), _) => keys.clone(),
        (None, None, _) => return Err(Refusal::Invalid(format!("{field}: give either key or keys"))),
    };
    Ok(Some(Source { name: source.name.clone(), keys, field }))
}

/// The part of a type that has one only.
fn single_part(kind: CredentialType) -> Option<&'static str> {
    match kind {
        CredentialType::Password => Some("password"),
        CredentialType::Value | CredentialType::Json => Some("value"),
        _ => None,
    }
}

fn check_parts(source: &Source, kind: CredentialType) -> Result<(), Refusal> {
    // The parts as the API names them, and one of which must be there.
    let (known, required): (&[&str], &[&str]) = match kind {
        CredentialType::User => (&["username", "password"], &["password"]),
        CredentialType::Certificate => (&["certificate", "private_key", "ca"], &["certificate"]),
        CredentialType::Ssh | CredentialType::Rsa => (&["public_key", "private_key"], &["private_key", "public_key"]),
        CredentialType::Password => (&["password"], &["password"]),
        CredentialType::Value | CredentialType::Json | CredentialType::Provider => (&["value"], &["value"]),
    };
    if let Some(unknown) = source.keys.keys().find(|part| !known.contains(&part.as_str())) {
        let words = known.join(", ");
        return Err(Refusal::Invalid(format!(
            "{}.keys: {unknown} is no part of type {kind}, use {words}",
            source.field
        )));
    }
    if !required.iter().any(|part| source.keys.contains_key(*part)) {
        let words = required.join(" or ");
        return Err(Refusal::Invalid(format!("{}.keys: name the key that holds {words}", source.field)));
    }
    Ok(())
}
