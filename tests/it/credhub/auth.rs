//! Who is let in, and what everybody else is told.

use axum::{body::Body, http::Request};
use credsmith_core::domain::ownership::ApiWrites;
use insta::assert_snapshot;

use crate::app::TestApp;

#[tokio::test]
async fn whoever_shows_no_token_is_told_so() {
    let app = TestApp::new().await;
    let answer = app.anonymous().get("/api/v1/data?name=/ci/v").await;
    assert_snapshot!(answer, @r#"
    401 Unauthorized
    {"error":"access_denied","error_description":"Full authentication is required to access this resource"}
    "#);
    assert_eq!((answer.header("www-authenticate"), answer.header("content-type")), ("Bearer", "application/json"));
    for (method, path) in [("GET", "/version"), ("GET", "/nowhere"), ("PATCH", "/api/v1/data"), ("GET", "//info")] {
        assert_eq!(app.anonymous().call(method, path, None).await.text, answer.text, "{method} {path}");
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_on_public_paths_too() {
    let app = TestApp::new().await;
    let expired = app.as_("expired").get("/api/v1/data?path=").await;
    assert_snapshot!(expired, @r#"
    401 Unauthorized
    {"error":"access_token_expired","error_description":"the token has expired: sign in again"}
    "#);
    assert_snapshot!(expired.header("www-authenticate"), @r#"Bearer error="access_token_expired", error_description="the token has expired: sign in again""#);
    let forged = app.as_("forged").get("/api/v1/data?path=").await;
    assert_snapshot!(forged, @r#"
    401 Unauthorized
    {"error":"invalid_token","error_description":"the token is not valid here: its signature is wrong"}
    "#);
    let foreign = app.as_("foreign").get("/api/v1/data?path=").await;
    assert_snapshot!(foreign, @r#"
    401 Unauthorized
    {"error":"invalid_token","error_description":"the token is none that this server knows: use one that was issued for it"}
    "#);
    let malformed = app.as_("two words").get("/api/v1/data?path=").await;
    assert_snapshot!(malformed, @r#"
    401 Unauthorized
    {"error":"invalid_token","error_description":"the Authorization header is malformed: send `Bearer` and one token"}
    "#);
    let unknowable = app.as_("unknowable").get("/api/v1/data?path=").await;
    assert_snapshot!(unknowable, @r#"
    503 Service Unavailable
    {"error":"the token cannot be checked right now: the API server does not answer: try again in a moment"}
    "#);
    assert_eq!(unknowable.header("retry-after"), "1");

    for path in ["/info", "/health", "/nowhere", "//"] {
        assert_eq!(app.as_("expired").get(path).await, expired, "{path}");
        assert_eq!(app.as_("forged").get(path).await, forged, "{path}");
        assert_eq!(app.as_("foreign").get(path).await, foreign, "{path}");
        assert_eq!(app.as_("two words").get(path).await, malformed, "{path}");
        assert_eq!(app.as_("unknowable").get(path).await, unknowable, "{path}");
    }
}

#[tokio::test]
async fn another_scheme_and_a_token_in_the_query_are_no_token() {
    let app = TestApp::new().await;
    for scheme in ["Basic YWxpY2U6", "Token alice", "alice", ""] {
        let request = Request::get("/version").header("authorization", scheme).body(Body::empty()).unwrap();
        assert!(app.send(request).await.text.contains("access_denied"), "{scheme}");
    }
    assert!(app.anonymous().get("/version?access_token=alice").await.text.contains("access_denied"));
    let lower = Request::get("/version").header("authorization", "bearer alice").body(Body::empty()).unwrap();
    assert_eq!(app.send(lower).await.status, 200);
}

#[tokio::test]
async fn a_stranger_sees_404_not_403_and_the_same_bytes_as_for_nothing() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    let made = alice.put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await.json();
    let id = made["id"].as_str().unwrap();
    let mallory = app.as_("mallory");

    let nothing = alice.get("/api/v1/data?name=/ci/nothing").await;
    assert_eq!(nothing.status, 404);
    for query in ["name=/ci/v", "name=/ci/v&current=true", "name=/ci/v&versions=1", "name=/ci/nothing"] {
        assert_eq!(mallory.get(&format!("/api/v1/data?{query}")).await, nothing, "{query}");
    }
    assert_eq!(mallory.get(&format!("/api/v1/data/{id}")).await, nothing);
    assert_eq!(mallory.get("/api/v1/data/12345678-1234-4234-8234-123456789abc").await, nothing);
    assert_eq!(mallory.delete("/api/v1/data?name=/ci/v").await, nothing);
    assert_eq!(mallory.delete("/api/v1/data?name=/ci/nothing").await, nothing);
    assert_eq!(alice.delete("/api/v1/data?name=/ci/nothing").await, nothing);
    let head = mallory.call("HEAD", "/api/v1/data?name=/ci/v", None).await;
    assert_eq!(head, mallory.call("HEAD", "/api/v1/data?name=/ci/nothing", None).await);

    let refused = mallory.put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"y"}"#).await;
    assert_eq!((refused.status.as_u16(), &refused.text), (403, &nothing.text));
    let new = mallory.post("/api/v1/data", r#"{"name":"/ci/nothing","type":"password"}"#).await;
    assert_eq!(new, refused);
    assert_eq!(alice.get("/api/v1/data?name=/ci/v&current=true").await.json()["data"][0], made);
}

#[tokio::test]
async fn a_path_that_a_credential_owns_is_written_as_that_allows() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    app.own("/ci/db", ApiWrites::GenerateOnly).await;
    let set = r#"{"name":"/ci/db","type":"password","value":"mine"}"#;
    assert_snapshot!(alice.put("/api/v1/data", set).await, @r#"
    403 Forbidden
    {"error":"/ci/db belongs to the Credential ci/db, whose apiWrites is GenerateOnly: ask for a generated value, or set spec.apiWrites to Allow"}
    "#);
    assert_snapshot!(alice.delete("/api/v1/data?name=/ci/db").await, @r#"
    403 Forbidden
    {"error":"/ci/db belongs to the Credential ci/db: to delete the value, set spec.deletionPolicy of that object to Delete and delete the object"}
    "#);
    let generate = r#"{"name":"/ci/db","type":"password","mode":"overwrite"}"#;
    assert_eq!(alice.post("/api/v1/data", generate).await.status, 200);

    app.own("/ci/db", ApiWrites::Deny).await;
    assert_snapshot!(alice.post("/api/v1/data", generate).await, @r#"
    403 Forbidden
    {"error":"/ci/db belongs to the Credential ci/db, whose apiWrites is Deny: change its source, or set spec.apiWrites to Allow"}
    "#);
    // To whom it belongs is nothing that a stranger is told.
    assert!(!app.as_("mallory").put("/api/v1/data", set).await.text.contains("ci/db"));
}

#[tokio::test]
async fn while_nobody_can_say_what_is_allowed_nothing_is() {
    let app = TestApp::new().await;
    app.rules.go_down();
    let answer = app.as_("alice").put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await;
    assert_snapshot!(answer, @r#"
    503 Service Unavailable
    {"error":"access cannot be reviewed right now: the API server does not answer: try again in a moment"}
    "#);
}
