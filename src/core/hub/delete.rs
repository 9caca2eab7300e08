//! A caller deletes; an object that is deleted takes its credential along, or leaves it.

use super::{Caller, Error, Hub};
use crate::{
    domain::{CredentialName, ObjectUid, Operation},
    store::{CredentialRow, Delete},
};

impl Hub {
    /// Tombstones a credential: the name is free, the versions stay for the time of retention.
    ///
    /// [`Error::OwnedDelete`] where a live `Credential` has the path, [`Error::NotFound`] also where the caller may not.
    pub async fn delete(&self, caller: &Caller, name: &CredentialName) -> Result<(), Error> {
        self.require(caller, Operation::Delete, name).await?;
        let row = self.store.credential(name).await?.ok_or(Error::NotFound)?;
        if let Some(object) = row.owner.object {
            return Err(Error::OwnedDelete { path: name.to_string(), object: object.name });
        }
        if row.newest.is_none() {
            return Err(Error::NotFound);
        }
        self.tombstone(caller, name, None).await?.map(drop).ok_or(Error::NotFound)
    }

    /// Tombstones the credential of an object that goes with `deletionPolicy: Delete`. Nothing where the path has passed
    /// to another object. Tells whether there were versions that went along.
    pub async fn delete_with_object(
        &self,
        caller: &Caller,
        name: &CredentialName,
        object: &ObjectUid,
    ) -> Result<bool, Error> {
        self.require(caller, Operation::Delete, name).await?;
        match self.tombstone(caller, name, Some(object.clone())).await {
            Err(Error::Conflict) => Ok(false),
            other => Ok(other?.is_some_and(|gone| gone.newest.is_some())),
        }
    }

    /// Forgets that an object has a path: the values stay, and whoever may can have the path next.
    pub async fn release(&self, caller: &Caller, object: &ObjectUid) -> Result<(), Error> {
        let epoch = caller.epoch().ok_or(Error::Denied)?;
        let audit = caller.audit("release", object.as_str(), "the object is gone");
        self.store.release(object, epoch, audit).await?;
        Ok(())
    }

    async fn tombstone(
        &self,
        caller: &Caller,
        name: &CredentialName,
        holder: Option<ObjectUid>,
    ) -> Result<Option<CredentialRow>, Error> {
        let audit = caller.audit("delete", name.as_str(), "tombstone");
        let delete = Delete { name: name.clone(), holder, epoch: caller.epoch(), stamp: caller.stamp(), audit };
        Ok(self.store.delete(delete).await?)
    }
}
