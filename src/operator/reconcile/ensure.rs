//! From a plan to the use case: reads the sources that have to be read, and no others.

use std::sync::Arc;

use aws_lc_rs::digest;
use credsmith_core::{
    domain::{NamespaceUid, ObjectUid, RequestId},
    hub::{self, Caller, Ensured, Given, Wanted, WantedOrigin},
    store::CredentialRow,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};

use super::{Error, ROTATE_AT};
use crate::{
    context::Context,
    credential::{
        Credential,
        parse::{Origin, Plan, Source},
        spec::OnConflict,
        target::{Keys, TargetPlan, forbidden},
    },
    index::Key,
    namespaces,
    secret::{
        seen::Seen,
        write::{self, Whose},
    },
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
    /// A Secret of somebody else stands where ours should, and it is not to be taken, or its bytes cannot become version 1.
    /// Nothing was made.
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
    let (ensured, source_problem, source_revision) = match (look.target().await?, &plan.origin) {
        (Stands::InTheWay(why), _) => (look.only_claim(why).await?, None, None),
        (Stands::ToAdopt(given), Origin::Generate(parameters)) => {
            (look.ensure(WantedOrigin::Adopt(parameters.clone(), Some(given))).await?, None, None)
        }
        (Stands::ToAdopt(given), _) => (look.ensure(WantedOrigin::Source(Some(given))).await?, None, None),
        (Stands::Nothing, Origin::Generate(parameters)) => {
            (look.ensure(WantedOrigin::Generate(parameters.clone())).await?, None, None)
        }
        (Stands::Nothing, Origin::Input) => (look.ensure(WantedOrigin::Input).await?, None, None),
        (Stands::Nothing, Origin::Source(source)) => look.follow(source).await?,
        (Stands::Nothing, Origin::Adopt(parameters, source)) => {
            let first = |given| WantedOrigin::Adopt(parameters.clone(), given);
            look.import(source, first, || WantedOrigin::Generate(parameters.clone())).await?
        }
        (Stands::Nothing, Origin::AdoptInput(source)) => {
            look.import(source, WantedOrigin::Source, || WantedOrigin::Input).await?
        }
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

/// What stands where our Secret is to be, before there is a version.
enum Stands {
    /// Nothing, or what will be replaced.
    Nothing,
    /// A stranger's Secret whose bytes become version 1.
    ToAdopt(Given),
    /// A stranger's Secret that is not ours to take: whatever is made now could not be projected, and once there is a version
    /// the bytes of that Secret could never become one.
    InTheWay(String),
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

    /// Looks at the place of our Secret, while there is no version.
    async fn target(&self) -> Result<Stands, Error> {
        let Some(target) = self.plan.target.as_ref().filter(|_| self.is_new) else { return Ok(Stands::Nothing) };
        let Some(stranger) = self.stranger(target).await? else { return Ok(Stands::Nothing) };
        let (name, namespace) = (&target.name, self.name_of_namespace());
        // Watched, so that the object wakes when that Secret goes, or consents. Where the watch does not show it, one of the two
        // is late: look again.
        let seen = self.context.sources.observe(&namespace, name, &self.key()).await.ok_or(Error::Race)?;
        if stranger.controller.is_some() {
            return Ok(Stands::InTheWay(write::has_another_controller(name)));
        }
        match target.on_conflict {
            OnConflict::Fail => Ok(Stands::InTheWay(write::is_not_ours(name))),
            OnConflict::Overwrite => {
                let secrets: Api<Secret> = Api::namespaced(self.context.client.clone(), &namespace);
                let secret_type = secrets.get_opt(name).await?.and_then(|found| found.type_).unwrap_or_default();
                Ok(match forbidden(&secret_type) {
                    true => Stands::InTheWay(write::is_never_replaced(name, &secret_type)),
                    false => Stands::Nothing,
                })
            }
            OnConflict::Adopt => self.adopted(target, seen.allowed).await,
        }
    }

    /// The Secret of somebody else that stands where ours should.
    async fn stranger(&self, target: &TargetPlan) -> Result<Option<Seen>, Error> {
        let (context, namespace) = (self.context, self.name_of_namespace());
        let known = context.secrets.get(&namespace, &target.name);
        let seen = match known {
            Some(seen) => Some(seen),
            None => {
                let (place, now) = ((namespace.as_str(), target.name.as_str()), context.hub.clock.now());
                context.taken.find(&context.client, &context.sources, place, now).await?
            }
        };
        let uid = self.object.uid().unwrap_or_default();
        let is_live = |uid: &str| context.index.is_live(uid);
        Ok(seen.filter(|seen| write::whose(seen, &uid, self.plan.name.as_str(), &is_live) == Whose::Strangers))
    }

    /// The bytes of a stranger's Secret that the object says to adopt.
    async fn adopted(&self, target: &TargetPlan, allowed: bool) -> Result<Stands, Error> {
        let keys = match &target.keys {
            Keys::Mapped(keys) => keys.iter().map(|(key, part)| (part.clone(), key.clone())).collect(),
            Keys::All | Keys::Expand => {
                target.key_names(self.plan.kind).into_iter().map(|key| (key.clone(), key)).collect()
            }
        };
        let source = Source { name: target.name.clone(), keys, field: "spec.target.onConflict Adopt" };
        if !allowed {
            return Ok(Stands::InTheWay(not_allowed(&source).to_string()));
        }
        if !matches!(self.plan.origin, Origin::Generate(_) | Origin::Input) {
            // The value comes from elsewhere, and has to be the same.
            return Ok(Stands::Nothing);
        }
        match self.context.sources.read(&self.name_of_namespace(), &source, self.plan.kind).await {
            Ok((given, _)) => Ok(Stands::ToAdopt(given)),
            Err(sources::Error::Unusable(why)) => Ok(Stands::InTheWay(why)),
            Err(sources::Error::Kube(error)) => Err(error.into()),
        }
    }

    /// Takes the path and makes nothing.
    async fn only_claim(&self, why: String) -> Result<State, Error> {
        match self.ensure(WantedOrigin::Source(None)).await? {
            State::Known(Ensured::WaitingForInput(_)) => Ok(State::TargetInTheWay(why)),
            other => Ok(other),
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
