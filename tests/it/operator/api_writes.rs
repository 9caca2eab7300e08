//! Who may write the path of a `Credential` over the API: `spec.apiWrites`.

use serde_json::{Value, json};

use super::scene::{Caller, Says, Scene};

#[tokio::test]
async fn what_is_generated_may_be_generated_again_and_not_be_set() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let path = scene.path("db");
    let owner = format!("{path} belongs to the Credential {}/db, whose apiWrites is GenerateOnly", scene.name());

    let refused = app.put(json!({"name": path, "type": "password", "value": "chosen-by-hand"})).await;
    let next = "ask for a generated value, or set spec.apiWrites to Allow";
    assert_eq!((refused.status, refused.json().unwrap()), (403, json!({"error": format!("{owner}: {next}")})));

    let made = app.post(json!({"name": path, "type": "password", "mode": "overwrite"})).await;
    assert_eq!(made.status, 200);
    let value = made.json().unwrap()["value"].as_str().unwrap().to_owned();
    scene.shows("db", "password", &value).await;
    assert_eq!(scene.status("db", "version 2", |object| object.version() == 2).await.condition("Ready").status, "True");

    let refused = app.delete(&path).await;
    let told = format!(
        "{path} belongs to the Credential {}/db: to delete the value, set spec.deletionPolicy of that object to Delete and \
         delete the object",
        scene.name()
    );
    assert_eq!((refused.status, refused.json().unwrap()), (403, json!({"error": told})));
}

#[tokio::test]
async fn what_comes_from_a_secret_is_not_written_at_all() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.source("s", json!({"k": "given-by-hand"})).await;
    scene.apply("db", json!({"type": "password", "password": {"fromSecret": {"name": "s", "key": "k"}}})).await;
    scene.reason("db", "InSync").await;
    let path = scene.path("db");
    let owner = format!("{path} belongs to the Credential {}/db, whose apiWrites is Deny", scene.name());
    let message = json!({"error": format!("{owner}: change its source, or set spec.apiWrites to Allow")});
    let set = app.put(json!({"name": path, "type": "password", "value": "chosen-by-hand"})).await;
    assert_eq!((set.status, set.json().unwrap()), (403, message.clone()));
    let generate = app.post(json!({"name": path, "type": "password", "mode": "overwrite"})).await;
    assert_eq!((generate.status, generate.json().unwrap()), (403, message));
    scene.shows("db", "password", "given-by-hand").await;
}

#[tokio::test]
async fn whoever_says_so_lets_everything_be_set() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    scene.apply("db", json!({"type": "password", "apiWrites": "Allow"})).await;
    scene.reason("db", "InSync").await;
    let path = scene.path("db");
    let set = app.put(json!({"name": path, "type": "password", "value": "chosen-by-hand"})).await;
    assert_eq!(set.status, 200);
    scene.shows("db", "password", "chosen-by-hand").await;

    scene.apply("db", json!({"type": "password", "apiWrites": "Deny"})).await;
    scene.reason("db", "InSync").await;
    let refused = app.put(json!({"name": path, "type": "password", "value": "chosen-again"})).await;
    let deny = format!("{path} belongs to the Credential {}/db, whose apiWrites is Deny", scene.name());
    let next = "change its source, or set spec.apiWrites to Allow";
    assert_eq!((refused.status, refused.json().unwrap()), (403, json!({"error": format!("{deny}: {next}")})));
}

#[tokio::test]
async fn a_path_without_a_credential_is_the_apis_own() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    let path = scene.path("free");
    assert_eq!(app.put(json!({"name": path, "type": "value", "value": "nobody-owns-it"})).await.status, 200);
    assert_eq!(app.delete(&path).await.status, 204);
    assert_eq!(app.get(&format!("/api/v1/data?name={path}")).await.status, 404);
}

#[tokio::test]
async fn a_bad_token_or_none_opens_nothing() {
    let scene = Scene::new().await;
    scene.apply("db", json!({"type": "password"})).await;
    scene.reason("db", "InSync").await;
    let path = format!("/api/v1/data?name={}", scene.path("db"));
    let nobody = scene.operator.front().await.unwrap();
    let answer = nobody.get(&path).await.unwrap();
    let told = "Full authentication is required to access this resource";
    assert_eq!((answer.status, answer.json().unwrap()), (401, refusal("access_denied", told)));
    let answer = nobody.with_token("not.a.token").get(&path).await.unwrap();
    let told = "the token is none that this server knows: use one that was issued for it";
    assert_eq!((answer.status, answer.json().unwrap()), (401, refusal("invalid_token", told)));
    // A token for the API server is none for the front.
    let client = &scene.client;
    let token = credsmith_harness::kubeconfig::token(client, scene.name(), "default", None, 600).await.unwrap();
    let answer = nobody.with_token(&token).get(&path).await.unwrap();
    let told = "the token is not valid here: it is no ServiceAccount token for the audience credsmith";
    assert_eq!((answer.status, answer.json().unwrap()), (401, refusal("invalid_token", told)));
    // A ServiceAccount without rights learns nothing.
    let stranger = Caller::new(scene.operator, client, scene.name(), "default").await;
    let answer = stranger.get(&path).await;
    let told = "The request could not be completed because the credential does not exist or you do not have sufficient \
                authorization.";
    assert_eq!((answer.status, answer.json().unwrap()), (404, json!({"error": told})));
}

fn refusal(error: &str, description: &str) -> Value {
    json!({"error": error, "error_description": description})
}
