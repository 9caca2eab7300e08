//! The kill test, short: `make torture` is the long one.

use credsmith_harness::torture::{Options, torture};

#[tokio::test]
async fn ten_kills_under_load_lose_nothing_and_make_nothing_twice() -> anyhow::Result<()> {
    credsmith_harness::state::keep_until_the_end();
    let seed = std::process::id().into();
    let report = torture(&Options { kills: 10, without_sync: false, seed }).await?;
    tell!("{report}");
    let found = report.findings().join("\n");
    assert!(report.is_good(), "seed {seed}: {report}\n{found}");
    let (_, converged) = report.slowest();
    assert!(converged.as_secs() < 30, "seed {seed}: {report}"); // 5 s on a machine with nothing else to do
    Ok(())
}
