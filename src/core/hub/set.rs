//! A caller gives a value.

use super::{
    Caller, Error, Hub, Mode, Version,
    write::{Draft, Writer, Written},
};
use crate::domain::{CredentialName, CredentialType, JsonText, Operation, Reason, SecretText, Value, value::User};

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
}

impl Given {
    pub fn kind(&self) -> CredentialType {
        match self {
            Self::Value(_) => CredentialType::Value,
            Self::Json(_) => CredentialType::Json,
            Self::Password(_) => CredentialType::Password,
            Self::User { .. } => CredentialType::User,
        }
    }

    pub(super) fn duplicate(&self) -> Self {
        match self {
            Self::Value(text) => Self::Value(text.duplicate()),
            Self::Json(text) => Self::Json(text.duplicate()),
            Self::Password(text) => Self::Password(text.duplicate()),
            Self::User { username, password } => {
                Self::User { username: username.clone(), password: password.duplicate() }
            }
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
        self.require(caller, Operation::Write, name).await?;
        let value = self.value(given)?;
        if mode == Mode::NoOverwrite
            && let Some(existing) = self.newest_of(name, value.kind()).await?
        {
            return Ok(existing);
        }
        let draft = Draft {
            name,
            value,
            parameters: None,
            metadata,
            mode: mode.into(),
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
        }
    }
}
