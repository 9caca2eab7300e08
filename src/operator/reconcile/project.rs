//! From what the use case found to the Secret, and to what is said of both.

use std::sync::Arc;

use credsmith_core::domain::ownership::{Foreign, INHERITS_API};
use kube::{Resource, ResourceExt};
use kube_runtime::events::EventType;

use super::{
    Error,
    ensure::{Found, State},
    outcome::{Outcome, Said, event, facts, generated, rotation_due},
};
use crate::{
    context::Context,
    credential::{
        Credential,
        parse::Plan,
        target::{Belongs, TargetPlan, desired_secret},
    },
    namespaces::INHERITS,
    secret::write::{self, Writer, Written},
};

/// Writes the Secret where there is a version, and says how everything stands.
pub async fn project(
    object: &Arc<Credential>,
    plan: &Plan,
    found: Found,
    context: &Arc<Context>,
) -> Result<Outcome, Error> {
    let Found { ensured, source_problem, source_revision, request } = found;
    let (version, credential, made, adopted, kept) = match ensured {
        State::Ready { version, credential, made, adopted, kept } => (version, credential, made, adopted, kept),
        State::WaitingForInput => return Ok(waiting_for_input(plan, source_problem)),
        State::PathOwned(other) => {
            let message = format!(
                "the path {} belongs to the Credential {other}: choose another spec.path, or delete that object",
                plan.name
            );
            return Ok(Outcome::waiting("PathOwned", message));
        }
        State::NeedsApproval(foreign) => return Ok(needs_approval(object, plan, &foreign)),
        State::OtherKind(why) => {
            return Ok(Outcome::stalled("InvalidSpec", format!("spec.type {} at {}: {why}", plan.kind, plan.name)));
        }
        State::TargetInTheWay(why) => return Ok(conflict(object, plan, why)),
    };
    let facts = |fingerprint| facts(&version, &credential, plan, fingerprint, request.clone(), source_revision.clone());
    let dress = |outcome: Outcome| {
        let mut outcome = outcome.with_generated(generated(&version, kept, adopted)).with_rotation(rotation_due(
            kept,
            request.as_deref(),
            &version,
        ));
        if adopted {
            let note = format!("the versions at {} are this object's now", plan.name);
            outcome = outcome.with_event(event(EventType::Normal, "Adopted", note));
        }
        if made && version.row.number > 1 {
            let note = format!("version {} ({})", version.row.number, version.row.reason);
            outcome = outcome.with_event(event(EventType::Normal, "Rotated", note));
        }
        outcome
    };
    let (namespace, uid) = (object.namespace().unwrap_or_default(), object.uid().unwrap_or_default());
    let is_live = |uid: &str| context.index.is_live(uid);
    let told = object.status.as_ref().and_then(|status| status.current_version.as_ref()?.fingerprint.clone());
    let writer = Writer {
        client: &context.client,
        seen: &context.secrets,
        metrics: &context.hub.metrics,
        namespace: &namespace,
        object_uid: &uid,
        told: told.as_deref(),
        is_live: &is_live,
    };
    let Some(target) = &plan.target else {
        remove_others(context, &writer, None).await?;
        let said = Said { status: true, reason: "NotRequested", message: "spec.target.disabled".into() };
        let message = source_problem.unwrap_or_default();
        return Ok(dress(Outcome::ready("StoredOnly", message).with_projected(said)).with_facts(facts(None)));
    };
    let belongs = Belongs {
        namespace: &namespace,
        uid: &uid,
        path: credential.name.as_str(),
        owner: (!target.retain).then(|| object.controller_owner_ref(&())).flatten(),
    };
    let desired = match desired_secret(target, &belongs, version.row.id, &version.value, &context.hub.keyring) {
        Ok(desired) => desired,
        Err(why) => {
            let said = Said { status: false, reason: "TemplateError", message: why.clone() };
            let outcome = Outcome::stalled("InvalidSpec", why).with_projected(said);
            return Ok(dress(outcome.with_target(&target.name, Some("InvalidSpec"))).with_facts(facts(None)));
        }
    };
    let outcome = match writer.write(target, &desired).await {
        Ok(written) => {
            if matches!(written, Written::Repaired { .. }) {
                context.hub.metrics.drift_repaired.with_label_values(&[&namespace]).inc();
            }
            remove_others(context, &writer, Some(&target.name)).await?;
            in_sync(object, target, &written, source_problem)
        }
        Err(write::Error::Conflict(why)) => conflict(object, plan, why),
        Err(write::Error::NamespaceTerminating) => return Ok(Outcome::silent()),
        Err(write::Error::Refused(why) | write::Error::OtherType(why)) => {
            let message = format!("Secret {} is refused by the API server: {why}", target.name);
            let said = Said { status: false, reason: "Conflict", message: message.clone() };
            let failed = event(EventType::Warning, "ProjectionFailed", message.clone());
            Outcome::stalled("TargetFailed", message)
                .with_event_on_change(object, failed)
                .with_projected(said)
                .with_target(&target.name, Some("Refused"))
        }
        Err(error) => return Err(error.into()),
    };
    Ok(dress(outcome).with_facts(facts(Some(desired.fingerprint))))
}

fn in_sync(object: &Credential, target: &TargetPlan, written: &Written, source_problem: Option<String>) -> Outcome {
    let said = Said { status: true, reason: "InSync", message: String::new() };
    // A source that went away takes nothing away: what it gave is served, and the message says so.
    let message = source_problem.map(|problem| format!("{problem}; what it gave before is served")).unwrap_or_default();
    let outcome = Outcome::ready("InSync", message).with_projected(said).with_target(&target.name, None);
    let was_ready = object.status.as_ref().and_then(|status| status.targets.as_ref());
    let was_ready = was_ready.is_some_and(|targets| targets.ready == 1 && targets.name.as_ref() == Some(&target.name));
    let note = match written {
        Written::Repaired { rival } => format!("Secret {} was changed by {rival} and is as it was", target.name),
        Written::Created if was_ready => format!("Secret {} was gone and is there again", target.name),
        _ => return outcome,
    };
    outcome.with_event(event(EventType::Normal, "DriftRepaired", note))
}

fn conflict(object: &Credential, plan: &Plan, why: String) -> Outcome {
    let said = Said { status: false, reason: "Conflict", message: why.clone() };
    let warning = event(EventType::Warning, "Conflict", why.clone());
    let outcome =
        Outcome::waiting("TargetFailed", why).later().with_event_on_change(object, warning).with_projected(said);
    match &plan.target {
        Some(target) => outcome.with_target(&target.name, Some("Conflict")),
        None => outcome,
    }
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
async fn remove_others(context: &Context, writer: &Writer<'_>, keep: Option<&str>) -> Result<(), Error> {
    let others = context.secrets.others_of(writer.namespace, writer.object_uid, keep);
    for (name, seen) in others.into_iter().filter(|(_, seen)| !seen.terminating) {
        writer.delete(&name, &seen).await?;
    }
    Ok(())
}
