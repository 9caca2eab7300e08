//! What one look found, and the status that says so.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use credsmith_core::{
    domain::{
        Reason,
        schedule::{Answer, Kept},
    },
    hub,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube_runtime::events::{Event, EventType};

use super::{Again, Error, RECONCILE_AT};
use crate::{
    credential::{
        Credential, CredentialStatus,
        parse::{Origin, Plan, Refusal, path_of},
        status::{RotationStatus, TargetFailure, TargetsStatus, VersionStatus},
    },
    secret::write,
    status::Conditions,
};

/// What one look found.
pub struct Outcome {
    /// The reason of `Ready`.
    pub reason: &'static str,
    pub again: Again,
    pub events: Vec<Event>,
    /// Nothing is to be said.
    pub silent: bool,
    ready: bool,
    message: String,
    /// Only an edit can mend it.
    stalled: bool,
    generated: Option<Said>,
    projected: Option<Said>,
    rotation: Option<Said>,
    facts: Option<Facts>,
    target: Option<TargetsStatus>,
}

/// A condition to be.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: bool,
    pub reason: &'static str,
    pub message: String,
}

/// What is known of the version that is handed out.
#[derive(Debug)]
pub struct Facts {
    pub credential_id: String,
    pub versions: i64,
    pub version: VersionStatus,
    pub parameters_hash: Option<String>,
    pub effective: BTreeMap<String, String>,
    pub request: Option<String>,
    pub source_revision: Option<String>,
}

impl Outcome {
    fn new(ready: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            again: Again::OnChange,
            events: Vec::new(),
            silent: false,
            ready,
            message: message.into(),
            stalled: false,
            generated: None,
            projected: None,
            rotation: None,
            facts: None,
            target: None,
        }
    }

    /// Nothing was done and nothing is to be said.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::new(true, "Silent", "") }
    }

    /// All is as the object says.
    pub fn ready(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(true, reason, message)
    }

    /// It waits for something.
    pub fn waiting(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(false, reason, message)
    }

    /// Only an edit can mend it.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self { stalled: true, ..Self::new(false, reason, message) }
    }

    /// The object says to do nothing.
    pub fn paused(object: &Credential) -> Self {
        let status = object.status.as_ref();
        let serving = status.is_some_and(|status| status.current_version.is_some());
        Self::new(serving, "Paused", format!("nothing is done until the annotation {} is gone", super::PAUSED))
    }

    /// The manifest cannot be met.
    pub fn refused(object: &Credential, refusal: &Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Invalid(_) => Self::stalled("InvalidSpec", message),
            Refusal::Policy(_) => {
                let denied = event(EventType::Warning, "PolicyDenied", message.clone());
                Self::stalled("PolicyDenied", message).with_event_on_change(object, denied)
            }
            Refusal::ForbiddenType(_) => {
                let said = Said { status: false, reason: "ForbiddenType", message: message.clone() };
                Self { projected: Some(said), ..Self::stalled("TargetFailed", message) }
            }
        }
    }

    /// What is to be said of an error before the next try; `None` where it is nobody's business.
    pub fn of_error(object: &Credential, error: &Error) -> Option<Self> {
        match error {
            Error::Hub(hub::Error::Unavailable(why)) => {
                let message = format!("the store cannot be asked, so nothing is made: {why}; it is tried again");
                let away = event(EventType::Warning, "StoreUnavailable", message.clone());
                Some(Self::waiting("StoreUnavailable", message).with_event_on_change(object, away))
            }
            Error::Hub(hub::Error::Damaged(why)) => Some(Self::waiting(
                "StoreSealed",
                format!(
                    "{why}: restore the store from a backup, or delete this object and then the credential over the API"
                ),
            )),
            Error::Hub(hub::Error::Invalid(why)) => Some(Self::waiting("WaitingForInput", why.clone())),
            Error::Hub(error @ hub::Error::TooLarge) => Some(Self::waiting("WaitingForInput", error.to_string())),
            Error::Secret(write::Error::Kube(kube::Error::Api(status))) | Error::Kube(kube::Error::Api(status))
                if status.code == 403 =>
            {
                Some(Self::waiting(
                    "TargetFailed",
                    format!(
                        "the API server refuses it: {}; give the operator's ServiceAccount that right",
                        status.message
                    ),
                ))
            }
            _ => None,
        }
    }

    pub fn later(self) -> Self {
        Self { again: Again::Later, ..self }
    }

    pub fn with_facts(self, facts: Facts) -> Self {
        Self { facts: Some(facts), ..self }
    }

    pub fn with_generated(self, said: Said) -> Self {
        Self { generated: Some(said), ..self }
    }

    pub fn with_projected(self, said: Said) -> Self {
        Self { projected: Some(said), ..self }
    }

    pub fn with_rotation(self, said: Said) -> Self {
        Self { rotation: Some(said), ..self }
    }

    /// The Secret, and why it is not as it should be, if so.
    pub fn with_target(self, name: &str, failure: Option<&str>) -> Self {
        let failed = i64::from(failure.is_some());
        let sample = failure.map(|reason| TargetFailure { name: name.to_owned(), reason: reason.to_owned() });
        let target = TargetsStatus {
            desired: 1,
            ready: 1 - failed,
            failed,
            name: Some(name.to_owned()),
            sample: sample.into_iter().collect(),
        };
        Self { target: Some(target), ..self }
    }

    pub fn with_event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds an event unless the object says the same already.
    pub fn with_event_on_change(self, object: &Credential, event: Event) -> Self {
        let before = object.status.iter().flat_map(|status| &status.conditions).find(|c| c.type_ == "Ready");
        if before.is_some_and(|ready| ready.reason == self.reason) { self } else { self.with_event(event) }
    }

    /// The whole status. What this look did not find out stays as it stands.
    pub fn status(&self, object: &Credential, now: Timestamp) -> CredentialStatus {
        let before = object.status.clone().unwrap_or_default();
        let mut status = CredentialStatus {
            observed_generation: object.metadata.generation,
            path: path_of(object).map(|path| path.to_string()).or_else(|| before.path.clone()),
            last_reconcile_request: object.annotations().get(RECONCILE_AT).cloned(),
            ..before
        };
        if let Some(facts) = &self.facts {
            status.credential_id = Some(facts.credential_id.clone());
            status.versions = Some(facts.versions);
            status.current_version = Some(facts.version.clone());
            status.parameters_hash = facts.parameters_hash.clone();
            status.effective = Some(facts.effective.clone()).filter(|effective| !effective.is_empty());
            status.rotation = Some(RotationStatus {
                last_time: facts.version.created_at.clone(),
                next_time: Some("manual".into()),
                next_window: None,
                last_request: facts.request.clone(),
            });
            status.source_revision = facts.source_revision.clone();
            status.targets = self.target.clone();
        } else if self.target.is_some() {
            status.targets = self.target.clone();
        }
        status.conditions = self.conditions(object, &status, now);
        status
    }

    fn conditions(
        &self,
        object: &Credential,
        status: &CredentialStatus,
        now: Timestamp,
    ) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
        let mut conditions = Conditions::new(object, now);
        let serving = status.current_version.as_ref().filter(|_| !self.ready);
        let message = match serving {
            Some(version) => format!("{} (still serving version {})", self.message, version.number),
            None => self.message.clone(),
        };
        conditions.set("Ready", self.ready, self.reason, message);
        for (type_, said) in
            [("Generated", &self.generated), ("Projected", &self.projected), ("RotationDue", &self.rotation)]
        {
            match said {
                Some(said) => conditions.set(type_, said.status, said.reason, said.message.clone()),
                None => conditions.keep(type_),
            }
        }
        if self.stalled {
            conditions.set("Stalled", true, "NeedsAttention", self.message.clone());
        } else if !self.ready {
            conditions.set("Reconciling", true, "Progressing", self.message.clone());
        }
        conditions.into_vec()
    }
}

/// How the version stands to what the manifest asks for.
pub fn generated(version: &hub::Version, kept: Kept, adopted: bool) -> Said {
    let number = version.row.number;
    if kept.drifted {
        return Said {
            status: false,
            reason: "ParametersDrifted",
            message: format!(
                "version {number} was made from other parameters and stays: annotate {}=<any text> to make a new one",
                super::ROTATE_AT
            ),
        };
    }
    let by_operator = version.row.stamp.actor.as_str() == "operator";
    let reason = match version.row.reason {
        Reason::Imported | Reason::SourceChanged => "Imported",
        Reason::SetByAPI => "SetByAPI",
        _ if adopted || !by_operator => "Adopted",
        _ => "Generated",
    };
    Said { status: true, reason, message: String::new() }
}

/// Whether a rotation is due, and what became of a request.
pub fn rotation_due(kept: Kept, request: Option<&str>, current: &hub::Version) -> Said {
    let (reason, message) = match (kept.request, request) {
        // The request that made the version which is handed out now was met; only an older one is worth a word.
        (Answer::AlreadyUsed(version), Some(_)) if version != current.row.id => (
            "RequestAlreadyUsed",
            format!(
                "this text of {} made version {version} before: use another text to rotate again",
                super::ROTATE_AT
            ),
        ),
        (Answer::NeedsGenerator, Some(_)) => (
            "NotDue",
            format!(
                "a given value is not generated, so {} makes nothing: change the source or set it over the API",
                super::ROTATE_AT
            ),
        ),
        _ => ("NotDue", String::new()),
    };
    Said { status: false, reason, message }
}

/// The facts about a version, for status.
pub fn facts(
    version: &hub::Version,
    credential: &credsmith_core::store::CredentialRow,
    plan: &Plan,
    fingerprint: Option<String>,
    request: Option<String>,
    source_revision: Option<String>,
) -> Facts {
    let row = &version.row;
    Facts {
        credential_id: credential.id.to_string(),
        versions: credential.versions.max(row.number),
        version: VersionStatus {
            id: row.id.to_string(),
            number: row.number,
            created_at: Some(Time(to_the_second(row.stamp.at))),
            reason: row.reason.to_string(),
            by: row.stamp.actor.to_string(),
            fingerprint,
        },
        parameters_hash: parameters_hash(&plan.origin),
        effective: plan.effective.clone(),
        request,
        source_revision,
    }
}

/// An event with our action.
pub fn event(type_: EventType, reason: &str, note: impl Into<String>) -> Event {
    let note: String = note.into();
    let note = note.chars().take(MOST_NOTE).collect();
    Event { type_, reason: reason.to_owned(), note: Some(note), action: "Reconcile".to_owned(), secondary: None }
}

fn parameters_hash(origin: &Origin) -> Option<String> {
    let (Origin::Generate(parameters) | Origin::Adopt(parameters, _)) = origin else { return None };
    let text = serde_json::to_vec(parameters).ok()?;
    let hash = digest::digest(&digest::SHA256, &text);
    Some(hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The API server keeps times to the second; a finer one would differ from what it answers, for ever.
fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Characters that the API server takes in a note.
const MOST_NOTE: usize = 1000;
