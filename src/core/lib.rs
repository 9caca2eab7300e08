//! What a credential server is: no network, no disk, no Kubernetes.
//!
//! The modules stand in reading order, and the arrows run one way: `world` ← `domain` ← `auth` ← `keyring`, `store`,
//! `material` ← `hub`. `tests/it/house.rs` watches them.
//!
//! - [`world`]: the clock and the dice, the only module that asks the operating system for either.
//! - [`domain`]: names, values, parameters and the rules about them. Pure: a clock and dice are handed in.
//! - [`auth`]: who is asking, and what the cluster's own rules allow them.
//! - [`metrics`]: every counter and its name.
//! - [`probe`]: where the kill test looks in; empty in every other build.
//! - [`keyring`]: the only place that encrypts.
//! - [`material`]: the only place that makes keys and certificates.
//! - [`store`]: the contract with storage, and its plainest implementation.
//! - [`hub`]: the use cases. Every door (HTTP, custom resources, the command line) calls these and nothing below.

pub mod auth;
pub mod domain;
pub mod hub;
pub mod keyring;
pub mod material;
pub mod metrics;
pub mod probe;
pub mod store;
pub mod world;
