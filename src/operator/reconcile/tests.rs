//! Looks against a scripted API server: answers that a real one does not give on request. What a real one does give is
//! tested against it, in `tests/it/operator`.

mod world;

use std::time::Duration;

use http::Method;
use kube_runtime::controller::Action;
use serde_json::json;

use crate::pace::Pace;
use world::{Answer, World};

#[tokio::test]
async fn a_failing_api_server_is_told_once_and_tried_again_ever_later() {
    let world = World::new(json!({"type": "password"})).await;
    let mut port = 40_000;
    world.script(move |method, path| {
        port += 1; // in the text of each answer, as the API server tells it
        let text = format!("failed calling webhook \"w\": dial tcp 127.0.0.1:{port}: connection refused");
        (*method == Method::POST && path.ends_with("/secrets")).then(|| Answer::new(500, &text))
    });
    let (result, first) = world.look().await;
    assert_eq!((result.unwrap(), first), (requeue(1), requeue(1)));
    let told = world.writes();
    assert_eq!(told, ["POST secrets", "PATCH credentials/db/status", "POST events ProjectionFailed"]);
    let (ready, projected) = (world.says("Ready"), world.says("Projected"));
    assert_eq!((ready.0.as_str(), projected.0.as_str()), ("TargetFailed", "Conflict"));
    assert!(ready.1.starts_with("Secret db cannot be written: failed calling webhook"), "{}", ready.1);
    assert!(ready.1.ends_with("it is tried again"), "no Secret was ever written: {}", ready.1);
    let (sample, versions) = (world.status().targets.unwrap().sample.remove(0), world.versions().await);
    assert_eq!((sample.name.as_str(), sample.reason.as_str(), versions), ("db", "Unavailable", 1));

    for seconds in [2, 4, 8] {
        assert_eq!(world.look().await.1, requeue(seconds));
        assert_eq!(world.writes(), ["POST secrets"], "nothing is told while the cause is the same");
    }
}

#[tokio::test]
async fn too_many_requests_and_time_outs_are_told_too() {
    for code in [429, 503, 504] {
        let world = World::new(json!({"type": "password"})).await;
        world.refuse("/secrets", move || Answer::new(code, "later, please"));
        let (result, _) = world.look().await;
        assert_ne!(result.unwrap(), Action::await_change());
        assert_eq!(world.says("Ready").0, "TargetFailed", "{code}");
        assert_eq!(world.status().targets.unwrap().sample[0].reason, "Unavailable", "{code}");
    }
}

#[tokio::test]
async fn too_large_for_the_api_server_takes_an_edit() {
    let world = World::new(json!({"type": "password"})).await;
    world.refuse("/secrets", || Answer::new(413, "Request entity too large: limit is 3145728"));
    assert_eq!(world.look().await.0.unwrap(), Action::await_change());
    assert_eq!((world.says("Projected").0.as_str(), world.says("Stalled").0.as_str()), ("TooLarge", "NeedsAttention"));
}

#[tokio::test]
async fn a_namespace_that_turns_out_to_be_going_is_left_in_silence() {
    for (spec, resource, writes) in [
        (json!({"type": "password"}), "/secrets", vec!["POST secrets"]),
        (json!({"type": "value"}), "/credentials/", vec!["PATCH credentials/db/status"]),
    ] {
        let world = World::new(spec).await;
        world.refuse(resource, Answer::terminating);
        let (result, _) = world.look().await;
        assert_eq!(result.unwrap(), Action::await_change(), "{resource}: it is tried again");
        let asked = world.writes();
        assert_eq!(asked, writes, "{resource}");
    }
    let world = World::new(json!({"type": "password"})).await;
    world.script(|method, path| match (method, path) {
        (&Method::POST, path) if path.ends_with("/secrets") => Some(Answer::new(500, "broken")),
        (&Method::POST, path) if path.ends_with("/events") => Some(Answer::terminating()),
        _ => None,
    });
    world.look().await.0.unwrap();
    let events = world.writes().iter().filter(|line| line.contains("events")).count();
    assert_eq!(events, 1);
}

#[tokio::test]
async fn a_finalizer_that_others_change_too_is_tried_ever_later() {
    let world = World::new(json!({"type": "password", "deletionPolicy": "Delete"})).await;
    world.refuse("/credentials/", || Answer::new(409, "the object has been modified"));
    let mut total = Duration::ZERO;
    for nth in 1..=12 {
        let (result, _) = world.look().await;
        assert!(matches!(result, Err(super::Error::Race)), "{result:?}");
        total += Pace::Race.wait(nth, world::UID);
        assert_eq!(world.writes(), ["PATCH credentials/db"]);
    }
    assert!(total > Duration::from_secs(30), "twelve tries took {total:?}");
    // The thirteenth waits as long as any after it.
    let (_, last) = world.look().await;
    assert_eq!(last, Action::requeue(Pace::Race.wait(13, world::UID)));
    assert!(Pace::Race.wait(13, world::UID) >= Duration::from_secs(5));
}

#[tokio::test]
async fn a_rotation_is_told_once_although_its_secret_is_refused() {
    let world = World::new(json!({"type": "password"})).await;
    world.look().await.0.unwrap();
    assert_eq!(world.writes(), ["POST secrets", "PATCH credentials/db/status"], "the first success has no event");
    world.edit(json!({"annotations": {"credsmith.dev/rotate-at": "now"}, "resourceVersion": "1000"}));

    // Nobody answers the Secret, then nobody answers the status: the version is stored already.
    let mut failing = vec!["/secrets/", "/status"];
    world.script(move |method, path| {
        let at = (*method != Method::GET).then(|| failing.iter().position(|part| path.contains(part))).flatten()?;
        let part = failing.remove(at);
        Some(Answer::new(if part == "/status" { 500 } else { 502 }, "broken"))
    });
    world.look().await.0.unwrap_err();
    assert_eq!(world.versions().await, 2);
    assert!(world.writes().iter().all(|line| !line.contains("events")), "the status comes first");
    for _ in 0..3 {
        world.look().await.0.unwrap();
    }
    let told = world.writes();
    let rotated = told.iter().filter(|line| line.ends_with("events Rotated")).count();
    assert_eq!((rotated, world.versions().await), (1, 2), "{told:?}");
    assert_eq!(world.status().rotation.unwrap().last_request.as_deref(), Some("now"));
}

#[tokio::test]
async fn every_write_is_counted() {
    let world = World::new(json!({"type": "password"})).await;
    world.refuse("/secrets", || Answer::new(500, "broken"));
    world.look().await.0.unwrap();
    let page = world.context.hub.metrics.page();
    for (resource, verb) in [("secrets", "create"), ("credentials/status", "patch"), ("events", "create")] {
        let line = format!("credsmith_kubernetes_writes_total{{resource=\"{resource}\",verb=\"{verb}\"}} 1");
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_watched_and_not_asked_for_again_and_again() {
    let world = World::new(json!({"type": "password"})).await;
    world.strangers(json!({"metadata": {"name": "db", "namespace": "shop", "uid": "theirs", "resourceVersion": "7"}}));
    let calm = Action::requeue(Pace::Safety.wait(1, world::UID));
    for _ in 0..3 {
        let (result, _) = world.look().await;
        assert_eq!(result.unwrap(), calm, "it is looked at again before that Secret changes");
    }
    assert!(Pace::Safety.wait(1, world::UID) >= Duration::from_secs(120));
    assert_eq!(world.writes(), ["PATCH credentials/db/status", "POST events Conflict"]);
    assert_eq!(world.versions().await, 0, "a value was made that cannot be projected");
}

#[tokio::test]
async fn an_object_that_waits_for_the_store_waits_ever_longer() {
    use credsmith_core::hub;
    let world = World::new(json!({"type": "password"})).await;
    let error = super::Error::Hub(hub::Error::Unavailable("its disk is full".into()));
    let object = std::sync::Arc::new(world.guarded());
    let waits: Vec<_> = (0..10).map(|_| super::error_policy(object.clone(), &error, world.context.clone())).collect();
    assert_eq!(waits[0], Action::requeue(Pace::Store.wait(1, world::UID)));
    assert_eq!(waits[9], Action::requeue(Pace::Store.wait(10, world::UID)));
    assert!(Pace::Store.wait(10, world::UID) >= Duration::from_secs(30));
}

fn requeue(seconds: u64) -> Action {
    Action::requeue(Duration::from_secs(seconds))
}
