//! The one cluster that all tests of a process share.

use std::time::Instant;

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::{
    cluster::{Cluster, named_context},
    control_plane::Options,
    state::StateDir,
    tools::say,
};

/// One cluster for all tests of this process: a control plane started at the first call, which ends with the process; or the
/// cluster of the kubectl context that `CONTEXT` names.
///
/// A control plane takes 4 s and half a gigabyte, so only a test that stops a component, deletes a CRD or counts requests has one
/// of its own ([`Cluster::start`]); the others have a namespace of their own.
///
/// # Panics
/// When there is none to be had, with the reason; in each test, since none can go on without.
pub async fn shared() -> &'static Cluster {
    // The failure is kept like the success: a hundred tests should not each wait for the same timeout.
    static SHARED: OnceCell<Result<Cluster, String>> = OnceCell::const_new();
    let cluster = SHARED.get_or_init(|| async { begin().await.map_err(|error| format!("{error:#}")) }).await;
    cluster.as_ref().unwrap_or_else(|error| panic!("no cluster for the tests: {error}"))
}

async fn begin() -> Result<Cluster> {
    if let Some(name) = named_context() {
        say(&format!("using the cluster of kubectl context {name}"));
        return Cluster::of_context(&name, StateDir::temporary("context")?).await;
    }
    let started = Instant::now();
    let cluster = Cluster::start(Options::default()).await?;
    say(&format!("control plane up after {:.1} s", started.elapsed().as_secs_f32()));
    Ok(cluster)
}
