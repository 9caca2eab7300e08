//! A row of the store is damaged: it is told apart from one that is not there, and costs nothing but itself.

use credsmith_operator::Credential;
use serde_json::json;

use super::scene::{Says, Scene, damage};

#[tokio::test]
async fn a_damaged_version_is_named_and_hurts_nobody_else() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    for name in ["torn", "fine"] {
        scene.apply(name, json!({"type": "password"})).await;
    }
    let object = scene.reason("torn", "InSync").await;
    scene.reason("fine", "InSync").await;
    let id = object.status.unwrap().current_version.unwrap().id;
    let values = scene.values("torn").await;
    damage(scene.operator, &id);

    scene.annotate::<Credential>("torn", "credsmith.dev/reconcile-at", json!("1")).await;
    let object = scene.reason("torn", "StoreSealed").await;
    assert_eq!(
        object.message(),
        format!(
            "version {id}: tampered with: it does not open under its key: restore the store from a backup, or delete this object \
             and then the credential over the API (still serving version 1)"
        )
    );
    assert!(scene.values("torn").await == values, "the Secret was touched");
    let answer = app.get(&format!("/api/v1/data?name={}", scene.path("torn"))).await;
    assert_eq!(
        (answer.status, answer.json().unwrap()),
        (
            500,
            json!({
                "error": "the stored value cannot be opened, and nothing was changed: ask the administrator of the server, \
                          whose log names the version and the cause"
            })
        )
    );
    assert!(app.value(&scene.path("fine")).await.is_string());

    // The next step that the message names.
    scene.delete("torn").await;
    scene
        .until("the release of the path", || async {
            Ok((app.delete(&scene.path("torn")).await.status == 204).then_some(()))
        })
        .await;
    scene.apply("torn", json!({"type": "password"})).await;
    assert_eq!(scene.reason("torn", "InSync").await.version(), 1);
    assert!(scene.values("torn").await != values);
}
