//! What a write makes, and what stands in its way.

use super::{at, claim, claimed, deleted, name, owner, put, put_again, sealed, stamp, written};
use crate::{
    domain::{CredentialId, CredentialType, JsonText, Reason, RequestId, Stamp, VersionId, ownership::Owner},
    store::{Error, Facts, Newest, PutOwner, PutVersion, SealedParameters, Store, VersionRow, VersionState, WriteMode},
    world::SystemEntropy,
};

pub async fn a_version_gets_the_next_number_and_a_later_time(store: &dyn Store) {
    let first = written(store, "/a").await;
    let second = put_again(store, PutVersion { stamp: stamp(5), ..put("/a") }).await.unwrap();

    assert_eq!((first.number, first.stamp.at), (1, at(0)));
    assert_eq!((second.number, second.stamp.at), (2, at(5)));
    assert_eq!(first.credential, second.credential);
}

pub async fn two_versions_in_the_same_millisecond_rise(store: &dyn Store) {
    for ms in 0..4 {
        assert_eq!(written(store, "/a").await.stamp.at, at(ms));
    }
}

pub async fn a_version_of_an_earlier_time_comes_after_the_newest(store: &dyn Store) {
    store.put_version(PutVersion { stamp: stamp(1000), ..put("/a") }).await.unwrap();

    assert_eq!(written(store, "/a").await.stamp.at, at(1001));
}

pub async fn a_time_is_kept_to_the_millisecond(store: &dyn Store) {
    let finer = at(0).checked_add(std::time::Duration::from_nanos(999_999)).unwrap();
    let given = Stamp { at: finer, ..stamp(0) };

    let row = store.put_version(PutVersion { stamp: given, ..put("/a") }).await.unwrap();

    assert_eq!(row.stamp.at, at(0));
    assert_eq!(newest(store, "/a").await, row);
}

pub async fn a_name_is_found_in_any_case_and_keeps_its_first_spelling(store: &dyn Store) {
    written(store, "/Shop/Orders-DB").await;
    let second = written(store, "/SHOP/orders-db").await;

    assert_eq!((second.number, second.name.as_str()), (2, "/Shop/Orders-DB"));
    let credential = store.credential(&name("/shop/orders-db")).await.unwrap().unwrap();
    assert_eq!(credential.name.as_str(), "/Shop/Orders-DB");
    assert_eq!(newest(store, "/shop/ORDERS-db").await.name.as_str(), "/Shop/Orders-DB");
}

pub async fn every_column_of_a_version_comes_back_as_it_was_put(store: &dyn Store) {
    let json = |text: &str| JsonText::parse(text).unwrap();
    let given = PutVersion {
        kind: CredentialType::Certificate,
        sealed: sealed("value"),
        parameters: Some(SealedParameters { sealed: sealed("parameters"), public: Some(json(r#"{"length":30}"#)) }),
        metadata: Some(json(r#"{"b":1.10,"a":"\u0000ü"}"#)),
        facts: Facts {
            expires: Some(at(86_400_000)),
            ca_name: Some("/Shop/CA".to_owned()),
            signer: Some(VersionId::new(&SystemEntropy)),
            trusted_ca: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
            is_ca: true,
            self_signed: true,
            generated: Some(false),
            transitional: true,
            key_usage: Some("digital_signature key_encipherment".to_owned()),
        },
        request: Some(RequestId::new("request-1")),
        reason: Reason::SignerChanged,
        ..put("/A")
    };

    let row = store.put_version(given.clone()).await.unwrap();

    assert_eq!(row, expected(given));
    assert_eq!(newest(store, "/a").await, row);
    assert_eq!(store.version(row.id).await.unwrap(), Some(row));
}

pub async fn a_version_without_facts_comes_back_without(store: &dyn Store) {
    let given = PutVersion {
        parameters: Some(SealedParameters { sealed: sealed("parameters"), public: None }),
        facts: Facts { generated: Some(true), ..Facts::default() },
        ..put("/a")
    };

    let row = store.put_version(given.clone()).await.unwrap();

    assert_eq!(row, expected(given));
    assert_eq!(newest(store, "/a").await, row);
}

pub async fn versions_are_listed_newest_first_and_as_many_as_asked(store: &dyn Store) {
    for _ in 0..20 {
        written(store, "/a").await;
    }
    for limit in [Some(0), Some(1), Some(3), Some(17), Some(99), None] {
        let rows = store.versions(&name("/a"), limit).await.unwrap();

        let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
        let wanted = limit.map_or(20, |limit| limit as usize);
        assert_eq!(numbers, (1..=20).rev().take(wanted).collect::<Vec<_>>(), "{limit:?}");
    }
}

pub async fn a_version_is_found_by_its_id(store: &dyn Store) {
    let (first, second) = (written(store, "/a").await, written(store, "/a").await);

    assert_eq!(store.version(first.id).await.unwrap(), Some(first));
    assert_eq!(store.version(second.id).await.unwrap(), Some(second));
}

pub async fn what_is_not_there_is_not_found(store: &dyn Store) {
    written(store, "/a/b").await;

    assert_eq!(store.credential(&name("/a")).await.unwrap(), None);
    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), []);
    assert_eq!(store.versions(&name("/a"), Some(1)).await.unwrap(), []);
    assert_eq!(store.version(VersionId::new(&SystemEntropy)).await.unwrap(), None);
    assert_eq!(store.request(&RequestId::new("none")).await.unwrap(), None);
    assert_eq!(store.setting("none").await.unwrap(), None);
}

pub async fn a_transitional_version_is_not_handed_out_while_there_is_another(store: &dyn Store) {
    let transitional = || PutVersion { facts: Facts { transitional: true, ..Facts::default() }, ..put("/a") };
    assert_eq!(store.active(&name("/a")).await.unwrap(), None);

    let first = put_again(store, transitional()).await.unwrap();
    assert_eq!(store.active(&name("/A")).await.unwrap(), Some(first));

    let second = put_again(store, put("/a")).await.unwrap();
    put_again(store, transitional()).await.unwrap();
    let newest = put_again(store, transitional()).await.unwrap();
    assert_eq!(store.active(&name("/a")).await.unwrap(), Some(second));
    assert_eq!(store.credential(&name("/a")).await.unwrap().unwrap().newest.map(|newest| newest.id), Some(newest.id));
}

pub async fn the_newest_version_from_a_source_is_found_behind_others(store: &dyn Store) {
    assert_eq!(store.imported(&name("/a")).await.unwrap(), None);
    let add = async |path, reason| put_again(store, PutVersion { reason, ..put(path) }).await.unwrap();
    add("/a", Reason::SetByAPI).await;
    assert_eq!(store.imported(&name("/a")).await.unwrap(), None);

    let first = add("/a", Reason::Imported).await;
    add("/a", Reason::SetByAPI).await;
    assert_eq!(store.imported(&name("/A")).await.unwrap(), Some(first));

    add("/a", Reason::SourceChanged).await;
    let newest = add("/a", Reason::SourceChanged).await;
    for reason in [Reason::Generated, Reason::Requested, Reason::Scheduled, Reason::ParametersChanged] {
        add("/a", reason).await;
    }
    add("/b", Reason::Imported).await;
    assert_eq!(store.imported(&name("/a")).await.unwrap(), Some(newest));

    deleted(store, "/a").await;
    assert_eq!(store.imported(&name("/a")).await.unwrap(), None);
}

pub async fn the_credential_knows_its_newest_version(store: &dyn Store) {
    written(store, "/a").await;
    let VersionRow { credential, id, number, stamp, .. } = written(store, "/a").await;

    let row = store.credential(&name("/a")).await.unwrap().unwrap();

    assert_eq!((row.id, row.versions, row.kind), (credential, 2, CredentialType::Value));
    assert_eq!(row.newest, Some(Newest { id, number, stamp, namespace: None }));
    assert_eq!(row.owner, Owner::default());
}

pub async fn create_only_is_refused_where_a_version_exists(store: &dyn Store) {
    let first = written(store, "/a").await;
    let again = PutVersion { credential: first.credential, mode: WriteMode::CreateOnly, ..put("/A") };

    assert_conflict(store.put_version(again).await, Some(first.credential), Some(first.id));
    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), [first]);
}

pub async fn create_only_holds_where_a_name_is_claimed_without_versions(store: &dyn Store) {
    let (credential, _) = claimed(store, "/a", owner("a")).await;
    let first = PutVersion { mode: WriteMode::CreateOnly, ..put("/a") };

    let version = put_again(store, first).await.unwrap();
    assert_eq!((version.number, version.credential), (1, credential.id));
}

pub async fn after_holds_where_that_version_is_the_newest(store: &dyn Store) {
    let first = written(store, "/a").await;

    let next = put_again(store, PutVersion { mode: WriteMode::After(first.id), ..put("/a") }).await;

    assert_eq!(next.unwrap().number, 2);
}

pub async fn after_is_refused_where_another_version_is_the_newest(store: &dyn Store) {
    let (first, second) = (written(store, "/a").await, written(store, "/a").await);

    let refused = put_again(store, PutVersion { mode: WriteMode::After(first.id), ..put("/a") }).await;

    assert_conflict(refused, Some(first.credential), Some(second.id));
}

pub async fn after_is_refused_where_there_is_no_version(store: &dyn Store) {
    let id = VersionId::new(&SystemEntropy);
    let refused = store.put_version(PutVersion { mode: WriteMode::After(id), ..put("/a") }).await;
    assert!(matches!(refused, Err(Error::Conflict { newest: None, .. })), "{refused:?}");
    assert_eq!(store.credential(&name("/a")).await.unwrap(), None);

    claimed(store, "/b", owner("b")).await;
    let refused = put_again(store, PutVersion { mode: WriteMode::After(id), ..put("/b") }).await;
    assert!(matches!(refused, Err(Error::Conflict { newest: None, .. })), "{refused:?}");
}

pub async fn a_proposed_id_that_is_not_the_credentials_is_a_conflict_that_names_the_true_one(store: &dyn Store) {
    let first = written(store, "/a").await;

    // Whatever else is wrong with it: only who knows the true id can be told about the rest.
    let other = PutVersion { kind: CredentialType::Password, ..put("/a") };
    for refused in [put("/a"), other] {
        assert_conflict(store.put_version(refused).await, Some(first.credential), Some(first.id));
    }
}

pub async fn a_proposed_id_that_is_anothers_is_a_conflict_that_names_none(store: &dyn Store) {
    let first = written(store, "/a").await;
    let (second, _) = claimed(store, "/b", owner("b")).await;

    for credential in [first.credential, second.id] {
        assert_conflict(store.put_version(PutVersion { credential, ..put("/c") }).await, None, None);
    }
    assert_eq!(store.credential(&name("/c")).await.unwrap(), None);
}

pub async fn another_type_is_refused(store: &dyn Store) {
    written(store, "/a").await;

    let refused = put_again(store, PutVersion { kind: CredentialType::Password, ..put("/a") }).await;

    assert!(matches!(refused, Err(Error::OtherKind(CredentialType::Value))), "{refused:?}");
}

pub async fn a_claimed_name_without_versions_changes_its_type_by_its_claim_alone(store: &dyn Store) {
    let (first, epoch) = claimed(store, "/a", owner("a")).await;
    assert_eq!(first.kind, CredentialType::Value);

    let refused = put_again(store, PutVersion { kind: CredentialType::Password, ..put("/a") }).await;
    assert!(matches!(refused, Err(Error::OtherKind(CredentialType::Value))), "{refused:?}");
    let again = PutOwner { was: owner("a"), kind: CredentialType::Password, ..claim("/a", owner("a"), epoch) };
    assert_eq!(store.claim(again).await.unwrap().kind, CredentialType::Password);
    let row = put_again(store, PutVersion { kind: CredentialType::Password, ..put("/a") }).await.unwrap();

    assert_eq!(row.kind, CredentialType::Password);
}

pub async fn a_request_makes_one_version_for_ever(store: &dyn Store) {
    let request = || Some(RequestId::new("request-1"));
    let first = store.put_version(PutVersion { request: request(), ..put("/a") }).await.unwrap();

    for path in ["/a", "/b"] {
        let again = put_again(store, PutVersion { request: request(), ..put(path) }).await;
        assert!(matches!(again, Err(Error::RequestUsed(id)) if id == first.id), "{again:?}");
    }
    deleted(store, "/a").await;

    let again = store.put_version(PutVersion { request: request(), ..put("/a") }).await;
    assert!(matches!(again, Err(Error::RequestUsed(id)) if id == first.id), "{again:?}");
    assert_eq!(store.request(&request().unwrap()).await.unwrap(), Some(first.id));
}

pub async fn a_refused_write_leaves_nothing_behind(store: &dyn Store) {
    let first = written(store, "/a").await;
    let request = RequestId::new("refused");
    let refused = PutVersion {
        credential: first.credential,
        mode: WriteMode::CreateOnly,
        request: Some(request.clone()),
        ..put("/a")
    };
    let id = refused.version;

    store.put_version(refused).await.unwrap_err();

    assert_eq!(store.version(id).await.unwrap(), None);
    assert_eq!(store.request(&request).await.unwrap(), None);
    assert_eq!(store.credential(&name("/a")).await.unwrap().unwrap().versions, 1);
    assert_eq!(written(store, "/a").await.number, 2);
}

async fn newest(store: &dyn Store, path: &str) -> VersionRow {
    store.versions(&name(path), Some(1)).await.unwrap().pop().expect("there is a version")
}

fn expected(put: PutVersion) -> VersionRow {
    VersionRow {
        credential: put.credential,
        id: put.version,
        number: 1,
        name: put.name,
        kind: put.kind,
        state: VersionState::Live,
        stamp: put.stamp,
        reason: put.reason,
        request: put.request,
        metadata: put.metadata,
        data_key: put.sealed.data_key(),
        sealed: put.sealed,
        parameters: put.parameters,
        facts: put.facts,
    }
}

fn assert_conflict(
    answer: Result<VersionRow, Error>,
    wanted_credential: Option<CredentialId>,
    wanted_newest: Option<VersionId>,
) {
    match answer {
        Err(Error::Conflict { credential, newest }) => {
            assert_eq!((credential, newest), (wanted_credential, wanted_newest));
        }
        other => panic!("a conflict was expected: {other:?}"),
    }
}
