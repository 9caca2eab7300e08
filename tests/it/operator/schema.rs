//! What the API server refuses by itself, with the words of our schema.

use credsmith_operator::Credential;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::scene::Scene;

#[tokio::test]
async fn a_manifest_that_cannot_be_meant_is_refused_with_the_reason() {
    let scene = Scene::new().await;
    let table = [
        (json!({"type": "passwort"}), "Unsupported value: \"passwort\""),
        (json!({"type": "password", "user": {"username": "a"}}), "user may only stand with type user"),
        (json!({"type": "password", "password": {}, "user": {}}), "user may only stand with type user"),
        (json!({"type": "user", "password": {}}), "password may only stand with type password"),
        (
            json!({"type": "password", "password": {"fromSecret": {"name": "s", "key": "k"}, "length": 20}}),
            "fromSecret stands alone in its block",
        ),
        (
            json!({"type": "user", "user": {"fromSecret": {"name": "s", "keys": {"password": "k"}}, "username": "a"}}),
            "fromSecret stands alone in its block",
        ),
        (
            json!({"type": "password", "adoption": {"fromSecret": {"name": "s", "key": "k", "keys": {"password": "k"}}}}),
            "give either key or keys",
        ),
        (json!({"type": "password", "adoption": {"fromSecret": {"name": "s"}}}), "give either key or keys"),
        (json!({"type": "password", "target": {"disabled": true, "name": "x"}}), "disabled stands alone in target"),
        (json!({"type": "password", "target": {"expand": true}}), "target.expand may only stand with type json"),
        (
            json!({"type": "json", "target": {"expand": true, "keys": {"a": "value"}}}),
            "keys may not stand beside expand",
        ),
        (
            json!({"type": "password", "target": {"metadata": {"labels": {"credsmith.dev/owner-uid": "x"}}}}),
            "labels below credsmith.dev are set by the operator",
        ),
        (
            json!({"type": "password", "target": {"metadata": {"annotations": {"credsmith.dev/version": "x"}}}}),
            "annotations below credsmith.dev are set by the operator",
        ),
        (json!({"type": "password", "target": {"name": "Not_A_Name"}}), "spec.target.name"),
        (json!({"type": "password", "target": {"onConflict": "Steal"}}), "Unsupported value: \"Steal\""),
        (json!({"type": "password", "password": {"length": 3}}), "should be greater than or equal to 4"),
        (json!({"type": "password", "password": {"length": 201}}), "should be less than or equal to 200"),
        (
            json!({"type": "password", "rotation": {"renewBefore": "33%"}}),
            "rotation.renewBefore may only stand with type certificate",
        ),
        (
            json!({"type": "password", "rotation": {"every": "1h", "schedule": "0 3 * * 6"}}),
            "give one of every, schedule or renewBefore",
        ),
        (json!({}), "spec.type: Required value"),
    ];
    for (spec, message) in table {
        let refused = refused(&scene, "bad", spec.clone()).await;
        assert!(refused.contains(message), "{spec}: {refused}");
    }
}

#[tokio::test]
async fn type_and_path_are_for_life() {
    let scene = Scene::new().await;
    let (one, two) = (scene.path("one"), scene.path("two"));
    scene.apply("with", json!({"type": "password", "path": one})).await;
    scene.apply("without", json!({"type": "password"})).await;
    let (for_life, path) = (
        "is immutable: delete the object and create another",
        "path is immutable: delete the object and create another",
    );
    let table = [
        ("with", json!({"type": "user", "path": one}), format!("type {for_life}")),
        ("with", json!({"type": "password", "path": two}), path.to_owned()),
        ("with", json!({"type": "password", "path": null}), path.to_owned()),
        ("without", json!({"type": "password", "path": scene.path("without")}), path.to_owned()),
    ];
    for (name, spec, message) in table {
        let refused = refused(&scene, name, spec.clone()).await;
        assert!(refused.contains(&message), "{spec}: {refused}");
    }
}

#[tokio::test]
async fn kubectl_names_a_field_that_does_not_exist() {
    let scene = Scene::new().await;
    let manifest = "apiVersion: credsmith.dev/v1alpha1\nkind: Credential\nmetadata: {name: a}\nspec: {type: password, lenght: 3}\n";
    let refused = scene.kubectl(&["apply", "--filename=-"], manifest).await.unwrap_err().to_string();
    assert!(refused.contains(r#"unknown field "spec.lenght""#), "{refused}");
}

/// Merges a spec into an object, made where there is none; what the API server says to that.
async fn refused(scene: &Scene, name: &str, spec: Value) -> String {
    let objects = scene.api::<Credential>();
    let object =
        json!({"apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name}, "spec": spec});
    let refused = if objects.get_opt(name).await.unwrap().is_some() {
        objects.patch(name, &PatchParams::default(), &Patch::Merge(&object)).await.map(drop)
    } else {
        objects.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await.map(drop)
    };
    match refused {
        Err(kube::Error::Api(status)) => status.message.clone(),
        other => panic!("{object} was not refused by the API server: {other:?}"),
    }
}
