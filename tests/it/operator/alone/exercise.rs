//! Everything that the operator does with the API server, once.

use std::fmt::Debug;

use credsmith_harness::{control_plane::Component, namespace::Namespace, process::Signal};
use credsmith_operator::Credential;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{ConfigMap, Secret},
        events::v1::Event,
    },
};
use kube::{
    Api, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::scene::{Says, damage, until, values},
    Place,
};

/// Returns the namespace that it happened in.
pub async fn everything_the_operator_does(place: &Place) -> Namespace {
    let namespace = place.cluster.namespace("all").await.unwrap();
    let name = namespace.name();
    let there = There { place, name };
    let source = "apiVersion: v1\nkind: Secret\nmetadata: {name: source, annotations: {credsmith.dev/allow-adoption: 'true'}}\n\
                  stringData: {key: given-by-somebody}\n";
    place.cluster.kubectl(&["apply", "--namespace", name, "--filename=-"], source).await.unwrap();

    // With a finalizer; one that goes and comes again; one with a source; one whose Secret changes its type.
    there.apply("kept", json!({"type": "rsa", "deletionPolicy": "Delete"})).await;
    there.apply("db", json!({"type": "password"})).await;
    there.apply("copy", json!({"type": "value", "value": {"fromSecret": {"name": "source", "key": "key"}}})).await;
    there.apply("typed", json!({"type": "password"})).await;
    for object in ["kept", "db", "copy", "typed"] {
        there.ready(object, "InSync").await;
    }
    let typed = json!({"type": "password", "target": {"type": "example.com/own"}});
    there.apply("typed", typed).await;
    until("the Secret of another type", async || {
        let secret = there.api::<Secret>().get_opt("typed").await?;
        Ok(secret.filter(|secret| secret.type_.as_deref() == Some("example.com/own")))
    })
    .await;
    there.delete::<Credential>("kept").await;
    there.delete::<Credential>("db").await;
    there.apply("db", json!({"type": "password"})).await;
    there.ready("db", "InSync").await;
    // Twice: the second repair is told by the event of the first.
    for edit in ["one", "two"] {
        there.repaired("db", edit).await;
    }
    until("one event for both repairs", async || {
        let events = there.api::<Event>().list(&ListParams::default()).await?.items;
        Ok(events.into_iter().find(|event| event.series.is_some()))
    })
    .await;

    // A caller of the front, with no rights.
    let client = place.cluster.client().unwrap();
    let front = place.operator.front().await.unwrap().as_service_account(&client, name, "default").await.unwrap();
    let answer = front.get(&format!("/api/v1/data?name=/{name}/db")).await.unwrap();
    assert_eq!(answer.status, 404, "{answer}");

    // A disk that flips a bit.
    there.apply("torn", json!({"type": "password"})).await;
    let torn = there.ready("torn", "InSync").await;
    damage(&place.operator, &torn.status.unwrap().current_version.unwrap().id);
    let again = Patch::Merge(json!({"metadata": {"annotations": {"credsmith.dev/reconcile-at": "1"}}}));
    there.api::<Credential>().patch("torn", &PatchParams::default(), &again).await.unwrap();
    there.ready("torn", "StoreSealed").await;
    namespace
}

pub async fn a_certificate_authority_that_vanished_while_nobody_watched_comes_back(place: &Place, namespace: &str) {
    let plane = place.plane();
    let home = place.operator.namespace().to_owned();
    plane.kill(Component::Apiserver, Signal::KILL).await.unwrap();
    for namespace in [namespace, &home] {
        let key = format!("/registry/configmaps/{namespace}/credsmith-ca");
        assert!(plane.etcd_delete(&key).await.unwrap(), "there was no {key}");
    }
    plane.compact_etcd().await.unwrap(); // the watches begin anew
    plane.start_again(Component::Apiserver).await.unwrap();
    for namespace in [namespace, &home] {
        let maps: Api<ConfigMap> = Api::namespaced(place.cluster.client().unwrap(), namespace);
        until(&format!("ConfigMap {namespace}/credsmith-ca"), async || Ok(maps.get_opt("credsmith-ca").await?)).await;
    }
}

/// A namespace of that place.
pub struct There<'a> {
    pub place: &'a Place,
    pub name: &'a str,
}

impl There<'_> {
    pub fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.place.cluster.client().unwrap(), self.name)
    }

    pub async fn apply(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name}, "spec": spec,
        });
        let apply = Patch::Apply(&object);
        self.api::<Credential>().patch(name, &PatchParams::apply("test").force(), &apply).await.unwrap();
    }

    /// Waits until `Ready` has that reason, for the spec as it is.
    pub async fn ready(&self, name: &str, reason: &str) -> Credential {
        until(&format!("{name} to be {reason}"), async || {
            let object = self.api::<Credential>().get(name).await?;
            let ready = object.condition("Ready");
            if ready.reason == reason && ready.observed_generation == object.metadata.generation {
                return Ok(Some(object));
            }
            anyhow::bail!("it is {}: {}", ready.reason, ready.message)
        })
        .await
    }

    async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug + Serialize,
    {
        let api = self.api::<K>();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        until(&format!("the end of {name}"), async || Ok(api.get_metadata_opt(name).await?.is_none().then_some(())))
            .await;
    }

    async fn repaired(&self, name: &str, edit: &str) {
        let secrets = self.api::<Secret>();
        let value = values(secrets.get(name).await.unwrap()).remove("password").unwrap();
        let edited = Patch::Merge(json!({"stringData": {"password": edit}}));
        let editor = PatchParams { field_manager: Some("stranger".into()), ..PatchParams::default() };
        secrets.patch(name, &editor, &edited).await.unwrap();
        until("the repair", async || {
            let now = values(secrets.get(name).await?).remove("password");
            Ok((now.as_ref() == Some(&value)).then_some(()))
        })
        .await;
    }
}
