//! What the store holds, read beside the operator and opened with its master key: tombstones as well, which no API shows.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result};
use credsmith_core::{
    domain::{CredentialId, CredentialType, SecretBytes, Value, VersionId, ids::DataKeyId},
    keyring::{DataKeyRow, KeyId, KeyProvider, Keyring, MasterKey, Place, Purpose, Sealed, WrappedKey},
    world::SystemEntropy,
};
use rusqlite::{Connection, OpenFlags, Row};

use super::{
    journal::Parts,
    keys::{self, hashed_part},
};

/// A version.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: String,
    pub credential: String,
    pub path: String,
    pub number: i64,
    pub reason: String,
    /// Whether it was made for an object, as opposed to a client of the API.
    pub by_operator: bool,
    pub request: Option<String>,
    pub parts: Parts,
    /// Whether its parts are of one key, where they are keys.
    pub belong_together: bool,
    pub created_ms: i64,
    /// Whether its credential has a name no more.
    pub deleted: bool,
    /// Whether it is the newest of its credential.
    pub current: bool,
}

/// Everything in the store of that file.
pub async fn read(file: &Path, master_key: &Path) -> Result<Vec<Stored>> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut keys = db.prepare("SELECT id, purpose, master, wrapped, canary, active FROM data_key")?;
    let keys: Vec<_> = keys.query_map([], data_key)?.collect::<Result<_, _>>()?;
    let master = MasterKey::read("file", "the master key", &SecretBytes::new(fs::read(master_key)?))?;
    let providers: [Box<dyn KeyProvider>; 1] = [Box::new(master)];
    let (keyring, _) = Keyring::open(&providers, keys, &SystemEntropy).await?;
    let mut versions = db.prepare(VERSIONS)?;
    let rows = versions.query_map([], |row| Ok(stored(row, &keyring)))?;
    rows.map(|row| row?).collect()
}

/// The ids of all versions, and their numbers: what a look in passing compares.
pub fn ids(file: &Path) -> Result<HashMap<String, i64>> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut versions = db.prepare("SELECT id, number FROM version")?;
    let rows = versions.query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?)))?;
    rows.map(|row| row.map(|(id, number)| (uuid::Uuid::from_bytes(id).to_string(), number)).map_err(Into::into))
        .collect()
}

fn data_key(row: &Row<'_>) -> rusqlite::Result<DataKeyRow> {
    let (id, purpose, master): ([u8; 16], String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(DataKeyRow {
        id: DataKeyId::from_slice(&id).expect("sixteen bytes"),
        purpose: Purpose::parse(&purpose).ok_or(rusqlite::Error::InvalidQuery)?,
        wrapped: WrappedKey { master: KeyId::from_stored(&master), bytes: row.get(3)? },
        canary: Sealed::from_stored(row.get(4)?),
        active: row.get(5)?,
    })
}

fn stored(row: &Row<'_>, keyring: &Keyring) -> Result<Stored> {
    let (version, credential): ([u8; 16], [u8; 16]) = (row.get(0)?, row.get(1)?);
    let kind: CredentialType = row.get::<_, String>(3)?.parse().ok().context("a type")?;
    let version = VersionId::from_slice(&version).context("an id")?;
    let credential = CredentialId::from_slice(&credential).context("an id")?;
    let plain = keyring.open_sealed(&Place::version(credential, version, kind), &Sealed::from_stored(row.get(8)?))?;
    let value = Value::from_bytes(kind, &plain).context("a value of its type")?;
    let parts = value.parts().into_iter();
    let parts = parts.map(|(part, text)| (part.to_owned(), hashed_part(part, text.expose().as_bytes())));
    let parts = parts.collect();
    Ok(Stored {
        id: version.to_string(),
        credential: credential.to_string(),
        path: row.get(2)?,
        number: row.get(4)?,
        reason: row.get(5)?,
        by_operator: row.get::<_, String>(6)? == "operator",
        request: row.get(7)?,
        parts,
        belong_together: keys::belong_together(&value),
        created_ms: row.get(11)?,
        deleted: row.get(9)?,
        current: row.get(10)?,
    })
}

const VERSIONS: &str = "SELECT v.id, c.id, c.name, c.kind, v.number, v.reason, v.actor, v.request, v.sealed, \
                        c.tombstoned_ms IS NOT NULL, c.newest IS v.id, v.created_ms FROM version v JOIN credential c ON c.row = v.credential \
                        ORDER BY v.row";
