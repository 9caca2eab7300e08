//! Master keys: where they are read from, what they open, and how the store is wrapped under the first of them.

use std::{
    fmt::{self, Write as _},
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use credsmith_core::{
    domain::{SecretBytes, SecretText, ids::DataKeyId},
    keyring::{self, DataKeyRow, KeyId, KeyProvider, Keyring, MasterKey, Passphrase, Purpose, master_key},
    store::{self, Store},
    world::{Entropy, SystemEntropy},
};

use crate::{
    config::{KeySource, Settings, StoreUrl},
    error::Error,
};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a fresh master key: 32 random bytes in base64
    New {
        /// Write it to this new file instead, readable by its owner alone
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the data keys of the store, the master keys that wrap them, and the configured keys that open them
    List(Box<Settings>),
    /// Wrap every data key of the store under the first configured key, as every start does
    Rewrap(Box<Settings>),
}

/// A configured master key, or why it cannot be had.
#[derive(Debug)]
pub struct Configured {
    pub source: KeySource,
    pub provider: Result<Box<dyn KeyProvider>, Error>,
}

/// What had to change in the store so that it is wrapped under the active master key.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub made: Vec<(Purpose, DataKeyId)>,
    pub rewrapped: Vec<Rewrapped>,
}

/// A data key that was wrapped again.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewrapped {
    pub key: DataKeyId,
    pub purpose: Purpose,
    pub was: KeyId,
    pub now: KeyId,
}

/// `keys new`: the key as text, or `None` where it was written to `out`.
pub fn new(out: Option<&Path>) -> Result<Option<SecretText>, Error> {
    let key = master_key::fresh(&SystemEntropy);
    let Some(path) = out else { return Ok(Some(key)) };
    write_new(path, &key).map_err(|error| {
        let next = match error.kind() {
            io::ErrorKind::AlreadyExists => "name a new file: a key that is overwritten is lost, and its store with it",
            _ => "name a file that can be written",
        };
        Error::failure(format!("file {}", path.display()), error, next)
    })?;
    Ok(None)
}

/// The provider `file`: a master key in a file.
pub fn from_file(path: &Path) -> Result<Box<dyn KeyProvider>, Error> {
    let object = format!("master key file:{}", path.display());
    let key = MasterKey::read("file", &object, &read(&object, path)?);
    key.map(boxed).map_err(|error| match error {
        keyring::Error::Provider(told) => Error::told(told),
        other => Error::about(&object, other),
    })
}

/// The provider `passphrase`: a master key derived from a passphrase in a file.
pub fn from_passphrase(path: &Path) -> Result<Box<dyn KeyProvider>, Error> {
    let object = format!("master key passphrase:{}", path.display());
    let bytes = read(&object, path)?;
    let text = std::str::from_utf8(bytes.expose())
        .map_err(|_| Error::failure(&object, "the file is no text (UTF-8)", "write the passphrase as text into it"))?;
    // An editor ends a line; whoever typed the passphrase did not mean that.
    let text = SecretText::new(text.trim_end_matches(['\r', '\n']).to_owned());
    Passphrase::new(text).map(boxed).map_err(|error| match error {
        keyring::Error::Provider(told) => Error::about(&object, told),
        other => Error::about(&object, other),
    })
}

/// The keyring of a store. What [`Keyring::open`] finds to do is done when this returns: data keys that did not exist
/// are made, and all are wrapped under the first of `providers`. A store that holds anything gets no new data key: what
/// is in it was sealed under the ones that are gone.
pub async fn open_keyring(
    store: &dyn Store,
    url: &StoreUrl,
    providers: &[Box<dyn KeyProvider>],
    entropy: &dyn Entropy,
) -> Result<(Keyring, Changes), Error> {
    for _ in 0..ATTEMPTS {
        // In this order: data keys come before whatever they seal, also where another process makes them now.
        let holds_sealed = store.holds_sealed().await.map_err(|error| in_store(url, error))?;
        let rows = store.data_keys().await.map_err(|error| in_store(url, error))?;
        let opened = Keyring::open(providers, rows, entropy).await;
        let (keyring, opening) = opened.map_err(|error| Error::about(format!("store {url}"), error))?;
        if let Some(missing) = opening.made.first().filter(|_| holds_sealed) {
            let cause = format!(
                "it holds sealed values, and its data key for {} is gone; no new one is made, which would open none of them",
                missing.purpose.as_str()
            );
            return Err(Error::failure(format!("store {url}"), cause, "restore the store from a backup"));
        }
        match settle(store, opening).await {
            Ok(changes) => return Ok((keyring, changes)),
            Err(store::Error::Conflict { .. }) => {} // another process was first: what it made counts
            Err(error) => return Err(in_store(url, error)),
        }
    }
    let cause = "other processes change its data keys again and again";
    Err(Error::failure(format!("store {url}"), cause, "stop those processes, then start again"))
}

/// Whether a master key may be made where its Secret is missing. One that is made anew opens nothing: where anything was
/// sealed or wrapped already, the old one has to come back.
pub async fn may_make_master_key(store: &dyn Store) -> Result<bool, store::Error> {
    Ok(!store.holds_sealed().await? && store.data_keys().await?.is_empty())
}

/// What `keys list` found.
#[derive(Debug)]
pub struct Listing {
    /// The list.
    pub text: String,
    /// How many data keys no configured key opens.
    pub unopened: usize,
}

impl Listing {
    /// An error where the configured keys do not open the whole store.
    pub fn verdict(&self, url: &StoreUrl) -> Result<(), Error> {
        match self.unopened {
            0 => Ok(()),
            some => {
                let cause = format!("{some} of its data keys cannot be opened with the configured keys");
                Err(Error::failure(format!("store {url}"), cause, "see the list for each, and mend `keys`"))
            }
        }
    }
}

/// `keys list`.
pub async fn list(rows: &[DataKeyRow], configured: &[Configured]) -> Listing {
    let (mut text, mut unopened) = (String::new(), 0);
    if rows.is_empty() {
        let _ = writeln!(text, "The store has no data keys yet: the first start makes them.");
    }
    for row in rows {
        let state = if row.active { "active" } else { "opens only" };
        let _ = writeln!(
            text,
            "data key {} for {}, {state}, wrapped by {}",
            row.id,
            row.purpose.as_str(),
            row.wrapped.master
        );
        let (mut opened, mut told) = (false, false);
        for Configured { source, provider } in configured {
            let Ok(provider) = provider else { continue };
            match opens(std::array::from_ref(provider), row).await {
                Ok(false) => continue,
                Ok(true) => {
                    opened = true;
                    let _ = writeln!(text, "  opened by {source}");
                }
                Err(error) => _ = writeln!(text, "  not opened by {source}: {error}"),
            }
            told = true;
        }
        unopened += usize::from(!opened);
        if !told {
            let _ = writeln!(text, "  opened by no configured key: add that master key to `keys` (from your backup)");
        }
    }
    for Configured { provider, .. } in configured {
        if let Err(error) = provider {
            let _ = writeln!(text, "{error}");
        }
    }
    Listing { text, unopened }
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.made.is_empty() && self.rewrapped.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "Every data key is wrapped under the first configured key: nothing to do.");
        }
        for (purpose, key) in &self.made {
            writeln!(f, "data key {key} for {}: made", purpose.as_str())?;
        }
        for Rewrapped { key, purpose, was, now } in &self.rewrapped {
            writeln!(f, "data key {key} for {}: wrapped by {was} before, by {now} now", purpose.as_str())?;
        }
        Ok(())
    }
}

/// What a store's error means to whoever starts the program.
pub fn in_store(url: &StoreUrl, error: store::Error) -> Error {
    let next = match error {
        store::Error::Unavailable(_) => "look at its volume, then start again",
        store::Error::Corrupt { .. } => "restore it from a backup",
        _ => "stop other processes that use it, then start again",
    };
    Error::failure(format!("store {url}"), error, next)
}

async fn settle(store: &dyn Store, opening: keyring::Opening) -> Result<Changes, store::Error> {
    let mut changes = Changes::default();
    for row in opening.made {
        let made = (row.purpose, row.id);
        store.add_data_key(row).await?;
        changes.made.push(made);
    }
    for (row, wrapped) in opening.rewrapped {
        let (was, now) = (row.wrapped.master, wrapped.master.clone());
        store.rewrap(row.id, &was, wrapped).await?;
        changes.rewrapped.push(Rewrapped { key: row.id, purpose: row.purpose, was, now });
    }
    Ok(changes)
}

/// Whether this provider alone opens the data key; an error where it is the right one and the key still does not open.
async fn opens(alone: &[Box<dyn KeyProvider>; 1], row: &DataKeyRow) -> Result<bool, keyring::Error> {
    match Keyring::open(alone, vec![row.clone()], &SystemEntropy).await {
        Ok(_) => Ok(true),
        Err(keyring::Error::MissingMasterKey(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_new(path: &Path, key: &SecretText) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", key.expose())?;
    file.sync_all()
}

fn read(object: &str, path: &Path) -> Result<SecretBytes, Error> {
    let mut bytes = Vec::with_capacity(MOST_BYTES as usize); // grown, it would leave copies behind
    let opened = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    let next = "put the file there (from your backup), or change `keys`";
    opened.map(|_| SecretBytes::new(bytes)).map_err(|error| Error::failure(object, error, next))
}

fn boxed(provider: impl KeyProvider) -> Box<dyn KeyProvider> {
    Box::new(provider)
}

/// Two would do: whoever was first has made everything.
const ATTEMPTS: usize = 5;
/// What is read of a file with a key or a passphrase.
const MOST_BYTES: u64 = 4096;

#[cfg(test)]
mod tests;
