//! What holds for every path: slashes, methods, metrics, logs.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{body::Body, http::Request};
use insta::assert_snapshot;
use tracing_subscriber::fmt::MakeWriter;

use crate::app::TestApp;

#[tokio::test]
async fn info_health_and_version() {
    let app = TestApp::new().await;
    assert_snapshot!(app.anonymous().get("/info").await, @r#"
    200 OK
    {"app":{"name":"CredHub"},"auth-server":{"url":"https://uaa.example"}}
    "#);
    assert_snapshot!(app.anonymous().get("/health").await, @r#"
    200 OK
    {"status":"UP"}
    "#);
    assert_snapshot!(app.as_("mallory").get("/version").await, @r#"
    200 OK
    {"version":"2.15.20"}
    "#);
}

#[tokio::test]
async fn one_slash_at_the_end_makes_no_difference() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    let body = r#"{"name":"/ci/v","type":"value","value":"x"}"#;
    assert_eq!(alice.put("/api/v1/data/", body).await.status, 200);
    assert_eq!(alice.get("/api/v1/data/?name=/ci/v").await.status, 200);
    assert_eq!(alice.get("/api/v1/%64ata?name=/ci/v").await.status, 200);
    assert_eq!(app.anonymous().get("/info/").await.status, 200);
    assert_eq!(alice.delete("/api/v1/data/?name=/ci/v").await.status, 204);
}

#[tokio::test]
async fn odd_and_unknown_paths_lead_nowhere() {
    let app = TestApp::new().await;
    for path in [
        "/",
        "/nowhere",
        "/api/v1",
        "/api/v1/data/a/b",
        "/api/v1/data//?name=/ci/v",
        "//api/v1/data?name=/ci/v",
        "/api//v1/data?name=/ci/v",
        "/api/v1/./data?name=/ci/v",
        "/api/v1/x/../data?name=/ci/v",
        "/api/v1/x/%2e%2e/data?name=/ci/v",
        "/api/v1/data;x=y?name=/ci/v",
        "/api%2fv1/data?name=/ci/v",
    ] {
        let answer = app.as_("alice").get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.error(), "this path does not exist: credentials are at /api/v1/data", "{path}");
    }
}

#[tokio::test]
async fn a_path_says_which_methods_it_knows() {
    let app = TestApp::new().await;
    let options = app.as_("alice").call("OPTIONS", "/api/v1/data", None).await;
    assert_eq!((options.status.as_u16(), options.text.as_str()), (200, ""));
    assert_eq!(options.header("allow"), "GET,PUT,POST,DELETE,HEAD,OPTIONS");
    let options = app.anonymous().call("OPTIONS", "/info", None).await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (200, "GET,HEAD,OPTIONS"));
    assert_eq!(app.anonymous().call("OPTIONS", "/api/v1/data", None).await.status, 401);

    for (method, path) in [("PATCH", "/api/v1/data"), ("TRACE", "/api/v1/data"), ("BREW", "/api/v1/data")] {
        let answer = app.as_("alice").call(method, path, None).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(
            answer.error(),
            "this path does not know that method: it knows GET, PUT, POST, DELETE, HEAD, OPTIONS",
            "{method} {path}"
        );
    }
    assert_eq!(app.anonymous().call("POST", "/health", Some("{}")).await.status, 404);
}

#[tokio::test]
async fn a_client_that_takes_no_json_is_told_so_before_anything_is_done() {
    let app = TestApp::new().await;
    let call = async |method: &str, uri: &str, token: Option<&str>, accept: &str, body: &str| {
        let mut request = Request::builder().method(method).uri(uri).header("accept", accept);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned()));
        app.send(request.unwrap()).await
    };
    let (data, name, alice) = ("/api/v1/data", "/api/v1/data?name=/ci/v", Some("alice"));
    let set = r#"{"name":"/ci/v","type":"value","value":"x"}"#;
    for (method, uri, body) in [
        ("GET", name, ""),
        ("PUT", data, set),
        ("POST", data, r#"{"name":"/ci/v","type":"password"}"#),
        ("DELETE", name, ""),
        ("GET", "/version", ""),
        ("GET", "/info", ""),
    ] {
        let answer = call(method, uri, alice, "text/html", body).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (406, ""), "{method} {uri}");
        let answer = call(method, uri, alice, "garbage", body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error().as_str()),
            (400, "the Accept header cannot be read: send `Accept: application/json`, or none"),
            "{method} {uri}"
        );
    }
    assert_eq!(app.as_("alice").get(name).await.status, 404, "something was stored");

    assert_eq!(call("PUT", data, alice, "text/html, */*;q=0.8", set).await.status, 200);
    assert_eq!(call("GET", name, alice, "application/json", "").await.status, 200);
    assert_eq!(call("HEAD", name, alice, "text/html", "").await.status, 406);
    assert_eq!(call("DELETE", name, None, "text/html", "").await.status, 401);
    assert_eq!(call("GET", "/nowhere", alice, "text/html", "").await.status, 404);
    assert_eq!(call("OPTIONS", data, alice, "text/html", "").await.status, 200);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let app = TestApp::new().await;
    app.as_("alice").get("/api/v1/data/12345678-1234-4234-8234-123456789abc").await;
    app.as_("alice").get("/made/up?name=/ci/v").await;
    app.as_("alice").call("BREW", "/api/v1/data", None).await;
    app.anonymous().get("/info").await;
    let page = app.hub.metrics.page();
    for line in [
        r#"credsmith_http_requests_total{method="GET",route="/api/v1/data/{id}",status="404"} 1"#,
        r#"credsmith_http_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"credsmith_http_requests_total{method="other",route="/api/v1/data",status="404"} 1"#,
        r#"credsmith_http_requests_total{method="GET",route="/info",status="200"} 1"#,
        r#"credsmith_http_request_seconds_count{method="GET",route="/info"} 1"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("made") && !page.contains("12345678"), "{page}");
}

#[tokio::test]
async fn the_log_tells_who_and_what_and_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // With one subscriber alone, an event that another thread comes by first counts as wanted by nobody.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    let app = TestApp::new().await;
    let body = r#"{"name":"/ci/v","type":"value","value":"hunter2-value"}"#;
    app.as_("alice").put("/api/v1/data?x=hunter2-query", body).await;
    app.as_("alice").put("/api/v1/data", r#"{"type":"value","hunter2-key":1}"#).await;
    app.as_("alice").put("/api/v1/data", r#"{"value":"hunter2-broken""#).await;
    app.as_("alice").get("/hunter2-path").await;
    app.as_("hunter2-token").get("/version").await;
    app.as_("hunter2-token x").get("/version").await;
    drop(guard);

    let log = log.text();
    assert!(
        log.contains(
            r#"method="PUT" route="/api/v1/data" actor="k8s-sa:ci/alice"}: credsmith_api::layers: answered status=200"#
        ),
        "{log}"
    );
    for word in ["value", "query", "key", "broken", "path"] {
        assert!(!log.contains(&format!("hunter2-{word}")), "{word}: {log}");
    }
    // The test's verifier makes the token the name of the actor; otherwise it is nowhere.
    assert_eq!(log.replace("k8s-sa:ci/hunter2-token", "").matches("hunter2-token").count(), 0, "{log}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        // Colours would stand between the words.
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let plain = text.split('\u{1b}').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
        text.split('\u{1b}').take(1).chain(plain.skip(1)).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
