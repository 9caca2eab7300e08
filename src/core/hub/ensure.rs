//! An object describes a credential: make true what it says, and tell what was found.
//!
//! The order is: whose is the path → what is due → at most one version → what to say about it. Nothing is made while
//! the path belongs to somebody else, and nothing is made because the store could not be asked.

use jiff::Timestamp;

use super::{
    Caller, Error, Given, Hub, SignerFault, Version, Who,
    make::Made,
    standing::{Standing, kept},
    write::{Draft, Writer, Written},
};
use crate::{
    domain::{
        CredentialName, CredentialType, NamespaceUid, ObjectUid, Operation, Parameters, RequestId, Value, VersionId,
        ownership::{self, ApiWrites, Claim, Claimant, Foreign, Owner, OwnerObject, Stored},
        rotation::Rotation,
        schedule::{self, Answer, Due, Kept, Making, Origin, Request, Terms, Turn},
    },
    store::{CredentialRow, Facts, Newest, PutOwner, VersionRow, WriteMode},
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
    /// When a new value is made without being asked for.
    pub rotation: Rotation,
}

/// What only the caller knows of the objects around.
pub trait Surroundings: Sync {
    /// Whether the object of a UID still exists.
    fn is_live(&self, object: &ObjectUid) -> bool;

    /// Whether the object may be given a new version that nobody asked for right now; else, when its turn is.
    fn start(&self, object: &ObjectUid, now: Timestamp) -> Result<(), Timestamp>;
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
        /// The transitional version that this call made beside it.
        introduced: Option<i64>,
        /// A new version is due, and its signer cannot make it.
        overdue: Option<SignerFault>,
    },
    /// There is none, and nothing to make one from yet.
    WaitingForInput(CredentialRow),
    /// There is none, and its signer cannot make it yet.
    WaitingForSigner(SignerFault),
    /// Another object has the path: `namespace/name`.
    PathOwned(String),
    /// What is stored there belongs to somebody else.
    NeedsApproval(Foreign),
}

impl Hub {
    /// Brings a credential to what an object wants.
    pub async fn ensure(&self, caller: &Caller, wanted: Wanted, around: &dyn Surroundings) -> Result<Ensured, Error> {
        self.require(caller, Operation::Write, &wanted.name).await?;
        let (credential, adopted) = match self.claim(caller, &wanted, around).await? {
            Ok(claimed) => claimed,
            Err(refused) => return Ok(refused),
        };
        let standing = self.standing(&wanted, &credential, caller.at).await?;
        let terms =
            Terms { request: self.request(&wanted).await?, on_change: wanted.rotation.on_change, now: caller.at };
        let given = self.offered(caller, &wanted).await?;
        let imported = match given {
            Some(_) => self.last_imported(&wanted.name, standing.as_ref()).await?,
            None => None,
        };
        let before = imported.as_ref().or(standing.as_ref().map(|standing| &standing.version));
        let Some(origin) = origin(&wanted, given.as_ref().map(|made| &made.value), before) else {
            // The source cannot be read: what is there stays.
            return Ok(settled(standing, credential, adopted, kept(&wanted)));
        };
        let due = schedule::due(origin, standing.as_ref().map(Standing::current), terms);
        let (made, parameters, making) = match due {
            Due::Keep(kept) => return Ok(settled(standing, credential, adopted, kept)),
            Due::WaitForInput => return Ok(Ensured::WaitingForInput(credential)),
            Due::Generate(making) => {
                if making.is_unasked()
                    && let Err(turn) = around.start(&wanted.object_uid, caller.at)
                {
                    let kept = Kept { drifted: making.drifted, turn: Turn::Throttled(turn), ..Kept::default() };
                    return Ok(settled(standing, credential, adopted, kept));
                }
                let parameters = wanted.origin.parameters().ok_or(Error::Conflict)?;
                let plan = match self.plan(caller, parameters).await {
                    Err(Error::Signer(fault)) => return Ok(unsigned(standing, credential, adopted, making, fault)),
                    plan => plan?,
                };
                (self.make(plan).await?, Some(parameters), making)
            }
            Due::Import { reason, requested } => match given {
                Some(made) => (made, None, Making { reason, requested, transitional: false, drifted: false }),
                None => return Ok(settled(standing, credential, adopted, kept(&wanted))),
            },
        };
        let draft = Draft {
            name: &wanted.name,
            value: made.value,
            facts: Facts { transitional: making.transitional, ..made.facts },
            parameters,
            metadata: None,
            mode: standing.as_ref().map_or(WriteMode::CreateOnly, |standing| WriteMode::After(standing.newest)),
            writer: Writer::Object(wanted.object_uid.clone()),
            reason: making.reason,
            request: wanted.request.clone().filter(|_| making.requested),
            action: "reconcile",
        };
        match self.write(caller, draft).await? {
            Written::New(version) => {
                // As the next look will find it, or the status would be written once more for nothing.
                let VersionRow { id, number, stamp, .. } = &version.row;
                let newest = Newest { id: *id, number: *number, stamp: stamp.clone(), namespace: None };
                let credential = CredentialRow { versions: *number, newest: Some(newest), ..credential };
                let introduced = making.transitional.then_some(version.row.number);
                if let (Some(_), Some(Standing { version: signing, .. })) = (introduced, standing) {
                    let (turn, request) = (Turn::NeedsSteps, Answer::AlreadyUsed(version.row.id));
                    let (version, kept) = (Box::new(signing), Kept { turn, request, drifted: making.drifted });
                    let (made, overdue) = (false, None);
                    return Ok(Ensured::Ready { version, credential, made, adopted, kept, introduced, overdue });
                }
                let kept = self.after(&wanted, &version.row).await?;
                let version = Box::new(Version { issued: made.issued, ..*version });
                let (made, overdue) = (true, None);
                Ok(Ensured::Ready { version, credential, made, adopted, kept, introduced: None, overdue })
            }
            Written::Refused => Err(Error::Conflict),
        }
    }

    /// Takes the path for the object, or says who has it. Also tells whether versions of somebody else came with it.
    async fn claim(
        &self,
        caller: &Caller,
        wanted: &Wanted,
        around: &dyn Surroundings,
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
        match ownership::claim(Stored { owner, last_writer }, claimant, |object| around.is_live(object)) {
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
    async fn last_imported(
        &self,
        name: &CredentialName,
        standing: Option<&Standing>,
    ) -> Result<Option<Version>, Error> {
        if standing.is_none_or(|standing| standing.version.row.reason.is_import()) {
            return Ok(None);
        }
        self.store.imported(name).await?.map(|row| self.open(row)).transpose()
    }

    async fn request(&self, wanted: &Wanted) -> Result<Request, Error> {
        let Some(request) = &wanted.request else { return Ok(Request::None) };
        let used: Option<VersionId> = self.store.request(request).await?;
        Ok(used.map_or(Request::Fresh, Request::Used))
    }

    async fn offered(&self, caller: &Caller, wanted: &Wanted) -> Result<Option<Made>, Error> {
        match &wanted.origin {
            WantedOrigin::Source(Some(given)) | WantedOrigin::Adopt(_, Some(given)) => {
                let checked = caller.checked(given.duplicate())?;
                self.given(caller, &wanted.name, checked).await.map(Some)
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

fn settled(standing: Option<Standing>, credential: CredentialRow, adopted: bool, kept: Kept) -> Ensured {
    match standing {
        Some(Standing { version, .. }) => {
            let (version, made, introduced, overdue) = (Box::new(version), false, None, None);
            Ensured::Ready { version, credential, made, adopted, kept, introduced, overdue }
        }
        None => Ensured::WaitingForInput(credential),
    }
}

/// A version is due that its signer cannot make: what is there is served on.
fn unsigned(
    standing: Option<Standing>,
    credential: CredentialRow,
    adopted: bool,
    making: Making,
    fault: SignerFault,
) -> Ensured {
    let kept = Kept { drifted: making.drifted, ..Kept::default() };
    match settled(standing, credential, adopted, kept) {
        Ensured::Ready { version, credential, made, adopted, kept, introduced, .. } => {
            Ensured::Ready { version, credential, made, adopted, kept, introduced, overdue: Some(fault) }
        }
        _ => Ensured::WaitingForSigner(fault),
    }
}
