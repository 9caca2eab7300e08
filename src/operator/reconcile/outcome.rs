//! What one look found, and the status that says so.

use credsmith_core::hub;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube_runtime::events::{Event, EventType};

use super::{
    Again, Error, RECONCILE_AT,
    before::{Before, alike},
    serving::Known,
    version::Facts,
};
use crate::{
    credential::{
        Credential, CredentialStatus,
        parse::{Refusal, path_of},
        status::{RotationStatus, TargetFailure, TargetsStatus},
    },
    pace::Pace,
    secret::failure::{Cause, Failure},
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
    expiring: Option<Said>,
    facts: Option<Facts>,
    target: Option<TargetsStatus>,
    /// The version that the Secret holds meanwhile, where there is one.
    serves: Option<i64>,
    /// Nothing is done, so nothing is met.
    paused: bool,
}

/// A condition to be.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: bool,
    pub reason: &'static str,
    pub message: String,
}

impl Said {
    /// With that message, where it has none.
    pub fn with_message(self, message: Option<String>) -> Self {
        match message {
            Some(message) if self.message.is_empty() => Self { message, ..self },
            _ => self,
        }
    }
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
            expiring: None,
            facts: None,
            target: None,
            serves: None,
            paused: false,
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
        let message = format!("nothing is done until the annotation {} is gone", super::PAUSED);
        Self { paused: true, ..Self::new(serving, "Paused", message) }
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
            Error::Hub(error @ hub::Error::Busy(_)) => Some(Self::waiting("Generating", error.to_string())),
            Error::Hub(hub::Error::Invalid(why)) => Some(Self::waiting("WaitingForInput", why.clone())),
            Error::Hub(error @ hub::Error::TooLarge) => Some(Self::waiting("WaitingForInput", error.to_string())),
            Error::Kube(kube::Error::Api(status)) if status.code == 403 => {
                let next = Cause::of(status).next_step();
                Some(Self::waiting("TargetFailed", format!("the API server refuses it: {}; {next}", status.message)))
            }
            _ => None,
        }
    }

    /// The API server did not take the Secret `target`, or one before it stays.
    pub fn failed(object: &Credential, target: Option<&str>, failure: Failure) -> Self {
        let Failure { name, cause, why } = failure;
        let before = Before::of(object);
        // A port or a time in the text is no news: nothing is written while the cause is the same.
        let why = match before.projected() {
            Some(said)
                if cause.is_passing() && before.failure() == Some(cause.word()) && alike(&said.message, &why) =>
            {
                said.message.clone()
            }
            _ => why,
        };
        let outcome = if cause.is_terminal() {
            Self::stalled("TargetFailed", why.clone())
        } else {
            Self::waiting("TargetFailed", why.clone()).later(cause.pace())
        };
        let event = event(EventType::Warning, "ProjectionFailed", why.clone());
        let outcome = outcome.with_projected(Said { status: false, reason: cause.reason(), message: why });
        outcome.with_target(target.unwrap_or(&name), Some(cause.word())).with_event_on_failure(
            before,
            cause.word(),
            event,
        )
    }

    /// The Secret `name` is somebody else's.
    pub fn conflict(object: &Credential, name: &str, why: String) -> Self {
        let event = event(EventType::Warning, CONFLICT, why.clone());
        let said = Said { status: false, reason: CONFLICT, message: why.clone() };
        let outcome = Self::waiting("TargetFailed", why).with_projected(said).with_target(name, Some(CONFLICT));
        outcome.with_event_on_failure(Before::of(object), CONFLICT, event)
    }

    /// To be looked at again without being woken.
    pub fn later(self, pace: Pace) -> Self {
        Self { again: Again::After(pace), ..self }
    }

    /// The version that the Secret holds meanwhile.
    pub fn with_served_version(self, number: Option<i64>) -> Self {
        Self { serves: number, ..self }
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The newest version that this look found, or one before it.
    pub fn known_version(&self, object: &Credential) -> Option<Known> {
        let before = || object.status.as_ref().and_then(|status| status.current_version.as_ref());
        let known = self.facts.as_ref().map(|facts| &facts.version).or_else(before)?;
        Some((known.id.clone(), known.number))
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

    pub fn with_expiring(self, said: Said) -> Self {
        Self { expiring: Some(said), ..self }
    }

    /// What is handed out is valid no longer. Whatever else stands in the way is said first.
    pub fn expired(self, message: String) -> Self {
        if self.ready { Self { ready: false, reason: EXPIRED, message, ..self } } else { self }
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

    /// Adds an event where something else stood in the way of the Secret before, or nothing.
    fn with_event_on_failure(self, before: Before<'_>, word: &str, event: Event) -> Self {
        if before.failure() == Some(word) { self } else { self.with_event(event) }
    }

    /// The whole status. What this look did not find out stays as it stands.
    pub fn status(&self, object: &Credential, now: Timestamp) -> CredentialStatus {
        let before = object.status.clone().unwrap_or_default();
        let last_request = before.rotation.as_ref().and_then(|rotation| rotation.last_request.clone());
        let mut status = CredentialStatus {
            observed_generation: object.metadata.generation,
            path: path_of(object).map(|path| path.to_string()).or_else(|| before.path.clone()),
            last_reconcile_request: match self.paused {
                true => before.last_reconcile_request.clone(),
                false => object.annotations().get(RECONCILE_AT).cloned(),
            },
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
                next_time: Some(facts.next_time.clone()),
                next_window: None,
                last_request: facts.met.clone().or(last_request),
            });
            status.certificate = facts.certificate.clone();
            status.source_revision = facts.source_revision.clone();
            status.targets = self.target.clone();
        } else if self.target.is_some() {
            status.targets = self.target.clone();
        }
        status.conditions = self.conditions(object, now);
        status
    }

    /// The phase of an authority that is being changed.
    fn phase(&self) -> Option<&'static str> {
        let phase = self.facts.as_ref()?.certificate.as_ref()?.phase.as_deref()?;
        (phase == "Introduced").then_some("Introduced")
    }

    fn conditions(&self, object: &Credential, now: Timestamp) -> Vec<Condition> {
        let mut conditions = Conditions::new(object, now);
        let message = match self.serves.filter(|_| !self.ready) {
            Some(number) => format!("{} (still serving version {number})", self.message),
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
        match &self.expiring {
            Some(said) => conditions.set("Expiring", said.status, said.reason, said.message.clone()),
            // What has no certificate, does not expire.
            None if self.facts.is_some() => {}
            None => conditions.keep("Expiring"),
        }
        if let Some(phase) = self.phase() {
            conditions.set("InTransition", true, phase, String::new());
        }
        if self.stalled {
            conditions.set("Stalled", true, "NeedsAttention", self.message.clone());
        } else if !self.ready {
            conditions.set("Reconciling", true, "Progressing", self.message.clone());
        }
        conditions.into_vec()
    }
}

/// An event with our action.
pub fn event(type_: EventType, reason: &str, note: impl Into<String>) -> Event {
    let note: String = note.into();
    let note = note.chars().take(MOST_NOTE).collect();
    Event { type_, reason: reason.to_owned(), note: Some(note), action: "Reconcile".to_owned(), secondary: None }
}

/// Characters that the API server takes in a note.
const MOST_NOTE: usize = 1000;
/// The reason of `Projected`, the word of the target and the event, where the Secret is somebody else's.
/// The reason of `Ready` and of `Expiring`.
const EXPIRED: &str = super::validity::EXPIRED;
pub const CONFLICT: &str = "Conflict";
