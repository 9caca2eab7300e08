//! A caller asks for a generated value.

use super::{
    Caller, Error, Hub, Mode, Version,
    write::{Draft, Written},
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
        let mode = match self.standing(name, parameters.kind(), mode).await? {
            Ok(existing) => return Ok(existing),
            Err(mode) => mode,
        };
        self.check_owner(name, true).await?;
        let made = self.make(plan).await?;
        let draft = Draft {
            name,
            value: made.value,
            facts: made.facts,
            parameters: Some(parameters),
            metadata,
            mode,
            reason: Reason::Generated,
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
