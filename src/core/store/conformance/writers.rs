//! Many at once. Whatever the backend does side by side, it must look as if one had come after the other.

use futures::future::join_all;

use super::{claim, name, owner, put, put_again, written};
use crate::{
    domain::RequestId,
    store::{Error, PutVersion, Store, WriteMode},
};

pub async fn of_many_create_only_writers_one_makes_a_version(store: &dyn Store) {
    let puts = (0..MANY).map(|_| put_again(store, PutVersion { mode: WriteMode::CreateOnly, ..put("/a") }));

    let mut answers = join_all(puts).await;

    let made: Vec<_> = answers.extract_if(.., |answer| answer.is_ok()).map(Result::unwrap).collect();
    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), made);
    assert_eq!(made.len(), 1);
    for refused in answers {
        assert!(matches!(&refused, Err(Error::Conflict { newest, .. }) if *newest == Some(made[0].id)), "{refused:?}");
    }
}

pub async fn concurrent_overwrites_number_without_gaps(store: &dyn Store) {
    let credential = written(store, "/a").await.credential;

    let made = join_all((0..MANY).map(|_| store.put_version(PutVersion { credential, ..put("/A") }))).await;

    let mut numbers: Vec<_> = made.into_iter().map(|answer| answer.unwrap().number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=MANY as i64 + 1).collect::<Vec<_>>());
    let rows = store.versions(&name("/a"), None).await.unwrap();
    assert!(rows.is_sorted_by(|newer, older| newer.number == older.number + 1 && newer.stamp.at > older.stamp.at));
    assert_eq!(store.credential(&name("/a")).await.unwrap().unwrap().versions, rows.len() as i64);
}

pub async fn of_many_writers_after_the_same_version_one_is_next(store: &dyn Store) {
    let first = written(store, "/a").await;
    let after = || PutVersion { credential: first.credential, mode: WriteMode::After(first.id), ..put("/a") };

    let answers = join_all((0..MANY).map(|_| store.put_version(after()))).await;

    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(store.versions(&name("/a"), None).await.unwrap().len(), 2);
}

pub async fn of_many_claims_of_one_name_one_holds(store: &dyn Store) {
    let epoch = store.raise_epoch().await.unwrap();
    let claims = (0..MANY).map(|number| store.claim(claim("/a", owner(&format!("object-{number}")), epoch)));

    let answers = join_all(claims).await;

    let holds: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!(holds.len(), 1);
    assert_eq!(store.credential(&name("/a")).await.unwrap().as_ref(), holds.first());
}

pub async fn of_many_writers_with_one_request_one_makes_a_version(store: &dyn Store) {
    let request = RequestId::new("request-1");
    let puts = (0..MANY)
        .map(|number| store.put_version(PutVersion { request: Some(request.clone()), ..put(&format!("/x/{number}")) }));

    let answers = join_all(puts).await;

    let made: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).map(|row| row.id).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(store.request(&request).await.unwrap(), Some(made[0]));
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(matches!(refused, Error::RequestUsed(id) if *id == made[0]), "{refused:?}");
    }
}

pub async fn a_refused_writer_does_not_touch_its_neighbours(store: &dyn Store) {
    written(store, "/taken").await;
    let puts = (0..MANY).map(|number| {
        let path = if number % 3 == 0 { "/taken".to_owned() } else { format!("/x/{number}") };
        put_again(store, PutVersion { mode: WriteMode::CreateOnly, ..put(&path) })
    });

    let answers = join_all(puts).await;

    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.is_err(), number % 3 == 0, "{number}: {answer:?}");
        if let Ok(row) = answer {
            assert_eq!(store.version(row.id).await.unwrap(), Some(row));
        }
    }
    let lines = store.audit(99).await.unwrap();
    assert_eq!(lines.len(), 1 + (0..MANY).filter(|number| number % 3 != 0).count());
    assert!(lines.is_sorted_by(|newer, older| newer.sequence == older.sequence + 1));
}

const MANY: usize = 32;
