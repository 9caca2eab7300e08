//! Fields that are in the schema and do not work yet. Each is refused by name, never ignored.

use super::spec::{CreationPolicy, CredentialSpec, HashWord, History, Rotation, Target};

/// What does not work, where anything does not: each by name, and what to do.
pub fn refused(spec: &CredentialSpec) -> Option<String> {
    let fields = unsupported(spec);
    let kind = super::parse::kind(spec.type_);
    if !kind.works() {
        // A type stands there for life.
        let rest = if fields.is_empty() { String::new() } else { format!(", without {}", fields.join(", ")) };
        return Some(format!(
            "spec.type {kind} does not work in this release: delete the object and choose another type{rest}"
        ));
    }
    let (verb, them) = if fields.len() == 1 { ("does", "it") } else { ("do", "them") };
    let what = (!fields.is_empty()).then(|| fields.join(", "))?;
    Some(format!("{what} {verb} not work in this release: remove {them} and apply again"))
}

/// The names of all fields of `spec`, the type left out, that this release cannot honour.
fn unsupported(spec: &CredentialSpec) -> Vec<String> {
    let mut fields = Vec::new();
    let hashes = spec.user.as_ref().and_then(|user| user.hashes.as_ref());
    if hashes.is_some_and(|hashes| hashes.contains(&HashWord::Bcrypt)) {
        fields.push("spec.user.hashes bcrypt".into());
    }
    if let Some(rotation) = &spec.rotation {
        fields.extend(rotation_fields(rotation));
    }
    if let Some(History { versions, max_age }) = &spec.history {
        let present = [("spec.history.versions", versions.is_some()), ("spec.history.maxAge", max_age.is_some())];
        let present = named(present);
        fields.extend(if present.is_empty() { vec!["spec.history".to_owned()] } else { present });
    }
    if let Some(target) = &spec.target {
        fields.extend(target_fields(target));
    }
    if spec.rollout.is_some() {
        fields.push("spec.rollout".into());
    }
    fields
}

fn rotation_fields(rotation: &Rotation) -> Vec<String> {
    named([
        ("spec.rotation.schedule", rotation.schedule.is_some()),
        ("spec.rotation.timeZone", rotation.time_zone.is_some()),
        ("spec.rotation.windows", rotation.windows.is_some()),
        ("spec.rotation.keepPrevious", rotation.keep_previous.is_some()),
    ])
}

fn target_fields(target: &Target) -> Vec<String> {
    let mut fields = named([("spec.target.includePrevious", target.include_previous.is_some())]);
    match target.creation_policy {
        Some(CreationPolicy::Merge) => fields.push("spec.target.creationPolicy Merge".into()),
        Some(CreationPolicy::Orphan) => fields.push("spec.target.creationPolicy Orphan".into()),
        Some(CreationPolicy::Owner) | None => {}
    }
    fields
}

fn named<const N: usize>(fields: [(&str, bool); N]) -> Vec<String> {
    fields.into_iter().filter(|(_, present)| *present).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_that_does_not_work_yet_is_named() {
        let table = [
            (json!({"type": "user", "user": {"hashes": ["bcrypt"]}}), "spec.user.hashes bcrypt"),
            (json!({"type": "password", "rotation": {"schedule": "0 3 * * 6"}}), "spec.rotation.schedule"),
            (json!({"type": "password", "rotation": {"timeZone": "UTC"}}), "spec.rotation.timeZone"),
            (json!({"type": "password", "rotation": {"windows": []}}), "spec.rotation.windows"),
            (json!({"type": "password", "rotation": {"keepPrevious": "1h"}}), "spec.rotation.keepPrevious"),
            (json!({"type": "password", "history": {}}), "spec.history"),
            (json!({"type": "password", "history": {"versions": 3}}), "spec.history.versions"),
            (json!({"type": "password", "history": {"maxAge": "1h"}}), "spec.history.maxAge"),
            (json!({"type": "password", "target": {"includePrevious": true}}), "spec.target.includePrevious"),
            (json!({"type": "password", "target": {"creationPolicy": "Merge"}}), "spec.target.creationPolicy Merge"),
            (json!({"type": "password", "target": {"creationPolicy": "Orphan"}}), "spec.target.creationPolicy Orphan"),
            (json!({"type": "password", "rollout": {}}), "spec.rollout"),
        ];
        for (spec, field) in table {
            assert_eq!(unsupported(&serde_json::from_value(spec).unwrap()).join(", "), field);
        }
    }

    #[test]
    fn what_works_is_not_refused() {
        let spec = json!({
            "type": "user", "path": "/a/b", "description": "x",
            "user": {"username": "a", "password": {"length": 12}, "hashes": ["sha512crypt"]},
            "rotation": {"every": "1h", "mode": "Auto", "jitter": "0%", "onParametersChange": "Regenerate"}, "adoption": {"mode": "Never"}, "deletionPolicy": "Delete",
            "apiWrites": "Deny",
            "target": {"name": "x", "creationPolicy": "Owner", "deletionPolicy": "Retain", "onConflict": "Adopt"},
        });
        assert_eq!(unsupported(&serde_json::from_value(spec).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn the_refusal_says_what_to_do() {
        let table = [
            (
                json!({"type": "password", "rollout": {}}),
                "spec.rollout does not work in this release: remove it and apply again",
            ),
            (
                json!({"type": "password", "rollout": {}, "history": {}}),
                "spec.history, spec.rollout do not work in this release: remove them and apply again",
            ),
            (
                json!({"type": "provider"}),
                "spec.type provider does not work in this release: delete the object and choose another type",
            ),
            (
                json!({"type": "provider", "rollout": {}}),
                "spec.type provider does not work in this release: delete the object and choose another type, without \
                 spec.rollout",
            ),
        ];
        for (spec, message) in table {
            assert_eq!(refused(&serde_json::from_value(spec).unwrap()).as_deref(), Some(message));
        }
        assert_eq!(refused(&serde_json::from_value(json!({"type": "password"})).unwrap()), None);
    }
}
