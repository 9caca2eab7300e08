//! The short form of `make drift`, in a control plane of its own.

use anyhow::Result;
use credsmith_harness::drift::{self, Options};

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_strangers_are_repaired_and_nobody_else_is_asked_about() -> Result<()> {
    credsmith_harness::state::keep_until_the_end();
    let report = drift::run(&Options::short()).await?;
    tell!("{report}");
    assert!(report.passed(), "{report}");
    let each = report.first_sync.requests_each_generated;
    assert!(each < 2.05, "one create of the Secret and one patch of the status: {}", report.first_sync);
    Ok(())
}
