//! The audit trail, what is told of changes, and what else is kept.

use tokio::sync::broadcast::error::TryRecvError;

use super::{
    audit_line, claim, claimed, data_key, delete, deleted, name, owner, put, put_again, sealed, wrapped, written,
};
use crate::{
    domain::{Actor, CredentialType, NamespaceUid, ObjectUid},
    keyring::{DataKeyRow, KeyId, Purpose},
    store::{AuditLine, Error, PutOwner, PutVersion, Store, WriteMode, audit},
};

pub async fn every_write_step_adds_one_audit_line_and_a_refused_one_none(store: &dyn Store) {
    let (_, epoch) = claimed(store, "/a", owner("a")).await;
    written(store, "/a").await;
    store.release(&ObjectUid::new("a"), epoch, audit_line("release", "/a")).await.unwrap();
    deleted(store, "/a").await;
    written(store, "/b").await;
    let lines = |records: Vec<audit::Record>| -> Vec<_> {
        records.into_iter().rev().map(|record| format!("{} {}", record.action, record.resource)).collect()
    };
    let done = ["claim /a", "set /a", "release /a", "delete /a", "set /b"];
    assert_eq!(lines(store.audit(99).await.unwrap()), done);

    put_again(store, PutVersion { mode: WriteMode::CreateOnly, ..put("/b") }).await.unwrap_err();
    put_again(store, PutVersion { kind: CredentialType::Rsa, ..put("/b") }).await.unwrap_err();
    store.claim(PutOwner { was: owner("x"), ..claim("/b", owner("b"), epoch) }).await.unwrap_err();
    store.release(&ObjectUid::new("x"), epoch, audit_line("release", "/b")).await.unwrap();
    store.delete(delete("/c")).await.unwrap();

    assert_eq!(lines(store.audit(99).await.unwrap()), done);
}

pub async fn the_audit_chain_links(store: &dyn Store) {
    for path in ["/a", "/b", "/a"] {
        written(store, path).await;
        put_again(store, PutVersion { mode: WriteMode::CreateOnly, ..put(path) }).await.unwrap_err();
    }

    let mut before = audit::START;
    for (sequence, record) in (1..).zip(store.audit(99).await.unwrap().into_iter().rev()) {
        assert_eq!((record.sequence, record.action.as_str()), (sequence, "set"));
        let audit::Record { at, actor, resource, details, .. } = record.clone();
        let line = AuditLine { at, actor, action: "set", resource, details };
        assert_eq!(record, audit::Record::after(&before, &record.chain, sequence, line));
        before = record.hash;
    }
    assert_ne!(before, audit::START);
}

pub async fn a_changed_audit_trail_is_found_out(store: &dyn Store) {
    for path in ["/a", "/b", "/c", "/d"] {
        written(store, path).await;
    }
    let trail = store.audit(99).await.unwrap();
    assert_eq!(audit::verify(&trail), Ok(()));
    assert_eq!(audit::verify(&store.audit(2).await.unwrap()), Ok(()), "what came before is not known");
    assert_eq!(audit::verify(&[]), Ok(()));

    type Change = fn(&mut audit::Record);
    let changes: [(&str, Change); 7] = [
        ("chain", |record| record.chain.push('x')),
        ("time", |record| record.at = super::at(1)),
        ("actor", |record| record.actor = Actor::service_account("shop", "other")),
        ("action", |record| record.action = "delete".to_owned()),
        ("resource", |record| record.resource = "/z".to_owned()),
        ("details", |record| record.details.clear()),
        ("hash", |record| record.hash[31] ^= 1),
    ];
    for at in 0..trail.len() {
        for (field, change) in changes {
            let mut changed = trail.clone();
            change(&mut changed[at]);
            assert!(audit::verify(&changed).is_err(), "{field} of line {at}");
        }
    }
    for at in 1..trail.len() - 1 {
        let mut cut = trail.clone();
        let gone = cut.remove(at);
        let missing = audit::Broken::Missing { chain: gone.chain, before: gone.sequence + 1 };
        assert_eq!(audit::verify(&cut), Err(missing));
    }
    // A line that was forged with everything but the hash before it.
    let mut forged = trail.clone();
    let line = audit_line("set", "/forged");
    forged[1] = audit::Record::after(&[7; 32], &trail[1].chain, trail[1].sequence, line);
    assert!(audit::verify(&forged).is_err());
}

pub async fn audit_lines_come_newest_first_and_as_many_as_asked(store: &dyn Store) {
    for path in ["/a", "/b", "/c"] {
        written(store, path).await;
    }

    let newest = store.audit(2).await.unwrap();

    let resources: Vec<_> = newest.iter().map(|record| record.resource.as_str()).collect();
    assert_eq!(resources, ["/c", "/b"]);
    let audit::Record { at, actor, action, details, .. } = &newest[0];
    let line = audit_line("set", "/c");
    assert_eq!((at, actor, action.as_str(), details), (&line.at, &line.actor, line.action, &line.details));
    assert_eq!(store.audit(0).await.unwrap(), []);
}

pub async fn changes_are_told_after_the_step(store: &dyn Store) {
    let mut changes = store.changes();
    let (_, epoch) = claimed(store, "/A", owner("a")).await;
    assert_eq!(changes.try_recv().unwrap().name.as_str(), "/A");
    written(store, "/a").await;
    assert_eq!(changes.try_recv().unwrap().name.as_str(), "/A");
    store.release(&ObjectUid::new("a"), epoch, audit_line("release", "/a")).await.unwrap();
    assert_eq!(changes.try_recv().unwrap().name.as_str(), "/A");
    deleted(store, "/a").await;
    assert_eq!(changes.try_recv().unwrap().name.as_str(), "/A");

    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

pub async fn a_refused_step_tells_nothing(store: &dyn Store) {
    written(store, "/a").await;
    let epoch = store.raise_epoch().await.unwrap();
    let mut changes = store.changes();

    put_again(store, PutVersion { mode: WriteMode::CreateOnly, ..put("/a") }).await.unwrap_err();
    let was = crate::domain::ownership::Owner { namespace: Some(NamespaceUid::new("other")), object: None };
    store.claim(PutOwner { was, ..claim("/a", owner("a"), epoch) }).await.unwrap_err();
    store.release(&ObjectUid::new("a"), epoch, audit_line("release", "/a")).await.unwrap();
    store.delete(delete("/b")).await.unwrap();

    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

pub async fn one_data_key_is_active_for_each_purpose(store: &dyn Store) {
    store.add_data_key(data_key(Purpose::Values, true)).await.unwrap();
    store.add_data_key(data_key(Purpose::Fingerprints, true)).await.unwrap();
    store.add_data_key(data_key(Purpose::Values, false)).await.unwrap();

    let second = store.add_data_key(data_key(Purpose::Values, true)).await;

    assert!(matches!(second, Err(Error::Conflict { credential: None, newest: None })), "{second:?}");
    assert_eq!(store.data_keys().await.unwrap().len(), 3);
}

pub async fn data_keys_come_back_as_they_were_added(store: &dyn Store) {
    let rows =
        [data_key(Purpose::Values, false), data_key(Purpose::Values, true), data_key(Purpose::Fingerprints, true)];
    for row in &rows {
        store.add_data_key(row.clone()).await.unwrap();
    }

    assert_eq!(store.data_keys().await.unwrap(), rows);
}

pub async fn a_rewrap_replaces_the_wrapping_that_was_seen_and_no_other(store: &dyn Store) {
    let row = data_key(Purpose::Values, true);
    store.add_data_key(row.clone()).await.unwrap();
    let (old, new) = (row.wrapped.master.clone(), wrapped("file:fedcba9876543210"));

    store.rewrap(row.id, &old, new.clone()).await.unwrap();
    assert_eq!(store.data_keys().await.unwrap(), [DataKeyRow { wrapped: new.clone(), ..row.clone() }]);

    for (id, was) in [(row.id, &old), (data_key(Purpose::Values, true).id, &new.master)] {
        let refused = store.rewrap(id, was, wrapped("file:3333333333333333")).await;
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    }
    assert_eq!(store.data_keys().await.unwrap()[0].wrapped.master, KeyId::from_stored("file:fedcba9876543210"));
}

pub async fn a_setting_is_written_once(store: &dyn Store) {
    let (first, second) = (sealed("first"), sealed("second"));
    store.add_setting("serving-key", first.clone()).await.unwrap();
    store.add_setting("other", second.clone()).await.unwrap();

    let again = store.add_setting("serving-key", second.clone()).await;

    assert!(matches!(again, Err(Error::Conflict { credential: None, newest: None })), "{again:?}");
    assert_eq!(store.setting("serving-key").await.unwrap(), Some(first));
    assert_eq!(store.setting("other").await.unwrap(), Some(second));
}

pub async fn what_is_sealed_is_known_of_also_behind_a_tombstone(store: &dyn Store) {
    assert!(!store.holds_sealed().await.unwrap());
    store.add_data_key(data_key(Purpose::Values, true)).await.unwrap();
    claimed(store, "/claimed", owner("a")).await;
    assert!(!store.holds_sealed().await.unwrap(), "nothing is sealed yet");

    written(store, "/a").await;
    assert!(store.holds_sealed().await.unwrap());
    deleted(store, "/a").await;
    assert!(store.holds_sealed().await.unwrap());
}

pub async fn a_sealed_setting_is_known_of(store: &dyn Store) {
    store.add_setting("serving-key", sealed("first")).await.unwrap();
    assert!(store.holds_sealed().await.unwrap());
}

pub async fn the_store_answers(store: &dyn Store) {
    store.ping().await.unwrap();
    written(store, "/a").await;
    store.ping().await.unwrap();
    assert!(store.credential(&name("/a")).await.unwrap().is_some());
}
