//! An object that was stored under a looser definition.

use std::fs;

use credsmith_harness::requests::{Log, now};
use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    super::scene::{Says, until, values},
    Place,
    exercise::There,
    root,
};

pub async fn an_object_that_cannot_be_read_says_which_field_and_recovers(place: &Place, namespace: &str) {
    let strict = fs::read_to_string(root().join("crds/credentials.credsmith.dev.yaml")).unwrap();
    let mut loose: Value = serde_json::to_value(&credsmith_operator::crds()[0]).unwrap();
    let length = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/password/properties/length";
    *loose.pointer_mut(length).unwrap() = json!({"x-kubernetes-int-or-string": true});
    place.define(&loose.to_string()).await;

    let from = now();
    let kind = ApiResource::erase::<Credential>(&());
    let objects: Api<DynamicObject> = Api::namespaced_with(place.cluster.client().unwrap(), namespace, &kind);
    let object = |length: Value| {
        json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": "odd"},
            "spec": {"type": "password", "password": {"length": length}},
        })
    };
    let params = PatchParams::apply("test").force();
    // The API server takes up a changed definition a moment after it answered.
    until("the looser definition", async || {
        Ok(Some(objects.patch("odd", &params, &Patch::Apply(object(json!("long")))).await?))
    })
    .await;
    let told = until("the object to say so", async || {
        let object = objects.get("odd").await?;
        let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok((!conditions.is_empty()).then_some((object.metadata.generation, conditions)))
    })
    .await;
    let (generation, conditions) = told;
    let condition = |type_: &str| conditions.iter().find(|one| one["type"] == type_).cloned().unwrap_or_default();
    let ready = condition("Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("InvalidSpec")));
    let message = ready["message"].as_str().unwrap();
    assert!(message.starts_with("spec.password.length: this release takes i32 there"), "{message}");
    assert_eq!(ready["observedGeneration"], json!(generation));
    assert_eq!(condition("Stalled")["status"], "True");

    // One with our finalizer goes when it is deleted, and takes nothing out of the store.
    let there = There { place, name: namespace };
    let leaving = |length: Value| {
        json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": "leaving"},
            "spec": {"type": "password", "deletionPolicy": "Delete", "password": {"length": length}},
        })
    };
    objects.patch("leaving", &params, &Patch::Apply(leaving(json!(12)))).await.unwrap();
    there.ready("leaving", "InSync").await;
    let value = values(there.api::<Secret>().get("leaving").await.unwrap());
    objects.patch("leaving", &params, &Patch::Apply(leaving(json!("long")))).await.unwrap();
    objects.delete("leaving", &DeleteParams::default()).await.unwrap();
    until("the end of what cannot be read", async || Ok(objects.get_opt("leaving").await?.is_none().then_some(())))
        .await;
    there.apply("leaving", leaving(json!(12))["spec"].clone()).await;
    let again = there.ready("leaving", "InSync").await;
    assert_eq!(again.version(), 1);
    assert!(values(there.api::<Secret>().get("leaving").await.unwrap()) == value, "the value is another");

    // With the definition of this release the object stays as it is stored, and an edit mends it.
    place.define(&strict).await;
    // No apply on the server's side: that reads what is stored by the definition, and fails.
    let edit = Patch::Merge(object(json!(12)));
    until("the edit", async || Ok(Some(objects.patch("odd", &PatchParams::default(), &edit).await?))).await;
    let mended = there.ready("odd", "InSync").await;
    assert!(!mended.has("Stalled"));

    let mut log = Log::of(place.plane());
    log.wait_for_quiet().await.unwrap();
    let about = log.since(from).unwrap();
    let written = about.iter().filter(|request| request.resource == "credentials/status" && request.name == "odd");
    assert_eq!(written.count(), 2, "it is told once, and once that it is mended");
}

impl Place {
    async fn define(&self, definition: &str) {
        let apply = ["apply", "--server-side", "--force-conflicts", "--filename=-"];
        self.cluster.kubectl(&apply, definition).await.unwrap();
    }
}
