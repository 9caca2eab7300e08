//! Finds, and the list of what has an owner.

use futures::{StreamExt, TryStreamExt, stream};

use super::{at, claimed, deleted, name, owner, put, put_again, stamp, written};
use crate::{
    domain::{ObjectUid, name::Pattern},
    store::{CredentialRow, Facts, Found, PutVersion, Store, VersionRow},
};

pub async fn a_path_finds_what_lies_below_it_and_not_its_neighbours(store: &dyn Store) {
    for path in ["/a", "/a/B", "/A/b/c", "/a/b-c", "/a0", "/ab/c", "/a-b", "/b/a/b", "/a/~".replace('~', "z").as_str()]
    {
        written(store, path).await;
    }

    assert_eq!(names(store, Pattern::below("/A")).await, ["/A/b/c", "/a/B", "/a/b-c", "/a/z"]);
    assert_eq!(names(store, Pattern::below("/a/b")).await, ["/A/b/c"]);
    assert_eq!(names(store, Pattern::below("/none")).await, [""; 0]);
    assert_eq!(names(store, Pattern::below("")).await.len(), 9);
}

pub async fn a_text_is_found_anywhere_in_a_name(store: &dyn Store) {
    for path in ["/shop/Orders-DB", "/shop/web", "/orders/x"] {
        written(store, path).await;
    }

    assert_eq!(names(store, Pattern::containing("ORDERS")).await, ["/orders/x", "/shop/Orders-DB"]);
    assert_eq!(names(store, Pattern::containing("p/w")).await, ["/shop/web"]);
    assert_eq!(names(store, Pattern::containing("none")).await, [""; 0]);
    assert_eq!(names(store, Pattern::containing("")).await.len(), 3);
}

pub async fn percent_and_underscore_mean_themselves(store: &dyn Store) {
    for path in ["/a_b/c", "/axb/c", "/a.b/c"] {
        written(store, path).await;
    }

    assert_eq!(names(store, Pattern::containing("a_b")).await, ["/a_b/c"]);
    assert_eq!(names(store, Pattern::below("/a_b")).await, ["/a_b/c"]);
    for text in ["%", "a%c", "?", "*", "[a]", "\\", "'", "\""] {
        assert_eq!(names(store, Pattern::containing(text)).await, [""; 0], "{text}");
        assert_eq!(names(store, Pattern::below(text)).await, [""; 0], "{text}");
    }
}

pub async fn finds_come_newest_first(store: &dyn Store) {
    for (path, ms) in [("/x/a", 30), ("/x/b", 10), ("/x/c", 40), ("/x/d", 20), ("/x/b", 50)] {
        put_again(store, PutVersion { stamp: stamp(ms), ..put(path) }).await.unwrap();
    }

    for pattern in [Pattern::below("/x"), Pattern::containing("/x/")] {
        let found: Vec<Found> = store.find(pattern).try_collect().await.unwrap();
        let wanted = [("/x/b", 50), ("/x/c", 40), ("/x/a", 30), ("/x/d", 20)];
        assert_eq!(found, wanted.map(|(path, ms)| Found { name: name(path), at: at(ms), expires: None }));
    }
}

pub async fn what_expires_by_then_is_found_by_its_newest_version(store: &dyn Store) {
    let expiring = |ms| Facts { expires: Some(at(ms)), ..Facts::default() };
    let table = [("/x/a", 10), ("/x/B", 20), ("/x/c", 30), ("/y/d", 10), ("/x/e", 10)];
    for (path, ms) in table {
        put_again(store, PutVersion { facts: expiring(ms), stamp: stamp(1), ..put(path) }).await.unwrap();
    }
    put_again(store, PutVersion { facts: expiring(99), stamp: stamp(2), ..put("/x/a") }).await.unwrap(); // renewed
    written(store, "/x/never").await;
    deleted(store, "/x/e").await;

    let found = async |pattern: Pattern, until| {
        let mut found: Vec<Found> = store.expiring(pattern, at(until)).try_collect().await.unwrap();
        found.sort_by_key(|found| found.expires);
        found.into_iter().map(|found| (found.name.to_string(), found.at, found.expires)).collect::<Vec<_>>()
    };
    let row = |path: &str, made, ms| (path.to_owned(), at(made), Some(at(ms)));
    assert_eq!(found(Pattern::below("/x"), 9).await, []);
    assert_eq!(found(Pattern::below("/x"), 20).await, [row("/x/B", 1, 20)]);
    assert_eq!(found(Pattern::below("/X"), 99).await, [row("/x/B", 1, 20), row("/x/c", 1, 30), row("/x/a", 2, 99)]);
    assert_eq!(found(Pattern::containing("/D"), 99).await, [row("/y/d", 1, 10)]);
    assert_eq!(found(Pattern::below(""), 10).await, [row("/y/d", 1, 10)]);
}

pub async fn a_name_without_versions_is_not_found(store: &dyn Store) {
    claimed(store, "/x/a", owner("a")).await;
    claimed(store, "/x/b", owner("b")).await;
    written(store, "/x/b").await;

    assert_eq!(names(store, Pattern::below("/x")).await, ["/x/b"]);
    assert_eq!(names(store, Pattern::containing("x")).await, ["/x/b"]);
}

pub async fn a_deleted_name_is_not_found(store: &dyn Store) {
    written(store, "/x/a").await;
    written(store, "/x/b").await;
    deleted(store, "/x/a").await;
    assert_eq!(names(store, Pattern::below("/x")).await, ["/x/b"]);

    written(store, "/X/a").await;
    assert_eq!(names(store, Pattern::containing("/x/a")).await, ["/X/a"]);
}

pub async fn a_long_list_gives_each_name_once(store: &dyn Store) {
    let mut wanted: Vec<_> = (0..600).map(|number| format!("/x/{number:04}")).collect();
    let puts = wanted.iter().enumerate().map(|(ms, path)| PutVersion { stamp: stamp(ms as i64), ..put(path) });
    stream::iter(puts)
        .map(|put| store.put_version(put))
        .buffer_unordered(64)
        .try_for_each(async |_| Ok(()))
        .await
        .unwrap();
    wanted.reverse();

    let found: Vec<Found> = store.find(Pattern::below("/x")).try_collect().await.unwrap();

    assert_eq!(found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), wanted);
}

pub async fn a_list_that_nobody_reads_on_is_no_burden(store: &dyn Store) {
    for path in ["/x/a", "/x/b"] {
        written(store, path).await;
    }
    // More of them than any pool of connections holds.
    let mut unread: Vec<_> = (0..50).map(|_| store.find(Pattern::below("/x"))).collect();
    for list in &mut unread {
        list.next().await.expect("there are two").unwrap();
    }

    written(store, "/x/c").await;

    assert_eq!(names(store, Pattern::below("/x")).await, ["/x/a", "/x/b", "/x/c"]);
}

pub async fn every_credential_with_an_object_is_listed_and_no_other(store: &dyn Store) {
    written(store, "/free").await;
    let (a, _) = claimed(store, "/a", owner("a")).await;
    let (b, _) = claimed(store, "/b", owner("b")).await;
    written(store, "/b").await;
    claimed(store, "/c", owner("c")).await;
    let (_, epoch) = claimed(store, "/d", owner("d")).await;
    store.release(&ObjectUid::new("c"), epoch, super::audit_line("release", "/c")).await.unwrap();
    let holder = Some(ObjectUid::new("d"));
    store.delete(crate::store::Delete { holder, ..super::delete("/d") }).await.unwrap();

    let mut owned: Vec<CredentialRow> = store.owned().try_collect().await.unwrap();

    owned.sort_by_key(|row| row.name.to_string());
    assert_eq!(owned.iter().map(|row| row.id).collect::<Vec<_>>(), [a.id, b.id]);
    assert_eq!(owned[1], store.credential(&name("/b")).await.unwrap().unwrap());
}

pub async fn what_an_authority_signed_is_listed_while_it_is_current_and_valid(store: &dyn Store) {
    let signed = |path, signer: &VersionRow, expires| {
        let facts = Facts { signer: Some(signer.id), expires, ..Facts::default() };
        put_again(store, PutVersion { facts, ..put(path) })
    };
    let old = written(store, "/ca").await;
    let new = written(store, "/ca").await;
    let other = written(store, "/other-ca").await;
    signed("/by-old", &old, Some(at(100))).await.unwrap();
    signed("/By-New", &new, None).await.unwrap();
    signed("/expired", &new, Some(at(50))).await.unwrap();
    signed("/by-another", &other, None).await.unwrap();
    signed("/signed-anew", &new, None).await.unwrap();
    signed("/signed-anew", &other, None).await.unwrap();
    signed("/ca", &new, None).await.unwrap(); // an authority that signs itself is no burden to itself
    signed("/gone", &new, None).await.unwrap();
    deleted(store, "/gone").await;
    let names = async |limit| {
        let names = store.signed_by(new.credential, at(50), limit).await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };

    assert_eq!(names(10).await, ["/By-New", "/by-old"]);
    assert_eq!(names(1).await, ["/By-New"]);
}

/// The names that fit, sorted.
async fn names(store: &dyn Store, pattern: Pattern) -> Vec<String> {
    let found: Vec<Found> = store.find(pattern).try_collect().await.unwrap();
    let mut names: Vec<_> = found.into_iter().map(|found| found.name.to_string()).collect();
    names.sort();
    names
}
