//! What becomes of value and Secret when an object goes.

use credsmith_operator::Credential;
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use super::scene::{Says, Scene};

#[tokio::test]
async fn a_deleted_object_leaves_its_value_and_finds_it_again() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let applied = scene.apply("db", json!({"type": "password"})).await;
    assert!(scene.reason("db", "InSync").await.finalizers().is_empty());
    let value = scene.values("db").await;
    scene.delete("db").await;
    scene.no_secret("db").await;
    assert!(app.value(&scene.path("db")).await == value["password"].as_str());

    let again = scene.apply("db", json!({"type": "password"})).await;
    assert_ne!(applied.uid(), again.uid());
    assert_eq!(scene.reason("db", "InSync").await.version(), 1);
    assert!(scene.values("db").await == value);
}

#[tokio::test]
async fn with_the_policy_delete_the_value_goes_along_and_the_name_is_free() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.apply("db", json!({"type": "password", "deletionPolicy": "Delete"})).await;
    let object = scene.reason("db", "InSync").await;
    assert_eq!(object.finalizers(), ["credsmith.dev/store"]);
    let (id, value) = (object.status.unwrap().credential_id, scene.values("db").await);
    scene.delete("db").await;
    scene.no_secret("db").await;
    let answer = app.get(&format!("/api/v1/data?name={}", scene.path("db"))).await;
    assert_eq!(answer.status, 404);
    let told =
        format!("Normal SoftDeleted: {} is deleted; its versions stay for the time of retention", scene.path("db"));
    assert_eq!(scene.events_until("db", 1).await, [told]);

    // Another type, another id, never the old bytes.
    scene.apply("db", json!({"type": "user"})).await;
    let object = scene.reason("db", "InSync").await;
    assert_eq!(object.version(), 1);
    assert!(object.status.unwrap().credential_id != id && scene.values("db").await["password"] != value["password"]);
}

#[tokio::test]
async fn the_finalizer_comes_and_goes_with_the_policy() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.apply("db", json!({"type": "password", "deletionPolicy": "Delete"})).await;
    scene.reason("db", "InSync").await;
    scene.apply("db", json!({"type": "password"})).await;
    let without = |object: &Credential| object.finalizers().is_empty() && object.has("Ready");
    scene.status("db", "no finalizer", without).await;
    scene.delete("db").await;
    assert!(app.value(&scene.path("db")).await.is_string());
}

#[tokio::test]
async fn a_retained_secret_stays_and_is_taken_up_again() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password", "target": {"deletionPolicy": "Retain"}})).await;
    scene.reason("db", "InSync").await;
    let secret = scene.secret("db").await;
    assert!(secret.owner_references().is_empty());
    let value = scene.values("db").await;
    scene.delete("db").await;
    assert!(scene.values("db").await == value);

    scene.apply("db", json!({"type": "password"})).await;
    let object = scene.reason("db", "InSync").await;
    assert!(scene.values("db").await == value);
    let taken = scene.secret("db").await;
    assert_eq!(taken.uid(), secret.uid());
    assert_eq!(taken.owner_references()[0].uid, object.uid().unwrap());
}

#[tokio::test]
async fn a_path_is_had_by_one_object_and_passes_to_the_next() {
    let scene = Scene::new().await;
    let path = scene.path("shared");
    scene.apply("first", json!({"type": "password", "path": path})).await;
    scene.reason("first", "InSync").await;
    let value = scene.values("first").await;
    scene.apply("second", json!({"type": "password", "path": path})).await;
    let object = scene.reason("second", "PathOwned").await;
    assert_eq!(
        object.message(),
        format!(
            "the path {path} belongs to the Credential {}/first: choose another spec.path, or delete that object",
            scene.name()
        )
    );
    scene.api::<Credential>().delete("first", &DeleteParams::default()).await.unwrap();
    assert_eq!(scene.reason("second", "InSync").await.version(), 1);
    assert!(scene.values("second").await == value);
}
