//! The plainest reading of the contract: everything in one map behind one lock. For tests and demonstrations.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;

use super::{
    AuditLine, Change, CredentialRow, Delete, Error, Found, Newest, PutOwner, PutVersion, Store, VersionRow,
    VersionState, WriteMode, audit,
};
use crate::{
    domain::{
        CredentialId, CredentialName, Epoch, ObjectUid, RequestId, Stamp, VersionId, ids::DataKeyId, name::Pattern,
        ownership::Owner,
    },
    keyring::{DataKeyRow, KeyId, Sealed, WrappedKey},
};

/// Keeps everything until the process ends.
#[derive(Debug)]
pub struct InMemory {
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

#[derive(Debug, Default)]
struct State {
    /// Live credentials by folded name.
    live: HashMap<String, CredentialRow>,
    /// Versions of every credential, tombstoned ones too, oldest first.
    versions: HashMap<CredentialId, Vec<VersionRow>>,
    requests: HashMap<RequestId, VersionId>,
    data_keys: Vec<DataKeyRow>,
    settings: HashMap<String, Sealed>,
    epoch: i64,
    audit: Vec<audit::Record>,
}

impl InMemory {
    pub fn new() -> Self {
        Self { state: Mutex::default(), changes: broadcast::channel(CHANGES_KEPT).0 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the state in hand")
    }

    fn tell(&self, change: Change) {
        let _ = self.changes.send(change); // nobody listening is fine
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for InMemory {
    async fn put_version(&self, put: PutVersion) -> Result<VersionRow, Error> {
        let change = put.change(&put.name);
        let row = self.lock().put_version(put)?;
        self.tell(Change { name: row.name.clone(), ..change });
        Ok(row)
    }

    async fn claim(&self, claim: PutOwner) -> Result<CredentialRow, Error> {
        let change = claim.change(&claim.name);
        let row = self.lock().claim(claim)?;
        self.tell(Change { name: row.name.clone(), ..change });
        Ok(row)
    }

    async fn release(
        &self,
        object: &ObjectUid,
        epoch: Epoch,
        audit: AuditLine,
    ) -> Result<Option<CredentialRow>, Error> {
        let row = {
            let mut state = self.lock();
            state.check(Some(epoch))?;
            let owned = state.live.values_mut().find(|row| has(&row.owner, object));
            let row = owned.map(|row| {
                row.owner.object = None;
                row.clone()
            });
            if row.is_some() {
                state.record(audit);
            }
            row
        };
        if let Some(row) = &row {
            self.tell(Change { name: row.name.clone(), by: None });
        }
        Ok(row)
    }

    async fn delete(&self, delete: Delete) -> Result<Option<CredentialRow>, Error> {
        let row = {
            let mut state = self.lock();
            state.check(delete.epoch)?;
            let Some(row) = state.live.get(delete.name.folded()) else { return Ok(None) };
            if row.owner.object.as_ref().map(|object| &object.uid) != delete.holder.as_ref() {
                let newest = row.newest.as_ref().map(|newest| newest.id);
                return Err(Error::Conflict { credential: Some(row.id), newest });
            }
            let row = state.live.remove(delete.name.folded()).expect("it was just there");
            state.record(delete.audit);
            row
        };
        self.tell(Change { name: row.name.clone(), by: None });
        Ok(Some(row))
    }

    async fn credential(&self, name: &CredentialName) -> Result<Option<CredentialRow>, Error> {
        Ok(self.lock().live.get(name.folded()).cloned())
    }

    async fn versions(&self, name: &CredentialName, limit: Option<u32>) -> Result<Vec<VersionRow>, Error> {
        let state = self.lock();
        let Some(row) = state.live.get(name.folded()) else { return Ok(Vec::new()) };
        let all = state.versions.get(&row.id).into_iter().flatten().rev().cloned();
        Ok(all.take(limit.map_or(usize::MAX, |limit| limit as usize)).collect())
    }

    async fn active(&self, name: &CredentialName) -> Result<Option<VersionRow>, Error> {
        let versions = self.versions(name, None).await?;
        let active = versions.iter().find(|version| !version.facts.transitional);
        Ok(active.or(versions.first()).cloned())
    }

    async fn imported(&self, name: &CredentialName) -> Result<Option<VersionRow>, Error> {
        let versions = self.versions(name, None).await?;
        Ok(versions.into_iter().find(|version| version.reason.is_import()))
    }

    async fn signed_by(
        &self,
        authority: CredentialId,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<CredentialName>, Error> {
        let state = self.lock();
        let signers: Vec<_> = state.versions.get(&authority).into_iter().flatten().map(|version| version.id).collect();
        let is_leaf = |row: &&CredentialRow| {
            let newest = state.versions.get(&row.id).and_then(|versions| versions.last());
            let signed = newest.is_some_and(|newest| newest.facts.signer.is_some_and(|id| signers.contains(&id)));
            signed && newest.is_some_and(|newest| newest.facts.expires.is_none_or(|expires| expires > at))
        };
        let leaves = state.live.values().filter(|row| row.id != authority).filter(is_leaf);
        let mut names: Vec<_> = leaves.map(|row| row.name.clone()).collect();
        names.sort_by(|a, b| a.folded().cmp(b.folded()));
        names.truncate(limit as usize);
        Ok(names)
    }

    async fn version(&self, id: VersionId) -> Result<Option<VersionRow>, Error> {
        let state = self.lock();
        let row = state.versions.values().flatten().find(|row| row.id == id);
        Ok(row.filter(|row| state.live.values().any(|live| live.id == row.credential)).cloned())
    }

    async fn request(&self, request: &RequestId) -> Result<Option<VersionId>, Error> {
        Ok(self.lock().requests.get(request).copied())
    }

    fn find(&self, pattern: Pattern) -> BoxStream<'_, Result<Found, Error>> {
        let state = self.lock();
        let fits = state.live.iter().filter(|(folded, _)| pattern.matches(folded));
        let found = fits.filter_map(|(_, row)| {
            let at = row.newest.as_ref()?.stamp.at;
            Some(Found { name: row.name.clone(), at, expires: None })
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|found| std::cmp::Reverse(found.at));
        stream::iter(found.into_iter().map(Ok)).boxed()
    }

    fn expiring(&self, pattern: Pattern, until: Timestamp) -> BoxStream<'_, Result<Found, Error>> {
        let state = self.lock();
        let found = state.live.iter().filter(|(folded, _)| pattern.matches(folded)).filter_map(|(_, row)| {
            let newest = state.versions.get(&row.id)?.last()?;
            let expires = newest.facts.expires.filter(|expires| *expires <= until)?;
            Some(Found { name: row.name.clone(), at: newest.stamp.at, expires: Some(expires) })
        });
        let found: Vec<_> = found.collect();
        stream::iter(found.into_iter().map(Ok)).boxed()
    }

    fn owned(&self) -> BoxStream<'_, Result<CredentialRow, Error>> {
        let state = self.lock();
        let owned: Vec<_> = state.live.values().filter(|row| row.owner.object.is_some()).cloned().collect();
        stream::iter(owned.into_iter().map(Ok)).boxed()
    }

    async fn data_keys(&self) -> Result<Vec<DataKeyRow>, Error> {
        Ok(self.lock().data_keys.clone())
    }

    async fn add_data_key(&self, row: DataKeyRow) -> Result<(), Error> {
        let mut state = self.lock();
        if row.active && state.data_keys.iter().any(|other| other.active && other.purpose == row.purpose) {
            return Err(Error::Conflict { credential: None, newest: None });
        }
        state.data_keys.push(row);
        Ok(())
    }

    async fn rewrap(&self, key: DataKeyId, was: &KeyId, now: WrappedKey) -> Result<(), Error> {
        let mut state = self.lock();
        let row = state.data_keys.iter_mut().find(|row| row.id == key && row.wrapped.master == *was);
        let row = row.ok_or(Error::Conflict { credential: None, newest: None })?;
        row.wrapped = now;
        Ok(())
    }

    async fn setting(&self, name: &str) -> Result<Option<Sealed>, Error> {
        Ok(self.lock().settings.get(name).cloned())
    }

    async fn add_setting(&self, name: &str, sealed: Sealed) -> Result<(), Error> {
        let mut state = self.lock();
        if state.settings.contains_key(name) {
            return Err(Error::Conflict { credential: None, newest: None });
        }
        state.settings.insert(name.to_owned(), sealed);
        Ok(())
    }

    async fn holds_sealed(&self) -> Result<bool, Error> {
        let state = self.lock();
        Ok(!state.versions.is_empty() || !state.settings.is_empty())
    }

    async fn raise_epoch(&self) -> Result<Epoch, Error> {
        let mut state = self.lock();
        state.epoch += 1;
        Ok(Epoch(state.epoch))
    }

    async fn audit(&self, limit: u32) -> Result<Vec<audit::Record>, Error> {
        Ok(self.lock().audit.iter().rev().take(limit as usize).cloned().collect())
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl State {
    fn put_version(&mut self, put: PutVersion) -> Result<VersionRow, Error> {
        self.check(put.epoch)?;
        if let Some(version) = put.request.as_ref().and_then(|request| self.requests.get(request)) {
            return Err(Error::RequestUsed(*version));
        }
        let row = self.credential_for(&put)?;
        let newest = row.newest.as_ref();
        let held = match put.mode {
            WriteMode::Overwrite => true,
            WriteMode::CreateOnly => newest.is_none(),
            WriteMode::After(version) => newest.is_some_and(|newest| newest.id == version),
        };
        if !held || row.id != put.credential {
            return Err(Error::Conflict { credential: Some(row.id), newest: newest.map(|newest| newest.id) });
        }
        if row.owner.object != put.holder {
            return Err(Error::OtherHolder(row.owner.object));
        }
        // Without a version and without an object that waits for one, the type is nobody's yet.
        if (newest.is_some() || row.owner.object.is_some()) && row.kind != put.kind {
            return Err(Error::OtherKind(row.kind));
        }
        let at = Timestamp::from_millisecond(put.stamp.at.as_millisecond()).expect("less is still a time");
        let at = newest.map_or(at, |newest| at.max(newest.stamp.at + SignedDuration::from_millis(1)));
        let stamp = Stamp { actor: put.stamp.actor, at };
        let number = newest.map_or(1, |newest| newest.number + 1);
        let version = VersionRow {
            credential: row.id,
            id: put.version,
            number,
            name: row.name.clone(),
            kind: put.kind,
            state: VersionState::Live,
            stamp: stamp.clone(),
            reason: put.reason,
            request: put.request.clone(),
            metadata: put.metadata,
            data_key: put.sealed.data_key(),
            sealed: put.sealed,
            parameters: put.parameters,
            facts: put.facts,
        };
        let newest = Some(Newest { id: version.id, number, stamp, namespace: put.namespace });
        let row = CredentialRow { newest, kind: put.kind, versions: row.versions + 1, ..row };
        self.live.insert(row.name.folded().to_owned(), row);
        self.versions.entry(version.credential).or_default().push(version.clone());
        if let Some(request) = put.request {
            self.requests.insert(request, version.id);
        }
        self.record(put.audit);
        Ok(version)
    }

    /// The credential of that name, or a fresh one under the proposed id.
    fn credential_for(&self, put: &PutVersion) -> Result<CredentialRow, Error> {
        if let Some(row) = self.live.get(put.name.folded()) {
            return Ok(row.clone());
        }
        self.fresh(put.credential, &put.name, put.kind)
    }

    fn fresh(
        &self,
        id: CredentialId,
        name: &CredentialName,
        kind: crate::domain::CredentialType,
    ) -> Result<CredentialRow, Error> {
        let taken = self.versions.contains_key(&id) || self.live.values().any(|row| row.id == id);
        if taken {
            return Err(Error::Conflict { credential: None, newest: None });
        }
        Ok(CredentialRow { id, name: name.clone(), kind, owner: Owner::default(), newest: None, versions: 0 })
    }

    fn claim(&mut self, claim: PutOwner) -> Result<CredentialRow, Error> {
        self.check(Some(claim.epoch))?;
        let row = match self.live.get(claim.name.folded()) {
            Some(row) => row.clone(),
            None => self.fresh(claim.credential, &claim.name, claim.kind)?,
        };
        if row.owner != claim.was {
            let newest = row.newest.as_ref().map(|newest| newest.id);
            return Err(Error::Conflict { credential: Some(row.id), newest });
        }
        if row.newest.is_some() && row.kind != claim.kind {
            return Err(Error::OtherKind(row.kind));
        }
        let row = CredentialRow { owner: claim.owner, kind: claim.kind, ..row };
        self.live.insert(row.name.folded().to_owned(), row.clone());
        self.record(claim.audit);
        Ok(row)
    }

    fn check(&self, epoch: Option<Epoch>) -> Result<(), Error> {
        match epoch {
            Some(Epoch(epoch)) if epoch != self.epoch => Err(Error::Fenced(Epoch(self.epoch))),
            _ => Ok(()),
        }
    }

    fn record(&mut self, line: AuditLine) {
        let before = self.audit.last().map_or(audit::START, |record| record.hash);
        let sequence = self.audit.last().map_or(1, |record| record.sequence + 1);
        self.audit.push(audit::Record::after(&before, CHAIN, sequence, line));
    }
}

fn has(owner: &Owner, object: &ObjectUid) -> bool {
    owner.object.as_ref().is_some_and(|owner| owner.uid == *object)
}

const CHAIN: &str = "memory";
/// Changes that a slow listener may fall behind before it has to look at everything again.
const CHANGES_KEPT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::InMemory;

    crate::conformance!(Box::new(InMemory::new()));
}
