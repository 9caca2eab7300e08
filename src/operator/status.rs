//! Status: built whole, compared with what stands there, and sent only where it differs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use crate::credential::{Credential, CredentialStatus};
use credsmith_core::probe::{self, Point};

/// Conditions under construction: what does not change keeps its time.
#[derive(Debug)]
pub struct Conditions {
    before: Vec<Condition>,
    now: Vec<Condition>,
    generation: Option<i64>,
    at: Timestamp,
}

impl Conditions {
    pub fn new(object: &Credential, at: Timestamp) -> Self {
        let before = object.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        Self { before, now: Vec::new(), generation: object.metadata.generation, at }
    }

    /// Sets a condition. Its time is the one at which its status last changed.
    pub fn set(&mut self, type_: &str, status: bool, reason: &str, message: impl Into<String>) {
        let word = if status { "True" } else { "False" };
        let before = self.before.iter().find(|condition| condition.type_ == type_ && condition.status == word);
        let last_transition_time = before.map_or(Time(self.at), |condition| condition.last_transition_time.clone());
        self.now.retain(|condition| condition.type_ != type_);
        self.now.push(Condition {
            type_: type_.to_owned(),
            status: word.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            observed_generation: self.generation,
            last_transition_time,
        });
    }

    /// Keeps a condition as it stands, if it does.
    pub fn keep(&mut self, type_: &str) {
        let before = self.before.iter().find(|condition| condition.type_ == type_).cloned();
        self.now.extend(before);
    }

    pub fn into_vec(self) -> Vec<Condition> {
        self.now
    }
}

/// The newest status that we wrote of each object, by UID, until the watch shows it. A look that comes in between would
/// compare with the one before, and write the same again.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<String, Answer>>);

#[derive(Debug)]
struct Answer {
    revision: u64,
    status: Option<CredentialStatus>,
}

impl Told {
    /// Puts the newest status into an object that the watch showed.
    pub fn complete(&self, object: &mut Credential) {
        let Some(uid) = object.uid() else { return };
        let mut all = self.lock();
        if let Some(answer) = all.get(&uid) {
            if answer.revision > revision(object) {
                object.status.clone_from(&answer.status);
            } else {
                all.remove(&uid);
            }
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn learn(&self, answered: Credential) {
        if let Some(uid) = answered.uid() {
            let answer = Answer { revision: revision(&answered), status: answered.status };
            self.lock().insert(uid, answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

fn revision(object: &Credential) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Writes a status if it differs from the one that was observed. One merge patch, or none.
pub async fn write(
    client: &Client,
    told: &Told,
    object: &Arc<Credential>,
    status: &CredentialStatus,
) -> Result<bool, kube::Error> {
    let before = serde_json::to_value(&object.status).map_err(kube::Error::SerdeError)?;
    let now = serde_json::to_value(status).map_err(kube::Error::SerdeError)?;
    let named = || format!("/{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let Some(changes) = difference(&before, &now) else {
        probe::passed(Point::StatusAfter, named).await;
        return Ok(false);
    };
    probe::passed(Point::StatusBefore, named).await;
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<Credential> = Api::namespaced(client.clone(), &namespace);
    // The UID keeps a late answer from an object of the same name that was made since.
    let patch = json!({"metadata": {"uid": object.meta().uid}, "status": changes});
    let answered = api.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
    told.learn(answered);
    probe::passed(Point::StatusAfter, named).await;
    Ok(true)
}

/// The merge patch (RFC 7396) that makes `now` out of `before`; `None` where they are equal.
fn difference(before: &Value, now: &Value) -> Option<Value> {
    match (before, now) {
        (before, now) if before == now => None,
        (Value::Object(before), Value::Object(now)) => {
            let mut patch = Map::new();
            for (key, value) in now {
                let was = before.get(key).unwrap_or(&Value::Null);
                patch.extend(difference(was, value).map(|change| (key.clone(), change)));
            }
            let dropped = before.keys().filter(|key| !now.contains_key(*key));
            patch.extend(dropped.map(|key| (key.clone(), Value::Null)));
            Some(Value::Object(patch))
        }
        (_, now) => Some(now.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patch_holds_what_changed_and_nothing_else() {
        let before = json!({"a": 1, "b": {"c": 2, "d": 3}, "list": [1], "gone": true});
        let now = json!({"a": 1, "b": {"c": 2, "d": 4}, "list": [1, 2]});
        assert_eq!(difference(&before, &now), Some(json!({"b": {"d": 4}, "list": [1, 2], "gone": null})));
        assert_eq!(difference(&now, &now), None);
        assert_eq!(difference(&Value::Null, &now), Some(now));
    }

    #[test]
    fn a_status_that_was_told_counts_until_the_watch_shows_it() {
        let object = |revision: &str, path: &str| {
            let mut object = Credential::new("a", Default::default());
            object.metadata.uid = Some("u".into());
            object.metadata.resource_version = Some(revision.into());
            object.status = Some(CredentialStatus { path: Some(path.into()), ..Default::default() });
            object
        };
        let path = |told: &Told, mut object: Credential| {
            told.complete(&mut object);
            object.status.and_then(|status| status.path).unwrap_or_default()
        };
        let told = Told::default();
        told.learn(object("7", "/told"));
        assert_eq!(path(&told, object("6", "/before")), "/told");
        assert_eq!(path(&told, object("8", "/shown")), "/shown");
        assert_eq!(path(&told, object("6", "/before")), "/before", "it is forgotten once it was shown");
    }

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut object = Credential::new("a", Default::default());
        let mut first = Conditions::new(&object, at("2026-01-01T00:00:00Z"));
        first.set("Ready", true, "InSync", "");
        object.status = Some(CredentialStatus { conditions: first.into_vec(), ..Default::default() });
        let mut second = Conditions::new(&object, at("2026-01-02T00:00:00Z"));
        second.set("Ready", true, "StoredOnly", "");
        assert_eq!(second.into_vec()[0].last_transition_time, Time(at("2026-01-01T00:00:00Z")));
        let mut third = Conditions::new(&object, at("2026-01-03T00:00:00Z"));
        third.set("Ready", false, "TargetFailed", "");
        assert_eq!(third.into_vec()[0].last_transition_time, Time(at("2026-01-03T00:00:00Z")));
    }
}
