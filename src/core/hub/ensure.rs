//! An object describes a credential: make true what it says, and tell what was found.
//!
//! The order is: whose is the path → what is due → at most one version → what to say about it. Nothing is made while
//! the path belongs to somebody else, and nothing is made because the store could not be asked.

use super::{
    Caller, Error, Given, Hub, Version, Who,
    write::{Draft, Writer, Written},
};
use crate::{
    domain::{
        CredentialName, CredentialType, NamespaceUid, ObjectUid, Operation, Parameters, RequestId, Value, VersionId,
        generate::generate,
        ownership::{self, ApiWrites, Claim, Claimant, Foreign, Owner, OwnerObject, Stored},
        rotation::{ByTime, OnChange},
        schedule::{self, Answer, Due, Kept, Making, Origin, Request, Terms},
    },
    store::{CredentialRow, PutOwner, WriteMode},
};

/// What an object wants.
#[derive(Debug)]
pub struct Wanted {
    pub name: CredentialName,
    pub kind: CredentialType,
    pub origin: WantedOrigin,
    /// A hash of path and annotation value, where there is the annotation.
    pub request: Option<RequestId>,
    pub api_writes: ApiWrites,
    /// `namespace/name` of the object.
    pub object: String,
    pub object_uid: ObjectUid,
    pub namespace_uid: NamespaceUid,
    /// `credsmith.dev/inherits` on the Namespace.
    pub inherits: Option<String>,
    /// `spec.adoption.mode: Never`
    pub never_adopt: bool,
}

/// Where the value is to come from.
#[derive(Debug)]
pub enum WantedOrigin {
    Generate(Parameters),
    /// The content of the source; `None` where it cannot be read now, which makes nothing.
    Source(Option<Given>),
    /// Read once, while there is no version.
    Adopt(Parameters, Option<Given>),
    /// Somebody sets it over the API.
    Input,
}

/// What was found or made.
#[derive(Debug)]
pub enum Ensured {
    /// There is a version.
    Ready {
        version: Box<Version>,
        credential: CredentialRow,
        /// Whether this call made it.
        made: bool,
        /// Whether this call took over versions that somebody else had made.
        adopted: bool,
        kept: Kept,
    },
    /// There is none, and nothing to make one from yet.
    WaitingForInput(CredentialRow),
    /// Another object has the path: `namespace/name`.
    PathOwned(String),
    /// What is stored there belongs to somebody else.
    NeedsApproval(Foreign),
}

impl Hub {
    /// Brings a credential to what an object wants. `is_live` tells whether the object of a UID still exists.
    pub async fn ensure(
        &self,
        caller: &Caller,
        wanted: Wanted,
        is_live: impl Fn(&ObjectUid) -> bool + Send,
    ) -> Result<Ensured, Error> {
        self.require(caller, Operation::Write, &wanted.name).await?;
        let (credential, adopted) = match self.claim(caller, &wanted, is_live).await? {
            Ok(claimed) => claimed,
            Err(refused) => return Ok(refused),
        };
        let newest = self.newest(&wanted.name).await?;
        let request = self.request(&wanted).await?;
        let stored = newest.as_ref().map(|version| self.parameters(&version.row)).transpose()?.flatten();
        let current = newest.as_ref().map(|_| schedule::Current {
            parameters: stored.as_ref(),
            by_time: ByTime::Never,
            signer_changed: false,
            has_leaves: false,
        });
        let terms = Terms { request, on_change: OnChange::Keep, now: caller.at };
        let given = self.given(&wanted)?;
        let imported = match given {
            Some(_) => self.last_imported(&wanted.name, newest.as_ref()).await?,
            None => None,
        };
        let before = imported.as_ref().or(newest.as_ref());
        let Some(origin) = origin(&wanted, given.as_ref(), before) else {
            // The source cannot be read: what is there stays.
            return Ok(settled(newest, credential, adopted, kept(&wanted)));
        };
        let due = schedule::due(origin, current, terms);
        let (value, parameters, reason, requested) = match due {
            Due::Keep(kept) => {
                let version = newest.map(Box::new).ok_or(Error::Conflict)?;
                return Ok(Ensured::Ready { version, credential, made: false, adopted, kept });
            }
            Due::WaitForInput => return Ok(Ensured::WaitingForInput(credential)),
            Due::Generate(Making { reason, requested, .. }) => {
                let parameters = wanted.origin.parameters().ok_or(Error::Conflict)?;
                (generate(parameters, self.entropy.as_ref())?, Some(parameters), reason, requested)
            }
            Due::Import { reason, requested } => match given {
                Some(value) => (value, None, reason, requested),
                None => return Ok(settled(newest, credential, adopted, kept(&wanted))),
            },
        };
        let draft = Draft {
            name: &wanted.name,
            value,
            parameters,
            metadata: None,
            mode: newest.as_ref().map_or(WriteMode::CreateOnly, |version| WriteMode::After(version.row.id)),
            writer: Writer::Object(wanted.object_uid.clone()),
            reason,
            request: wanted.request.clone().filter(|_| requested),
            action: "reconcile",
        };
        match self.write(caller, draft).await? {
            Written::New(version) => {
                let versions = version.row.number;
                let credential = CredentialRow { versions, ..credential };
                Ok(Ensured::Ready { version, credential, made: true, adopted, kept: kept(&wanted) })
            }
            Written::Refused => Err(Error::Conflict),
        }
    }

    /// Takes the path for the object, or says who has it. Also tells whether versions of somebody else came with it.
    async fn claim(
        &self,
        caller: &Caller,
        wanted: &Wanted,
        is_live: impl Fn(&ObjectUid) -> bool + Send,
    ) -> Result<Result<(CredentialRow, bool), Ensured>, Error> {
        let Who::Operator { epoch, .. } = &caller.who else { return Err(Error::Denied) };
        let row = self.store.credential(&wanted.name).await?;
        let nobody = Owner::default();
        let owner = row.as_ref().map_or(&nobody, |row| &row.owner);
        let newest = row.as_ref().and_then(|row| row.newest.as_ref());
        let last_writer = newest.map(|newest| newest.namespace.as_ref());
        let claimant = Claimant {
            namespace_uid: &wanted.namespace_uid,
            object: &wanted.object_uid,
            inherits: wanted.inherits.as_deref(),
            never_adopt: wanted.never_adopt,
        };
        match ownership::claim(Stored { owner, last_writer }, claimant, is_live) {
            Claim::OwnedBy(object) => return Ok(Err(Ensured::PathOwned(object))),
            Claim::NeedsApproval(foreign) => return Ok(Err(Ensured::NeedsApproval(foreign))),
            Claim::Granted => {}
        }
        if let Some(row) = &row
            && row.newest.is_some()
            && row.kind != wanted.kind
        {
            return Err(Error::OtherKind(row.kind));
        }
        let object =
            OwnerObject { uid: wanted.object_uid.clone(), name: wanted.object.clone(), api_writes: wanted.api_writes };
        let new = Owner { namespace: Some(wanted.namespace_uid.clone()), object: Some(object) };
        match row {
            Some(row) if row.owner == new && row.kind == wanted.kind => Ok(Ok((row, false))),
            row => {
                let adopted =
                    row.as_ref().is_some_and(|row| row.newest.is_some() && row.owner.namespace != new.namespace);
                let put = PutOwner {
                    name: wanted.name.clone(),
                    kind: wanted.kind,
                    credential: self.propose(),
                    was: row.map(|row| row.owner).unwrap_or_default(),
                    owner: new,
                    epoch: *epoch,
                    at: caller.at,
                    audit: caller.audit("claim", wanted.name.as_str(), wanted.object.as_str()),
                };
                Ok(Ok((self.store.claim(put).await?, adopted)))
            }
        }
    }

    /// The newest version that came from a source: what a source is compared with, so that a value that was set over
    /// the API since is not taken for a change of the source.
    async fn last_imported(&self, name: &CredentialName, newest: Option<&Version>) -> Result<Option<Version>, Error> {
        if newest.is_none_or(|version| version.row.reason.is_import()) {
            return Ok(None);
        }
        self.store.imported(name).await?.map(|row| self.open(row)).transpose()
    }

    async fn request(&self, wanted: &Wanted) -> Result<Request, Error> {
        let Some(request) = &wanted.request else { return Ok(Request::None) };
        let used: Option<VersionId> = self.store.request(request).await?;
        Ok(used.map_or(Request::Fresh, Request::Used))
    }

    fn given(&self, wanted: &Wanted) -> Result<Option<Value>, Error> {
        match &wanted.origin {
            WantedOrigin::Source(Some(given)) | WantedOrigin::Adopt(_, Some(given)) => {
                self.value(given.duplicate()).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl WantedOrigin {
    fn parameters(&self) -> Option<&Parameters> {
        match self {
            Self::Generate(parameters) | Self::Adopt(parameters, _) => Some(parameters),
            Self::Source(_) | Self::Input => None,
        }
    }
}

fn origin<'a>(wanted: &'a Wanted, given: Option<&Value>, before: Option<&Version>) -> Option<Origin<'a>> {
    match &wanted.origin {
        WantedOrigin::Generate(parameters) => Some(Origin::Generate(parameters)),
        WantedOrigin::Adopt(parameters, _) => Some(Origin::Adopt(parameters)),
        WantedOrigin::Input => Some(Origin::Input),
        WantedOrigin::Source(_) => {
            let given = given?;
            let changed = before.is_some_and(|version| !version.value.same_as(given));
            Some(Origin::Source { changed })
        }
    }
}

fn settled(newest: Option<Version>, credential: CredentialRow, adopted: bool, kept: Kept) -> Ensured {
    match newest {
        Some(version) => Ensured::Ready { version: Box::new(version), credential, made: false, adopted, kept },
        None => Ensured::WaitingForInput(credential),
    }
}

/// What the next look will say of a version that was just made, or that stays because its source was not read: the same,
/// or the status would be written once more for nothing.
fn kept(wanted: &Wanted) -> Kept {
    let asks = matches!(wanted.origin, WantedOrigin::Source(_)) && wanted.request.is_some();
    Kept { request: if asks { Answer::NeedsGenerator } else { Answer::NotAsked }, ..Kept::default() }
}
