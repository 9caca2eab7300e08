//! Connections that read.

use std::{
    fmt,
    sync::{Condvar, Mutex},
};

use rusqlite::Connection;

use super::connection::Site;

/// A few read-only connections, each used by one caller at a time.
///
/// Point look-ups run in place, on the thread that asks: one costs 3 to 20 microseconds, and handing it to
/// another thread and back costs more than that. What may take longer (lists, whole histories) runs on threads
/// that may block, with connections of its own, so that it never makes a look-up wait.
pub struct Readers {
    free: Mutex<Free>,
    returned: Condvar,
}

struct Free {
    connections: Vec<Connection>,
    /// How many wait for one: to wake nobody is a system call all the same.
    waiting: usize,
}

impl Readers {
    pub fn open(site: &Site, number: usize) -> rusqlite::Result<Self> {
        let connections = (0..number).map(|_| site.reader()).collect::<Result<_, _>>()?;
        Ok(Self { free: Mutex::new(Free { connections, waiting: 0 }), returned: Condvar::new() })
    }

    /// Lends a connection, waiting for one where all are in use.
    pub fn with<T>(&self, ask: impl FnOnce(&Connection) -> T) -> T {
        let lent = Lent { db: Some(self.take()), readers: self };
        ask(lent.db.as_ref().expect("it goes back at the end"))
    }

    fn take(&self) -> Connection {
        let mut free = self.free.lock().expect(UNPOISONED);
        loop {
            if let Some(db) = free.connections.pop() {
                return db;
            }
            free.waiting += 1;
            free = self.returned.wait(free).expect(UNPOISONED);
            free.waiting -= 1;
        }
    }
}

/// Gives the connection back, also when the question panics.
struct Lent<'a> {
    db: Option<Connection>,
    readers: &'a Readers,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let (Some(db), Ok(mut free)) = (self.db.take(), self.readers.free.lock()) {
            free.connections.push(db);
            if free.waiting > 0 {
                self.readers.returned.notify_one();
            }
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

const UNPOISONED: &str = "nobody panics with the list in hand";
