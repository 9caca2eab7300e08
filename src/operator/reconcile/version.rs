//! What is said of a version: how it came, what became of a request, and the facts of status.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use credsmith_core::{
    domain::{
        Reason,
        rotation::ByTime,
        schedule::{Answer, Kept, Turn},
    },
    hub,
    store::CredentialRow,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{ROTATE_AT, ensure::Asked, outcome::Said};
use crate::credential::{
    parse::{Origin, Plan},
    status::{CertificateStatus, VersionStatus},
};

/// What is known of the version that is handed out.
#[derive(Debug)]
pub struct Facts {
    pub credential_id: String,
    pub versions: i64,
    pub version: VersionStatus,
    pub parameters_hash: Option<String>,
    pub effective: BTreeMap<String, String>,
    /// The request that was met, if it was.
    pub met: Option<String>,
    /// When the next version is made: a time to the minute, or `manual`.
    pub next_time: String,
    pub certificate: Option<CertificateStatus>,
    pub source_revision: Option<String>,
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
                ROTATE_AT
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

/// The request that stands in the manifest, where it made a version: this one, or one before.
pub fn met(kept: Kept, request: Option<&Asked>, current: &hub::Version) -> Option<String> {
    let asked = request?;
    let made_this = current.row.request.as_ref() == Some(&asked.id);
    (made_this || matches!(kept.request, Answer::AlreadyUsed(_))).then(|| asked.text.clone())
}

/// Whether a rotation is due, and what became of a request.
pub fn rotation_due(
    kept: Kept,
    request: Option<&Asked>,
    current: &hub::Version,
    credential: &CredentialRow,
    overdue: Option<&str>,
) -> Said {
    if let Some(why) = overdue {
        return Said { status: true, reason: "Overdue", message: why.to_owned() };
    }
    match kept.turn {
        Turn::NeedsSteps => {
            let transitional = credential.newest.as_ref().filter(|newest| newest.id != current.row.id);
            let next = match transitional {
                Some(newest) => format!("version {} is trusted beside it and signs nothing yet", newest.number),
                None => format!("annotate {ROTATE_AT}=<any text> to begin with a version that is trusted beside it"),
            };
            let message = format!("what it signed is in use, and an authority is changed in steps: {next}");
            return Said { status: true, reason: "CARotationNeedsSteps", message };
        }
        Turn::Throttled(at) => {
            let message = format!("others are first: its turn is at {}", to_the_second(at));
            return Said { status: true, reason: "Throttled", message };
        }
        Turn::NotDue(_) => {}
    }
    let (reason, message) = match (kept.request, request) {
        // The request that made the version which is handed out now was met; only an older one is worth a word.
        (Answer::AlreadyUsed(version), Some(_)) if version != current.row.id => (
            "RequestAlreadyUsed",
            format!("this text of {} made version {version} before: use another text to rotate again", ROTATE_AT),
        ),
        (Answer::NeedsGenerator, Some(_)) => (
            "NotDue",
            format!(
                "a given value is not generated, so {} makes nothing: change the source or set it over the API",
                ROTATE_AT
            ),
        ),
        _ if kept.turn == Turn::NotDue(ByTime::WithItsSigner) => {
            ("NotDue", "it ends with its signer, and is renewed when the signer is".to_owned())
        }
        _ => ("NotDue", String::new()),
    };
    Said { status: false, reason, message }
}

/// The facts about a version, for status; those of a certificate come from elsewhere.
#[expect(clippy::too_many_arguments, reason = "each stands for one line of the status")]
pub fn facts(
    version: &hub::Version,
    credential: &CredentialRow,
    plan: &Plan,
    adopted: bool,
    fingerprint: Option<String>,
    met: Option<String>,
    source_revision: Option<String>,
    turn: Turn,
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
            adopted,
        },
        parameters_hash: parameters_hash(&plan.origin),
        effective: plan.effective.clone(),
        next_time: next_time(turn),
        certificate: None,
        met,
        source_revision,
    }
}

fn parameters_hash(origin: &Origin) -> Option<String> {
    let text = serde_json::to_vec(origin.parameters()?).ok()?;
    let hash = digest::digest(&digest::SHA256, &text);
    Some(hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A time to the minute, as it stands in a column.
fn next_time(turn: Turn) -> String {
    match turn {
        Turn::NotDue(ByTime::At(at)) | Turn::Throttled(at) => at.strftime("%Y-%m-%dT%H:%MZ").to_string(),
        Turn::NotDue(ByTime::Never | ByTime::WithItsSigner) | Turn::NeedsSteps => "manual".to_owned(),
    }
}

/// The API server keeps times to the second; a finer one would differ from what it answers, for ever.
fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
