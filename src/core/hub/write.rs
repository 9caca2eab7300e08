//! The one way a version is written: seal for the credential it belongs to, then one store step.

use super::{Caller, Error, Hub, Version};
use crate::{
    domain::{
        CredentialId, CredentialName, JsonText, ObjectUid, Parameters, Reason, RequestId, SecretBytes, Value,
        VersionId,
        ownership::{ApiWrites, OwnerObject},
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
    pub writer: Writer,
    pub reason: Reason,
    pub request: Option<RequestId>,
    pub action: &'static str,
}

/// Who writes, as far as the `Credential` that has the path is concerned.
#[derive(Clone, Debug)]
pub(super) enum Writer {
    /// A caller of the API, with a value that was given or generated: the `Credential` says whether that may be.
    Api { generated: bool },
    /// The `Credential` itself.
    Object(ObjectUid),
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
        let (id, mut holder) = known.map_or((None, None), |row| (Some(row.id), row.owner.object));
        let mut credential = id.unwrap_or_else(|| self.propose());
        for _ in 0..ATTEMPTS {
            draft.writer.check(draft.name, holder.as_ref())?;
            let put = PutVersion { holder: holder.clone(), ..self.sealed(caller, &draft, credential, version) };
            match self.store.put_version(put).await {
                Ok(row) => {
                    self.count(&row);
                    return Ok(Written::New(Box::new(Version { row, value: draft.value, issued: None })));
                }
                Err(store::Error::Conflict { credential: None, .. }) => credential = self.propose(),
                Err(store::Error::Conflict { credential: Some(id), .. }) if id != credential => credential = id,
                Err(store::Error::OtherHolder(object)) => holder = object,
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
            holder: None,
            namespace: caller.namespace_of(draft.name),
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

impl Writer {
    /// Whether it may write a path that this object has. Asked again whenever the store finds another one.
    pub(super) fn check(&self, name: &CredentialName, holder: Option<&OwnerObject>) -> Result<(), Error> {
        match (self, holder) {
            (Self::Api { generated }, Some(object)) if !allows(object.api_writes, *generated) => {
                Err(owned(name, object))
            }
            (Self::Api { .. }, _) => Ok(()),
            (Self::Object(uid), Some(object)) if object.uid == *uid => Ok(()),
            // It was released, or another has claimed the path: whoever looks next decides anew.
            (Self::Object(_), _) => Err(Error::Conflict),
        }
    }
}

fn allows(mode: ApiWrites, generated: bool) -> bool {
    match mode {
        ApiWrites::Allow => true,
        ApiWrites::GenerateOnly => generated,
        ApiWrites::Deny => false,
    }
}

fn owned(name: &CredentialName, object: &OwnerObject) -> Error {
    let next = match object.api_writes {
        ApiWrites::GenerateOnly => "ask for a generated value, or set spec.apiWrites to Allow",
        ApiWrites::Allow | ApiWrites::Deny => "change its source, or set spec.apiWrites to Allow",
    };
    let (path, object, mode) = (name.to_string(), object.name.clone(), object.api_writes.as_str());
    Error::Owned { path, object, mode, next }
}

const ATTEMPTS: usize = 8;
