//! From a plan to the use case: reads the sources that have to be read, and no others.

use std::sync::Arc;

use aws_lc_rs::digest;
use credsmith_core::{
    domain::{NamespaceUid, ObjectUid, RequestId},
    hub::{self, Caller, Ensured, Given, Wanted, WantedOrigin},
    store::CredentialRow,
};
use kube::ResourceExt;

use super::{Error, ROTATE_AT};
use crate::{
    context::Context,
    credential::{
        Credential,
        parse::{Origin, Plan, Source},
        spec::OnConflict,
        target::Keys,
    },
    index::Key,
    namespaces,
    sources::{self, missing, not_allowed},
};

/// What the use case found, and what the sources said.
#[derive(Debug)]
pub struct Found {
    pub ensured: State,
    /// Why the source gives nothing, if so.
    pub source_problem: Option<String>,
    /// The revision of the source that the newest version stands for.
    pub source_revision: Option<String>,
    /// The annotation that asked for a rotation, if it stands there.
    pub request: Option<Asked>,
}

/// A request by annotation: its text, and the name under which the store remembers it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub text: String,
    pub id: RequestId,
}

/// The answer of the use case, or why it was not asked.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a look, and it is taken apart at once")]
pub enum State {
    Known(Ensured),
    /// The path holds a credential of another type.
    OtherKind(String),
    /// A Secret stands where ours should, and its bytes cannot become version 1. Nothing was made.
    TargetInTheWay(String),
}

/// Makes true what the plan says about the value.
pub async fn ensure(
    object: &Arc<Credential>,
    plan: &Plan,
    namespace: &namespaces::Seen,
    caller: &Caller,
    context: &Arc<Context>,
) -> Result<Found, Error> {
    let request = object.annotations().get(ROTATE_AT);
    let request = request.map(|text| Asked { text: text.clone(), id: request_id(plan.name.folded(), text) });
    let row = context.hub.store.credential(&plan.name).await.map_err(hub::Error::from)?;
    let refreshed;
    let namespace = if takes_over(object, row.as_ref()) {
        // A watch that lags behind a namespace that was made again must not hand it the values of the one before.
        refreshed = context.namespaces.refresh(&context.client, &object.namespace().unwrap_or_default()).await?;
        refreshed.as_ref().unwrap_or(namespace)
    } else {
        namespace
    };
    // Should the first version come in between, then the use case sees it.
    let is_new = row.is_none_or(|row| row.newest.is_none());
    let look = Look { object, plan, namespace, caller, context, is_new, request: request.as_ref() };
    let (ensured, source_problem, source_revision) = match &plan.origin {
        Origin::Generate(parameters) => match look.target_to_adopt().await? {
            TargetToAdopt::Nothing => (look.ensure(WantedOrigin::Generate(parameters.clone())).await?, None, None),
            TargetToAdopt::Bytes(given) => {
                (look.ensure(WantedOrigin::Adopt(parameters.clone(), Some(given))).await?, None, None)
            }
            TargetToAdopt::Unusable(why) => (State::TargetInTheWay(why), None, None),
        },
        Origin::Input => match look.target_to_adopt().await? {
            TargetToAdopt::Nothing => (look.ensure(WantedOrigin::Input).await?, None, None),
            TargetToAdopt::Bytes(given) => (look.ensure(WantedOrigin::Source(Some(given))).await?, None, None),
            TargetToAdopt::Unusable(why) => (State::TargetInTheWay(why), None, None),
        },
        Origin::Source(source) => look.follow(source).await?,
        Origin::Adopt(parameters, source) => {
            let first = |given| WantedOrigin::Adopt(parameters.clone(), given);
            look.import(source, first, || WantedOrigin::Generate(parameters.clone())).await?
        }
        Origin::AdoptInput(source) => look.import(source, WantedOrigin::Source, || WantedOrigin::Input).await?,
    };
    Ok(Found { ensured, source_problem, source_revision, request })
}

struct Look<'a> {
    object: &'a Arc<Credential>,
    plan: &'a Plan,
    namespace: &'a namespaces::Seen,
    caller: &'a Caller,
    context: &'a Arc<Context>,
    /// Whether the path has no version.
    is_new: bool,
    request: Option<&'a Asked>,
}

/// Whether the Secret that stands in the place of ours can become version 1.
enum TargetToAdopt {
    Nothing,
    Bytes(Given),
    Unusable(String),
}

/// State, what the source said, and the revision that was read.
type Followed = (State, Option<String>, Option<String>);

impl Look<'_> {
    async fn ensure(&self, origin: WantedOrigin) -> Result<State, Error> {
        let object = self.object;
        let wanted = Wanted {
            name: self.plan.name.clone(),
            kind: self.plan.kind,
            origin,
            request: self.request.map(|asked| asked.id.clone()),
            api_writes: self.plan.api_writes,
            object: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
            object_uid: ObjectUid::new(object.uid().unwrap_or_default()),
            namespace_uid: NamespaceUid::new(self.namespace.uid.clone()),
            inherits: self.namespace.inherits.clone(),
            never_adopt: self.plan.never_adopt,
            rotation: self.plan.rotation,
        };
        let result = self.context.hub.ensure(self.caller, wanted, self.context.as_ref()).await;
        match result {
            Ok(ensured) => Ok(State::Known(ensured)),
            Err(error @ hub::Error::OtherKind(_)) => Ok(State::OtherKind(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// A source that is followed: read where its revision is news, or where there is no version yet.
    async fn follow(&self, source: &Source) -> Result<Followed, Error> {
        let seen = self.context.sources.observe(&self.name_of_namespace(), &source.name, &self.key()).await;
        let known = self.object.status.as_ref().and_then(|status| status.source_revision.clone());
        let Some(seen) = seen else {
            let problem = missing(source).to_string();
            return Ok((self.ensure(WantedOrigin::Source(None)).await?, Some(problem), known));
        };
        if !seen.allowed {
            let problem = not_allowed(source).to_string();
            return Ok((self.ensure(WantedOrigin::Source(None)).await?, Some(problem), known));
        }
        if known.as_ref() == Some(&source.mark(&seen.revision)) {
            let state = self.ensure(WantedOrigin::Source(None)).await?;
            if !matches!(state, State::Known(Ensured::WaitingForInput(_))) {
                return Ok((state, None, known));
            }
        }
        match self.context.sources.read(&self.name_of_namespace(), source, self.plan.kind).await {
            Ok((given, revision)) => match self.ensure(WantedOrigin::Source(Some(given))).await {
                Ok(state) => Ok((state, None, Some(source.mark(&revision)))),
                Err(error) => {
                    let problem = unusable(source, error)?;
                    // Read, and found wanting: it is not read again until it changes.
                    let state = self.ensure(WantedOrigin::Source(None)).await?;
                    Ok((state, Some(problem), known))
                }
            },
            Err(sources::Error::Unusable(problem)) => {
                Ok((self.ensure(WantedOrigin::Source(None)).await?, Some(problem), known))
            }
            Err(sources::Error::Kube(error)) => Err(error.into()),
        }
    }

    /// A source that is read once, while there is no version.
    async fn import(
        &self,
        source: &Source,
        while_new: impl Fn(Option<Given>) -> WantedOrigin,
        afterwards: impl Fn() -> WantedOrigin,
    ) -> Result<Followed, Error> {
        if !self.is_new {
            return Ok((self.ensure(afterwards()).await?, None, None));
        }
        // Watched only while it is missing: it wakes the object when it comes.
        let seen = self.context.sources.observe(&self.name_of_namespace(), &source.name, &self.key()).await;
        let refusal = match seen {
            None => Some(missing(source)),
            Some(seen) if !seen.allowed => Some(not_allowed(source)),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            return Ok((self.ensure(while_new(None)).await?, Some(refusal.to_string()), None));
        }
        match self.context.sources.read(&self.name_of_namespace(), source, self.plan.kind).await {
            Ok((given, _)) => match self.ensure(while_new(Some(given))).await {
                Ok(state) => Ok((state, None, None)),
                Err(error) => {
                    let problem = unusable(source, error)?;
                    Ok((self.ensure(while_new(None)).await?, Some(problem), None))
                }
            },
            Err(sources::Error::Unusable(problem)) => Ok((self.ensure(while_new(None)).await?, Some(problem), None)),
            Err(sources::Error::Kube(error)) => Err(error.into()),
        }
    }

    /// The bytes of a Secret that stands where ours should, where the object says to adopt it and there is no version.
    async fn target_to_adopt(&self) -> Result<TargetToAdopt, Error> {
        let Some(target) = &self.plan.target else { return Ok(TargetToAdopt::Nothing) };
        let namespace = self.name_of_namespace();
        let is_ours = self.context.secrets.get(&namespace, &target.name).is_some();
        if target.on_conflict != OnConflict::Adopt || is_ours || !self.is_new {
            return Ok(TargetToAdopt::Nothing);
        }
        // Watched, so that a consent given later wakes the object.
        let seen = self.context.sources.observe(&namespace, &target.name, &self.key()).await;
        let Some(seen) = seen else { return Ok(TargetToAdopt::Nothing) };
        let keys = match &target.keys {
            Keys::Mapped(keys) => keys.iter().map(|(key, part)| (part.clone(), key.clone())).collect(),
            Keys::All | Keys::Expand => {
                target.key_names(self.plan.kind).into_iter().map(|key| (key.clone(), key)).collect()
            }
        };
        let source = Source { name: target.name.clone(), keys, field: "spec.target.onConflict Adopt" };
        if !seen.allowed {
            return Ok(TargetToAdopt::Unusable(not_allowed(&source).to_string()));
        }
        match self.context.sources.read(&namespace, &source, self.plan.kind).await {
            Ok((given, _)) => Ok(TargetToAdopt::Bytes(given)),
            Err(sources::Error::Unusable(why)) => Ok(TargetToAdopt::Unusable(why)),
            Err(sources::Error::Kube(error)) => Err(error.into()),
        }
    }

    fn name_of_namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }

    fn key(&self) -> Key {
        Key::new(&self.object.name_any()).within(&self.name_of_namespace())
    }
}

/// What is wrong with the content of a source, where that is what is wrong: with field, Secret, key and next step.
fn unusable(source: &Source, error: Error) -> Result<String, Error> {
    let Error::Hub(why @ (hub::Error::Invalid(_) | hub::Error::TooLarge)) = error else { return Err(error) };
    let keys: Vec<_> = source.keys.values().map(String::as_str).collect();
    let (field, name, keys) = (source.field, &source.name, keys.join(" and "));
    Ok(format!("{field}: key {keys} of Secret {name} cannot be used: {why}"))
}

/// Whether there are versions at the path that the object does not have yet.
fn takes_over(object: &Credential, row: Option<&CredentialRow>) -> bool {
    let uid = object.uid().unwrap_or_default();
    row.is_some_and(|row| {
        row.newest.is_some() && row.owner.object.as_ref().is_none_or(|owner| owner.uid.as_str() != uid)
    })
}

/// A request by annotation: the same text on the same path is the same request, for ever.
fn request_id(path: &str, value: &str) -> RequestId {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in ["rotate-at", path, value] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let hex: String = context.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    RequestId::new(format!("rotate-at:{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_by_path_and_text() {
        assert_eq!(request_id("/a", "1"), request_id("/a", "1"));
        assert_ne!(request_id("/a", "1"), request_id("/a", "2"));
        assert_ne!(request_id("/a", "1"), request_id("/b", "1"));
        assert_ne!(request_id("/a", "b1"), request_id("/ab", "1"));
    }
}
