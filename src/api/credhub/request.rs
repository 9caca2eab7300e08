//! What a set and a generate ask for, read from their bodies (spec sections 1.3, 3 and 4).

use credsmith_core::{
    domain::{
        CredentialName, CredentialType, JsonText, Parameters, SecretText,
        kind::UnknownType,
        parameters::{PasswordParameters, UserParameters},
    },
    hub::{Given, Mode},
};

use super::{
    body::{Body, Object},
    error::Error,
    keys,
};

/// PUT `/data`.
pub(super) struct SetRequest {
    pub name: CredentialName,
    pub given: Given,
    pub metadata: Option<JsonText>,
    /// False keeps the version that is there (spec section 11.2).
    pub overwrite: bool,
}

impl SetRequest {
    pub(super) fn read(body: &Body) -> Result<Self, Error> {
        let document = body.json()?;
        if matches!(document.get().as_bytes()[0], b'"' | b't' | b'f' | b'-' | b'0'..=b'9') {
            return Err(Error::unprocessable(UnknownType.to_string())); // as recorded: the type is what is missed first
        }
        let object = Object::new(document)?;
        let kind = object.text("type").ok().flatten().and_then(|word| kind(&word));
        let kind = kind.ok_or_else(|| Error::unprocessable(UnknownType.to_string()))?;
        object.only(&["name", "type", "value", "metadata", "overwrite"]).map_err(Error::unprocessable)?;
        Ok(Self {
            name: name(&object)?,
            given: given(&object, kind)?,
            metadata: metadata(&object)?,
            overwrite: object.boolean("overwrite")?.unwrap_or(true),
        })
    }
}

/// POST `/data`.
pub(super) struct GenerateRequest {
    pub name: CredentialName,
    pub parameters: Parameters,
    pub metadata: Option<JsonText>,
    pub mode: Mode,
}

impl GenerateRequest {
    pub(super) fn read(body: &Body) -> Result<Self, Error> {
        let object = Object::new(body.json()?)?;
        let kind = object.text("type")?.as_deref().and_then(kind);
        let known = known_keys(kind);
        refuse_regenerate(&object, known)?;
        object.only(known).map_err(Error::bad_request)?;
        let name = name(&object)?;
        let kind = generated(kind)?;
        let mode = mode(&object)?;
        let metadata = metadata(&object)?;
        let parameters = parameters(&object, kind)?;
        // Before anyone is asked who may, and before a signer is looked for (spec section 3.5).
        parameters.check().map_err(|error| Error::bad_request(error.in_api_words()))?;
        Ok(Self { name, parameters, metadata, mode })
    }
}

fn parameters(object: &Object<'_>, kind: CredentialType) -> Result<Parameters, Error> {
    if kind == CredentialType::Certificate && !object.has("parameters") {
        return Err(Error::bad_request("a certificate needs parameters: say who it is for and who signs it"));
    }
    let given = object.object("parameters", "parameters.")?;
    match kind {
        CredentialType::Rsa => {
            given.as_ref().map(keys::rsa).transpose().map(Option::unwrap_or_default).map(Parameters::rsa)
        }
        CredentialType::Ssh => {
            given.as_ref().map(keys::ssh).transpose().map(Option::unwrap_or_default).map(Parameters::ssh)
        }
        CredentialType::Certificate => {
            let given =
                given.ok_or_else(|| Error::bad_request("`parameters` has the wrong type: send a JSON object"))?;
            keys::certificate(&given).map(Parameters::certificate)
        }
        _ => {
            let password = given.as_ref().map(password_parameters).transpose()?.unwrap_or_default();
            let username = given.map(|given| given.text("username")).transpose()?.flatten();
            if kind == CredentialType::User {
                let username = username_beside(object)?.or(username);
                Ok(Parameters::user(UserParameters { username, password }))
            } else {
                Ok(Parameters::password(password)) // a user name is accepted there, and has no effect
            }
        }
    }
}

/// The seven words of spec section 3, in any case.
fn kind(word: &str) -> Option<CredentialType> {
    word.parse().ok().filter(|kind| *kind != CredentialType::Provider)
}

fn name(object: &Object<'_>) -> Result<CredentialName, Error> {
    Ok(object.text("name")?.unwrap_or_default().parse::<CredentialName>()?)
}

fn metadata(object: &Object<'_>) -> Result<Option<JsonText>, Error> {
    let Some(raw) = object.raw("metadata") else { return Ok(None) };
    let metadata = JsonText::parse(raw.get()).map_err(|error| Error::bad_request(format!("metadata: {error}")))?;
    let length = metadata.as_str().chars().count();
    if length > MAX_METADATA {
        return Err(Error::bad_request(format!(
            "the metadata has {length} characters, at most {MAX_METADATA} are allowed"
        )));
    }
    Ok(Some(metadata))
}

/// The value by type. A missing one is an empty one, which the use case refuses.
fn given(object: &Object<'_>, kind: CredentialType) -> Result<Given, Error> {
    let nothing = || SecretText::new(String::new());
    Ok(match kind {
        CredentialType::Json => {
            let document = object.raw("value").map_or("null", |raw| raw.get());
            Given::Json(SecretText::new(document.to_owned()))
        }
        CredentialType::User => {
            let Some(user) = object.object("value", "value.")? else {
                return Ok(Given::User { username: None, password: nothing() });
            };
            // A hash comes back from exports; the one that counts is made from the password.
            user.only(&["username", "password", "password_hash"]).map_err(Error::unprocessable)?;
            let password = user.secret("password")?.unwrap_or_else(nothing);
            Given::User { username: user.text("username")?, password }
        }
        CredentialType::Rsa => keys::given_rsa(object)?,
        CredentialType::Ssh => keys::given_ssh(object)?,
        CredentialType::Certificate => keys::given_certificate(object)?,
        CredentialType::Password => Given::Password(object.secret("value")?.unwrap_or_else(nothing)),
        _ => Given::Value(object.secret("value")?.unwrap_or_else(nothing)),
    })
}

fn known_keys(kind: Option<CredentialType>) -> &'static [&'static str] {
    match kind {
        Some(CredentialType::User) => &["name", "type", "parameters", "value", "metadata", "mode", "overwrite"],
        _ => &["name", "type", "parameters", "metadata", "mode", "overwrite"],
    }
}

/// With `regenerate`, the call is another one: only true makes it that, everything else is an unknown key.
fn refuse_regenerate(object: &Object<'_>, known: &[&str]) -> Result<(), Error> {
    if !object.has("regenerate") {
        return Ok(());
    }
    if object.boolean("regenerate")? != Some(true) {
        return Err(Error::bad_request(object.unknown("regenerate", known)));
    }
    let known: Vec<_> = known.iter().copied().chain(["regenerate"]).collect();
    object.only(&known).map_err(Error::bad_request)?;
    Err(Error::bad_request(
        "regenerate is not in this release: send the type and the parameters again, with mode overwrite",
    ))
}

fn generated(kind: Option<CredentialType>) -> Result<CredentialType, Error> {
    let kind = kind.ok_or_else(|| {
        Error::bad_request("the type is missing or unknown: use one of password, user, certificate, ssh, rsa")
    })?;
    if !kind.is_generated() {
        return Err(Error::bad_request(format!(
            "a credential of type {kind} cannot be generated: set it, or use one of password, user, certificate, ssh, rsa"
        )));
    }
    Ok(kind)
}

/// Both spellings of what to do with a version that is there (spec section 4). Without one, it stays.
fn mode(object: &Object<'_>) -> Result<Mode, Error> {
    let word = object.text("mode")?;
    if word.is_some() && object.has("overwrite") {
        return Err(Error::bad_request("mode and overwrite cannot be combined: send one of them"));
    }
    match word.as_deref() {
        Some("overwrite") => Ok(Mode::Overwrite),
        Some("no-overwrite") => Ok(Mode::NoOverwrite),
        Some("converge") => Err(Error::bad_request(
            "the mode converge is not in this release: use overwrite for a new value, no-overwrite to keep the one that \
             is there",
        )),
        Some(_) => Err(Error::bad_request("the mode is unknown: use overwrite or no-overwrite")),
        None if object.boolean("overwrite")? == Some(true) => Ok(Mode::Overwrite),
        None => Ok(Mode::NoOverwrite),
    }
}

/// Spec section 3.2. Lengths out of range mean the default, silently.
fn password_parameters(object: &Object<'_>) -> Result<PasswordParameters, Error> {
    const KNOWN: &[&str] =
        &["length", "exclude_upper", "exclude_lower", "exclude_number", "include_special", "username"];
    object.only(KNOWN).map_err(Error::bad_request)?;
    let length = object.integer("length")?.filter(|length| (4..=200).contains(length));
    Ok(PasswordParameters {
        length: length.and_then(|length| u16::try_from(length).ok()),
        exclude_upper: object.strict_boolean("exclude_upper")?,
        exclude_lower: object.strict_boolean("exclude_lower")?,
        exclude_number: object.strict_boolean("exclude_number")?,
        include_special: object.strict_boolean("include_special")?,
        ..PasswordParameters::default()
    })
}

/// `value.username` beats `parameters.username`; an empty one counts as given (spec section 3.3).
fn username_beside(object: &Object<'_>) -> Result<Option<String>, Error> {
    if !object.has("value") {
        return Ok(None);
    }
    let value = object.object("value", "value.")?;
    let value = value.ok_or_else(|| Error::bad_request("`value` has the wrong type: send a JSON object"))?;
    value.only(&["username"]).map_err(Error::bad_request)?;
    value.text("username")
}

/// Characters of metadata in its compact form (spec section 2.1).
const MAX_METADATA: usize = 7000;
