//! Authorities over time: what becomes of what they signed when they change, and when they go.

use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};

use super::{
    certificates::{ca, certificate, leaf, pems, with},
    scene::{Says, Scene},
};

#[tokio::test]
async fn a_request_for_an_authority_in_use_makes_a_version_that_is_trusted_and_signs_nothing() {
    let scene = Scene::new().await;
    scene.apply("root", certificate(ca("Root"))).await;
    scene.apply("middle", certificate(with(ca("Middle"), "signedBy", json!({"name": "root"})))).await;
    scene.apply("leaf", certificate(leaf("leaf", "middle"))).await;
    scene.reason("leaf", "InSync").await;
    let before = scene.values("leaf").await;
    let old = scene.values("root").await["tls.crt"].clone();

    rotate(&scene, "root", "monday").await;
    let object = scene.status("root", "the transition", |object| object.has("InTransition")).await;
    assert_eq!((object.version(), object.condition("InTransition").reason.as_str()), (1, "Introduced"));
    assert_eq!(object.condition("RotationDue").reason, "CARotationNeedsSteps");
    assert!(object.has("RotationDue") && object.has("Ready"));
    assert_eq!(
        object.condition("RotationDue").message,
        "what it signed is in use, and an authority is changed in steps: version 2 is trusted beside it and signs nothing yet"
    );
    let status = object.status.as_ref().unwrap();
    assert_eq!((status.versions, last_request(&object)), (Some(2), Some("monday")));
    let told =
        format!("Normal CAIntroduced: version 2 of {} is trusted beside version 1, which signs", scene.path("root"));
    assert_eq!(scene.events_until("root", 1).await, [told]);

    // Whoever hangs from it trusts both, however far below; nothing else changes.
    for name in ["middle", "leaf"] {
        let both = || async { Ok(Some(scene.values(name).await).filter(|now| pems(&now["ca.crt"]).len() == 2)) };
        let now = scene.until(&format!("both authorities in {name}"), both).await;
        assert_eq!(pems(&now["ca.crt"])[0].trim(), old.trim());
        if name == "leaf" {
            assert!(now["tls.crt"] == before["tls.crt"] && now["tls.key"] == before["tls.key"]);
        }
    }
    assert_eq!(scene.reason("leaf", "InSync").await.version(), 1);

    // A second request makes nothing while that is so, and is not taken for met.
    rotate(&scene, "root", "tuesday").await;
    scene.annotate::<Credential>("root", "credsmith.dev/reconcile-at", json!("tuesday")).await;
    let looked = |object: &Credential| object.status.as_ref().unwrap().last_reconcile_request.is_some();
    let object = scene.status("root", "the look", looked).await;
    assert_eq!((object.status.as_ref().unwrap().versions, last_request(&object)), (Some(2), Some("monday")));
    let said = object.condition("RotationDue");
    assert_eq!((said.status.as_str(), said.reason.as_str()), ("True", "CARotationNeedsSteps"));
    assert!(said.message.contains("version 2 is trusted beside it"), "{}", said.message);
    // What it signs meanwhile is signed by the old one.
    scene.apply("other", certificate(leaf("other", "root"))).await;
    let other = scene.reason("other", "InSync").await.status.unwrap().certificate.unwrap();
    assert_eq!(other.signer_version, Some(1));
}

#[tokio::test]
async fn an_authority_that_nobody_uses_rotates_when_asked() {
    let scene = Scene::new().await;
    scene.apply("ca", certificate(ca("CA"))).await;
    scene.reason("ca", "InSync").await;
    rotate(&scene, "ca", "1").await;
    let object = scene.status("ca", "version 2", |object| object.version() == 2).await;
    assert_eq!((object.condition("InTransition").status.as_str(), reason(&object)), ("absent", "Requested".into()));
    assert_eq!(object.condition("RotationDue").reason, "NotDue");
}

#[tokio::test]
async fn an_authority_that_is_regenerated_over_the_api_signs_everything_anew() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.apply("ca", certificate(ca("CA"))).await;
    for name in ["one", "two"] {
        scene.apply(name, certificate(leaf(name, "ca"))).await;
        scene.reason(name, "InSync").await;
    }
    let kept = with(certificate(leaf("kept", "ca")), "rotation", json!({"onParametersChange": "Keep"}));
    scene.apply("kept", kept).await;
    scene.reason("kept", "InSync").await;
    let parameters = json!({"common_name": "CA", "is_ca": true});
    let body = json!({"name": scene.path("ca"), "type": "certificate", "mode": "overwrite", "parameters": parameters});
    assert_eq!(app.post(body).await.status, 200);
    for name in ["one", "two"] {
        let object = scene.status(name, "version 2", |object| object.version() == 2).await;
        assert_eq!(reason(&object), "SignerChanged");
        assert_eq!(object.status.unwrap().certificate.unwrap().signer_version, Some(2));
        scene.shows(name, "ca.crt", &scene.values("ca").await["ca.crt"]).await;
    }
    assert_eq!(scene.reason("kept", "InSync").await.version(), 1);
}

#[tokio::test]
async fn an_authority_goes_when_what_it_signed_is_in_use_no_more() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let gone_with = |block: Value| with(certificate(block), "deletionPolicy", json!("Delete"));
    scene.apply("ca", gone_with(ca("CA"))).await;
    for nth in 0..11 {
        scene.apply(&format!("leaf-{nth:02}"), gone_with(leaf("leaf", "ca"))).await;
    }
    for nth in 0..11 {
        scene.reason(&format!("leaf-{nth:02}"), "InSync").await;
    }
    let objects = scene.api::<Credential>();
    objects.delete("ca", &DeleteParams::default()).await.unwrap();
    let message = scene.reason("ca", "HasDependents").await.message();
    let named = (0..10).map(|nth| scene.path(&format!("leaf-{nth:02}"))).collect::<Vec<_>>().join(", ");
    let begins = format!("{} signed {named} and others, which are in use: ", scene.path("ca"));
    assert!(message.starts_with(&begins) && !message.contains("leaf-10"), "{message}");
    assert!(app.value(&scene.path("ca")).await.is_object(), "it is served on");
    for nth in 0..11 {
        scene.delete(&format!("leaf-{nth:02}")).await;
    }
    let gone = || async { Ok(objects.get_metadata_opt("ca").await?.is_none().then_some(())) };
    scene.until("the end of the authority", gone).await;
    assert_eq!(app.get(&format!("/api/v1/data?name={}", scene.path("ca"))).await.status, 404);
}

#[tokio::test]
async fn whoever_lets_an_authority_stay_in_the_store_need_not_wait() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let spec = with(certificate(ca("CA")), "deletionPolicy", json!("Delete"));
    scene.apply("ca", spec).await;
    scene.apply("leaf", certificate(leaf("leaf", "ca"))).await;
    scene.reason("leaf", "InSync").await;
    let objects = scene.api::<Credential>();
    objects.delete("ca", &DeleteParams::default()).await.unwrap();
    scene.reason("ca", "HasDependents").await;
    // The last of the ways out that the message names.
    scene
        .kubectl(&["patch", "cred", "ca", "--type=merge", r#"--patch={"spec":{"deletionPolicy":"Retain"}}"#], "")
        .await
        .unwrap();
    let gone = || async { Ok(objects.get_metadata_opt("ca").await?.is_none().then_some(())) };
    scene.until("the end of the object", gone).await;
    assert!(app.value(&scene.path("ca")).await.is_object(), "the credential was to stay");
    assert!(scene.reason("leaf", "InSync").await.has("Ready"));
}

#[tokio::test]
async fn a_namespace_that_goes_takes_an_authority_along() {
    let scene = Scene::new().await;
    scene.apply("ca", with(certificate(ca("CA")), "deletionPolicy", json!("Delete"))).await;
    scene.apply("leaf", certificate(leaf("leaf", "ca"))).await;
    scene.reason("leaf", "InSync").await;
    scene.api::<Credential>().delete("ca", &DeleteParams::default()).await.unwrap();
    scene.reason("ca", "HasDependents").await;
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    namespaces.delete(scene.name(), &DeleteParams::default()).await.unwrap();
    let gone = || async { Ok(namespaces.get_metadata_opt(scene.name()).await?.is_none().then_some(())) };
    scene.until("the end of the namespace", gone).await;
}

async fn rotate(scene: &Scene, name: &str, text: &str) {
    scene.annotate::<Credential>(name, "credsmith.dev/rotate-at", json!(text)).await;
}

fn reason(object: &Credential) -> String {
    object.status.as_ref().unwrap().current_version.as_ref().unwrap().reason.clone()
}

fn last_request(object: &Credential) -> Option<&str> {
    object.status.as_ref()?.rotation.as_ref()?.last_request.as_deref()
}
