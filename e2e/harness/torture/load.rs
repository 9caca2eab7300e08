//! The load: clients of the API with paths of their own, and hands that touch objects.

use std::sync::Arc;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{
    dice::Dice,
    journal::{Entry, hashed, parts},
    keys,
    world::{Kind, Wanted, World},
};
use crate::front::{Answer, Front};

/// Begins the load. Each part of it ends when it is over and what it has begun is answered.
pub fn begin(world: &Arc<World>, dice: &mut Dice) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for client in 0..CLIENTS {
        let (client, mut dice) =
            (Client { world: world.clone(), front: world.front.subscribe() }, (client, dice.split()));
        load.spawn(async move { client.run(dice.0, &mut dice.1).await });
    }
    for hand in 0..HANDS {
        let client = Client { world: world.clone(), front: world.front.subscribe() };
        let (mut hand, mut dice) = (Hand { client, names: names(hand) }, dice.split());
        load.spawn(async move { hand.run(&mut dice).await });
    }
    load
}

/// A client of the API, alone with its paths.
struct Client {
    world: Arc<World>,
    front: watch::Receiver<Option<Front>>,
}

impl Client {
    async fn run(mut self, number: usize, dice: &mut Dice) {
        while !*self.world.over.borrow() {
            let at = dice.below(PATHS);
            let path = self.world.path(&format!("free-{number}-{at}"));
            let kind = KINDS[at];
            let is_generated = !matches!(kind, "value" | "json");
            match dice.below(10) {
                0..=3 if kind != "certificate" => self.set(&path, kind, true, dice).await,
                0..=5 if is_generated => _ = self.generate(&path, kind, "overwrite").await,
                6 if is_generated => _ = self.generate(&path, kind, "no-overwrite").await,
                6 => self.set(&path, kind, false, dice).await,
                7 => self.delete(&path).await,
                _ => self.read(&path).await,
            }
        }
    }

    async fn set(&mut self, path: &str, kind: &str, overwrite: bool, dice: &mut Dice) {
        let _ = self.put(path, kind, overwrite, dice).await;
    }

    /// Sets a value and gives the id of the version that the API answered with.
    async fn put(&mut self, path: &str, kind: &str, overwrite: bool, dice: &mut Dice) -> Option<String> {
        let value = match kind {
            "json" => json!({"a": dice.text(), "b": [dice.below(10)]}),
            "user" => json!({"username": "torture", "password": dice.text()}),
            "rsa" | "ssh" => keys::pair(dice),
            _ => json!(dice.text()),
        };
        let body = json!({"name": path, "type": kind, "value": value, "overwrite": overwrite});
        self.ask(path, async |front| front.put(DATA, &body).await).await
    }

    async fn generate(&mut self, path: &str, kind: &str, mode: &str) -> Option<String> {
        let body = json!({"name": path, "type": kind, "mode": mode, "parameters": keys::parameters(kind)});
        self.ask(path, async |front| front.post(DATA, &body).await).await
    }

    async fn ask(&mut self, path: &str, send: impl AsyncFnOnce(&Front) -> Result<Answer>) -> Option<String> {
        let front = self.reach().await;
        self.world.journal.note(Entry::Asked { path: path.to_owned() });
        let answer = self.answered(send(&front).await).await?;
        if answer.status == 200 { self.note(path, &answer.json().ok()?) } else { self.odd("write", &answer) }
    }

    async fn delete(&mut self, path: &str) {
        let front = self.reach().await;
        self.world.journal.note(Entry::AskedToDelete { path: path.to_owned() });
        let Some(answer) = self.answered(front.delete(&format!("{DATA}?name={path}")).await).await else { return };
        match answer.status {
            204 => self.world.journal.note(Entry::Deleted { path: path.to_owned() }),
            404 => self.world.journal.note(Entry::Absent { path: path.to_owned() }),
            _ => _ = self.odd("delete", &answer),
        }
    }

    async fn read(&mut self, path: &str) {
        let front = self.reach().await;
        let answer = self.answered(front.get(&format!("{DATA}?name={path}&current=true")).await).await;
        let Some(answer) = answer else { return };
        match answer.status {
            200 => _ = answer.json().ok().and_then(|answer| self.note(path, &answer["data"][0])),
            404 => self.world.journal.note(Entry::Absent { path: path.to_owned() }),
            _ => _ = self.odd("read", &answer),
        }
    }

    fn note(&self, path: &str, version: &Value) -> Option<String> {
        let id = version["id"].as_str()?.to_owned();
        self.world.journal.note(Entry::Version { path: path.to_owned(), id: id.clone(), parts: parts(version) });
        Some(id)
    }

    async fn reach(&mut self) -> Front {
        let front = self.front.wait_for(Option::is_some).await.ok().and_then(|front| front.clone());
        front.expect("it was waited for, and the world outlives the load")
    }

    /// The answer; where there was none, waits for the operator's next life.
    async fn answered(&mut self, answer: Result<Answer>) -> Option<Answer> {
        if answer.is_err() {
            let _ = self.front.changed().await; // the end of the load
        }
        answer.ok()
    }

    /// Counts an answer that promises nothing. 503 and 409 say so themselves.
    fn odd(&self, what: &str, answer: &Answer) -> Option<String> {
        if !matches!(answer.status, 503 | 409) {
            let mut odd = self.world.odd.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *odd.entry(format!("{what}: {answer}")).or_default() += 1;
        }
        None
    }
}

/// Touches objects that no other hand touches.
struct Hand {
    client: Client,
    names: Vec<(String, Kind)>,
}

impl Hand {
    async fn run(&mut self, dice: &mut Dice) {
        loop {
            let _ = self.client.world.open.subscribe().wait_for(|open| *open).await; // the world outlives the load
            if *self.client.world.over.borrow() {
                return;
            }
            let (name, kind) = self.names[dice.below(self.names.len())].clone();
            if let Err(error) = self.touch(&name, kind, dice).await {
                let mut odd = self.client.world.odd.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *odd.entry(format!("{error:#}")).or_default() += 1;
            }
            // Most wait for what comes of it, so that it is acknowledged; the rest come too fast on purpose.
            if dice.percent(70) {
                self.client.world.settled(&name).await;
            }
        }
    }

    async fn touch(&mut self, name: &str, kind: Kind, dice: &mut Dice) -> Result<()> {
        let world = self.client.world.clone();
        match world.wanted(name) {
            None => {
                if kind == Kind::Sourced {
                    self.feed(name, dice).await?;
                }
                make(&world, name, kind, dice).await
            }
            Some(Wanted { uid: None, .. }) => make(&world, name, kind, dice).await,
            Some(_) => match dice.below(10) {
                0 => delete(&world, name).await,
                1 => edit(&world, name, json!({"spec": {"description": dice.text()}})).await,
                2 => {
                    let metadata = json!({"labels": {"edit": dice.text()}});
                    edit(&world, name, json!({"spec": {"target": {"metadata": metadata}}})).await
                }
                3 => drop_secret(&world, name).await,
                _ if kind == Kind::Sourced => self.feed(name, dice).await,
                // Over the API a certificate would be made from other parameters, which an object is not to keep.
                4..=9 if kind == Kind::Leaf => rotate(&world, name, dice).await,
                4..=7 if kind.is_generated() => rotate(&world, name, dice).await,
                _ if world.is_claimed(name) => {
                    self.write(name, kind, dice).await;
                    Ok(())
                }
                _ => Ok(()),
            },
        }
    }

    /// Writes to the path of an object over the API.
    async fn write(&mut self, name: &str, kind: Kind, dice: &mut Dice) {
        let world = self.client.world.clone();
        let path = world.path(name);
        world.want(name, |wanted| wanted.version = None);
        let version = match kind {
            Kind::Document => self.client.put(&path, "json", true, dice).await,
            Kind::Input => self.client.put(&path, "value", true, dice).await,
            Kind::User => self.client.generate(&path, "user", "overwrite").await,
            Kind::Shell => self.client.generate(&path, "ssh", "overwrite").await,
            Kind::Rsa => self.client.generate(&path, "rsa", "overwrite").await,
            _ => self.client.generate(&path, "password", "overwrite").await,
        };
        if kind.is_input() {
            world.want(name, |wanted| wanted.version = version);
        }
    }

    /// Puts another value into the source of an object.
    async fn feed(&self, name: &str, dice: &mut Dice) -> Result<()> {
        let world = &self.client.world;
        let (source, value) = (format!("{name}-source"), dice.text());
        world.journal.note(Entry::Source { path: world.path(name) });
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": source, "annotations": {"credsmith.dev/allow-adoption": "true"}},
            "stringData": {"key": value},
        });
        let params = PatchParams::apply("torture").force();
        let _: Secret = world.secrets().patch(&source, &params, &Patch::Apply(&secret)).await.context("a source")?;
        world.want(name, |wanted| wanted.source = Some(hashed(&value)));
        Ok(())
    }
}

async fn make(world: &World, name: &str, kind: Kind, dice: &mut Dice) -> Result<()> {
    let spec = match kind {
        Kind::Password => json!({"type": "password", "password": {"length": 20 + dice.below(20)}}),
        Kind::User => json!({"type": "user", "user": {"username": name}}),
        Kind::Sourced => {
            json!({"type": "value", "value": {"fromSecret": {"name": format!("{name}-source"), "key": "key"}}})
        }
        Kind::Input => json!({"type": "value"}),
        Kind::Document => json!({"type": "json"}),
        _ => keys::spec(kind),
    };
    let object = json!({
        "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": name}, "spec": spec,
    });
    let made = world.credentials().create(&PostParams::default(), &serde_json::from_value(object)?).await;
    let made = made.with_context(|| format!("making {name}"))?;
    let before = world.wanted(name);
    let (version, source) = before.map(|before| (before.version, before.source)).unwrap_or_default();
    let generation = made.metadata.generation.unwrap_or_default();
    world.begin_to_want(name, Wanted { kind, uid: made.uid(), generation, rotate: None, version, source });
    if kind == Kind::Sourced && world.wanted(name).is_some_and(|wanted| wanted.source.is_none()) {
        let source = world.secrets().get(&format!("{name}-source")).await?;
        let value = source.data.and_then(|data| data.get("key").map(|value| hashed(&value.0)));
        world.want(name, |wanted| wanted.source = value);
    }
    Ok(())
}

async fn delete(world: &World, name: &str) -> Result<()> {
    world.want(name, |wanted| wanted.uid = None);
    world.credentials().delete(name, &DeleteParams::background()).await.with_context(|| format!("deleting {name}"))?;
    Ok(())
}

async fn rotate(world: &World, name: &str, dice: &mut Dice) -> Result<()> {
    let text = dice.text();
    world.journal.note(Entry::Rotation { path: world.path(name) });
    world.want(name, |wanted| wanted.rotate = Some(text.clone()));
    edit(world, name, json!({"metadata": {"annotations": {"credsmith.dev/rotate-at": text}}})).await
}

async fn edit(world: &World, name: &str, change: Value) -> Result<()> {
    let change = Patch::Merge(&change);
    let edited: DynamicObject = world
        .credentials()
        .patch(name, &PatchParams::default(), &change)
        .await
        .with_context(|| format!("editing {name}"))?;
    world.want(name, |wanted| wanted.generation = edited.metadata.generation.unwrap_or_default());
    Ok(())
}

async fn drop_secret(world: &World, name: &str) -> Result<()> {
    match world.secrets().delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).with_context(|| format!("dropping the Secret of {name}")),
    }
}

fn names(hand: usize) -> Vec<(String, Kind)> {
    let name = |(at, kind): (usize, Kind)| (format!("object-{hand}-{at}"), kind);
    Kind::ALL.into_iter().chain([Kind::Password]).enumerate().map(name).collect()
}

const CLIENTS: usize = 4;
const HANDS: usize = 4;
/// Of each client.
const PATHS: usize = KINDS.len();
/// Of the values at its paths.
const KINDS: [&str; 8] = ["value", "json", "password", "user", "rsa", "ssh", "certificate", "json"];
const DATA: &str = "/api/v1/data";
