//! The write steps. Each runs in a savepoint of the writer's transaction and is undone where it answers with an error.
//!
//! What a step finds, it finds as its neighbours before it in the group have left it, so conditions hold as if every
//! step had a transaction of its own.

use credsmith_core::{
    domain::{
        CredentialId, CredentialName, CredentialType, Epoch, NamespaceUid, ObjectUid, Stamp, ids::DataKeyId,
        name::fold, ownership::Owner,
    },
    keyring::{DataKeyRow, KeyId, Sealed, WrappedKey},
    store::{
        AuditLine, Change, CredentialRow, Delete, Error, Newest, PutOwner, PutVersion, VersionRow, VersionState,
        WriteMode,
    },
};
use jiff::Timestamp;
use rusqlite::{Connection, Params, params};

use super::{chain::Chain, fault::Fault, queries};

/// What a step works on.
#[derive(Debug)]
pub struct Step<'a> {
    pub db: &'a Connection,
    pub chain: &'a mut Chain,
    /// Whose credential the step changed, to be told when it is on disk.
    pub changed: &'a mut Vec<Change>,
}

/// See [`Store::put_version`](credsmith_core::store::Store::put_version).
pub fn put_version(step: &mut Step<'_>, put: PutVersion) -> Result<VersionRow, Fault> {
    step.check(put.epoch)?;
    if let Some(request) = &put.request
        && let Some(version) = queries::request(step.db, request)?
    {
        return Err(Error::RequestUsed(version).into());
    }
    let known = queries::credential(step.db, &put.name)?;
    let (number, row) = match known {
        Some((number, row)) => (Some(number), row),
        None => (None, fresh(put.credential, &put.name, put.kind)),
    };
    let newest = row.newest.as_ref();
    let conflict = || Error::Conflict { credential: Some(row.id), newest: newest.map(|newest| newest.id) };
    let held = match put.mode {
        WriteMode::Overwrite => true,
        WriteMode::CreateOnly => newest.is_none(),
        WriteMode::After(version) => newest.is_some_and(|newest| newest.id == version),
    };
    if !held || row.id != put.credential {
        return Err(conflict().into());
    }
    if row.owner.object != put.holder {
        return Err(Error::OtherHolder(row.owner.object).into());
    }
    // Without a version and without an object that waits for one, the type is nobody's yet.
    if (newest.is_some() || row.owner.object.is_some()) && row.kind != put.kind {
        return Err(Error::OtherKind(row.kind).into());
    }
    let change = put.change(&row.name);
    let at = later(put.stamp.at, newest)?;
    let version = VersionRow {
        credential: row.id,
        id: put.version,
        number: newest.map_or(1, |newest| newest.number + 1),
        name: row.name.clone(),
        kind: put.kind,
        state: VersionState::Live,
        stamp: Stamp { actor: put.stamp.actor, at },
        reason: put.reason,
        request: put.request,
        metadata: put.metadata,
        data_key: put.sealed.data_key(),
        sealed: put.sealed,
        parameters: put.parameters,
        facts: put.facts,
    };
    let number = match number {
        Some(number) => step.point(number, &version, put.namespace.as_ref())?,
        None => {
            let first = Some((&version, put.namespace.as_ref()));
            step.insert_credential(&version.name, version.credential, version.kind, at, first)?
        }
    };
    step.insert_version(number, &version).map_err(|fault| if fault.is_taken() { conflict().into() } else { fault })?;
    step.record(put.audit)?;
    step.changed.push(change);
    Ok(version)
}

/// See [`Store::claim`](credsmith_core::store::Store::claim).
pub fn claim(step: &mut Step<'_>, claim: PutOwner) -> Result<CredentialRow, Fault> {
    step.check(Some(claim.epoch))?;
    let (number, row) = match queries::credential(step.db, &claim.name)? {
        Some((number, row)) => (Some(number), row),
        None => (None, fresh(claim.credential, &claim.name, claim.kind)),
    };
    if row.owner != claim.was {
        let newest = row.newest.as_ref().map(|newest| newest.id);
        return Err(Error::Conflict { credential: Some(row.id), newest }.into());
    }
    if row.newest.is_some() && row.kind != claim.kind {
        return Err(Error::OtherKind(row.kind).into());
    }
    let number = match number {
        Some(number) => number,
        None => step.insert_credential(&row.name, row.id, claim.kind, claim.at, None)?,
    };
    let change = claim.change(&row.name);
    let row = CredentialRow { owner: claim.owner, kind: claim.kind, ..row };
    let object = row.owner.object.as_ref();
    step.run(
        "UPDATE credential SET kind = ?2, owner_namespace = ?3, owner_object = ?4, owner_name = ?5, \
         owner_api_writes = ?6 WHERE row = ?1",
        (
            number,
            row.kind.as_str(),
            row.owner.namespace.as_ref().map(|uid| uid.as_str()),
            object.map(|object| object.uid.as_str()),
            object.map(|object| &object.name),
            object.map(|object| object.api_writes.as_str()),
        ),
    )?;
    step.record(claim.audit)?;
    step.changed.push(change);
    Ok(row)
}

/// See [`Store::release`](credsmith_core::store::Store::release).
pub fn release(
    step: &mut Step<'_>,
    object: &ObjectUid,
    epoch: Epoch,
    audit: AuditLine,
) -> Result<Option<CredentialRow>, Fault> {
    step.check(Some(epoch))?;
    let Some((number, mut row)) = queries::credential_of(step.db, object)? else { return Ok(None) };
    step.run(
        "UPDATE credential SET owner_object = NULL, owner_name = NULL, owner_api_writes = NULL WHERE row = ?1",
        [number],
    )?;
    row.owner.object = None;
    step.record(audit)?;
    step.changed.push(Change { name: row.name.clone(), by: None });
    Ok(Some(row))
}

/// See [`Store::delete`](credsmith_core::store::Store::delete).
pub fn delete(step: &mut Step<'_>, delete: Delete) -> Result<Option<CredentialRow>, Fault> {
    step.check(delete.epoch)?;
    let Some((number, row)) = queries::credential(step.db, &delete.name)? else { return Ok(None) };
    if row.owner.object.as_ref().map(|object| &object.uid) != delete.holder.as_ref() {
        let newest = row.newest.as_ref().map(|newest| newest.id);
        return Err(Error::Conflict { credential: Some(row.id), newest }.into());
    }
    step.run(
        "UPDATE credential SET tombstoned_ms = ?2, tombstoned_by = ?3 WHERE row = ?1",
        (number, delete.stamp.at.as_millisecond(), delete.stamp.actor.as_str()),
    )?;
    step.record(delete.audit)?;
    step.changed.push(Change { name: row.name.clone(), by: None });
    Ok(Some(row))
}

/// See [`Store::add_data_key`](credsmith_core::store::Store::add_data_key).
pub fn add_data_key(step: &mut Step<'_>, row: &DataKeyRow) -> Result<(), Fault> {
    step.add(
        "INSERT INTO data_key (id, purpose, master, wrapped, canary, active) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            row.id.as_bytes(),
            row.purpose.as_str(),
            row.wrapped.master.as_str(),
            &row.wrapped.bytes,
            row.canary.as_bytes(),
            row.active,
        ),
    )
}

/// See [`Store::rewrap`](credsmith_core::store::Store::rewrap).
pub fn rewrap(step: &mut Step<'_>, key: DataKeyId, was: &KeyId, now: &WrappedKey) -> Result<(), Fault> {
    let changed = step.run(
        "UPDATE data_key SET master = ?3, wrapped = ?4 WHERE id = ?1 AND master = ?2",
        (key.as_bytes(), was.as_str(), now.master.as_str(), &now.bytes),
    )?;
    if changed == 0 { Err(UNNAMED_CONFLICT.into()) } else { Ok(()) }
}

/// See [`Store::add_setting`](credsmith_core::store::Store::add_setting).
pub fn add_setting(step: &mut Step<'_>, name: &str, sealed: &Sealed) -> Result<(), Fault> {
    step.add("INSERT INTO setting (name, sealed) VALUES (?1, ?2)", (name, sealed.as_bytes()))
}

/// See [`Store::raise_epoch`](credsmith_core::store::Store::raise_epoch).
pub fn raise_epoch(step: &mut Step<'_>) -> Result<Epoch, Fault> {
    step.run("UPDATE epoch SET number = number + 1", ())?;
    Ok(Epoch(queries::epoch(step.db)?))
}

/// Writes for the sake of writing: as much as the largest value takes, or nothing, which gives the room back.
pub fn try_writing(step: &mut Step<'_>, largest: bool) -> Result<(), Fault> {
    let bytes = largest.then(|| vec![0_u8; LARGEST]);
    step.run("UPDATE epoch SET trial = ?1", [bytes])?;
    Ok(())
}

impl Step<'_> {
    fn check(&self, epoch: Option<Epoch>) -> Result<(), Fault> {
        let Some(given) = epoch else { return Ok(()) };
        let newest = Epoch(queries::epoch(self.db)?);
        if given == newest { Ok(()) } else { Err(Error::Fenced(newest).into()) }
    }

    /// Makes a credential, with its first version where there is one, and gives the number of its row.
    fn insert_credential(
        &self,
        name: &CredentialName,
        id: CredentialId,
        kind: CredentialType,
        at: Timestamp,
        first: Option<(&VersionRow, Option<&NamespaceUid>)>,
    ) -> Result<i64, Fault> {
        let (first, namespace) = first.map_or((None, None), |(version, namespace)| (Some(version), namespace));
        self.add(
            "INSERT INTO credential (id, name, folded, kind, created_ms, newest, newest_number, newest_ms, \
             newest_actor, newest_namespace, versions) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            (
                id.as_bytes(),
                name.as_str(),
                name.folded(),
                kind.as_str(),
                at.as_millisecond(),
                first.map(|version| version.id.as_bytes()),
                first.map(|version| version.number),
                first.map(|version| version.stamp.at.as_millisecond()),
                first.map(|version| version.stamp.actor.as_str()),
                namespace.map(|uid| uid.as_str()),
                i64::from(first.is_some()),
            ),
        )?;
        Ok(self.db.last_insert_rowid())
    }

    /// Lets a credential know its newest version.
    fn point(&self, credential: i64, version: &VersionRow, of: Option<&NamespaceUid>) -> Result<i64, Fault> {
        self.run(
            "UPDATE credential SET kind = ?2, newest = ?3, newest_number = ?4, newest_ms = ?5, newest_actor = ?6, \
             newest_namespace = ?7, versions = versions + 1 WHERE row = ?1",
            (
                credential,
                version.kind.as_str(),
                version.id.as_bytes(),
                version.number,
                version.stamp.at.as_millisecond(),
                version.stamp.actor.as_str(),
                of.map(|uid| uid.as_str()),
            ),
        )?;
        Ok(credential)
    }

    fn insert_version(&self, credential: i64, version: &VersionRow) -> Result<(), Fault> {
        let (facts, parameters) = (&version.facts, version.parameters.as_ref());
        self.run(
            "INSERT INTO version (id, credential, number, created_ms, state, reason, actor, request, data_key, \
             expires_ms, ca_name, ca_name_folded, signer, is_ca, self_signed, generated, transitional, key_usage, \
             metadata, parameters_public, trusted_ca, parameters, sealed) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                version.id.as_bytes(),
                credential,
                version.number,
                version.stamp.at.as_millisecond(),
                version.state.as_str(),
                version.reason.as_str(),
                version.stamp.actor.as_str(),
                version.request.as_ref().map(|request| request.as_str()),
                version.data_key.as_bytes(),
                facts.expires.map(|at| at.as_millisecond()),
                facts.ca_name,
                facts.ca_name.as_deref().map(fold),
                facts.signer.as_ref().map(|signer| signer.as_bytes()),
                facts.is_ca,
                facts.self_signed,
                facts.generated,
                facts.transitional,
                facts.key_usage,
                version.metadata.as_ref().map(|json| json.as_str()),
                parameters.and_then(|p| p.public.as_ref()).map(|json| json.as_str()),
                facts.trusted_ca,
                parameters.map(|parameters| parameters.sealed.as_bytes()),
                version.sealed.as_bytes(),
            ],
        )?;
        Ok(())
    }

    fn record(&mut self, line: AuditLine) -> Result<(), Fault> {
        self.chain.record(self.db, line)
    }

    /// Inserts what is not there.
    fn add(&self, sql: &str, params: impl Params) -> Result<(), Fault> {
        match self.run(sql, params) {
            Err(fault) if fault.is_taken() => Err(UNNAMED_CONFLICT.into()),
            other => other.map(|_| ()),
        }
    }

    fn run(&self, sql: &str, params: impl Params) -> Result<usize, Fault> {
        Ok(self.db.prepare_cached(sql)?.execute(params)?)
    }
}

/// A credential that is about to be made under a proposed id.
fn fresh(id: CredentialId, name: &CredentialName, kind: CredentialType) -> CredentialRow {
    CredentialRow { id, name: name.clone(), kind, owner: Owner::default(), newest: None, versions: 0 }
}

/// The stamp's time, or a millisecond after the newest version's where that is later: times of versions rise.
fn later(at: Timestamp, newest: Option<&Newest>) -> Result<Timestamp, Fault> {
    let least = newest.map_or(i64::MIN, |newest| newest.stamp.at.as_millisecond() + 1);
    let at = Timestamp::from_millisecond(at.as_millisecond().max(least));
    at.map_err(|_| Error::Unavailable("the newest version is at the end of time".to_owned()).into())
}

/// A value of 64 KiB with its parameters and pages.
const LARGEST: usize = 128 * 1024;
const UNNAMED_CONFLICT: Error = Error::Conflict { credential: None, newest: None };
