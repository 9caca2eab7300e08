//! What is left when a credential is deleted.

use super::{claimed, delete, deleted, name, owner, put, written};
use crate::{
    domain::{CredentialType, ObjectUid},
    store::{Delete, Error, PutVersion, Store},
};

pub async fn a_deleted_credential_frees_its_name_and_keeps_its_versions(store: &dyn Store) {
    let first = written(store, "/a").await;
    let before = store.credential(&name("/a")).await.unwrap();

    let row = store.delete(delete("/A")).await.unwrap();

    assert_eq!(row, before);
    assert_eq!(store.credential(&name("/a")).await.unwrap(), None);
    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), []);
    assert_eq!(store.version(first.id).await.unwrap(), None);
    // The versions stay under the tombstone: their credential's id is not free.
    let again = store.put_version(PutVersion { credential: first.credential, ..put("/a") }).await;
    assert!(matches!(again, Err(Error::Conflict { credential: None, newest: None })), "{again:?}");
}

pub async fn a_name_that_is_written_again_begins_anew(store: &dyn Store) {
    written(store, "/a").await;
    let old = written(store, "/a").await;
    deleted(store, "/a").await;

    let new = store.put_version(PutVersion { kind: CredentialType::Json, ..put("/A") }).await.unwrap();

    assert_eq!((new.number, new.kind, new.name.as_str()), (1, CredentialType::Json, "/A"));
    assert_ne!(new.credential, old.credential);
    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), [new]);
    assert_eq!(store.version(old.id).await.unwrap(), None);
}

pub async fn a_proposed_id_of_a_tombstone_is_a_conflict_that_names_none(store: &dyn Store) {
    let credential = written(store, "/a").await.credential;
    deleted(store, "/a").await;

    for path in ["/a", "/b"] {
        let refused = store.put_version(PutVersion { credential, ..put(path) }).await;
        assert!(matches!(refused, Err(Error::Conflict { credential: None, newest: None })), "{refused:?}");
    }
}

pub async fn a_delete_is_refused_where_another_object_has_the_credential(store: &dyn Store) {
    let (row, _) = claimed(store, "/a", owner("a")).await;
    let free = written(store, "/b").await.credential;

    for (path, holder, id) in [("/a", Some("b"), row.id), ("/a", None, row.id), ("/b", Some("a"), free)] {
        let refused = store.delete(Delete { holder: holder.map(ObjectUid::new), ..delete(path) }).await;
        let conflict = matches!(refused, Err(Error::Conflict { credential: Some(held), .. }) if held == id);
        assert!(conflict, "{path} {holder:?}: {refused:?}");
    }
    let holder = Some(ObjectUid::new("a"));
    assert_eq!(store.delete(Delete { holder, ..delete("/a") }).await.unwrap(), Some(row));
    assert_eq!(store.credential(&name("/a")).await.unwrap(), None);
}

pub async fn deleting_what_is_not_there_changes_nothing(store: &dyn Store) {
    written(store, "/a/b").await;
    let lines = store.audit(9).await.unwrap();

    assert_eq!(store.delete(delete("/a")).await.unwrap(), None);

    assert_eq!(store.audit(9).await.unwrap(), lines);
}
