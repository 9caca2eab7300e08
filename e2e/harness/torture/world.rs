//! What the load wants, what the watches show, and whether the two are the same.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    journal::{Entry, Journal, Parts},
    keys::hashed_part,
};
use crate::{follow::Followed, front::Front, wait::eventually};

/// Everything the load and the kills share.
pub struct World {
    pub client: Client,
    pub namespace: String,
    pub journal: Arc<Journal>,
    /// The front, while the operator runs.
    pub front: watch::Sender<Option<Front>>,
    /// Whether objects may be touched: not while a recovery is measured.
    pub open: watch::Sender<bool>,
    /// Whether the load is to end, each in good order.
    pub over: watch::Sender<bool>,
    /// How often the API answered with something that the load does not expect.
    pub odd: Mutex<BTreeMap<String, usize>>,
    objects: Followed<Object>,
    secrets: Followed<Projected>,
    wanted: Mutex<BTreeMap<String, Wanted>>,
}

/// What an object should come to.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub kind: Kind,
    /// `None` while the object is deleted.
    pub uid: Option<String>,
    pub generation: i64,
    pub rotate: Option<String>,
    /// The version that the API answered with, while nothing was asked since.
    pub version: Option<String>,
    /// The hash of what the source holds.
    pub source: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Password,
    User,
    /// A value that is read from a Secret.
    Sourced,
    /// A value that is set over the API.
    Input,
    /// A document that is set over the API.
    Document,
    /// An SSH key.
    Shell,
    Rsa,
    /// A certificate that the authority signs.
    Leaf,
    /// A password that is made anew by time.
    Timed,
    /// A CA, of which there is one.
    Authority,
}

/// A `Credential`, as far as it matters.
#[derive(Clone, Debug)]
struct Object {
    uid: String,
    observed: Option<i64>,
    ready: bool,
    reason: String,
    version: Option<String>,
    fingerprint: Option<String>,
    request: Option<String>,
}

/// A Secret of an object.
#[derive(Clone, Debug)]
struct Projected {
    owner: Option<String>,
    version: Option<String>,
    fingerprint: Option<String>,
    parts: Parts,
}

impl World {
    /// Begins to follow a namespace.
    pub async fn follow(client: Client, namespace: &str, journal: &Path) -> Result<Self> {
        let journal = Arc::new(Journal::begin(journal)?);
        let (noted, place) = (journal.clone(), namespace.to_owned());
        let seen = move |object: &DynamicObject| {
            let name = object.name_any();
            let (seen, status) = (Object::of(object), &object.data["status"]["currentVersion"]);
            if let (Some(id), Some(number)) = (seen.version.clone(), status["number"].as_i64()) {
                let (path, fingerprint) = (format!("/{place}/{name}"), seen.fingerprint.clone());
                noted.note_seen(Entry::Status { path, id, number, fingerprint });
            }
            seen
        };
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("credsmith.dev", "v1alpha1", "Credential"));
        let objects = Followed::start(Api::namespaced_with(client.clone(), namespace, &kind), seen).await?;
        let noted = journal.clone();
        let seen = move |secret: &Secret| {
            let seen = Projected::of(secret);
            if let (Some(path), Some(id)) = (secret.annotations().get("credsmith.dev/credential"), &seen.version) {
                noted.note_seen(Entry::Secret { path: path.clone(), id: id.clone(), parts: seen.parts.clone() });
            }
            seen
        };
        let secrets = Followed::start(Api::namespaced(client.clone(), namespace), seen).await?;
        Ok(Self {
            client,
            namespace: namespace.to_owned(),
            journal,
            front: watch::Sender::new(None),
            open: watch::Sender::new(false),
            over: watch::Sender::new(false),
            odd: Mutex::default(),
            objects,
            secrets,
            wanted: Mutex::default(),
        })
    }

    pub fn credentials(&self) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("credsmith.dev", "v1alpha1", "Credential"));
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn path(&self, name: &str) -> String {
        format!("/{}/{name}", self.namespace)
    }

    /// What is wanted of an object; `None` before it was first made.
    pub fn wanted(&self, name: &str) -> Option<Wanted> {
        self.lock().get(name).cloned()
    }

    pub fn want(&self, name: &str, change: impl FnOnce(&mut Wanted)) {
        if let Some(wanted) = self.lock().get_mut(name) {
            change(wanted);
        }
    }

    pub fn begin_to_want(&self, name: &str, wanted: Wanted) {
        self.lock().insert(name.to_owned(), wanted);
    }

    /// The paths of objects that have a status by now, so that a change of their versions makes another one.
    pub fn with_status(&self) -> HashSet<String> {
        let names: Vec<_> = self.lock().keys().cloned().collect();
        names.iter().filter(|name| self.is_claimed(name)).map(|name| self.path(name)).collect()
    }

    /// The paths of objects of which a new value was asked for, as far as no status says yet that it was made.
    pub fn in_rotation(&self) -> HashSet<String> {
        let wanted = self.lock().clone();
        let is_asked = |(name, wanted): &(String, Wanted)| {
            wanted.rotate.is_some() && self.object(name).is_some_and(|object| object.request != wanted.rotate)
        };
        wanted.into_iter().filter(is_asked).map(|(name, _)| self.path(&name)).collect()
    }

    /// Whether the operator has looked at the object as it is now, so that its path is taken.
    pub fn is_claimed(&self, name: &str) -> bool {
        let (Some(wanted), Some(object)) = (self.wanted(name), self.object(name)) else { return false };
        wanted.uid.as_ref() == Some(&object.uid) && object.observed.is_some()
    }

    /// Waits until every object and its Secret are as they should be.
    pub async fn converged(&self, deadline: Duration) -> Result<()> {
        eventually("all objects to converge", deadline, || async {
            let wanted = self.lock().clone();
            let open: Vec<_> = wanted.iter().filter_map(|(name, wanted)| self.lacks(name, wanted)).collect();
            if open.is_empty() {
                Ok(Some(()))
            } else {
                bail!("{} of {}: {}", open.len(), wanted.len(), open.join("; "))
            }
        })
        .await
    }

    /// Waits until one object is as it should be, or the operator is killed.
    pub async fn settled(&self, name: &str) {
        let mut life = self.front.subscribe();
        let settled = eventually("an object to settle", PATIENCE, || async {
            let wanted = self.wanted(name);
            Ok(wanted.is_none_or(|wanted| self.lacks(name, &wanted).is_none()).then_some(()))
        });
        tokio::select! {
            _ = settled => {}
            _ = life.wait_for(Option::is_none) => {}
        }
    }

    /// What is not yet as it should be.
    fn lacks(&self, name: &str, wanted: &Wanted) -> Option<String> {
        let uid = wanted.uid.as_ref()?;
        let lacks = |what: &str| Some(format!("{name} ({:?}) {what}", wanted.kind));
        let Some(object) = self.object(name).filter(|object| object.uid == *uid) else { return lacks("is not seen") };
        if object.observed.is_none_or(|observed| observed < wanted.generation) {
            return lacks("was not looked at");
        }
        if object.reason == "WaitingForInput" && wanted.kind.is_input() && wanted.version.is_none() {
            return None;
        }
        if !object.ready {
            return lacks(&format!("is not ready: {}", object.reason));
        }
        if wanted.rotate.is_some() && object.request != wanted.rotate {
            return lacks("was not rotated");
        }
        if wanted.version.is_some() && object.version != wanted.version {
            return lacks("has another version than the API said");
        }
        let Some(secret) = self.secrets.get(&self.key(name)).map(|latest| latest.value) else {
            return lacks("has no Secret");
        };
        if secret.owner.as_ref() != Some(uid) {
            return lacks("has a Secret of another object");
        }
        if (&secret.version, &secret.fingerprint) != (&object.version, &object.fingerprint) {
            return lacks("and its Secret are not of one version");
        }
        let given = wanted.source.as_ref().filter(|source| secret.parts.get("value") != Some(*source));
        if given.is_some() { lacks("does not hold what its source holds") } else { None }
    }

    fn object(&self, name: &str) -> Option<Object> {
        self.objects.get(&self.key(name)).map(|latest| latest.value)
    }

    fn key(&self, name: &str) -> (String, String) {
        (self.namespace.clone(), name.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    /// What each hand has.
    pub const ALL: [Self; 9] = [
        Self::Password,
        Self::User,
        Self::Sourced,
        Self::Input,
        Self::Document,
        Self::Shell,
        Self::Rsa,
        Self::Leaf,
        Self::Timed,
    ];

    pub fn is_input(self) -> bool {
        matches!(self, Self::Input | Self::Document)
    }

    pub fn is_generated(self) -> bool {
        matches!(self, Self::Password | Self::User | Self::Shell | Self::Rsa | Self::Leaf | Self::Timed)
    }
}

impl Object {
    fn of(object: &DynamicObject) -> Self {
        let status = &object.data["status"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let ready =
            status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == "Ready");
        Self {
            uid: object.uid().unwrap_or_default(),
            observed: status["observedGeneration"].as_i64(),
            ready: ready.is_some_and(|ready| ready["status"] == "True"),
            reason: ready.and_then(|ready| text(&ready["reason"])).unwrap_or_default(),
            version: text(&status["currentVersion"]["id"]),
            fingerprint: text(&status["currentVersion"]["fingerprint"]),
            request: text(&status["rotation"]["lastRequest"]),
        }
    }
}

impl Projected {
    fn of(secret: &Secret) -> Self {
        let note = |name: &str| secret.annotations().get(name).cloned();
        Self {
            owner: secret.labels().get("credsmith.dev/owner-uid").cloned(),
            version: note("credsmith.dev/version"),
            fingerprint: note("credsmith.dev/fingerprint"),
            parts: secret.data.iter().flatten().map(|(key, bytes)| (key.clone(), hashed_part(key, &bytes.0))).collect(),
        }
    }
}

/// For one object, after which the load turns to another one.
const PATIENCE: Duration = Duration::from_secs(5);
