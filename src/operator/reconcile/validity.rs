//! What is said of a certificate: what stands in it, and how near its end is.

use credsmith_core::{
    domain::{CredentialName, Value, rotation::warned_from},
    hub::{self, Hub, Version},
    material::Certificate,
    store::CredentialRow,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_runtime::events::{Event, EventType};

use super::{
    Error,
    outcome::{Said, event},
};
use crate::credential::{Credential, status::CertificateStatus};

/// A certificate that is handed out.
#[derive(Debug)]
pub struct Validity {
    pub status: CertificateStatus,
    from: Timestamp,
    until: Timestamp,
    number: i64,
    /// Its signer ends when it does.
    ends_with_signer: bool,
}

impl Validity {
    /// Reads it; `None` for a version of another type.
    pub async fn of(
        version: &Version,
        credential: &CredentialRow,
        introduced: bool,
        hub: &Hub,
    ) -> Result<Option<Self>, Error> {
        let Value::Certificate(value) = &version.value else { return Ok(None) };
        let Some(certificate) = Certificate::first(value.certificate.expose()) else { return Ok(None) };
        let facts = &version.row.facts;
        let signer = match facts.signer {
            Some(signer) => hub.store.version(signer).await.map_err(hub::Error::from)?,
            None => None,
        };
        let ends_with_signer =
            signer.as_ref().is_some_and(|signer| signer.facts.expires == Some(certificate.not_after));
        let own = facts.self_signed.then(|| credential.name.to_string());
        let in_transition = introduced || credential.newest.as_ref().is_some_and(|newest| newest.id != version.row.id);
        let status = CertificateStatus {
            not_before: Some(Time(certificate.not_before)),
            not_after: Some(certificate.not_after.to_string()),
            serial: Some(certificate.serial.iter().map(|byte| format!("{byte:02x}")).collect()),
            signed_by: signer.as_ref().map(|signer| signer.name.to_string()).or(own),
            signer_version: signer.map(|signer| signer.number),
            is_ca: Some(certificate.is_ca),
            phase: certificate.is_ca.then(|| if in_transition { "Introduced" } else { "Stable" }.to_owned()),
        };
        let (from, until) = (certificate.not_before, certificate.not_after);
        Ok(Some(Self { status, from, until, number: version.row.number, ends_with_signer }))
    }

    /// Seconds it is valid for, where it has fewer than that because its signer ends then.
    pub fn cut(&self, wanted: u32) -> Option<i64> {
        let lifetime = self.until.duration_since(self.from).as_secs();
        (self.ends_with_signer && lifetime < i64::from(wanted)).then_some(lifetime)
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.until <= now
    }

    /// When something else is to be said of it.
    pub fn changes_at(&self, now: Timestamp) -> Option<Timestamp> {
        [warned_from((self.from, self.until)), self.until].into_iter().find(|at| *at > now)
    }

    /// Whether its end is near.
    pub fn expiring(&self, now: Timestamp) -> Said {
        let (number, until) = (self.number, self.until);
        if self.has_expired(now) {
            let message = format!("version {number} expired at {until}");
            return Said { status: true, reason: EXPIRED, message };
        }
        if warned_from((self.from, until)) <= now {
            let message = format!("version {number} expires at {until}");
            return Said { status: true, reason: EXPIRES_SOON, message };
        }
        Said { status: false, reason: "Valid", message: String::new() }
    }
}

/// The event, where an object did not say so before.
pub fn event_of(said: &Said, object: &Credential) -> Option<Event> {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let before = conditions.filter(|condition| condition.type_ == "Expiring").map(|said| said.reason.as_str()).next();
    let is_news = said.status && before != Some(said.reason);
    is_news.then(|| event(EventType::Warning, said.reason, said.message.clone()))
}

/// What to do about a certificate that has expired.
pub fn expired(name: &CredentialName, said: &Said, overdue: Option<&str>) -> String {
    let next = match overdue {
        Some(why) => why.to_owned(),
        None => format!("annotate {}=<any text> to make a new one, or set {name} over the API", super::ROTATE_AT),
    };
    format!("{}: {next}", said.message)
}

pub const EXPIRED: &str = "Expired";
const EXPIRES_SOON: &str = "ExpiresSoon";
