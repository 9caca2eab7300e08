//! The table of fields: what each field that works takes and refuses at its edges, whoever refuses it, and that a field
//! that does not work yet is named.

use std::collections::BTreeMap;

use credsmith_operator::Credential;
use futures::future::join_all;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::scene::{Says, Scene};

#[tokio::test]
async fn the_api_server_takes_each_field_up_to_its_edges_and_refuses_what_lies_beyond() {
    let scene = Scene::new().await;
    let answers = join_all(edges(scene.name()).into_iter().map(async |(spec, refused)| {
        let answer = dry_run(&scene, &spec).await;
        match (refused, answer) {
            (None, Ok(())) => None,
            (Some(words), Err(said)) if said.contains(words) => None,
            (expected, answer) => Some(format!("{spec}: {answer:?} instead of {expected:?}")),
        }
    }));
    let wrong: Vec<_> = answers.await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_no_schema_can_say_is_refused_in_ready_by_field_and_the_edges_are_taken() {
    let scene = Scene::new().await;
    let (refused, good) = (contradictions(), taken());
    let name = |kind: &str, nth: usize| format!("{kind}-{nth}");
    let bad_specs = refused.iter().enumerate().map(|(nth, (spec, _))| (name("bad", nth), spec));
    let good_specs = good.iter().enumerate().map(|(nth, (spec, _))| (name("good", nth), spec));
    let all: Vec<_> = bad_specs.chain(good_specs).collect();
    join_all(all.iter().map(|(name, spec)| scene.apply(name, (*spec).clone()))).await;
    for (nth, (spec, message)) in refused.iter().enumerate() {
        let object = scene.reason(&name("bad", nth), "InvalidSpec").await;
        assert!(object.message().starts_with(message) && object.has("Stalled"), "{spec}: {}", object.message());
    }
    for (nth, (_, reason)) in good.iter().enumerate() {
        scene.reason(&name("good", nth), reason).await;
    }
}

#[tokio::test]
async fn every_field_that_does_not_work_yet_is_named_when_validation_is_off() {
    let scene = Scene::new().await;
    let later = later();
    let items: Vec<_> = later
        .iter()
        .enumerate()
        .map(|(nth, (spec, _))| {
            json!({
                "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential",
                "metadata": {"name": format!("later-{nth}")}, "spec": spec,
            })
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    scene.kubectl(&["apply", "--validate=false", "--filename=-"], &list).await.unwrap();
    for (nth, (spec, field)) in later.iter().enumerate() {
        let object = scene.reason(&format!("later-{nth}"), "InvalidSpec").await;
        assert!(object.message().starts_with(field), "{spec}: {}", object.message());
        assert!(object.has("Stalled"), "{spec}");
    }
}

/// What the API server decides: a spec, and words of its refusal; `None` where it is taken.
fn edges(namespace: &str) -> Vec<(Value, Option<&'static str>)> {
    let password = |block: Value| json!({"type": "password", "password": block});
    let user = |block: Value| json!({"type": "user", "user": block});
    let with = |field: &str, value: Value| json!({"type": "password", field: value});
    let target = |block: Value| json!({"type": "password", "target": block});
    let path = |length: usize| format!("/{namespace}/{}", "a".repeat(length - namespace.len() - 2));
    let text = |length: usize| "x".repeat(length);
    let map = |count: usize, value: &str| -> Value {
        json!((0..count).map(|nth| (format!("k{nth}"), value.to_owned())).collect::<BTreeMap<_, _>>())
    };
    let (long, low, high, many) = ("Too long", "greater than or equal to", "less than or equal to", "Too many");
    let (short, word) = ("at least", "Unsupported value");
    let mut table = vec![
        (json!({"type": "user"}), None),
        (json!({"type": "value"}), None),
        (json!({"type": "json"}), None),
        (json!({"type": "passwort"}), Some(word)),
        (with("path", json!(path(1024))), None),
        (with("path", json!(path(1025))), Some(long)),
        (with("path", json!("/")), Some(short)),
        (with("description", json!(text(1024))), None),
        (with("description", json!(text(1025))), Some(long)),
        (password(json!({"length": 4})), None),
        (password(json!({"length": 200})), None),
        (password(json!({"length": 3})), Some(low)),
        (password(json!({"length": 201})), Some(high)),
        (password(json!({"symbols": "-"})), None),
        (password(json!({"symbols": SIGNS})), None),
        (password(json!({"symbols": ""})), Some(short)),
        (password(json!({"symbols": format!("{SIGNS}!")})), Some(long)),
        (password(json!({"excludeUpper": "yes"})), Some("spec.password.excludeUpper")),
        (password(json!({"fromSecret": {"name": text(253), "key": text(253)}})), None),
        (password(json!({"fromSecret": {"name": text(254), "key": "k"}})), Some(long)),
        (password(json!({"fromSecret": {"name": "", "key": "k"}})), Some(short)),
        (password(json!({"fromSecret": {"name": "s"}})), Some("Required value")),
        (user(json!({"username": "a"})), None),
        (user(json!({"username": text(255)})), None),
        (user(json!({"username": ""})), Some(short)),
        (user(json!({"username": text(256)})), Some(long)),
        (user(json!({"password": {"length": 4}})), None),
        (user(json!({"password": {"length": 3}})), Some(low)),
        (user(json!({"password": {"length": 201}})), Some(high)),
        (user(json!({"hashes": ["sha512crypt"]})), None),
        (user(json!({"hashes": []})), Some("at least 1")),
        (user(json!({"hashes": ["md5"]})), Some(word)),
        (user(json!({"fromSecret": {"name": "s", "keys": {"password": "k"}}})), None),
        (user(json!({"fromSecret": {"name": "s", "keys": {}}})), Some("at least 1")),
        (user(json!({"fromSecret": {"name": "s", "keys": map(9, "k")}})), Some(many)),
        (with("adoption", json!({"fromSecret": {"name": "s", "key": "k"}})), None),
        (with("rotation", json!({"onParametersChange": "Keep"})), None),
        (with("rotation", json!({"onParametersChange": "Forget"})), Some(word)),
        (target(json!({"disabled": true})), None),
        (target(json!({"name": text(253)})), None),
        (target(json!({"name": text(254)})), Some(long)),
        (target(json!({"name": "Not_A_Name"})), Some("spec.target.name")),
        (target(json!({"type": text(253)})), None),
        (target(json!({"type": ""})), Some(short)),
        (target(json!({"metadata": {"labels": map(32, "v"), "annotations": map(32, "v")}})), None),
        (target(json!({"metadata": {"labels": map(33, "v")}})), Some(many)),
        (target(json!({"metadata": {"annotations": map(33, "v")}})), Some(many)),
        (target(json!({"keys": map(32, "password")})), None),
        (target(json!({"keys": map(33, "password")})), Some(many)),
        (target(json!({"keys": {}})), Some("at least 1")),
        (json!({"type": "json", "target": {"expand": true}}), None),
        (target(json!({"expand": true})), Some("target.expand may only stand with type json")),
    ];
    for minimum in ["minUpper", "minLower", "minDigit", "minSymbol"] {
        for (value, refused) in [(0, None), (50, None), (-1, Some(low)), (51, Some(high))] {
            table.push((password(json!({minimum: value, "length": 200})), refused));
            table.push((user(json!({"password": {minimum: value, "length": 200}})), refused));
        }
    }
    let words: [(&str, &[&str]); 2] =
        [("deletionPolicy", &["Retain", "Delete"]), ("apiWrites", &["Allow", "GenerateOnly", "Deny"])];
    for (field, known) in words {
        table.extend(known.iter().map(|known| (with(field, json!(known)), None)));
        table.push((with(field, json!("Sometimes")), Some(word)));
    }
    let words: [(&str, &[&str]); 3] = [
        ("creationPolicy", &["Owner", "Merge", "Orphan"]),
        ("deletionPolicy", &["Delete", "Retain"]),
        ("onConflict", &["Fail", "Adopt", "Overwrite"]),
    ];
    for (field, known) in words {
        table.extend(known.iter().map(|known| (target(json!({field: known})), None)));
        table.push((target(json!({field: "Sometimes"})), Some(word)));
    }
    for (mode, refused) in [("Never", None), ("IfPresent", None), ("Sometimes", Some(word))] {
        table.push((with("adoption", json!({"mode": mode})), refused));
    }
    table
}

/// What only the operator sees: a spec, and how the message of `Ready` begins.
fn contradictions() -> Vec<(Value, &'static str)> {
    let password = |block: Value| json!({"type": "password", "password": block});
    let target = |block: Value| json!({"type": "password", "target": block});
    let none_left = json!({"excludeUpper": true, "excludeLower": true, "excludeNumber": true});
    vec![
        (password(none_left), "spec.password: every class"),
        (password(json!({"length": 4, "minDigit": 3})), "spec.password: the minimums add up to 5"),
        (password(json!({"excludeUpper": true, "minUpper": 1})), "spec.password: minUpper asks"),
        (password(json!({"excludeLower": true, "minLower": 1})), "spec.password: minLower asks"),
        (password(json!({"excludeNumber": true, "minDigit": 1})), "spec.password: minDigit asks"),
        (password(json!({"symbols": "--"})), "spec.password: symbols must"),
        (password(json!({"symbols": "a"})), "spec.password: symbols must"),
        (password(json!({"symbols": "- "})), "spec.password: symbols must"),
        (password(json!({"symbols": "|", "excludeAmbiguous": true})), "spec.password: excludeAmbiguous leaves"),
        (json!({"type": "user", "user": {"password": {"length": 4, "minDigit": 3}}}), "spec.user: the minimums"),
        (
            json!({"type": "user", "user": {"fromSecret": {"name": "s", "keys": {"password": "k", "host": "h"}}}}),
            "spec.user.fromSecret.keys: host is no part",
        ),
        (
            json!({"type": "user", "user": {"fromSecret": {"name": "s", "keys": {"username": "k"}}}}),
            "spec.user.fromSecret.keys: name the key that holds password",
        ),
        (
            json!({
                "type": "value", "value": {"fromSecret": {"name": "s", "key": "k"}},
                "adoption": {"fromSecret": {"name": "s", "key": "k"}},
            }),
            "spec.adoption.fromSecret may not stand beside",
        ),
        (target(json!({"keys": {"a b": "password"}})), "spec.target.keys: a b cannot be a key"),
        (target(json!({"keys": {"a": "username"}})), "spec.target.keys: username is no part"),
        (target(json!({"type": "kubernetes.io/tls"})), "spec.target.type kubernetes.io/tls needs the key"),
        (json!({"type": "json", "target": {"expand": true, "type": "x/y"}}), "spec.target.type may not stand beside"),
    ]
}

/// Edges in company, as few objects as hold them all: a spec, and the reason of `Ready` that it comes to.
fn taken() -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({
                "type": "password", "description": "x".repeat(1024), "deletionPolicy": "Retain", "apiWrites": "Deny",
                "password": {
                    "length": 200, "minUpper": 50, "minLower": 50, "minDigit": 50, "minSymbol": 50, "symbols": SIGNS,
                    "excludeAmbiguous": true,
                },
                "rotation": {"onParametersChange": "Keep"}, "adoption": {"mode": "Never"},
                "target": {
                    "name": "x".repeat(253), "creationPolicy": "Owner", "deletionPolicy": "Retain", "onConflict": "Overwrite",
                    "metadata": {"labels": {"app": "orders"}, "annotations": {"team": "shop"}},
                    "keys": {"A": "password", ".env_1-b": "password"},
                },
            }),
            "InSync",
        ),
        (
            json!({
                "type": "password", "password": {
                    "length": 4, "excludeUpper": true, "excludeNumber": true, "minLower": 0, "includeSpecial": false,
                },
            }),
            "InSync",
        ),
        (
            json!({
                "type": "user", "user": {"username": "x".repeat(255), "password": {"length": 4}, "hashes": ["sha512crypt"]},
            }),
            "InSync",
        ),
        (json!({"type": "password", "target": {"disabled": true}}), "StoredOnly"),
        (json!({"type": "json", "target": {"expand": true}}), "WaitingForInput"),
    ]
}

/// What does not work yet: a spec, and the fields that the message names.
fn later() -> Vec<(Value, &'static str)> {
    let with = |field: &str, value: Value| json!({"type": "password", field: value});
    vec![
        (json!({"type": "provider", "provider": {"kind": "aws"}}), "spec.type provider"),
        (json!({"type": "user", "user": {"hashes": ["bcrypt"]}}), "spec.user.hashes bcrypt"),
        (with("rotation", json!({"schedule": "0 3 * * 6"})), "spec.rotation.schedule"),
        (with("rotation", json!({"timeZone": "UTC"})), "spec.rotation.timeZone"),
        (with("rotation", json!({"keepPrevious": "24h"})), "spec.rotation.keepPrevious"),
        (with("history", json!({"versions": 3, "maxAge": "24h"})), "spec.history.versions, spec.history.maxAge"),
        (with("rollout", json!({"restart": [{"kind": "Deployment", "name": "orders"}]})), "spec.rollout"),
        (with("target", json!({"includePrevious": true})), "spec.target.includePrevious"),
        (with("target", json!({"creationPolicy": "Merge"})), "spec.target.creationPolicy Merge"),
        (with("target", json!({"creationPolicy": "Orphan"})), "spec.target.creationPolicy Orphan"),
    ]
}

/// What the API server says to a spec that it is not to store.
pub async fn dry_run(scene: &Scene, spec: &Value) -> Result<(), String> {
    let object = json!({
        "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": "edge"}, "spec": spec,
    });
    let params = PatchParams { dry_run: true, ..PatchParams::apply("test") };
    match scene.api::<Credential>().patch("edge", &params, &Patch::Apply(&object)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => Err(error.to_string()),
    }
}

/// Every sign of ASCII.
const SIGNS: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
