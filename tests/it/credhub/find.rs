//! Find.

use std::time::Duration;

use insta::assert_snapshot;

use crate::app::TestApp;

#[tokio::test]
async fn names_are_found_by_path_and_by_part() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    for name in ["/ci/a/b/one", "/ci/a/two", "/ci/ab/three", "/ci/A/four", "/ci/a_b"] {
        app.clock.advance(Duration::from_secs(1));
        alice.put("/api/v1/data", &format!(r#"{{"name":"{name}","type":"value","value":"x"}}"#)).await;
    }
    assert_snapshot!(alice.get("/api/v1/data?path=/CI/a").await, @r#"
    200 OK
    {"credentials":[{"version_created_at":"2026-01-16T12:00:04Z","name":"/ci/A/four"},{"version_created_at":"2026-01-16T12:00:02Z","name":"/ci/a/two"},{"version_created_at":"2026-01-16T12:00:01Z","name":"/ci/a/b/one"}]}
    "#);
    let found = async |query: &str| {
        let answer = alice.get(&format!("/api/v1/data?{query}")).await.json();
        answer["credentials"].as_array().unwrap().len()
    };
    assert_eq!(found("path=").await, 5);
    assert_eq!(found("path").await, 5);
    assert_eq!(found("name-like=").await, 5);
    assert_eq!(found("name-like=/B/ON").await, 1);
    assert_eq!(found("name-like=a_b").await, 1); // no wildcard
    assert_eq!(found("name-like=a%25b").await, 0);
    assert_eq!(found("path=ci/a&name=/ci/a/two").await, 3); // path beats name
    assert_eq!(found("path=/ci/a/two").await, 0);
    assert_eq!(found("path=&expires-within-days=").await, 5);
    assert_eq!(found("path=&expires-within-days=-1").await, 0); // nothing here expires
}

#[tokio::test]
async fn a_find_shows_what_the_caller_may_list() {
    let app = TestApp::new().await;
    app.as_("alice").put("/api/v1/data", r#"{"name":"/ci/v","type":"value","value":"x"}"#).await;
    assert_snapshot!(app.as_("mallory").get("/api/v1/data?path=").await, @r#"
    200 OK
    {"credentials":[]}
    "#);
    app.rules.allow("mallory", "list ci");
    assert_snapshot!(app.as_("mallory").get("/api/v1/data?path=").await, @r#"
    200 OK
    {"credentials":[{"version_created_at":"2026-01-16T12:00:00Z","name":"/ci/v"}]}
    "#);
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_is_whole() {
    let app = TestApp::new().await;
    for number in 0..2000 {
        app.clock.advance(Duration::from_millis(1));
        let body = format!(r#"{{"name":"/ci/a-name-that-fills-a-page/{number}","type":"value","value":"x"}}"#);
        assert_eq!(app.as_("alice").put("/api/v1/data", &body).await.status, 200);
    }
    let answer = app.as_("alice").get("/api/v1/data?path=/ci").await;
    assert_eq!(answer.header("content-length"), ""); // nobody knew how long it would be
    let json = answer.json();
    let found = json["credentials"].as_array().unwrap();
    assert_eq!(found.len(), 2000);
    assert_eq!(found[0]["name"], "/ci/a-name-that-fills-a-page/1999");
}

#[tokio::test]
async fn an_error_before_the_first_page_is_an_ordinary_one() {
    let app = TestApp::new().await;
    app.rules.go_down();
    assert_snapshot!(app.as_("alice").get("/api/v1/data?path=/ci").await, @r#"
    503 Service Unavailable
    {"error":"access cannot be reviewed right now: the API server does not answer: try again in a moment"}
    "#);
}

#[tokio::test]
async fn a_search_below_too_many_first_segments_says_how_to_narrow_it() {
    let app = TestApp::new().await;
    for verb in ["update *", "list *"] {
        app.rules.allow("root", verb);
    }
    let set = async |segment: usize| {
        let body = format!(r#"{{"name":"/n{segment}/v","type":"value","value":"x"}}"#);
        assert_eq!(app.as_("root").put("/api/v1/data", &body).await.status, 200);
    };
    for segment in 0..100 {
        set(segment).await;
    }
    app.rules.allow("alice", "list n7");
    let found = async |who: &str, query: &str| {
        let answer = app.as_(who).get(&format!("/api/v1/data?{query}")).await;
        (answer.status.as_u16(), answer.json()["credentials"].as_array().map(Vec::len))
    };
    assert_eq!(found("alice", "path=").await, (200, Some(1)));

    set(100).await;
    for query in ["path=", "name-like=v"] {
        let answer = app.as_("alice").get(&format!("/api/v1/data?{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error().as_str()),
            (
                400,
                "you may not list everything, and the search has hits below more than 100 first segments, each of which is \
                 asked about: search below one of them, with `path=/SEGMENT` (`credhub find -p /SEGMENT`)"
            ),
            "{query}"
        );
    }
    assert_eq!(found("alice", "path=/n7").await, (200, Some(1)));
    assert_eq!(found("alice", "name-like=n7/").await, (200, Some(1)));
    assert_eq!(found("root", "path=").await, (200, Some(101)));
}
