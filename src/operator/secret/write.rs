//! Writing a Secret: the fewest requests that bring it to what it should be, and none into a stranger's.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};

use super::{
    failure::{Failure, is_of_ending_namespace},
    seen::{Seen, SeenSecrets, is_ours, manager},
};
use crate::{
    credential::{
        spec::OnConflict,
        target::{CREDENTIAL, Desired, TargetPlan, forbidden},
    },
    sources::ALLOW_ADOPTION,
};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing was sent.
    InSync,
    Created,
    /// What we wanted had changed.
    Updated,
    /// What stood there had been changed by this field manager.
    Repaired {
        rival: String,
    },
    /// It was somebody else's, and the object said to take it.
    TookOver,
}

/// Why it could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret of that name is somebody else's. The text says whose, and what to do.
    #[error("{why}")]
    Conflict {
        why: String,
        /// UID and resource version of what was judged.
        revision: String,
    },
    /// Nothing can be written any more.
    #[error("the namespace is being deleted")]
    NamespaceTerminating,
    /// The API server did not take it.
    #[error(transparent)]
    Failed(Failure),
    /// The Secret that stands there keeps what would have to change: its type, or all of it, where somebody made it
    /// immutable.
    #[error("{0}")]
    Fixed(Failure),
    /// Somebody wrote it in between: look again.
    #[error("the Secret is being written by others")]
    Race,
    /// Nobody answered.
    #[error(transparent)]
    Kube(kube::Error),
}

/// Who writes, and for whom.
pub struct Writer<'a> {
    pub client: &'a Client,
    pub seen: &'a SeenSecrets,
    pub namespace: &'a str,
    pub object_uid: &'a str,
    /// The fingerprint that the object's status tells: what was written last.
    pub told: Option<&'a str>,
    /// Whether an object of that UID still exists.
    pub is_live: &'a (dyn Fn(&str) -> bool + Sync),
}

impl Writer<'_> {
    /// Brings the Secret to `desired`.
    pub async fn write(&self, plan: &TargetPlan, desired: &Desired) -> Result<Written, Error> {
        let controlled = !plan.retain;
        match self.seen.get(self.namespace, &plan.name) {
            Some(seen) if seen.in_sync(desired, self.object_uid, controlled) => Ok(Written::InSync),
            Some(seen) if seen.terminating => self.create(plan, desired).await,
            Some(seen) => self.change(plan, desired, &seen).await,
            None => self.create(plan, desired).await,
        }
    }

    /// Deletes a Secret of ours, unless it is another one by now.
    pub async fn delete(&self, name: &str, seen: &Seen) -> Result<(), Error> {
        self.remove(name, &seen.uid).await?;
        self.seen.drop(self.namespace, name);
        Ok(())
    }

    async fn create(&self, plan: &TargetPlan, desired: &Desired) -> Result<Written, Error> {
        match self.post(desired).await {
            Ok(()) => Ok(Written::Created),
            Err(error) if is(&error, 409) => {
                // It is there, and the watch does not show it: its label is gone, or it is a stranger's.
                let found = self.api().get_metadata_opt(&plan.name).await;
                let found = found.map_err(|error| translate(error, &plan.name, None))?.ok_or(Error::Race)?;
                self.change(plan, desired, &Seen::of(&found.metadata)).await
            }
            Err(error) => Err(translate(error, &plan.name, Some(&desired.secret))),
        }
    }

    async fn change(&self, plan: &TargetPlan, desired: &Desired, seen: &Seen) -> Result<Written, Error> {
        match self.whose(seen, desired) {
            Whose::Ours | Whose::OurPredecessors => {
                // The annotation alone does not tell: a stranger may have taken it off.
                let wanted = Some(desired.fingerprint.as_str());
                let repaired = seen.fingerprint.as_deref() == wanted || self.told == wanted;
                self.apply_or_make_anew(plan, desired, seen).await?;
                Ok(match (&seen.rival, repaired) {
                    (rival, true) => Written::Repaired {
                        rival: rival.clone().unwrap_or_else(|| "a client that left no name".into()),
                    },
                    (_, false) => Written::Updated,
                })
            }
            Whose::Strangers if seen.controller.is_some() => Err(seen.conflict(has_another_controller(&plan.name))),
            Whose::Strangers => match plan.on_conflict {
                OnConflict::Fail => Err(seen.conflict(is_not_ours(&plan.name))),
                OnConflict::Adopt => {
                    self.check_adoptable(plan, desired).await?;
                    self.apply(plan, desired, seen).await?;
                    Ok(Written::TookOver)
                }
                OnConflict::Overwrite => {
                    self.check_replaceable(plan, desired).await?;
                    self.remove(&plan.name, &seen.uid).await?;
                    self.post_in_place(plan, desired).await?;
                    Ok(Written::TookOver)
                }
            },
        }
    }

    fn whose(&self, seen: &Seen, desired: &Desired) -> Whose {
        // The fingerprint is keyed: where nothing else is left, it proves that the Secret was written for this object.
        let sealed = seen.controller.is_none() && seen.fingerprint.as_deref() == Some(&desired.fingerprint);
        let path = desired.secret.annotations().get(CREDENTIAL).map(String::as_str).unwrap_or_default();
        if sealed { Whose::Ours } else { whose(seen, self.object_uid, path, self.is_live) }
    }

    /// A Secret keeps its type for life, and all of it where somebody made it immutable: where ours is to change, it is made
    /// anew.
    async fn apply_or_make_anew(&self, plan: &TargetPlan, desired: &Desired, seen: &Seen) -> Result<(), Error> {
        match self.apply(plan, desired, seen).await {
            Err(Error::Fixed(_)) => {
                self.try_post(plan, desired).await?;
                self.remove(&plan.name, &seen.uid).await?;
                self.post_in_place(plan, desired).await
            }
            other => other,
        }
    }

    /// A stranger's Secret is adopted where it consents and holds the very bytes that are projected: as the first version
    /// came from it, or as if it had.
    async fn check_adoptable(&self, plan: &TargetPlan, desired: &Desired) -> Result<(), Error> {
        let name = &plan.name;
        let Some(found) = self.read(name).await? else { return Ok(()) };
        let seen = Seen::of(&found.metadata);
        if found.annotations().get(ALLOW_ADOPTION).is_none_or(|value| value != "true") {
            return Err(seen.conflict(format!(
                "Secret {name} does not allow it: kubectl annotate secret {name} {ALLOW_ADOPTION}=true"
            )));
        }
        if found.type_ != desired.secret.type_ {
            let secret_type = found.type_.as_deref().unwrap_or("Opaque");
            return Err(seen.conflict(format!(
                "Secret {name} has type {secret_type}, and a Secret keeps its type: set spec.target.type to {secret_type}"
            )));
        }
        let (held, wanted) = (found.data.unwrap_or_default(), desired.secret.data.as_ref());
        // A key that it lacks, such as a hash, is added; one that it holds must hold the same.
        let same = wanted.into_iter().flatten().all(|(key, bytes)| held.get(key).is_none_or(|held| held == bytes));
        if same {
            return Ok(());
        }
        Err(seen.conflict(format!(
            "Secret {name} exists and is not ours, and it cannot be adopted because the path has another value already: \
             delete it, or set spec.target.onConflict to Overwrite"
        )))
    }

    /// Before a stranger's Secret is deleted: it is of no type that gives rights, and ours will be taken in its place.
    async fn check_replaceable(&self, plan: &TargetPlan, desired: &Desired) -> Result<(), Error> {
        let name = &plan.name;
        if let Some(found) = self.read(name).await?
            && let Some(secret_type) = found.type_.as_deref().filter(|secret_type| forbidden(secret_type))
        {
            return Err(Seen::of(&found.metadata).conflict(is_never_replaced(name, secret_type)));
        }
        self.try_post(plan, desired).await
    }

    /// Asks whether the API server would take the Secret, under a name that is free.
    async fn try_post(&self, plan: &TargetPlan, desired: &Desired) -> Result<(), Error> {
        let mut trial = desired.secret.clone();
        trial.metadata.name = None;
        trial.metadata.generate_name = Some(format!("{}-", plan.name));
        let tried = self.api().create(&PostParams { dry_run: true, ..PostParams::default() }, &trial).await;
        tried.map(drop).map_err(|error| translate(error, &plan.name, Some(&desired.secret)))
    }

    async fn post_in_place(&self, plan: &TargetPlan, desired: &Desired) -> Result<(), Error> {
        self.post(desired).await.map_err(|error| translate(error, &plan.name, Some(&desired.secret)))
    }

    async fn read(&self, name: &str) -> Result<Option<Secret>, Error> {
        self.api().get_opt(name).await.map_err(|error| translate(error, name, None))
    }

    async fn post(&self, desired: &Desired) -> Result<(), kube::Error> {
        let params = PostParams { field_manager: Some(manager(self.object_uid)), ..PostParams::default() };
        let body = serde_json::to_vec(&desired.secret).map_err(kube::Error::SerdeError)?;
        let url = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        let mut request = kube::core::Request::new(url).create(&params, body).map_err(kube::Error::BuildRequest)?;
        // Only the metadata is wanted back: the values need not travel twice.
        request.headers_mut().insert("accept", METADATA_ONLY.parse().expect("a valid header"));
        let made: PartialObjectMeta<Secret> = self.client.request(request).await?;
        self.seen.tell(&made.metadata);
        Ok(())
    }

    async fn apply(&self, plan: &TargetPlan, desired: &Desired, seen: &Seen) -> Result<(), Error> {
        if !seen.owned.is_some_and(|owned| owned.applied) || !seen.belongs_to(self.object_uid) {
            self.take_over_fields(&plan.name).await?;
        }
        let params = PatchParams::apply(&manager(self.object_uid)).force();
        let body = applied(&desired.secret);
        let result = self.api().patch_metadata(&plan.name, &params, &Patch::Apply(&body)).await;
        match result {
            Ok(changed) => {
                self.seen.tell(&changed.metadata);
                Ok(())
            }
            Err(error) if is(&error, 404) => self.post_in_place(plan, desired).await,
            Err(error) => Err(translate(error, &plan.name, Some(&desired.secret))),
        }
    }

    /// A create leaves an *Update* entry, and an object before us left one of its own: either would go on owning keys
    /// that an apply drops, so that they would never disappear. Both become our *Apply* entry before the first apply.
    async fn take_over_fields(&self, name: &str) -> Result<(), Error> {
        let found = self.api().get_metadata_opt(name).await.map_err(|error| translate(error, name, None))?;
        let Some(found) = found else { return Ok(()) };
        let mut entries = serde_json::to_value(found.metadata.managed_fields).unwrap_or_default();
        let Some(entry) = pick(&mut entries) else { return Ok(()) };
        entry["manager"] = json!(manager(self.object_uid));
        entry["operation"] = json!("Apply");
        // The resource version makes it a condition: whoever wrote in between is seen first.
        let revision = found.metadata.resource_version;
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": revision, "managedFields": entries}}));
        let changed = self.api().patch_metadata(name, &PatchParams::default(), &patch).await;
        let changed = changed.map_err(|error| translate(error, name, None))?;
        self.seen.tell(&changed.metadata);
        Ok(())
    }

    async fn remove(&self, name: &str, uid: &str) -> Result<(), Error> {
        let preconditions = Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        match self.api().delete(name, &params).await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, 404) || is(&error, 409) => Ok(()),
            Err(error) => Err(translate(error, name, None)),
        }
    }

    fn api(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace)
    }
}

impl Seen {
    /// It is not ours to write, as it stands now.
    fn conflict(&self, why: String) -> Error {
        Error::Conflict { why, revision: format!("{}/{}", self.uid, self.revision) }
    }
}

/// To whom a Secret belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Ours,
    OurPredecessors,
    Strangers,
}

/// Whose a Secret is, for the object with that UID and path.
pub fn whose(seen: &Seen, object_uid: &str, path: &str, is_live: &(dyn Fn(&str) -> bool + Sync)) -> Whose {
    if seen.belongs_to(object_uid) || seen.controller.as_deref() == Some(object_uid) {
        return Whose::Ours;
    }
    // An object of this path that is gone left it: identity is the path, not the object.
    let left = seen.owner_uid.as_deref().is_some_and(|uid| !is_live(uid));
    let free = seen.controller.as_deref().is_none_or(|uid| seen.owner_uid.as_deref() == Some(uid));
    let same = seen.path.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(path));
    if left && free && same { Whose::OurPredecessors } else { Whose::Strangers }
}

/// What to say of a stranger's Secret that has a controller.
pub fn has_another_controller(name: &str) -> String {
    format!("Secret {name} has another controller, and is never taken from it: choose another spec.target.name")
}

/// What to say of a stranger's Secret where the object does not say to take it.
pub fn is_not_ours(name: &str) -> String {
    format!(
        "Secret {name} exists and is not ours: delete it, choose another spec.target.name, or set spec.target.onConflict to \
         Adopt or Overwrite"
    )
}

/// What to say of a stranger's Secret of a type that gives rights.
pub fn is_never_replaced(name: &str, secret_type: &str) -> String {
    format!("Secret {name} has type {secret_type}, and is never replaced: choose another spec.target.name")
}

/// The entry that is to become ours: an *Apply* entry of an object before us, else the *Update* entry of a create.
/// `None` where there is neither, as on a stranger's Secret.
fn pick(entries: &mut Value) -> Option<&mut Value> {
    let entries = entries.as_array_mut()?;
    let ours =
        |entry: &&mut Value| entry["manager"].as_str().is_some_and(is_ours) && entry.get("subresource").is_none();
    let rank = |entry: &&mut Value| entry["operation"] == "Apply";
    entries.iter_mut().filter(ours).max_by_key(rank)
}

/// What an apply sends: kind and version beside the object, and no name of a namespace in question.
fn applied(secret: &Secret) -> Value {
    let mut body = serde_json::to_value(secret).unwrap_or_default();
    body["apiVersion"] = json!("v1");
    body["kind"] = json!("Secret");
    body
}

fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// What an error of the API server means for the Secret `name`; the values of `desired` are kept out of the text.
fn translate(error: kube::Error, name: &str, desired: Option<&Secret>) -> Error {
    if is_of_ending_namespace(&error) {
        return Error::NamespaceTerminating;
    }
    let kube::Error::Api(status) = &error else { return Error::Kube(error) };
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    match status.code {
        409 => Error::Race,
        422 if causes.any(|cause| cause.field == "type" || cause.message.contains(IMMUTABLE)) => {
            Error::Fixed(Failure::of(name, status, desired))
        }
        _ => Error::Failed(Failure::of(name, status, desired)),
    }
}

/// What the API server says of each field that would change in a Secret with `immutable: true`.
const IMMUTABLE: &str = "field is immutable when `immutable` is set";
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
