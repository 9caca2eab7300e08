//! What status echoes: requests that were met, and no others.

use credsmith_operator::Credential;
use serde_json::{Value, json};

use super::scene::{Says, Scene};

#[tokio::test]
async fn a_request_is_echoed_when_it_was_met_and_not_before() {
    let scene = Scene::new().await;
    let asks = json!({"credsmith.dev/rotate-at": "monday", "credsmith.dev/reconcile-at": "monday"});
    let asks_while_paused = |paused: Value| {
        let mut asks = asks.clone();
        asks["credsmith.dev/paused"] = paused;
        asks
    };

    scene.apply_annotated("db", asks_while_paused(json!("true")), json!({"type": "password"})).await;
    let object = scene.reason("db", "Paused").await;
    assert_eq!(echoes(&object), (None, None), "nothing is done while it is paused");
    scene.annotate::<Credential>("db", "credsmith.dev/paused", Value::Null).await;
    let object = scene.reason("db", "InSync").await;
    assert_eq!(echoes(&object), (Some("monday".into()), Some("monday".into())));

    // The same for a spec that cannot be met, after one that could.
    let tuesday = json!({"credsmith.dev/rotate-at": "tuesday"});
    scene.apply_annotated("db", tuesday.clone(), json!({"type": "password", "password": {"minDigit": 40}})).await;
    let object = scene.reason("db", "InvalidSpec").await;
    assert_eq!(echoes(&object).0.as_deref(), Some("monday"));
    scene.apply_annotated("db", tuesday, json!({"type": "password"})).await;
    let object = scene.status("db", "version 2", |object| object.version() == 2).await;
    assert_eq!(echoes(&object).0.as_deref(), Some("tuesday"));

    // One that was used before is answered.
    scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!("monday")).await;
    let used = |object: &Credential| object.condition("RotationDue").reason == "RequestAlreadyUsed";
    let object = scene.status("db", "the used request", used).await;
    assert_eq!(echoes(&object).0.as_deref(), Some("monday"));

    // Paused again, it echoes nothing new.
    let later = json!({
        "credsmith.dev/rotate-at": "friday", "credsmith.dev/reconcile-at": "friday", "credsmith.dev/paused": "true",
    });
    scene.apply_annotated("db", later, json!({"type": "password"})).await;
    let object = scene.reason("db", "Paused").await;
    let (rotate, reconcile) = echoes(&object);
    assert!(rotate.as_deref() != Some("friday") && reconcile.as_deref() != Some("friday"), "{rotate:?} {reconcile:?}");
}

#[tokio::test]
async fn a_request_that_waits_or_cannot_be_met_is_not_echoed() {
    let scene = Scene::new().await;
    let asks = json!({"credsmith.dev/rotate-at": "monday"});
    scene.apply_annotated("late", asks, json!({"type": "value"})).await;
    let object = scene.reason("late", "WaitingForInput").await;
    assert_eq!(echoes(&object).0, None);
    scene.caller().await.put(json!({"name": scene.path("late"), "type": "value", "value": "given"})).await;
    let object = scene.reason("late", "InSync").await;
    let due = object.condition("RotationDue");
    assert!(due.message.starts_with("a given value is not generated"), "{}", due.message);
    assert_eq!(echoes(&object).0, None, "it made nothing and never will");
}

/// `lastRequest` and `lastReconcileRequest`.
fn echoes(object: &Credential) -> (Option<String>, Option<String>) {
    let status = object.status.clone().unwrap_or_default();
    (status.rotation.and_then(|rotation| rotation.last_request), status.last_reconcile_request)
}
