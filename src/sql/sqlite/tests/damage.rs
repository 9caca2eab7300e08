//! A damaged row is an error of its own; the others go on.

use super::*;
use credsmith_core::{
    domain::{Epoch, ObjectUid, name::Pattern},
    keyring::{DataKeyRow, KeyId, Purpose, WrappedKey},
    store::{Delete, audit, conformance},
};
use futures::StreamExt;

#[tokio::test]
async fn a_damaged_credential_is_named_and_its_neighbour_is_not_touched() {
    for (sql, id, what) in [
        ("SET id = x'0102'", "number 1", "id is no UUID"),
        (
            "SET name = 'a b'",
            ID,
            "name is none: the name holds ' ' at position 2: only letters, digits and - _ / . : , ( ) [ ] + may stand \
             in a name",
        ),
        ("SET name = '/other'", ID, "folded is not the name in lower case"),
        ("SET name = CAST(x'2f61ff' AS TEXT)", ID, "name is not UTF-8"),
        ("SET kind = 'riddle'", ID, "kind is no such word"),
        ("SET newest_ms = 9223372036854775807", ID, "newest_ms is out of range"),
        ("SET newest_actor = NULL", ID, "what it says about its newest version is incomplete"),
        ("SET newest = x'00000000000040008000000000000001'", ID, "its newest version is missing"),
        ("SET owner_object = 'x'", ID, "the owner is incomplete"),
        (
            "SET owner_object = 'x', owner_name = 'y', owner_api_writes = 'Maybe'",
            ID,
            "owner_api_writes is no such word",
        ),
    ] {
        let store = Scratch::new();
        let credential = written(&*store, "/a").await.credential;
        let neighbour = written(&*store, "/b").await;
        let store = store.damaged(&format!("UPDATE credential {sql} WHERE folded = '/a'"));

        let wanted = (id.replace(ID, &credential.to_string()), what.to_owned());
        assert_eq!(corrupt(store.credential(&name("/a")).await, "credential"), wanted, "{sql}");
        // Nothing is written over it, nor with it in one commit that does not hold.
        let (refused, held) = futures::join!(
            store.put_version(PutVersion { credential, ..put("/a") }),
            store.put_version(PutVersion { credential: neighbour.credential, ..put("/b") }),
        );
        assert_eq!(corrupt(refused, "credential"), wanted, "{sql}");
        assert_eq!(held.unwrap().number, 2, "{sql}");
        assert_eq!(store.credential(&name("/b")).await.unwrap().unwrap().versions, 2, "{sql}");
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_line_of_the_trail_that_somebody_changed_in_the_file_is_found_out() {
    for sql in [
        "UPDATE audit SET actor = 'k8s-sa:shop/other' WHERE sequence = 2",
        "UPDATE audit SET details = '' WHERE sequence = 1",
        "UPDATE audit SET hash = zeroblob(32) WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 2",
    ] {
        let store = Scratch::new();
        for path in ["/a", "/b", "/c"] {
            written(&*store, path).await;
        }
        let store = store.meanwhile(|_| {}); // a chain of another process comes after it
        written(&*store, "/d").await;
        let trail = store.audit(99).await.unwrap();
        assert_eq!((trail.len(), audit::verify(&trail)), (4, Ok(())), "{sql}");

        let chain = trail.last().unwrap().chain.clone();
        let store = store.damaged(&format!("{sql} AND chain = '{chain}'"));

        assert!(audit::verify(&store.audit(99).await.unwrap()).is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_damaged_version_is_named_and_its_neighbour_is_not_touched() {
    for (sql, id, what) in [
        ("SET id = x'01'", "number 1", "its newest version is missing"),
        ("SET state = 'asleep'", ID, "state is no such word"),
        ("SET reason = 'Whim'", ID, "reason is no such word"),
        ("SET created_ms = -9223372036854775808", ID, "created_ms is out of range"),
        ("SET metadata = '{'", ID, "metadata: the JSON is malformed at line 1, column 1"),
        ("SET data_key = x'00'", ID, "data_key is no UUID"),
        ("SET data_key = zeroblob(16)", ID, "what is sealed names another data key"),
        ("SET sealed = x''", ID, "what is sealed names another data key"),
        ("SET signer = x'00'", ID, "signer is no UUID"),
        ("SET expires_ms = 9223372036854775807", ID, "expires_ms is out of range"),
    ] {
        let store = Scratch::new();
        let version = written(&*store, "/a").await;
        let neighbour = written(&*store, "/b").await;
        let store = store.damaged(&format!("UPDATE version {sql} WHERE row = 1"));

        if id == ID {
            let wanted = (version.id.to_string(), what.to_owned());
            assert_eq!(corrupt(store.versions(&name("/a"), Some(1)).await, "version"), wanted, "{sql}");
            assert_eq!(corrupt(store.version(version.id).await, "version"), wanted, "{sql}");
        } else {
            let wanted = ("/a".to_owned(), what.to_owned());
            assert_eq!(corrupt(store.versions(&name("/a"), Some(1)).await, "credential"), wanted, "{sql}");
        }
        assert_eq!(store.version(neighbour.id).await.unwrap(), Some(neighbour), "{sql}");
    }
}

#[tokio::test]
async fn missing_versions_are_not_an_empty_history() {
    let store = Scratch::new();
    written(&*store, "/a").await;
    written(&*store, "/a").await;

    let store = store.damaged("DELETE FROM version WHERE number = 2");
    assert_eq!(corrupt(store.versions(&name("/a"), None).await, "credential").0, "/a");
    let store = store.damaged("DELETE FROM version");
    assert_eq!(corrupt(store.versions(&name("/a"), Some(1)).await, "credential").0, "/a");
}

#[tokio::test]
async fn a_list_goes_on_past_a_damaged_row() {
    let store = Scratch::new();
    for path in ["/x/a", "/x/b", "/x/c"] {
        written(&*store, path).await;
        let epoch = store.raise_epoch().await.unwrap();
        store.claim(conformance::claim(path, conformance::owner(path), epoch)).await.unwrap();
    }
    let store = store.damaged("UPDATE credential SET name = '?', kind = '?' WHERE row = 2");

    for pattern in [Pattern::below("/x"), Pattern::containing("x")] {
        let found: Vec<_> = store.find(pattern).collect().await;
        assert_eq!(found.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }
    let owned: Vec<_> = store.owned().collect().await;
    assert_eq!(owned.iter().filter(|row| row.is_ok()).count(), 2);
    assert_eq!(owned.len(), 3);
}

#[tokio::test]
async fn other_tables_tell_their_damage_too() {
    let store = Scratch::new();
    written(&*store, "/a").await;
    let key = DataKeyRow { purpose: Purpose::Values, ..data_key() };
    store.add_data_key(key.clone()).await.unwrap();

    let store = store.damaged("UPDATE data_key SET purpose = 'fun'");
    let wanted = (key.id.to_string(), "purpose is no such word".to_owned());
    assert_eq!(corrupt(store.data_keys().await, "data_key"), wanted);
    let store = store.damaged("UPDATE audit SET hash = x'00'");
    let wanted = ("number 1".to_owned(), "hash has not 32 bytes".to_owned());
    assert_eq!(corrupt(store.audit(1).await, "audit"), wanted);
}

/// Bytes of the file flipped one at a time: whatever SQLite makes of them, nobody panics, and the store either opens
/// and answers or says what is wrong.
#[tokio::test]
async fn a_flipped_byte_of_the_file_is_no_panic() {
    let store = Scratch::new();
    for number in 0..40 {
        written(&*store, &format!("/x/{}", number % 20)).await;
    }
    let Scratch { store, directory } = store;
    drop(store);
    let path = directory.path().join("store.db");
    let whole = std::fs::read(&path).unwrap();
    let mut told = 0;
    for place in (0..whole.len()).step_by(whole.len() / 150) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x5a;
        std::fs::write(&path, bytes).unwrap();
        let Ok(store) = Sqlite::open(&path) else {
            told += 1;
            continue;
        };
        let _ = store.find(Pattern::below("/")).count().await;
        let _ = (store.versions(&name("/x/1"), None).await, store.data_keys().await, store.audit(99).await);
        let _ = put_again(&store, put("/x/1")).await;
        let delete = Delete { name: name("/x/2"), holder: None, epoch: Some(Epoch(0)), ..conformance::delete("/x/2") };
        let _ = (store.delete(delete).await, store.release(&ObjectUid::new("x"), Epoch(0), put("/a").audit).await);
    }
    assert!(told > 0, "not even the header of the file was hit");
}

/// What stands for the id of the row in a table of expectations.
const ID: &str = "<id>";

fn corrupt<T: std::fmt::Debug>(answer: Result<T, Error>, wanted: &str) -> (String, String) {
    match answer {
        Err(Error::Corrupt { table, id, what }) => {
            assert_eq!(table, wanted);
            (id, what)
        }
        other => panic!("damage was expected: {other:?}"),
    }
}

fn data_key() -> DataKeyRow {
    let wrapped = WrappedKey { master: KeyId::from_stored("file:0123456789abcdef"), bytes: vec![1] };
    let version = put("/key");
    DataKeyRow {
        id: version.sealed.data_key(),
        purpose: Purpose::Values,
        wrapped,
        canary: version.sealed,
        active: true,
    }
}
