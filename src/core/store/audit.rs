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

impl Record {
    /// The line that comes after the one with that hash; the first of a chain comes after [`START`].
    pub fn after(before: &[u8; 32], chain: &str, sequence: i64, line: AuditLine) -> Self {
        let AuditLine { at, actor, action, resource, details } = line;
        let (chain, action) = (chain.to_owned(), action.to_owned());
        let record = Self { chain, sequence, at, actor, action, resource, details, hash: START };
        Self { hash: record.link(before), ..record }
    }

    /// The hash that this line must have after that one: SHA-256 of the hash before it and of every field, each with its
    /// length in front.
    fn link(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(before);
        let (sequence, at) = (self.sequence.to_string(), self.at.as_millisecond().to_string());
        let actor = self.actor.as_str();
        for field in [&self.chain, &sequence, &at, actor, &self.action, &self.resource, &self.details] {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field.as_bytes());
        }
        context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}

/// Checks a trail as [`Store::audit`](super::Store::audit) gives it, newest first: every line is as it was written, and
/// none is missing between two others of its chain.
///
/// What it cannot see: lines cut off at the end of a chain, a chain that is gone altogether, and a change of the oldest
/// line where the one before it was trimmed or not asked for.
pub fn verify(records: &[Record]) -> Result<(), Broken> {
    for (at, record) in records.iter().enumerate() {
        let older = records.get(at + 1);
        let same_chain = older.filter(|older| older.chain == record.chain);
        let before = match (same_chain, record.sequence) {
            (Some(older), _) if older.sequence + 1 == record.sequence => &older.hash,
            (None, 1) => &START,
            (None, _) if older.is_none() => continue, // what came before is not known
            _ => return Err(Broken::Missing { chain: record.chain.clone(), before: record.sequence }),
        };
        if record.link(before) != record.hash {
            return Err(Broken::Altered { chain: record.chain.clone(), sequence: record.sequence });
        }
    }
    Ok(())
}

/// Where a trail is not what was written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("line {sequence} of chain {chain}, or the hash before it, was altered")]
    Altered { chain: String, sequence: i64 },
    #[error("a line is missing before line {before} of chain {chain}")]
    Missing { chain: String, before: i64 },
}

/// What stands for the hash before the first line of a chain.
pub const START: [u8; 32] = [0; 32];
/// How many lines the store keeps; the oldest go first.
pub const KEPT: i64 = 100_000;
