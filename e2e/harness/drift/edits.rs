//! What strangers do to Secrets, and how a repair is told.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{follow::revision, requests::Key};

/// The sorts of edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Read, change, PUT.
    Update,
    /// A server-side apply that takes the key by force.
    Apply,
    /// The same as the first, while the operator does not run.
    WhileDown,
    /// Our labels are taken off.
    Label,
    /// A key is taken away.
    DroppedKey,
}

/// How many of each sort there are beside 2,000 Secrets, in the order in which they are made.
pub const MIX: [(Kind, usize); 5] =
    [(Kind::Update, 100), (Kind::Apply, 100), (Kind::Label, 20), (Kind::DroppedKey, 10), (Kind::WhileDown, 20)];

/// One edit that was made.
#[derive(Clone, Debug)]
pub struct Edit {
    pub kind: Kind,
    pub key: Key,
    /// When the API server had answered.
    pub answered: Instant,
    /// Of the Secret as it was answered.
    pub revision: u64,
}

impl Kind {
    /// Under which name a stranger makes such an edit.
    pub fn manager(self) -> &'static str {
        match self {
            Self::Update => "curious-colleague",
            Self::Apply => "other-tool",
            Self::WhileDown => "night-shift",
            Self::Label => "label-cleaner",
            Self::DroppedKey => "key-dropper",
        }
    }

    /// Whether the API server remembers who it was: whoever only takes away owns nothing in the managed fields.
    pub fn leaves_a_name(self) -> bool {
        matches!(self, Self::Update | Self::Apply | Self::WhileDown)
    }

    /// Makes the edit; `nth` of its kind, for a little variety.
    pub async fn make(self, client: &Client, key: Key, nth: usize) -> Result<Edit> {
        let api: Api<Secret> = Api::namespaced(client.clone(), &key.0);
        let edited = match self {
            Self::Apply => self.apply(&api, &key.1).await,
            _ => self.put(&api, &key.1, nth).await,
        };
        let edited = edited.with_context(|| format!("the edit {self:?} of {}/{}", key.0, key.1))?;
        Ok(Edit { kind: self, key, answered: Instant::now(), revision: revision(&edited) })
    }

    async fn apply(self, api: &Api<Secret>, name: &str) -> Result<Secret> {
        let part = first_key(&api.get(name).await?)?;
        let params = PatchParams::apply(self.manager()).force();
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "data": {part: STANDARD.encode(STRANGE)},
        });
        Ok(api.patch(name, &params, &Patch::Apply(&body)).await?)
    }

    async fn put(self, api: &Api<Secret>, name: &str, nth: usize) -> Result<Secret> {
        let mut secret = api.get(name).await?;
        let part = first_key(&secret)?;
        match self {
            Self::Label => {
                let gone: &[_] = match nth % 3 {
                    0 => &[MANAGED],
                    1 => &[OWNER_UID],
                    _ => &[MANAGED, OWNER_UID],
                };
                secret.labels_mut().retain(|label, _| !gone.contains(&label.as_str()));
            }
            Self::DroppedKey => {
                secret.data.get_or_insert_default().remove(&part);
            }
            _ => {
                let part = secret.data.iter().flatten().map(|(key, _)| key.clone()).cycle().nth(nth).unwrap_or(part);
                secret.data.get_or_insert_default().insert(part, ByteString(STRANGE.into()));
                // Every fifth comes from somebody who leaves out what they do not know.
                if nth % 5 == 4 {
                    secret.annotations_mut().clear();
                }
            }
        }
        let params = PostParams { field_manager: Some(self.manager().into()), ..PostParams::default() };
        Ok(api.replace(name, &params, &secret).await?)
    }
}

/// Whether a Secret is what it was before, byte by byte, and our field manager owns every key of it and no other.
pub fn is_right(now: &Secret, before: &Secret) -> bool {
    let same = now.data == before.data
        && now.type_ == before.type_
        && now.labels() == before.labels()
        && now.annotations() == before.annotations()
        && now.owner_references() == before.owner_references();
    let Some(uid) = now.labels().get(OWNER_UID) else { return false };
    let ours = format!("credsmith/{}", uid.get(..8).unwrap_or(uid));
    let keys: BTreeSet<_> = now.data.iter().flatten().map(|(key, _)| format!("f:{key}")).collect();
    let (mine, others): (Vec<_>, Vec<_>) =
        now.managed_fields().iter().partition(|entry| entry.manager.as_deref() == Some(&ours));
    same && mine.iter().any(|entry| owned(entry) == keys) && others.iter().all(|entry| owned(entry).is_empty())
}

fn owned(entry: &ManagedFieldsEntry) -> BTreeSet<String> {
    let data = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data")).and_then(|data| data.as_object());
    data.into_iter().flatten().map(|(key, _)| key.clone()).filter(|key| key.starts_with("f:")).collect()
}

fn first_key(secret: &Secret) -> Result<String> {
    let key = secret.data.iter().flatten().map(|(key, _)| key.clone()).next();
    key.context("a Secret without a key")
}

const MANAGED: &str = "credsmith.dev/managed";
const OWNER_UID: &str = "credsmith.dev/owner-uid";
const STRANGE: &[u8] = b"what a stranger wrote";
