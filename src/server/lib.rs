//! The program: it knows all the other packages and does nothing itself.
//!
//! [`app`] builds everything from a [`config::Config`]: the only module that names the packages for HTTP, Kubernetes and
//! databases. `main.rs` is the command line.

pub mod app;
pub mod config;
pub mod error;
pub mod keys;
pub mod reference;
pub mod telemetry;
pub mod tls;
