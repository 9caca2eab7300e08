//! The command line of the harness: what `make up`, `make env` and `make down` call.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use credsmith_harness::{
    demo::demo,
    drift,
    sandbox::Sandbox,
    tools::{Program, Tools},
    torture,
};

/// Keeps a Kubernetes API with the operator at hand.
///
/// CONTEXT=NAME uses the cluster of that kubectl context instead of a control plane of its own.
#[derive(Debug, Parser)]
#[command(name = "harness")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the programs of the control plane that are missing
    Tools,
    /// Start a control plane, install the chart and run the operator
    Up {
        /// Leave the operator out, to run one by hand
        #[arg(long)]
        without_operator: bool,
    },
    /// Print what to evaluate in a shell: eval "$(make -s env)"
    Env,
    /// Show the main job, step by step
    Demo,
    /// Edit Secrets behind the operator's back, and count repairs and needless requests
    Drift {
        /// How many Secrets there are; one in eight is edited
        #[arg(long, default_value = "2000", value_parser = clap::value_parser!(u16).range(40..=9999))]
        secrets: u16,
    },
    /// Kill the operator under load, again and again, and look for anything lost
    Torture {
        /// How often
        #[arg(long, default_value = "200", value_parser = clap::value_parser!(u16).range(1..=9999))]
        kills: u16,
        /// Show instead that a missing sync would be noticed
        #[arg(long)]
        control: Option<Control>,
        /// Repeats the choices of an earlier run, which printed it
        #[arg(long)]
        seed: Option<u64>,
    },
    /// End what `up` started and forget its state
    Down,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Tools => tools(),
        Command::Up { without_operator } => up(!without_operator).await,
        Command::Env => env().await,
        Command::Demo => demo().await,
        Command::Drift { secrets } => drift::drift(&drift::Options::full(secrets.into())).await,
        Command::Torture { kills, control, seed } => torture(kills, control, seed).await,
        Command::Down => down().await,
    }
}

/// What a run is to fail at.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Control {
    /// The store does not sync
    Nofsync,
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
async fn torture(kills: u16, control: Option<Control>, seed: Option<u64>) -> Result<()> {
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    eprintln!("torture: --seed {seed}");
    let without_sync = matches!(control, Some(Control::Nofsync));
    let report = torture::torture(&torture::Options { kills: kills.into(), without_sync, seed }).await?;
    eprintln!("torture: {}", report.beside());
    println!("{report}");
    if report.is_good() {
        return Ok(());
    }
    let findings = report.findings().join("\n  ");
    bail!("this is not what it is to show\n  {findings}");
}

fn tools() -> Result<()> {
    let tools = Tools::with(&Program::ALL)?;
    for program in Program::ALL {
        eprintln!("{}", tools.path(program).display());
    }
    Ok(())
}

async fn up(with_operator: bool) -> Result<()> {
    Sandbox::up(with_operator).await?;
    eprintln!("up; in a shell: eval \"$(make -s env)\"");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a shell evaluates what is printed")]
async fn env() -> Result<()> {
    let sandbox = Sandbox::find().await?.context("nothing is up: run `make up` first")?;
    print!("{}", sandbox.exports());
    Ok(())
}

async fn down() -> Result<()> {
    let was_up = Sandbox::down().await?;
    eprintln!("{}", if was_up { "down" } else { "nothing was up" });
    Ok(())
}
