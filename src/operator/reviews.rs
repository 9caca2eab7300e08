//! Who a token belongs to, and what the cluster's own rules allow: asked of the API server, remembered for a minute.
//!
//! While the API server is away, callers that were reviewed stay known and what they were allowed stays allowed, for ten
//! minutes at most; nobody new comes in. An API server that has just started is as good as away: before it has read its roles
//! it answers no to everybody. So a no to somebody who was told yes counts only from one that calls itself ready.

mod memory;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use credsmith_core::{
    auth::{Identity, KubernetesUser, ReviewUnavailable, Reviewer, TokenError, Verifier},
    domain::{Actor, NamespaceUid, Operation, SecretText},
    world::Clock,
};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::Namespace,
};
use kube::{Api, Client, api::PostParams};
use serde::Deserialize;

use memory::Memory;

/// Recognises ServiceAccount tokens by TokenReview.
pub struct TokenReviews {
    client: Client,
    audience: String,
    clock: Arc<dyn Clock>,
    known: Memory<[u8; 32], Identity>,
}

impl TokenReviews {
    /// Tokens must be meant for `audience`.
    pub fn new(client: Client, audience: String, clock: Arc<dyn Clock>) -> Self {
        Self { client, audience, clock, known: Memory::default() }
    }

    async fn review(&self, token: &SecretText) -> Result<Identity, TokenError> {
        let spec =
            TokenReviewSpec { token: Some(token.expose().to_owned()), audiences: Some(vec![self.audience.clone()]) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api = Api::<TokenReview>::all(self.client.clone());
        let answer = in_time(api.create(&PostParams::default(), &review)).await.map_err(TokenError::Unavailable)?;
        let status = answer.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return Err(TokenError::Invalid(format!(
                "it is no ServiceAccount token for the audience {}",
                self.audience
            )));
        }
        if !status.audiences.iter().flatten().any(|audience| *audience == self.audience) {
            return Err(TokenError::Invalid(format!("it is not meant for the audience {}", self.audience)));
        }
        let user = status.user.unwrap_or_default();
        let identity = identity(user).ok_or_else(|| TokenError::Invalid("it belongs to no ServiceAccount".into()))?;
        Ok(self.with_namespace(identity).await)
    }

    /// Adds which namespace that is: its name alone may be given again. Where nobody can tell, what the caller writes
    /// counts as anybody's, until an administrator says otherwise.
    async fn with_namespace(&self, mut identity: Identity) -> Identity {
        let namespace = identity.actor.namespace().map(str::to_owned);
        if let (Some(user), Some(namespace)) = (&mut identity.kubernetes, namespace) {
            let api = Api::<Namespace>::all(self.client.clone());
            let found = in_time(api.get_metadata_opt(&namespace)).await;
            let uid = found.map(|found| found.and_then(|found| found.metadata.uid));
            user.namespace = uid
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, %namespace, "a namespace cannot be asked for its UID");
                    None
                })
                .map(NamespaceUid::new);
        }
        identity
    }
}

impl fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenReviews")
    }
}

#[async_trait]
impl Verifier for TokenReviews {
    async fn verify(&self, token: &SecretText) -> Option<Result<Identity, TokenError>> {
        let claims = Claims::of(token)?;
        let now = self.clock.now();
        // The expiry is only read here, never believed: the API server has checked it with the signature.
        if claims.exp.is_some_and(|exp| now.as_second() >= exp) {
            return Some(Err(TokenError::Expired));
        }
        let key: [u8; 32] = digest::digest(&digest::SHA256, token.expose().as_bytes()).as_ref().try_into().ok()?;
        if let Some(identity) = self.known.fresh(&key, now) {
            return Some(Ok(identity));
        }
        let mut answer = self.review(token).await;
        let is_no =
            |answer: &Result<_, TokenError>| matches!(answer, Err(TokenError::Invalid(_) | TokenError::Expired));
        if is_no(&answer) && self.known.holds(&key, now).is_some() {
            // From here on it is ready, so what it says now counts.
            answer = match is_ready(&self.client).await {
                Ok(()) => self.review(token).await,
                Err(why) => Err(TokenError::Unavailable(why)),
            };
        }
        Some(match answer {
            Ok(identity) => {
                self.known.learn(key, identity.clone(), now);
                Ok(identity)
            }
            Err(error @ TokenError::Unavailable(_)) => self.known.stale(&key, now).ok_or(error),
            Err(error) => {
                self.known.forget(&key);
                Err(error)
            }
        })
    }
}

/// Asks SubjectAccessReview about the virtual subresource `credentials/value`.
pub struct AccessReviews {
    client: Client,
    clock: Arc<dyn Clock>,
    known: Memory<Question, bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    user: KubernetesUser,
    operation: Operation,
    namespace: Option<String>,
}

impl AccessReviews {
    pub fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, known: Memory::default() }
    }

    async fn ask(&self, question: &Question) -> Result<bool, String> {
        let user = &question.user;
        let attributes = ResourceAttributes {
            group: Some("credsmith.dev".into()),
            resource: Some("credentials".into()),
            subresource: Some("value".into()),
            verb: Some(question.operation.verb().into()),
            namespace: question.namespace.clone(),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.username.clone()),
            uid: user.uid.clone(),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.iter().cloned().collect()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let api = Api::<SubjectAccessReview>::all(self.client.clone());
        let answer = in_time(api.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

impl fmt::Debug for AccessReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessReviews")
    }
}

#[async_trait]
impl Reviewer for AccessReviews {
    async fn allows(
        &self,
        identity: &Identity,
        operation: Operation,
        namespace: Option<&str>,
    ) -> Result<bool, ReviewUnavailable> {
        let Some(user) = identity.kubernetes.clone() else { return Ok(false) };
        let question = Question { user, operation, namespace: namespace.map(str::to_owned) };
        let now = self.clock.now();
        if let Some(allowed) = self.known.fresh(&question, now) {
            return Ok(allowed);
        }
        let mut answer = self.ask(&question).await;
        if answer == Ok(false) && self.known.holds(&question, now) == Some(true) {
            // From here on it is ready, so what it says now counts.
            answer = match is_ready(&self.client).await {
                Ok(()) => self.ask(&question).await,
                Err(why) => Err(why),
            };
        }
        match answer {
            Ok(allowed) => {
                self.known.learn(question, allowed, now);
                Ok(allowed)
            }
            Err(why) => self.known.stale(&question, now).ok_or(ReviewUnavailable(why)),
        }
    }
}

/// What a token says of itself, unchecked.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    exp: Option<i64>,
}

impl Claims {
    /// `None` where the text is no JWT: then it is no token of ours.
    fn of(token: &SecretText) -> Option<Self> {
        let mut parts = token.expose().split('.');
        let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

fn identity(user: UserInfo) -> Option<Identity> {
    let username = user.username?;
    let (namespace, name) = username.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let actor = Actor::service_account(namespace, name);
    let kubernetes = KubernetesUser {
        uid: user.uid,
        namespace: None,
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default().into_iter().collect(),
        username,
    };
    Some(Identity { actor, kubernetes: Some(kubernetes) })
}

/// Whether the API server has read all that it answers from; one that does not let us ask has not read our rights yet.
async fn is_ready(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
    in_time(client.request_text(request)).await.map(drop)
}

/// An answer, or what went wrong, without the request: it holds a token. Nobody waits for an API server that hangs, since
/// callers that are known need not.
async fn in_time<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(format!("the API server answered {}: {}", status.code, status.reason)),
        Ok(Err(_)) | Err(_) => Err("the API server does not answer".into()),
    }
}

const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use credsmith_core::world::FixedClock;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_service_accounts_are_known() {
        let user = |name: &str| UserInfo { username: Some(name.into()), ..UserInfo::default() };
        let actor = identity(user("system:serviceaccount:shop:orders")).unwrap().actor;
        assert_eq!(actor.as_str(), "k8s-sa:shop/orders");
        assert!(identity(user("kubernetes-admin")).is_none());
        assert!(identity(user("system:serviceaccount:shop")).is_none());
    }

    #[test]
    fn what_is_no_jwt_is_no_token_of_ours() {
        for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", "a.e30.c.d"] {
            assert!(Claims::of(&SecretText::new(text.into())).is_none(), "{text}");
        }
        assert!(Claims::of(&SecretText::new("a.e30.c".into())).is_some());
    }

    /// An API server that starts: until it is ready it knows nobody and allows nothing.
    #[derive(Default)]
    struct Starting {
        /// What `/readyz` answers.
        ready: Mutex<Vec<u16>>,
        /// What each review says after that, the last from then on.
        says: Mutex<Vec<bool>>,
        asked: Mutex<Vec<String>>,
    }

    impl Starting {
        fn next<T: Copy>(list: &Mutex<Vec<T>>) -> T {
            let mut list = list.lock().unwrap();
            if list.len() > 1 { list.remove(0) } else { list[0] }
        }

        fn client(self: &Arc<Self>) -> Client {
            let server = self.clone();
            let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
                let path = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
                server.asked.lock().unwrap().push(path.clone());
                let (code, answer) = match path.as_str() {
                    "readyz" => {
                        let code = Self::next(&server.ready);
                        (code, json!({"status": "Failure", "code": code, "message": "no", "reason": "no"}))
                    }
                    "subjectaccessreviews" => {
                        (201, json!({"spec": {}, "status": {"allowed": Self::next(&server.says)}}))
                    }
                    "tokenreviews" => {
                        let user = json!({"username": "system:serviceaccount:shop:app"});
                        let yes = Self::next(&server.says);
                        let status = json!({"authenticated": yes, "audiences": ["credsmith"], "user": user});
                        (201, json!({"spec": {}, "status": status}))
                    }
                    _ => (200, json!({"metadata": {"name": "shop", "uid": "ns"}})),
                };
                let body = kube::client::Body::from(serde_json::to_vec(&answer).unwrap());
                async move { Ok::<_, kube::Error>(http::Response::builder().status(code).body(body).unwrap()) }
            });
            Client::new(service, "shop")
        }

        fn new(says: &[bool], ready: &[u16]) -> Arc<Self> {
            let (ready, says) = (Mutex::new(ready.to_vec()), Mutex::new(says.to_vec()));
            Arc::new(Self { ready, says, ..Self::default() })
        }

        fn readyz(&self) -> usize {
            self.asked.lock().unwrap().iter().filter(|path| *path == "readyz").count()
        }
    }

    fn noon() -> Arc<FixedClock> {
        Arc::new(FixedClock::new("2026-01-16T12:00:00Z".parse().unwrap()))
    }

    fn passes(clock: &FixedClock, minutes: u64) {
        clock.advance(Duration::from_secs(60 * minutes));
    }

    async fn allows(reviews: &AccessReviews) -> bool {
        let user = UserInfo { username: Some("system:serviceaccount:shop:app".into()), ..UserInfo::default() };
        reviews.allows(&identity(user).unwrap(), Operation::Read, Some("shop")).await.unwrap()
    }

    #[tokio::test]
    async fn a_no_to_who_was_allowed_counts_only_from_an_api_server_that_is_ready() {
        for not_ready in [500, 403, 401] {
            let (server, clock) = (Starting::new(&[true, false], &[not_ready, not_ready, 200]), noon());
            let reviews = AccessReviews::new(server.client(), clock.clone());
            assert!(allows(&reviews).await);
            passes(&clock, 1);
            assert!(allows(&reviews).await, "/readyz says {not_ready}");
            passes(&clock, 1);
            assert!(allows(&reviews).await, "the answer was not remembered");
            passes(&clock, 1);
            assert!(!allows(&reviews).await, "it is ready, and the right is gone");
            assert_eq!(server.readyz(), 3);
            passes(&clock, 1);
            assert!(!allows(&reviews).await);
            assert_eq!(server.readyz(), 3, "a no after a no is believed");
        }
    }

    #[tokio::test]
    async fn what_is_remembered_is_served_for_ten_minutes_and_what_changes_meanwhile_is_asked_for_again() {
        // Never ready.
        let (server, clock) = (Starting::new(&[true, false], &[500]), noon());
        let reviews = AccessReviews::new(server.client(), clock.clone());
        assert!(allows(&reviews).await);
        passes(&clock, 9);
        assert!(allows(&reviews).await);
        passes(&clock, 1);
        assert!(!allows(&reviews).await);

        // It became ready between the answer and the question.
        let (server, clock) = (Starting::new(&[true, false, true], &[200]), noon());
        let reviews = AccessReviews::new(server.client(), clock.clone());
        assert!(allows(&reviews).await);
        passes(&clock, 1);
        assert!(allows(&reviews).await);
    }

    #[tokio::test]
    async fn a_token_that_was_known_is_refused_only_by_an_api_server_that_is_ready() {
        let (server, clock) = (Starting::new(&[true, false], &[403, 200]), noon());
        let reviews = TokenReviews::new(server.client(), "credsmith".into(), clock.clone());
        let token = SecretText::new(format!("h.{}.s", URL_SAFE_NO_PAD.encode("{}")));
        let is_known = async || reviews.verify(&token).await.unwrap().is_ok();
        assert!(is_known().await);
        passes(&clock, 1);
        assert!(is_known().await);
        passes(&clock, 1);
        assert!(!is_known().await);
        assert_eq!(server.readyz(), 2);
        // A token that was never known is refused at once.
        let other = SecretText::new(format!("h.{}.other", URL_SAFE_NO_PAD.encode("{}")));
        assert!(reviews.verify(&other).await.unwrap().is_err());
        assert_eq!(server.readyz(), 2);
    }
}
