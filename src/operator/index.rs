//! Which objects exist, and where their paths are: what wakes whom.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use credsmith_core::domain::{CredentialName, ObjectUid};
use kube::{Resource, core::DeserializeGuard};
use kube_runtime::reflector::{Lookup, ObjectRef};

use crate::credential::{
    Credential,
    parse::{parameters::signer_of, path_of},
};

/// An object that may not parse: one that does not must not stop the watch for all others.
pub type Guarded = DeserializeGuard<Credential>;
/// The key of an object.
pub type Key = ObjectRef<Guarded>;

/// Objects by key, UID and path.
#[derive(Debug, Default)]
pub struct Index(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    by_uid: HashMap<String, Key>,
    by_path: HashMap<String, HashSet<Key>>,
    /// Who is signed by the credential at a path.
    by_signer: HashMap<String, HashSet<Key>>,
}

#[derive(Debug)]
struct Entry {
    uid: String,
    path: Option<String>,
    /// The path of the credential that is to sign it.
    signer: Option<String>,
    /// What a reconcile depends on: a change of status alone is none.
    inputs: u64,
}

impl Index {
    /// Takes an object; tells whether anything that a reconcile depends on changed.
    pub fn tell(&self, object: &Guarded) -> bool {
        let (key, entry) = (object.to_object_ref(()), entry(object));
        let mut state = self.lock();
        let before = state.remove(&key);
        let changed = before.is_none_or(|before| before.uid != entry.uid || before.inputs != entry.inputs);
        state.insert(key, entry);
        changed
    }

    /// Takes a deletion and returns the UID that is gone.
    pub fn forget(&self, object: &Guarded) -> Option<ObjectUid> {
        self.lock().remove(&object.to_object_ref(())).map(|entry| ObjectUid::new(entry.uid))
    }

    /// Takes a whole list and returns what it no longer holds: under which key it was known, and its UID.
    pub fn replace(&self, list: &[Guarded]) -> Vec<(Key, ObjectUid)> {
        let mut fresh = State::default();
        for object in list {
            fresh.insert(object.to_object_ref(()), entry(object));
        }
        let before = std::mem::replace(&mut *self.lock(), fresh);
        let state = self.lock();
        let gone = before.by_uid.into_iter().filter(|(uid, _)| !state.by_uid.contains_key(uid));
        gone.map(|(uid, key)| (key, ObjectUid::new(uid))).collect()
    }

    /// Whether an object of this UID exists.
    pub fn is_live(&self, uid: &str) -> bool {
        self.lock().by_uid.contains_key(uid)
    }

    pub fn uid_of(&self, key: &Key) -> Option<String> {
        self.lock().entries.get(key).map(|entry| entry.uid.clone())
    }

    /// Whether there is an object of that name, whatever its UID.
    pub fn has(&self, key: &Key) -> bool {
        self.lock().entries.contains_key(key)
    }

    pub fn by_uid(&self, uid: &str) -> Option<Key> {
        self.lock().by_uid.get(uid).cloned()
    }

    /// The objects whose path this is: one, or several that contend for it.
    pub fn by_path(&self, name: &CredentialName) -> Vec<Key> {
        self.lock().by_path.get(name.folded()).into_iter().flatten().cloned().collect()
    }

    /// The path of the credential that is to sign what is at the path of an object; folded.
    pub fn signer_of(&self, key: &Key) -> Option<String> {
        self.lock().entries.get(key)?.signer.clone()
    }

    /// The folded path of an object.
    pub fn path_of(&self, key: &Key) -> Option<String> {
        self.lock().entries.get(key)?.path.clone()
    }

    /// The objects at a folded path.
    pub fn at(&self, path: &str) -> Vec<Key> {
        self.lock().by_path.get(path).into_iter().flatten().cloned().collect()
    }

    /// The objects that the credential at a folded path is to sign, those that these are to sign, and so on: what stands in
    /// their Secrets, and whether they can be made at all, depends on it.
    pub fn below(&self, path: &str) -> Vec<Key> {
        let state = self.lock();
        let (mut paths, mut found) = (vec![path.to_owned()], Vec::new());
        let mut seen: HashSet<String> = paths.iter().cloned().collect();
        while let Some(path) = paths.pop() {
            for key in state.by_signer.get(&path).into_iter().flatten() {
                found.push(key.clone());
                let next = state.entries.get(key).and_then(|entry| entry.path.clone());
                paths.extend(next.filter(|next| seen.insert(next.clone())));
            }
        }
        found
    }

    /// The way from a path up through those who are to sign, where it comes back to where it was; folded paths, the first
    /// one twice. Nothing that is on such a way can ever be made.
    pub fn cycle(&self, name: &CredentialName) -> Option<Vec<String>> {
        let state = self.lock();
        let mut way = vec![name.folded().to_owned()];
        while let Some(signer) = state.signer(way.last()?) {
            let back = way.iter().position(|path| *path == signer);
            way.push(signer);
            match back {
                Some(0) => return Some(way),
                // It comes back to somebody above: that one says so.
                Some(_) => return None,
                None => {}
            }
        }
        None
    }

    pub fn of_namespace(&self, namespace: &str) -> Vec<Key> {
        self.lock().entries.keys().filter(|key| key.namespace.as_deref() == Some(namespace)).cloned().collect()
    }

    pub fn all(&self) -> Vec<Key> {
        self.lock().entries.keys().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with the index in hand")
    }
}

impl State {
    fn insert(&mut self, key: Key, entry: Entry) {
        if let Some(path) = &entry.path {
            self.by_path.entry(path.clone()).or_default().insert(key.clone());
        }
        if let Some(signer) = &entry.signer {
            self.by_signer.entry(signer.clone()).or_default().insert(key.clone());
        }
        self.by_uid.insert(entry.uid.clone(), key.clone());
        self.entries.insert(key, entry);
    }

    /// Who signs what is at a path, as the object there says.
    fn signer(&self, path: &str) -> Option<String> {
        let mut keys = self.by_path.get(path)?.iter();
        keys.find_map(|key| self.entries.get(key)?.signer.clone())
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.by_uid.remove(&entry.uid);
        for (map, path) in [(&mut self.by_path, &entry.path), (&mut self.by_signer, &entry.signer)] {
            let Some(path) = path else { continue };
            if let Some(keys) = map.get_mut(path) {
                keys.remove(key);
                if keys.is_empty() {
                    map.remove(path);
                }
            }
        }
        Some(entry)
    }
}

fn entry(object: &Guarded) -> Entry {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    (meta.generation, &meta.annotations, &meta.finalizers, meta.deletion_timestamp.is_some()).hash(&mut hasher);
    let path = object.0.as_ref().ok().and_then(path_of).map(|name| name.folded().to_owned());
    let signer = object.0.as_ref().ok().and_then(signer_of).map(|name| name.folded().to_owned());
    Entry { uid: meta.uid.clone().unwrap_or_default(), path, signer, inputs: hasher.finish() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn certificate(name: &str, signed_by: &str) -> Guarded {
        let spec = json!({"type": "certificate", "certificate": {"commonName": name, "signedBy": {"name": signed_by}}});
        let mut object = Credential::new(name, serde_json::from_value(spec).unwrap());
        object.metadata.namespace = Some("shop".into());
        object.metadata.uid = Some(name.into());
        DeserializeGuard(Ok(object))
    }

    #[test]
    fn a_circle_of_signers_is_found_by_everybody_on_it() {
        let index = Index::default();
        let name = |name: &str| format!("/shop/{name}").parse().unwrap();
        for (object, signer) in [("a", "b"), ("b", "c"), ("c", "b"), ("leaf", "ca"), ("self", "self")] {
            index.tell(&certificate(object, signer));
        }
        assert_eq!(index.cycle(&name("b")), Some(vec!["/shop/b".into(), "/shop/c".into(), "/shop/b".into()]));
        assert_eq!(index.cycle(&name("self")), Some(vec!["/shop/self".into(), "/shop/self".into()]));
        assert_eq!((index.cycle(&name("a")), index.cycle(&name("leaf"))), (None, None));
    }

    #[test]
    fn whoever_is_signed_by_a_path_is_known_until_it_is_not() {
        let index = Index::default();
        let ca = "/shop/ca";
        index.tell(&certificate("leaf", "CA"));
        assert_eq!(index.below(ca).len(), 1);
        index.tell(&certificate("leaf", "other"));
        assert!(index.below(ca).is_empty());
        index.tell(&certificate("leaf", "ca"));
        index.tell(&certificate("below", "leaf"));
        assert_eq!(index.below(ca).len(), 2, "and whoever is signed by those");
        index.forget(&certificate("leaf", "ca"));
        assert!(index.below(ca).is_empty());
        for (object, signer) in [("a", "b"), ("b", "a")] {
            index.tell(&certificate(object, signer));
        }
        assert_eq!(index.below("/shop/a").len(), 2, "a circle ends");
    }
}
