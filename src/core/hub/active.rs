//! Which version counts: of a certificate, the newest that is not transitional (spec sections 4 and 5.1).

use super::{Caller, Error, Hub, Mode, Version};
use crate::{
    domain::{CredentialName, CredentialType, Operation},
    store::{VersionRow, WriteMode},
};

/// The rows of a certificate that count.
#[derive(Debug, Default)]
pub(super) struct ActiveRows {
    /// The newest that is not transitional.
    pub active: Option<VersionRow>,
    pub transitional: Option<VersionRow>,
}

impl Hub {
    /// The active version, and behind it the transitional one where a certificate has one. Never an empty list:
    /// [`Error::NotFound`] also where the caller may not read it.
    pub async fn active(&self, caller: &Caller, name: &CredentialName) -> Result<Vec<Version>, Error> {
        self.require(caller, Operation::Read, name).await?;
        let Some(newest) = self.store.versions(name, Some(1)).await?.pop() else { return Err(Error::NotFound) };
        if newest.kind != CredentialType::Certificate {
            return Ok(vec![self.open(newest)?]);
        }
        let ActiveRows { active, transitional } = self.active_rows(name).await?;
        active.into_iter().chain(transitional).map(|row| self.open(row)).collect()
    }

    /// The rows of a certificate that count; both `None` where there is no credential of that name.
    pub(super) async fn active_rows(&self, name: &CredentialName) -> Result<ActiveRows, Error> {
        let mut rows = ActiveRows::default();
        for row in self.store.versions(name, None).await? {
            let place = if row.facts.transitional { &mut rows.transitional } else { &mut rows.active };
            place.get_or_insert(row); // newest first
        }
        Ok(rows)
    }

    /// What stands in the way of a write: the active version, which is then the answer. Else how to write, so that
    /// nobody comes in between.
    pub(super) async fn in_the_way(
        &self,
        name: &CredentialName,
        kind: CredentialType,
        mode: Mode,
    ) -> Result<Result<Version, WriteMode>, Error> {
        if mode == Mode::Overwrite {
            return Ok(Err(mode.into()));
        }
        let Some(active) = self.store.active(name).await? else { return Ok(Err(mode.into())) };
        if active.kind != kind {
            return Err(Error::OtherKind(active.kind));
        }
        // Where nothing but transitional versions is there, what was asked for is made beside the newest (spec 11.2).
        if active.facts.transitional {
            return Ok(Err(WriteMode::After(active.id)));
        }
        self.open(active).map(Ok)
    }
}
