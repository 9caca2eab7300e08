//! An API server that takes requests and answers none: a look ends after a minute, and all goes on when it is back. With a
//! control plane of its own, which is stopped.

use std::time::{Duration, Instant};

use credsmith_harness::{
    cluster::Cluster,
    control_plane::{Component, Options},
    operator::{OperatorOptions, OperatorProcess},
    process::Signal,
    state,
    wait::eventually,
};
use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::scene::{Says, start};

#[tokio::test]
async fn a_look_that_gets_no_answer_ends_after_a_minute() {
    state::keep_until_the_end();
    let cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.install_chart().await.unwrap();
    let operator = start(&cluster, OperatorOptions::default()).await.unwrap();
    let (namespace, client) = (cluster.namespace("hanging").await.unwrap(), cluster.client().unwrap());
    let name = namespace.name();
    for arguments in [
        ["create", "role", "values", "--verb=get,update", "--resource=credentials.credsmith.dev/value"],
        ["create", "rolebinding", "values", "--role=values", &format!("--serviceaccount={name}:default")],
    ] {
        cluster.kubectl(&[&arguments[..], &["--namespace", name]].concat(), "").await.unwrap();
    }
    let front = operator.front().await.unwrap().as_service_account(&client, name, "default").await.unwrap();
    let put = async |value: &str| {
        let body = json!({"name": format!("/{name}/token"), "type": "value", "value": value});
        let answer = front.put("/api/v1/data", &body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    let (objects, secrets): (Api<Credential>, Api<Secret>) =
        (Api::namespaced(client.clone(), name), Api::namespaced(client.clone(), name));
    let object = json!({
        "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": "token"},
        "spec": {"type": "value"},
    });
    objects.patch("token", &PatchParams::apply("test"), &Patch::Apply(&object)).await.unwrap();
    put("before").await;
    let ready = || async { Ok(objects.get("token").await?.has("Ready").then_some(())) };
    eventually("the first value in its Secret", PATIENCE, ready).await.unwrap();

    let plane = cluster.own().unwrap();
    plane.kill(Component::Apiserver, Signal::STOP).await.unwrap();
    let (stopped, errors) = (Instant::now(), broken_off(&operator).await);
    // The front knows its caller, and the store takes the value: its Secret is what nobody answers for.
    put("during").await;
    let ended = || async { Ok((broken_off(&operator).await > errors).then_some(())) };
    eventually("the end of the look", PATIENCE, ended).await.unwrap();
    let took = stopped.elapsed();
    plane.kill(Component::Apiserver, Signal::CONT).await.unwrap();
    assert!((58..=75).contains(&took.as_secs()), "the look took {took:?}");

    let value = || async {
        let data = secrets.get("token").await?.data.unwrap_or_default();
        Ok(data.get("value").is_some_and(|bytes| bytes.0 == b"during").then_some(()))
    };
    eventually("the second value in its Secret", PATIENCE, value).await.unwrap();
    let settled = || async {
        let object = objects.get("token").await?;
        Ok((object.has("Ready") && object.has("Projected") && object.version() == 2).then_some(()))
    };
    eventually("the status to say so", PATIENCE, settled).await.unwrap();
}

/// Looks that came to no end, from the page of metrics.
async fn broken_off(operator: &OperatorProcess) -> u64 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = http.get(format!("{}/metrics", operator.plain_url())).send().await.unwrap().text().await.unwrap();
    let mut lines = page.lines().filter_map(|line| line.strip_prefix("credsmith_reconciles_total{outcome=\"Error\"} "));
    lines.next().map_or(0, |count| count.parse().unwrap())
}

const PATIENCE: Duration = Duration::from_secs(90);
