//! From columns to rows. A column that makes no sense damages its row and no other.

use credsmith_core::{
    domain::{
        Actor, CredentialId, CredentialName, CredentialType, JsonText, NamespaceUid, ObjectUid, RequestId, Stamp,
        VersionId,
        ids::DataKeyId,
        ownership::{ApiWrites, Owner, OwnerObject},
    },
    keyring::{DataKeyRow, KeyId, Purpose, Sealed, WrappedKey},
    store::{CredentialRow, Error, Facts, Newest, SealedParameters, VersionRow, VersionState, audit},
};
use jiff::Timestamp;
use rusqlite::{Row, types::ValueRef};

// The SELECT lists, each in the order in which its reader takes the columns. The first two name the row in errors. They
// are macros because `concat!` takes nothing else.
macro_rules! credential_columns {
    () => {
        "c.row, c.id, c.name, c.folded, c.kind, c.owner_namespace, c.owner_object, c.owner_name, c.owner_api_writes, \
         c.newest, c.newest_number, c.newest_ms, c.newest_actor, c.newest_namespace, \
         c.versions, \
         c.newest IS NULL OR EXISTS (SELECT 1 FROM version n WHERE n.id = c.newest)"
    };
}
macro_rules! version_columns {
    () => {
        "v.row, v.id, c.id, v.number, c.name, c.folded, c.kind, v.state, v.actor, v.created_ms, v.reason, v.request, \
         v.metadata, v.data_key, v.sealed, v.parameters, v.parameters_public, v.expires_ms, v.ca_name, v.signer, \
         v.trusted_ca, v.is_ca, v.self_signed, v.generated, v.transitional, v.key_usage"
    };
}
macro_rules! data_key_columns {
    () => {
        "row, id, purpose, master, wrapped, canary, active"
    };
}
macro_rules! audit_columns {
    () => {
        "row, hash, chain, sequence, at_ms, actor, action, resource, details"
    };
}

/// Reads `credential_columns!`.
pub fn credential(row: &Row<'_>) -> Result<CredentialRow, Error> {
    let mut columns = Columns::new(row, "credential");
    let id = columns.id("id", CredentialId::from_slice)?;
    let name = columns.name()?;
    let kind = columns.kind()?;
    let namespace = columns.optional_text("owner_namespace")?.map(NamespaceUid::new);
    let (uid, owner_name, api_writes) = (
        columns.optional_text("owner_object")?,
        columns.optional_text("owner_name")?,
        columns.optional_text("owner_api_writes")?,
    );
    let object = match (uid, owner_name, api_writes) {
        (None, None, None) => None,
        (Some(uid), Some(name), Some(word)) => {
            let api_writes =
                ApiWrites::parse(word).ok_or_else(|| columns.damaged("owner_api_writes is no such word"))?;
            Some(OwnerObject { uid: ObjectUid::new(uid), name: name.to_owned(), api_writes })
        }
        _ => return Err(columns.damaged("the owner is incomplete")),
    };
    let newest = columns.optional_id("newest", VersionId::from_slice)?;
    let number = columns.optional_integer("newest_number")?;
    let at = columns.optional_time("newest_ms")?;
    let actor = columns.optional_text("newest_actor")?.map(Actor::from_stored);
    let of = columns.optional_text("newest_namespace")?.map(NamespaceUid::new);
    let newest = match (newest, number, at, actor) {
        (None, None, None, None) => None,
        (Some(id), Some(number), Some(at), Some(actor)) => {
            Some(Newest { id, number, stamp: Stamp { actor, at }, namespace: of })
        }
        _ => return Err(columns.damaged("what it says about its newest version is incomplete")),
    };
    let versions = columns.integer("versions")?;
    if !columns.flag("newest")? {
        return Err(columns.damaged("its newest version is missing"));
    }
    Ok(CredentialRow { id, name, kind, owner: Owner { namespace, object }, newest, versions })
}

/// Reads `version_columns!`.
pub fn version(row: &Row<'_>) -> Result<VersionRow, Error> {
    let mut columns = Columns::new(row, "version");
    let id = columns.id("id", VersionId::from_slice)?;
    let credential = columns.id("credential", CredentialId::from_slice)?;
    let number = columns.integer("number")?;
    let name = columns.name()?;
    let kind = columns.kind()?;
    let state = VersionState::parse(columns.text("state")?).ok_or_else(|| columns.damaged("state is no such word"))?;
    let actor = Actor::from_stored(columns.text("actor")?);
    let stamp = Stamp { actor, at: columns.time("created_ms")? };
    let reason = columns.text("reason")?.parse().map_err(|_| columns.damaged("reason is no such word"))?;
    let request = columns.optional_text("request")?.map(RequestId::new);
    let metadata = columns.optional_json("metadata")?;
    let data_key = columns.id("data_key", DataKeyId::from_slice)?;
    let sealed = Sealed::from_stored(columns.blob("sealed")?.to_owned());
    if sealed.data_key() != data_key {
        return Err(columns.damaged("what is sealed names another data key"));
    }
    let parameters = columns.optional_blob("parameters")?.map(|bytes| Sealed::from_stored(bytes.to_owned()));
    let public = columns.optional_json("parameters_public")?;
    let parameters = parameters.map(|sealed| SealedParameters { sealed, public });
    let facts = Facts {
        expires: columns.optional_time("expires_ms")?,
        ca_name: columns.optional_text("ca_name")?.map(str::to_owned),
        signer: columns.optional_id("signer", VersionId::from_slice)?,
        trusted_ca: columns.optional_text("trusted_ca")?.map(str::to_owned),
        is_ca: columns.flag("is_ca")?,
        self_signed: columns.flag("self_signed")?,
        generated: columns.optional_integer("generated")?.map(|flag| flag != 0),
        transitional: columns.flag("transitional")?,
        key_usage: columns.optional_text("key_usage")?.map(str::to_owned),
    };
    Ok(VersionRow {
        credential,
        id,
        number,
        name,
        kind,
        state,
        stamp,
        reason,
        request,
        metadata,
        data_key,
        sealed,
        parameters,
        facts,
    })
}

/// Reads `data_key_columns!`.
pub fn data_key(row: &Row<'_>) -> Result<DataKeyRow, Error> {
    let mut columns = Columns::new(row, "data_key");
    let id = columns.id("id", DataKeyId::from_slice)?;
    let purpose = Purpose::parse(columns.text("purpose")?).ok_or_else(|| columns.damaged("purpose is no such word"))?;
    let master = KeyId::from_stored(columns.text("master")?);
    let wrapped = WrappedKey { master, bytes: columns.blob("wrapped")?.to_owned() };
    let canary = Sealed::from_stored(columns.blob("canary")?.to_owned());
    Ok(DataKeyRow { id, purpose, wrapped, canary, active: columns.flag("active")? })
}

/// Reads `audit_columns!`.
pub fn audit(row: &Row<'_>) -> Result<audit::Record, Error> {
    let mut columns = Columns::new(row, "audit");
    let hash = columns.blob("hash")?.try_into().map_err(|_| columns.damaged("hash has not 32 bytes"))?;
    Ok(audit::Record {
        hash,
        chain: columns.text("chain")?.to_owned(),
        sequence: columns.integer("sequence")?,
        at: columns.time("at_ms")?,
        actor: Actor::from_stored(columns.text("actor")?),
        action: columns.text("action")?.to_owned(),
        resource: columns.text("resource")?.to_owned(),
        details: columns.text("details")?.to_owned(),
    })
}

/// The columns of one row, taken one after the other. The first is the row's number.
pub struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
    table: &'static str,
}

impl<'a> Columns<'a> {
    pub fn new(row: &'a Row<'_>, table: &'static str) -> Self {
        Self { row, next: 1, table }
    }

    pub fn id<T>(&mut self, column: &str, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Error> {
        self.optional_id(column, read)?.ok_or_else(|| self.damaged(&format!("{column} is missing")))
    }

    pub fn optional_id<T>(&mut self, column: &str, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(bytes) = self.optional_blob(column)? else { return Ok(None) };
        read(bytes).map(Some).ok_or_else(|| self.damaged(&format!("{column} is no UUID")))
    }

    /// The name as written, and its folded form, which must be of that name.
    pub fn name(&mut self) -> Result<CredentialName, Error> {
        let written = self.text("name")?.parse::<CredentialName>();
        let name = written.map_err(|error| self.damaged(&format!("name is none: {error}")))?;
        if self.text("folded")? != name.folded() {
            return Err(self.damaged("folded is not the name in lower case"));
        }
        Ok(name)
    }

    pub fn kind(&mut self) -> Result<CredentialType, Error> {
        self.text("kind")?.parse().map_err(|_| self.damaged("kind is no such word"))
    }

    pub fn text(&mut self, column: &str) -> Result<&'a str, Error> {
        self.optional_text(column)?.ok_or_else(|| self.damaged(&format!("{column} is missing")))
    }

    pub fn optional_text(&mut self, column: &str) -> Result<Option<&'a str>, Error> {
        match self.take(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => {
                str::from_utf8(bytes).map(Some).map_err(|_| self.damaged(&format!("{column} is not UTF-8")))
            }
            _ => Err(self.damaged(&format!("{column} is no text"))),
        }
    }

    pub fn optional_json(&mut self, column: &str) -> Result<Option<JsonText>, Error> {
        let Some(text) = self.optional_text(column)? else { return Ok(None) };
        JsonText::parse(text).map(Some).map_err(|error| self.damaged(&format!("{column}: {error}")))
    }

    pub fn blob(&mut self, column: &str) -> Result<&'a [u8], Error> {
        self.optional_blob(column)?.ok_or_else(|| self.damaged(&format!("{column} is missing")))
    }

    pub fn optional_blob(&mut self, column: &str) -> Result<Option<&'a [u8]>, Error> {
        match self.take(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            _ => Err(self.damaged(&format!("{column} holds no bytes"))),
        }
    }

    pub fn integer(&mut self, column: &str) -> Result<i64, Error> {
        self.optional_integer(column)?.ok_or_else(|| self.damaged(&format!("{column} is missing")))
    }

    pub fn optional_integer(&mut self, column: &str) -> Result<Option<i64>, Error> {
        match self.take(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number)),
            _ => Err(self.damaged(&format!("{column} is no number"))),
        }
    }

    pub fn flag(&mut self, column: &str) -> Result<bool, Error> {
        self.integer(column).map(|number| number != 0)
    }

    pub fn time(&mut self, column: &str) -> Result<Timestamp, Error> {
        self.optional_time(column)?.ok_or_else(|| self.damaged(&format!("{column} is missing")))
    }

    pub fn optional_time(&mut self, column: &str) -> Result<Option<Timestamp>, Error> {
        let Some(ms) = self.optional_integer(column)? else { return Ok(None) };
        Timestamp::from_millisecond(ms).map(Some).map_err(|_| self.damaged(&format!("{column} is out of range")))
    }

    /// The error for this row: named by its id where that can be read, else by its number.
    pub fn damaged(&self, what: &str) -> Error {
        let id = self.row.get_ref(1).ok().and_then(|value| value.as_blob().ok().and_then(VersionId::from_slice));
        let number = || format!("number {}", self.row.get::<_, i64>(0).unwrap_or_default());
        Error::Corrupt { table: self.table, id: id.map_or_else(number, |id| id.to_string()), what: what.to_owned() }
    }

    fn take(&mut self, column: &str) -> Result<ValueRef<'a>, Error> {
        let value = self.row.get_ref(self.next).map_err(|_| self.damaged(&format!("{column} is missing")))?;
        self.next += 1;
        Ok(value)
    }
}
