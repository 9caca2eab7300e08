//! Keys and certificates. What was recorded stands in `vectors.rs`; here is what is said in our own words, and what is
//! stored by the way.

use std::time::Duration;

use credsmith_core::domain::{Parameters, parameters::ParametersOf};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

#[tokio::test]
async fn any_text_is_a_key_pair() {
    let app = TestApp::new().await;
    let put = async |body: &str| app.as_("alice").put("/api/v1/data", body).await;
    assert_snapshot!(put(r#"{"name":"/ci/r","type":"rsa","value":{"public_key":"p\n","private_key":""}}"#).await, @r#"
    200 OK
    {"type":"rsa","version_created_at":"2026-01-16T12:00:00Z","id":"<id 1>","name":"/ci/r","metadata":null,"value":{"public_key":"p\n","private_key":null}}
    "#);
    assert_snapshot!(put(r#"{"name":"/ci/s","type":"ssh","value":{"private_key":"q","public_key_fingerprint":"x"}}"#).await, @r#"
    200 OK
    {"type":"ssh","version_created_at":"2026-01-16T12:00:00Z","id":"<id 2>","name":"/ci/s","metadata":null,"value":{"public_key":null,"private_key":"q","public_key_fingerprint":null}}
    "#);
}

#[tokio::test]
async fn a_certificate_shows_its_facts_beside_its_value() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    let ca = r#"{"name":"/ci/ca","type":"certificate","parameters":{"common_name":"Root","is_ca":true,"duration":10}}"#;
    assert_snapshot!(shown(&alice.post("/api/v1/data", ca).await), @r#"
    200 OK
    {
      "certificate_authority": true,
      "duration_overridden": false,
      "duration_used": 10,
      "expiry_date": "2026-01-26T12:00:00Z",
      "generated": true,
      "id": "<id 1>",
      "key_length": 2048,
      "metadata": null,
      "name": "/ci/ca",
      "self_signed": true,
      "transitional": false,
      "type": "certificate",
      "value": {
        "ca": "<CERTIFICATE 1>",
        "certificate": "<CERTIFICATE 1>",
        "private_key": "<RSA PRIVATE KEY 2>"
      },
      "version_created_at": "2026-01-16T12:00:00Z"
    }
    "#);
    let leaf = r#"{"name":"/ci/leaf","type":"certificate","parameters":{"common_name":"svc","ca":"ci/CA"}}"#;
    assert_snapshot!(shown(&alice.post("/api/v1/data", leaf).await), @r#"
    200 OK
    {
      "certificate_authority": false,
      "duration_overridden": false,
      "duration_used": 365,
      "expiry_date": "2027-01-16T12:00:00Z",
      "generated": true,
      "id": "<id 2>",
      "key_length": 2048,
      "metadata": null,
      "name": "/ci/leaf",
      "self_signed": false,
      "transitional": false,
      "type": "certificate",
      "value": {
        "ca": "<CERTIFICATE 1>",
        "certificate": "<CERTIFICATE 2>",
        "private_key": "<RSA PRIVATE KEY 3>"
      },
      "version_created_at": "2026-01-16T12:00:00Z"
    }
    "#);
    assert_snapshot!(shown(&alice.get("/api/v1/data?name=/ci/leaf&current=true").await), @r#"
    200 OK
    {
      "data": [
        {
          "certificate_authority": false,
          "expiry_date": "2027-01-16T12:00:00Z",
          "generated": true,
          "id": "<id 2>",
          "metadata": null,
          "name": "/ci/leaf",
          "self_signed": false,
          "transitional": false,
          "type": "certificate",
          "value": {
            "ca": "<CERTIFICATE 1>",
            "certificate": "<CERTIFICATE 2>",
            "private_key": "<RSA PRIVATE KEY 3>"
          },
          "version_created_at": "2026-01-16T12:00:00Z"
        }
      ]
    }
    "#);
    // Nothing is made where a version stays, so nothing is used.
    let kept = alice.post("/api/v1/data", leaf).await.json();
    assert_eq!(
        (&kept["duration_used"], &kept["duration_overridden"], &kept["key_length"]),
        (&json!(0), &json!(false), &json!(2048))
    );
}

#[tokio::test]
async fn what_is_refused_names_the_key_and_the_rule_and_stores_nothing() {
    let app = TestApp::new().await;
    let refused = async |kind: &str, parameters: &str| {
        let body = format!(r#"{{"name":"/ci/x","type":"{kind}","parameters":{{{parameters}}}}}"#);
        let answer = app.as_("alice").post("/api/v1/data", &body).await;
        format!("{} {}", answer.status.as_u16(), answer.error())
    };
    assert_snapshot!(refused("rsa", r#""key_length":1024"#).await, @"400 key_length is 1024: give 2048, 3072 or 4096");
    assert_snapshot!(refused("rsa", r#""ssh_comment":"x""#).await, @"400 the key `parameters.ssh_comment` is unknown here: use only key_length");
    assert_snapshot!(refused("ssh", r#""ssh_comment":"a\nb""#).await, @"400 ssh_comment is longer than 255 characters or more than one line");
    assert_snapshot!(refused("certificate", r#""self_sign":true"#).await, @"400 the certificate has no subject: give common_name, organization or another of its fields");
    assert_snapshot!(refused("certificate", r#""common_name":"x""#).await, @"400 nobody signs the certificate: give ca, self_sign or is_ca");
    assert_snapshot!(refused("certificate", r#""common_name":"x","ca":"/ci/ca","self_sign":true"#).await, @"400 ca and self_sign cannot be combined: drop one of the two");
    assert_snapshot!(refused("certificate", r#""common_name":"x","self_sign":true,"duration":3651"#).await, @"400 duration is out of range: give 1 to 3650, in whole days");
    assert_snapshot!(refused("certificate", r#""common_name":"x","self_sign":true,"alternative_names":["a b"]"#).await, @r#"400 alternative_names holds "a b": give host names, of labels of letters, digits, - and _, with at most one * as the first label, and IP addresses"#);
    assert_snapshot!(refused("certificate", r#""common_name":"x","self_sign":true,"alternative_names":"a.com""#).await, @"400 `parameters.alternative_names` has the wrong type: send a list of texts");
    assert_snapshot!(refused("certificate", r#""common_name":"x","self_sign":true,"path_length":0"#).await, @"400 the key `parameters.path_length` is unknown here: use only common_name, organization, organization_unit, locality, state, country, alternative_names, key_usage, extended_key_usage, key_length, duration, ca, is_ca, self_sign");
    assert_snapshot!(refused("certificate", r#""organization_unit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","self_sign":true"#).await, @"400 organization_unit has more than 64 characters: shorten it");
    assert_snapshot!(refused("certificate", r#""common_name":"x","ca":"/ci/none""#).await, @"404 the CA /ci/none does not exist, is no certificate, or you may not read it");
    assert_snapshot!(refused("certificate", r#""common_name":"x","ca":"a b""#).await, @"404 the CA /a b does not exist, is no certificate, or you may not read it");
    let many = vec![r#""a.com""#; 10_000].join(",");
    let many = format!(r#""common_name":"x","self_sign":true,"alternative_names":[{many}]"#);
    assert_snapshot!(refused("certificate", &many).await, @"400 alternative_names holds 10000 names: give at most 1000");
    assert_eq!(app.as_("alice").get("/api/v1/data?path=").await.text, r#"{"credentials":[]}"#);
}

/// Spec section 3.5: parameters first, then the target, then the signer.
#[tokio::test]
async fn checks_come_in_their_order() {
    let app = TestApp::new().await;
    app.rules.allow("writer", "update ci");
    let post = async |who: &str, parameters: &str| {
        let body =
            format!(r#"{{"name":"/ci/x","type":"certificate","parameters":{{"common_name":"x",{parameters}}}}}"#);
        app.as_(who).post("/api/v1/data", &body).await.status.as_u16()
    };
    let ca = r#"{"name":"/ci/ca","type":"certificate","parameters":{"common_name":"Root","is_ca":true}}"#;
    assert_eq!(app.as_("alice").post("/api/v1/data", ca).await.status, 200);
    assert_eq!(post("mallory", r#""ca":"/ci/ca","key_usage":["foo"]"#).await, 400);
    assert_eq!(post("mallory", r#""ca":"/ci/ca""#).await, 403);
    assert_eq!(post("writer", r#""ca":"/ci/ca""#).await, 404); // may write, and may not read the CA
    assert_eq!(post("alice", r#""ca":"/ci/ca""#).await, 200);
}

#[tokio::test]
async fn the_active_version_comes_first_and_the_transitional_one_behind_it() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    let post =
        r#"{"name":"/ci/ca","type":"certificate","overwrite":true,"parameters":{"common_name":"Root","is_ca":true}}"#;
    let one = alice.post("/api/v1/data", post).await.json();
    app.clock.advance(Duration::from_secs(1));
    let other = alice.post("/api/v1/data", &post.replace("/ci/ca", "/ci/other")).await.json();
    let put = json!({"name": "/ci/ca", "type": "certificate", "value": {
        "certificate": other["value"]["certificate"], "private_key": other["value"]["private_key"], "transitional": true}});
    let two = alice.put("/api/v1/data", &put.to_string()).await.json();
    assert_eq!(
        (&two["transitional"], &two["generated"], &two["self_signed"]),
        (&json!(true), &json!(false), &json!(true))
    );
    let ids = async |query: &str| {
        let found = alice.get(&format!("/api/v1/data?name=/ci/ca{query}")).await.json();
        found["data"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("&current=true").await, [one["id"].clone(), two["id"].clone()]);
    assert_eq!(ids("").await, [two["id"].clone(), one["id"].clone()]);
    // The active one signs; the other is trusted beside it.
    let leaf = r#"{"name":"/ci/leaf","type":"certificate","parameters":{"common_name":"svc","ca":"/ci/ca"}}"#;
    let leaf = alice.post("/api/v1/data", leaf).await.json();
    assert_eq!(leaf["value"]["ca"], one["value"]["certificate"]);
    let rows = app.hub.store.versions(&"/ci/leaf".parse().unwrap(), None).await.unwrap();
    assert_eq!(rows[0].facts.trusted_ca.as_deref(), other["value"]["certificate"].as_str());
    assert_eq!(
        (rows[0].facts.ca_name.as_deref(), rows[0].facts.signer.unwrap().to_string()),
        (Some("/ci/ca"), one["id"].as_str().unwrap().to_owned())
    );

    // Where nothing but a transitional version is there, nothing signs, and a generate makes an active one.
    let put = put.to_string().replace("/ci/ca", "/ci/new");
    let waiting = alice.put("/api/v1/data", &put).await.json();
    let signed = r#"{"name":"/ci/leaf2","type":"certificate","parameters":{"common_name":"svc","ca":"/ci/new"}}"#;
    assert_eq!(alice.post("/api/v1/data", signed).await.status, 404);
    let made =
        alice.post("/api/v1/data", &post.replace("/ci/ca", "/ci/new").replace(r#""overwrite":true,"#, "")).await.json();
    assert_ne!(made["id"], waiting["id"]);
    assert_eq!(made["transitional"], false);
}

#[tokio::test]
async fn what_expires_soon_is_found_with_its_date() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    for (name, days) in [("a", 1), ("b", 30)] {
        let body = json!({"name": format!("/ci/{name}"), "type": "certificate",
            "parameters": {"common_name": "x", "self_sign": true, "duration": days}});
        assert_eq!(alice.post("/api/v1/data", &body.to_string()).await.status, 200);
    }
    alice.put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await;
    assert_snapshot!(alice.get("/api/v1/data?path=/ci&expires-within-days=2").await, @r#"
    200 OK
    {"credentials":[{"version_created_at":"2026-01-16T12:00:00Z","name":"/ci/a","expiry_date":"2026-01-17T12:00:00Z"}]}
    "#);
    assert_snapshot!(app.as_("mallory").get("/api/v1/data?path=&expires-within-days=9999").await, @r#"
    200 OK
    {"credentials":[]}
    "#);
    for days in [i32::MIN, i32::MAX] {
        let answer = alice.get(&format!("/api/v1/data?name-like=&expires-within-days={days}")).await.json();
        assert_eq!(answer["credentials"].as_array().unwrap().len(), if days < 0 { 0 } else { 2 });
    }
}

#[tokio::test]
async fn parameters_are_kept_sealed_and_readable() {
    let app = TestApp::new().await;
    let body = r#"{"name":"/ci/x","type":"certificate","parameters":{"common_name":"x","self_sign":true,"duration":30,"key_usage":["crl_sign"]}}"#;
    app.as_("alice").post("/api/v1/data", body).await;
    let row = app.hub.store.versions(&"/ci/x".parse().unwrap(), None).await.unwrap().remove(0);
    let public: Parameters = serde_json::from_str(row.parameters.unwrap().public.unwrap().as_str()).unwrap();
    let ParametersOf::Certificate(of) = &public.of else { panic!("{public:?}") };
    assert_eq!((of.duration, of.self_sign, of.key), (Some(30 * 86400), true, None));
    assert_eq!(row.facts.key_usage.as_deref(), Some("crl_sign"));
    assert_eq!(row.facts.expires.unwrap(), "2026-02-15T12:00:00Z".parse().unwrap());
    let page = app.hub.metrics.page();
    assert!(page.contains(r#"credsmith_versions_total{reason="Generated",type="certificate"} 1"#), "{page}");
}

/// Each PEM as a number, so that a transcript tells which are the same.
fn shown(answer: &Answer) -> String {
    fn number(value: &mut Value, seen: &mut Vec<String>) {
        match value {
            Value::String(text) if text.starts_with("-----BEGIN") => {
                let at = seen.iter().position(|other| other == text).unwrap_or_else(|| {
                    seen.push(text.clone());
                    seen.len() - 1
                });
                *text = format!("<{} {}>", text[11..].split("-----").next().unwrap(), at + 1);
            }
            Value::Object(members) => members.values_mut().for_each(|value| number(value, seen)),
            Value::Array(items) => items.iter_mut().for_each(|value| number(value, seen)),
            _ => {}
        }
    }
    let mut body = serde_json::from_str(answer.to_string().split_once('\n').unwrap().1).unwrap();
    number(&mut body, &mut Vec::new());
    format!("{}\n{}", answer.status, serde_json::to_string_pretty(&body).unwrap())
}
