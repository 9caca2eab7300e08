//! What is known about namespaces: their UID, whether they may inherit, whether they are going.

use std::{collections::HashMap, sync::Mutex};

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client};

/// Annotation on a Namespace, set by an administrator: whose values it may have.
pub const INHERITS: &str = "credsmith.dev/inherits";

/// A namespace, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub uid: String,
    pub inherits: Option<String>,
    pub terminating: bool,
}

/// Namespaces by name, from a metadata watch.
#[derive(Debug, Default)]
pub struct Namespaces(Mutex<HashMap<String, Seen>>);

impl Namespaces {
    /// What is known; asked for once where the watch has not told it yet. `None` where there is no such namespace.
    pub async fn get(&self, client: &Client, name: &str) -> Result<Option<Seen>, kube::Error> {
        let known = self.lock().get(name).cloned();
        match known {
            Some(seen) => Ok(Some(seen)),
            None => self.refresh(client, name).await,
        }
    }

    /// What is true now, whatever the watch has told.
    pub async fn refresh(&self, client: &Client, name: &str) -> Result<Option<Seen>, kube::Error> {
        let found = Api::<Namespace>::all(client.clone()).get_metadata_opt(name).await?;
        let Some(found) = found else { return Ok(None) };
        self.tell(&found.metadata);
        Ok(self.lock().get(name).cloned())
    }

    /// Takes news; tells whether anything that matters changed.
    pub fn tell(&self, meta: &ObjectMeta) -> bool {
        let (Some(name), Some(uid)) = (meta.name.clone(), meta.uid.clone()) else { return false };
        let inherits = meta.annotations.as_ref().and_then(|notes| notes.get(INHERITS)).cloned();
        let seen = Seen { uid, inherits, terminating: meta.deletion_timestamp.is_some() };
        self.lock().insert(name, seen.clone()) != Some(seen)
    }

    pub fn forget(&self, meta: &ObjectMeta) {
        let mut all = self.lock();
        if let Some(name) = &meta.name
            && all.get(name).is_some_and(|seen| Some(&seen.uid) == meta.uid.as_ref())
        {
            all.remove(name);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}
