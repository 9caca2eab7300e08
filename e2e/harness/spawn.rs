//! Starting a process that ends with its owner, or one that outlives it.
//!
//! What ends with its owner is started by `setpriv --pdeathsig KILL` of util-linux: the kernel then kills it however the owner
//! ends, SIGKILL included. Why not `prctl` before the exec? That needs unsafe code. Why not a supervisor of our own that watches
//! a pipe? It would be a second process for each component, and the pid at hand would be the supervisor's.

use std::{
    fs::OpenOptions,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
};

use anyhow::{Context, Result};

use crate::process::{Lifetime, Program};

/// Starts a program, with its output appended to its log.
pub(crate) fn spawn(program: &Program) -> Result<Child> {
    let log = OpenOptions::new().append(true).create(true).open(&program.log)?;
    let mut command = match program.lifetime {
        Lifetime::Owner => Command::new("setpriv"),
        Lifetime::Detached => Command::new("setsid"),
    };
    if program.lifetime == Lifetime::Owner {
        // A group of its own: an interrupt at the terminal reaches the owner alone, whose end then ends this one.
        command.args(["--pdeathsig", "KILL"]).process_group(0);
    }
    command
        .args(&program.argv)
        .env_clear()
        .envs(&program.env)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    if let (Some(path), false) = (std::env::var_os("PATH"), program.env.contains_key("PATH")) {
        command.env("PATH", path);
    }
    let child = match program.lifetime {
        Lifetime::Owner => spawn_from_a_lasting_thread(command),
        Lifetime::Detached => command.spawn(),
    };
    child.context("setpriv and setsid come with util-linux: install that package")
}

/// The signal at the parent's death is one at the death of the *thread* that spawned. The threads of a test end with the test.
fn spawn_from_a_lasting_thread(command: Command) -> std::io::Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for (mut command, answer) in orders {
                    answer.send(command.spawn()).ok();
                }
            })
            .expect("a thread can be started");
        sender
    });
    let (answer, answered) = mpsc::channel();
    spawner.send((command, answer)).expect("the spawner never ends");
    answered.recv().expect("the spawner answers each order")
}
