//! A Secret that the API server does not take: the object says why, what is served meanwhile, and what to do.

use std::collections::BTreeMap;

use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use super::{
    barriers::{break_webhook, exhaust_quota, forbid_by_policy, lift_policy, lift_quota, mend_webhook},
    scene::{Says, Scene},
};

#[tokio::test]
async fn a_quota_that_is_used_up_is_told_and_raising_it_is_enough() {
    let scene = Scene::new().await;
    exhaust_quota(&scene).await;
    scene.apply("db", json!({"type": "password"})).await;
    let object = scene.reason("db", "TargetFailed").await;
    assert_eq!(
        object.message(),
        "Secret db cannot be written: secrets \"db\" is forbidden: exceeded quota: no-secrets, requested: secrets=1, used: \
         secrets=0, limited: secrets=0; raise that ResourceQuota, or delete Secrets that nobody needs; it is tried again"
    );
    assert_eq!(failure(&object), ("Conflict".into(), "QuotaExceeded".into()));
    assert!(object.has("Reconciling") && !object.has("Stalled"));
    let events = scene.events_until("db", 1).await;
    assert!(events[0].starts_with("Warning ProjectionFailed: Secret db cannot be written"), "{events:?}");

    lift_quota(&scene).await;
    let object = scene.reason("db", "InSync").await;
    assert!(object.has("Projected") && object.version() == 1);
    assert_eq!(scene.events("db").await.len(), 1, "the first success is told by the status alone");
}

#[tokio::test]
async fn a_policy_that_refuses_is_named_and_the_secret_before_goes_on_serving() {
    for (reason, code) in [("Forbidden", 403), ("Invalid", 422), ("RequestEntityTooLarge", 413)] {
        let scene = Scene::new().await;
        scene.apply("db", json!({"type": "password"})).await;
        scene.reason("db", "InSync").await;
        let before = scene.values("db").await;
        forbid_by_policy(&scene, reason).await;
        scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!("now")).await;

        let refused = |object: &Credential| object.condition("Ready").reason == "TargetFailed";
        let object = scene.status("db", &format!("a refusal with {code}"), refused).await;
        let (name, message) = (scene.name(), object.message());
        assert_eq!(
            message,
            format!(
                "Secret db is refused at admission: secrets \"db\" is forbidden: ValidatingAdmissionPolicy '{name}' with \
                 binding '{name}' denied request: no Secrets on Fridays; change spec.target so that it is let through, or \
                 have that policy or webhook changed; it is tried again (still serving version 1)"
            )
        );
        assert_eq!(failure(&object), ("Conflict".into(), "AdmissionDenied".into()));
        assert!(scene.values("db").await == before, "the Secret holds version 1 still");
        // The version is stored: that is told now, and once.
        let status = object.status.unwrap();
        assert_eq!((status.current_version.unwrap().number, status.versions), (2, Some(2)));
        let events = scene.events_until("db", 2).await;
        assert_eq!(events[0], "Normal Rotated: version 2 (Requested)");
        assert!(events[1].starts_with("Warning ProjectionFailed: Secret db is refused at admission"), "{events:?}");

        lift_policy(&scene).await;
        let object = scene.reason("db", "InSync").await;
        assert!(object.version() == 2 && scene.values("db").await != before);
        let events = scene.events_until("db", 3).await;
        assert_eq!(events[2..], ["Normal Projected: Secret db is in sync again"], "{events:?}");
    }
}

#[tokio::test]
async fn a_webhook_that_nobody_answers_is_told_once_until_it_is_mended() {
    let scene = Scene::new().await;
    break_webhook(&scene).await;
    scene.apply("db", json!({"type": "password"})).await;
    let object = scene.reason("db", "TargetFailed").await;
    let message = object.message();
    assert!(
        message.starts_with("Secret db cannot be written: Internal error occurred: failed calling webhook"),
        "{message}"
    );
    let next = "look at the API server and at the webhooks that it asks about Secrets; it is tried again";
    assert!(message.ends_with(next), "{message}");
    assert_eq!(failure(&object), ("Conflict".into(), "Unavailable".into()));

    // Asked to look again, it finds the same cause, and only the echo is written.
    scene.annotate::<Credential>("db", "credsmith.dev/reconcile-at", json!("1")).await;
    let echoed = |object: &Credential| object.status.as_ref().is_some_and(|s| s.last_reconcile_request.is_some());
    let again = scene.status("db", "the echo", echoed).await;
    assert_eq!(again.condition("Ready"), object.condition("Ready"));
    assert_eq!(scene.events("db").await.len(), 1);

    mend_webhook(&scene).await;
    scene.reason("db", "InSync").await;
}

#[tokio::test]
async fn a_secret_with_more_than_it_can_hold_is_told_as_too_large() {
    let scene = Scene::new().await;
    let keys: BTreeMap<_, _> = (0..32).map(|nth| (format!("key-{nth}"), "value")).collect();
    let value = "x".repeat(65_536);
    scene.source("large", json!({"key": value})).await;
    let spec =
        json!({"type": "value", "value": {"fromSecret": {"name": "large", "key": "key"}}, "target": {"keys": keys}});
    scene.apply("db", spec).await;
    let object = scene.reason("db", "TargetFailed").await;
    let message = object.message();
    assert!(message.starts_with("Secret db is too large for the API server: "), "{message}");
    assert!(message.ends_with("put fewer keys into spec.target.keys, or shorten the value"), "{message}");
    assert_eq!(failure(&object), ("TooLarge".into(), "TooLarge".into()));
    assert!(object.has("Stalled"), "only an edit helps");

    let spec = json!({"type": "value", "value": {"fromSecret": {"name": "large", "key": "key"}}});
    scene.apply("db", spec).await;
    scene.reason("db", "InSync").await;
    scene.shows("db", "value", &value).await;
}

#[tokio::test]
async fn a_conflict_is_told_whatever_failed_before_and_once() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    forbid_by_policy(&scene, "Forbidden").await;
    scene.api::<Secret>().delete("db", &DeleteParams::default()).await.unwrap();
    let refused = |object: &Credential| failure(object).1 == "AdmissionDenied";
    scene.status("db", "the refusal", refused).await;
    lift_policy(&scene).await;
    // Somebody else is faster: with the same reason of Ready, another reason stands in the way. Where the operator is
    // faster, its Secret goes again.
    let taken = || async {
        let _ = scene.api::<Secret>().delete("db", &DeleteParams::default()).await;
        let theirs = serde_json::from_value(json!({"metadata": {"name": "db"}})).unwrap();
        Ok(scene.api::<Secret>().create(&Default::default(), &theirs).await.ok())
    };
    let theirs = scene.until("a Secret of somebody else", taken).await;
    let object = scene.status("db", "the conflict", |object| failure(object).1 == "Conflict").await;
    assert_eq!(object.condition("Projected").reason, "Conflict");
    let told = || async {
        let events = scene.events("db").await;
        Ok(events.iter().any(|event| event.starts_with("Warning Conflict: Secret db exists")).then_some(events))
    };
    scene.until("the event", told).await;

    // A change of that Secret wakes the object, which finds nothing new to tell.
    scene.annotate::<Secret>("db", "example.com/touched", json!("1")).await;
    scene.annotate::<Credential>("db", "credsmith.dev/reconcile-at", json!("1")).await;
    let echoed = |object: &Credential| object.status.as_ref().is_some_and(|s| s.last_reconcile_request.is_some());
    scene.status("db", "the echo", echoed).await;
    let conflicts = scene.events("db").await.into_iter().filter(|event| event.starts_with("Warning Conflict")).count();
    assert_eq!(conflicts, 1);

    // It wakes when that Secret goes.
    scene.api::<Secret>().delete(&theirs.name_any(), &DeleteParams::default()).await.unwrap();
    scene.reason("db", "InSync").await;
}

#[tokio::test]
async fn a_secret_that_somebody_made_immutable_is_made_anew() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let before = scene.secret("db").await;
    let freeze = Patch::Merge(json!({"immutable": true}));
    scene.api::<Secret>().patch("db", &PatchParams::default(), &freeze).await.unwrap();
    scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!("now")).await;
    let object = scene.status("db", "version 2", |object| object.version() == 2 && object.has("Ready")).await;
    let now = scene.secret("db").await;
    assert!(now.uid() != before.uid() && now.immutable != Some(true) && now.data != before.data);
    assert_eq!(now.annotations()["credsmith.dev/version"], object.status.unwrap().current_version.unwrap().id);
}

#[tokio::test]
async fn a_message_says_that_a_version_is_served_only_where_the_secret_holds_it() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let refused = "spec.rollout does not work in this release: remove it and apply again";
    let bad = json!({"type": "password", "rollout": {}});
    scene.apply("db", bad).await;
    assert_eq!(scene.reason("db", "InvalidSpec").await.message(), format!("{refused} (still serving version 1)"));
    scene.api::<Secret>().delete("db", &DeleteParams::default()).await.unwrap();
    scene.status("db", "no Secret to serve", |object| object.message() == refused).await;
}

/// Why it is not projected: the reason of the condition, and the word of the target.
fn failure(object: &Credential) -> (String, String) {
    let projected = object.condition("Projected");
    let reason = if projected.status == "False" { projected.reason } else { String::new() };
    let targets = object.status.as_ref().and_then(|status| status.targets.as_ref());
    let word = targets.and_then(|targets| targets.sample.first()).map(|failure| failure.reason.clone());
    (reason, word.unwrap_or_default())
}
