//! Every route with every kind of caller. A route without a row here fails the build, so nobody can add one and forget to
//! say who may call it.

use axum::http::{StatusCode, header};
use credsmith_api::ROUTES;

use crate::app::{Answer, TestApp};

/// A call of a route, and the statuses that a stranger, a caller without rights and one with rights see.
struct Row {
    method: &'static str,
    path: &'static str,
    /// What is sent: `{id}` stands for a version that exists.
    uri: &'static str,
    body: Option<&'static str>,
    expected: [u16; 3],
}

const ROWS: &[Row] = &[
    Row { method: "GET", path: "/info", uri: "/info", body: None, expected: [200, 200, 200] },
    Row { method: "GET", path: "/health", uri: "/health", body: None, expected: [200, 200, 200] },
    Row { method: "GET", path: "/version", uri: "/version", body: None, expected: [401, 200, 200] },
    Row { method: "GET", path: DATA, uri: "/api/v1/data?name=/ci/v", body: None, expected: [401, 404, 200] },
    // Whoever may list nothing finds nothing, which is no error.
    Row { method: "GET", path: DATA, uri: "/api/v1/data?path=", body: None, expected: [401, 200, 200] },
    Row { method: "GET", path: DATA, uri: "/api/v1/data?name-like=", body: None, expected: [401, 200, 200] },
    Row { method: "GET", path: "/api/v1/data/{id}", uri: "/api/v1/data/{id}", body: None, expected: [401, 404, 200] },
    Row { method: "PUT", path: DATA, uri: DATA, body: Some(SET), expected: [401, 403, 200] },
    Row { method: "POST", path: DATA, uri: DATA, body: Some(GENERATE), expected: [401, 403, 200] },
    Row { method: "DELETE", path: DATA, uri: "/api/v1/data?name=/ci/v", body: None, expected: [401, 404, 204] },
];

#[tokio::test]
async fn every_route_lets_in_whom_it_should() {
    for row in ROWS {
        for (who, expected) in [None, Some("mallory"), Some("alice")].into_iter().zip(row.expected) {
            let answer = call(row, row.method, who).await;
            assert_eq!(answer.status, expected, "{} {} as {who:?}: {answer}", row.method, row.uri);
            if expected == 401 {
                assert!(answer.text.contains("access_denied"), "{answer}");
            }
            assert!(expected == 200 || !answer.text.contains("the-value"), "{} {}: {answer}", row.method, row.uri);
        }
        let listed = call(row, row.method, Some("mallory")).await;
        assert!(!listed.text.contains("/ci/v"), "{} {}: {listed}", row.method, row.uri);
    }
}

#[tokio::test]
async fn every_route_refuses_a_bad_token() {
    for row in ROWS {
        for token in ["expired", "forged", "foreign"] {
            let answer = call(row, row.method, Some(token)).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{} {} as {token}: {answer}", row.method, row.uri);
        }
    }
}

#[tokio::test]
async fn head_says_what_get_would_say() {
    for row in ROWS.iter().filter(|row| row.method == "GET") {
        for who in [None, Some("mallory"), Some("alice")] {
            let (get, head) = (call(row, "GET", who).await, call(row, "HEAD", who).await);
            assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{} as {who:?}", row.uri);
            assert_eq!(head.headers.get(header::CONTENT_TYPE), get.headers.get(header::CONTENT_TYPE), "{}", row.uri);
        }
    }
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    for route in ROUTES {
        let has_row = ROWS.iter().any(|row| route.method == row.method && route.path == row.path);
        assert!(has_row, "{route:?} has no row in tests/it/guards.rs: add one that says who may call it");
        let row = ROWS.iter().find(|row| route.method == row.method && route.path == row.path).unwrap();
        assert_eq!(route.public, row.expected[0] != 401, "{route:?}: the table of routes and the row here disagree");
    }
    for row in ROWS {
        let has_route = ROUTES.iter().any(|route| route.method == row.method && route.path == row.path);
        assert!(has_route, "{} {} is no route any more: take its row away", row.method, row.path);
    }
}

/// Each call has a server of its own, with one credential in it.
async fn call(row: &Row, method: &str, who: Option<&str>) -> Answer {
    let app = TestApp::new().await;
    let made = app.as_("alice").put(DATA, r#"{"name":"/ci/v","type":"value","value":"the-value"}"#).await.json();
    let uri = row.uri.replace("{id}", made["id"].as_str().unwrap());
    let client = who.map_or_else(|| app.anonymous(), |who| app.as_(who));
    client.call(method, &uri, row.body).await
}

const DATA: &str = "/api/v1/data";
const SET: &str = r#"{"name":"/ci/v","type":"value","value":"new"}"#;
const GENERATE: &str = r#"{"name":"/ci/new","type":"password"}"#;
