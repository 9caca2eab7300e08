//! Whose a credential is, and who may still reconcile.

use super::{claim, claimed, delete, name, owner, put, put_again, written};
use crate::{
    domain::{
        CredentialType, Epoch, NamespaceUid, ObjectUid,
        ownership::{ApiWrites, Owner, OwnerObject},
    },
    store::{CredentialRow, Delete, Error, PutOwner, PutVersion, Store},
};

pub async fn a_claim_makes_a_credential_without_versions(store: &dyn Store) {
    let epoch = store.raise_epoch().await.unwrap();
    let given = claim("/Shop/A", owner("a"), epoch);

    let row = store.claim(given.clone()).await.unwrap();

    let wanted = CredentialRow {
        id: given.credential,
        name: given.name,
        kind: given.kind,
        owner: given.owner,
        newest: None,
        versions: 0,
    };
    assert_eq!(row, wanted);
    assert_eq!(row.name.as_str(), "/Shop/A");
    assert_eq!(store.credential(&name("/shop/a")).await.unwrap(), Some(row));
    assert_eq!(store.versions(&name("/shop/a"), None).await.unwrap(), []);
}

pub async fn a_claim_of_what_is_there_keeps_its_id_and_versions(store: &dyn Store) {
    let first = written(store, "/a").await;

    let (row, epoch) = claimed(store, "/A", owner("a")).await;
    assert_eq!((row.id, row.versions, row.owner), (first.credential, 1, owner("a")));
    assert_eq!(row.newest.map(|newest| newest.id), Some(first.id));

    for api_writes in [ApiWrites::Allow, ApiWrites::GenerateOnly, ApiWrites::Deny] {
        let was = store.credential(&name("/a")).await.unwrap().unwrap().owner;
        let object = OwnerObject { uid: ObjectUid::new("b"), name: "other/b".to_owned(), api_writes };
        let now = Owner { namespace: Some(NamespaceUid::new("other-uid")), object: Some(object) };
        let row = store.claim(PutOwner { was, ..claim("/a", now.clone(), epoch) }).await.unwrap();
        assert_eq!((row.id, &row.owner), (first.credential, &now));
        assert_eq!(store.credential(&name("/a")).await.unwrap(), Some(row));
    }
}

pub async fn a_claim_is_refused_where_the_owner_is_not_the_one_that_was_seen(store: &dyn Store) {
    let (row, epoch) = claimed(store, "/a", owner("a")).await;

    for was in [Owner::default(), owner("b"), Owner { object: None, ..owner("a") }] {
        let refused = store.claim(PutOwner { was, ..claim("/a", owner("c"), epoch) }).await;
        let conflict = matches!(refused, Err(Error::Conflict { credential: Some(id), newest: None }) if id == row.id);
        assert!(conflict, "{refused:?}");
    }
    assert_eq!(store.credential(&name("/a")).await.unwrap(), Some(row));
}

pub async fn a_claim_of_another_type_is_refused_where_there_are_versions(store: &dyn Store) {
    written(store, "/a").await;
    let epoch = store.raise_epoch().await.unwrap();

    let refused = store.claim(PutOwner { kind: CredentialType::User, ..claim("/a", owner("a"), epoch) }).await;

    assert!(matches!(refused, Err(Error::OtherKind(CredentialType::Value))), "{refused:?}");
    assert_eq!(store.credential(&name("/a")).await.unwrap().unwrap().owner, Owner::default());
}

pub async fn a_claim_with_an_id_that_is_taken_is_a_conflict_that_names_none(store: &dyn Store) {
    let credential = written(store, "/a").await.credential;
    let epoch = store.raise_epoch().await.unwrap();

    let refused = store.claim(PutOwner { credential, ..claim("/b", owner("b"), epoch) }).await;

    assert!(matches!(refused, Err(Error::Conflict { credential: None, newest: None })), "{refused:?}");
}

pub async fn a_write_keeps_the_owner(store: &dyn Store) {
    claimed(store, "/a", owner("a")).await;

    let version = written(store, "/a").await;

    let row = store.credential(&name("/a")).await.unwrap().unwrap();
    assert_eq!((row.id, row.owner), (version.credential, owner("a")));
}

pub async fn the_credential_knows_the_namespace_of_whoever_wrote_last(store: &dyn Store) {
    let of = |uid: &str| PutVersion { namespace: Some(NamespaceUid::new(uid)), ..put("/shop/a") };
    let recorded = async || {
        let row = store.credential(&name("/shop/a")).await.unwrap().unwrap();
        assert_eq!(row.owner, Owner::default());
        row.newest.unwrap().namespace.map(|uid| uid.as_str().to_owned())
    };

    put_again(store, of("first")).await.unwrap();
    assert_eq!(recorded().await.as_deref(), Some("first"));
    put_again(store, of("second")).await.unwrap();
    assert_eq!(recorded().await.as_deref(), Some("second"));
    written(store, "/shop/a").await;
    assert_eq!(recorded().await, None);
}

pub async fn a_write_is_refused_where_another_object_has_the_name_than_the_writer_saw(store: &dyn Store) {
    let (row, _) = claimed(store, "/a", owner("a")).await;
    let ours = owner("a").object;
    let on_other_terms = ours.clone().map(|object| OwnerObject { api_writes: ApiWrites::Deny, ..object });

    for holder in [None, owner("b").object, on_other_terms] {
        let refused = store.put_version(PutVersion { credential: row.id, holder, ..put("/a") }).await;
        assert!(matches!(&refused, Err(Error::OtherHolder(held)) if *held == ours), "{refused:?}");
    }
    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), []);

    store.put_version(PutVersion { credential: row.id, holder: ours, ..put("/a") }).await.unwrap();
}

pub async fn a_release_forgets_the_object_and_keeps_the_namespace(store: &dyn Store) {
    let (row, epoch) = claimed(store, "/a", owner("a")).await;
    let version = written(store, "/a").await;

    let released = store.release(&ObjectUid::new("a"), epoch, super::audit_line("release", "/a")).await.unwrap();

    let released = released.expect("the object has the credential");
    assert_eq!((released.id, released.versions), (row.id, 1));
    assert_eq!(released.owner, Owner { namespace: Some(NamespaceUid::new("shop-uid")), object: None });
    assert_eq!(released.newest.as_ref().map(|newest| newest.id), Some(version.id));
    assert_eq!(store.credential(&name("/a")).await.unwrap(), Some(released));
}

pub async fn a_release_of_an_object_that_has_nothing_changes_nothing(store: &dyn Store) {
    let (row, epoch) = claimed(store, "/a", owner("a")).await;

    let released = store.release(&ObjectUid::new("b"), epoch, super::audit_line("release", "/a")).await.unwrap();

    assert_eq!(released, None);
    assert_eq!(store.credential(&name("/a")).await.unwrap(), Some(row));
}

pub async fn each_epoch_is_higher_than_the_one_before(store: &dyn Store) {
    let mut before = Epoch(0);
    for _ in 0..3 {
        let epoch = store.raise_epoch().await.unwrap();
        assert!(epoch > before, "{epoch:?} after {before:?}");
        before = epoch;
    }
}

pub async fn an_older_epoch_is_fenced(store: &dyn Store) {
    let (_, old) = claimed(store, "/a", owner("a")).await;
    let now = store.raise_epoch().await.unwrap();
    let fenced = |answer: Option<Error>| match answer {
        Some(Error::Fenced(epoch)) => assert_eq!(epoch, now),
        other => panic!("a fenced answer was expected: {other:?}"),
    };

    fenced(put_again(store, PutVersion { epoch: Some(old), ..put("/a") }).await.err());
    fenced(store.put_version(PutVersion { epoch: Some(old), ..put("/b") }).await.err());
    fenced(store.claim(claim("/b", owner("b"), old)).await.err());
    fenced(store.release(&ObjectUid::new("a"), old, super::audit_line("release", "/a")).await.err());
    let holder = Some(ObjectUid::new("a"));
    fenced(store.delete(Delete { epoch: Some(old), holder: holder.clone(), ..delete("/a") }).await.err());

    put_again(store, PutVersion { epoch: Some(now), ..put("/a") }).await.unwrap();
    store.delete(Delete { epoch: Some(now), holder, ..delete("/a") }).await.unwrap().expect("it is there");
}

pub async fn a_write_without_an_epoch_is_not_fenced(store: &dyn Store) {
    store.raise_epoch().await.unwrap();
    written(store, "/a").await;
    store.raise_epoch().await.unwrap();

    assert_eq!(written(store, "/a").await.number, 2);
    super::deleted(store, "/a").await;
}
