//! A caller asks for a generated value.

use super::{
    Caller, Error, Hub, Version, reason_of_client,
    write::{Draft, Written},
};
use crate::{
    domain::{CredentialName, JsonText, Operation, Parameters, generate::generate},
    store::WriteMode,
};

/// What to do where the credential exists (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerateMode {
    Overwrite,
    /// The existing version is the answer; new metadata is dropped.
    NoOverwrite,
}

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
        mode: GenerateMode,
    ) -> Result<Version, Error> {
        self.require(caller, Operation::Write, name).await?;
        let value = generate(parameters, self.entropy.as_ref())?;
        let kind = value.kind();
        if mode == GenerateMode::NoOverwrite
            && let Some(existing) = self.newest(name).await?
        {
            return if existing.row.kind == kind { Ok(existing) } else { Err(Error::OtherKind(existing.row.kind)) };
        }
        self.check_owner(name, true).await?;
        let draft = Draft {
            name,
            value,
            parameters: Some(parameters),
            metadata,
            mode: match mode {
                GenerateMode::Overwrite => WriteMode::Overwrite,
                GenerateMode::NoOverwrite => WriteMode::CreateOnly,
            },
            reason: reason_of_client(false),
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
