//! The databases that Credsmith keeps its versions in.
//!
//! A URL picks: `sqlite:///var/lib/credsmith/store.db` is a file on a volume, for one process at a time. PostgreSQL,
//! for any number of replicas, comes in a later release. What a store promises stands in [`credsmith_core::store`];
//! every backend passes the same contract test.
//!
//! Why are the queries not checked at compile time? That works for one database, and there will be two;
//! `conformance.rs` checks both.

mod open;
mod sqlite;

pub use open::{OpenError, data_keys, open};
