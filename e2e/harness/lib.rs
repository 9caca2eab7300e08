//! The real parts that the tests, the demo and a person at a shell talk to.
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! use credsmith_harness::{operator::{OperatorOptions, OperatorProcess}, shared::shared};
//!
//! let cluster = shared().await;                          // one control plane for all tests of this process
//! let namespace = cluster.namespace("shop").await?;      // fresh, gone when dropped
//! let operator = OperatorProcess::start(cluster, OperatorOptions::default()).await?;
//! operator.ready().await?;
//! # drop(namespace); Ok(()) }
//! ```
//!
//! In reading order: [`tools`] finds or builds the programs, [`process`] runs them, [`control_plane`] makes a Kubernetes API out
//! of them, [`cluster`] is that or the cluster named by `CONTEXT`, [`shared`] the one of a test process. In it [`namespace`]
//! makes room for a test, [`chart`] installs what the operator needs and [`operator`] runs it; [`front`] talks to its HTTPS
//! side. [`wait`] waits and [`follow`] follows, [`audit`] tells who asked the API server what and [`requests`] counts it, [`sandbox`]
//! keeps all of it running for a shell. [`layer`] is a disk that fails or loses what was not synced, [`points`] hears where an operator
//! is; [`demo`], [`drift`] and [`torture`] are what `make` calls by those names.

pub mod audit;
pub mod chart;
pub mod cluster;
pub mod control_plane;
pub mod demo;
pub mod drift;
pub mod follow;
pub mod front;
pub mod kubeconfig;
pub mod layer;
pub mod namespace;
pub mod operator;
pub mod points;
pub mod ports;
pub mod process;
pub mod requests;
pub mod sandbox;
pub mod shared;
pub mod state;
pub mod tools;
pub mod torture;
pub mod wait;

mod etcd;
mod exec;
mod flags;
mod pki;
mod spawn;

/// Names the TLS implementation, once for the process: rustls does not choose between several by itself.
pub(crate) fn use_one_tls_provider() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
}

#[cfg(test)]
mod tests;
