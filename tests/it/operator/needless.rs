//! What is as it should be costs no request: a new object two, and one that is looked at again none, whatever its type
//! and whatever its times.

use std::collections::BTreeMap;

use credsmith_harness::{
    audit::Audit,
    cluster::Cluster,
    control_plane::Options,
    operator::OperatorOptions,
    requests::{Log, now},
    state,
};
use credsmith_operator::Credential;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    certificates::{ca, certificate, leaf, with},
    scene::{Says, start, until},
};

#[tokio::test]
async fn each_type_costs_one_secret_and_one_status_and_then_nothing() {
    state::keep_until_the_end();
    let cluster = Cluster::start(Options { audit: Audit::Everything, ..Options::default() }).await.unwrap();
    cluster.install_chart().await.unwrap();
    let operator = start(&cluster, OperatorOptions::default()).await.unwrap();
    let namespace = cluster.namespace("calm").await.unwrap();
    let source = "apiVersion: v1\nkind: Secret\nmetadata: {name: source, annotations: {credsmith.dev/allow-adoption: 'true'}}\n\
                  stringData: {text: given, document: '{\"a\": 1}'}\n";
    cluster.kubectl(&["apply", "--namespace", namespace.name(), "--filename=-"], source).await.unwrap();
    let objects: Api<Credential> = Api::namespaced(cluster.client().unwrap(), namespace.name());
    let apply = async |name: &str, spec: &Value, annotations: Value| {
        let object = json!({"apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential",
                            "metadata": {"name": name, "annotations": annotations}, "spec": spec});
        objects.patch(name, &PatchParams::apply("test"), &Patch::Apply(&object)).await.unwrap();
    };
    let mut log = Log::of(cluster.own().unwrap());

    let specs = specs();
    for (name, spec) in &specs {
        apply(name, spec, json!({})).await;
        until(name, || async { Ok(Some(objects.get(name).await?).filter(|object| object.has("Ready"))) }).await;
    }
    log.wait_for_quiet().await.unwrap();
    let costs = |log: &mut Log, from| {
        let mut costs = BTreeMap::<_, Vec<_>>::new();
        for request in log.since(from).unwrap() {
            let about = request.about().filter(|(about, name)| about == namespace.name() && name != "credsmith-ca");
            if let Some((_, name)) = about {
                costs.entry(name).or_default().push(format!("{} {}", request.verb, request.resource));
            }
        }
        costs
    };
    let first = costs(&mut log, jiff::Timestamp::UNIX_EPOCH);
    for (name, _) in &specs {
        let writes = first[*name].iter().filter(|request| !request.starts_with("get")).collect::<Vec<_>>();
        assert_eq!(writes, ["create secrets", "patch credentials/status"], "{name}");
    }

    // A new version costs as much: what is said of it at once is what the next look says. The first change of a Secret
    // takes over its ownership and costs two requests more, once.
    let generated: Vec<_> = specs.iter().filter(|(name, _)| !name.starts_with("given") && *name != "ca").collect();
    for (text, secrets) in [("1", 3), ("2", 1)] {
        let from = now();
        for (name, spec) in &generated {
            apply(name, spec, json!({"credsmith.dev/rotate-at": text})).await;
            until(name, || async { Ok(Some(objects.get(name).await?).filter(|object| met(object, text))) }).await;
        }
        log.wait_for_quiet().await.unwrap();
        let again = costs(&mut log, from);
        for (name, _) in &generated {
            let of = |what: &str| again[*name].iter().filter(|request| request.ends_with(what)).count();
            assert_eq!((of(" secrets"), of(" credentials/status")), (secrets, 1), "{name}: {:?}", again[*name]);
        }
    }

    // A transitional version of the authority: one status of its own, and once each what trusts it.
    let from = now();
    apply("ca", &specs.iter().find(|(name, _)| *name == "ca").unwrap().1, json!({"credsmith.dev/rotate-at": "1"}))
        .await;
    until("ca", || async { Ok(Some(objects.get("ca").await?).filter(|object| met(object, "1"))) }).await;
    log.wait_for_quiet().await.unwrap();
    let transition = costs(&mut log, from);
    for name in ["ca", "leaf", "leaf-cut"] {
        let statuses = transition[name].iter().filter(|request| request.ends_with(" credentials/status")).count();
        assert_eq!(statuses, 1, "{name}: {:?}", transition[name]);
    }
    assert_eq!(transition.len(), 3, "{transition:#?}");

    // Everything is looked at again after a restart, and nothing is asked of anybody.
    let from = now();
    operator.restart().await.unwrap();
    operator.ready().await.unwrap();
    log.wait_for_quiet().await.unwrap();
    let quiet = costs(&mut log, from);
    assert!(quiet.keys().all(|name| name == "source"), "{quiet:#?}");
    for object in objects.list(&Default::default()).await.unwrap() {
        assert!(object.has("Ready"), "{}", object.name_any());
    }
}

/// Whether that request was met.
fn met(object: &Credential, text: &str) -> bool {
    let rotation = object.status.as_ref().and_then(|status| status.rotation.as_ref());
    object.has("Ready") && rotation.is_some_and(|rotation| rotation.last_request.as_deref() == Some(text))
}

/// All seven types, with and without times.
fn specs() -> Vec<(&'static str, Value)> {
    let timed = |spec: Value| with(spec, "rotation", json!({"every": "720h"}));
    let from = |key: &str| json!({"fromSecret": {"name": "source", "key": key}});
    vec![
        ("password", json!({"type": "password"})),
        ("password-timed", timed(json!({"type": "password"}))),
        ("user-timed", timed(json!({"type": "user"}))),
        ("rsa-timed", timed(json!({"type": "rsa"}))),
        ("ssh", json!({"type": "ssh", "ssh": {"algorithm": "ed25519"}})),
        ("given-value", json!({"type": "value", "value": from("text")})),
        ("given-json", json!({"type": "json", "json": from("document")})),
        ("ca", with(certificate(ca("CA")), "rotation", json!({"renewBefore": "33%"}))),
        ("leaf", with(certificate(leaf("leaf", "ca")), "rotation", json!({"renewBefore": "240h"}))),
        ("leaf-cut", certificate(with(leaf("cut", "ca"), "duration", json!("87600h")))),
        ("alone", certificate(json!({"commonName": "x", "selfSign": true, "key": {"algorithm": "ecdsa-p256"}}))),
    ]
}
