//! Everything a client can get wrong: each has a clear answer, and nothing is stored.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    body::{Body, Bytes},
    http::Request,
};
use credsmith_core::store::InMemory;
use futures::stream;

use crate::app::{Answer, TestApp};

#[tokio::test]
async fn every_bad_set_is_told_what_to_change() {
    let table = [
        ("", 400, "the body is no valid JSON: look at line 1, column 0"),
        ("{", 400, "the body is no valid JSON: look at line 1, column 1"),
        ("{'name':1}", 400, "the body is no valid JSON: look at line 1, column 2"),
        (r#"{"name":"/ci/v"} x"#, 400, "the body is no valid JSON: look at line 1, column 18"),
        ("{\n\"value\":\"a\tb\"}", 400, "the body is no valid JSON: look at line 2, column 10"),
        ("null", 400, "the body is no JSON object: send one"),
        ("[]", 400, "the body is no JSON object: send one"),
        ("1", 422, UNKNOWN_TYPE),
        ("true", 422, UNKNOWN_TYPE),
        (r#""x""#, 422, UNKNOWN_TYPE),
        ("{}", 422, UNKNOWN_TYPE),
        (r#"{"type":"foo"}"#, 422, UNKNOWN_TYPE),
        (r#"{"type":1}"#, 422, UNKNOWN_TYPE),
        (r#"{"type":["value"]}"#, 422, UNKNOWN_TYPE),
        (r#"{"type":"provider"}"#, 422, UNKNOWN_TYPE),
        (r#"{"type":"","foo":1}"#, 422, UNKNOWN_TYPE),
        (
            r#"{"type":"value","foo":1}"#,
            422,
            "the key `foo` is unknown here: use only name, type, value, metadata, overwrite",
        ),
        (
            r#"{"type":"value","mode":"overwrite"}"#,
            422,
            "the key `mode` is unknown here: use only name, type, value, metadata, overwrite",
        ),
        (
            r#"{"type":"user","name":"/ci/v","value":{"password":"p","foo":1}}"#,
            422,
            "the key `value.foo` is unknown here: use only username, password, password_hash",
        ),
        (r#"{"type":"value","value":"x"}"#, 400, "a credential name is missing: give one such as /team/database"),
        (r#"{"type":"value","name":[],"value":"x"}"#, 400, "`name` has the wrong type: send a text"),
        (
            r#"{"type":"value","name":"/ci/a b","value":"x"}"#,
            400,
            "the name holds ' ' at position 5: only letters, digits and - _ / . : , ( ) [ ] + may stand in a name",
        ),
        (
            r#"{"type":"value","name":"/ci/","value":"x"}"#,
            400,
            "the name has an empty segment: it must not hold // nor end with a slash",
        ),
        (r#"{"type":"value","name":"/ci/v"}"#, 400, "the value is missing or empty: give one"),
        (r#"{"type":"value","name":"/ci/v","value":""}"#, 400, "the value is missing or empty: give one"),
        (r#"{"type":"json","name":"/ci/v","value":null}"#, 400, "the value is missing or empty: give one"),
        (r#"{"type":"password","name":"/ci/v","value":1}"#, 400, "`value` has the wrong type: send a text"),
        (r#"{"type":"value","name":"/ci/v","value":"\ud83d"}"#, 400, "`value` has the wrong type: send a text"),
        (r#"{"type":"user","name":"/ci/v","value":"x"}"#, 400, "`value` has the wrong type: send a JSON object"),
        (r#"{"type":"user","name":"/ci/v","value":{}}"#, 400, "the password of the user is missing or empty: give one"),
        (
            r#"{"type":"user","name":"/ci/v","value":{"password":"p","username":1}}"#,
            400,
            "`value.username` has the wrong type: send a text",
        ),
        (
            r#"{"type":"value","name":"/ci/v","value":"x","overwrite":"yes"}"#,
            400,
            "`overwrite` has the wrong type: send true or false",
        ),
    ];
    let app = TestApp::new().await;
    for (body, status, text) in table {
        let answer = app.as_("alice").put("/api/v1/data", body).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (status, text), "{body}");
        assert_eq!(answer.header("content-type"), "application/json", "{body}");
    }
    nothing_is_stored(&app).await;
}

#[tokio::test]
async fn every_bad_query_is_told_what_to_change() {
    let name = "the query parameter name is missing: give a name in it";
    let table = [
        ("", name),
        ("?name=", name),
        ("?name", name),
        ("?NAME=/ci/v", name),
        ("?paths=true", name),
        ("?expires-within-days=1", name),
        ("?path=&name-like=", "path and name-like cannot be combined: send one of them"),
        ("?path=&expires-within-days=1.5", "expires-within-days is no number: give a whole one"),
        ("?path=&expires-within-days=99999999999", "expires-within-days is no number: give a whole one"),
        ("?name=/ci/v&versions=abc", "versions is no number: give a whole one"),
        ("?name=/ci/v&versions=%201", "versions is no number: give a whole one"),
        ("?name=/ci/v&versions=2147483648", "versions is no number: give a whole one"),
        ("?name=/ci/v&versions=-1", "versions is negative: give 1 or more"),
        ("?name=/ci/v&current=maybe", "current is neither true nor false: give one of the two"),
        ("?name=/ci/v&current=true&versions=0", "current and versions cannot be combined: send one of them"),
    ];
    let app = TestApp::new().await;
    for (query, text) in table {
        let answer = app.as_("alice").get(&format!("/api/v1/data{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, text), "{query}");
    }
    assert_eq!(app.as_("alice").delete("/api/v1/data").await.error(), name);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_by_its_content_type() {
    let app = TestApp::new().await;
    for content_type in [None, Some("text/plain"), Some("*/*"), Some("application/x-www-form-urlencoded")] {
        let mut request = Request::put("/api/v1/data").header("authorization", "Bearer alice");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let body = Body::from(r#"{"name":"/ci/v","type":"value","value":"x"}"#);
        let answer = app.send(request.body(body).unwrap()).await;
        assert_eq!(answer.status, 400, "{content_type:?}");
        assert_eq!(
            answer.error(),
            "the content type is missing or not JSON: send `Content-Type: application/json`",
            "{content_type:?}"
        );
    }
    nothing_is_stored(&app).await;
}

#[tokio::test]
async fn the_largest_value_fits_and_one_byte_more_does_not() {
    let app = TestApp::new().await;
    let put = async |value: &str| {
        let body = format!(r#"{{"name":"/ci/v","type":"value","value":"{value}"}}"#);
        app.as_("alice").put("/api/v1/data", &body).await
    };
    let answer = put(&"x".repeat(65_537)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.error(),
        "the value is larger than 65536 bytes: shorten it, or split it over several credentials"
    );
    nothing_is_stored(&app).await;
    assert_eq!(put(&"x".repeat(65_536)).await.status, 200);
    assert_eq!(put(&"\\u0041".repeat(65_536)).await.status, 200); // what counts is the decoded value
}

#[tokio::test]
async fn metadata_is_bounded_by_its_compact_form() {
    let app = TestApp::new().await;
    let post = async |length: usize, space: &str| {
        let metadata = format!(r#"{{"a":{space}"{}"}}"#, "ü".repeat(length));
        let body = format!(r#"{{"name":"/ci/p","type":"password","metadata":{metadata}}}"#);
        app.as_("alice").post("/api/v1/data", &body).await
    };
    let answer = post(6993, "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.error().as_str()),
        (400, "the metadata has 7001 characters, at most 7000 are allowed")
    );
    nothing_is_stored(&app).await;
    assert_eq!(post(6992, "   ").await.status, 200);
}

#[tokio::test]
async fn nesting_is_bounded() {
    let app = TestApp::new().await;
    let put = async |levels: usize| {
        let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let body = format!(r#"{{"name":"/ci/j","type":"json","value":{value}}}"#);
        app.as_("alice").put("/api/v1/data", &body).await
    };
    for levels in [500, 100_000] {
        let answer = put(levels).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.error(), "the body is nested deeper than 500 levels: send a flatter one");
    }
    nothing_is_stored(&app).await;
    assert_eq!(put(499).await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_kept_and_not_read_without_end() {
    let text = "the body has more than 524288 bytes: send less";
    let app = TestApp::new().await;
    let (answer, read) = endless(&app, None).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (413, text));
    assert!(read <= (512 + 64) * 1024 + 8 * 1024 * 1024, "{read}"); // what follows is read for the client's sake

    let (answer, read) = endless(&app, Some(1 << 30)).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str(), read), (413, text, 0));
    nothing_is_stored(&app).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_no_text_is_refused() {
    let app = TestApp::new().await;
    let put = |body: Body| {
        Request::put("/api/v1/data")
            .header("authorization", "Bearer alice")
            .header("content-type", "application/json")
            .body(body)
            .unwrap()
    };
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    let answer = app.send(put(Body::from_stream(broken))).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "the body broke off: send it again"));
    let answer = app.send(put(Body::from(vec![b'"', 0xff, b'"']))).await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (400, "the body is not UTF-8: send JSON in UTF-8"));
}

#[tokio::test]
async fn a_stored_value_that_does_not_open_is_not_the_same_as_none() {
    let store = Arc::new(InMemory::new());
    let app = TestApp::over(store.clone(), 1).await;
    app.as_("alice").put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await;
    let other_keys = TestApp::over(store, 2).await;
    let answer = other_keys.as_("alice").get("/api/v1/data?name=/ci/v").await;
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.error(),
        "the stored value cannot be opened, and nothing was changed: ask the administrator of the server, whose log \
         names the version and the cause"
    );
    assert!(other_keys.hub.metrics.page().contains(r#"credsmith_damaged_total{cause="unknown_key"} 1"#));
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_for() {
    let app = TestApp::new().await;
    let answer = app.as_("panic").get("/info").await;
    assert_eq!(
        (answer.status.as_u16(), answer.error().as_str()),
        (500, "the server failed to answer: ask its administrator, whose log says why")
    );
    assert_eq!(app.anonymous().get("/info").await.status, 200);
}

/// Sends zeros until somebody stops reading, and says how many bytes were read.
async fn endless(app: &TestApp, length: Option<u64>) -> (Answer, usize) {
    const PART: usize = 16 * 1024;
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let parts = stream::repeat_with(move || {
        counter.fetch_add(PART, Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(vec![b'0'; PART]))
    });
    let mut request =
        Request::put("/api/v1/data").header("authorization", "Bearer alice").header("content-type", "application/json");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    let answer = app.send(request.body(Body::from_stream(parts)).unwrap()).await;
    (answer, read.load(Ordering::Relaxed))
}

async fn nothing_is_stored(app: &TestApp) {
    assert_eq!(app.as_("alice").get("/api/v1/data?path=").await.text, r#"{"credentials":[]}"#);
}

const UNKNOWN_TYPE: &str = "the type is unknown: use one of value, json, password, user, certificate, rsa, ssh";
