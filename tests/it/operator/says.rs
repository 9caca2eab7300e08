//! What a `Credential` says of itself.

use credsmith_operator::Credential;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;

/// What a test reads off a `Credential`.
pub trait Says {
    fn condition(&self, type_: &str) -> Condition;
    /// The message of `Ready`.
    fn message(&self) -> String;
    fn version(&self) -> i64;
    fn has(&self, type_: &str) -> bool;
}

impl Says for Credential {
    fn condition(&self, type_: &str) -> Condition {
        let conditions = self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let none = || Condition {
            type_: type_.into(),
            status: "absent".into(),
            reason: "absent".into(),
            message: format!("{} says nothing of it", self.name_any()),
            observed_generation: None,
            last_transition_time: Time(Default::default()),
        };
        conditions.iter().find(|condition| condition.type_ == type_).cloned().unwrap_or_else(none)
    }

    fn message(&self) -> String {
        self.condition("Ready").message
    }

    fn version(&self) -> i64 {
        let version = self.status.as_ref().and_then(|status| status.current_version.as_ref());
        version.map_or(0, |version| version.number)
    }

    fn has(&self, type_: &str) -> bool {
        self.condition(type_).status == "True"
    }
}
