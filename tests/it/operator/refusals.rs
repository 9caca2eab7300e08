//! Fields of the schema that do not work yet: named in `Ready`, whoever let them through.

use std::fs;

use credsmith_harness::tools::Program;
use serde_json::json;
use tokio::process::Command;

use super::scene::{Says, Scene};

#[tokio::test]
async fn kubectl_without_validation_gets_an_unsupported_field_past_nobody() {
    let scene = Scene::new().await;
    let table = [
        (
            "type: provider\n  provider: {kind: aws}",
            "spec.type provider does not work in this release: delete the object and choose another type",
        ),
        (
            "type: password\n  rollout: {restart: [{kind: Deployment, name: orders}]}",
            "spec.rollout does not work in this release: remove it and apply again",
        ),
        (
            "type: password\n  rotation: {every: 720h, keepPrevious: 24h}\n  history: {versions: 3}",
            "spec.rotation.keepPrevious, spec.history.versions do not work in this release: remove them and apply again",
        ),
        (
            "type: user\n  user: {hashes: [sha512crypt, bcrypt]}",
            "spec.user.hashes bcrypt does not work in this release: remove it and apply again",
        ),
        (
            "type: password\n  target: {creationPolicy: Merge, includePrevious: true}",
            "spec.target.includePrevious, spec.target.creationPolicy Merge do not work in this release: remove them and apply \
             again",
        ),
    ];
    for (nth, (spec, message)) in table.into_iter().enumerate() {
        let name = format!("db-{nth}");
        let manifest = format!(
            "apiVersion: credsmith.dev/v1alpha1\nkind: Credential\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  made: up\n"
        );
        scene.kubectl(&["apply", "--validate=false", "--filename=-"], &manifest).await.unwrap();
        let object = scene.reason(&name, "InvalidSpec").await;
        assert_eq!((object.message().as_str(), object.has("Stalled")), (message, true));
        assert_eq!(object.condition("Ready").observed_generation, object.metadata.generation);
        scene.no_secret(&name).await;
    }
}

#[tokio::test]
async fn helm_upgrade_with_an_unsupported_field_is_told_in_ready() {
    let scene = Scene::new().await;
    let chart = scene.cluster.fresh_dir("orders-chart").unwrap();
    fs::create_dir(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: orders\nversion: 0.1.0\n").unwrap();
    fs::write(chart.join("templates/db.yaml"), TEMPLATE).unwrap();
    let home = scene.cluster.fresh_dir("helm").unwrap();
    let helm = async |arguments: &[&str]| {
        let mut helm = Command::new(scene.cluster.tools().path(Program::Helm));
        helm.env("KUBECONFIG", scene.cluster.kubeconfig())
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .args(arguments)
            .arg(&chart)
            .args(["--namespace", scene.name()]);
        let ended = helm.output().await.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    };
    helm(&["install", "orders"]).await;
    scene.reason("orders-db", "InSync").await;
    let value = scene.values("orders-db").await;

    helm(&["upgrade", "--set", "keepPrevious=24h", "orders"]).await;
    let object = scene.reason("orders-db", "InvalidSpec").await;
    assert_eq!(
        object.message(),
        "spec.rotation.keepPrevious does not work in this release: remove it and apply again (still serving version 1)"
    );
    assert!(scene.values("orders-db").await == value, "what was there stays");

    helm(&["upgrade", "--reset-values", "orders"]).await;
    let object = scene.reason("orders-db", "InSync").await;
    assert!(!object.has("Stalled") && object.version() == 1);
}

#[tokio::test]
async fn parameters_that_contradict_each_other_are_refused_by_name() {
    let scene = Scene::new().await;
    let table = [
        (
            json!({"minDigit": 40}),
            "spec.password: the minimums add up to 42 (2 classes in use without a minimum count 1 each), more than the length \
             of 30: raise length or lower a minimum",
        ),
        (
            json!({"excludeUpper": true, "excludeLower": true, "excludeNumber": true}),
            "spec.password: every class of characters is excluded: leave at least one of upper, lower, number or special",
        ),
    ];
    for (password, message) in table {
        scene.apply("db", json!({"type": "password", "password": password})).await;
        let object = scene.status("db", message, |object| object.condition("Ready").reason == "InvalidSpec").await;
        assert_eq!(object.message(), message);
    }
}

const TEMPLATE: &str = "\
apiVersion: credsmith.dev/v1alpha1
kind: Credential
metadata:
  name: {{ .Release.Name }}-db
spec:
  type: password
  {{- with .Values.keepPrevious }}
  rotation:
    keepPrevious: {{ . }}
  {{- end }}
";
