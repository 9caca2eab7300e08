//! Random requests: none panics, none is answered with a 5xx, no refusal repeats a secret. `PROPTEST_CASES` asks for more
//! of them.

use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::app::TestApp;

/// Stands wherever a value could.
const SECRET: &str = "hunter2-hunter2";

proptest! {
    #[test]
    fn any_body_is_answered(method in prop_oneof![Just("PUT"), Just("POST")], body in bodies()) {
        let (runtime, app) = start();
        let answer = runtime.block_on(app.as_("alice").call(method, "/api/v1/data", Some(&body)));
        prop_assert!(answer.status.is_success() || answer.status.is_client_error(), "{answer}");
        if !answer.status.is_success() {
            prop_assert!(!answer.error().is_empty());
            prop_assert!(!answer.text.contains(SECRET), "{answer}");
        }
        prop_assert_eq!(answer.header("content-type"), "application/json");
    }

    #[test]
    fn any_path_is_answered(
        method in "GET|HEAD|PUT|POST|DELETE|OPTIONS|PATCH|TRACE|BREW",
        start_of in "(/api/v1/data|/info|/version|)",
        rest in r"([/.%;?&=+~a-f0-9]|name|path|versions|current|name-like|expires-within-days){0,12}",
    ) {
        let path = format!("{start_of}/{rest}");
        prop_assume!(path.parse::<axum::http::Uri>().is_ok());
        let (runtime, app) = start();
        let answer = runtime.block_on(app.as_("alice").call(&method, &path, None));
        prop_assert!(answer.status.is_success() || answer.status.is_client_error(), "{method} {path} {answer}");
        let stranger = runtime.block_on(app.anonymous().call(&method, &path, None));
        let is_public = path.starts_with("/info");
        prop_assert!(is_public || stranger.status == 401, "{method} {path} {stranger}");
    }
}

fn start() -> (Runtime, TestApp) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::new());
    (runtime, app)
}

/// Bodies that are nearly right, and some that are nothing at all.
fn bodies() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => objects(),
        5 => (whole(), objects()).prop_map(|(whole, rest)| format!("{},{}", &whole[..whole.len() - 1], &rest[1..])),
        2 => whole(),
        2 => (objects(), 0_usize..80).prop_map(|(text, at)| text.chars().take(at).collect()),
        1 => ".{0,20}",
        1 => values(),
    ]
}

/// A name, a type and whatever for a value.
fn whole() -> impl Strategy<Value = String> {
    let kinds = prop_oneof![
        Just("value"),
        Just("json"),
        Just("password"),
        Just("user"),
        Just("rsa"),
        Just("ssh"),
        Just("certificate")
    ];
    (kinds, values()).prop_map(|(kind, value)| format!(r#"{{"name":"/ci/v","type":"{kind}","value":{value}}}"#))
}

fn objects() -> impl Strategy<Value = String> {
    let keys = prop_oneof![
        4 => "name|type|value|metadata|mode|overwrite|parameters|regenerate",
        1 => "[a-z]{0,4}",
        1 => Just(r"\u0000".to_owned()),
    ];
    prop::collection::vec((keys, values()), 0..6).prop_map(object)
}

fn values() -> impl Strategy<Value = String> {
    let words = "/ci/v|ci/v|/ci//v|/ci/ü|/|value|json|password|user|USER|rsa|ssh|certificate|crl_sign|10\\.0\\.0\\.1|provider|overwrite|no-overwrite|converge";
    let leaf = prop_oneof![
        5 => words.prop_map(|word| format!(r#""{word}""#)),
        2 => Just(format!(r#""{SECRET}""#)),
        1 => "null|true|false|\"true\"|-0|1e400|12345678901234567890|1\\.50|\"\\\\ud800\"|nul|\"\t\"",
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let keys = "username|password|password_hash|length|exclude_upper|include_special|x|common_name|key_usage|is_ca|\
                    alternative_names|duration|key_length|ca|ca_name|certificate|private_key|public_key|transitional";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((keys, inner), 0..4).prop_map(object),
        ]
    })
}

fn object(members: Vec<(String, String)>) -> String {
    let members: Vec<_> = members.into_iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
    format!("{{{}}}", members.join(","))
}
