//! The names and addresses a certificate is good for (spec section 3.5).

use std::{net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// A name, or an address. Kept as what it is, so that a later rule about names changes nothing of what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlternativeName {
    Dns(String),
    Ip(IpAddr),
}

/// An address where it reads as one, else a host name: how the API tells them apart.
impl FromStr for AlternativeName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::ip(text).or_else(|_| Self::dns(text))
    }
}

impl AlternativeName {
    /// A host name, or one with a wildcard: never an address.
    pub fn dns(text: &str) -> Result<Self, Refusal> {
        let fine = text.len() <= MAX_NAME && (is_host_name(text) || is_wildcard(text));
        if fine { Ok(Self::Dns(text.to_owned())) } else { Err(refused(text)) }
    }

    /// An address of version 4 or 6, without a zone.
    pub fn ip(text: &str) -> Result<Self, Refusal> {
        text.parse().map(Self::Ip).map_err(|_| refused(text))
    }
}

fn refused(text: &str) -> Refusal {
    Refusal::AlternativeName(text.chars().take(64).collect())
}

/// As recorded: single labels and a dot at the end are fine, and the last label does not begin with a digit, or it would
/// read as a part of an address.
fn is_host_name(text: &str) -> bool {
    let labels: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    let starts_with_digit = labels.last().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    !starts_with_digit
        && labels.iter().all(|label| {
            label.len() <= MAX_LABEL
                && is_edge(label.chars().next())
                && is_edge(label.chars().last())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        })
}

/// `*`, labels of letters, digits and hyphens behind it, or those labels alone with a dot in front (as recorded).
fn is_wildcard(text: &str) -> bool {
    let rest = text.strip_prefix('*').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    match rest.strip_prefix('.') {
        Some(labels) => labels.split('.').all(is_label),
        None => text == "*",
    }
}

/// Characters (RFC 1035).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<AlternativeName> {
        text.parse().ok()
    }

    /// What was recorded, and the few that are refused here (spec section 11.2).
    #[test]
    fn names_and_addresses_are_told_apart() {
        let names = [
            "example.com",
            "a",
            "a-b.example.com",
            "a_b.example.com",
            "*.example.com",
            "*",
            "EXAMPLE.com",
            "1.example.com",
            "example.com.",
            "xn--bcher-kva.example",
            ".a.com",
        ];
        for name in names {
            assert_eq!(parse(name), Some(AlternativeName::Dns(name.into())), "{name}");
        }
        for (text, address) in [("10.0.0.1", "10.0.0.1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("::1", "::1")] {
            assert_eq!(parse(text), Some(AlternativeName::Ip(address.parse().unwrap())));
        }
        let refused = [
            "",
            ".",
            "..",
            "a..com",
            "a_.com",
            "-a.com",
            "example.123",
            "1",
            "1.2.3",
            "256.1.1.1",
            "1.2.3.4.5",
            "10.0.0.0/8",
            "example.com:80",
            ":::",
            "*.",
            "**",
            "*.*.example.com",
            "*a.example.com",
            "a.*.com",
            "a,b",
            "a.com\n",
            "ex ample.com",
            "1.2.3.4 ",
            "[::1]",
            "fe80::1%eth0",
            "ünï.com",
        ];
        for text in refused {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let label = "a".repeat(63);
        let name = |last: usize| format!("{label}.{label}.{label}.{}", "d".repeat(last));
        assert!(parse(&name(61)).is_some());
        assert!(parse(&name(62)).is_none());
        assert!(parse(&format!("{label}a.com")).is_none());
    }

    #[test]
    fn an_address_is_no_name() {
        assert!(AlternativeName::dns("10.0.0.1").is_err());
        assert!(AlternativeName::ip("example.com").is_err());
    }

    proptest! {
        #[test]
        fn what_was_parsed_is_read_again_as_it_was_kept(text in "[a-z0-9.*:_-]{0,20}") {
            if let Some(name) = parse(&text) {
                let kept = serde_json::to_string(&name).unwrap();
                prop_assert_eq!(serde_json::from_str::<AlternativeName>(&kept).unwrap(), name);
            }
        }
    }
}
