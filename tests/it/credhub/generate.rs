//! Generate.

use insta::assert_snapshot;
use serde_json::Value;

use crate::app::TestApp;

#[tokio::test]
async fn a_password_is_made_as_asked() {
    let app = TestApp::new().await;
    let alice = app.as_("alice");
    let made = async |parameters: &str| {
        let body = format!(r#"{{"name":"/ci/p","type":"password","overwrite":true,"metadata":{{"a":1}}{parameters}}}"#);
        let answer = alice.post("/api/v1/data", &body).await.json();
        assert_eq!((&answer["type"], &answer["metadata"]["a"]), (&"password".into(), &1.into()));
        answer["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(made("").await.len(), 30);
    for (length, expected) in [("4", 4), ("200", 200), ("3", 30), ("201", 30), ("0", 30), ("-2147483648", 30)] {
        assert_eq!(made(&format!(r#","parameters":{{"length":{length}}}"#)).await.len(), expected, "{length}");
    }
    let digits = made(r#","parameters":{"exclude_upper":"true","exclude_lower":true,"username":"unused"}"#).await;
    assert!(digits.chars().all(|c| c.is_ascii_digit()), "{digits}");
    let special = made(
        r#","parameters":{"exclude_upper":true,"exclude_lower":true,"exclude_number":true,"include_special":true}"#,
    )
    .await;
    assert!(special.chars().all(|c| c.is_ascii_punctuation()), "{special}");
    made(r#","parameters":null"#).await;
}

#[tokio::test]
async fn a_user_name_is_given_or_made() {
    let app = TestApp::new().await;
    let username = async |rest: &str| {
        let body = format!(r#"{{"name":"/ci/u","type":"user","mode":"overwrite"{rest}}}"#);
        app.as_("alice").post("/api/v1/data", &body).await.json()["value"]["username"].clone()
    };
    assert_eq!(username(r#","value":{"username":"fred"},"parameters":{"username":"barney"}"#).await, "fred");
    assert_eq!(username(r#","parameters":{"username":"barney"}"#).await, "barney");
    assert_eq!(username(r#","value":{"username":""}"#).await, "");
    for made in [username("").await, username(r#","value":{}"#).await, username(r#","value":{"username":null}"#).await]
    {
        let made = made.as_str().unwrap();
        assert!(made.len() == 20 && made.chars().all(|c| c.is_ascii_alphabetic()), "{made}");
    }
}

#[tokio::test]
async fn the_mode_says_whether_a_version_stays() {
    let app = TestApp::new().await;
    let id = async |rest: &str| -> Value {
        let body = format!(r#"{{"name":"/ci/p","type":"password"{rest}}}"#);
        app.as_("alice").post("/api/v1/data", &body).await.json()["id"].clone()
    };
    let first = id("").await;
    for kept in ["", r#","mode":"no-overwrite""#, r#","overwrite":false"#, r#","overwrite":"false""#] {
        assert_eq!(id(kept).await, first, "{kept}");
    }
    for kept in [r#","mode":null"#, r#","overwrite":null"#, r#","mode":null,"overwrite":false"#] {
        assert_eq!(id(kept).await, first, "{kept}");
    }
    let mut seen = vec![first];
    for made in [r#","mode":"overwrite""#, r#","overwrite":true"#, r#","overwrite":"true""#] {
        let id = id(made).await;
        assert!(!seen.contains(&id), "{made}");
        seen.push(id);
    }
}

#[tokio::test]
async fn what_is_refused_is_refused_in_every_mode() {
    let app = TestApp::new().await;
    let refused = async |rest: &str| {
        let body = format!(r#"{{"name":"/ci/p"{rest}}}"#);
        let answer = app.as_("alice").post("/api/v1/data", &body).await;
        assert_eq!(answer.status, 400, "{answer}");
        answer.error()
    };
    assert_eq!(app.as_("alice").post("/api/v1/data", r#"{"name":"/ci/p","type":"password"}"#).await.status, 200);
    let nothing_left =
        r#","type":"password","parameters":{"exclude_upper":true,"exclude_lower":true,"exclude_number":true}"#;
    assert_snapshot!(refused(nothing_left).await, @"every class of characters is excluded: leave at least one of upper, lower, number or special");
    assert_snapshot!(refused(r#","type":"user""#).await, @"The credential type cannot be modified. Please delete the credential if you wish to create it with a different type.");
    assert_snapshot!(refused(r#","type":"password","mode":"overwrite","overwrite":false"#).await, @"mode and overwrite cannot be combined: send one of them");
    assert_snapshot!(refused(r#","type":"password","mode":"converge","overwrite":null"#).await, @"mode and overwrite cannot be combined: send one of them");
    assert_snapshot!(refused(r#","type":"password","mode":"converge""#).await, @"the mode converge is not in this release: use overwrite for a new value, no-overwrite to keep the one that is there");
    assert_snapshot!(refused(r#","type":"password","mode":"OVERWRITE""#).await, @"the mode is unknown: use overwrite or no-overwrite");
    assert_snapshot!(refused(r#","regenerate":true"#).await, @"regenerate is not in this release: send the type and the parameters again, with mode overwrite");
    assert_snapshot!(refused(r#","regenerate":true,"foo":1"#).await, @"the key `foo` is unknown here: use only name, type, parameters, metadata, mode, overwrite, regenerate");
    assert_snapshot!(refused(r#","regenerate":null"#).await, @"the key `regenerate` is unknown here: use only name, type, parameters, metadata, mode, overwrite");
    assert_snapshot!(refused(r#","type":"value""#).await, @"a credential of type value cannot be generated: set it, or use one of password, user, certificate, ssh, rsa");
    assert_snapshot!(refused(r#","type":"rsa""#).await, @"The credential type cannot be modified. Please delete the credential if you wish to create it with a different type.");
    assert_snapshot!(refused("").await, @"the type is missing or unknown: use one of password, user, certificate, ssh, rsa");
    assert_snapshot!(refused(r#","type":"provider""#).await, @"the type is missing or unknown: use one of password, user, certificate, ssh, rsa");
    assert_snapshot!(refused(r#","type":"password","value":{}"#).await, @"the key `value` is unknown here: use only name, type, parameters, metadata, mode, overwrite");
    assert_snapshot!(refused(r#","type":"user","value":null"#).await, @"`value` has the wrong type: send a JSON object");
    assert_snapshot!(refused(r#","type":"user","value":{"password":"x"}"#).await, @"the key `value.password` is unknown here: use only username");
    assert_snapshot!(refused(r#","type":"password","parameters":[]"#).await, @"`parameters` has the wrong type: send a JSON object");
    assert_snapshot!(refused(r#","type":"password","parameters":{"mode":"overwrite"}"#).await, @"the key `parameters.mode` is unknown here: use only length, exclude_upper, exclude_lower, exclude_number, include_special, username");
    assert_snapshot!(refused(r#","type":"password","parameters":{"length":"10"}"#).await, @"`parameters.length` has the wrong type: send a whole number");
    assert_snapshot!(refused(r#","type":"password","parameters":{"length":99999999999}"#).await, @"`parameters.length` has the wrong type: send a whole number");
    assert_snapshot!(refused(r#","type":"password","parameters":{"exclude_upper":null}"#).await, @"`parameters.exclude_upper` has the wrong type: send true or false");
}
