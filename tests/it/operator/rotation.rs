//! A new value because somebody asks for one, and none because nobody does.

use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::scene::{Says, Scene};

#[tokio::test]
async fn each_text_of_rotate_at_makes_one_version_for_ever() {
    let scene = Scene::new().await;
    let rotate = async |text: &str| {
        scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!(text)).await;
    };
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let first = scene.values("db").await;

    rotate("monday").await;
    let second = scene.status("db", "version 2", |object| object.version() == 2).await;
    let version = second.status.as_ref().unwrap().current_version.clone().unwrap();
    assert_eq!((version.reason.as_str(), second.condition("RotationDue").reason.as_str()), ("Requested", "NotDue"));
    let asked = |object: &Credential| object.status.clone().unwrap().rotation.unwrap().last_request;
    assert_eq!(asked(&second).as_deref(), Some("monday"));
    let on_monday = scene.values("db").await;
    assert!(first != on_monday);
    assert_eq!(scene.events_until("db", 1).await, ["Normal Rotated: version 2 (Requested)"]);

    rotate("tuesday").await;
    scene.status("db", "version 3", |object| object.version() == 3).await;
    let on_tuesday = scene.values("db").await;

    // A manifest that carries the text of yesterday asks for nothing.
    rotate("monday").await;
    let used = |object: &Credential| object.condition("RotationDue").reason == "RequestAlreadyUsed";
    let object = scene.status("db", "the used request", used).await;
    let due = object.condition("RotationDue");
    assert_eq!(due.status, "False");
    assert_eq!(
        due.message,
        format!(
            "this text of credsmith.dev/rotate-at made version {} before: use another text to rotate again",
            version.id
        )
    );
    assert!(object.version() == 3 && object.has("Ready") && scene.values("db").await == on_tuesday);
}

#[tokio::test]
async fn the_first_version_meets_the_request_of_its_manifest() {
    let scene = Scene::new().await;
    let dated = json!({"credsmith.dev/rotate-at": "2020-01-01T00:00:00Z"});
    scene.apply_annotated("db", dated.clone(), json!({"type": "password"})).await;
    assert_eq!(scene.reason("db", "InSync").await.version(), 1);
    let value = scene.values("db").await;
    scene.delete("db").await;
    scene.apply_annotated("db", dated, json!({"type": "password"})).await;
    assert_eq!(scene.reason("db", "InSync").await.version(), 1);
    assert!(scene.values("db").await == value);
}

#[tokio::test]
async fn a_given_value_is_not_rotated_by_annotation() {
    let scene = Scene::new().await;
    scene.source("s", json!({"k": "given-by-hand"})).await;
    let spec = json!({"type": "value", "value": {"fromSecret": {"name": "s", "key": "k"}}});
    scene.apply_annotated("db", json!({"credsmith.dev/rotate-at": "1"}), spec).await;
    let object = scene
        .status("db", "version 1 in sync", |object| {
            object.has("Ready") && !object.condition("RotationDue").message.is_empty()
        })
        .await;
    assert_eq!(
        object.condition("RotationDue").message,
        "a given value is not generated, so credsmith.dev/rotate-at makes nothing: change the source or set it over the API"
    );
    assert_eq!(object.version(), 1);
}

#[tokio::test]
async fn other_parameters_make_nothing_until_somebody_asks() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let before = scene.values("db").await;
    scene.apply("db", json!({"type": "password", "password": {"length": 40}})).await;
    let drifted = |object: &Credential| object.condition("Generated").reason == "ParametersDrifted";
    let object = scene.status("db", "the drift", drifted).await;
    assert_eq!(
        object.condition("Generated").message,
        "version 1 was made from other parameters and stays: annotate credsmith.dev/rotate-at=<any text> to make a new one"
    );
    assert!(object.has("Ready") && scene.values("db").await == before);
    scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!("1")).await;
    let object = scene.status("db", "version 2", |object| object.version() == 2).await;
    assert_eq!(object.condition("Generated").reason, "Generated");
    assert_eq!(scene.values("db").await["password"].len(), 40);

    // Absent and the default mean the same, so there is no drift between them.
    scene.apply("other", json!({"type": "password"})).await;
    scene.reason("other", "InSync").await;
    scene.apply("other", json!({"type": "password", "password": {"length": 30, "excludeUpper": false}})).await;
    assert_eq!(scene.reason("other", "InSync").await.condition("Generated").reason, "Generated");
}

#[tokio::test]
async fn nothing_is_done_while_an_object_is_paused() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let before = scene.values("db").await;
    scene.annotate::<Credential>("db", "credsmith.dev/paused", json!("true")).await;
    let paused = scene.reason("db", "Paused").await;
    assert_eq!(paused.message(), "nothing is done until the annotation credsmith.dev/paused is gone");
    assert!(paused.has("Ready"), "what was there is still served");

    let edit = Patch::Merge(json!({"stringData": {"password": "edited-by-hand"}}));
    scene.api::<Secret>().patch("db", &PatchParams::default(), &edit).await.unwrap();
    scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!("1")).await;
    scene.annotate::<Credential>("db", "credsmith.dev/reconcile-at", json!("1")).await;
    // An edit of the spec shows when it was looked at since.
    scene.apply("db", json!({"type": "password", "description": "looked at"})).await;
    assert_eq!(echo(&scene.reason("db", "Paused").await), None, "a request is not met while it is paused");
    assert!(scene.values("db").await["password"] == "edited-by-hand");

    scene.annotate::<Credential>("db", "credsmith.dev/paused", json!(null)).await;
    let object = scene.status("db", "version 2", |object| object.version() == 2).await;
    assert!(object.has("Ready"));
    let after = scene.values("db").await;
    assert!(after != before && after["password"] != "edited-by-hand");
}

#[tokio::test]
async fn a_request_to_look_again_is_echoed() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let before = scene.secret("db").await;
    for text in ["1", "2"] {
        scene.annotate::<Credential>("db", "credsmith.dev/reconcile-at", json!(text)).await;
        scene.status("db", "the echo", |object| echo(object) == Some(text)).await;
    }
    assert_eq!(scene.secret("db").await.resource_version(), before.resource_version());
}

fn echo(object: &Credential) -> Option<&str> {
    object.status.as_ref()?.last_reconcile_request.as_deref()
}
