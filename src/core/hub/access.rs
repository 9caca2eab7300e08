//! May they?

use super::{Caller, Error, Hub, Who};
use crate::domain::{CredentialName, Operation};

impl Hub {
    /// Refuses what the caller may not do. A refused write is [`Error::Denied`], before anyone looks whether the thing
    /// exists; whoever may not read or delete is told that there is nothing.
    pub(super) async fn require(
        &self,
        caller: &Caller,
        operation: Operation,
        name: &CredentialName,
    ) -> Result<(), Error> {
        if self.may(caller, operation, name).await? {
            return Ok(());
        }
        tracing::info!(actor = %caller.actor(), operation = operation.as_str(), %name, "refused");
        Err(match operation {
            Operation::Write => Error::Denied,
            Operation::Read | Operation::Find | Operation::Delete => Error::NotFound,
        })
    }

    async fn may(&self, caller: &Caller, operation: Operation, name: &CredentialName) -> Result<bool, Error> {
        match &caller.who {
            Who::Operator { namespace, .. } => Ok(name.is_within(namespace)),
            Who::Client(identity) => {
                let allowed = self.reviewer.allows(identity, operation, Some(name.namespace())).await;
                allowed.map_err(|error| Error::Unavailable(error.to_string()))
            }
        }
    }
}
