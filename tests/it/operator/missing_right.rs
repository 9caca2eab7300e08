//! A right that the operator is missing, and the Secret with a master key, which is nobody's to take. With a control plane of
//! its own, since all its objects need its rights. That it has the rights it needs, and no others, is in `alone/used_rights.rs`.

use credsmith_harness::{
    cluster::Cluster,
    control_plane::Options,
    operator::{OperatorOptions, OperatorProcess},
    state,
    wait::eventually,
};
use credsmith_operator::Credential;
use k8s_openapi::api::{core::v1::Secret, rbac::v1::ClusterRole};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::scene::{PATIENCE, Says, fresh_key, start};

#[tokio::test]
async fn a_missing_right_and_a_master_key_in_the_way_are_told_as_what_they_are() {
    state::keep_until_the_end();
    let cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.install_chart().await.unwrap();
    let dir = cluster.fresh_dir("rights").unwrap();
    fresh_key(&dir.join("master.key"));
    let keys = format!("file:{},secret:credsmith-root-key", dir.join("master.key").display());
    let options = OperatorOptions { dir: Some(dir), keys, ..OperatorOptions::default() };
    let operator = start(&cluster, options).await.unwrap();
    let client = cluster.client().unwrap();

    a_missing_right_is_named_with_the_command_that_brings_it_back(&cluster, &client).await;
    the_secret_with_a_master_key_is_neither_target_nor_source(&operator, &client).await;
}

async fn a_missing_right_is_named_with_the_command_that_brings_it_back(cluster: &Cluster, client: &Client) {
    let namespace = cluster.namespace("rights").await.unwrap();
    let objects: Api<Credential> = Api::namespaced(client.clone(), namespace.name());
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let whole = roles.get("credsmith").await.unwrap();
    let mut rules = serde_json::to_value(&whole.rules).unwrap();
    for rule in rules.as_array_mut().unwrap().iter_mut().filter(|rule| rule["resources"] == json!(["secrets"])) {
        rule["verbs"].as_array_mut().unwrap().retain(|verb| verb != "create");
    }
    let set = async |rules: Value| {
        let patch = Patch::Merge(json!({"rules": rules}));
        roles.patch("credsmith", &PatchParams::default(), &patch).await.unwrap();
    };
    set(rules).await;
    // The API server learns of it by a watch of its own.
    let may = ["auth", "can-i", "create", "secrets", "--as", SERVICE_ACCOUNT, "--namespace", namespace.name()];
    eventually("the right to be gone", PATIENCE, || async { Ok(cluster.kubectl(&may, "").await.err().map(drop)) })
        .await
        .unwrap();

    apply(&objects, "db", json!({"type": "password"})).await;
    let object = reason(&objects, "db", "TargetFailed").await;
    assert_eq!(
        object.message(),
        format!(
            "Secret db cannot be written: secrets is forbidden: User \"{SERVICE_ACCOUNT}\" cannot create resource \"secrets\" \
             in API group \"\" in the namespace \"{}\"; give the operator's ServiceAccount that right: helm upgrade of its \
             chart brings back the ClusterRole credsmith",
            namespace.name()
        )
    );
    let projected = object.condition("Projected");
    assert_eq!((projected.status.as_str(), projected.reason.as_str()), ("False", "MissingGrant"));
    assert_eq!(object.status.as_ref().unwrap().targets.as_ref().unwrap().sample[0].reason, "Forbidden");

    set(serde_json::to_value(&whole.rules).unwrap()).await;
    let object = reason(&objects, "db", "InSync").await;
    assert!(object.has("Projected") && object.version() == 1);
}

async fn the_secret_with_a_master_key_is_neither_target_nor_source(operator: &OperatorProcess, client: &Client) {
    let home = operator.namespace();
    let (objects, secrets): (Api<Credential>, Api<Secret>) =
        (Api::namespaced(client.clone(), home), Api::namespaced(client.clone(), home));
    let before = secrets.get("credsmith-root-key").await.unwrap();
    let from = json!({"name": "credsmith-root-key", "key": "key"});
    let specs = [
        (
            "overwrite",
            "spec.target.name",
            json!({"type": "password", "target": {"name": "credsmith-root-key", "onConflict": "Overwrite"}}),
        ),
        (
            "adopt",
            "spec.target.name",
            json!({"type": "value", "target": {"name": "credsmith-root-key", "onConflict": "Adopt"}}),
        ),
        ("follow", "spec.value.fromSecret", json!({"type": "value", "value": {"fromSecret": from}})),
        ("import", "spec.adoption.fromSecret", json!({"type": "password", "adoption": {"fromSecret": from}})),
    ];
    for (name, field, spec) in specs {
        apply(&objects, name, spec).await;
        let object = reason(&objects, name, "PolicyDenied").await;
        let message =
            format!("{field}: Secret credsmith-root-key holds the operator's master key: name another Secret");
        assert_eq!((object.message(), object.version(), object.has("Stalled")), (message, 0, true), "{name}");
    }
    let now = secrets.get("credsmith-root-key").await.unwrap();
    assert!(now.data == before.data && now.metadata.resource_version == before.metadata.resource_version);
}

async fn apply(objects: &Api<Credential>, name: &str, spec: Value) {
    let object = json!({
        "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name}, "spec": spec,
    });
    objects.patch(name, &PatchParams::apply("test"), &Patch::Apply(&object)).await.unwrap();
}

async fn reason(objects: &Api<Credential>, name: &str, reason: &str) -> Credential {
    let found = || async {
        let object = objects.get(name).await?;
        Ok(Some(object).filter(|object| object.condition("Ready").reason == reason))
    };
    eventually(&format!("{name} to be {reason}"), PATIENCE, found).await.unwrap()
}

const SERVICE_ACCOUNT: &str = "system:serviceaccount:credsmith-system:credsmith";
