//! What the metadata watch told about our Secrets, boiled down.
//!
//! Whether an object is in sync must be told without a request (custom resources, section 2): the fingerprint annotation
//! says that what we wrote is what we want, and the managed fields say that it still stands as we wrote it. A stranger's
//! edit leaves the annotation alone but takes the key from our manager.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use kube::core::PartialObjectMeta;

use crate::credential::target::{CREDENTIAL, Desired, FINGERPRINT, OWNER_UID, VERSION};

/// A Secret, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub uid: String,
    /// Rising with every change of the object.
    pub revision: u64,
    /// The label: the object it was written for.
    pub owner_uid: Option<String>,
    /// The UID of its controller.
    pub controller: Option<String>,
    pub path: Option<String>,
    pub version: Option<String>,
    pub fingerprint: Option<String>,
    /// The keys that our field manager owns, as a hash; `None` where it has no entry.
    pub owned: Option<Owned>,
    /// The field manager that changed it last and is not ours.
    pub rival: Option<String>,
    pub terminating: bool,
}

/// What our field manager owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    keys: u64,
    /// Whether the entry is one of server-side apply; before its first change it is the one of our create.
    pub applied: bool,
}

impl Seen {
    /// Boils metadata down. The field manager is the one of the object that the label names.
    pub fn of(meta: &ObjectMeta) -> Self {
        let label = |key: &str| meta.labels.as_ref().and_then(|labels| labels.get(key)).cloned();
        let note = |key: &str| meta.annotations.as_ref().and_then(|notes| notes.get(key)).cloned();
        let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let controller = controller.map(|owner| owner.uid.clone());
        let owner_uid = label(OWNER_UID);
        let ours = owner_uid.as_deref().or(controller.as_deref()).map(manager);
        let entries = meta.managed_fields.as_deref().unwrap_or_default();
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            revision: meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0),
            path: note(CREDENTIAL),
            version: note(VERSION),
            fingerprint: note(FINGERPRINT),
            owned: ours.as_deref().and_then(|ours| owned(entries, ours)),
            rival: rival(entries),
            terminating: meta.deletion_timestamp.is_some(),
            controller,
            owner_uid,
        }
    }

    /// Whether it is what it should be, and nobody has touched it since.
    pub fn in_sync(&self, desired: &Desired, object_uid: &str, controlled: bool) -> bool {
        self.belongs_to(object_uid)
            && self.fingerprint.as_deref() == Some(&desired.fingerprint)
            && self.version.as_deref() == Some(&desired.version.to_string())
            && self.owned.is_some_and(|owned| owned.keys == hash(&desired.keys))
            && (self.controller.as_deref() == Some(object_uid)) == controlled
    }

    pub fn belongs_to(&self, object_uid: &str) -> bool {
        self.owner_uid.as_deref() == Some(object_uid)
    }
}

/// The field manager of an object.
pub fn manager(object_uid: &str) -> String {
    format!("{MANAGER_PREFIX}{}", object_uid.get(..8).unwrap_or(object_uid))
}

/// Whether a field manager is one of ours, of this object or of one before it.
pub fn is_ours(manager: &str) -> bool {
    manager.starts_with(MANAGER_PREFIX)
}

/// Our entry of server-side apply counts; before there is one, that of our create. A stranger who writes under our name
/// gets an entry of the second sort, so it is not enough to look for the name.
fn owned(entries: &[ManagedFieldsEntry], ours: &str) -> Option<Owned> {
    let entry = |operation: &str| {
        let mut mine = entries.iter().filter(|entry| entry.manager.as_deref() == Some(ours));
        mine.find(|entry| entry.operation.as_deref() == Some(operation))
    };
    let (entry, applied) = match entry("Apply") {
        Some(entry) => (entry, true),
        None => (entry("Update")?, false),
    };
    Some(Owned { keys: hash(&data_keys(entry)), applied })
}

/// Never one of ours: whoever overwrites the label that says whose it is must not make our own manager a stranger's.
fn rival(entries: &[ManagedFieldsEntry]) -> Option<String> {
    let others = entries.iter().filter(|entry| !entry.manager.as_deref().is_some_and(is_ours));
    // Whoever owns a key first; else the latest: a key that was removed is owned by nobody.
    let latest = others.max_by_key(|entry| (!data_keys(entry).is_empty(), entry.time.as_ref().map(|time| time.0)));
    latest.and_then(|entry| entry.manager.clone())
}

fn data_keys(entry: &ManagedFieldsEntry) -> BTreeSet<String> {
    let data = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data")).and_then(|data| data.as_object());
    data.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:").map(str::to_owned)).collect()
}

fn hash(keys: &BTreeSet<String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    keys.hash(&mut hasher);
    hasher.finish()
}

/// Every Secret that carries our label, by namespace and name.
#[derive(Debug, Default)]
pub struct SeenSecrets(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    all: HashMap<(String, String), Seen>,
    /// While a list is under way: what our own answers told since it began, which may be newer than the list.
    since_list_began: Option<HashSet<(String, String)>>,
}

impl SeenSecrets {
    pub fn get(&self, namespace: &str, name: &str) -> Option<Seen> {
        self.lock().all.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// The same by an object's own metadata.
    pub fn known(&self, meta: &ObjectMeta) -> Option<Seen> {
        self.lock().all.get(&key(meta)?).cloned()
    }

    /// Takes what a watch or an answer told, unless something newer is known. Tells whether it was news.
    pub fn tell(&self, meta: &ObjectMeta) -> bool {
        let Some(key) = key(meta) else { return false };
        let seen = Seen::of(meta);
        let State { all, since_list_began } = &mut *self.lock();
        let news = all.get(&key).is_none_or(|known| known.uid != seen.uid || known.revision < seen.revision);
        if news {
            since_list_began.as_mut().map(|answered| answered.insert(key.clone()));
            all.insert(key, seen);
        }
        news
    }

    /// Takes a deletion, unless the Secret was made again since. What was known comes back.
    pub fn forget(&self, meta: &ObjectMeta) -> Option<Seen> {
        let (key, gone) = (key(meta)?, Seen::of(meta));
        let mut state = self.lock();
        let stale = state.all.get(&key).is_some_and(|known| known.revision <= gone.revision);
        if stale { state.all.remove(&key) } else { None }
    }

    /// Forgets one by name, after it was seen to be gone.
    pub fn drop(&self, namespace: &str, name: &str) {
        self.lock().all.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// A list is about to be asked for: from here on an answer may tell what the list does not show yet.
    pub fn list_begins(&self) {
        self.lock().since_list_began = Some(HashSet::new());
    }

    /// Takes a whole list. What it does not show is gone, but for what an answer told since the list began and is newer
    /// than anything in it: a revision alone proves nothing, for the newest Secret of all may have been deleted.
    pub fn replace(&self, list: &[PartialObjectMeta<Secret>]) {
        let entry = |item: &PartialObjectMeta<Secret>| Some((key(&item.metadata)?, Seen::of(&item.metadata)));
        let mut fresh: HashMap<_, _> = list.iter().filter_map(entry).collect();
        let latest = fresh.values().map(|seen| seen.revision).max().unwrap_or(0);
        let State { all, since_list_began } = &mut *self.lock();
        let answered = since_list_began.take().unwrap_or_default();
        fresh.extend(all.drain().filter(|(key, seen)| seen.revision > latest && answered.contains(key)));
        *all = fresh;
    }

    /// The Secrets of a namespace that were written for an object, other than `keep`. A copy that somebody made of one
    /// carries its labels, but our field manager has no part in it.
    pub fn others_of(&self, namespace: &str, object_uid: &str, keep: Option<&str>) -> Vec<(String, Seen)> {
        let state = self.lock();
        let ours = |seen: &Seen| seen.belongs_to(object_uid) && seen.owned.is_some();
        let mine = state.all.iter().filter(|((ns, _), seen)| ns == namespace && ours(seen));
        mine.filter(|((_, name), _)| Some(name.as_str()) != keep)
            .map(|((_, name), seen)| (name.clone(), seen.clone()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

fn key(meta: &ObjectMeta) -> Option<(String, String)> {
    Some((meta.namespace.clone()?, meta.name.clone()?))
}

const MANAGER_PREFIX: &str = "credsmith/";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meta(entries: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(json!({
            "name": "db", "namespace": "shop", "uid": "u", "resourceVersion": "7",
            "labels": {OWNER_UID: "0123456789"},
            "annotations": {FINGERPRINT: "hmac:1:2"},
            "managedFields": entries,
        }))
        .unwrap()
    }

    fn entry(manager: &str, operation: &str, keys: &[&str]) -> serde_json::Value {
        let data: serde_json::Map<_, _> = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
        let time = "2026-01-01T00:00:00Z";
        json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": {"f:data": data}})
    }

    fn owns(entries: serde_json::Value, keys: &[&str]) -> bool {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Seen::of(&meta(entries)).owned.is_some_and(|owned| owned.keys == hash(&keys))
    }

    #[test]
    fn our_create_owns_its_keys_until_a_stranger_takes_one() {
        let ours = "credsmith/01234567";
        assert!(owns(json!([entry(ours, "Update", &["a", "b"])]), &["a", "b"]));
        assert!(!owns(json!([entry(ours, "Update", &["a"]), entry("kubectl-edit", "Update", &["b"])]), &["a", "b"]));
    }

    #[test]
    fn an_apply_entry_counts_before_an_update_entry_of_our_name() {
        let ours = "credsmith/01234567";
        let entries = json!([entry(ours, "Apply", &["a"]), entry(ours, "Update", &["b"])]);
        assert!(owns(entries.clone(), &["a"]));
        assert!(!owns(entries, &["a", "b"]));
    }

    #[test]
    fn a_strangers_extra_key_changes_nothing() {
        let entries = json!([entry("credsmith/01234567", "Apply", &["a"]), entry("helm", "Update", &["extra"])]);
        assert!(owns(entries, &["a"]));
    }

    #[test]
    fn the_rival_is_whoever_owns_a_key() {
        let entries = json!([
            entry("credsmith/01234567", "Update", &["a"]),
            entry("argocd", "Update", &[]),
            entry("kubectl-edit", "Update", &["b"]),
        ]);
        assert_eq!(Seen::of(&meta(entries)).rival.as_deref(), Some("kubectl-edit"));
    }

    #[test]
    fn we_are_never_our_own_rival() {
        // Whoever overwrites the label leaves an entry, and our manager is then none that the label names.
        let entries = json!([entry("credsmith/76543210", "Apply", &["a"]), entry("kubectl-label", "Update", &[])]);
        assert_eq!(Seen::of(&meta(entries)).rival.as_deref(), Some("kubectl-label"));
        assert_eq!(Seen::of(&meta(json!([entry("credsmith/76543210", "Apply", &["a"])]))).rival, None);
    }

    #[test]
    fn a_list_shows_what_is_gone_and_only_an_answer_since_it_began_is_newer() {
        let seen = SeenSecrets::default();
        let at = |name: &str, revision: &str| ObjectMeta {
            name: Some(name.into()),
            resource_version: Some(revision.into()),
            ..meta(json!([]))
        };
        let there = |names: &[&str]| names.iter().map(|name| seen.get("shop", name).is_some()).collect::<Vec<_>>();
        let list = |metas: Vec<ObjectMeta>| {
            let items = metas.into_iter().map(|metadata| PartialObjectMeta { metadata, ..Default::default() });
            seen.replace(&items.collect::<Vec<_>>());
        };
        seen.tell(&at("old", "5"));
        seen.tell(&at("newest", "9"));
        seen.list_begins();
        seen.tell(&at("meanwhile", "12"));
        list(vec![at("old", "5")]);
        assert_eq!(there(&["old", "newest", "meanwhile"]), [true, false, true]);

        // The next list shows everything that was answered before it began.
        seen.list_begins();
        list(vec![]);
        assert_eq!(there(&["old", "newest", "meanwhile"]), [false, false, false]);
    }

    #[test]
    fn older_news_is_no_news() {
        let seen = SeenSecrets::default();
        let at = |revision: &str| ObjectMeta { resource_version: Some(revision.into()), ..meta(json!([])) };
        assert!(seen.tell(&at("7")));
        assert!(!seen.tell(&at("7")));
        assert!(!seen.tell(&at("6")));
        assert!(seen.tell(&at("8")));
        let made_again = ObjectMeta { uid: Some("v".into()), ..at("10") };
        assert!(seen.tell(&made_again));
        assert!(seen.forget(&at("9")).is_none());
        assert!(seen.forget(&ObjectMeta { uid: Some("v".into()), ..at("11") }).is_some());
    }
}
