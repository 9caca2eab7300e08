//! A caller asks for a generated value.

use super::{
    Caller, Error, Hub, Mode, Version,
    write::{Draft, Writer, Written},
};
use crate::domain::{CredentialName, JsonText, Operation, Parameters, Reason, generate::generate};

impl Hub {
    /// Generates a version, or answers with the one that is there.
    ///
    /// Parameters are checked and the value is generated before anyone looks whether it is needed, so that the errors
    /// are the same in every mode.
    pub async fn generate(
        &self,
        caller: &Caller,
        name: &CredentialName,
        parameters: &Parameters,
        metadata: Option<JsonText>,
        mode: Mode,
    ) -> Result<Version, Error> {
        self.require(caller, Operation::Write, name).await?;
        let value = generate(parameters, self.entropy.as_ref())?;
        if mode == Mode::NoOverwrite
            && let Some(existing) = self.newest_of(name, value.kind()).await?
        {
            return Ok(existing);
        }
        // Over a value that is there it is a rotation that somebody asked for.
        let exists = self.store.credential(name).await?.is_some_and(|row| row.newest.is_some());
        let draft = Draft {
            name,
            value,
            parameters: Some(parameters),
            metadata,
            mode: mode.into(),
            writer: Writer::Api { generated: true },
            reason: if exists { Reason::Requested } else { Reason::Generated },
            request: None,
            action: "generate",
        };
        match self.write(caller, draft).await? {
            Written::New(version) => Ok(*version),
            // Somebody else's version came first, and it is the answer.
            Written::Refused => self.newest(name).await?.ok_or(Error::Conflict),
        }
    }
}
