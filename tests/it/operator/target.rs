//! Which Secret it is, and what stands in it: `spec.target`.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;

use super::scene::{Says, Scene};

#[tokio::test]
async fn the_target_has_the_name_type_keys_and_metadata_that_are_asked_for() {
    let scene = Scene::new().await;
    let target = json!({
        "name": "orders-env", "type": "example.com/env",
        "keys": {"DB_USER": "username", "DB_PASSWORD": "password"},
        "metadata": {"labels": {"app": "orders"}, "annotations": {"example.com/team": "blue"}},
    });
    scene.apply("db", json!({"type": "user", "user": {"username": "orders"}, "target": target})).await;
    let object = scene.reason("db", "InSync").await;
    assert_eq!(object.status.unwrap().targets.unwrap().name.as_deref(), Some("orders-env"));
    let secret = scene.secret("orders-env").await;
    assert_eq!(secret.type_.as_deref(), Some("example.com/env"));
    assert_eq!(
        (secret.labels()["app"].as_str(), secret.annotations()["example.com/team"].as_str()),
        ("orders", "blue")
    );
    let values = scene.values("orders-env").await;
    assert_eq!(values.keys().collect::<Vec<_>>(), ["DB_PASSWORD", "DB_USER"]);
    assert_eq!(values["DB_USER"], "orders");
}

#[tokio::test]
async fn a_key_that_is_dropped_disappears_and_a_label_too() {
    let scene = Scene::new().await;
    let keys = json!({"a": "password", "b": "password"});
    let target = json!({"keys": keys, "metadata": {"labels": {"one": "1", "two": "2"}}});
    scene.apply("db", json!({"type": "password", "target": target})).await;
    scene.reason("db", "InSync").await;
    let before = scene.values("db").await;
    assert!(before["a"] == before["b"]);
    let target = json!({"keys": {"b": "password"}, "metadata": {"labels": {"two": "2"}}});
    scene.apply("db", json!({"type": "password", "target": target})).await;
    scene.reason("db", "InSync").await;
    let after = scene.values("db").await;
    assert!(after.len() == 1 && after["b"] == before["b"], "its keys are {:?}", after.keys());
    assert!(!scene.secret("db").await.labels().contains_key("one"));
}

#[tokio::test]
async fn a_target_with_another_name_takes_the_place_of_the_one_before() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password", "target": {"name": "before"}})).await;
    scene.reason("db", "InSync").await;
    let value = scene.values("before").await.remove("password").unwrap();
    scene.apply("db", json!({"type": "password", "target": {"name": "after"}})).await;
    scene.shows("after", "password", &value).await;
    scene.no_secret("before").await;
    assert_eq!(scene.reason("db", "InSync").await.version(), 1);
}

#[tokio::test]
async fn a_target_of_another_type_is_made_anew_with_the_same_value() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "user"})).await;
    scene.reason("db", "InSync").await;
    let before = scene.values("db").await;
    scene.apply("db", json!({"type": "user", "target": {"type": "Opaque"}})).await;
    let object = scene.reason("db", "InSync").await;
    assert_eq!(scene.secret("db").await.type_.as_deref(), Some("Opaque"));
    assert!(scene.values("db").await == before && object.version() == 1);
}

#[tokio::test]
async fn a_disabled_target_keeps_the_value_in_the_store_alone() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let value = scene.values("db").await.remove("password").unwrap();
    scene.apply("db", json!({"type": "password", "target": {"disabled": true}})).await;
    let object = scene.reason("db", "StoredOnly").await;
    assert!(object.has("Ready") && object.condition("Projected").reason == "NotRequested");
    scene.no_secret("db").await;
    assert!(scene.caller().await.value(&scene.path("db")).await == value.as_str());
}

#[tokio::test]
async fn a_type_that_gives_rights_of_its_own_is_refused() {
    let scene = Scene::new().await;
    let dangerous = ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"];
    for secret_type in dangerous {
        scene.apply("db", json!({"type": "password", "target": {"type": secret_type}})).await;
        let message = format!(
            "spec.target.type {secret_type} is refused: Secrets of that type give rights of their own; use Opaque"
        );
        let object = scene.status("db", "the refusal", |object| object.message() == message).await;
        assert_eq!(object.condition("Ready").reason, "TargetFailed");
        assert_eq!(object.condition("Projected").reason, "ForbiddenType");
        assert!(object.has("Stalled"));
    }
    assert!(scene.api::<Secret>().get_opt("db").await.unwrap().is_none());
}

#[tokio::test]
async fn keys_that_cannot_be_are_refused_by_name() {
    let scene = Scene::new().await;
    let table = [
        (json!({"keys": {"a": "username"}}), "spec.target.keys: username is no part of type password, use password"),
        (
            json!({"keys": {"a b": "password"}}),
            "spec.target.keys: a b cannot be a key of a Secret, use letters, digits, - _ and .",
        ),
        (
            json!({"type": "kubernetes.io/tls"}),
            "spec.target.type kubernetes.io/tls needs the key tls.crt: add it to spec.target.keys or use Opaque",
        ),
    ];
    for (target, message) in table {
        scene.apply("db", json!({"type": "password", "target": target})).await;
        let object = scene.status("db", message, |object| object.message() == message).await;
        assert_eq!(object.condition("Ready").reason, "InvalidSpec");
    }
}

#[tokio::test]
async fn a_secret_that_the_api_server_would_refuse_is_refused_before_a_value_is_made() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let labels = |key: &str, value: &str| json!({"metadata": {"labels": {key: value}}});
    let annotations = |key: &str| json!({"metadata": {"annotations": {key: "x"}}});
    let long = "x".repeat(64);
    let table = [
        ("value", labels("app", &long), "spec.target.metadata.labels: the value of app "),
        ("key", labels("a b", "x"), "spec.target.metadata.labels: a b "),
        ("note", annotations("example.com/"), "spec.target.metadata.annotations: example.com/ "),
        ("dots", json!({"keys": {"..a": "password"}}), "spec.target.keys: ..a cannot be a key of a Secret"),
        (
            "docker",
            json!({"type": "kubernetes.io/dockerconfigjson", "keys": {".dockerconfigjson": "password"}}),
            "spec.target.type kubernetes.io/dockerconfigjson holds a JSON document",
        ),
    ];
    for (name, target, start) in &table {
        scene.apply(name, json!({"type": "password", "target": target})).await;
        let object = scene.reason(name, "InvalidSpec").await;
        assert!(object.message().starts_with(start) && object.has("Stalled"), "{}", object.message());
        let stored = app.get(&format!("/api/v1/data?name={}", scene.path(name))).await;
        assert_eq!((object.version(), stored.status), (0, 404), "{name}: something is stored");
    }
    // At its edges it is taken by both.
    let edges = json!({"metadata": {
        "labels": {"a": &long[1..], format!("{}/A-1_b.c", "x".repeat(253)): "", "example.com/b": "A-1_b.c"},
        "annotations": {"Example.COM/a": "any\nthing"},
    }});
    scene.apply("edges", json!({"type": "password", "target": edges})).await;
    scene.reason("edges", "InSync").await;
}
