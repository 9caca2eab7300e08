//! The trail of what was changed, one line with each step.
//!
//! Each line carries the hash of the one before it, one chain per process, so that a line taken out or altered shows.

use aws_lc_rs::digest;
use jiff::Timestamp;

use crate::domain::Actor;

/// What happened, as the hub tells it. Names and ids only: no value, no key, no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    pub at: Timestamp,
    pub actor: Actor,
    /// A verb such as `set`, `generate`, `delete`, `adopt`.
    pub action: &'static str,
    /// The name of the credential.
    pub resource: String,
    /// Why, or for whom: free text without secrets.
    pub details: String,
}

/// A line as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Rising, one chain per process.
    pub chain: String,
    pub sequence: i64,
    pub at: Timestamp,
    pub actor: Actor,
    pub action: String,
    pub resource: String,
    pub details: String,
    pub hash: [u8; 32],
}

/// The hash that a line gets: SHA-256 of the hash before it and of every field, each with its length in front.
pub fn link(before: &[u8; 32], chain: &str, sequence: i64, line: &AuditLine) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(before);
    let (sequence, at) = (sequence.to_string(), line.at.as_millisecond().to_string());
    for field in [chain, &sequence, &at, line.actor.as_str(), line.action, &line.resource, &line.details] {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// How many lines the store keeps; the oldest go first.
pub const KEPT: i64 = 100_000;
