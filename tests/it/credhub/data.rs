//! Set, get and delete.

use std::time::Duration;

use insta::assert_snapshot;

use crate::app::TestApp;

#[tokio::test]
async fn each_type_comes_back_as_it_was_set() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");

    let answer = alice.put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x\n\"y\""}"#).await;
    assert_snapshot!(answer, @r#"
    200 OK
    {"type":"value","version_created_at":"2026-01-16T12:00:00Z","id":"<id 1>","name":"/ci/v","metadata":null,"value":"x\n\"y\""}
    "#);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");

    let body = r#"{"name":"ci/p","type":"PASSWORD","value":"hunter2","metadata":{"z": 1.10, "a":[ ]}}"#;
    assert_snapshot!(alice.put("/api/v1/data", body).await, @r#"
    200 OK
    {"type":"password","version_created_at":"2026-01-16T12:00:00Z","id":"<id 2>","name":"/ci/p","metadata":{"z":1.10,"a":[]},"value":"hunter2"}
    "#);

    let body =
        r#"{"name":"/ci/j","type":"json","value":{ "b" : 1E+2, "a": [0.12345678901234567890123, -0], "b": 1.10 }}"#;
    assert_snapshot!(alice.put("/api/v1/data", body).await, @r#"
    200 OK
    {"type":"json","version_created_at":"2026-01-16T12:00:00Z","id":"<id 3>","name":"/ci/j","metadata":null,"value":{"b":1.10,"a":[0.12345678901234567890123,-0]}}
    "#);

    let body = r#"{"name":"/ci/u","type":"user","value":{"username":"","password":"p","password_hash":"ignored"}}"#;
    let user = alice.put("/api/v1/data", body).await.json();
    assert_eq!((&user["value"]["username"], &user["value"]["password"]), (&serde_json::Value::Null, &"p".into()));
    let hash = user["value"]["password_hash"].as_str().unwrap();
    assert!(hash.starts_with("$6$") && hash.len() == 98, "{hash}");
    let again = alice.get("/api/v1/data?current=true&name=/ci/u").await.json();
    assert_eq!(again["data"][0], user);
}

#[tokio::test]
async fn a_name_gives_all_versions_or_as_many_as_asked_for() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    for value in ["one", "two", "three"] {
        app.clock.advance(Duration::from_secs(1));
        alice.put("/api/v1/data", &format!(r#"{{"name":"/ci/v","type":"value","value":"{value}"}}"#)).await;
    }

    assert_snapshot!(alice.get("/api/v1/data?name=/CI/V&versions=2").await, @r#"
    200 OK
    {"data":[{"type":"value","version_created_at":"2026-01-16T12:00:03Z","id":"<id 3>","name":"/ci/v","metadata":null,"value":"three"},{"type":"value","version_created_at":"2026-01-16T12:00:02Z","id":"<id 2>","name":"/ci/v","metadata":null,"value":"two"}]}
    "#);
    let count = async |query: &str| {
        let answer = alice.get(&format!("/api/v1/data?name=ci%2Fv{query}")).await.json();
        answer["data"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("&versions=").await, 3);
    assert_eq!(count("&versions=99&current=off").await, 3);
    assert_eq!(count("&current=YES").await, 1);
    assert_eq!(count("&current=1&versions=").await, 1);

    let ids = alice.get("/api/v1/data?name=/ci/v").await.json();
    let id = ids["data"][2]["id"].as_str().unwrap();
    let oldest = alice.get(&format!("/api/v1/data/{id}")).await;
    assert_snapshot!(oldest, @r#"
    200 OK
    {"type":"value","version_created_at":"2026-01-16T12:00:01Z","id":"<id 1>","name":"/ci/v","metadata":null,"value":"one"}
    "#);
    assert_eq!(alice.get(&format!("/api/v1/data/{}", id.to_uppercase())).await, oldest);
}

#[tokio::test]
async fn what_is_not_there_is_not_there() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    alice.put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await;
    let missing = alice.get("/api/v1/data?name=/ci/missing").await;
    assert_snapshot!(missing, @r#"
    404 Not Found
    {"error":"The request could not be completed because the credential does not exist or you do not have sufficient authorization."}
    "#);
    for path in [
        "/api/v1/data?name=/ci/v&versions=0",
        "/api/v1/data?name=/ci/v/",
        "/api/v1/data?name=/ci//v",
        "/api/v1/data?name=/ci/v&name=/ci/v",
        "/api/v1/data?name=/ci/%zz",
        "/api/v1/data?name=/ci/a%00b",
        "/api/v1/data?name=/ci/%C3%BC",
        "/api/v1/data?name=/",
        "/api/v1/data/12345678-1234-4234-8234-123456789abc",
        "/api/v1/data/12345678123442348234123456789abc",
        "/api/v1/data/nonsense",
    ] {
        assert_eq!(alice.get(path).await, missing, "{path}");
    }
    for path in ["/api/v1/data?name=/ci/missing", "/api/v1/data?name=/ci/*"] {
        assert_eq!(alice.delete(path).await, missing, "{path}");
    }
}

#[tokio::test]
async fn a_deleted_name_is_free_for_another_type() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    alice.put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await;
    let other = r#"{"name":"/ci/v","type":"json","value":1}"#;
    assert_snapshot!(alice.put("/api/v1/data", other).await, @r#"
    400 Bad Request
    {"error":"The credential type cannot be modified. Please delete the credential if you wish to create it with a different type."}
    "#);

    let deleted = alice.delete("/api/v1/data?name=/ci/v").await;
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    assert_eq!(alice.delete("/api/v1/data?name=/ci/v").await.status, 404);
    assert_eq!(alice.put("/api/v1/data", other).await.status, 200);
}

#[tokio::test]
async fn overwrite_false_keeps_what_is_there() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    let put = async |value: &str, overwrite: &str| {
        let body = format!(r#"{{"name":"/ci/v","type":"value","value":"{value}","overwrite":{overwrite}}}"#);
        alice.put("/api/v1/data", &body).await.json()["value"].clone()
    };
    assert_eq!(put("one", "false").await, "one");
    assert_eq!(put("two", r#""false""#).await, "one");
    assert_eq!(put("three", r#""true""#).await, "three");
    assert_eq!(put("four", "null").await, "four");

    let other = r#"{"name":"/ci/v","type":"password","value":"x","overwrite":false}"#;
    assert!(alice.put("/api/v1/data", other).await.error().starts_with("The credential type cannot be modified."));
}

#[tokio::test]
async fn a_body_with_a_get_or_a_delete_is_ignored() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    alice.put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await;
    assert_eq!(alice.call("GET", "/api/v1/data?name=/ci/v", Some("null")).await.status, 200);
    assert_eq!(alice.call("DELETE", "/api/v1/data?name=/ci/v", Some("{broken")).await.status, 204);
}
