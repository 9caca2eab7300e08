//! Who is asking, and what for.

use std::fmt;

/// Who asks: a text whose scheme says how the asker was recognised, such as `k8s-sa:shop/orders`.
///
/// Built by scheme only, so that a client of one kind cannot carry the name of another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Actor(Box<str>);

impl Actor {
    /// Credsmith itself, acting on a custom resource.
    pub fn operator() -> Self {
        Self("operator".into())
    }

    /// A Kubernetes ServiceAccount.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self(format!("k8s-sa:{namespace}/{name}").into())
    }

    /// As it was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The namespace of a ServiceAccount; `None` for everybody else.
    pub fn namespace(&self) -> Option<&str> {
        self.0.strip_prefix("k8s-sa:")?.split_once('/').map(|(namespace, _)| namespace)
    }

    /// Whether this is a ServiceAccount of `namespace`.
    pub fn is_service_account_of(&self, namespace: &str) -> bool {
        self.namespace() == Some(namespace)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an actor wants to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Read,
    /// See that a name exists.
    Find,
    Write,
    Delete,
}

impl Operation {
    /// The word in audit lines and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Find => "find",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }

    /// The Kubernetes verb on `credentials/value` that allows it (architecture, section 5).
    pub fn verb(self) -> &'static str {
        match self {
            Self::Read => "get",
            Self::Find => "list",
            Self::Write => "update",
            Self::Delete => "delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_belongs_to_its_namespace_only() {
        let actor = Actor::service_account("shop", "orders");
        assert_eq!(actor.as_str(), "k8s-sa:shop/orders");
        assert!(actor.is_service_account_of("shop"));
        assert!(!actor.is_service_account_of("sho"));
        assert!(!Actor::from_stored("uaa-client:shop/orders").is_service_account_of("shop"));
        assert!(!Actor::operator().is_service_account_of(""));
    }
}
