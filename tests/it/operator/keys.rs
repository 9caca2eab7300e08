//! Keys in their Secrets, judged by openssl and ssh-keygen, and what keeps or changes them.

use credsmith_operator::Credential;
use serde_json::{Value, json};

use super::scene::{Says, Scene};
use crate::keys::tools::Bench;

#[tokio::test]
async fn rsa_keys_are_what_was_asked_for_and_stay_over_a_deletion() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    for bits in [2048, 3072] {
        let (name, spec) = (format!("rsa-{bits}"), json!({"type": "rsa", "rsa": {"keyLength": bits}}));
        scene.apply(&name, spec.clone()).await;
        let object = scene.reason(&name, "InSync").await;
        assert_eq!(effective(&object)["keyLength"], json!(bits.to_string()));
        assert_eq!(scene.secret(&name).await.type_.as_deref(), Some("Opaque"));
        let values = scene.values(&name).await;
        assert_eq!(values.keys().collect::<Vec<_>>(), ["private.pem", "public.pem"]);

        let bench = Bench::new();
        bench.write("private.pem", &values["private.pem"]);
        let says = bench.openssl(&["rsa", "-in", "private.pem", "-check", "-noout", "-text"]);
        assert!(says.contains("RSA key ok") && says.contains(&format!("({bits} bit")), "{says}");
        bench.openssl(&["rsa", "-in", "private.pem", "-pubout", "-out", "public.pem"]);
        assert_eq!(bench.read("public.pem").trim(), values["public.pem"].trim());

        let answered = app.value(&scene.path(&name)).await;
        let same = answered["private_key"] == values["private.pem"].as_str()
            && answered["public_key"] == values["public.pem"].as_str();
        assert!(same, "the API and the Secret hold different bytes");

        scene.delete(&name).await;
        scene.no_secret(&name).await;
        scene.apply(&name, spec).await;
        assert_eq!(scene.reason(&name, "InSync").await.version(), 1);
        assert!(scene.values(&name).await == values, "another key after the object was applied again");
    }
}

#[tokio::test]
async fn ssh_keys_are_what_was_asked_for_and_stay_over_a_deletion() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let table = [
        (json!({"type": "ssh"}), "", 2048, "(RSA)"),
        (json!({"type": "ssh", "ssh": {"keyLength": 3072, "comment": "deploy@shop"}}), "deploy@shop", 3072, "(RSA)"),
        (
            json!({"type": "ssh", "ssh": {"algorithm": "ed25519", "comment": "two words"}}),
            "two words",
            256,
            "(ED25519)",
        ),
    ];
    for (nth, (spec, comment, bits, kind)) in table.into_iter().enumerate() {
        let name = format!("ssh-{nth}");
        scene.apply(&name, spec.clone()).await;
        scene.reason(&name, "InSync").await;
        assert_eq!(scene.secret(&name).await.type_.as_deref(), Some("kubernetes.io/ssh-auth"));
        let values = scene.values(&name).await;
        assert_eq!(values.keys().collect::<Vec<_>>(), ["ssh-fingerprint", "ssh-privatekey", "ssh-publickey"]);

        let bench = Bench::new();
        bench.write("key", &values["ssh-privatekey"]);
        bench.write("key.pub", format!("{}\n", values["ssh-publickey"].trim_end()));
        let says = bench.ssh_keygen(&["-l", "-f", "key.pub"]);
        let words: Vec<_> = says.split_whitespace().collect();
        assert_eq!((words[0], *words.last().unwrap()), (bits.to_string().as_str(), kind), "{says}");
        assert_eq!(words[1].trim_start_matches("SHA256:"), values["ssh-fingerprint"].trim_start_matches("SHA256:"));
        assert!(says.contains(if comment.is_empty() { "no comment" } else { comment }), "{says}");
        let half = |text: &str| text.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(half(&bench.ssh_keygen(&["-y", "-f", "key"])), half(&values["ssh-publickey"]));

        let answered = app.value(&scene.path(&name)).await;
        assert!(answered["private_key"] == values["ssh-privatekey"].as_str(), "the API has another key");

        scene.delete(&name).await;
        scene.no_secret(&name).await;
        scene.apply(&name, spec).await;
        assert_eq!(scene.reason(&name, "InSync").await.version(), 1);
        assert!(scene.values(&name).await == values, "another key after the object was applied again");
    }
}

#[tokio::test]
async fn keys_that_are_given_are_kept_to_the_byte() {
    let scene = Scene::new().await;
    let bench = Bench::new();
    bench.openssl(&["genrsa", "-out", "rsa.pem", "2048"]);
    bench.openssl(&["rsa", "-in", "rsa.pem", "-pubout", "-out", "rsa.pub"]);
    bench.ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "given", "-f", "ed"]);
    let rsa = json!({"a": bench.read("rsa.pem"), "b": bench.read("rsa.pub")});
    scene.source("given-rsa", rsa.clone()).await;
    scene.source("given-ssh", json!({"a": bench.read("ed"), "b": bench.read("ed.pub")})).await;
    let from = |name: &str| json!({"name": name, "keys": {"private_key": "a", "public_key": "b"}});

    scene.apply("rsa", json!({"type": "rsa", "rsa": {"fromSecret": from("given-rsa")}})).await;
    let object = scene.reason("rsa", "InSync").await;
    assert_eq!(object.condition("Generated").reason, "Imported");
    let values = scene.values("rsa").await;
    assert!(values["private.pem"] == bench.read("rsa.pem") && values["public.pem"] == bench.read("rsa.pub"));

    scene.apply("ssh", json!({"type": "ssh", "ssh": {"fromSecret": from("given-ssh")}})).await;
    scene.reason("ssh", "InSync").await;
    let values = scene.values("ssh").await;
    assert!(values["ssh-privatekey"] == bench.read("ed") && values["ssh-publickey"] == bench.read("ed.pub"));
    let says = bench.ssh_keygen(&["-l", "-f", "ed.pub"]);
    assert!(says.contains(values["ssh-fingerprint"].trim_start_matches("SHA256:")), "{says}");

    // Adopted once, and generated from then on.
    let spec = json!({"type": "ssh", "ssh": {"algorithm": "ed25519"}, "adoption": {"fromSecret": from("given-ssh")}});
    scene.apply("adopted", spec).await;
    let object = scene.reason("adopted", "InSync").await;
    assert_eq!((object.version(), object.condition("Generated").reason.as_str()), (1, "Imported"));
    assert!(scene.values("adopted").await["ssh-privatekey"] == bench.read("ed"));
    rotate(&scene, "adopted", "1").await;
    let object = scene.status("adopted", "version 2", |object| object.version() == 2).await;
    assert_eq!(object.condition("Generated").reason, "Generated");
    assert!(scene.values("adopted").await["ssh-privatekey"] != bench.read("ed"));
}

#[tokio::test]
async fn half_a_pair_is_told_by_the_part_that_is_missing() {
    let scene = Scene::new().await;
    scene.source("half", json!({"a": "", "b": ""})).await;
    let from = json!({"name": "half", "keys": {"private_key": "a", "public_key": "b"}});
    scene.apply("rsa", json!({"type": "rsa", "rsa": {"fromSecret": from}})).await;
    assert_eq!(
        scene.reason("rsa", "WaitingForInput").await.message(),
        "spec.rsa.fromSecret: key a and b of Secret half cannot be used: both keys are missing or empty: give public_key, \
         private_key or both"
    );
    scene.no_secret("rsa").await;
}

#[tokio::test]
async fn a_key_changes_when_somebody_asks_and_by_an_edit_only_where_the_manifest_says_so() {
    let scene = Scene::new().await;
    let spec = |bits: u32, word: &str| json!({"type": "rsa", "rsa": {"keyLength": bits}, "rotation": {"onParametersChange": word}});
    scene.apply("key", spec(2048, "Keep")).await;
    scene.reason("key", "InSync").await;
    let first = scene.values("key").await;

    rotate(&scene, "key", "monday").await;
    let object = scene.status("key", "version 2", |object| object.version() == 2).await;
    assert_eq!(reason(&object), "Requested");
    let second = scene.values("key").await;
    assert!(first != second);
    let table = scene.kubectl(&["get", "cred", "key"], "").await.unwrap();
    let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[..5].to_vec(), row[6]), (vec!["key", "rsa", "True", "InSync", "2"], "manual"), "{table}");

    scene.apply("key", spec(3072, "Keep")).await;
    let drifted = |object: &Credential| object.condition("Generated").reason == "ParametersDrifted";
    let object = scene.status("key", "the drift", drifted).await;
    assert!(object.has("Ready") && object.version() == 2 && scene.values("key").await == second);

    scene.apply("key", spec(3072, "Regenerate")).await;
    let object = scene.status("key", "version 3", |object| object.version() == 3).await;
    assert_eq!(
        (reason(&object).as_str(), object.condition("Generated").status.as_str()),
        ("ParametersChanged", "True")
    );
    let bench = Bench::new();
    bench.write("private.pem", &scene.values("key").await["private.pem"]);
    assert!(bench.openssl(&["rsa", "-in", "private.pem", "-noout", "-text"]).contains("(3072 bit"));
    let events = ["Normal Rotated: version 2 (Requested)", "Normal Rotated: version 3 (ParametersChanged)"];
    assert_eq!(scene.events_until("key", 2).await, events);

    // What means the same is no edit.
    scene.apply("other", json!({"type": "ssh", "rotation": {"onParametersChange": "Regenerate"}})).await;
    scene.reason("other", "InSync").await;
    let same = json!({"algorithm": "rsa", "keyLength": 2048, "comment": ""});
    scene.apply("other", json!({"type": "ssh", "ssh": same, "rotation": {"onParametersChange": "Regenerate"}})).await;
    assert_eq!(scene.reason("other", "InSync").await.version(), 1);
}

async fn rotate(scene: &Scene, name: &str, text: &str) {
    scene.annotate::<Credential>(name, "credsmith.dev/rotate-at", json!(text)).await;
}

fn effective(object: &Credential) -> Value {
    json!(object.status.as_ref().unwrap().effective)
}

fn reason(object: &Credential) -> String {
    object.status.as_ref().unwrap().current_version.as_ref().unwrap().reason.clone()
}
