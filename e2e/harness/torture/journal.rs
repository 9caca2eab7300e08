//! What was acknowledged, by whom it was seen, in the order in which it was seen. Values stand in it as hashes.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use aws_lc_rs::digest;
use serde::Serialize;
use serde_json::Value;

use super::keys;

/// The parts of a value by the names that stand in a Secret, each as its hash.
pub type Parts = BTreeMap<String, String>;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Entry {
    /// A write that may make one version at most is about to be sent to the API.
    Asked { path: String },
    /// The API answered with this version.
    Version { path: String, id: String, parts: Parts },
    /// The API answered that there is none.
    Absent { path: String },
    /// A delete is about to be sent to the API.
    AskedToDelete { path: String },
    /// The API answered that it is deleted.
    Deleted { path: String },
    /// A source was given another value.
    Source { path: String },
    /// A rotation was asked for by annotation.
    Rotation { path: String },
    /// The status of an object named this version as the one that is handed out.
    Status { path: String, id: String, number: i64, fingerprint: Option<String> },
    /// A Secret held these parts, and said that they are this version.
    Secret { path: String, id: String, parts: Parts },
}

impl Entry {
    /// Whether it is a promise of the operator, as opposed to a deed of ours.
    pub fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::Deleted { .. } | Self::Status { .. } | Self::Secret { .. })
    }
}

/// An append-only list, in memory and in a file.
#[derive(Debug)]
pub struct Journal(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    entries: Vec<Entry>,
    /// What watches told before, who tell the same thing often.
    seen: HashSet<Entry>,
    file: BufWriter<File>,
}

impl Journal {
    /// Begins one in a new file.
    pub fn begin(file: &Path) -> Result<Self> {
        let inner = Inner { entries: Vec::new(), seen: HashSet::new(), file: BufWriter::new(File::create(file)?) };
        Ok(Self(Mutex::new(inner)))
    }

    /// Notes something that happened.
    pub fn note(&self, entry: Entry) {
        let mut inner = self.lock();
        let line = serde_json::to_string(&entry).expect("an entry is plain data");
        writeln!(inner.file, "{line}").ok(); // the one in memory counts
        inner.entries.push(entry);
    }

    /// Notes something that a watch shows, once.
    pub fn note_seen(&self, entry: Entry) {
        if self.lock().seen.insert(entry.clone()) {
            self.note(entry);
        }
    }

    /// The entries from the `first`th on.
    pub fn since(&self, first: usize) -> Vec<Entry> {
        let mut inner = self.lock();
        inner.file.flush().ok();
        inner.entries[first..].to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hash by which the journal knows a part of a value.
pub fn hashed(part: impl AsRef<[u8]>) -> String {
    let hash = digest::digest(&digest::SHA256, part.as_ref());
    hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The parts of a version as the API shows it, hashed, by the names that they have in a Secret.
pub fn parts(version: &Value) -> Parts {
    let text = |value: &Value| value.as_str().map_or_else(|| hashed(value.to_string()), hashed);
    let value = &version["value"];
    let kind = version["type"].as_str().unwrap_or_default();
    if let Some(parts) = keys::parts(kind, value) {
        return parts;
    }
    match kind {
        "password" => [("password".to_owned(), text(value))].into(),
        "user" => {
            let names = [("username", "username"), ("password", "password"), ("password-hash", "password_hash")];
            let parts = names.into_iter().filter(|(_, theirs)| !value[theirs].is_null());
            parts.map(|(ours, theirs)| (ours.to_owned(), text(&value[theirs]))).collect()
        }
        _ => [("value".to_owned(), text(value))].into(),
    }
}
