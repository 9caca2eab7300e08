//! How the version that is handed out stands to what an object wants of it.

use jiff::Timestamp;

use super::{Caller, Error, Hub, Version, Wanted, WantedOrigin};
use crate::{
    domain::{
        CredentialName, Operation, Parameters, VersionId,
        rotation::{ByTime, Made},
        schedule::{Answer, Current, Kept, Turn},
    },
    store::{CredentialRow, VersionRow},
};

/// The version that is handed out, and what decides whether it stays.
#[derive(Debug)]
pub(super) struct Standing {
    pub version: Version,
    /// The newest one, which a write comes after: another one where that is transitional.
    pub newest: VersionId,
    /// What it was generated from, where it was.
    parameters: Option<Parameters>,
    by_time: ByTime,
    signer_changed: bool,
    has_leaves: bool,
}

impl Standing {
    pub fn current(&self) -> Current<'_> {
        Current {
            parameters: self.parameters.as_ref(),
            by_time: self.by_time,
            signer_changed: self.signer_changed,
            has_leaves: self.has_leaves,
            in_transition: self.newest != self.version.row.id,
        }
    }
}

impl Hub {
    /// Looks at what is there; `None` where there is no version.
    pub(super) async fn standing(
        &self,
        wanted: &Wanted,
        credential: &CredentialRow,
        at: Timestamp,
    ) -> Result<Option<Standing>, Error> {
        let Some(row) = self.store.active(&wanted.name).await? else { return Ok(None) };
        // Somebody may have written since the credential was read; then the step that comes after it is refused.
        let newest = credential.newest.as_ref().map_or(row.id, |newest| newest.id);
        let signer = self.signer(&row).await?;
        let has_leaves = row.facts.is_ca && !self.store.signed_by(row.credential, at, 1).await?.is_empty();
        Ok(Some(Standing {
            newest,
            parameters: self.parameters(&row)?,
            by_time: wanted.rotation.due(wanted.name.folded(), made(&row, signer.as_ref())),
            signer_changed: signer.is_some_and(|signer| row.facts.signer != Some(signer.id)),
            has_leaves,
            version: self.open(row)?,
        }))
    }

    /// Names of what a credential signed, as long as it is in use: `limit` at most.
    pub async fn leaves(
        &self,
        caller: &Caller,
        name: &CredentialName,
        limit: u32,
    ) -> Result<Vec<CredentialName>, Error> {
        self.require(caller, Operation::Read, name).await?;
        let Some(row) = self.store.active(name).await?.filter(|row| row.facts.is_ca) else { return Ok(Vec::new()) };
        Ok(self.store.signed_by(row.credential, caller.at, limit).await?)
    }

    /// What the next look will say of a version that was just made: the same, or the status would be written once more
    /// for nothing.
    pub(super) async fn after(&self, wanted: &Wanted, row: &VersionRow) -> Result<Kept, Error> {
        let signer = self.signer(row).await?;
        let by_time = wanted.rotation.due(wanted.name.folded(), made(row, signer.as_ref()));
        Ok(Kept { turn: Turn::NotDue(by_time), ..kept(wanted) })
    }

    /// The version that its signer hands out now; `None` where it signed itself, and where the signer is gone.
    async fn signer(&self, row: &VersionRow) -> Result<Option<VersionRow>, Error> {
        let (Some(_), Some(name)) = (row.facts.signer, &row.facts.ca_name) else { return Ok(None) };
        let Ok(name) = name.parse::<CredentialName>() else { return Ok(None) };
        Ok(self.store.active(&name).await?)
    }
}

fn made(row: &VersionRow, signer: Option<&VersionRow>) -> Made {
    let at = row.stamp.at;
    Made { at, valid: row.facts.expires.map(|end| (at, end)), limit: signer.and_then(|signer| signer.facts.expires) }
}

/// What is said of a version that stays because its source was not read.
pub(super) fn kept(wanted: &Wanted) -> Kept {
    let asks = matches!(wanted.origin, WantedOrigin::Source(_)) && wanted.request.is_some();
    Kept { request: if asks { Answer::NeedsGenerator } else { Answer::NotAsked }, ..Kept::default() }
}
