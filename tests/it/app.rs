//! The real router over a store in memory, with a clock that stands still and dice that repeat.
//!
//! Tests read like transcripts: who, what, then the answer word by word. Identifiers are numbered in the order in which
//! they first appear (`<id 1>`), so that a transcript does not change with the dice.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use credsmith_api::{API_LEVEL, Api, router};
use credsmith_core::{
    auth::{Identity, KubernetesUser, ReviewUnavailable, Reviewer, TokenError, Verifier},
    domain::{
        Actor, NamespaceUid, ObjectUid, Operation, Parameters, SecretText, ownership::ApiWrites,
        parameters::PasswordParameters, rotation::Rotation,
    },
    hub::{Caller, Hub, Surroundings, Wanted, WantedOrigin},
    keyring::{Keyring, MasterKey},
    material::{KeyStock, Material},
    metrics::Metrics,
    store::InMemory,
    world::{FixedClock, SeededEntropy},
};
use http_body_util::BodyExt;
use jiff::Timestamp;
use tower::ServiceExt;

/// Objects that all exist and may all start.
pub struct Everybody;

impl Surroundings for Everybody {
    fn is_live(&self, _: &ObjectUid) -> bool {
        true
    }

    fn start(&self, _: &ObjectUid, _: Timestamp) -> Result<(), Timestamp> {
        Ok(())
    }
}

/// A server, and what a test may turn about it.
pub struct TestApp {
    pub hub: Arc<Hub>,
    pub rules: Arc<Rules>,
    pub clock: Arc<FixedClock>,
    router: Router,
    ids: Mutex<Vec<String>>,
}

impl TestApp {
    /// Alice may do everything below `/ci`, and nobody else may do anything.
    pub async fn new() -> Self {
        Self::over(Arc::new(InMemory::new()), 1).await
    }

    /// The same over a store that is there already; another seed means other keys.
    pub async fn over(store: Arc<InMemory>, seed: u8) -> Self {
        let entropy = Arc::new(SeededEntropy::new(seed.into()));
        let master = MasterKey::new("file", zeroize::Zeroizing::new([seed; 32]));
        let (keyring, _) = Keyring::open(&[Box::new(master)], Vec::new(), entropy.as_ref()).await.unwrap();
        let rules = Arc::new(Rules::default());
        let clock = Arc::new(FixedClock::new("2026-01-16T12:00:00.123Z".parse().unwrap()));
        let hub = Arc::new(Hub {
            store,
            keyring: Arc::new(keyring),
            clock: clock.clone(),
            entropy,
            reviewer: rules.clone(),
            material: Material::new(Arc::new(KeyStock::default())),
            metrics: Metrics::new(),
        });
        for verb in ["get", "list", "update", "delete"] {
            rules.allow("alice", &format!("{verb} ci"));
        }
        let router = router(Api {
            hub: hub.clone(),
            verifiers: vec![Arc::new(OtherTokens), Arc::new(Tokens)],
            version: API_LEVEL.to_owned(),
            auth_server: Some("https://uaa.example/".to_owned()),
        });
        Self { hub, rules, clock, router, ids: Mutex::default() }
    }

    /// Who asks: the name is the token.
    pub fn as_<'a>(&'a self, name: &'a str) -> Client<'a> {
        Client { app: self, token: Some(name) }
    }

    pub fn anonymous(&self) -> Client<'_> {
        Client { app: self, token: None }
    }

    /// For a server.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let shown = self.number_ids(&text);
        Answer { status: parts.status, headers: parts.headers, text, shown }
    }

    /// Makes a `Credential` own a path of `/ci`, as the operator does.
    pub async fn own(&self, path: &str, api_writes: ApiWrites) {
        let epoch = self.hub.store.raise_epoch().await.unwrap();
        let parameters = Parameters::password(PasswordParameters::default());
        let wanted = Wanted {
            name: path.parse().unwrap(),
            kind: parameters.kind(),
            origin: WantedOrigin::Generate(parameters),
            request: None,
            api_writes,
            object: "ci/db".into(),
            object_uid: ObjectUid::new("object"),
            namespace_uid: NamespaceUid::new("namespace"),
            inherits: None,
            never_adopt: false,
            rotation: Rotation::default(),
        };
        let operator = Caller::operator("ci", epoch, self.hub.clock.now());
        self.hub.ensure(&operator, wanted, &Everybody).await.unwrap();
    }

    fn number_ids(&self, text: &str) -> String {
        let mut ids = self.ids.lock().unwrap();
        let mut shown = text.to_owned();
        for (at, _) in text.match_indices(r#""id":""#) {
            let id = &text[at + 6..at + 42];
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        for (number, id) in ids.iter().enumerate() {
            shown = shown.replace(id, &format!("<id {}>", number + 1));
        }
        shown
    }
}

/// One kind of caller.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    app: &'a TestApp,
    token: Option<&'a str>,
}

impl Client<'_> {
    pub async fn get(self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub async fn put(self, path: &str, body: &str) -> Answer {
        self.call("PUT", path, Some(body)).await
    }

    pub async fn post(self, path: &str, body: &str) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub async fn delete(self, path: &str) -> Answer {
        self.call("DELETE", path, None).await
    }

    pub async fn call(self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
        self.app.send(request.body(body).unwrap()).await
    }
}

/// What came back. Shown as status and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    shown: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self}"))
    }

    /// The text of an error.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error: {self}")).to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        f.write_str(&self.shown)
    }
}

/// Allows what it was told to allow: who, and `verb namespace`, with `*` for all namespaces.
#[derive(Debug, Default)]
pub struct Rules {
    allowed: Mutex<BTreeSet<(String, String)>>,
    is_down: Mutex<bool>,
}

impl Rules {
    pub fn allow(&self, name: &str, rule: &str) {
        let actor = Actor::service_account("ci", name).to_string();
        self.allowed.lock().unwrap().insert((actor, rule.to_owned()));
    }

    /// From now on nobody answers.
    pub fn go_down(&self) {
        *self.is_down.lock().unwrap() = true;
    }
}

#[async_trait]
impl Reviewer for Rules {
    async fn allows(
        &self,
        identity: &Identity,
        operation: Operation,
        namespace: Option<&str>,
    ) -> Result<bool, ReviewUnavailable> {
        if *self.is_down.lock().unwrap() {
            return Err(ReviewUnavailable("the API server does not answer".into()));
        }
        let allowed = self.allowed.lock().unwrap();
        let has = |namespace: &str| {
            allowed.contains(&(identity.actor.to_string(), format!("{} {namespace}", operation.verb())))
        };
        Ok(has("*") || namespace.is_some_and(has))
    }
}

/// Knows ServiceAccounts of `ci` by their names, and a few tokens that are not good.
#[derive(Debug)]
struct Tokens;

#[async_trait]
impl Verifier for Tokens {
    async fn verify(&self, token: &SecretText) -> Option<Result<Identity, TokenError>> {
        match token.expose() {
            "expired" => Some(Err(TokenError::Expired)),
            "forged" => Some(Err(TokenError::Invalid("its signature is wrong".into()))),
            "unknowable" => Some(Err(TokenError::Unavailable("the API server does not answer".into()))),
            "panic" => panic!("hunter2"),
            "foreign" => None,
            name => {
                let kubernetes = KubernetesUser {
                    username: format!("system:serviceaccount:ci:{name}"),
                    uid: None,
                    namespace: None,
                    groups: Vec::new(),
                    extra: Vec::new(),
                };
                Some(Ok(Identity { actor: Actor::service_account("ci", name), kubernetes: Some(kubernetes) }))
            }
        }
    }
}

/// Knows no token, so that the next one is asked.
#[derive(Debug)]
struct OtherTokens;

#[async_trait]
impl Verifier for OtherTokens {
    async fn verify(&self, _: &SecretText) -> Option<Result<Identity, TokenError>> {
        None
    }
}
