//! A namespace that is made again under the same name is another one.

use serde_json::json;

use super::scene::{Says, Scene};

#[tokio::test]
async fn a_namespace_made_again_does_not_inherit_until_an_administrator_says_so() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let value = scene.values("db").await;
    let before = uid(&scene).await;

    let scene = scene.made_again().await;
    let path = scene.path("db");
    scene.apply("db", json!({"type": "password"})).await;
    let object = scene.reason("db", "AdoptionNeedsApproval").await;
    assert_eq!(
        object.message(),
        format!(
            "{path} holds versions of another namespace with UID {before}: a cluster administrator lets this one have them \
             with kubectl annotate namespace {} credsmith.dev/inherits={before}",
            scene.name()
        )
    );
    assert!(!object.has("Ready") && object.version() == 0);
    scene.no_secret("db").await;

    // The next step that the message names.
    let inherits = format!("credsmith.dev/inherits={before}");
    scene.cluster.kubectl(&["annotate", "namespace", scene.name(), &inherits], "").await.unwrap();
    let object = scene.reason("db", "InSync").await;
    assert_eq!(object.version(), 1);
    assert!(scene.values("db").await == value, "approved, and yet another value");
}

async fn uid(scene: &Scene) -> String {
    let get = ["get", "namespace", scene.name(), "--output=jsonpath={.metadata.uid}"];
    scene.cluster.kubectl(&get, "").await.unwrap()
}
