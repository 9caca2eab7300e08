//! What is never taken from somebody else without their word, and what is never taken at all.

use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt, api::PostParams};
use serde_json::{Value, json};

use super::{
    barriers::{forbid_by_policy, lift_policy},
    scene::{Says, Scene},
};

#[tokio::test]
async fn a_secret_with_the_very_bytes_is_adopted_only_with_consent_and_type() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password", "target": {"name": "first"}})).await;
    scene.reason("db", "InSync").await;
    let value = scene.values("first").await.remove("password").unwrap();
    let held = json!({"password": value, "extra": "stays"});
    let theirs = scene.stranger("second", held.clone()).await;
    let adopt = |name: &str| json!({"type": "password", "target": {"name": name, "onConflict": "Adopt"}});
    scene.apply("db", adopt("second")).await;
    assert_eq!(
        scene.reason("db", "TargetFailed").await.message(),
        "Secret second does not allow it: kubectl annotate secret second credsmith.dev/allow-adoption=true (still serving \
         version 1)"
    );
    assert_eq!(scene.secret("second").await.resource_version(), theirs.resource_version());

    // The next step that the message names: the consent alone wakes the object.
    scene.kubectl(&["annotate", "secret", "second", "credsmith.dev/allow-adoption=true"], "").await.unwrap();
    let object = scene.reason("db", "InSync").await;
    let values = scene.values("second").await;
    assert!(object.version() == 1 && values["password"] == value && values["extra"] == "stays");
    scene.no_secret("first").await;

    let odd: Secret = serde_json::from_value(json!({
        "metadata": {"name": "third", "annotations": {"credsmith.dev/allow-adoption": "true"}},
        "type": "example.com/odd", "stringData": held,
    }))
    .unwrap();
    scene.api::<Secret>().create(&PostParams::default(), &odd).await.unwrap();
    scene.apply("db", adopt("third")).await;
    assert_eq!(
        scene.reason("db", "TargetFailed").await.message(),
        "Secret third has type example.com/odd, and a Secret keeps its type: set spec.target.type to example.com/odd (still \
         serving version 1)"
    );
}

#[tokio::test]
async fn a_secret_is_not_replaced_before_ours_is_known_to_be_taken() {
    let scene = Scene::new().await;
    let theirs = scene.stranger("db", json!({"password": "theirs-for-sure"})).await;
    forbid_by_policy(&scene, "Forbidden").await;
    scene.apply("db", json!({"type": "password", "target": {"onConflict": "Overwrite"}})).await;
    let message = scene.reason("db", "TargetFailed").await.message();
    assert!(message.contains("denied request: no Secrets on Fridays"), "{message}");
    let now = scene.secret("db").await;
    assert_eq!((now.uid(), now.resource_version()), (theirs.uid(), theirs.resource_version()), "it was deleted");

    lift_policy(&scene).await;
    scene.reason("db", "InSync").await;
    assert!(scene.secret("db").await.uid() != theirs.uid());
}

#[tokio::test]
async fn a_secret_of_a_type_that_gives_rights_is_never_replaced() {
    let scene = Scene::new().await;
    for (nth, secret_type) in ["bootstrap.kubernetes.io/token", "helm.sh/release.v1"].into_iter().enumerate() {
        let name = format!("db-{nth}");
        let theirs = json!({"metadata": {"name": name}, "type": secret_type, "stringData": {"release": "theirs"}});
        let theirs: Secret = serde_json::from_value(theirs).unwrap();
        let theirs = scene.api::<Secret>().create(&PostParams::default(), &theirs).await.unwrap();
        scene.apply(&name, json!({"type": "password", "target": {"onConflict": "Overwrite"}})).await;
        assert_eq!(
            scene.reason(&name, "TargetFailed").await.message(),
            format!("Secret {name} has type {secret_type}, and is never replaced: choose another spec.target.name")
        );
        assert_eq!(scene.secret(&name).await.resource_version(), theirs.resource_version());
    }
}

#[tokio::test]
async fn another_key_of_the_same_source_is_another_value() {
    let scene = Scene::new().await;
    scene.source("pair", json!({"old": "SAMPLE-0000", "new": "SAMPLE-1111", "same": "SAMPLE-1111"})).await;
    let from = |key: &str| json!({"type": "value", "value": {"fromSecret": {"name": "pair", "key": key}}});
    scene.apply("app", from("old")).await;
    scene.reason("app", "InSync").await;
    scene.apply("app", from("new")).await;
    let object = scene.status("app", "version 2", |object| object.version() == 2).await;
    assert_eq!(object.status.unwrap().current_version.unwrap().reason, "SourceChanged");
    scene.shows("app", "value", "SAMPLE-1111").await;

    // A third key with the same bytes is no change of the value.
    scene.apply("app", from("same")).await;
    let read = |object: &Credential| {
        let revision = object.status.as_ref().and_then(|status| status.source_revision.clone());
        revision.is_some_and(|revision| revision.ends_with("value=same"))
    };
    assert_eq!(scene.status("app", "the third key", read).await.version(), 2);
}

#[tokio::test]
async fn a_secret_is_not_source_and_target_at_once() {
    let scene = Scene::new().await;
    scene.source("app", json!({"key": "SAMPLE-0000"})).await;
    let from = json!({"name": "app", "key": "key"});
    let message = "spec.value.fromSecret: Secret app is both source and target: give spec.target.name another name";
    let specs: [Value; 2] = [
        json!({"type": "value", "value": {"fromSecret": from}}),
        json!({"type": "value", "value": {"fromSecret": from}, "target": {"name": "app", "onConflict": "Overwrite"}}),
    ];
    for spec in specs {
        scene.apply("app", spec).await;
        let object = scene.status("app", "the refusal", |object| object.message() == message).await;
        assert!(object.condition("Ready").reason == "InvalidSpec" && object.has("Stalled") && object.version() == 0);
        assert_eq!(scene.values("app").await["key"], "SAMPLE-0000");
    }
    // The next step that the message names.
    scene.apply("app", json!({"type": "value", "value": {"fromSecret": from}, "target": {"name": "copy"}})).await;
    scene.shows("copy", "value", "SAMPLE-0000").await;
}

#[tokio::test]
async fn versions_that_were_taken_over_are_called_adopted_for_as_long_as_they_are_current() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let value = scene.values("db").await;
    let get = ["get", "namespace", scene.name(), "--output=jsonpath={.metadata.uid}"];
    let before = scene.cluster.kubectl(&get, "").await.unwrap();
    let scene = scene.made_again().await;
    let inherits = format!("credsmith.dev/inherits={before}");
    scene.cluster.kubectl(&["annotate", "namespace", scene.name(), &inherits], "").await.unwrap();
    scene.apply("db", json!({"type": "password"})).await;
    let object = scene.reason("db", "InSync").await;
    assert!(scene.values("db").await == value);
    assert_eq!(object.condition("Generated").reason, "Adopted");

    // A look that has nothing to tell leaves it, and writes nothing but the echo.
    scene.annotate::<Credential>("db", "credsmith.dev/reconcile-at", json!("1")).await;
    let echoed = |text: &'static str| {
        move |object: &Credential| {
            object.status.as_ref().and_then(|status| status.last_reconcile_request.as_deref()) == Some(text)
        }
    };
    let again = scene.status("db", "the echo", echoed("1")).await;
    assert_eq!(again.condition("Generated"), object.condition("Generated"));

    // Parameters that drift and come back do not make it another version.
    scene.apply("db", json!({"type": "password", "password": {"length": 40}})).await;
    let drifted = |object: &Credential| object.condition("Generated").reason == "ParametersDrifted";
    scene.status("db", "the drift", drifted).await;
    scene.apply("db", json!({"type": "password"})).await;
    let adopted = |object: &Credential| object.condition("Generated").reason == "Adopted";
    scene.status("db", "the adoption again", adopted).await;

    // A version of its own is its own.
    scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!("now")).await;
    let object = scene.status("db", "version 2", |object| object.version() == 2).await;
    assert_eq!(object.condition("Generated").reason, "Generated");
    let events = scene.events_until("db", 2).await;
    let path = scene.path("db");
    assert_eq!(
        events,
        [
            format!("Normal Adopted: the versions at {path} are this object's now"),
            "Normal Rotated: version 2 (Requested)".into()
        ]
    );
}

#[tokio::test]
async fn nothing_is_called_deleted_where_nothing_was_stored() {
    let scene = Scene::new().await;
    scene.apply("late", json!({"type": "value", "deletionPolicy": "Delete"})).await;
    scene.reason("late", "WaitingForInput").await;
    scene.delete("late").await;
    // One that had a value goes after it, so that the event of the first would be there by then.
    scene.apply("db", json!({"type": "password", "deletionPolicy": "Delete"})).await;
    scene.reason("db", "InSync").await;
    scene.delete("db").await;
    assert!(scene.events_until("db", 1).await[0].starts_with("Normal SoftDeleted"));
    assert!(scene.events("late").await.is_empty());
}

#[tokio::test]
async fn every_kind_of_write_is_counted() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password", "deletionPolicy": "Delete"})).await;
    scene.reason("db", "InSync").await;
    scene.annotate::<Credential>("db", "credsmith.dev/rotate-at", json!("now")).await;
    scene.events_until("db", 1).await;
    scene.delete("db").await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = http.get(format!("{}/metrics", scene.operator.plain_url())).send().await.unwrap().text().await.unwrap();
    let all = [
        ("configmaps", "patch"),
        ("credentials", "patch"),
        ("credentials/status", "patch"),
        ("events", "create"),
        ("secrets", "create"),
        ("secrets", "patch"),
    ];
    for (resource, verb) in all {
        let line = format!("credsmith_kubernetes_writes_total{{resource=\"{resource}\",verb=\"{verb}\"}} ");
        assert!(page.contains(&line), "{line}is not there");
    }
}
