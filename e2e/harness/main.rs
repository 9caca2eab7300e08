//! The command line of the harness: what `make up`, `make env` and `make down` call.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use credsmith_harness::{
    demo::demo,
    sandbox::Sandbox,
    tools::{Program, Tools},
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
        Command::Down => down().await,
    }
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
