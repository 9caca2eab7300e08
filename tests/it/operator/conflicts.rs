//! A Secret of somebody else stands where ours should: `target.onConflict`.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use super::scene::{Says, Scene};

#[tokio::test]
async fn somebody_elses_secret_is_left_alone_until_it_goes() {
    let scene = Scene::new().await;
    let before = scene.stranger("db", json!({"password": "theirs-for-sure"})).await;
    scene.apply("db", json!({"type": "password"})).await;
    let message = "Secret db exists and is not ours: delete it, choose another spec.target.name, or set \
                   spec.target.onConflict to Adopt or Overwrite";
    let object = scene.reason("db", "TargetFailed").await;
    assert_eq!(object.version(), 0, "a value was made that cannot be projected");
    assert_eq!((object.message().as_str(), object.condition("Projected").reason.as_str()), (message, "Conflict"));
    assert_eq!(object.status.unwrap().targets.unwrap().sample[0].reason, "Conflict");
    assert_eq!(scene.secret("db").await.resource_version(), before.resource_version());
    assert!(scene.events_until("db", 1).await[0].starts_with("Warning Conflict: Secret db exists and is not ours"));

    scene.api::<Secret>().delete("db", &DeleteParams::default()).await.unwrap();
    scene.reason("db", "InSync").await;
    assert_eq!(scene.values("db").await["password"].len(), 30);
}

#[tokio::test]
async fn what_the_message_offers_saves_the_bytes_of_somebody_elses_secret() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    for (name, spec, part) in
        [("db", json!({"type": "password"}), "password"), ("late", json!({"type": "value"}), "value")]
    {
        scene.stranger(name, json!({part: "legacy"})).await;
        let with = |on_conflict: &str| {
            let mut spec = spec.clone();
            spec["target"] = json!({"onConflict": on_conflict});
            spec
        };
        scene.apply(name, spec.clone()).await;
        let object = scene.reason(name, "TargetFailed").await;
        assert!(
            object.message().ends_with("or set spec.target.onConflict to Adopt or Overwrite"),
            "{}",
            object.message()
        );
        let stored = app.get(&format!("/api/v1/data?name={}", scene.path(name))).await;
        assert_eq!((object.version(), stored.status), (0, 404), "something is stored");

        // The next step that the message names, and then the next.
        scene.apply(name, with("Adopt")).await;
        let object =
            scene.status(name, "the missing consent", |object| object.message().contains("does not allow it")).await;
        assert_eq!((object.version(), object.condition("Projected").reason.as_str()), (0, "Conflict"));
        scene.allow(name).await;
        let object = scene.reason(name, "InSync").await;
        assert_eq!(object.version(), 1);
        assert_eq!(object.status.unwrap().current_version.unwrap().reason, "Imported");
        assert_eq!(scene.values(name).await[part], "legacy");
    }
}

#[tokio::test]
async fn whoever_waits_for_somebody_elses_secret_has_the_path_already() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.stranger("db", json!({"password": "theirs-for-sure"})).await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "TargetFailed").await;
    let set = app.put(json!({"name": scene.path("db"), "type": "password", "value": "chosen-by-hand"})).await;
    assert_eq!(set.status, 403, "the path is the object's");
    scene.apply("other", json!({"type": "password", "path": scene.path("db")})).await;
    scene.reason("other", "PathOwned").await;
}

#[tokio::test]
async fn an_adopted_secret_gives_version_1_and_keeps_its_other_keys() {
    let scene = Scene::new().await;
    scene.stranger("db", json!({"password": "theirs-for-sure", "extra": "stays"})).await;
    scene.apply("db", json!({"type": "password", "target": {"onConflict": "Adopt"}})).await;
    assert_eq!(
        scene.reason("db", "TargetFailed").await.message(),
        "spec.target.onConflict Adopt: Secret db does not allow it: kubectl annotate secret db \
         credsmith.dev/allow-adoption=true"
    );
    scene.allow("db").await;
    let object = scene.reason("db", "InSync").await;
    let version = object.status.as_ref().unwrap().current_version.clone().unwrap();
    assert_eq!((version.number, version.reason.as_str()), (1, "Imported"));
    let values = scene.values("db").await;
    assert!(values["password"] == "theirs-for-sure" && values["extra"] == "stays");
    assert_eq!(scene.secret("db").await.owner_references()[0].uid, object.uid().unwrap());
}

#[tokio::test]
async fn a_secret_is_not_adopted_where_the_path_has_versions() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password", "target": {"name": "first"}})).await;
    scene.reason("db", "InSync").await;
    scene.source("second", json!({"password": "theirs-for-sure"})).await;
    scene.apply("db", json!({"type": "password", "target": {"name": "second", "onConflict": "Adopt"}})).await;
    assert_eq!(
        scene.reason("db", "TargetFailed").await.message(),
        "Secret second exists and is not ours, and it cannot be adopted because the path has another value already: \
         delete it, or set spec.target.onConflict to Overwrite (still serving version 1)"
    );
    assert!(scene.values("second").await["password"] == "theirs-for-sure");
}

#[tokio::test]
async fn an_overwritten_secret_is_ours_alone() {
    let scene = Scene::new().await;
    scene.stranger("db", json!({"password": "theirs-for-sure", "extra": "goes"})).await;
    scene.apply("db", json!({"type": "password", "target": {"onConflict": "Overwrite"}})).await;
    let object = scene.reason("db", "InSync").await;
    let values = scene.values("db").await;
    assert!(values.len() == 1 && values["password"] != "theirs-for-sure");
    assert_eq!(scene.secret("db").await.owner_references()[0].uid, object.uid().unwrap());
}

#[tokio::test]
async fn a_secret_with_another_controller_is_never_taken() {
    let scene = Scene::new().await;
    let owner: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "owner"}})).unwrap();
    let owner = scene.api::<ConfigMap>().create(&PostParams::default(), &owner).await.unwrap();
    for mode in ["Fail", "Adopt", "Overwrite"] {
        let name = mode.to_lowercase();
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": name, "annotations": {"credsmith.dev/allow-adoption": "true"},
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid(), "controller": true,
                }],
            },
            "stringData": {"password": "theirs-for-sure"},
        }))
        .unwrap();
        let before = scene.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
        scene.apply(&name, json!({"type": "password", "target": {"onConflict": mode}})).await;
        assert_eq!(
            scene.reason(&name, "TargetFailed").await.message(),
            format!(
                "Secret {name} has another controller, and is never taken from it: choose another spec.target.name"
            )
        );
        assert_eq!(scene.secret(&name).await.resource_version(), before.resource_version());
    }
}
