//! The watches of namespaces with sources: there while somebody depends on them, and no longer.

use credsmith_harness::{audit::AuditEvent, requests::OPERATOR};
use credsmith_operator::Credential;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::scene::Scene;

#[tokio::test]
async fn the_watch_of_sources_ends_with_the_last_object_that_has_one() {
    let scene = Scene::new().await;
    let Some(plane) = scene.cluster.powers("the end of a watch of sources") else { return };
    scene.source("given", json!({"key": "SAMPLE-0000-1111"})).await;
    let from = |name: &str| json!({"type": "value", "value": {"fromSecret": {"name": name, "key": "key"}}});
    for name in ["one", "two"] {
        scene.apply(name, from("given")).await;
        scene.reason(name, "InSync").await;
    }
    let watches = |stage: &str| -> Vec<AuditEvent> {
        let mut events = plane.audit_events().unwrap();
        events.retain(|event| {
            let object = event.object_ref.clone().unwrap_or_default();
            event.verb == "watch"
                && event.stage == stage
                && event.user.username == OPERATOR
                && object.namespace == scene.name()
        });
        events
    };
    let begun = scene.until("the watch", async || Ok(watches("ResponseStarted").into_iter().next())).await;

    // A source that is given up, and an object that goes.
    scene.apply("one", no_source()).await;
    scene.reason("one", "InSync").await;
    assert!(watches("ResponseComplete").is_empty(), "it ended although one depends on it");
    scene.api::<Credential>().delete("two", &DeleteParams::default()).await.unwrap();
    scene
        .until("the end of the watch", async || {
            Ok(watches("ResponseComplete").into_iter().find(|event| event.audit_id == begun.audit_id))
        })
        .await;

    // Whoever comes later has a watch again.
    scene.apply("three", from("given")).await;
    scene.reason("three", "InSync").await;
    scene.shows("three", "value", "SAMPLE-0000-1111").await;
}

/// The value stays, and is set over the API from then on.
fn no_source() -> Value {
    json!({"type": "value"})
}
