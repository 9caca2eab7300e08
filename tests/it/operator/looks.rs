//! What people and their tools see: columns, conditions, events, and the certificate authority for clients.

use credsmith_operator::Credential;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    events::v1::Event,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::scene::{Says, Scene};

#[tokio::test]
async fn kubectl_get_shows_what_matters() {
    let scene = Scene::new().await;
    scene.apply("orders-db", json!({"type": "user"})).await;
    scene.apply("licence", json!({"type": "value"})).await;
    scene.reason("orders-db", "InSync").await;
    scene.reason("licence", "WaitingForInput").await;

    let table = scene.kubectl(&["get", "credentials"], "").await.unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let columns = ["NAME", "TYPE", "READY", "REASON", "VERSION", "ROTATED", "NEXT", "ROTATION", "AGE"];
    assert_eq!(rows[0], columns, "{table}");
    assert_eq!(rows[1][..4], ["licence", "value", "False", "WaitingForInput"], "{table}");
    assert_eq!(rows[2][..5], ["orders-db", "user", "True", "InSync", "1"], "{table}");
    assert_eq!(rows[2][6], "manual", "{table}");

    let wide = scene.kubectl(&["get", "cred", "orders-db", "--output=wide"], "").await.unwrap();
    let rows: Vec<Vec<&str>> = wide.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][9..], ["EXPIRES", "SECRET", "PATH", "SIGNED-BY"], "{wide}");
    assert!(
        wide.contains(&scene.path("orders-db")) && rows[1].iter().filter(|cell| **cell == "orders-db").count() == 2
    );

    let all = scene.kubectl(&["get", "creds-all", "--output=name"], "").await.unwrap();
    assert_eq!(all, "credential.credsmith.dev/licence\ncredential.credsmith.dev/orders-db\n");
    let values =
        scene.kubectl(&["get", "credentials", "--field-selector=spec.type=value", "--output=name"], "").await.unwrap();
    assert_eq!(values, "credential.credsmith.dev/licence\n");
}

#[tokio::test]
async fn conditions_speak_of_the_spec_as_it_is() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    let object = scene.reason("db", "InSync").await;
    let types: Vec<_> = object.status.as_ref().unwrap().conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(types, ["Ready", "Generated", "Projected", "RotationDue"]);
    let transition = object.condition("Ready").last_transition_time;

    let spec = json!({"type": "password", "target": {"metadata": {"labels": {"app": "orders"}}}});
    let applied = scene.apply("db", spec).await;
    let object = scene.reason("db", "InSync").await;
    assert_eq!(object.metadata.generation, applied.metadata.generation);
    for condition in &object.status.as_ref().unwrap().conditions {
        assert_eq!(condition.observed_generation, object.metadata.generation, "{}", condition.type_);
    }
    assert_eq!(object.condition("Ready").last_transition_time, transition, "Ready has not changed");

    // kstatus: abnormal conditions stand while they are true.
    let stalled = scene.apply("bad", json!({"type": "password", "path": "/elsewhere/db"})).await.name_any();
    let object = scene.reason(&stalled, "PolicyDenied").await;
    assert!(object.has("Stalled") && object.condition("Reconciling").status == "absent");
    assert_eq!(object.condition("Stalled").message, object.message());
    scene.apply("late", json!({"type": "value"})).await;
    let object = scene.reason("late", "WaitingForInput").await;
    assert!(object.has("Reconciling") && object.condition("Stalled").status == "absent");
}

#[tokio::test]
async fn events_tell_changes_and_no_first_success() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let value = scene.values("db").await.remove("password").unwrap();
    let edit = Patch::Merge(json!({"stringData": {"password": "edited-by-hand"}}));
    let editor = PatchParams { field_manager: Some("curious-colleague".into()), ..PatchParams::default() };
    scene.api::<Secret>().patch("db", &editor, &edit).await.unwrap();
    scene.shows("db", "password", &value).await;
    let repaired = "Normal DriftRepaired: Secret db was changed by curious-colleague and is as it was";
    assert_eq!(scene.events_until("db", 1).await, [repaired]);

    // The very same again is counted, as events are everywhere; what says something else is an event of its own.
    scene.api::<Secret>().patch("db", &editor, &edit).await.unwrap();
    let twice = || async {
        let events = scene.api::<Event>().list(&ListParams::default()).await?.items;
        Ok(events.into_iter().find_map(|event| event.series).filter(|series| series.count == 2))
    };
    scene.until("the second repair", twice).await;
    scene.api::<Secret>().delete("db", &DeleteParams::default()).await.unwrap();
    scene.shows("db", "password", &value).await;
    let all = [repaired, "Normal DriftRepaired: Secret db was gone and is there again"];
    assert_eq!(scene.events_until("db", 2).await, all);

    // A change that is no news is told by nobody.
    scene.annotate::<Credential>("db", "credsmith.dev/reconcile-at", json!("1")).await;
    let echoed = |object: &Credential| object.status.as_ref().is_some_and(|s| s.last_reconcile_request.is_some());
    scene.status("db", "the echo", echoed).await;
    assert_eq!(scene.events("db").await, all);
}

#[tokio::test]
async fn each_stranger_and_each_rotation_is_named_in_an_event_of_its_own() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let value = scene.values("db").await.remove("password").unwrap();
    let edit = async |who: &str, edit: Value| {
        let editor = PatchParams { field_manager: Some(who.into()), ..PatchParams::default() };
        scene.api::<Secret>().patch("db", &editor, &Patch::Merge(edit)).await.unwrap();
    };
    for (nth, who) in ["alice", "bob"].into_iter().enumerate() {
        edit(who, json!({"stringData": {"password": "edited-by-hand"}})).await;
        scene.shows("db", "password", &value).await;
        scene.events_until("db", nth + 1).await;
    }
    // Whoever overwrites the label that says whose it is must not make it look as if we had.
    edit("carol", json!({"metadata": {"labels": {"credsmith.dev/owner-uid": "somebody-else"}}})).await;
    let changed = |who: &str| format!("Normal DriftRepaired: Secret db was changed by {who} and is as it was");
    assert_eq!(scene.events_until("db", 3).await, ["alice", "bob", "carol"].map(changed));
    for version in [2, 3] {
        scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!(version.to_string())).await;
        scene.status("db", "the rotation", |object| object.version() == version).await;
    }
    let rotated = ["Normal Rotated: version 2 (Requested)", "Normal Rotated: version 3 (Requested)"];
    assert_eq!(scene.events_until("db", 5).await[3..], rotated);
}

#[tokio::test]
async fn clients_find_the_certificate_authority_beside_the_credential() {
    let scene = Scene::new().await;
    let maps = scene.api::<ConfigMap>();
    assert!(maps.get_opt("credsmith-ca").await.unwrap().is_none(), "there is no Credential yet");
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let pem = scene.operator.ca().await.unwrap();
    let right = || async {
        let map = maps.get_opt("credsmith-ca").await?;
        Ok(map.and_then(|map| map.data?.remove("ca.crt")).filter(|now| *now == pem))
    };
    scene.until("the ConfigMap", right).await;

    maps.delete("credsmith-ca", &DeleteParams::default()).await.unwrap();
    scene.until("the ConfigMap after it was deleted", right).await;
    let edit = Patch::Merge(json!({"data": {"ca.crt": "another"}}));
    maps.patch("credsmith-ca", &PatchParams::default(), &edit).await.unwrap();
    scene.until("the ConfigMap after it was edited", right).await;
}
