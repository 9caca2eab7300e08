//! The store's write step and its look-up, against bare SQLite with the same schema, the same rows and the same syncs.
//!
//! The floor of the write puts the three rows of a step (credential, version, audit line) into one transaction with its
//! neighbours, as many as there are writers, and checks nothing. The floor of the look-up is one prepared statement.

mod measure;

use std::{
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use credsmith_core::{
    domain::ids::DataKeyId,
    keyring::Sealed,
    store::{PutVersion, Store, conformance},
    world::SystemEntropy,
};
use measure::Ratio;
use rusqlite::Connection;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let busy = measure::busy();
    let runtime = Runtime::new().expect("threads can be started");
    let directory = tempfile::tempdir().expect("a directory for the databases");
    let path = directory.path().join("store.db");
    let store = credsmith_sql::open(&format!("sqlite://{}", path.display())).expect("a new store opens");
    let floor = Floor::open(&directory.path().join("floor.db"));
    let names = AtomicUsize::new(0);

    let mut ratios = Vec::new();
    for (writers, count, bar) in [(1, 500, 0.5), (8, 4_000, 0.5), (32, 16_000, 0.5)] {
        ratios.push(Ratio::measure(
            format!("write, {writers} at a time"),
            bar,
            || floor.write(writers, &fresh(&names, count)),
            || runtime.block_on(write(&store, writers, fresh(&names, count))),
        ));
    }
    let there = names.load(Ordering::Relaxed);
    ratios.push(Ratio::measure(
        "newest version by name",
        0.2,
        || floor.read(there),
        || runtime.block_on(read(&store, there)),
    ));
    measure::report("store", busy, &ratios)
}

/// Versions of 300 bytes under names that nobody has.
fn fresh(names: &AtomicUsize, count: usize) -> Vec<PutVersion> {
    let first = names.fetch_add(count, Ordering::Relaxed);
    let key = DataKeyId::new(&SystemEntropy);
    let sealed = [&[1], key.as_bytes().as_slice(), &[7; 283]].concat();
    let put = |number| PutVersion { sealed: Sealed::from_stored(sealed.clone()), ..conformance::put(&path_of(number)) };
    (first..first + count).map(put).collect()
}

fn path_of(number: usize) -> String {
    format!("/team-{}/app/credential-{number}", number % 1000)
}

async fn write(store: &Arc<dyn Store>, writers: usize, puts: Vec<PutVersion>) -> (usize, Duration) {
    let count = puts.len();
    let started = Instant::now();
    let shares = puts.chunks(count.div_ceil(writers)).map(<[PutVersion]>::to_vec).collect::<Vec<_>>();
    let tasks = shares.into_iter().map(|share| {
        let store = store.clone();
        tokio::spawn(async move {
            for put in share {
                store.put_version(put).await.expect("the name is free");
            }
        })
    });
    for done in futures::future::join_all(tasks).await {
        done.expect("no writer panics");
    }
    (count, started.elapsed())
}

async fn read(store: &Arc<dyn Store>, there: usize) -> (usize, Duration) {
    let started = Instant::now();
    let mut found = 0;
    for number in sample(there) {
        let name = path_of(number).parse().expect("a valid name");
        found += store.versions(&name, Some(1)).await.expect("the store answers").len();
    }
    (found, started.elapsed())
}

/// Names all over the table, the same in each round. Floor and store share the numbers: each has half of them.
fn sample(there: usize) -> impl Iterator<Item = usize> {
    (0..READS).map(move |at| (at * 7919) % there)
}

/// SQLite without us.
struct Floor(Connection);

impl Floor {
    /// The schema is the store's own: made by opening one there.
    fn open(path: &Path) -> Self {
        drop(credsmith_sql::open(&format!("sqlite://{}", path.display())).expect("a new store opens"));
        let db = Connection::open(path).expect("the file is there");
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;")
            .expect("SQLite knows these");
        Self(db)
    }

    fn write(&self, together: usize, puts: &[PutVersion]) -> (usize, Duration) {
        let started = Instant::now();
        for group in puts.chunks(together) {
            self.0.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
            for put in group {
                self.insert(put).expect("the name is free");
            }
            self.0.execute_batch("COMMIT").expect("there is room");
        }
        (puts.len(), started.elapsed())
    }

    fn insert(&self, put: &PutVersion) -> rusqlite::Result<()> {
        let at = put.stamp.at.as_millisecond();
        self.0.prepare_cached(CREDENTIAL)?.execute((
            put.credential.as_bytes(),
            put.name.as_str(),
            put.name.folded(),
            put.kind.as_str(),
            at,
            put.version.as_bytes(),
            put.stamp.actor.as_str(),
        ))?;
        let credential = self.0.last_insert_rowid();
        let key = put.sealed.data_key();
        self.0.prepare_cached(VERSION)?.execute((
            put.version.as_bytes(),
            credential,
            at,
            put.reason.as_str(),
            put.stamp.actor.as_str(),
            key.as_bytes(),
            put.sealed.as_bytes(),
        ))?;
        let line = &put.audit;
        self.0.prepare_cached(AUDIT)?.execute((
            at,
            line.actor.as_str(),
            line.action,
            &line.resource,
            &line.details,
            [0_u8; 32],
        ))?;
        Ok(())
    }

    fn read(&self, there: usize) -> (usize, Duration) {
        let started = Instant::now();
        let mut found = 0;
        for number in sample(there) {
            let mut statement = self.0.prepare_cached(NEWEST).expect("the schema is ours");
            let mut rows = statement.query([path_of(number)]).expect("one parameter");
            if let Some(row) = rows.next().expect("the file can be read") {
                let sealed: Vec<u8> = row.get(0).expect("a blob");
                found += usize::from(!sealed.is_empty());
            }
        }
        (found, started.elapsed())
    }
}

const READS: usize = 20_000;
const CREDENTIAL: &str = "INSERT INTO credential (id, name, folded, kind, created_ms, newest, newest_number, newest_ms, \
                          newest_actor, versions) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?5, ?7, 1)";
const VERSION: &str = "INSERT INTO version (id, credential, number, created_ms, state, reason, actor, data_key, sealed) \
                       VALUES (?1, ?2, 1, ?3, 'live', ?4, ?5, ?6, ?7)";
const AUDIT: &str = "INSERT INTO audit (chain, sequence, at_ms, actor, action, resource, details, hash) \
                     VALUES ('floor', 1, ?1, ?2, ?3, ?4, ?5, ?6)";
const NEWEST: &str = "SELECT version.sealed FROM credential JOIN version ON version.id = credential.newest \
                      WHERE credential.folded = ?1 AND credential.tombstoned_ms IS NULL";
