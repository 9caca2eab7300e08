//! Events about objects, written by one function.
//!
//! Why not the recorder of kube-runtime? It takes a second event with the same reason for a repetition of the first, whatever
//! its note says: of two strangers who edit one after the other it would name the first alone, twice. Here what says something
//! else is an event of its own, and only the very same words are counted.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event as Published},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use kube_runtime::events::{Event, EventType};
use serde_json::json;

/// Writes events, and remembers those of the last minutes.
pub struct Events {
    client: Client,
    /// Who reports; the pod's name.
    instance: String,
    recent: Mutex<HashMap<Said, Series>>,
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Said {
    /// The UID of the object.
    about: String,
    reason: String,
    note: String,
}

/// How often it was said.
#[derive(Clone, Debug)]
struct Series {
    /// Of the event that counts.
    name: String,
    count: u32,
    last: Timestamp,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance, recent: Mutex::default() }
    }

    /// Writes an event; what was said in the same words a few minutes ago is counted up instead.
    ///
    /// # Errors
    /// Where the API server does not take it; then it is as if it had not been tried.
    pub async fn publish(&self, event: &Event, about: &ObjectReference, now: Timestamp) -> Result<(), kube::Error> {
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let api: Api<Published> = Api::namespaced(self.client.clone(), namespace);
        let said = Said {
            about: about.uid.clone().unwrap_or_default(),
            reason: event.reason.clone(),
            note: event.note.clone().unwrap_or_default(),
        };
        let series = match self.again(&said, now) {
            Some(series) => {
                let patch = json!({"series": {"count": series.count, "lastObservedTime": MicroTime(now)}});
                match api.patch_metadata(&series.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                    Ok(_) => series,
                    // Events do not stay for ever.
                    Err(kube::Error::Api(status)) if status.code == 404 => self.create(&api, event, about, now).await?,
                    Err(error) => return Err(error),
                }
            }
            None => self.create(&api, event, about, now).await?,
        };
        self.lock().insert(said, series);
        Ok(())
    }

    /// The same once more, where it was said a few minutes ago.
    fn again(&self, said: &Said, now: Timestamp) -> Option<Series> {
        let mut recent = self.lock();
        recent.retain(|_, series| now.duration_since(series.last) < RECENT);
        let series = recent.get(said)?;
        Some(Series { name: series.name.clone(), count: series.count + 1, last: now })
    }

    async fn create(
        &self,
        api: &Api<Published>,
        event: &Event,
        about: &ObjectReference,
        now: Timestamp,
    ) -> Result<Series, kube::Error> {
        let name = name(about.name.as_deref().unwrap_or_default(), now);
        let type_ = match event.type_ {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        };
        let published = Published {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(type_.into()),
            reason: Some(event.reason.clone()),
            note: event.note.clone(),
            action: Some(event.action.clone()),
            event_time: Some(MicroTime(now)),
            regarding: Some(about.clone()),
            related: event.secondary.clone(),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(self.instance.clone()),
            ..Published::default()
        };
        api.create(&PostParams::default(), &published).await?;
        Ok(Series { name, count: 1, last: now })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Said, Series>> {
        self.recent.lock().expect("nobody panics with the map in hand")
    }
}

/// The object's name, shortened where it would leave no room, and the time.
fn name(object: &str, now: Timestamp) -> String {
    let time = format!("{:x}", now.as_nanosecond());
    let room = LONGEST_NAME - 1 - time.len();
    let object = object.get(..room).unwrap_or(object).trim_end_matches(['-', '.']);
    format!("{object}.{time}")
}

const CONTROLLER: &str = "credsmith.dev/operator";
const RECENT: SignedDuration = SignedDuration::from_mins(6);
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_event_has_room_for_the_longest_name_of_an_object() {
        let now: Timestamp = "2026-01-16T12:00:00Z".parse().unwrap();
        assert_eq!(name("db", now), "db.188b3450ba428000");
        let long = format!("{}-{}", "a".repeat(235), "b".repeat(17));
        let name = name(&long, now);
        assert!(name.len() <= 253 && name.starts_with("aaa") && name.ends_with("a.188b3450ba428000"), "{name}");
    }
}
