//! A program with fixed arguments that can be started, killed and started again, and whose end is certain.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Child,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::spawn::spawn;

/// When a program ends if nobody ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// With the process that started it, however that one ends.
    Owner,
    /// Not at all: it is no part of the terminal it was started from, and survives that.
    Detached,
}

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    /// A short name, for messages and file names.
    pub name: String,
    /// The program and its arguments, paths absolute.
    pub argv: Vec<String>,
    /// Its whole environment beside `PATH`: nothing is inherited, so that a developer's settings cannot change a test.
    pub env: BTreeMap<String, String>,
    /// Where its output is appended.
    pub log: PathBuf,
    /// When it ends.
    pub lifetime: Lifetime,
}

/// A [`Program`] that runs, or ran, or will run.
#[derive(Debug)]
pub struct Service {
    program: Program,
    /// `NAME.json`: the program and the process, for whoever comes later to end or to repeat it.
    record: PathBuf,
    running: Mutex<Option<Running>>,
}

impl Service {
    /// A service that does not run yet; `records` is the directory for its record.
    pub fn new(program: Program, records: &Path) -> Self {
        let record = records.join(format!("{}.json", program.name));
        Self { program, record, running: Mutex::new(None) }
    }

    /// The service `name` that an earlier process started, `None` when there is no record of it.
    pub fn recorded(records: &Path, name: &str) -> Result<Option<Self>> {
        let record = records.join(format!("{name}.json"));
        let Ok(text) = fs::read(&record) else { return Ok(None) };
        let known: Record =
            serde_json::from_slice(&text).with_context(|| format!("{} is damaged", record.display()))?;
        let running = Running { pid: known.pid, born: known.born, child: None };
        Ok(Some(Self { program: known.program, record, running: Mutex::new(Some(running)) }))
    }

    /// Starts it; a second start with the same arguments is what tests do after a kill. Does nothing while it runs.
    pub fn start(&self) -> Result<()> {
        let mut running = self.lock();
        if running.as_mut().is_some_and(Running::alive) {
            return Ok(());
        }
        let Program { name, log, .. } = &self.program;
        let child = spawn(&self.program).with_context(|| format!("cannot start {name}, log {}", log.display()))?;
        let pid = child.id();
        // A process that is gone already has no time of birth; 0 is nobody's.
        let born = born(pid).unwrap_or(0);
        let record = Record { program: self.program.clone(), pid, born };
        crate::state::write_private(&self.record, serde_json::to_vec_pretty(&record)?)?;
        *running = Some(Running { pid, born, child: Some(child) });
        Ok(())
    }

    /// True while it runs; a zombie does not.
    pub fn alive(&self) -> bool {
        self.lock().as_mut().is_some_and(Running::alive)
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_mut().and_then(|running| running.alive().then_some(running.pid))
    }

    /// Sends a signal. Does nothing when it is not running.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut running = self.lock();
        let Some(running) = running.as_mut() else { return Ok(()) };
        running.signal(signal).with_context(|| format!("sending a signal to {}", self.program.name))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it still runs after `deadline`.
    pub async fn gone(&self, deadline: Duration) -> Result<()> {
        let start = Instant::now();
        while self.alive() {
            if start.elapsed() > deadline {
                bail!(
                    "{} has not ended after {:.1} s; its log: {}",
                    self.name(),
                    deadline.as_secs_f32(),
                    self.log_tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// SIGKILL, and waits until it is gone: some 50 ms for the largest.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)?;
        let start = Instant::now();
        while self.alive() {
            if start.elapsed() > Duration::from_secs(10) {
                bail!("{} survives SIGKILL", self.name());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// True when its file was replaced since it was started, as a build does.
    pub fn is_outdated(&self) -> bool {
        let file = self.pid().and_then(|pid| fs::read_link(format!("/proc/{pid}/exe")).ok());
        file.is_some_and(|file| file.to_string_lossy().ends_with(" (deleted)"))
    }

    /// What it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its short name.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.program.log
    }

    /// The last lines of its log, for messages.
    pub fn log_tail(&self) -> String {
        log_tail(&self.program.log)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.program.lifetime == Lifetime::Owner {
            self.kill().ok();
        }
    }
}

/// Kills every process that has a record in a directory.
pub fn end_all(records: &Path) -> Result<()> {
    for entry in fs::read_dir(records).into_iter().flatten().flatten() {
        let file = entry.file_name();
        if let Some(name) = file.to_string_lossy().strip_suffix(".json")
            && let Some(service) = Service::recorded(records, name)?
        {
            service.kill()?;
        }
    }
    Ok(())
}

/// The last 20 lines of a file, indented below the name of the file.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n  ");
    format!("{}\n  {tail}", log.display())
}

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    program: Program,
    pid: u32,
    born: u64,
}

#[derive(Debug)]
struct Running {
    pid: u32,
    /// When the process started, in clock ticks since boot: a pid alone may have become somebody else's.
    born: u64,
    /// Where this process is its parent, and so has to ask for its end.
    child: Option<Child>,
}

impl Running {
    fn alive(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            return matches!(child.try_wait(), Ok(None));
        }
        born(self.pid) == Some(self.born)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("a process id")?;
        // Opened first and compared then: the descriptor stays with the process that was looked at.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if self.alive() {
            pidfd_send_signal(process, signal)?;
        }
        Ok(())
    }
}

/// When a process started, in clock ticks since boot; `None` for one that is gone or a zombie.
fn born(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name, is in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').collect();
    if matches!(*fields.first()?, "Z" | "X") { None } else { fields.get(19)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sleeper(dir: &Path, lifetime: Lifetime) -> Service {
        let argv = ["sleep", "1000"].map(String::from).to_vec();
        Service::new(
            Program { name: "sleeper".into(), argv, env: BTreeMap::new(), log: dir.join("log"), lifetime },
            dir,
        )
    }

    #[test]
    fn it_ends_when_its_owner_is_killed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut owner = Command::new(std::env::current_exe().expect("this test program"))
            .args(["--exact", "process::tests::an_owner_to_be_killed"])
            .env(OWNER_DIR, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("an owner");
        let start = Instant::now();
        let service = loop {
            assert!(start.elapsed() < Duration::from_secs(30), "the owner started nothing");
            match Service::recorded(dir.path(), "sleeper") {
                Ok(Some(service)) => break service,
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(service.alive());
        owner.kill().expect("kill the owner");
        let start = Instant::now();
        while service.alive() {
            assert!(start.elapsed() < Duration::from_secs(5), "it survived its owner");
            std::thread::sleep(Duration::from_millis(2));
        }
        owner.wait().expect("its end");
    }

    /// Not a test of its own: the owner in the test above.
    #[test]
    fn an_owner_to_be_killed() {
        let Some(dir) = std::env::var_os(OWNER_DIR) else { return };
        let dir = PathBuf::from(dir);
        // From a thread that ends at once, as a test's does.
        let service = std::thread::spawn(move || {
            let service = sleeper(&dir, Lifetime::Owner);
            service.start().expect("a start");
            service
        });
        let _service = service.join().expect("the thread");
        std::thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn a_detached_one_is_found_again_and_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = sleeper(dir.path(), Lifetime::Detached);
        first.start().expect("a start");
        let pid = first.pid();
        assert!(pid.is_some());
        drop(first);
        let found = Service::recorded(dir.path(), "sleeper").expect("a record").expect("of it");
        assert_eq!(found.pid(), pid);
        found.kill().expect("its end");
        assert!(!found.alive());
        found.start().expect("the same again");
        assert!(found.alive() && found.pid() != pid);
        found.kill().expect("its end");
    }

    const OWNER_DIR: &str = "HARNESS_TEST_OWNER_DIR";
}
