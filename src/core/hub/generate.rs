//! A caller asks for a generated value.

use super::{
    Caller, Error, Hub, Mode, Version,
    write::{Draft, Writer, Written},
};
use crate::domain::{CredentialName, JsonText, Operation, Parameters, Reason};

impl Hub {
    /// Generates a version, or answers with the one that is there.
    ///
    /// Parameters are checked before anyone is asked, and a signer is looked up before anyone looks whether a value is
    /// needed, so that the errors are the same in every mode (spec sections 3.5 and 4).
    pub async fn generate(
        &self,
        caller: &Caller,
        name: &CredentialName,
        parameters: &Parameters,
        metadata: Option<JsonText>,
        mode: Mode,
    ) -> Result<Version, Error> {
        parameters.check()?;
        self.require(caller, Operation::Write, name).await?;
        let plan = self.plan(caller, parameters).await?;
        let mode = match self.in_the_way(name, parameters.kind(), mode).await? {
            Ok(existing) => return Ok(existing),
            Err(mode) => mode,
        };
        // Before a key is made for nothing; the step asks again.
        let writer = Writer::Api { generated: true };
        let row = self.store.credential(name).await?;
        writer.check(name, row.as_ref().and_then(|row| row.owner.object.as_ref()))?;
        // Over a value that is there it is a rotation that somebody asked for.
        let exists = row.is_some_and(|row| row.newest.is_some());
        let made = self.make(plan).await?;
        let draft = Draft {
            name,
            value: made.value,
            facts: made.facts,
            parameters: Some(parameters),
            metadata,
            mode,
            writer,
            reason: if exists { Reason::Requested } else { Reason::Generated },
            request: None,
            action: "generate",
        };
        match self.write(caller, draft).await? {
            Written::New(version) => Ok(Version { issued: made.issued, ..*version }),
            // Somebody else's version came first, and it is the answer.
            Written::Refused => self.newest(name).await?.ok_or(Error::Conflict),
        }
    }
}
