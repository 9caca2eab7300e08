//! What the stores of the run hold, in plain: the values to look for.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use credsmith::keys;
use credsmith_core::{
    domain::{CredentialId, CredentialType, SecretBytes, Value, VersionId},
    keyring::{Keyring, Place, Sealed},
    world::SystemEntropy,
};
use credsmith_harness::process::Service;
use rusqlite::Connection;

use super::{private, search::Wanted};
use crate::operator::scene::HEARD;

/// Texts to look for, and where they come from.
pub struct Values {
    pub texts: Vec<Wanted>,
    stores: usize,
    versions: usize,
    /// Versions that do not open: some tests damage theirs.
    damaged: usize,
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { texts, stores, versions, damaged } = self;
        write!(f, "{} values (of {versions} versions, {damaged} damaged, in {stores} stores)", texts.len())
    }
}

/// A store of the run, and the file with its master key.
pub struct StoreOf {
    pub file: PathBuf,
    pub key: PathBuf,
}

/// The values of every store that an operator of this process had.
pub async fn values(dirs: &[PathBuf]) -> Values {
    let mut found = Found::default();
    let (mut stores, mut sets) = (0, 0);
    for store in all(dirs) {
        found.read(&store).await.unwrap_or_else(|error| panic!("{}: {error:#}", store.file.display()));
        stores += 1;
    }
    for token in &HEARD.lock().unwrap().tokens {
        sets += 1;
        found.add(token, format!("token {sets}"));
    }
    let Found { texts, versions, damaged } = found;
    let texts = texts.into_iter().map(|(text, about)| Wanted { text, about }).collect();
    Values { texts, stores, versions, damaged }
}

/// Every store of an operator that a test of this process started, and the file of its key: the record of the process
/// names both.
pub fn all(dirs: &[PathBuf]) -> Vec<StoreOf> {
    let mut stores = Vec::new();
    for dir in dirs.iter().flat_map(|dir| below(dir)).filter(|path| path.is_dir()) {
        let Ok(Some(operator)) = Service::recorded(&dir, "operator") else { continue };
        let env = &operator.program().env;
        let setting = |name: &str| env.get(name).map_or("", String::as_str);
        let file = setting("CREDSMITH_STORE").strip_prefix("sqlite://").map(PathBuf::from);
        // The first is the one that everything is wrapped with.
        let key = setting("CREDSMITH_KEYS")
            .split(',')
            .next()
            .and_then(|first| first.strip_prefix("file:"))
            .map(PathBuf::from);
        // Whoever looks at a record must not end what runs.
        std::mem::forget(operator);
        let Some(file) = file.filter(|file| file.exists()) else { continue };
        let key = key.unwrap_or_else(|| panic!("{} has no key in a file: start it with one", dir.display()));
        stores.push(StoreOf { file, key });
    }
    stores
}

/// Everything below a directory.
pub fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}

#[derive(Default)]
struct Found {
    /// The text, and what it is: each text once.
    texts: BTreeMap<String, String>,
    versions: usize,
    damaged: usize,
}

impl Found {
    async fn read(&mut self, store: &StoreOf) -> Result<()> {
        let copy = copy(&store.file)?;
        let url = format!("sqlite://{}/store.db", copy.path().display());
        let opened = credsmith_sql::open(&url)?;
        let providers = [keys::from_file(&store.key).map_err(|error| anyhow::anyhow!("{error}"))?];
        let rows = opened.data_keys().await?;
        let (keyring, _) = Keyring::open(&providers, rows, &SystemEntropy).await?;
        drop(opened);
        // A key in raw bytes is looked for in base64, which is how it would be written down.
        let key = String::from_utf8(fs::read(&store.key)?).unwrap_or_else(|raw| STANDARD.encode(raw.into_bytes()));
        self.add(key.trim(), format!("master key {}", store.key.display()));
        let db = Connection::open(copy.path().join("store.db"))?;
        self.settings(&db, &keyring)?;
        self.versions(&db, &keyring)
    }

    /// Straight from the tables: tombstoned credentials too, which the store hands out to nobody.
    fn versions(&mut self, db: &Connection, keyring: &Keyring) -> Result<()> {
        let mut rows = db.prepare(
            "SELECT c.id, v.id, c.kind, c.name, v.number, v.sealed, v.parameters, v.parameters_public IS \
             NULL FROM version v JOIN credential c ON \
             c.row = v.credential",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (credential, version): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let credential = CredentialId::from_slice(&credential).context("an id")?;
            let version = VersionId::from_slice(&version).context("an id")?;
            let kind: CredentialType = row.get::<_, String>(2)?.parse().ok().context("a type")?;
            let about = format!("version {} of {}", row.get::<_, i64>(4)?, row.get::<_, String>(3)?);
            self.versions += 1;
            let sealed = Sealed::from_stored(row.get(5)?);
            let Ok(plain) = keyring.open_sealed(&Place::version(credential, version, kind), &sealed) else {
                self.damaged += 1;
                continue;
            };
            let mut named = None;
            if let Some(parameters) = row.get::<_, Option<Vec<u8>>>(6)? {
                let place = Place::parameters(credential, version, kind);
                let plain = keyring.open_sealed(&place, &Sealed::from_stored(parameters))?;
                named = username(plain.expose());
                // Those of keys and certificates stand in the clear as well: they tell nothing that the public half does not.
                if row.get(7)? {
                    self.add(std::str::from_utf8(plain.expose())?, format!("parameters of {about}"));
                }
            }
            self.value(kind, &plain, named.as_deref(), &about);
        }
        Ok(())
    }

    /// `named` is a user name that stands in a manifest or a request, where everybody may read it.
    fn value(&mut self, kind: CredentialType, plain: &SecretBytes, named: Option<&str>, about: &str) {
        self.add(std::str::from_utf8(plain.expose()).unwrap_or_default(), format!("{about}, whole"));
        let Some(value) = Value::from_bytes(kind, plain) else { return };
        let halves: Vec<_> = match &value {
            Value::Rsa(pair) | Value::Ssh(pair) => pair.texts().to_vec(),
            Value::Certificate(of) => of.texts().to_vec(),
            _ => Vec::new(),
        };
        if !halves.is_empty() {
            let texts = halves.into_iter().filter_map(|(name, text)| Some((name, text?.expose())));
            let (private, public): (Vec<_>, Vec<_>) = texts.partition(|(name, _)| *name == "private_key");
            let public: Vec<_> = public.into_iter().map(|(_, text)| text).collect();
            for text in private.into_iter().flat_map(|(_, text)| private::texts(text, &public)) {
                self.add(&text, format!("{about}, private key"));
            }
            return;
        }
        let parts = value.parts();
        for (part, text) in parts.into_iter().filter(|(_, text)| named != Some(text.expose())) {
            self.add(text.expose(), format!("{about}, {part}"));
            if let Ok(document) = serde_json::from_str(text.expose()) {
                self.members(&document, about);
            }
        }
    }

    fn members(&mut self, document: &serde_json::Value, about: &str) {
        match document {
            serde_json::Value::String(text) => self.add(text, format!("{about}, a text in it")),
            serde_json::Value::Array(elements) => elements.iter().for_each(|element| self.members(element, about)),
            serde_json::Value::Object(members) => members.values().for_each(|member| self.members(member, about)),
            _ => {}
        }
    }

    /// The front's certificate authority: its key, line by line, as a log would show it.
    fn settings(&mut self, db: &Connection, keyring: &Keyring) -> Result<()> {
        let mut rows = db.prepare("SELECT name, sealed FROM setting")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let plain = keyring.open_sealed(&Place::setting(&name), &Sealed::from_stored(row.get(1)?))?;
            let text = std::str::from_utf8(plain.expose())?;
            // What comes after the key is the certificate, which everybody may have.
            let key = text.split("-----END PRIVATE KEY-----").next().unwrap_or_default();
            for line in key.lines().filter(|line| !line.starts_with("-----")) {
                self.add(line, format!("setting {name}"));
            }
        }
        Ok(())
    }

    fn add(&mut self, text: &str, about: String) {
        if text.chars().count() >= SHORTEST {
            self.texts.entry(text.to_owned()).or_insert(about);
        }
    }
}

/// The user name that parameters ask for.
fn username(parameters: &[u8]) -> Option<String> {
    let parameters: serde_json::Value = serde_json::from_slice(parameters).ok()?;
    parameters.get("username")?.as_str().map(str::to_owned)
}

/// A copy of a store with its log, since the store itself may be in use.
fn copy(file: &Path) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    fs::copy(file, dir.path().join("store.db"))?;
    let log = format!("{}-wal", file.display());
    if Path::new(&log).exists() {
        fs::copy(log, dir.path().join("store.db-wal"))?;
    }
    Ok(dir)
}

/// Shorter texts occur by chance.
const SHORTEST: usize = 12;
