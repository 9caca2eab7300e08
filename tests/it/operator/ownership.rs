//! Which paths a `Credential` may have.

use credsmith_harness::namespace::Namespace;
use credsmith_operator::Credential;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::scene::{Says, Scene, until};

#[tokio::test]
async fn a_path_outside_of_the_namespace_is_denied() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password", "path": "/billing/db"})).await;
    let object = scene.reason("db", "PolicyDenied").await;
    let message = format!(
        "spec.path /billing/db lies outside /{}/: an object may only have paths below its own namespace",
        scene.name()
    );
    assert_eq!(object.message(), message);
    assert!(object.has("Stalled"));
    assert_eq!(scene.events_until("db", 1).await, [format!("Warning PolicyDenied: {message}")]);
    scene.no_secret("db").await;
}

#[tokio::test]
async fn a_path_that_breaks_the_rules_is_told_where() {
    let scene = Scene::new().await;
    let at = scene.name().len() + 3;
    let table = [
        (
            "blank",
            format!("/{}/a b", scene.name()),
            format!(
                "spec.path: the name holds ' ' at position {at}: only letters, digits and - _ / . : , ( ) [ ] + may stand in \
                 a name"
            ),
        ),
        (
            "empty",
            format!("/{}//a", scene.name()),
            "spec.path: the name has an empty segment: it must not hold // nor end with a slash".to_owned(),
        ),
    ];
    for (name, path, message) in table {
        scene.apply(name, json!({"type": "password", "path": path})).await;
        let object = scene.reason(name, "InvalidSpec").await;
        assert_eq!((object.message(), object.has("Stalled")), (message, true));
    }
}

#[tokio::test]
async fn the_namespaces_of_the_other_families_are_refused() {
    let scene = Scene::new().await;
    if scene.cluster.powers("namespaces tower and tines").is_none() {
        return;
    }
    for name in ["tower", "tines"] {
        let namespace = Namespace::named(scene.cluster, name).await.unwrap();
        let objects: Api<Credential> = Api::namespaced(scene.client.clone(), name);
        let object = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": "db"},
            "spec": {"type": "password"},
        });
        objects.patch("db", &PatchParams::apply("test"), &Patch::Apply(&object)).await.unwrap();
        let ready = || async {
            Ok(Some(objects.get("db").await?).filter(|object| object.message() != "" && object.status.is_some()))
        };
        let object = until("what it says", ready).await;
        assert_eq!(object.condition("Ready").reason, "PolicyDenied");
        assert_eq!(
            object.message(),
            format!("namespace {name} is reserved for the records of another API: use another namespace")
        );
        drop(namespace);
    }
}

#[tokio::test]
async fn what_was_born_over_the_api_needs_a_word_from_an_administrator() {
    let (scene, elsewhere) = (Scene::new().await, Scene::new().await);
    let path = scene.path("token");
    let stranger = elsewhere.caller_of("stranger", scene.name()).await;
    let set = stranger.put(json!({"name": path, "type": "value", "value": "set-from-elsewhere"})).await;
    assert_eq!(set.status, 200);
    scene.apply("token", json!({"type": "value"})).await;
    assert_eq!(
        scene.reason("token", "AdoptionNeedsApproval").await.message(),
        format!(
            "{path} was made over the API, not by this namespace: a cluster administrator lets it have them with kubectl \
             annotate namespace {0} credsmith.dev/inherits=api",
            scene.name()
        )
    );
    scene.no_secret("token").await;

    // The next step that the message names.
    let annotate = ["annotate", "namespace", scene.name(), "credsmith.dev/inherits=api"];
    scene.cluster.kubectl(&annotate, "").await.unwrap();
    scene.shows("token", "value", "set-from-elsewhere").await;
    let object = scene.reason("token", "InSync").await;
    assert_eq!(object.version(), 1);
    assert_eq!(
        scene.events_until("token", 1).await,
        [format!("Normal Adopted: the versions at {path} are this object's now")]
    );
}

#[tokio::test]
async fn what_a_service_account_of_the_namespace_wrote_is_the_namespaces_own() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    for name in ["one", "two"] {
        let set = app.put(json!({"name": scene.path(name), "type": "value", "value": "set-from-here"})).await;
        assert_eq!(set.status, 200);
    }
    scene.apply("one", json!({"type": "value"})).await;
    scene.shows("one", "value", "set-from-here").await;

    scene.apply("two", json!({"type": "value", "adoption": {"mode": "Never"}})).await;
    assert_eq!(
        scene.reason("two", "AdoptionNeedsApproval").await.message(),
        format!(
            "{} holds versions that no Credential of this namespace made, and spec.adoption.mode is Never: set it to \
             IfPresent, or choose another spec.path",
            scene.path("two")
        )
    );
    scene.apply("two", json!({"type": "value", "adoption": {"mode": "IfPresent"}})).await;
    scene.shows("two", "value", "set-from-here").await;
}

#[tokio::test]
async fn what_a_service_account_of_the_namespace_before_wrote_needs_approval() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let path = scene.path("x");
    assert_eq!(app.put(json!({"name": path, "type": "value", "value": "set-before"})).await.status, 200);
    let scene = scene.made_again().await;
    scene.apply("x", json!({"type": "value"})).await;
    assert_eq!(
        scene.reason("x", "AdoptionNeedsApproval").await.message(),
        format!(
            "{path} was made over the API, not by this namespace: a cluster administrator lets it have them with kubectl \
             annotate namespace {} credsmith.dev/inherits=api",
            scene.name()
        )
    );
    scene.no_secret("x").await;
    // The next step that the message names.
    let annotate = ["annotate", "namespace", scene.name(), "credsmith.dev/inherits=api"];
    scene.cluster.kubectl(&annotate, "").await.unwrap();
    scene.shows("x", "value", "set-before").await;
}

#[tokio::test]
async fn a_path_of_another_type_is_not_taken() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let path = scene.path("db");
    app.put(json!({"name": path, "type": "value", "value": "a-plain-value"})).await;
    scene.apply("db", json!({"type": "password"})).await;
    let object = scene.reason("db", "InvalidSpec").await;
    assert_eq!(
        object.message(),
        format!(
            "spec.type password at {path}: the credential has type value, and a credential keeps its type for life: delete \
             it first or choose another name"
        )
    );
    assert!(object.has("Stalled"));
}
