//! A caller gives a value.

use super::{
    Caller, Error, Hub, Mode, Version,
    write::{Draft, Writer, Written},
};
use crate::{
    domain::{CredentialName, CredentialType, JsonText, KeyPair, Operation, Reason, SecretText, Value, value::User},
    material::given::GivenCertificate,
};

/// A value as it was given.
#[derive(Debug)]
pub enum Given {
    Value(SecretText),
    /// Any JSON document.
    Json(SecretText),
    Password(SecretText),
    User {
        username: Option<String>,
        password: SecretText,
    },
    /// Any text in either half, and one half at least.
    Rsa {
        public_key: Option<SecretText>,
        private_key: Option<SecretText>,
    },
    /// The same.
    Ssh {
        public_key: Option<SecretText>,
        private_key: Option<SecretText>,
    },
    Certificate(GivenCertificate),
}

impl Given {
    pub fn kind(&self) -> CredentialType {
        match self {
            Self::Value(_) => CredentialType::Value,
            Self::Json(_) => CredentialType::Json,
            Self::Password(_) => CredentialType::Password,
            Self::User { .. } => CredentialType::User,
            Self::Rsa { .. } => CredentialType::Rsa,
            Self::Ssh { .. } => CredentialType::Ssh,
            Self::Certificate(_) => CredentialType::Certificate,
        }
    }

    pub(super) fn duplicate(&self) -> Self {
        let copy = |text: &Option<SecretText>| text.as_ref().map(SecretText::duplicate);
        match self {
            Self::Value(text) => Self::Value(text.duplicate()),
            Self::Json(text) => Self::Json(text.duplicate()),
            Self::Password(text) => Self::Password(text.duplicate()),
            Self::User { username, password } => {
                Self::User { username: username.clone(), password: password.duplicate() }
            }
            Self::Rsa { public_key, private_key } => {
                Self::Rsa { public_key: copy(public_key), private_key: copy(private_key) }
            }
            Self::Ssh { public_key, private_key } => {
                Self::Ssh { public_key: copy(public_key), private_key: copy(private_key) }
            }
            Self::Certificate(given) => Self::Certificate(GivenCertificate {
                ca: copy(&given.ca),
                ca_name: given.ca_name.clone(),
                certificate: copy(&given.certificate),
                private_key: copy(&given.private_key),
                transitional: given.transitional,
            }),
        }
    }
}

impl Hub {
    /// Writes a new version of a credential, making the credential if there is none.
    ///
    /// The type of a credential never changes: a value of another type is [`Error::OtherKind`]. Where a `Credential` has
    /// the path, its `apiWrites` must allow it ([`Error::Owned`]).
    pub async fn set(
        &self,
        caller: &Caller,
        name: &CredentialName,
        given: Given,
        metadata: Option<JsonText>,
        mode: Mode,
    ) -> Result<Version, Error> {
        let checked = caller.checked(given)?;
        self.require(caller, Operation::Write, name).await?;
        let made = self.given(caller, name, checked).await?;
        let mode = match self.in_the_way(name, made.value.kind(), mode).await? {
            Ok(existing) => return Ok(existing),
            Err(mode) => mode,
        };
        let draft = Draft {
            name,
            value: made.value,
            facts: made.facts,
            parameters: None,
            metadata,
            mode,
            writer: Writer::Api { generated: false },
            reason: Reason::SetByAPI,
            request: None,
            action: "set",
        };
        match self.write(caller, draft).await? {
            Written::New(version) => Ok(*version),
            // Somebody else's version came first, and it is the answer.
            Written::Refused => self.newest(name).await?.ok_or(Error::Conflict),
        }
    }

    /// Checks what was given and fills in what is derived from it.
    pub(super) fn value(&self, given: Given) -> Result<Value, Error> {
        let missing = || Error::Invalid("the value is missing or empty: give one".into());
        match given {
            Given::Value(text) => Value::text(text).ok_or_else(missing),
            Given::Password(text) => Value::password(text).ok_or_else(missing),
            Given::Json(text) if text.expose().trim() == "null" => Err(missing()),
            Given::Json(text) => Value::json(&text).map_err(|error| Error::Invalid(error.to_string())),
            Given::User { password, .. } if password.is_empty() => {
                Err(Error::Invalid("the password of the user is missing or empty: give one".into()))
            }
            Given::User { username, password } => {
                let username = username.filter(|name| !name.is_empty());
                Ok(Value::User(User::new(username, password, self.entropy.as_ref())))
            }
            Given::Rsa { public_key, private_key } => pair(public_key, private_key).map(Value::Rsa),
            Given::Ssh { public_key, private_key } => pair(public_key, private_key).map(Value::Ssh),
            Given::Certificate(_) => Err(missing()), // those have checks of their own
        }
    }
}

fn pair(public_key: Option<SecretText>, private_key: Option<SecretText>) -> Result<KeyPair, Error> {
    let missing = || Error::Invalid("both keys are missing or empty: give public_key, private_key or both".into());
    KeyPair::new(public_key, private_key).ok_or_else(missing)
}
