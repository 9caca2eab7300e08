//! What a cluster has to keep a Secret from being written: quotas, policies, webhooks. Each lies over one namespace alone.

use k8s_openapi::api::{
    admissionregistration::v1::{
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
    },
    core::v1::{ResourceQuota, Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::scene::Scene;

/// A quota that lets no Secret in. Returns when it is in force.
pub async fn exhaust_quota(scene: &Scene) {
    let quotas = scene.api::<ResourceQuota>();
    let none = json!({"secrets": "0"});
    make(&quotas, json!({"metadata": {"name": QUOTA}, "spec": {"hard": none}})).await;
    // The controller that would count is not there.
    let counted = Patch::Merge(json!({"status": {"hard": none, "used": none}}));
    quotas.patch_status(QUOTA, &PatchParams::default(), &counted).await.unwrap();
    until_refused(scene, "exceeded quota").await;
}

/// Takes it away.
pub async fn lift_quota(scene: &Scene) {
    scene.api::<ResourceQuota>().delete(QUOTA, &DeleteParams::default()).await.unwrap();
}

/// A policy that refuses every Secret with that reason, which decides the code of the answer. Returns when it is in force.
pub async fn forbid_by_policy(scene: &Scene, reason: &str) {
    let name = scene.name();
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"],
    });
    let policy = json!({"metadata": {"name": name}, "spec": {
        "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": "no Secrets on Fridays", "reason": reason}],
    }});
    make(&Api::<ValidatingAdmissionPolicy>::all(scene.client.clone()), policy).await;
    let binding = json!({"metadata": {"name": name}, "spec": {
        "policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": only(name)},
    }});
    make(&Api::<ValidatingAdmissionPolicyBinding>::all(scene.client.clone()), binding).await;
    until_refused(scene, "denied request").await;
}

/// Takes it away. Returns when it is no longer in force.
pub async fn lift_policy(scene: &Scene) {
    delete::<ValidatingAdmissionPolicyBinding>(scene).await;
    delete::<ValidatingAdmissionPolicy>(scene).await;
    until_taken(scene).await;
}

/// A webhook that nobody serves: the API server cannot ask, so it fails. Returns when it is in force.
pub async fn break_webhook(scene: &Scene) {
    let name = scene.name();
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"],
    });
    let webhook = json!({
        "name": "nobody.example.com", "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 1,
        "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": only(name), "rules": [rule],
    });
    let hooks = Api::<ValidatingWebhookConfiguration>::all(scene.client.clone());
    make(&hooks, json!({"metadata": {"name": name}, "webhooks": [webhook]})).await;
    until_refused(scene, "failed calling webhook").await;
}

/// Takes it away. Returns when it is no longer asked.
pub async fn mend_webhook(scene: &Scene) {
    delete::<ValidatingWebhookConfiguration>(scene).await;
    until_taken(scene).await;
}

async fn make<K>(api: &Api<K>, object: Value)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap_or_else(|error| panic!("{}: {error}", object.name_any()));
}

async fn delete<K>(scene: &Scene)
where
    K: Resource<Scope = k8s_openapi::ClusterResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    Api::<K>::all(scene.client.clone()).delete(scene.name(), &DeleteParams::default()).await.unwrap();
}

/// Admission learns of its rules by watches of its own.
async fn until_refused(scene: &Scene, why: &str) {
    scene
        .until(why, || async {
            Ok(try_secret(scene).await.err().filter(|error| error.to_string().contains(why)).map(drop))
        })
        .await;
}

async fn until_taken(scene: &Scene) {
    scene.until("Secrets to be taken again", || async { Ok(try_secret(scene).await.ok()) }).await;
}

async fn try_secret(scene: &Scene) -> kube::Result<()> {
    let secret: Secret = serde_json::from_value(json!({"metadata": {"generateName": "trial-"}})).unwrap();
    let params = PostParams { dry_run: true, ..PostParams::default() };
    scene.api::<Secret>().create(&params, &secret).await.map(drop)
}

fn only(namespace: &str) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}})
}

const QUOTA: &str = "no-secrets";
