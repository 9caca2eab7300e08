//! One thread writes. It takes what waits, commits it in one transaction, answers, and takes what has come meanwhile.
//!
//! A commit costs a sync of the disk, whatever the number of steps in it; so all who wait share one. There is no timer:
//! a single writer never waits for company, and a crowd finds itself together because the sync before took its time.
//!
//! Why not a pool of connections? SQLite has one writer at a time anyway, and a connection that waits for the lock of
//! another spends more than the write costs.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

use credsmith_core::{
    probe::{self, Point},
    store::{Change, Error},
};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{broadcast, oneshot};

use super::{
    chain::Chain,
    connection::Site,
    fault::{self, Fault},
    steps::Step,
};

/// Hands steps to the thread that writes. Dropped, it lets the thread finish what waits.
pub struct Writer {
    queue: Option<Sender<Box<dyn Item>>>,
    thread: Option<JoinHandle<()>>,
    health: Arc<Health>,
}

/// How writing goes, for whoever asks whether the store is ready.
#[derive(Debug, Default)]
pub struct Health {
    /// Why the newest group failed.
    failure: Mutex<Option<String>>,
    #[cfg(test)]
    pub commits: std::sync::atomic::AtomicU64,
}

impl Writer {
    pub fn start(
        site: Site,
        db: Connection,
        chain: Chain,
        changes: broadcast::Sender<Change>,
    ) -> std::io::Result<Self> {
        let (queue, items) = mpsc::channel();
        let health = Arc::new(Health::default());
        let thread = Thread { site, db: Some(db), chain, changes, health: Arc::clone(&health) };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || thread.run(&items))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), health })
    }

    /// Runs a step and answers when it is on disk. `id` names the row of `table` that an error is about.
    ///
    /// The step may happen although nobody waits for the answer any more; one that has not begun by then does not.
    pub async fn write<T: Send + 'static>(
        &self,
        table: &'static str,
        id: impl ToString,
        work: impl FnOnce(&mut Step<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let id = id.to_string();
        let (to, answer) = oneshot::channel();
        let work = move |step: &mut Step<'_>| work(step).map_err(|fault| fault.at(table, id));
        let item = Box::new(Waiting { work: Some(work), outcome: None, to });
        self.queue.as_ref().and_then(|queue| queue.send(item).ok()).ok_or_else(stopped)?;
        answer.await.map_err(|_| stopped())?
    }

    /// Why the newest group could not be written; `None` where all is well.
    pub fn failure(&self) -> Option<String> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Some(STOPPED.to_owned());
        }
        self.health.failure.lock().expect(UNPOISONED).clone()
    }

    #[cfg(test)]
    pub fn health(&self) -> &Health {
        &self.health
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None; // the thread ends when it has taken all that waits
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was told by then
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("health", &self.health).finish_non_exhaustive()
    }
}

/// What the thread has in hand.
struct Thread {
    site: Site,
    /// `None` after a failure that the connection may not have survived.
    db: Option<Connection>,
    chain: Chain,
    changes: broadcast::Sender<Change>,
    health: Arc<Health>,
}

impl Thread {
    fn run(mut self, items: &Receiver<Box<dyn Item>>) {
        while let Ok(first) = items.recv() {
            let waiting = std::iter::once(first).chain(items.try_iter()).take(GROUP);
            let group: Vec<_> = waiting.filter(|item| item.is_awaited()).collect();
            if !group.is_empty() {
                self.write(group);
            }
        }
    }

    /// Writes a group and answers all of it. Nothing is told of a group that failed: neither its names, nor refusals,
    /// since what refused may have been a neighbour that is gone with it.
    fn write(&mut self, mut group: Vec<Box<dyn Item>>) {
        let _noted = NotesPanic(Arc::clone(&self.health)); // goes before the group, whose end is an answer
        let mut changed = Vec::new();
        let outcome = self.commit(&mut group, &mut changed);
        self.note(&outcome, group.len());
        probe::reached(if outcome.is_ok() { Point::Committed } else { Point::Lost }, || spelled(&changed));
        if outcome.is_ok() {
            for change in changed {
                let _ = self.changes.send(change); // nobody listening is fine
            }
        } else {
            self.chain.rewind(None);
        }
        for item in group {
            item.answer(outcome.as_ref().err());
        }
        if let (Ok(()), Some(db)) = (outcome, &self.db) {
            self.site.checkpoint(db); // after the answers, so that nobody waits for it
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Item>], changed: &mut Vec<Change>) -> Result<(), String> {
        let db = self.begin()?;
        let done = in_transaction(&db, &mut self.chain, group, changed);
        #[cfg(test)]
        self.health.commits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if done.is_ok() || db.is_autocommit() || run(&db, "ROLLBACK").is_ok() {
            self.db = Some(db);
        }
        done
    }

    /// A connection within a transaction, opened anew where the old one is of no use any more.
    fn begin(&mut self) -> Result<Connection, String> {
        if let Some(db) = self.db.take() {
            match run(&db, "BEGIN IMMEDIATE") {
                Ok(()) => return Ok(db),
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    self.db = Some(db);
                    return Err(fault::cause(&error));
                }
                Err(error) => tracing::warn!(%error, "the store's connection is opened anew"),
            }
        }
        let db = self.site.reopen()?;
        run(&db, "BEGIN IMMEDIATE").map_err(|error| fault::cause(&error))?;
        Ok(db)
    }

    fn note(&self, outcome: &Result<(), String>, steps: usize) {
        let mut failure = self.health.failure.lock().expect(UNPOISONED);
        match outcome {
            Ok(()) => {
                if failure.take().is_some() {
                    tracing::info!("the store can be written again");
                }
            }
            Err(why) => {
                if failure.as_ref() != Some(why) {
                    tracing::error!(why, steps, "the store cannot be written");
                }
                *failure = Some(why.clone());
            }
        }
    }
}

/// Says that writing has ended before anybody who waits is let go: the thread itself takes a moment longer to end.
struct NotesPanic(Arc<Health>);

impl Drop for NotesPanic {
    fn drop(&mut self) {
        if thread::panicking()
            && let Ok(mut failure) = self.0.failure.lock()
        {
            *failure = Some(STOPPED.to_owned());
        }
    }
}

/// Runs each item in a savepoint and commits. `Err` says why the whole group is lost.
fn in_transaction(
    db: &Connection,
    chain: &mut Chain,
    group: &mut [Box<dyn Item>],
    changed: &mut Vec<Change>,
) -> Result<(), String> {
    let told = |error: rusqlite::Error| fault::cause(&error);
    for item in group {
        let (end, names) = (chain.end(), changed.len());
        run(db, "SAVEPOINT step").map_err(told)?;
        if let Err(why) = item.run(&mut Step { db, chain, changed }) {
            if db.is_autocommit() {
                return Err(why); // SQLite has undone the whole transaction: the disk is full, or it fails
            }
            run(db, "ROLLBACK TO step").map_err(told)?;
            chain.rewind(end);
            changed.truncate(names);
        }
        probe::reached(Point::StepOpen, || spelled(&changed[names..]));
        run(db, "RELEASE step").map_err(told)?;
    }
    run(db, "COMMIT").map_err(told)
}

/// Names as the probe tells them.
fn spelled(changed: &[Change]) -> String {
    changed.iter().map(|change| change.name.as_str()).collect::<Vec<_>>().join(" ")
}

fn run(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// A step that somebody waits for, whatever it answers with.
trait Item: Send {
    /// Whether anybody still waits.
    fn is_awaited(&self) -> bool;
    /// Runs the step and keeps its outcome. `Err` says why it is to be undone.
    fn run(&mut self, step: &mut Step<'_>) -> Result<(), String>;
    /// Hands the outcome over, or why the group was lost.
    fn answer(self: Box<Self>, lost: Option<&String>);
}

struct Waiting<T, W> {
    work: Option<W>,
    outcome: Option<Result<T, Error>>,
    to: oneshot::Sender<Result<T, Error>>,
}

impl<T, W> Item for Waiting<T, W>
where
    T: Send,
    W: FnOnce(&mut Step<'_>) -> Result<T, Error> + Send,
{
    fn is_awaited(&self) -> bool {
        !self.to.is_closed()
    }

    fn run(&mut self, step: &mut Step<'_>) -> Result<(), String> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let outcome = work(step);
        let undo = outcome.as_ref().err().map(|error| match error {
            Error::Unavailable(why) => why.clone(),
            refusal => refusal.to_string(),
        });
        self.outcome = Some(outcome);
        undo.map_or(Ok(()), Err)
    }

    fn answer(self: Box<Self>, lost: Option<&String>) {
        let answer = match (lost, self.outcome) {
            (Some(why), _) => Err(Error::Unavailable(why.clone())),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(stopped()),
        };
        let _ = self.to.send(answer); // whoever asked may be gone
    }
}

fn stopped() -> Error {
    Error::Unavailable(STOPPED.to_owned())
}

/// How many steps share a commit at most: enough to pay for the sync, few enough that the first is answered soon.
const GROUP: usize = 256;
const STOPPED: &str = "its writer has stopped; start the process again";
const UNPOISONED: &str = "nobody panics with the failure in hand";
