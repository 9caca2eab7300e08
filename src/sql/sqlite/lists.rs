//! Lists of any length, as streams.
//!
//! A list is the state at one moment: the numbers of its rows (16 bytes each) are gathered in one statement, and the
//! rows are fetched a page at a time as the reader asks. Nothing is open between two pages, so a reader that falls
//! asleep holds neither a connection nor the log of the database, and one that goes away stops the work.
//!
//! Why not one statement read to its end? It would keep its snapshot while the slowest client reads, and the log cannot
//! be cut before the last snapshot goes.

use std::{
    sync::{Arc, Mutex},
    vec::IntoIter,
};

use credsmith_core::{
    domain::name::Pattern,
    store::{CredentialRow, Error, Found},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    fault::Fault,
    queries::{all, one},
    readers::Readers,
    rows::{self, Columns},
};

/// Credentials with at least one version whose name fits, most recently written first.
pub fn find(readers: Arc<Readers>, pattern: Pattern) -> BoxStream<'static, Result<Found, Error>> {
    let gather = move |db: &Connection| {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let mut found: Vec<(i64, i64)> = match &pattern {
            Pattern::Below(prefix) => all(db, FIND_BELOW, (prefix, past(prefix)), read)?,
            Pattern::Containing(text) => all(db, FIND_CONTAINING, [text], read)?,
        };
        found.sort_unstable_by(|a, b| b.cmp(a));
        Ok(found)
    };
    // A name never changes, so that with the time from the gathering this is the state at that moment.
    paged(readers, gather, |db, &(ms, row)| named(db, row, ms, None))
}

/// Of these, the ones whose newest version expires at that time or before.
pub fn expiring(readers: Arc<Readers>, pattern: Pattern, until: Timestamp) -> BoxStream<'static, Result<Found, Error>> {
    let gather = move |db: &Connection| {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let until = until.as_millisecond();
        let found: Vec<(i64, i64, i64)> = match &pattern {
            Pattern::Below(prefix) => all(db, EXPIRING_BELOW, (until, prefix, past(prefix)), read)?,
            Pattern::Containing(text) => all(db, EXPIRING_CONTAINING, (until, text), read)?,
        };
        Ok(found)
    };
    paged(readers, gather, |db, &(ms, row, expires)| named(db, row, ms, Some(expires)))
}

fn named(db: &Connection, row: i64, ms: i64, expires: Option<i64>) -> Result<Option<Found>, Fault> {
    one(db, NAME, [row], |row| {
        let mut columns = Columns::new(row, "credential");
        let _ = columns.optional_blob("id")?;
        let name = columns.name()?;
        let at = Timestamp::from_millisecond(ms).map_err(|_| columns.damaged("newest_ms is out of range"))?;
        let expires = expires.map(Timestamp::from_millisecond).transpose();
        let expires = expires.map_err(|_| columns.damaged("expires_ms of the newest version is out of range"))?;
        Ok(Found { name, at, expires })
    })
}

/// Every credential that a live `Credential` has.
pub fn owned(readers: Arc<Readers>) -> BoxStream<'static, Result<CredentialRow, Error>> {
    let gather = |db: &Connection| all(db, OWNED, [], |row| Ok(row.get::<_, i64>(0)?));
    paged(readers, gather, |db, row| one(db, OWNED_ROW, [row], |row| Ok(rows::credential(row)?)))
}

/// Streams what `fetch` finds for each key that `gather` found. A key without a row is left out.
pub fn paged<K, T>(
    readers: Arc<Readers>,
    gather: impl FnOnce(&Connection) -> Result<Vec<K>, Fault> + Send + 'static,
    fetch: impl Fn(&Connection, &K) -> Result<Option<T>, Fault> + Copy + Send + 'static,
) -> BoxStream<'static, Result<T, Error>>
where
    K: Send + 'static,
    T: Send + 'static,
{
    let pages = stream::unfold(Next::Gather(gather), move |next| {
        let readers = Arc::clone(&readers);
        async move {
            if let Next::End = next {
                return None;
            }
            let (stop, running) = stoppable();
            let work = move || readers.with(|db| running.during(db, || page(db, next, fetch)));
            let page = tokio::task::spawn_blocking(work).await;
            drop(stop);
            Some(page.unwrap_or_else(|_| (vec![Err(Error::Unavailable("a list broke off".to_owned()))], Next::End)))
        }
    });
    pages.flat_map(stream::iter).boxed()
}

/// Where a list stands.
enum Next<G, K> {
    Gather(G),
    Fetch(IntoIter<K>),
    End,
}

fn page<K, T, G>(
    db: &Connection,
    next: Next<G, K>,
    fetch: impl Fn(&Connection, &K) -> Result<Option<T>, Fault>,
) -> (Vec<Result<T, Error>>, Next<G, K>)
where
    G: FnOnce(&Connection) -> Result<Vec<K>, Fault>,
{
    let mut keys = match next {
        Next::Gather(gather) => match gather(db) {
            Ok(keys) => keys.into_iter(),
            Err(fault) => return (vec![Err(fault.at("credential", "of a list"))], Next::End),
        },
        Next::Fetch(keys) => keys,
        Next::End => return (Vec::new(), Next::End),
    };
    let fetched = keys.by_ref().take(PAGE).filter_map(|key| fetch(db, &key).transpose());
    let page = fetched.map(|row| row.map_err(|fault| fault.at("credential", "of a list"))).collect();
    (page, if keys.len() == 0 { Next::End } else { Next::Fetch(keys) })
}

/// Two ends of one question: dropping the first interrupts what runs at the second.
fn stoppable() -> (Stop, Running) {
    let question = Arc::new(Mutex::new(Question::Waits));
    (Stop(Arc::clone(&question)), Running(question))
}

struct Stop(Arc<Mutex<Question>>);
struct Running(Arc<Mutex<Question>>);

enum Question {
    Waits,
    /// What interrupts it.
    Runs(Box<dyn FnOnce() + Send>),
    Over,
}

impl Drop for Stop {
    fn drop(&mut self) {
        let mut question = self.0.lock().expect(UNPOISONED);
        if let Question::Runs(interrupt) = std::mem::replace(&mut *question, Question::Over) {
            interrupt(); // under the lock: without it the connection may be another's by now
        }
    }
}

impl Running {
    /// Asks, unless nobody wants to know any more.
    fn during<T, K, G>(&self, db: &Connection, ask: impl FnOnce() -> (Vec<T>, Next<G, K>)) -> (Vec<T>, Next<G, K>) {
        {
            let mut question = self.0.lock().expect(UNPOISONED);
            match *question {
                Question::Over => return (Vec::new(), Next::End),
                _ => {
                    let handle = db.get_interrupt_handle();
                    *question = Question::Runs(Box::new(move || handle.interrupt()));
                }
            }
        }
        let answer = ask();
        // From here on the connection is another's: an interrupt must not hit that one.
        *self.0.lock().expect(UNPOISONED) = Question::Over;
        answer
    }
}

/// The first text after all that begin with `prefix`: names are ASCII without control characters.
fn past(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

/// By the index of what expires, so that it takes as long as there is to tell.
macro_rules! expiring {
    () => {
        "SELECT c.newest_ms, c.row, v.expires_ms FROM version v INDEXED BY version_expires \
         CROSS JOIN credential c ON c.row = v.credential AND c.newest = v.id \
         WHERE v.expires_ms <= ?1 AND c.tombstoned_ms IS NULL AND "
    };
}

pub const FIND_BELOW: &str = "SELECT newest_ms, row FROM credential \
     WHERE folded >= ?1 AND folded < ?2 AND tombstoned_ms IS NULL AND newest_ms IS NOT NULL";
/// Through the index: it holds the names alone, and the table is read for hits only.
pub const FIND_CONTAINING: &str = "SELECT newest_ms, row FROM credential INDEXED BY credential_name \
     WHERE instr(folded, ?1) > 0 AND tombstoned_ms IS NULL AND newest_ms IS NOT NULL";
pub const EXPIRING_BELOW: &str = concat!(expiring!(), "c.folded >= ?2 AND c.folded < ?3");
pub const EXPIRING_CONTAINING: &str = concat!(expiring!(), "instr(c.folded, ?2) > 0");
pub const OWNED: &str = "SELECT row FROM credential WHERE owner_object IS NOT NULL AND tombstoned_ms IS NULL";
const NAME: &str = "SELECT row, id, name, folded FROM credential WHERE row = ?1";
const OWNED_ROW: &str = concat!(
    "SELECT ",
    credential_columns!(),
    " FROM credential c WHERE c.row = ?1 AND c.owner_object IS NOT NULL AND c.tombstoned_ms IS NULL"
);
/// Rows fetched at once: with names of ordinary length a few dozen kilobytes.
const PAGE: usize = 256;
const UNPOISONED: &str = "nobody panics with the question in hand";

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A question that ends gives its connection back once it has the lock: an interrupt that holds it comes before.
    #[test]
    fn an_interrupt_cannot_come_after_the_connection_was_given_back() {
        let (stop, running) = stoppable();
        let in_time = Arc::new(AtomicBool::new(false));
        let (question, noted) = (Arc::clone(&running.0), Arc::clone(&in_time));
        let interrupt = move || noted.store(question.try_lock().is_err(), Ordering::Relaxed);
        *running.0.lock().unwrap() = Question::Runs(Box::new(interrupt));
        drop(stop);
        assert!(in_time.load(Ordering::Relaxed));
        assert!(matches!(*running.0.lock().unwrap(), Question::Over));
    }

    #[test]
    fn a_question_that_is_over_is_not_interrupted() {
        let (stop, running) = stoppable();
        let db = Connection::open_in_memory().unwrap();
        let ask = |db: &Connection| running.during(db, || (vec![1], Next::<fn(), ()>::End)).0;
        assert_eq!(ask(&db), [1]);
        drop(stop);
        assert!(ask(&db).is_empty(), "nobody wants to know any more");
    }
}
