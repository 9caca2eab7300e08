//! What the chart allows is what the operator asks for: no more, no less.

use std::collections::BTreeSet;

use credsmith_harness::{
    chart::Release,
    requests::{Log, OPERATOR},
};
use jiff::Timestamp;
use serde_json::Value;

use super::Place;

pub async fn none_was_missing_since(place: &Place, from: Timestamp) {
    let mut log = Log::of(place.plane());
    log.wait_for_quiet().await.unwrap();
    let requests = log.since(from).unwrap();
    assert!(requests.len() > 25, "only {} requests were recorded", requests.len());
    let refused: Vec<_> =
        requests.iter().filter(|request| request.code == 403).map(|request| request.label()).collect();
    assert!(
        refused.is_empty(),
        "{refused:#?}\ngive the operator that right in charts/credsmith/templates, or ask for less"
    );
    // The same search finds what the binding was missing for.
    let before = log.since(Timestamp::UNIX_EPOCH).unwrap();
    assert!(before.iter().any(|request| request.code == 403), "the search for refusals finds none");
}

pub async fn every_right_of_the_chart_was_used(place: &Place) {
    let events = place.plane().audit_events().unwrap();
    let asked: BTreeSet<_> = events
        .iter()
        .filter(|event| event.user.username == OPERATOR)
        .filter_map(|event| Some((event, event.object_ref.as_ref()?)))
        .map(|(event, object)| {
            let slash = if object.subresource.is_empty() { "" } else { "/" };
            let resource = format!("{}{slash}{}", object.resource, object.subresource);
            (object.namespace == place.operator.namespace(), object.api_group.clone(), resource, event.verb.clone())
        })
        .collect();
    let mut rules = 0;
    for manifest in place.cluster.render(&Release::default()).await.unwrap() {
        // The roles of people are not asked about here.
        if manifest.name() != "credsmith" || !matches!(manifest.kind(), "ClusterRole" | "Role") {
            continue;
        }
        for rule in manifest.object["rules"].as_array().unwrap() {
            for (group, resource, verb) in rights(rule) {
                rules += 1;
                let at_home = manifest.kind() == "Role";
                let is_asked = |(home, g, r, v): &(bool, String, String, String)| {
                    (*home || !at_home) && (g.as_str(), r.as_str(), v.as_str()) == (&group, &resource, &verb)
                };
                let excused = SILENT.iter().any(|(r, v, _)| (*r, *v) == (resource.as_str(), verb.as_str()));
                assert!(
                    excused || asked.iter().any(is_asked),
                    "{} credsmith allows to {verb} {resource}, and nobody did: take it out of the chart, or use it in exercise.rs",
                    manifest.kind()
                );
            }
        }
    }
    assert!(rules > 15, "only {rules} rights were found in the chart");
}

fn rights(rule: &Value) -> Vec<(String, String, String)> {
    let words = |field: &str| -> Vec<String> {
        rule[field].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let mut all = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            all.extend(words("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
        }
    }
    all
}

/// Rights that no line of the audit log shows, and why.
const SILENT: &[(&str, &str, &str)] =
    &[("configmaps", "create", "the API server asks for it when an apply, which is a patch, creates")];
