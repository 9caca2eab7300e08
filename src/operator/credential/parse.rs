//! A manifest becomes what it wants: parsed once, at the door.

mod origin;
pub mod parameters;

use std::collections::BTreeMap;

use credsmith_core::domain::{CredentialName, CredentialType, ownership::ApiWrites, rotation::Rotation};

use self::origin::origin;
pub use self::origin::{Origin, Source};
use super::{
    rotation::rotation,
    spec::{
        AdoptionMode, ApiWritesWord, Credential, CredentialSpec, OnConflict, StorePolicy, Target, TargetPolicy,
        TypeWord,
    },
    support,
    target::{Keys, TargetPlan, forbidden, needs, type_of},
};

/// What an object wants, with every default filled in.
#[derive(Debug)]
pub struct Plan {
    pub name: CredentialName,
    pub kind: CredentialType,
    pub origin: Origin,
    pub rotation: Rotation,
    pub never_adopt: bool,
    pub delete_with_object: bool,
    pub api_writes: ApiWrites,
    /// `None`: store only.
    pub target: Option<TargetPlan>,
    /// Defaults made visible.
    pub effective: BTreeMap<String, String>,
}

/// Why a manifest cannot be met. Terminal: it takes an edit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Policy(String),
    #[error("{0}")]
    ForbiddenType(String),
}

/// Parses, or says which field is wrong and what to do.
pub fn parse(object: &Credential) -> Result<Plan, Refusal> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let object_name = object.metadata.name.as_deref().unwrap_or_default();
    let spec = &object.spec;
    if let Some(refused) = support::refused(spec) {
        return Err(Refusal::Invalid(refused));
    }
    if FAMILY_NAMESPACES.contains(&namespace) {
        return Err(Refusal::Policy(format!(
            "namespace {namespace} is reserved for the records of another API: use another namespace"
        )));
    }
    let kind = kind(spec.type_);
    let name = path(spec, namespace, object_name)?;
    let origin = origin(spec, kind, namespace)?;
    let rotation = rotation(spec, kind, origin.parameters().is_some())?;
    if let (Origin::Source(source), Some(target)) = (&origin, spec.target.as_ref().or(Some(&Target::default())))
        && target.disabled != Some(true)
        && target.name.as_deref().unwrap_or(object_name) == source.name
    {
        return Err(Refusal::Invalid(format!(
            "{}: Secret {} is both source and target: give spec.target.name another name",
            source.field, source.name
        )));
    }
    let target = match &spec.target {
        Some(Target { disabled: Some(true), .. }) => None,
        target => Some(target_plan(target.as_ref(), kind, object_name)?),
    };
    Ok(Plan {
        name,
        kind,
        never_adopt: spec.adoption.as_ref().is_some_and(|adoption| adoption.mode == Some(AdoptionMode::Never)),
        delete_with_object: spec.deletion_policy == Some(StorePolicy::Delete),
        api_writes: api_writes(spec, &origin),
        target,
        effective: effective(spec, &origin, &rotation),
        rotation,
        origin,
    })
}

/// The domain's word for a type.
pub fn kind(word: TypeWord) -> CredentialType {
    match word {
        TypeWord::Password => CredentialType::Password,
        TypeWord::User => CredentialType::User,
        TypeWord::Certificate => CredentialType::Certificate,
        TypeWord::Ssh => CredentialType::Ssh,
        TypeWord::Rsa => CredentialType::Rsa,
        TypeWord::Value => CredentialType::Value,
        TypeWord::Json => CredentialType::Json,
        TypeWord::Provider => CredentialType::Provider,
    }
}

/// The path of an object, whether or not the rest of it can be parsed; `None` where the path itself is wrong.
pub fn path_of(object: &Credential) -> Option<CredentialName> {
    let namespace = object.metadata.namespace.as_deref()?;
    path(&object.spec, namespace, object.metadata.name.as_deref()?).ok()
}

fn path(spec: &CredentialSpec, namespace: &str, object: &str) -> Result<CredentialName, Refusal> {
    let text = spec.path.clone().unwrap_or_else(|| format!("/{namespace}/{object}"));
    let name: CredentialName = text.parse().map_err(|error| Refusal::Invalid(format!("spec.path: {error}")))?;
    if name.is_within(namespace) {
        Ok(name)
    } else {
        Err(Refusal::Policy(format!(
            "spec.path {name} lies outside /{namespace}/: an object may only have paths below its own namespace"
        )))
    }
}

/// What absent fields came to mean, made visible.
fn effective(spec: &CredentialSpec, origin: &Origin, rotation: &Rotation) -> BTreeMap<String, String> {
    let made_from = origin.parameters().map(parameters::effective).unwrap_or_default();
    made_from.into_iter().chain(super::rotation::effective(spec, rotation)).collect()
}

fn api_writes(spec: &CredentialSpec, origin: &Origin) -> ApiWrites {
    match (spec.api_writes, origin) {
        (Some(ApiWritesWord::Allow), _) => ApiWrites::Allow,
        (Some(ApiWritesWord::GenerateOnly), _) => ApiWrites::GenerateOnly,
        (Some(ApiWritesWord::Deny), _) | (None, Origin::Source(_)) => ApiWrites::Deny,
        (None, Origin::Input | Origin::AdoptInput(_)) => ApiWrites::Allow,
        (None, Origin::Generate(_) | Origin::Adopt(..)) => ApiWrites::GenerateOnly,
    }
}

fn target_plan(target: Option<&Target>, kind: CredentialType, object: &str) -> Result<TargetPlan, Refusal> {
    let target = target.cloned().unwrap_or_default();
    let keys = match (target.keys, target.expand) {
        (_, Some(true)) => Keys::Expand,
        (Some(keys), _) => Keys::Mapped(keys),
        (None, _) => Keys::All,
    };
    let plan = TargetPlan {
        name: target.name.unwrap_or_else(|| object.to_owned()),
        secret_type: type_of(kind, &keys, target.type_.as_deref()),
        labels: target.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default(),
        annotations: target.metadata.and_then(|metadata| metadata.annotations).unwrap_or_default(),
        keys,
        retain: target.deletion_policy == Some(TargetPolicy::Retain),
        on_conflict: target.on_conflict.unwrap_or(OnConflict::Fail),
    };
    if forbidden(&plan.secret_type) {
        return Err(Refusal::ForbiddenType(format!(
            "spec.target.type {} is refused: Secrets of that type give rights of their own; use Opaque",
            plan.secret_type
        )));
    }
    plan.check(kind).map_err(Refusal::Invalid)?;
    if plan.keys == Keys::Expand && plan.secret_type != "Opaque" {
        return Err(Refusal::Invalid(
            "spec.target.type may not stand beside spec.target.expand: remove one of them".into(),
        ));
    }
    if let Some(missing) = needs(&plan.secret_type, &plan.key_names(kind)) {
        return Err(Refusal::Invalid(format!(
            "spec.target.type {} needs the key {missing}: add it to spec.target.keys or use Opaque",
            plan.secret_type
        )));
    }
    Ok(plan)
}

/// The other families keep their records below these names.
const FAMILY_NAMESPACES: [&str; 2] = ["tower", "tines"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(namespace: &str, spec: serde_json::Value) -> Credential {
        let mut object = Credential::new("db", serde_json::from_value(spec).unwrap());
        object.metadata.namespace = Some(namespace.into());
        object
    }

    fn refused(spec: serde_json::Value) -> String {
        parse(&object("shop", spec)).unwrap_err().to_string()
    }

    #[test]
    fn the_shortest_manifest_means_a_secret_of_its_name() {
        let plan = parse(&object("shop", json!({"type": "password"}))).unwrap();
        assert_eq!(plan.name.as_str(), "/shop/db");
        assert_eq!((plan.api_writes, plan.delete_with_object), (ApiWrites::GenerateOnly, false));
        let target = plan.target.unwrap();
        assert_eq!((target.name.as_str(), target.secret_type.as_str(), target.retain), ("db", "Opaque", false));
        assert_eq!(plan.effective, BTreeMap::from([("length".into(), "30".into())]));
    }

    #[test]
    fn who_may_write_over_the_api_follows_from_where_the_value_comes_from() {
        let writes = |spec| parse(&object("shop", spec)).unwrap().api_writes;
        let source = json!({"name": "s", "key": "k"});
        assert_eq!(writes(json!({"type": "value"})), ApiWrites::Allow);
        assert_eq!(writes(json!({"type": "json"})), ApiWrites::Allow);
        assert_eq!(writes(json!({"type": "user"})), ApiWrites::GenerateOnly);
        assert_eq!(writes(json!({"type": "value", "value": {"fromSecret": source}})), ApiWrites::Deny);
        let explicit = json!({"type": "value", "apiWrites": "Allow", "value": {"fromSecret": source}});
        assert_eq!(writes(explicit), ApiWrites::Allow);
    }

    #[test]
    fn what_cannot_be_met_is_refused_with_field_and_next_step() {
        assert_eq!(
            refused(json!({"type": "password", "path": "/billing/db"})),
            "spec.path /billing/db lies outside /shop/: an object may only have paths below its own namespace"
        );
        assert_eq!(
            refused(json!({"type": "password", "path": "/shop/a b"})),
            "spec.path: the name holds ' ' at position 7: only letters, digits and - _ / . : , ( ) [ ] + may stand in a name"
        );
        assert_eq!(
            refused(json!({"type": "password", "password": {"minDigit": 40}})),
            "spec.password: the minimums add up to 42 (2 classes in use without a minimum count 1 each), more than the length \
             of 30: raise length or lower a minimum"
        );
        assert_eq!(
            refused(json!({"type": "password", "target": {"type": "kubernetes.io/service-account-token"}})),
            "spec.target.type kubernetes.io/service-account-token is refused: Secrets of that type give rights of their own; use Opaque"
        );
        assert_eq!(
            refused(json!({"type": "password", "target": {"keys": {"a": "username"}}})),
            "spec.target.keys: username is no part of type password, use password"
        );
        assert_eq!(
            refused(json!({"type": "password", "target": {"type": "kubernetes.io/tls"}})),
            "spec.target.type kubernetes.io/tls needs the key tls.crt: add it to spec.target.keys or use Opaque"
        );
        assert_eq!(
            refused(json!({"type": "password", "target": {"metadata": {"labels": {"app": "x".repeat(64)}}}})),
            "spec.target.metadata.labels: the value of app is no value of a label: use at most 63 letters, digits, - _ and . \
             with a letter or digit at both ends"
        );
        assert!(
            refused(json!({"type": "password", "target": {"metadata": {"annotations": {"a b": ""}}}}))
                .starts_with("spec.target.metadata.annotations: a b is no key that Kubernetes takes: use at most 63")
        );
        assert_eq!(
            refused(json!({"type": "password", "target": {
                "type": "kubernetes.io/dockerconfigjson", "keys": {".dockerconfigjson": "password"},
            }})),
            "spec.target.type kubernetes.io/dockerconfigjson holds a JSON document, and type password is none: use Opaque, or \
             an object of type json"
        );
        assert_eq!(
            refused(json!({"type": "user", "user": {"fromSecret": {"name": "s", "keys": {"username": "u"}}}})),
            "spec.user.fromSecret.keys: name the key that holds password"
        );
        let both = json!({
            "type": "value", "value": {"fromSecret": {"name": "s", "key": "k"}},
            "adoption": {"fromSecret": {"name": "t", "key": "k"}},
        });
        assert!(refused(both).starts_with("spec.adoption.fromSecret may not stand beside"));
    }

    #[test]
    fn namespaces_of_the_other_families_are_refused() {
        for namespace in ["tower", "tines"] {
            let refusal = parse(&object(namespace, json!({"type": "password"}))).unwrap_err();
            assert!(matches!(refusal, Refusal::Policy(_)), "{refusal}");
        }
    }

    #[test]
    fn a_renamed_user_is_an_opaque_secret_unless_the_keys_fit() {
        let secret_type = |target| {
            parse(&object("shop", json!({"type": "user", "target": target}))).unwrap().target.unwrap().secret_type
        };
        assert_eq!(secret_type(json!({})), "kubernetes.io/basic-auth");
        assert_eq!(secret_type(json!({"keys": {"DB": "password"}})), "Opaque");
        assert_eq!(secret_type(json!({"keys": {"password": "password"}})), "kubernetes.io/basic-auth");
    }
}
