//! The audit trail of this process: one line with each step, each with the hash of the one before it.

use credsmith_core::store::{AuditLine, audit};
use rusqlite::Connection;

use super::fault::Fault;

/// Where the chain of this process stands.
#[derive(Clone, Debug)]
pub struct Chain {
    /// How often the store was opened, and the process that has it.
    name: String,
    /// `None` where the database has to be asked.
    end: Option<End>,
}

#[derive(Clone, Copy, Debug)]
pub struct End {
    sequence: i64,
    hash: [u8; 32],
}

impl Chain {
    /// Counts the opening, and names the chain after that and the pid.
    pub fn begin(db: &Connection) -> rusqlite::Result<Self> {
        let opened: i64 = db.query_row(OPEN, [], |row| row.get(0))?;
        Ok(Self { name: format!("{opened}-{}", std::process::id()), end: None })
    }

    /// Where the chain stands, to come back to when a step is undone.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Goes back, or asks the database again where there is nothing to go back to.
    pub fn rewind(&mut self, end: Option<End>) {
        self.end = end;
    }

    pub fn record(&mut self, db: &Connection, line: AuditLine) -> Result<(), Fault> {
        let before = match self.end {
            Some(end) => end,
            None => self.stored(db)?.unwrap_or(End { sequence: 0, hash: audit::START }),
        };
        let sequence = before.sequence + 1;
        let record = audit::Record::after(&before.hash, &self.name, sequence, line);
        let hash = record.hash;
        db.prepare_cached(ADD)?.execute((
            record.chain,
            sequence,
            record.at.as_millisecond(),
            record.actor.as_str(),
            record.action,
            record.resource,
            record.details,
            hash,
        ))?;
        let row = db.last_insert_rowid();
        if row % TRIM_EVERY == 0 {
            db.prepare_cached(TRIM)?.execute([row - audit::KEPT])?;
        }
        self.end = Some(End { sequence, hash });
        Ok(())
    }

    /// This process is the only writer, so that its last line is the table's.
    fn stored(&self, db: &Connection) -> Result<Option<End>, Fault> {
        let mut statement = db.prepare_cached(LAST)?;
        let mut found = statement.query([])?;
        let Some(row) = found.next()? else { return Ok(None) };
        let mine = row.get_ref(0)?.as_str().is_ok_and(|chain| chain == self.name);
        Ok(if mine { Some(End { sequence: row.get(1)?, hash: row.get(2)? }) } else { None })
    }
}

const OPEN: &str = "UPDATE epoch SET opened = opened + 1 RETURNING opened";
const ADD: &str = "INSERT INTO audit (chain, sequence, at_ms, actor, action, resource, details, hash) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const LAST: &str = "SELECT chain, sequence, hash FROM audit ORDER BY row DESC LIMIT 1";
const TRIM: &str = "DELETE FROM audit WHERE row <= ?1";
/// Rows are numbered without gaps, so the oldest go as one short range now and then instead of one with each line.
const TRIM_EVERY: i64 = 1000;
