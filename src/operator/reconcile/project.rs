//! From what the use case found to the Secret, and to what is said of both.

use std::{sync::Arc, time::Duration};

use credsmith_core::{
    domain::{
        ObjectUid, Reason, SecretText,
        ownership::{Foreign, INHERITS_API},
        parameters::{MODEL, ParametersOf},
        rotation::ByTime,
        schedule::Turn,
    },
    hub::{Ensured, SignerFault, Version},
};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use kube_runtime::events::{Event, EventType};

use super::{
    Again, Error,
    before::Before,
    ensure::{Found, State},
    outcome::{Outcome, Said, event},
    validity::{self, Validity},
    version::{Facts, facts, generated, met, rotation_due},
};
use crate::{
    context::Context,
    credential::{
        Credential,
        parse::Plan,
        target::{Belongs, TargetPlan, desired_secret},
    },
    index::Key,
    namespaces::INHERITS,
    pace::Pace,
    secret::{
        failure::Failure,
        write::{self, Writer, Written},
    },
};

/// Writes the Secret where there is a version, and says how everything stands.
pub async fn project(
    object: &Arc<Credential>,
    plan: &Plan,
    found: Found,
    context: &Arc<Context>,
) -> Result<Outcome, Error> {
    let Found { ensured, source_problem, source_revision, request } = found;
    let (version, credential, made, adopted, kept, introduced, overdue) = match ensured {
        State::Known(Ensured::Ready { version, credential, made, adopted, kept, introduced, overdue }) => {
            (version, credential, made, adopted, kept, introduced, overdue)
        }
        State::Known(Ensured::WaitingForInput(_)) => return Ok(waiting_for_input(plan, source_problem)),
        State::Known(Ensured::WaitingForSigner(fault)) => {
            let message = format!("{}; it is signed as soon as that one can", in_words(&fault));
            return Ok(Outcome::waiting("WaitingForSigner", message));
        }
        State::Known(Ensured::PathOwned(other)) => {
            let message = format!(
                "the path {} belongs to the Credential {other}: choose another spec.path, or delete that object",
                plan.name
            );
            return Ok(Outcome::waiting("PathOwned", message));
        }
        State::Known(Ensured::NeedsApproval(foreign)) => return Ok(needs_approval(object, plan, &foreign)),
        State::OtherKind(why) => {
            return Ok(Outcome::stalled("InvalidSpec", format!("spec.type {} at {}: {why}", plan.kind, plan.name)));
        }
        // The Secret is watched already: it wakes the object.
        State::TargetInTheWay(why) => {
            let name = plan.target.as_ref().map(|target| target.name.as_str()).unwrap_or_default();
            return Ok(Outcome::conflict(object, name, why).later(Pace::Safety));
        }
    };
    let (namespace, uid) = (object.namespace().unwrap_or_default(), object.uid().unwrap_or_default());
    remember(plan, &version, made, adopted, introduced, |event| context.untold.add(&uid, event));
    let now = context.hub.clock.now();
    let validity = Validity::of(&version, &credential, introduced.is_some(), &context.hub).await?;
    look_again(object, kept.turn, validity.as_ref(), now, context);
    let before = Before::of(object);
    let adopted = adopted || before.adopted(version.row.id) || context.untold.holds(&uid, "Adopted");
    let met = met(kept, request.as_ref(), &version);
    let facts = |fingerprint| {
        let facts =
            facts(&version, &credential, plan, adopted, fingerprint, met.clone(), source_revision.clone(), kept.turn);
        Facts { certificate: validity.as_ref().map(|validity| validity.status.clone()), ..facts }
    };
    let key = Key::new(&object.name_any()).within(&namespace);
    let is_held = kept.turn == Turn::NeedsSteps;
    if is_held {
        context.held.insert(key)
    } else {
        context.held.remove(&key)
    }
    let overdue = overdue.map(|fault| in_words(&fault));
    let dress = |outcome: Outcome| {
        let rotation = rotation_due(kept, request.as_ref(), &version, &credential, overdue.as_deref());
        let generated = generated(&version, kept, adopted).with_message(cut(plan, validity.as_ref()));
        let outcome = outcome.with_generated(generated).with_rotation(rotation);
        // What it signed may simply expire, which nobody tells.
        let outcome = if is_held && outcome.again == Again::OnChange { outcome.later(Pace::Safety) } else { outcome };
        match &validity {
            Some(validity) => with_validity(outcome, object, plan, &validity.expiring(now), overdue.as_deref()),
            None => outcome,
        }
    };
    let is_live = |uid: &str| context.index.is_live(uid);
    let written = before.written().map(str::to_owned);
    let writer = Writer {
        client: &context.client,
        seen: &context.secrets,
        namespace: &namespace,
        object_uid: &uid,
        told: written.as_deref(),
        is_live: &is_live,
    };
    let Some(target) = &plan.target else {
        let leaving = context.secrets.others_of(&namespace, &uid, None);
        let leaving = leaving.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        let outcome = match in_time(leaving, remove_others(context, &writer, None)).await {
            Ok(()) => {
                let said = Said { status: true, reason: "NotRequested", message: "spec.target.disabled".into() };
                Outcome::ready("StoredOnly", served_without_source(source_problem, &version)).with_projected(said)
            }
            Err(error) => match not_written(object, None, error, context).await? {
                Some(outcome) => outcome,
                None => return Ok(Outcome::silent()),
            },
        };
        return Ok(dress(outcome).with_facts(facts(None)));
    };
    let belongs = Belongs {
        namespace: &namespace,
        uid: &uid,
        path: credential.name.as_str(),
        owner: (!target.retain).then(|| object.controller_owner_ref(&())).flatten(),
    };
    let parts = parts(&version, context).await?;
    let desired = match desired_secret(target, &belongs, version.row.id, parts, &context.hub.keyring) {
        Ok(desired) => desired,
        Err(why) => {
            let said = Said { status: false, reason: "TemplateError", message: why.clone() };
            let outcome = Outcome::stalled("InvalidSpec", why).with_projected(said);
            return Ok(dress(outcome.with_target(&target.name, Some("InvalidSpec"))).with_facts(facts(written)));
        }
    };
    let all = async {
        let done = writer.write(target, &desired).await?;
        if matches!(done, Written::Repaired { .. }) {
            context.hub.metrics.drift_repaired.with_label_values(&[&namespace]).inc();
        }
        remove_others(context, &writer, Some(&target.name)).await?;
        Ok(done)
    };
    match in_time(&target.name, all).await {
        Ok(done) => {
            let message = served_without_source(source_problem, &version);
            Ok(dress(in_sync(object, target, &done, message)).with_facts(facts(Some(desired.fingerprint))))
        }
        Err(error) => {
            let Some(outcome) = not_written(object, Some(&target.name), error, context).await? else {
                return Ok(Outcome::silent());
            };
            // What was written last is still what was written last.
            Ok(dress(outcome).with_facts(facts(written)))
        }
    }
}

/// Keeps what is to be told of a version, before anything else can fail.
fn remember(plan: &Plan, version: &Version, made: bool, adopted: bool, introduced: Option<i64>, keep: impl Fn(Event)) {
    if let Some(number) = introduced {
        let note =
            format!("version {number} of {} is trusted beside version {}, which signs", plan.name, version.row.number);
        keep(event(EventType::Normal, "CAIntroduced", note));
    }
    if adopted {
        keep(event(EventType::Normal, "Adopted", format!("the versions at {} are this object's now", plan.name)));
    }
    if made && version.row.number > 1 {
        let note = format!("version {} ({})", version.row.number, version.row.reason);
        keep(event(EventType::Normal, "Rotated", note));
    }
}

/// The parts for the Secret: of a certificate, with what verifies it.
async fn parts(version: &Version, context: &Context) -> Result<Vec<(&'static str, SecretText)>, Error> {
    let Some(bundle) = context.hub.bundle(version).await? else { return Ok(version.value.parts()) };
    let parts = [("tls.crt", Some(bundle.certificate)), ("tls.key", bundle.private_key), ("ca.crt", bundle.ca)];
    Ok(parts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect())
}

/// Sets the time at which something else is to be done or said.
fn look_again(object: &Credential, turn: Turn, validity: Option<&Validity>, now: Timestamp, context: &Context) {
    let uid = object.uid().unwrap_or_default();
    let is_in_line = matches!(turn, Turn::Throttled(_));
    let turn = match turn {
        Turn::NotDue(ByTime::At(at)) | Turn::Throttled(at) => Some(at),
        Turn::NotDue(ByTime::Never | ByTime::WithItsSigner) | Turn::NeedsSteps => None,
    };
    if !is_in_line {
        context.leave_the_line(&ObjectUid::new(uid.as_str()));
    }
    let words = validity.and_then(|validity| validity.changes_at(now));
    match turn.into_iter().chain(words).min() {
        Some(at) => {
            let key = Key::new(&object.name_any()).within(&object.namespace().unwrap_or_default());
            context.timers.set(&uid, key, at);
        }
        None => context.timers.forget(&uid),
    }
}

fn with_validity(outcome: Outcome, object: &Credential, plan: &Plan, said: &Said, overdue: Option<&str>) -> Outcome {
    let outcome = match said.reason {
        validity::EXPIRED => outcome.expired(validity::expired(&plan.name, said, overdue)),
        _ => outcome,
    };
    let event = validity::event_of(said, object);
    let outcome = outcome.with_expiring(said.clone());
    event.into_iter().fold(outcome, Outcome::with_event)
}

/// Where a certificate got less time than it asked for: it never outlives its signer.
fn cut(plan: &Plan, validity: Option<&Validity>) -> Option<String> {
    let ParametersOf::Certificate(of) = &plan.origin.parameters()?.of else { return None };
    let lifetime = validity?.cut(of.rules(MODEL).ok()?.duration)?;
    let signer = of.ca.as_ref()?;
    Some(format!("valid for {} h only: it ends with its signer {signer}", lifetime / 3600))
}

/// Why nobody signs, in the words of a manifest.
fn in_words(fault: &SignerFault) -> String {
    let field = "spec.certificate.signedBy";
    match fault {
        SignerFault::Missing(path) => {
            format!("{field}: there is no certificate at {path}: apply a Credential for it, or name another signer")
        }
        SignerFault::NotCa(path) => format!("{field}: the certificate {path} is no CA: name a CA, or set isCA there"),
        fault => format!("{field}: {fault}"),
    }
}

/// A look must have time left to say that the API server is silent.
async fn in_time<T>(name: &str, write: impl Future<Output = Result<T, write::Error>>) -> Result<T, write::Error> {
    let silence = || write::Error::Failed(Failure::silence(name, PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, write).await.unwrap_or_else(|_| Err(silence()))
}

/// What is to be said where the Secret could not be written, or one before it not deleted; `None` where nothing is.
async fn not_written(
    object: &Arc<Credential>,
    target: Option<&str>,
    error: write::Error,
    context: &Arc<Context>,
) -> Result<Option<Outcome>, Error> {
    Ok(Some(match error {
        write::Error::Conflict { why, revision } => {
            let name = target.unwrap_or_default();
            let outcome = Outcome::conflict(object, name, why);
            // Whoever owns it does not label it for our watch, so it is watched on its own: the object wakes when it changes.
            let namespace = object.namespace().unwrap_or_default();
            let key = Key::new(&object.name_any()).within(&namespace);
            let stands = context.sources.observe(&namespace, name, &key).await;
            let unchanged = stands.is_some_and(|seen| seen.revision == revision);
            outcome.later(if unchanged { Pace::Safety } else { Pace::Failure })
        }
        write::Error::NamespaceTerminating => return Ok(None),
        write::Error::Failed(failure) | write::Error::Fixed(failure) => Outcome::failed(object, target, failure),
        write::Error::Race => return Err(Error::Race),
        write::Error::Kube(error) => return Err(error.into()),
    }))
}

/// A source that went away takes nothing away, and the message says what is served.
fn served_without_source(problem: Option<String>, version: &Version) -> String {
    let row = &version.row;
    let served = match row.reason {
        Reason::Imported | Reason::SourceChanged => "what it gave before is served".to_owned(),
        Reason::SetByAPI => format!("version {}, which was set over the API, is served", row.number),
        _ => format!("version {} is served", row.number),
    };
    problem.map(|problem| format!("{problem}; {served}")).unwrap_or_default()
}

fn in_sync(object: &Credential, target: &TargetPlan, written: &Written, message: String) -> Outcome {
    let (before, name) = (Before::of(object), &target.name);
    let said = Said { status: true, reason: "InSync", message: String::new() };
    let mut outcome = Outcome::ready("InSync", message).with_projected(said).with_target(name, None);
    let repaired = match written {
        Written::Repaired { rival } => Some(format!("Secret {name} was changed by {rival} and is as it was")),
        Written::Created if before.in_sync(name) => Some(format!("Secret {name} was gone and is there again")),
        _ => None,
    };
    if let Some(note) = repaired {
        outcome = outcome.with_event(event(EventType::Normal, "DriftRepaired", note));
    }
    // The first success is told by the status alone.
    if before.failure().is_some() && before.written().is_some() {
        let note = format!("Secret {name} is in sync again");
        outcome = outcome.with_event(event(EventType::Normal, "Projected", note));
    }
    outcome
}

fn waiting_for_input(plan: &Plan, source_problem: Option<String>) -> Outcome {
    let message = source_problem.unwrap_or_else(|| {
        format!("no value yet: set one with PUT /api/v1/data for {}, or name a fromSecret", plan.name)
    });
    Outcome::waiting("WaitingForInput", message)
}

fn needs_approval(object: &Credential, plan: &Plan, foreign: &Foreign) -> Outcome {
    let (path, namespace) = (&plan.name, object.namespace().unwrap_or_default());
    let message = match foreign {
        Foreign::Namespace(uid) => format!(
            "{path} holds versions of another namespace with UID {uid}: a cluster administrator lets this one have them \
             with kubectl annotate namespace {namespace} {INHERITS}={uid}"
        ),
        Foreign::Api => format!(
            "{path} was made over the API, not by this namespace: a cluster administrator lets it have them with kubectl \
             annotate namespace {namespace} {INHERITS}={INHERITS_API}"
        ),
        Foreign::Never => format!(
            "{path} holds versions that no Credential of this namespace made, and spec.adoption.mode is Never: set it to \
             IfPresent, or choose another spec.path"
        ),
    };
    Outcome::waiting("AdoptionNeedsApproval", message)
}

/// Secrets of this object under other names: the target was renamed or switched off.
async fn remove_others(context: &Context, writer: &Writer<'_>, keep: Option<&str>) -> Result<(), write::Error> {
    let others = context.secrets.others_of(writer.namespace, writer.object_uid, keep);
    for (name, seen) in others.into_iter().filter(|(_, seen)| !seen.terminating) {
        writer.delete(&name, &seen).await?;
    }
    Ok(())
}

/// How long the writing of a Secret may take: less than a look, which has to tell of it.
const PATIENCE: Duration = Duration::from_secs(45);
