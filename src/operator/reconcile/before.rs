//! What an object said before a look: events tell changes, so it must be known what was told already.

use credsmith_core::domain::VersionId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::credential::{Credential, CredentialStatus};

/// What an object said of its Secret before this look.
#[derive(Clone, Copy)]
pub struct Before<'a>(Option<&'a CredentialStatus>);

impl<'a> Before<'a> {
    pub fn of(object: &'a Credential) -> Self {
        Self(object.status.as_ref())
    }

    /// `Projected`, where it is False.
    pub fn projected(self) -> Option<&'a Condition> {
        self.0?.conditions.iter().find(|condition| condition.type_ == "Projected" && condition.status == "False")
    }

    /// What stood in the way, where something did: the word of the target, else the reason of `Projected`.
    pub fn failure(self) -> Option<&'a str> {
        let projected = self.projected()?;
        let target = self.0?.targets.as_ref().and_then(|targets| targets.sample.first());
        Some(target.map_or(projected.reason.as_str(), |failure| failure.reason.as_str()))
    }

    /// The fingerprint of what was written last; `None` where nothing ever was.
    pub fn written(self) -> Option<&'a str> {
        self.0?.current_version.as_ref()?.fingerprint.as_deref()
    }

    /// Whether the Secret `name` stood there as it should.
    pub fn in_sync(self, name: &str) -> bool {
        let targets = self.0.and_then(|status| status.targets.as_ref());
        targets.is_some_and(|targets| targets.ready == 1 && targets.name.as_deref() == Some(name))
    }

    /// Whether that version is one that the object took over.
    pub fn adopted(self, version: VersionId) -> bool {
        let known = self.0.and_then(|status| status.current_version.as_ref());
        known.is_some_and(|known| known.adopted && known.id == version.to_string())
    }
}

/// Whether two texts are the same but for numbers, such as the port of a connection.
pub fn alike(one: &str, other: &str) -> bool {
    let words = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    words(one) == words(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_or_a_time_is_no_news() {
        assert!(alike("dial tcp 127.0.0.1:40312: refused after 3 s", "dial tcp 127.0.0.1:9: refused after 10 s"));
        assert!(!alike("dial tcp 127.0.0.1:40312: refused", "dial tcp 127.0.0.1:40312: no route"));
    }
}
