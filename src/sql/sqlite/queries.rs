//! The questions, each one statement, so that no answer holds half a step.

use credsmith_core::{
    domain::{CredentialId, CredentialName, ObjectUid, RequestId, VersionId},
    keyring::{DataKeyRow, Sealed},
    store::{CredentialRow, Error, VersionRow, audit},
};
use jiff::Timestamp;
use rusqlite::{Connection, Params, Row, types::ValueRef};

use super::{
    fault::Fault,
    rows::{self, Columns},
};

/// The credential of that name and the number of its row.
pub fn credential(db: &Connection, name: &CredentialName) -> Result<Option<(i64, CredentialRow)>, Fault> {
    one(db, CREDENTIAL, [name.folded()], |row| Ok((row.get(0)?, rows::credential(row)?)))
}

/// The credential that an object has, and the number of its row.
pub fn credential_of(db: &Connection, object: &ObjectUid) -> Result<Option<(i64, CredentialRow)>, Fault> {
    one(db, CREDENTIAL_OF, [object.as_str()], |row| Ok((row.get(0)?, rows::credential(row)?)))
}

/// The newest `limit` versions of the credential of that name, newest first.
pub fn versions(db: &Connection, name: &CredentialName, limit: Option<u32>) -> Result<Vec<VersionRow>, Fault> {
    let mut statement = db.prepare_cached(VERSIONS)?;
    let mut found = statement.query((name.folded(), limit.map_or(-1, i64::from)))?;
    let mut versions = Vec::new();
    while let Some(row) = found.next()? {
        if versions.is_empty() && row.get_ref(VERSION_ID)? != row.get_ref(NEWEST)? {
            let what = "its newest version is missing".to_owned();
            return Err(Error::Corrupt { table: "credential", id: name.to_string(), what }.into());
        }
        if row.get_ref(VERSION_ID)? == ValueRef::Null {
            break; // claimed, and nothing written yet
        }
        versions.push(rows::version(row)?);
    }
    Ok(versions)
}

/// The newest version that is not transitional, or the newest where all are.
pub fn active(db: &Connection, name: &CredentialName) -> Result<Option<VersionRow>, Fault> {
    let newest = versions(db, name, Some(1))?.into_iter().next();
    if !newest.as_ref().is_some_and(|newest| newest.facts.transitional) {
        return Ok(newest);
    }
    let active = one(db, ACTIVE, [name.folded()], |row| Ok(rows::version(row)?))?;
    Ok(active.or(newest))
}

/// The newest version that came from a source.
pub fn imported(db: &Connection, name: &CredentialName) -> Result<Option<VersionRow>, Fault> {
    one(db, IMPORTED, [name.folded()], |row| Ok(rows::version(row)?))
}

/// Names of credentials that another one signed.
pub fn signed_by(
    db: &Connection,
    authority: CredentialId,
    at: Timestamp,
    limit: u32,
) -> Result<Vec<CredentialName>, Fault> {
    let params = (authority.as_bytes(), at.as_millisecond(), limit);
    all(db, SIGNED_BY, params, |row| Ok(Columns::new(row, "credential").name()?))
}

/// A version by its id, unless its credential is a tombstone.
pub fn version(db: &Connection, id: VersionId) -> Result<Option<VersionRow>, Fault> {
    one(db, VERSION, [id.as_bytes()], |row| Ok(rows::version(row)?))
}

/// Which version a request made.
pub fn request(db: &Connection, request: &RequestId) -> Result<Option<VersionId>, Fault> {
    one(db, REQUEST, [request.as_str()], |row| Ok(Columns::new(row, "version").id("id", VersionId::from_slice)?))
}

/// The data keys in the order of their making.
pub fn data_keys(db: &Connection) -> Result<Vec<DataKeyRow>, Fault> {
    all(db, DATA_KEYS, [], |row| Ok(rows::data_key(row)?))
}

/// A sealed setting.
pub fn setting(db: &Connection, name: &str) -> Result<Option<Sealed>, Fault> {
    one(db, SETTING, [name], |row| Ok(Sealed::from_stored(Columns::new(row, "setting").blob("sealed")?.to_owned())))
}

/// Whether there is a version or a setting.
pub fn holds_sealed(db: &Connection) -> Result<bool, Fault> {
    Ok(db.prepare_cached(HOLDS_SEALED)?.query_row([], |row| row.get(0))?)
}

/// The newest audit lines, newest first.
pub fn audit(db: &Connection, limit: u32) -> Result<Vec<audit::Record>, Fault> {
    // The oldest lines go a thousand at a time: those that are over the number wait for it unseen.
    all(db, AUDIT, [i64::from(limit).min(audit::KEPT)], |row| Ok(rows::audit(row)?))
}

/// The newest epoch.
pub fn epoch(db: &Connection) -> Result<i64, Fault> {
    Ok(db.prepare_cached(EPOCH)?.query_row([], |row| row.get(0))?)
}

/// One row or none.
pub fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    found.next()?.map(read).transpose()
}

/// All rows.
pub fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut out = Vec::new();
    while let Some(row) = found.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

pub const CREDENTIAL: &str =
    concat!("SELECT ", credential_columns!(), " FROM credential c WHERE c.folded = ?1 AND c.tombstoned_ms IS NULL");
pub const CREDENTIAL_OF: &str = concat!(
    "SELECT ",
    credential_columns!(),
    " FROM credential c WHERE c.owner_object = ?1 AND c.tombstoned_ms IS NULL ORDER BY c.row LIMIT 1"
);
pub const VERSIONS: &str = concat!(
    "SELECT ",
    version_columns!(),
    ", c.newest FROM credential c LEFT JOIN version v ON v.credential = c.row",
    " WHERE c.folded = ?1 AND c.tombstoned_ms IS NULL ORDER BY v.number DESC LIMIT ?2"
);
/// Where the version's id and the pointer to the newest version stand in [`VERSIONS`].
const VERSION_ID: usize = 1;
const NEWEST: usize = 26;
pub const VERSION: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM version v JOIN credential c ON c.row = v.credential WHERE v.id = ?1 AND c.tombstoned_ms IS NULL"
);
pub const ACTIVE: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM credential c JOIN version v ON v.credential = c.row",
    " WHERE c.folded = ?1 AND c.tombstoned_ms IS NULL AND v.transitional = 0 ORDER BY v.number DESC LIMIT 1"
);
/// The words of the reasons that [`Reason::is_import`] names.
///
/// [`Reason::is_import`]: credsmith_core::domain::Reason::is_import
pub const IMPORTED: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM credential c JOIN version v ON v.credential = c.row",
    " WHERE c.folded = ?1 AND c.tombstoned_ms IS NULL AND v.reason IN ('Imported', 'SourceChanged')",
    " ORDER BY v.number DESC LIMIT 1"
);
/// The `+` keeps the planner from walking all names in their order: an authority signed few of them.
pub const SIGNED_BY: &str = "SELECT c.row, c.name, c.folded FROM credential a \
                             JOIN version s ON s.credential = a.row \
                             JOIN version v ON v.signer = s.id \
                             JOIN credential c ON c.row = v.credential AND c.newest = v.id \
                             WHERE a.id = ?1 AND c.row <> a.row AND c.tombstoned_ms IS NULL \
                             AND (v.expires_ms IS NULL OR v.expires_ms > ?2) ORDER BY +c.folded LIMIT ?3";
const REQUEST: &str = "SELECT row, id FROM version WHERE request = ?1";
const DATA_KEYS: &str = concat!("SELECT ", data_key_columns!(), " FROM data_key ORDER BY row");
const SETTING: &str = "SELECT row, sealed FROM setting WHERE name = ?1";
const HOLDS_SEALED: &str = "SELECT EXISTS (SELECT 1 FROM version) OR EXISTS (SELECT 1 FROM setting)";
const AUDIT: &str = concat!("SELECT ", audit_columns!(), " FROM audit ORDER BY row DESC LIMIT ?1");
const EPOCH: &str = "SELECT number FROM epoch";
