//! The harness's end of the pipes of a probed operator (`src/server/probe.rs`): what it tells, and whom it is to hold.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::unix::pipe,
    sync::watch,
    task::JoinHandle,
};

/// The pipes of one life of a process, from its start to its kill.
#[derive(Debug)]
pub struct Points {
    told: watch::Receiver<Told>,
    /// Our end of what the process writes to, for a mark of our own.
    mark: File,
    orders: File,
    reader: JoinHandle<()>,
}

/// What was told so far.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// How many points.
    pub points: usize,
    /// Steps with a name that were done and whose transaction is not committed.
    pub open: usize,
    /// Their names.
    pub stepping: HashSet<String>,
    /// Names that were committed since the status of an object of that name was written.
    pub unwritten: HashSet<String>,
    /// Objects whose status was about to be written, and is not.
    pub writing: HashSet<String>,
    /// Somebody was told to stay, and does.
    pub held: bool,
    marked: bool,
}

impl Points {
    /// The environment of a process whose pipes are in `directory`.
    pub fn env(directory: &Path) -> (String, String) {
        ("CREDSMITH_PROBE".into(), directory.display().to_string())
    }

    /// Lays fresh pipes for the next life of a process: what the one before left unread is nobody's.
    pub fn lay(directory: &Path) -> Result<Self> {
        let pipe = |name: &str| -> Result<PathBuf> {
            let path = directory.join(name);
            fs::remove_file(&path).ok();
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
            Ok(path)
        };
        let (points, orders) = (pipe("points")?, pipe("orders")?);
        let both_ways = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        let (mark, orders) = (both_ways(&points)?, both_ways(&orders)?);
        let lines = pipe::OpenOptions::new().open_receiver(&points).context("the pipe of points")?;
        let (tell, told) = watch::channel(Told::default());
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(lines).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tell.send_modify(|told| told.take(&line));
            }
        });
        Ok(Self { told, mark, orders, reader })
    }

    /// Whoever reaches `point` as the `turn`th from now on is to stay there.
    pub fn hold(&mut self, point: &str, turn: usize) -> Result<()> {
        Ok(writeln!(self.orders, "hold {point} {turn}")?)
    }

    /// Waits until `enough` says so of what was told; false when `patience` is over.
    pub async fn until(&mut self, patience: Duration, enough: impl FnMut(&Told) -> bool) -> bool {
        tokio::time::timeout(patience, self.told.wait_for(enough)).await.is_ok_and(|told| told.is_ok())
    }

    /// How many points were told.
    pub fn count(&self) -> usize {
        self.told.borrow().points
    }

    /// Everything that a process told before it was killed: a pipe keeps its order, so what is before a mark of ours is all.
    pub async fn last_words(mut self) -> Result<Told> {
        writeln!(self.mark, "mark")?;
        let told = self.told.wait_for(|told| told.marked).await.context("the pipe of points broke")?;
        Ok(told.clone())
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Told {
    /// The names of which a step is open, or committed and not told, or about to be told.
    pub fn at_work(&self) -> impl Iterator<Item = &String> {
        self.stepping.iter().chain(&self.unwritten).chain(&self.writing)
    }

    fn take(&mut self, line: &str) {
        let (point, what) = line.split_once(' ').unwrap_or((line, ""));
        self.points += 1;
        match point {
            "store.open" => {
                self.open += usize::from(!what.is_empty());
                self.stepping.extend(names(what));
            }
            "store.committed" => {
                self.open = 0;
                self.stepping.clear();
                self.unwritten.extend(names(what));
            }
            "store.lost" => {
                self.open = 0;
                self.stepping.clear();
            }
            "status.before" => _ = self.writing.insert(what.to_owned()),
            "status.after" => {
                self.unwritten.remove(what);
                self.writing.remove(what);
            }
            "held" => self.held = true,
            "mark" => self.marked = true,
            _ => {}
        }
    }
}

fn names(what: &str) -> impl Iterator<Item = String> {
    what.split(' ').filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_words_say_where_a_process_was() -> Result<()> {
        let here = tempfile::tempdir()?;
        let mut points = Points::lay(here.path())?;
        let mut process = OpenOptions::new().write(true).open(here.path().join("points"))?;
        process.write_all(b"store.open /a\nstore.open \nstore.committed /a\nstatus.before /a\nstore.open /b\n")?;
        points.hold("status.after", 1)?;
        assert!(points.until(Duration::from_secs(5), |told| told.points == 5).await);
        process.write_all(b"held\n")?;
        let told = points.last_words().await?;
        assert_eq!((told.open, told.held), (1, true));
        assert!(told.unwritten.contains("/a") && told.writing.contains("/a"));
        Ok(())
    }
}
