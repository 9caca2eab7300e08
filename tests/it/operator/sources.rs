//! Values that are given in a Secret: `fromSecret`, which is followed, and `adoption.fromSecret`, which is read once.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::scene::{Says, Scene};

#[tokio::test]
async fn a_source_needs_consent_and_a_later_change_of_it_is_a_version() {
    let scene = Scene::new().await;
    scene.stranger("licence", json!({"key": "SAMPLE-0000-1111"})).await;
    scene.apply("app", json!({"type": "value", "value": {"fromSecret": {"name": "licence", "key": "key"}}})).await;
    assert_eq!(
        scene.reason("app", "WaitingForInput").await.message(),
        "spec.value.fromSecret: Secret licence does not allow it: kubectl annotate secret licence \
         credsmith.dev/allow-adoption=true"
    );
    assert!(scene.api::<Secret>().get_opt("app").await.unwrap().is_none());

    // The next step that the message names.
    scene.kubectl(&["annotate", "secret", "licence", "credsmith.dev/allow-adoption=true"], "").await.unwrap();
    let object = scene.reason("app", "InSync").await;
    assert_eq!((object.version(), object.condition("Generated").reason.as_str()), (1, "Imported"));
    scene.shows("app", "value", "SAMPLE-0000-1111").await;

    set(&scene, "licence", json!({"key": "SAMPLE-2222-3333"})).await;
    scene.shows("app", "value", "SAMPLE-2222-3333").await;
    let object = scene.status("app", "version 2", |object| object.version() == 2).await;
    assert_eq!(object.status.unwrap().current_version.unwrap().reason, "SourceChanged");

    // A source that goes takes nothing away.
    scene.api::<Secret>().delete("licence", &DeleteParams::default()).await.unwrap();
    let message = "spec.value.fromSecret: there is no Secret licence: create it; what it gave before is served";
    let object = scene.status("app", "the missing source", |object| object.message() == message).await;
    assert!(object.has("Ready") && object.version() == 2);
}

#[tokio::test]
async fn a_source_that_goes_after_a_write_over_the_api_is_not_said_to_be_served() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.source("licence", json!({"key": "SAMPLE-0000-1111"})).await;
    let from = json!({"fromSecret": {"name": "licence", "key": "key"}});
    scene.apply("app", json!({"type": "value", "value": from, "apiWrites": "Allow"})).await;
    scene.reason("app", "InSync").await;
    let set = app.put(json!({"name": scene.path("app"), "type": "value", "value": "set-over-the-api"})).await;
    assert_eq!(set.status, 200);
    scene.shows("app", "value", "set-over-the-api").await;
    scene.api::<Secret>().delete("licence", &DeleteParams::default()).await.unwrap();
    let message = "spec.value.fromSecret: there is no Secret licence: create it; version 2, which was set over the API, is served";
    scene.status("app", "the missing source", |object| object.message() == message).await;
    scene.shows("app", "value", "set-over-the-api").await;
}

#[tokio::test]
async fn what_is_missing_in_a_source_is_named() {
    let scene = Scene::new().await;
    scene.source("odd", json!({"other": "x"})).await;
    scene.apply("none", json!({"type": "password", "password": {"fromSecret": {"name": "nowhere", "key": "k"}}})).await;
    scene.apply("key", json!({"type": "json", "json": {"fromSecret": {"name": "odd", "key": "k"}}})).await;
    let keys = json!({"username": "other", "password": "secret"});
    scene.apply("user", json!({"type": "user", "user": {"fromSecret": {"name": "odd", "keys": keys}}})).await;
    scene.apply("text", json!({"type": "json", "json": {"fromSecret": {"name": "odd", "key": "other"}}})).await;
    let table = [
        ("none", "spec.password.fromSecret: there is no Secret nowhere: create it"),
        ("key", "spec.json.fromSecret: Secret odd has no key k: add it"),
        ("user", "spec.user.fromSecret: Secret odd has no key secret: add it"),
    ];
    for (name, message) in table {
        assert_eq!(scene.reason(name, "WaitingForInput").await.message(), message);
    }
    let bytes = json!({"metadata": {"name": "bytes"}, "data": {"k": "//79"}});
    scene.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(bytes).unwrap()).await.unwrap();
    scene.allow("bytes").await;
    scene.apply("raw", json!({"type": "value", "value": {"fromSecret": {"name": "bytes", "key": "k"}}})).await;
    assert_eq!(
        scene.reason("raw", "WaitingForInput").await.message(),
        "spec.value.fromSecret: key k of Secret bytes is not UTF-8 text, and only text can be kept: put text there, such as \
         its base64"
    );
    let no_json = scene.reason("text", "WaitingForInput").await;
    assert!(!no_json.has("Ready") && !no_json.message().is_empty(), "{}", no_json.message());

    // What was missing comes, and wakes whoever waited.
    scene.source("nowhere", json!({"k": "now-it-is-here"})).await;
    scene.shows("none", "password", "now-it-is-here").await;
    set(&scene, "odd", json!({"secret": "and-this-too", "k": "{\"a\": 1}"})).await;
    scene.reason("user", "InSync").await;
    assert_eq!(scene.values("user").await["username"], "x");
    scene.shows("key", "value", r#"{"a":1}"#).await;
}

#[tokio::test]
async fn a_secret_that_gives_rights_of_its_own_is_never_read() {
    let scene = Scene::new().await;
    let secret = json!({
        "metadata": {"name": "release", "annotations": {"credsmith.dev/allow-adoption": "true"}},
        "type": "helm.sh/release.v1", "stringData": {"release": "not-to-be-read"},
    });
    scene.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    scene.apply("db", json!({"type": "value", "value": {"fromSecret": {"name": "release", "key": "release"}}})).await;
    assert_eq!(
        scene.reason("db", "WaitingForInput").await.message(),
        "spec.value.fromSecret: Secret release has type helm.sh/release.v1, which is never read: put the value into a \
         Secret of type Opaque"
    );
}

#[tokio::test]
async fn an_adopted_password_is_version_1_and_its_source_means_nothing_afterwards() {
    let scene = Scene::new().await;
    scene.stranger("legacy", json!({"pass": "from-the-old-days"})).await;
    let spec = json!({"type": "password", "adoption": {"fromSecret": {"name": "legacy", "key": "pass"}}});
    scene.apply("db", spec).await;
    assert_eq!(
        scene.reason("db", "WaitingForInput").await.message(),
        "spec.adoption.fromSecret: Secret legacy does not allow it: kubectl annotate secret legacy \
         credsmith.dev/allow-adoption=true"
    );
    scene.allow("legacy").await;
    let object = scene.reason("db", "InSync").await;
    let version = object.status.as_ref().unwrap().current_version.clone().unwrap();
    assert_eq!((version.number, version.reason.as_str()), (1, "Imported"));
    scene.shows("db", "password", "from-the-old-days").await;

    set(&scene, "legacy", json!({"pass": "somebody-changed-it"})).await;
    scene.annotate::<credsmith_operator::Credential>("db", "credsmith.dev/reconcile-at", json!("now")).await;
    let echoed = |object: &credsmith_operator::Credential| {
        object.status.as_ref().is_some_and(|status| status.last_reconcile_request.as_deref() == Some("now"))
    };
    assert_eq!(scene.status("db", "the echo", echoed).await.version(), 1);
    scene.shows("db", "password", "from-the-old-days").await;

    // From now on it is generated like any other.
    scene.annotate::<credsmith_operator::Credential>("db", "credsmith.dev/rotate-at", json!("1")).await;
    scene.status("db", "version 2", |object| object.version() == 2).await;
    assert_eq!(scene.values("db").await["password"].len(), 30);
}

#[tokio::test]
async fn a_user_is_adopted_by_its_parts() {
    let scene = Scene::new().await;
    scene.source("legacy", json!({"login": "orders", "secret": "from-the-old-days"})).await;
    let keys = json!({"username": "login", "password": "secret"});
    scene.apply("db", json!({"type": "user", "adoption": {"fromSecret": {"name": "legacy", "keys": keys}}})).await;
    scene.reason("db", "InSync").await;
    let values = scene.values("db").await;
    assert!(values["username"] == "orders" && values["password"] == "from-the-old-days");
    assert!(values["password-hash"].starts_with("$6$"));
}

async fn set(scene: &Scene, secret: &str, data: Value) {
    let patch = Patch::Merge(json!({"stringData": data}));
    scene.api::<Secret>().patch(secret, &PatchParams::default(), &patch).await.unwrap();
}
