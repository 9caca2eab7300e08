//! `make bench-operator`: the operator's first sync of many objects, and its quiet afterwards, against a bare client that sends
//! one Secret create and one status patch for each. Both talk to one control plane, in turns.
//!
//! In reading order: [`stage`] is the control plane and the objects in it, [`template`] what the operator writes for one of them,
//! [`floor`] the bare client, [`ours`] the operator; [`seen`] tells when a round is done, [`count`] what the audit log holds, and
//! [`load`] and [`machine`] what the kernel knows. [`report`] says what it comes to.

mod count;
mod floor;
mod load;
mod machine;
mod ours;
mod report;
mod seen;
mod stage;
mod template;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::{floor::Floor, ours::Ours, report::Report, stage::Stage};

/// Measures the operator against a bare client.
#[derive(Debug, Parser)]
#[command(name = "bench-operator")]
struct Arguments {
    /// Objects of a round
    #[arg(long, default_value = "2000", value_parser = clap::value_parser!(u32).range(10..=99_999))]
    objects: u32,
    /// Rounds of the floor, and of the operator
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds in which nothing is due; a run with fewer than 120 is void
    #[arg(long, default_value = "120")]
    quiet: u64,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of the command")]
async fn main() -> ExitCode {
    let report = match run(&Arguments::parse()).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    println!("{report}");
    if let Err(error) = report.write() {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    if report.void().is_empty() && report.under_the_bar().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(arguments: &Arguments) -> Result<Report> {
    // First of all: from here on the load is our own.
    let load = load::load()?;
    let count = usize::try_from(arguments.objects)?;
    let stage = Stage::set().await?;
    let floor = Floor::best(&stage, stage.sample().await?, (count / 8).clamp(50, 250)).await?;
    eprintln!("floor: {} objects at a time", floor.in_flight);

    let (mut floors, mut all, mut quiet) = (Vec::new(), Vec::new(), None);
    for nth in 0..arguments.rounds {
        let bare = floor.round(&stage, &format!("bench-floor-{nth:02}"), count).await?;
        let (round, mut ours) = Ours::round(&stage, &format!("bench-ours-{nth:02}"), count).await?;
        eprintln!("round {nth}: floor {:.2?}, ours {:.2?}", bare.took, round.took);
        floors.push(bare);
        all.push(round);
        if nth + 1 == arguments.rounds {
            quiet = Some(ours.quiet(Duration::from_secs(arguments.quiet)).await?);
        }
        ours.end().await?;
    }
    Ok(Report {
        load,
        release_build: !cfg!(debug_assertions),
        floor_in_flight: floor.in_flight,
        sizes: floor.sizes(),
        floor_tried: floor.tried,
        floor: floors,
        ours: all,
        quiet: quiet.context("a round at least")?,
    })
}
