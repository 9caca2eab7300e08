//! Runs a command to its end.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// Runs `command` with `input` on its standard input and returns what it printed.
///
/// # Errors
/// When it cannot be started or fails; with its arguments and what it wrote to standard error.
pub async fn output(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let line = command_line(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {line}"))?;
    let mut stdin = child.stdin.take().context("its standard input")?;
    let feed = async move {
        stdin.write_all(input).await.ok(); // a program that ended early says itself why
    };
    let (_, ended) = tokio::join!(feed, child.wait_with_output());
    let ended = ended?;
    if !ended.status.success() {
        bail!("{line} failed ({}): {}", ended.status, String::from_utf8_lossy(&ended.stderr).trim());
    }
    Ok(ended.stdout)
}

fn command_line(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
