//! The API server's audit log: what it records, and reading it.

use std::{fs::File, io::Read as _, io::Seek as _, io::SeekFrom, path::Path};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chart::RELEASE_NAMESPACE;

/// What the API server records. Never a value: request and response bodies are left out at every level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audit {
    /// Who touched which Secret, and who asked for tokens and reviews.
    #[default]
    Secrets,
    /// The same, and every request of the operator: of any ServiceAccount in the release namespace.
    Everything,
    /// The operator's requests and nothing else: each line costs the API server something, which a measurement would show.
    Operator,
}

/// One line of the audit log, as far as tests ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// The same in all events of one request.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// `ResponseStarted` (of a watch), `ResponseComplete` or `Panic`.
    pub stage: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    pub user: AuditUser,
    #[serde(default)]
    pub user_agent: String,
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// None for requests that are not about objects, such as `/readyz`.
    pub object_ref: Option<AuditObject>,
    pub response_status: Option<AuditStatus>,
    /// When the API server began with it.
    pub request_received_timestamp: Timestamp,
}

/// Who asked.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditUser {
    pub username: String,
}

/// What was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditObject {
    pub api_group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    /// Empty in a list, a watch and a create.
    pub name: String,
}

/// What was answered.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditStatus {
    /// The HTTP status.
    #[serde(default)]
    pub code: u16,
}

/// The events of the log from byte `offset` on, which is moved behind the last whole line: start with 0, then hand in the same
/// variable again for what is new. A last line that is being written is left for the next call.
pub fn read(log: &Path, offset: &mut u64) -> Result<Vec<AuditEvent>> {
    let Ok(mut file) = File::open(log) else { return Ok(Vec::new()) }; // nothing was recorded yet
    file.seek(SeekFrom::Start(*offset))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let events = text[..whole]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line).with_context(|| format!("audit line {}", String::from_utf8_lossy(line)))
        })
        .collect::<Result<_>>()?;
    *offset += u64::try_from(whole)?;
    Ok(events)
}

impl Audit {
    /// The policy file.
    pub(crate) fn policy(self) -> String {
        let operator =
            format!("  - {{level: Metadata, userGroups: [\"system:serviceaccounts:{RELEASE_NAMESPACE}\"]}}\n");
        let (operator, others) = match self {
            Self::Secrets => ("", SECRETS),
            Self::Everything => (operator.as_str(), SECRETS),
            Self::Operator => (operator.as_str(), NOTHING),
        };
        format!(
            "apiVersion: audit.k8s.io/v1\n\
             kind: Policy\n\
             omitStages: [RequestReceived]\n\
             rules:\n\
             {operator}\
             {others}"
        )
    }
}

const SECRETS: &str = r#"  - {level: Metadata, resources: [{group: "", resources: [secrets, serviceaccounts/token]}]}
  - {level: Metadata, resources: [{group: authentication.k8s.io}, {group: authorization.k8s.io}]}
  - {level: None}
"#;
const NOTHING: &str = "  - {level: None}\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_being_written_is_read_the_next_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("audit.jsonl");
        let line = |verb: &str| {
            format!(
                r#"{{"auditID":"1","stage":"ResponseComplete","requestURI":"/","verb":"{verb}","user":{{"username":"u"}},"objectRef":{{"resource":"secrets","name":"s"}},"requestReceivedTimestamp":"2026-01-16T14:40:00.000001Z"}}"#
            )
        };
        let mut offset = 0;
        assert!(read(&log, &mut offset).expect("no log yet").is_empty());

        let (first, second) = (line("get"), line("patch"));
        std::fs::write(&log, format!("{first}\n{}", &second[..20])).expect("written");
        let read_now = read(&log, &mut offset).expect("one event");
        assert_eq!(read_now.iter().map(|event| event.verb.as_str()).collect::<Vec<_>>(), ["get"]);

        std::fs::write(&log, format!("{first}\n{second}\n")).expect("written");
        let read_now = read(&log, &mut offset).expect("the other");
        assert_eq!(read_now.iter().map(|event| event.verb.as_str()).collect::<Vec<_>>(), ["patch"]);
        assert_eq!(read_now[0].object_ref.as_ref().expect("an object").name, "s");
    }
}
