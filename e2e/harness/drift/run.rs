//! The edits of a run, and what becomes of them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::{core::v1::Secret, events::v1::Event};
use kube::{Api, Client, api::ListParams};

use super::edits::{Edit, Kind, MIX, is_right};
use crate::{
    follow::Followed,
    kubeconfig,
    operator::OperatorProcess,
    requests::{Key, Log, now},
    wait::eventually,
};

/// A population, and what was done to it.
pub struct Run {
    client: Client,
    operator: OperatorProcess,
    secrets: Followed<Secret>,
    /// Each Secret as the operator made it.
    before: HashMap<Key, Secret>,
    edits: Vec<Edit>,
}

impl Run {
    /// The Secrets that were edited.
    pub fn touched(&self) -> HashSet<Key> {
        self.edits.iter().map(|edit| edit.key.clone()).collect()
    }

    /// Takes note of how everything is before anybody touches it.
    pub async fn begin(client: Client, operator: OperatorProcess, keys: &[Key]) -> Result<Self> {
        let secrets = Followed::start(Api::<Secret>::all(client.clone()), Secret::clone).await?;
        let mut before = HashMap::new();
        for key in keys {
            let secret = secrets.get(key).with_context(|| format!("there is no Secret {}/{}", key.0, key.1))?;
            if !is_right(&secret.value, &secret.value) {
                bail!("Secret {}/{} is not owned by the operator alone", key.0, key.1);
            }
            before.insert(key.clone(), secret.value);
        }
        Ok(Self { client, operator, secrets, before, edits: Vec::new() })
    }

    /// Makes all edits, each of another Secret, and waits for the repairs.
    pub async fn edit(&mut self, keys: &[Key]) -> Result<()> {
        // In steps of a prime: distinct, and spread over types and namespaces.
        let mut next = (0..keys.len()).map(|nth| keys[nth * PRIME % keys.len()].clone());
        for (kind, of_two_thousand) in MIX {
            let count = (of_two_thousand * keys.len() / 2000).max(1);
            let chosen: Vec<_> = next.by_ref().take(count).enumerate().collect();
            if kind == Kind::WhileDown {
                self.wait_for_repairs().await;
                self.operator.terminate().await?;
            }
            let client = &self.client;
            let made = stream::iter(chosen).map(|(nth, key)| kind.make(client, key, nth)).buffer_unordered(4);
            let mut made: Vec<Edit> = made.try_collect().await?;
            if kind == Kind::WhileDown {
                self.operator.start_again()?;
                self.operator.ready().await?;
                let ready = Instant::now();
                made.iter_mut().for_each(|edit| edit.answered = ready);
            }
            self.edits.extend(made);
        }
        self.wait_for_repairs().await;
        Ok(())
    }

    /// Those that do not come in time are counted by [`judge`](Self::judge).
    async fn wait_for_repairs(&self) {
        let repaired =
            || std::future::ready(Ok(self.edits.iter().all(|edit| self.repair(edit).is_some()).then_some(())));
        eventually("all repairs", PATIENCE, repaired).await.ok();
    }

    /// How long the repair took; `None` where there was none.
    fn repair(&self, edit: &Edit) -> Option<Duration> {
        let now = self.secrets.get(&edit.key)?;
        let repaired = now.revision > edit.revision && is_right(&now.value, self.before.get(&edit.key)?);
        // The last change counts: a repair in two steps takes until the second.
        repaired.then(|| now.at.saturating_duration_since(edit.answered))
    }

    /// The slowest repair of each sort, for people.
    pub fn slowest_of_each(&self) -> BTreeMap<Kind, Duration> {
        let mut slowest = BTreeMap::new();
        for edit in &self.edits {
            let most: &mut Duration = slowest.entry(edit.kind).or_default();
            *most = self.repair(edit).map_or(*most, |took| took.max(*most));
        }
        slowest
    }

    /// How many were repaired, the slowest repair, and which were not.
    pub fn judge(&self) -> (usize, Duration, Vec<String>) {
        let (mut repaired, mut slowest, mut faults) = (0, Duration::ZERO, Vec::new());
        for edit in &self.edits {
            match self.repair(edit) {
                Some(took) => (repaired, slowest) = (repaired + 1, slowest.max(took)),
                None => faults.push(format!("{:?} of {}/{} is not repaired", edit.kind, edit.key.0, edit.key.1)),
            }
        }
        (repaired, slowest, faults)
    }

    /// Each repair is told, and the field manager is named wherever the API server remembers it.
    pub async fn hear_the_events(&self, faults: &mut Vec<String>) -> Result<()> {
        let events: Api<Event> = Api::all(self.client.clone());
        let missing = || async {
            let list = events.list(&ListParams::default()).await?;
            let told: HashMap<Key, String> = list
                .into_iter()
                .filter(|event| event.reason.as_deref() == Some("DriftRepaired"))
                .filter_map(|event| {
                    let about = event.regarding?;
                    Some(((about.namespace?, about.name?), event.note.unwrap_or_default()))
                })
                .collect();
            let untold = |edit: &&Edit| {
                let note = told.get(&edit.key);
                !note.is_some_and(|note| !edit.kind.leaves_a_name() || note.contains(edit.kind.manager()))
            };
            Ok::<_, anyhow::Error>(self.edits.iter().filter(untold).cloned().collect::<Vec<_>>())
        };
        let told = async || Ok(missing().await?.is_empty().then_some(()));
        if eventually("an event for each repair", Duration::from_secs(15), told).await.is_err() {
            faults.extend(missing().await?.iter().map(|edit| {
                let (namespace, name) = &edit.key;
                format!("no event DriftRepaired names {} for {namespace}/{name}", edit.kind.manager())
            }));
        }
        Ok(())
    }

    /// Asks for an untouched Secret in the operator's name, which the counter must see. Returns when.
    pub async fn plant_a_request(&self, keys: &[Key], log: &mut Log) -> Result<Timestamp> {
        let key = keys.iter().find(|key| self.edits.iter().all(|edit| edit.key != **key));
        let (namespace, name) = key.context("every Secret was edited")?;
        let account = Client::try_from(kubeconfig::config(&self.operator.dir().join("kubeconfig")).await?)?;
        let at = now();
        Api::<Secret>::namespaced(account, namespace).get_metadata(name).await?;
        // It is the last: once it is in the log, so is everything before.
        let there = |log: &mut Log| -> Result<bool> {
            Ok(log.since(at)?.iter().any(|request| request.about().as_ref() == key))
        };
        eventually("the planted request in the audit log", Duration::from_secs(10), || {
            std::future::ready(there(log).map(|there| there.then_some(())))
        })
        .await?;
        Ok(at)
    }
}

const PRIME: usize = 7919;
const PATIENCE: Duration = Duration::from_secs(60);
