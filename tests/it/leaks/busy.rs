//! A busy quarter of a minute: values of every origin, refusals that carry values, a damaged row, watches that break off.

mod keys;

use credsmith_harness::{control_plane::Component, process::Signal, state::random_hex};
use credsmith_operator::Credential;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::operator::scene::{Caller, Says, Scene, damage};

/// Drives the operator that all tests share. The name of the scene's namespace is the text that is planted: it stands in
/// names, paths, labels and messages, so it must be found everywhere.
pub async fn run(scene: &Scene, app: &Caller) {
    join_all((0..OBJECTS).map(|nth| generated(scene, nth))).await;
    join_all((0..OBJECTS).map(|nth| given(scene, app, nth))).await;
    for round in 1..=ROTATIONS {
        join_all((0..OBJECTS).map(|nth| rotated(scene, nth, round))).await;
    }
    for batch in 0..SETS / SIDE_BY_SIDE {
        join_all((0..SIDE_BY_SIDE).map(|nth| set(scene, app, batch * SIDE_BY_SIDE + nth))).await;
    }
    refused(scene, app).await;
    keys::run(scene, app).await;
    damaged(scene).await;
}

/// A password or a user, made by the operator.
async fn generated(scene: &Scene, nth: usize) {
    let kind = if nth.is_multiple_of(2) { "password" } else { "user" };
    let name = format!("made-{nth}");
    scene.apply(&name, json!({"type": kind})).await;
    scene.reason(&name, "InSync").await;
}

/// A value or a document, from a Secret or over the API.
async fn given(scene: &Scene, app: &Caller, nth: usize) {
    let name = format!("given-{nth}");
    let path = scene.path(&name);
    let secret = format!("imported \"{}\" äöü/+?&", fresh());
    match nth % 4 {
        0 => {
            scene.source(&format!("source-{nth}"), json!({"k": secret})).await;
            let from = json!({"fromSecret": {"name": format!("source-{nth}"), "key": "k"}});
            scene.apply(&name, json!({"type": "value", "value": from})).await;
        }
        1 => {
            scene.source(&format!("source-{nth}"), json!({"k": json!({"inner": secret}).to_string()})).await;
            let from = json!({"fromSecret": {"name": format!("source-{nth}"), "key": "k"}});
            scene.apply(&name, json!({"type": "json", "json": from})).await;
        }
        2 => {
            scene.apply(&name, json!({"type": "value"})).await;
            scene.reason(&name, "WaitingForInput").await;
            app.put(json!({"name": path, "type": "value", "value": secret})).await;
        }
        _ => {
            scene.stranger(&name, json!({"password": secret, "other": "x"})).await;
            scene.allow(&name).await;
            scene.apply(&name, json!({"type": "password", "target": {"onConflict": "Adopt"}})).await;
        }
    }
    scene.reason(&name, "InSync").await;
}

async fn rotated(scene: &Scene, nth: usize, round: i64) {
    let name = format!("made-{nth}");
    scene.annotate::<Credential>(&name, "credsmith.dev/rotate-at", json!(format!("round {round}"))).await;
    scene.status(&name, "another version", |object| object.version() == round + 1).await;
}

/// Set and generated over the API, without an object.
async fn set(scene: &Scene, app: &Caller, nth: usize) {
    let path = scene.path(&format!("api/{nth}"));
    let value = format!("{} \\ {} \u{1F511}", fresh(), fresh());
    let answer = match nth % 4 {
        0 => app.put(json!({"name": path, "type": "value", "value": value})).await,
        1 => app.put(json!({"name": path, "type": "json", "value": {"a": {"b": [value]}}})).await,
        2 => app.put(json!({"name": path, "type": "user", "value": {"username": "u", "password": value}})).await,
        _ => app.post(json!({"name": path, "type": "password", "parameters": {"length": 64}})).await,
    };
    assert_eq!(answer.status, 200, "a set was refused");
    assert_eq!(app.get(&format!("/api/v1/data?name={path}")).await.status, 200);
}

/// Whatever is wrong with a request, its value is not in the answer and not in a log. The values are stored first, so
/// that the scan knows them.
async fn refused(scene: &Scene, app: &Caller) {
    let (path, value) = (scene.path("refused"), fresh());
    assert_eq!(app.put(json!({"name": path, "type": "value", "value": value})).await.status, 200);
    let made = scene.path("made-0");
    // Not as the name of a key: an unknown key is named in the answer, to whoever sent it.
    let bodies = [
        format!(r#"{{"name":"{path}","type":"value","value":"{value}"#),
        format!(r#"{{"name":"{path}","type":"value","value":"{value}"}}{value}"#),
        format!(r#"{{"name":"{path}","type":"value","value":["{value}"]}}"#),
        format!(r#"{{"name":"{path}","type":"password","value":"{value}"}}"#),
        format!(r#"{{"name":"{path}","type":"{value}","value":"x"}}"#),
        format!(r#"{{"name":"{path}","type":"user","value":"{value}"}}"#),
        format!(r#"{{"name":"{made}","type":"password","value":"{value}"}}"#),
        format!(r#"{{"name":"/elsewhere/x","type":"value","value":"{value}"}}"#),
        format!("\"{value}\""),
        format!(r#"{{"name":"{path}","type":"value","value":"{}"}}"#, value.repeat(3000)),
        format!(r#"{{"name":"{path}","type":"value","value":"{}"}}"#, value.repeat(30_000)),
    ];
    for body in &bodies {
        for method in ["PUT", "POST"] {
            let answer = app.send(method, "/api/v1/data", body).await;
            assert!(answer.status >= 400, "{method} of a bad body is answered with {}", answer.status);
        }
    }
    for uri in ["/api/v1/data?name=", "/api/v1/data?path=/&name-like=", "/api/v1/", "/"] {
        let answer = app.send("PATCH", &format!("{uri}{value}"), "{}").await;
        assert!(answer.status >= 400);
    }
    app.delete(&made).await; // owned by an object, which the refusal names
}

/// A stranger overwrites a Secret.
async fn repaired(scene: &Scene) {
    let values = scene.values("made-0").await;
    let edit = Patch::Merge(json!({"stringData": {"password": fresh()}}));
    scene.api::<Secret>().patch("made-0", &PatchParams::default(), &edit).await.unwrap();
    scene.shows("made-0", "password", &values["password"]).await;
    scene.events_until("made-0", 1).await;
}

async fn damaged(scene: &Scene) {
    let object = scene.reason("made-2", "InSync").await;
    damage(scene.operator, &object.status.unwrap().current_version.unwrap().id);
    scene.annotate::<Credential>("made-2", "credsmith.dev/reconcile-at", json!("now")).await;
    scene.reason("made-2", "StoreSealed").await;
}

/// The API server goes away in the middle of watches and comes back; so does the operator, and with it its store is
/// closed and opened. Only where nobody else needs them.
pub async fn interrupted(scene: &Scene) {
    if let Some(plane) = scene.cluster.own() {
        plane.kill(Component::Apiserver, Signal::KILL).await.unwrap();
        plane.start_again(Component::Apiserver).await.unwrap();
    }
    scene.operator.restart().await.unwrap();
    scene.operator.ready().await.unwrap();
    // Once more after it, so that the pages of the new process and the log of the store hold something too.
    let late = json!({"type": "password", "description": format!("planted: {}", scene.name())});
    let apply = || async { Ok(Some(scene.try_apply("late", json!({}), late.clone()).await?)) };
    scene.until("an apply", apply).await;
    scene.reason("late", "InSync").await;
    scene.annotate::<Credential>("late", "credsmith.dev/rotate-at", json!("once")).await;
    scene.status("late", "version 2", |object| object.version() == 2).await;
    repaired(scene).await;
}

/// 24 characters that nobody has seen before.
fn fresh() -> String {
    random_hex(12)
}

const OBJECTS: usize = 24;
const ROTATIONS: i64 = 4;
const SETS: usize = 320;
const SIDE_BY_SIDE: usize = 16;
