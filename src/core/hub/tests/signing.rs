//! Who signs: what waits for its signer, what follows it, and what nobody changes under what it signed.

use jiff::SignedDuration;

use super::*;
use crate::domain::{
    parameters::{
        CertificateParameters, MODEL,
        certificate::{KeyKind, Subject},
    },
    rotation::{Before, By, ByTime, OnChange, Percent},
    schedule::Turn,
};

const DAY: u32 = 24 * 3600;

fn certificate(common_name: &str, days: u32) -> CertificateParameters {
    CertificateParameters {
        subject: Subject { common_name: Some(common_name.into()), ..Subject::default() },
        duration: Some(days * DAY),
        key: Some(KeyKind::EcdsaP256),
        ..CertificateParameters::default()
    }
}

fn object(path: &str, parameters: CertificateParameters) -> Wanted {
    let rotation = Rotation {
        by: By::Before(Before::Share(Percent::new(50).unwrap())),
        on_change: OnChange::Regenerate,
        ..Rotation::default()
    };
    Wanted {
        name: name(path),
        object: path[1..].to_owned(),
        object_uid: ObjectUid::new(path),
        rotation,
        ..wanted(WantedOrigin::Generate(Parameters::certificate(parameters)))
    }
}

fn ca() -> Wanted {
    object("/shop/ca", CertificateParameters { is_ca: true, ..certificate("ca", 100) })
}

fn leaf() -> Wanted {
    object("/shop/leaf", CertificateParameters { ca: Some("/shop/CA".into()), ..certificate("leaf", 10) })
}

fn requested(wanted: Wanted, text: &str) -> Wanted {
    Wanted { request: Some(RequestId::new(text)), ..wanted }
}

fn days_later(days: i64) -> Timestamp {
    noon() + SignedDuration::from_hours(24 * days)
}

impl World {
    async fn look(&self, days: i64, wanted: Wanted) -> Ensured {
        let operator = Caller::operator("shop", self.epoch, days_later(days));
        self.hub.ensure(&operator, wanted, &Around::default()).await.unwrap()
    }

    async fn found(&self, days: i64, wanted: Wanted) -> (Version, bool, Kept) {
        match self.look(days, wanted).await {
            Ensured::Ready { version, made, kept, .. } => (*version, made, kept),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_leaf_waits_for_its_signer_and_is_made_when_it_is_there() {
    let w = world().await;
    let Ensured::WaitingForSigner(fault) = w.look(0, leaf()).await else { panic!("it cannot be signed") };
    assert_eq!(fault.to_string(), "the CA /shop/CA does not exist, is no certificate, or you may not read it");
    w.found(0, ca()).await;
    let (version, made, _) = w.found(0, leaf()).await;
    assert_eq!((version.row.number, made, version.row.facts.ca_name.as_deref()), (1, true, Some("/shop/CA")));
}

#[tokio::test]
async fn a_leaf_follows_a_new_version_of_its_signer() {
    let w = world().await;
    w.rules.allow("update *");
    let (first_ca, ..) = w.found(0, ca()).await;
    let (first, ..) = w.found(0, leaf()).await;
    assert_eq!(first.row.facts.signer, Some(first_ca.row.id));
    assert!(!w.found(0, leaf()).await.1);

    let WantedOrigin::Generate(parameters) = ca().origin else { panic!("it is generated") };
    let second_ca = w.hub.generate(&alice(), &name("/shop/ca"), &parameters, None, Mode::Overwrite).await.unwrap();
    let kept = Wanted { rotation: Rotation { on_change: OnChange::Keep, ..leaf().rotation }, ..leaf() };
    assert!(!w.found(0, kept).await.1);
    let (second, made, _) = w.found(0, leaf()).await;
    assert_eq!((second.row.reason, made), (Reason::SignerChanged, true));
    assert_eq!(second.row.facts.signer, Some(second_ca.row.id));
    assert!(!w.found(0, leaf()).await.1);
}

#[tokio::test]
async fn an_authority_in_use_is_changed_by_no_schedule_and_a_request_makes_a_transitional_version() {
    let w = world().await;
    let (first, ..) = w.found(0, ca()).await;
    let long = object("/shop/leaf", CertificateParameters { ca: Some("/shop/ca".into()), ..certificate("leaf", 365) });
    w.found(0, long).await;

    let (same, made, kept) = w.found(60, ca()).await;
    assert_eq!((same.row.id, made, kept.turn), (first.row.id, false, Turn::NeedsSteps));

    let Ensured::Ready { version, made, kept, introduced, .. } = w.look(60, requested(ca(), "one")).await else {
        panic!("there is a version")
    };
    assert_eq!((version.row.id, made, kept.turn, introduced), (first.row.id, false, Turn::NeedsSteps, Some(2)));
    // It was met, and neither it nor another one makes a third.
    for request in ["one", "two"] {
        let (same, made, kept) = w.found(60, requested(ca(), request)).await;
        assert_eq!((same.row.id, made, kept.turn), (first.row.id, false, Turn::NeedsSteps));
    }
    let rows = w.hub.store.versions(&name("/shop/ca"), None).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.facts.transitional).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn an_authority_that_nobody_uses_rotates_like_everything_else() {
    let w = world().await;
    w.found(0, ca()).await;
    let (second, made, _) = w.found(50, ca()).await;
    assert_eq!((second.row.reason, made, second.row.facts.transitional), (Reason::Scheduled, true, false));
    let (third, made, _) = w.found(50, requested(ca(), "now")).await;
    assert_eq!((third.row.reason, made, third.row.facts.transitional), (Reason::Requested, true, false));
}

#[tokio::test]
async fn a_leaf_ends_with_its_signer_and_does_not_try_again_and_again() {
    let w = world().await;
    let (authority, ..) = w.found(0, ca()).await;
    let long =
        || object("/shop/leaf", CertificateParameters { ca: Some("/shop/ca".into()), ..certificate("leaf", 365) });
    let (first, _, kept) = w.found(0, long()).await;
    assert_eq!(first.row.facts.expires, authority.row.facts.expires);
    assert_eq!(kept.turn, Turn::NotDue(ByTime::WithItsSigner));
    let (same, made, kept) = w.found(99, long()).await;
    assert_eq!((same.row.id, made, kept.turn), (first.row.id, false, Turn::NotDue(ByTime::WithItsSigner)));
}

#[tokio::test]
async fn a_leaf_whose_signer_is_gone_is_served_on_and_says_what_is_missing() {
    let w = world().await;
    w.rules.allow("delete *");
    w.found(0, ca()).await;
    let (first, ..) = w.found(0, leaf()).await;
    w.hub.release(&w.operator(), &ObjectUid::new("/shop/ca")).await.unwrap();
    w.hub.delete(&alice(), &name("/shop/ca")).await.unwrap();
    let Ensured::Ready { version, made, overdue, .. } = w.look(6, leaf()).await else { panic!("it is served") };
    assert_eq!((version.row.id, made), (first.row.id, false));
    assert!(overdue.unwrap().to_string().starts_with("the CA /shop/CA does not exist"));
}

#[tokio::test]
async fn what_an_authority_signed_is_told_while_it_is_in_use() {
    let w = world().await;
    w.found(0, ca()).await;
    w.found(0, leaf()).await;
    let leaves = async |days| {
        let operator = Caller::operator("shop", w.epoch, days_later(days));
        let names = w.hub.leaves(&operator, &name("/shop/ca"), 10).await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(leaves(1).await, ["/shop/leaf"]);
    assert!(leaves(11).await.is_empty());
}

/// Written by the first release: they load in every later one, and nothing is due because of it.
#[tokio::test]
async fn versions_of_an_older_release_load_and_nothing_is_due() {
    let w = world().await;
    for (number, line) in include_str!("fixtures/parameters-model-1.jsonl").lines().enumerate() {
        let stored: Parameters = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(line.contains(&format!("\"type\":\"{}\"", stored.kind())));
        let rotation = Rotation { on_change: OnChange::Regenerate, ..Rotation::default() };
        let path = format!("/shop/{number}");
        let object = |parameters: Parameters| Wanted {
            name: name(&path),
            object_uid: ObjectUid::new(path.as_str()),
            rotation,
            ..wanted(WantedOrigin::Generate(parameters))
        };
        let (first, ..) = w.found(0, object(stored.clone())).await;
        // What this release reads from the same manifest: the fields that the older one did not know are absent.
        let (same, made, kept) = w.found(1, object(Parameters { model: MODEL, ..stored })).await;
        assert_eq!((same.row.id, made, kept.drifted), (first.row.id, false, false), "{line}");
    }
}
