//! A manifest becomes what it wants: parsed once, at the door.

use std::collections::BTreeMap;

use credsmith_core::domain::{
    CredentialName, CredentialType, Parameters,
    ownership::ApiWrites,
    parameters::{PasswordParameters, UserParameters},
};

use super::{
    spec::{
        AdoptionMode, ApiWritesWord, Credential, CredentialSpec, OnConflict, PasswordBlock, PasswordRecipe,
        StorePolicy, Target, TargetPolicy, TypeWord,
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
    pub never_adopt: bool,
    pub delete_with_object: bool,
    pub api_writes: ApiWrites,
    /// `None`: store only.
    pub target: Option<TargetPlan>,
    /// Defaults made visible.
    pub effective: BTreeMap<String, String>,
}

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
    let origin = origin(spec, kind)?;
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
        effective: effective(&origin),
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

fn origin(spec: &CredentialSpec, kind: CredentialType) -> Result<Origin, Refusal> {
    let followed = match kind {
        CredentialType::Password => key_source(
            spec.password.as_ref().and_then(|block| block.from_secret.as_ref()),
            "password",
            "spec.password.fromSecret",
        ),
        CredentialType::Value => key_source(
            spec.value.as_ref().and_then(|block| block.from_secret.as_ref()),
            "value",
            "spec.value.fromSecret",
        ),
        CredentialType::Json => {
            key_source(spec.json.as_ref().and_then(|block| block.from_secret.as_ref()), "value", "spec.json.fromSecret")
        }
        CredentialType::User => {
            let source = spec.user.as_ref().and_then(|block| block.from_secret.as_ref());
            source.map(|source| Source {
                name: source.name.clone(),
                keys: source.keys.clone(),
                field: "spec.user.fromSecret",
            })
        }
        CredentialType::Certificate | CredentialType::Ssh | CredentialType::Rsa | CredentialType::Provider => None,
    };
    let adopted = adopted(spec, kind)?;
    match (followed, adopted) {
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
            Ok(match (parameters(spec, kind)?, adopted) {
                (Some(parameters), None) => Origin::Generate(parameters),
                (Some(parameters), Some(source)) => Origin::Adopt(parameters, source),
                (None, Some(source)) => Origin::AdoptInput(source),
                (None, None) => Origin::Input,
            })
        }
    }
}

fn key_source(source: Option<&super::spec::KeySource>, part: &str, field: &'static str) -> Option<Source> {
    let source = source?;
    let keys = BTreeMap::from([(part.to_owned(), source.key.clone())]);
    Some(Source { name: source.name.clone(), keys, field })
}

fn adopted(spec: &CredentialSpec, kind: CredentialType) -> Result<Option<Source>, Refusal> {
    let Some(source) = spec.adoption.as_ref().and_then(|adoption| adoption.from_secret.as_ref()) else {
        return Ok(None);
    };
    let field = "spec.adoption.fromSecret";
    let keys = match (&source.key, &source.keys, kind) {
        (Some(_), _, CredentialType::User) => {
            return Err(Refusal::Invalid(format!(
                "{field}.key: a user has several parts, name them under {field}.keys"
            )));
        }
        (Some(key), _, _) => BTreeMap::from([(single_part(kind).to_owned(), key.clone())]),
        (None, Some(keys), _) => keys.clone(),
        (None, None, _) => return Err(Refusal::Invalid(format!("{field}: give either key or keys"))),
    };
    Ok(Some(Source { name: source.name.clone(), keys, field }))
}

fn check_parts(source: &Source, kind: CredentialType) -> Result<(), Refusal> {
    let (known, required): (&[&str], &str) = match kind {
        CredentialType::User => (&["username", "password"], "password"),
        _ => (&[], single_part(kind)),
    };
    let is_known = |part: &str| part == required || known.contains(&part);
    if let Some(unknown) = source.keys.keys().find(|part| !is_known(part)) {
        let words = if known.is_empty() { required.to_owned() } else { known.join(", ") };
        return Err(Refusal::Invalid(format!(
            "{}.keys: {unknown} is no part of type {kind}, use {words}",
            source.field
        )));
    }
    if !source.keys.contains_key(required) {
        return Err(Refusal::Invalid(format!("{}.keys: name the key that holds {required}", source.field)));
    }
    Ok(())
}

fn single_part(kind: CredentialType) -> &'static str {
    if kind == CredentialType::Password { "password" } else { "value" }
}

fn parameters(spec: &CredentialSpec, kind: CredentialType) -> Result<Option<Parameters>, Refusal> {
    let (parameters, field) = match kind {
        CredentialType::Password => {
            let recipe = spec.password.as_ref().map(PasswordBlock::recipe).unwrap_or_default();
            (Parameters::password(password(&recipe)), "spec.password")
        }
        CredentialType::User => {
            let block = spec.user.clone().unwrap_or_default();
            let password = password(&block.password.unwrap_or_default());
            (Parameters::user(UserParameters { username: block.username, password }), "spec.user")
        }
        _ => return Ok(None),
    };
    parameters.check().map_err(|error| Refusal::Invalid(format!("{field}: {error}")))?;
    Ok(Some(parameters))
}

fn password(recipe: &PasswordRecipe) -> PasswordParameters {
    // The schema keeps these between 0 and 200; what came past it is refused by the rules as out of range.
    let number = |n: Option<i32>| n.map(|n| u16::try_from(n).unwrap_or(u16::MAX));
    PasswordParameters {
        length: number(recipe.length),
        exclude_upper: recipe.exclude_upper,
        exclude_lower: recipe.exclude_lower,
        exclude_number: recipe.exclude_number,
        include_special: recipe.include_special,
        min_upper: number(recipe.min_upper),
        min_lower: number(recipe.min_lower),
        min_digit: number(recipe.min_digit),
        min_symbol: number(recipe.min_symbol),
        symbols: recipe.symbols.clone(),
        exclude_ambiguous: recipe.exclude_ambiguous,
    }
}

impl PasswordBlock {
    fn recipe(&self) -> PasswordRecipe {
        PasswordRecipe {
            length: self.length,
            exclude_upper: self.exclude_upper,
            exclude_lower: self.exclude_lower,
            exclude_number: self.exclude_number,
            include_special: self.include_special,
            min_upper: self.min_upper,
            min_lower: self.min_lower,
            min_digit: self.min_digit,
            min_symbol: self.min_symbol,
            symbols: self.symbols.clone(),
            exclude_ambiguous: self.exclude_ambiguous,
        }
    }
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

fn effective(origin: &Origin) -> BTreeMap<String, String> {
    use credsmith_core::domain::parameters::ParametersOf;
    let parameters = match origin {
        Origin::Generate(parameters) | Origin::Adopt(parameters, _) => parameters,
        Origin::Source(_) | Origin::AdoptInput(_) | Origin::Input => return BTreeMap::new(),
    };
    let password = match &parameters.of {
        ParametersOf::Password(password) => password,
        ParametersOf::User(user) => &user.password,
    };
    let rules = password.rules(parameters.model).ok();
    rules.map(|rules| BTreeMap::from([("length".to_owned(), rules.length.to_string())])).unwrap_or_default()
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
