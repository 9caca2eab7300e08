//! The command line.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use credsmith::{
    app,
    config::{Config, Settings},
    error::Error,
    keys, reference, telemetry,
};

/// A Kubernetes operator that creates, keeps, rotates and hands out credentials.
#[derive(Debug, Parser)]
#[command(name = "credsmith", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator and the HTTPS front
    Run(Box<Settings>),
    /// Print the custom resource definitions as YAML
    Crds,
    /// Make, list and change master keys
    #[command(subcommand, arg_required_else_help = true)]
    Keys(keys::Command),
    /// Print the version
    Version,
}

pub fn main() -> ExitCode {
    telemetry::log_panics();
    let line = reference::with_defaults(Arguments::command()).get_matches();
    let arguments = Arguments::from_arg_matches(&line).unwrap_or_else(|error| error.exit());
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Run(settings) => app::block_on(app::run(Config::load(*settings)?)),
        Command::Crds => print(&app::crds()),
        Command::Keys(keys::Command::New { out }) => match keys::new(out.as_deref())? {
            Some(key) => print(&format!("{}\n", key.expose())),
            None => Ok(()),
        },
        Command::Keys(keys::Command::List(settings)) => {
            let config = Config::load(*settings)?;
            let store = config.store.clone();
            let listing = app::block_on(app::list_keys(config))?;
            print(&listing.text)?;
            listing.verdict(&store)
        }
        Command::Keys(keys::Command::Rewrap(settings)) => {
            print(&app::block_on(app::rewrap_keys(Config::load(*settings)?))?)
        }
        Command::Version => print(&format!("credsmith {}\n", app::VERSION)),
    }
}

fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()), // the reader has seen enough
        written => written.map_err(|error| Error::failure("standard output", error, "give it a place to write to")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn bad_usage_ends_with_2() {
        for line in ["credsmith", "credsmith fly", "credsmith run --workers many", "credsmith keys list --lsten x"] {
            assert_eq!(Arguments::try_parse_from(line.split(' ')).unwrap_err().exit_code(), 2, "{line}");
        }
        let Command::Run(settings) = Arguments::parse_from(["credsmith", "run", "--listen", "x"]).command else {
            panic!("it says run");
        };
        assert_eq!(Config::load(*settings).unwrap_err().exit_code(), ExitCode::from(2));
    }
}
