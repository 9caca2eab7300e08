//! Objects that can never succeed cost next to nothing. With a control plane of its own, since looks are counted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use credsmith_harness::{cluster::Cluster, control_plane::Options, operator::OperatorOptions, state, wait::eventually};
use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::scene::{Says, start};

#[tokio::test]
async fn an_object_that_cannot_succeed_is_looked_at_six_times_a_minute_at_most() {
    state::keep_until_the_end();
    let cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.install_chart().await.unwrap();
    let operator = start(&cluster, OperatorOptions::default()).await.unwrap();
    let namespace = cluster.namespace("bad").await.unwrap();
    let client = cluster.client().unwrap();
    let objects: Api<Credential> = Api::namespaced(client.clone(), namespace.name());
    let secrets: Api<Secret> = Api::namespaced(client, namespace.name());
    let theirs = serde_json::from_value(json!({"metadata": {"name": "theirs"}})).unwrap();
    secrets.create(&PostParams::default(), &theirs).await.unwrap();

    let bad = [
        ("outside", json!({"type": "password", "path": "/elsewhere/db"})),
        ("unsupported", json!({"type": "certificate"})),
        ("forbidden", json!({"type": "password", "target": {"type": "helm.sh/release.v1"}})),
        ("theirs", json!({"type": "password"})),
        ("waiting", json!({"type": "value"})),
        ("nowhere", json!({"type": "value", "value": {"fromSecret": {"name": "none", "key": "k"}}})),
    ];
    let started = Instant::now();
    for (name, spec) in &bad {
        let object = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name}, "spec": spec,
        });
        objects.patch(name, &PatchParams::apply("test"), &Patch::Apply(&object)).await.unwrap();
    }
    let minute = || async { Ok((started.elapsed() > Duration::from_secs(60)).then_some(())) };
    eventually("a minute", Duration::from_secs(90), minute).await.unwrap();

    let looks = looks(&format!("{}/metrics", operator.plain_url())).await;
    // How many of the objects above end with that reason.
    let most = BTreeMap::from([("PolicyDenied", 1), ("InvalidSpec", 1), ("TargetFailed", 2), ("WaitingForInput", 2)]);
    for (reason, count) in &looks {
        let objects = most.get(reason.as_str()).copied().unwrap_or(0);
        assert!(*count <= 6 * objects, "{reason}: {count} looks for {objects} objects ({looks:?})");
    }
    for reason in most.keys() {
        assert!(looks.contains_key(*reason), "{reason} was never met ({looks:?})");
    }
    for (name, _) in &bad {
        assert!(!objects.get(name).await.unwrap().has("Ready"), "{name} is ready");
    }
}

/// Looks by their outcome, from the page of metrics.
async fn looks(url: &str) -> BTreeMap<String, u64> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = http.get(url).send().await.unwrap().text().await.unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix("credsmith_reconciles_total{outcome=\""));
    lines
        .map(|line| {
            let (reason, count) = line.split_once("\"} ").unwrap();
            (reason.to_owned(), count.parse().unwrap())
        })
        .collect()
}
