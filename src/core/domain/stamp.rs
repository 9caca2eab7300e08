//! Who made a version, when and why.

use std::{fmt, str::FromStr};

use jiff::Timestamp;

use super::access::Actor;

/// Who made a change, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub actor: Actor,
    /// Kept to the millisecond.
    pub at: Timestamp,
}

/// Why a version was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// By parameters, because the path had no version.
    Generated,
    /// From a Secret, because the path had no version.
    Imported,
    /// By a caller of the API.
    SetByAPI,
    /// The Secret it is read from changed.
    SourceChanged,
    /// By time.
    Scheduled,
    /// By annotation, or by a caller who asked for a new value.
    Requested,
    /// The parameters changed, and the spec says that this makes a new value.
    ParametersChanged,
    /// The signer has a new version.
    SignerChanged,
}

impl Reason {
    /// Whether the value came from a source that can change.
    pub fn is_import(self) -> bool {
        matches!(self, Self::Imported | Self::SourceChanged)
    }

    const ALL: [Self; 8] = [
        Self::Generated,
        Self::Imported,
        Self::SetByAPI,
        Self::SourceChanged,
        Self::Scheduled,
        Self::Requested,
        Self::ParametersChanged,
        Self::SignerChanged,
    ];

    /// The word in status, in the store and in audit lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "Generated",
            Self::Imported => "Imported",
            Self::SetByAPI => "SetByAPI",
            Self::SourceChanged => "SourceChanged",
            Self::Scheduled => "Scheduled",
            Self::Requested => "Requested",
            Self::ParametersChanged => "ParametersChanged",
            Self::SignerChanged => "SignerChanged",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or_else(|| format!("unknown reason {word:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_is_written() {
        for reason in Reason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        assert!("Whim".parse::<Reason>().is_err());
    }
}
