//! Why the API server did not take a Secret: what a person has to look at, and what to do about it.

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::core::Status;

use crate::pace::Pace;

/// What stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// RBAC: the operator's ServiceAccount may not.
    Rights,
    /// A ResourceQuota is used up.
    Quota,
    /// A ValidatingAdmissionPolicy or a webhook says no.
    Admission,
    /// More than a Secret can hold.
    TooLarge,
    /// The API server finds the Secret wrong as it is.
    Refused,
    /// The API server, or a webhook that it asks, is broken.
    Broken,
    /// It has too much to do, or did not answer in time.
    Busy,
}

impl Cause {
    /// What an answer of the API server means.
    pub fn of(status: &Status) -> Self {
        let message = status.message.as_str();
        let causes = || status.details.iter().flat_map(|details| &details.causes);
        // Policies and webhooks choose the code of their refusal, so the text goes first.
        if message.contains("denied request: ") || message.contains("denied the request") {
            return Self::Admission;
        }
        match status.code {
            403 if message.contains("exceeded quota") || message.contains("failed quota") => Self::Quota,
            403 if message.contains(" cannot ") && message.contains("User \"") => Self::Rights,
            403 => Self::Admission,
            413 => Self::TooLarge,
            422 if causes().any(|cause| cause.reason == "FieldValueTooLong") => Self::TooLarge,
            400 | 422 => Self::Refused,
            429 | 503 | 504 => Self::Busy,
            _ => Self::Broken,
        }
    }

    /// The reason of `Projected`: the set is fixed, and the message says the rest.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Rights => "MissingGrant",
            Self::TooLarge => "TooLarge",
            Self::Quota | Self::Admission | Self::Refused | Self::Broken | Self::Busy => "Conflict",
        }
    }

    /// The word in `status.targets.sample`: where it changes, something else stands in the way.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rights => "Forbidden",
            Self::Quota => "QuotaExceeded",
            Self::Admission => "AdmissionDenied",
            Self::TooLarge => "TooLarge",
            Self::Refused => "Refused",
            Self::Broken | Self::Busy => "Unavailable",
        }
    }

    /// Whether only an edit of the object helps.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::TooLarge | Self::Refused)
    }

    /// Whether it says nothing about this Secret: the next answer may be another.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Broken | Self::Busy)
    }

    /// How soon it is tried again.
    pub fn pace(self) -> Pace {
        if self == Self::Busy { Pace::Away } else { Pace::Failure }
    }

    /// What to do.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Rights => {
                "give the operator's ServiceAccount that right: helm upgrade of its chart brings back the ClusterRole credsmith"
            }
            Self::Quota => "raise that ResourceQuota, or delete Secrets that nobody needs; it is tried again",
            Self::Admission => {
                "change spec.target so that it is let through, or have that policy or webhook changed; it is tried again"
            }
            Self::TooLarge => "put fewer keys into spec.target.keys, or shorten the value",
            Self::Refused => "change spec.target",
            Self::Broken => "look at the API server and at the webhooks that it asks about Secrets; it is tried again",
            Self::Busy => "nothing is to be done here; it is tried again",
        }
    }
}

/// A Secret that could not be written or deleted. The text names Secret, cause and next step.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// The name of the Secret.
    pub name: String,
    pub cause: Cause,
    pub why: String,
}

impl Failure {
    /// What an answer of the API server says about the Secret `name`.
    pub fn of(name: &str, status: &Status, desired: Option<&Secret>) -> Self {
        let cause = Cause::of(status);
        let message = desired.map_or_else(|| status.message.clone(), |secret| without_values(&status.message, secret));
        let message: String = message.chars().take(MOST_SAID).collect();
        let verdict = match cause {
            Cause::TooLarge => "is too large for the API server",
            Cause::Refused => "is refused by the API server",
            Cause::Admission => "is refused at admission",
            _ => "cannot be written",
        };
        Self { name: name.to_owned(), cause, why: format!("Secret {name} {verdict}: {message}; {}", cause.next_step()) }
    }

    /// The API server kept silent for too long.
    pub fn silence(name: &str, seconds: u64) -> Self {
        let (cause, next) = (Cause::Busy, Cause::Busy.next_step());
        let why = format!("Secret {name} cannot be written: the API server did not answer in {seconds} s; {next}");
        Self { name: name.to_owned(), cause, why }
    }
}

/// Whether nothing can be written any more because the namespace is going, or gone.
pub fn is_of_ending_namespace(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = || status.details.iter().flat_map(|details| &details.causes);
    match status.code {
        403 => {
            causes().any(|cause| cause.reason == "NamespaceTerminating")
                || status.message.ends_with("because it is being terminated")
        }
        404 => status.details.as_ref().is_some_and(|details| details.kind == "namespaces"),
        _ => false,
    }
}

/// A policy writes its own messages, and it sees what it judges: no value may come back that way.
fn without_values(message: &str, secret: &Secret) -> String {
    let mut message = message.to_owned();
    // What is shorter than that would be found in every word.
    for bytes in secret.data.iter().flat_map(|data| data.values()).filter(|bytes| bytes.0.len() >= 4) {
        let encoded = zeroize::Zeroizing::new(STANDARD.encode(&bytes.0));
        for value in std::str::from_utf8(&bytes.0).into_iter().chain([encoded.as_str()]) {
            if message.contains(value) {
                message = message.replace(value, "[secret]");
            }
        }
    }
    message
}

/// Characters of an answer that are repeated in a status.
const MOST_SAID: usize = 700;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(code: u16, message: &str) -> Status {
        serde_json::from_value(json!({"status": "Failure", "code": code, "message": message})).unwrap()
    }

    #[test]
    fn each_answer_is_told_by_what_stands_in_the_way() {
        let rights = "secrets is forbidden: User \"system:serviceaccount:credsmith-system:credsmith\" cannot create \
                      resource \"secrets\" in API group \"\" in the namespace \"shop\"";
        let quota = "secrets \"db\" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=2, limited: secrets=2";
        let policy = "secrets \"db\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no";
        let webhook = "admission webhook \"w.example.com\" denied the request: no";
        let calling = "Internal error occurred: failed calling webhook \"w.example.com\": connection refused";
        let table = [
            (403, rights, Cause::Rights),
            (403, quota, Cause::Quota),
            (403, policy, Cause::Admission),
            (422, policy, Cause::Admission),
            (413, policy, Cause::Admission),
            (400, webhook, Cause::Admission),
            (403, "secrets \"db\" is forbidden: a plugin that nobody knows", Cause::Admission),
            (500, calling, Cause::Broken),
            (502, "bad gateway", Cause::Broken),
            (413, "Request entity too large: limit is 3145728", Cause::TooLarge),
            (422, "Secret \"db\" is invalid: data: Required value", Cause::Refused),
            (429, "too many requests", Cause::Busy),
            (503, "the server is currently unable to handle the request", Cause::Busy),
            (504, "timeout", Cause::Busy),
        ];
        for (code, message, cause) in table {
            assert_eq!(Cause::of(&status(code, message)), cause, "{code} {message}");
        }
    }

    #[test]
    fn the_message_names_secret_cause_and_next_step() {
        let failure = Failure::of("db", &status(403, "secrets \"db\" is forbidden: exceeded quota: few"), None);
        assert_eq!(
            failure.why,
            "Secret db cannot be written: secrets \"db\" is forbidden: exceeded quota: few; raise that ResourceQuota, or \
             delete Secrets that nobody needs; it is tried again"
        );
    }

    #[test]
    fn an_answer_never_repeats_a_value() {
        let secret: Secret =
            serde_json::from_value(json!({"data": {"password": STANDARD.encode("hunter-2")}})).unwrap();
        let message = format!("denied the request: hunter-2 or {} is weak", STANDARD.encode("hunter-2"));
        let failure = Failure::of("db", &status(403, &message), Some(&secret));
        assert!(failure.why.contains("denied the request: [secret] or [secret] is weak"), "{}", failure.why);
    }

    #[test]
    fn an_ending_namespace_is_known_by_its_cause() {
        let terminating = json!({
            "status": "Failure", "code": 403, "message": "forbidden",
            "details": {"causes": [{"reason": "NamespaceTerminating", "message": "", "field": ""}]},
        });
        let gone = json!({"status": "Failure", "code": 404, "message": "", "details": {"kind": "namespaces"}});
        for status in [terminating, gone] {
            let error = kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()));
            assert!(is_of_ending_namespace(&error), "{error}");
        }
        for (code, message) in [(403, "exceeded quota"), (404, "secrets \"db\" not found")] {
            assert!(!is_of_ending_namespace(&kube::Error::Api(Box::new(status(code, message)))));
        }
    }
}
