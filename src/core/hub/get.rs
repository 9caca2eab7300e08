//! A caller reads.

use super::{Caller, Error, Hub, Version};
use crate::domain::{CredentialName, Operation, VersionId};

impl Hub {
    /// The newest version; [`Error::NotFound`] also where the caller may not read it.
    pub async fn current(&self, caller: &Caller, name: &CredentialName) -> Result<Version, Error> {
        self.require(caller, Operation::Read, name).await?;
        self.newest(name).await?.ok_or(Error::NotFound)
    }

    /// Versions, newest first: all of them, or the newest `limit`. Never an empty list.
    pub async fn versions(
        &self,
        caller: &Caller,
        name: &CredentialName,
        limit: Option<u32>,
    ) -> Result<Vec<Version>, Error> {
        self.require(caller, Operation::Read, name).await?;
        let rows = self.store.versions(name, limit).await?;
        if rows.is_empty() {
            return Err(Error::NotFound);
        }
        rows.into_iter().map(|row| self.open(row)).collect()
    }

    /// One version by its id.
    pub async fn version(&self, caller: &Caller, id: VersionId) -> Result<Version, Error> {
        let row = self.store.version(id).await?.ok_or(Error::NotFound)?;
        self.require(caller, Operation::Read, &row.name).await?;
        self.open(row)
    }

    pub(super) async fn newest(&self, name: &CredentialName) -> Result<Option<Version>, Error> {
        let row = self.store.versions(name, Some(1)).await?.into_iter().next();
        row.map(|row| self.open(row)).transpose()
    }
}
