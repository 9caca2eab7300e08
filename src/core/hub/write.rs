//! The one way a version is written: seal for the credential it belongs to, then one store step.

use super::{Caller, Error, Hub, Version};
use crate::{
    domain::{
        CredentialId, CredentialName, JsonText, Parameters, Reason, RequestId, SecretBytes, Value, VersionId,
        value::MAX_VALUE,
    },
    keyring::Place,
    store::{self, Facts, PutVersion, SealedParameters, VersionRow, WriteMode},
};

/// What to write.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub name: &'a CredentialName,
    pub value: Value,
    pub facts: Facts,
    pub parameters: Option<&'a Parameters>,
    pub metadata: Option<JsonText>,
    pub mode: WriteMode,
    pub reason: Reason,
    pub request: Option<RequestId>,
    pub action: &'static str,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Written {
    New(Box<Version>),
    /// The mode does not hold: somebody else's version stands.
    Refused,
}

impl Hub {
    /// Seals and writes. Since sealing binds the credential's id, a name that exists under another id than the proposed
    /// one means to seal again; that ends as soon as nobody deletes and re-creates the name in between.
    pub(super) async fn write(&self, caller: &Caller, draft: Draft<'_>) -> Result<Written, Error> {
        if draft.value.size() > MAX_VALUE {
            return Err(Error::TooLarge);
        }
        let version = VersionId::new(self.entropy.as_ref());
        let known = self.store.credential(draft.name).await?;
        let mut credential = known.map_or_else(|| self.propose(), |row| row.id);
        for _ in 0..ATTEMPTS {
            let put = self.sealed(caller, &draft, credential, version);
            match self.store.put_version(put).await {
                Ok(row) => {
                    self.count(&row);
                    return Ok(Written::New(Box::new(Version { row, value: draft.value, issued: None })));
                }
                Err(store::Error::Conflict { credential: None, .. }) => credential = self.propose(),
                Err(store::Error::Conflict { credential: Some(id), .. }) if id != credential => credential = id,
                Err(store::Error::Conflict { .. } | store::Error::RequestUsed(_)) => return Ok(Written::Refused),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflict)
    }

    /// What a version was generated from; `None` where it was given.
    pub(super) fn parameters(&self, row: &VersionRow) -> Result<Option<Parameters>, Error> {
        let Some(stored) = &row.parameters else { return Ok(None) };
        let place = Place::parameters(row.credential, row.id, row.kind);
        let plain = self.keyring.open_sealed(&place, &stored.sealed).map_err(|error| self.damaged(row.id, &error))?;
        let parameters = serde_json::from_slice(plain.expose());
        parameters.map(Some).map_err(|_| Error::Damaged(format!("version {}: its parameters cannot be read", row.id)))
    }

    fn sealed(&self, caller: &Caller, draft: &Draft<'_>, credential: CredentialId, version: VersionId) -> PutVersion {
        let kind = draft.value.kind();
        let seal = |place: Place, plain: &SecretBytes| self.keyring.seal(&place, plain, self.entropy.as_ref());
        let parameters = draft.parameters.map(|parameters| {
            let plain = SecretBytes::new(serde_json::to_vec(parameters).expect("parameters are always JSON"));
            let place = Place::parameters(credential, version, kind);
            SealedParameters { sealed: seal(place, &plain), public: parameters.public() }
        });
        PutVersion {
            credential,
            version,
            name: draft.name.clone(),
            kind,
            sealed: seal(Place::version(credential, version, kind), &draft.value.to_bytes()),
            parameters,
            metadata: draft.metadata.clone(),
            facts: draft.facts.clone(),
            mode: draft.mode,
            request: draft.request.clone(),
            epoch: caller.epoch(),
            stamp: caller.stamp(),
            reason: draft.reason,
            audit: caller.audit(draft.action, draft.name.as_str(), draft.reason.as_str()),
        }
    }

    pub(super) fn propose(&self) -> CredentialId {
        CredentialId::new(self.entropy.as_ref())
    }
}

const ATTEMPTS: usize = 8;
