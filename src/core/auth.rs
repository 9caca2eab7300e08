//! Who is asking, and what the cluster's own rules allow them. Both are seams: the answers come from outside.

use std::fmt;

use async_trait::async_trait;

use crate::domain::{Actor, NamespaceUid, Operation, SecretText};

/// An actor, and what its recogniser knew about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub actor: Actor,
    /// For a review by the cluster's own rules.
    pub kubernetes: Option<KubernetesUser>,
}

/// A user as the Kubernetes API server knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KubernetesUser {
    pub username: String,
    pub uid: Option<String>,
    /// The UID of the namespace that it is a ServiceAccount of; `None` where nobody could tell.
    pub namespace: Option<NamespaceUid>,
    pub groups: Vec<String>,
    pub extra: Vec<(String, Vec<String>)>,
}

/// Turns a token into an identity.
#[async_trait]
pub trait Verifier: fmt::Debug + Send + Sync + 'static {
    /// `None`: not a token of mine. `Some(Err)`: mine, and not good. The front asks each verifier in turn.
    async fn verify(&self, token: &SecretText) -> Option<Result<Identity, TokenError>>;
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid here: {0}")]
    Invalid(String),
    /// Nobody can tell right now.
    #[error("the token cannot be checked right now: {0}")]
    Unavailable(String),
}

/// Says what the cluster's own rules (RBAC) allow an actor.
#[async_trait]
pub trait Reviewer: fmt::Debug + Send + Sync + 'static {
    /// Whether `identity` may do `operation` on the values of `namespace`; of every namespace where that is `None`.
    async fn allows(
        &self,
        identity: &Identity,
        operation: Operation,
        namespace: Option<&str>,
    ) -> Result<bool, ReviewUnavailable>;
}

/// The cluster did not answer, and had not answered this question lately.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access cannot be reviewed right now: {0}")]
pub struct ReviewUnavailable(pub String);
