//! What the operator asked of the API server, boiled down from the audit log for counting.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;
use jiff::Timestamp;

use crate::{
    audit::{self, AuditEvent},
    control_plane::ControlPlane,
    wait::eventually,
};

/// Namespace (empty where there is none) and name.
pub type Key = (String, String);

/// One request about one object, or about none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub verb: String,
    /// With its subresource: `credentials/status`.
    pub resource: String,
    pub namespace: String,
    /// Of the object that it names. Empty in a list and a watch, also where a field selector names one object: such a watch
    /// belongs to the start of a process and not to the object.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    pub at: Timestamp,
}

impl Request {
    /// The requests of `user` in the order in which they were answered, each once, however many stages were recorded.
    pub fn of_user(user: &str, events: &[AuditEvent]) -> Vec<Self> {
        let mut known = HashSet::new();
        let theirs = events.iter().filter(|event| event.user.username == user);
        theirs.filter(|event| known.insert(event.audit_id.as_str())).map(Self::of).collect()
    }

    fn of(event: &AuditEvent) -> Self {
        let object = event.object_ref.clone().unwrap_or_default();
        let is_collection = matches!(event.verb.as_str(), "list" | "watch");
        let subresource = if object.subresource.is_empty() { "" } else { "/" };
        Self {
            verb: event.verb.clone(),
            resource: format!("{}{subresource}{}", object.resource, object.subresource),
            namespace: object.namespace,
            name: if is_collection { String::new() } else { object.name },
            code: event.response_status.as_ref().map_or(0, |status| status.code),
            at: event.request_received_timestamp,
        }
    }

    /// True for what changes something.
    pub fn writes(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// The object that the request is about, whose name is also that of its `Credential`: an event is about the object that it
    /// tells of. `None` for what names no object: lists, watches, and questions about tokens and rights.
    pub fn about(&self) -> Option<Key> {
        if matches!(self.verb.as_str(), "list" | "watch") || REVIEWS.contains(&self.resource.as_str()) {
            return None;
        }
        // The recorder names an event after its object, with the time behind it.
        let name = match self.resource.as_str() {
            "events" => self.name.rsplit_once('.').map_or(self.name.as_str(), |(object, _)| object),
            _ => &self.name,
        };
        Some((self.namespace.clone(), name.to_owned()))
    }

    /// Verb, resource and name: what is counted together.
    pub fn label(&self) -> String {
        format!("{} {} {}/{}", self.verb, self.resource, self.namespace, self.name)
    }
}

/// Requests that name an object nobody touched, grouped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needless(pub BTreeMap<String, usize>);

impl Needless {
    /// Counts them. `touched` are the Secrets that somebody edited, under the name that their `Credential` has too.
    pub fn among<'a>(requests: impl IntoIterator<Item = &'a Request>, touched: &HashSet<Key>) -> Self {
        let mut found = BTreeMap::new();
        for request in requests {
            if request.about().is_some_and(|object| !touched.contains(&object)) {
                *found.entry(request.label()).or_default() += 1;
            }
        }
        Self(found)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.values().sum()
    }
}

impl fmt::Display for Needless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(label, count)| writeln!(f, "  needless: {label} ({count} times)"))
    }
}

/// The operator's requests, as the audit log tells them.
#[derive(Debug)]
pub struct Log {
    file: PathBuf,
    offset: u64,
    events: Vec<AuditEvent>,
}

impl Log {
    /// Of a control plane that records [`Audit::Everything`](crate::audit::Audit).
    pub fn of(plane: &ControlPlane) -> Self {
        Self { file: plane.audit_log(), offset: 0, events: Vec::new() }
    }

    /// What it asked from that moment on. The API server records a request when it has answered.
    pub fn since(&mut self, from: Timestamp) -> Result<Vec<Request>> {
        let new = audit::read(&self.file, &mut self.offset)?;
        self.events.extend(new.into_iter().filter(|event| event.user.username == OPERATOR));
        let mut requests = Request::of_user(OPERATOR, &self.events);
        requests.retain(|request| request.at >= from);
        Ok(requests)
    }

    /// Waits until the operator has asked nothing for two seconds, so that what the first sync still asks is not taken for
    /// what the edits cause.
    pub async fn wait_for_quiet(&mut self) -> Result<()> {
        let mut last = (0, Instant::now());
        eventually("the operator to be quiet", Duration::from_secs(60), || {
            let count = self.since(Timestamp::UNIX_EPOCH).map(|requests| requests.len());
            std::future::ready(count.map(|count| {
                if count != last.0 {
                    last = (count, Instant::now());
                }
                (last.1.elapsed() > Duration::from_secs(2)).then_some(())
            }))
        })
        .await
    }
}

/// This machine's time, which the audit log is written in.
#[expect(clippy::disallowed_methods, reason = "the API server does not ask our clock either")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The user name of the operator's ServiceAccount.
pub const OPERATOR: &str = "system:serviceaccount:credsmith-system:credsmith";
/// What is asked about callers of the front; it is about no object.
const REVIEWS: [&str; 2] = ["tokenreviews", "subjectaccessreviews"];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, resource: &str, name: &str) -> Request {
        let (verb, resource, name) = (verb.into(), resource.into(), name.into());
        Request { verb, resource, namespace: "shop".into(), name, code: 200, at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn whatever_names_an_untouched_object_is_needless() {
        let touched = HashSet::from([("shop".to_owned(), "db".to_owned())]);
        let requests = [
            request("patch", "secrets", "db"),
            request("patch", "credentials/status", "db"),
            request("create", "events", "db.18a"),
            request("list", "secrets", ""),
            request("create", "tokenreviews", ""),
            request("get", "secrets", "other"),
            request("get", "secrets", "other"),
            request("create", "events", "other.18a"),
            // A create without a name: nobody can tell what it was about, so it counts.
            request("create", "secrets", ""),
        ];
        let needless = Needless::among(&requests, &touched);
        assert_eq!(needless.count(), 4);
        assert_eq!(needless.0["get secrets shop/other"], 2);
    }
}
