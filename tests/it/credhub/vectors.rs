//! What was recorded on a CredHub server about keys and certificates, sent here again (`docs/testing.md`).
//!
//! `tests/vectors/credhub-keys.jsonl` holds lines of the recording as they are. A step for a route that is not here yet is
//! left out, and so is what depends on its answer; how many were compared is a number in the test, so that none is left out
//! by accident.

mod facts;
mod kinds;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Map, Value};

use crate::app::{Answer, TestApp};

/// What is decided otherwise here, or answered by a quirk there.
const DIFFERENT: &[(&str, usize, &str)] = &[
    ("ssh-set", 21, "a public key that breaks the original is kept and has no fingerprint (spec section 3.4)"),
    ("ssh-set", 22, "the same, read"),
];

#[tokio::test]
async fn recorded_requests_get_the_recorded_answers() {
    let text = fs::read_to_string(file()).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let fixtures = lines.next().unwrap()["fixtures"].as_object().unwrap().clone();
    let (mut compared, mut left_out, mut wrong) = (0, 0, Vec::new());
    for vector in lines {
        let mut replay = Replay::new(&fixtures).await;
        let id = vector["id"].as_str().unwrap();
        for (at, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
            if DIFFERENT.iter().any(|(other, number, _)| *other == id && *number == at + 1) {
                continue;
            }
            match replay.step(step).await {
                None => left_out += 1,
                Some(differences) => {
                    compared += 1;
                    wrong.extend(differences.into_iter().map(|what| format!("{id} step {}: {what}", at + 1)));
                }
            }
        }
    }
    eprintln!("recorded: {compared} steps compared, {left_out} left out, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(40)]);
    assert_eq!((compared, left_out), COUNTED);
}

/// The file is made of lines of the recording: with `CREDHUB_VECTORS=FILE` that is checked.
#[test]
fn the_vectors_are_those_of_the_recording() {
    let Some(original) = std::env::var_os("CREDHUB_VECTORS") else { return };
    let original = fs::read_to_string(original).unwrap();
    let lines: std::collections::HashSet<&str> = original.lines().collect();
    assert!(fs::read_to_string(file()).unwrap().lines().all(|line| lines.contains(line)));
}

/// One vector on a server of its own.
struct Replay<'a> {
    app: TestApp,
    fixtures: &'a Map<String, Value>,
    captured: BTreeMap<String, String>,
    prefix: &'static str,
}

impl<'a> Replay<'a> {
    async fn new(fixtures: &'a Map<String, Value>) -> Self {
        let app = TestApp::new().await;
        for verb in ["get", "list", "update", "delete"] {
            app.rules.allow("alice", &format!("{verb} *"));
        }
        Self { app, fixtures, captured: BTreeMap::new(), prefix: "/vectors00ab" }
    }

    /// What differs; `None` where the step is not for this release.
    async fn step(&mut self, step: &Value) -> Option<Vec<String>> {
        let path = step["path"].as_str()?;
        let is_here = path.starts_with("/api/v1/data") || ["/info", "/health", "/version"].contains(&path);
        let body = &step["body"];
        let is_later = body["mode"] == "converge" || body.get("regenerate").is_some();
        let query = step.get("query").map_or(Some(String::new()), |query| self.filled(query.as_str()?));
        let (path, query, body) = (self.filled(path)?, query?, self.filled_body(body)?);
        if !is_here || is_later || !matches!(step["as"].as_str(), Some("admin" | "nobody" | "anon")) {
            return None;
        }
        let separator = if query.is_empty() { "" } else { "?" };
        let uri = format!("{path}{separator}{}", query.replace(' ', "%20").replace('+', "%2B"));
        let raw = step["raw_body"].as_str().map(ToOwned::to_owned);
        let body = raw.or_else(|| (!body.is_null()).then(|| body.to_string()));
        let client = match step["as"].as_str() {
            Some("admin") => self.app.as_("alice"),
            Some("nobody") => self.app.as_("mallory"),
            _ => self.app.anonymous(),
        };
        let answer = client.call(step["method"].as_str()?, &uri, body.as_deref()).await;
        let expect = match (step.get("deviation"), step.get("want")) {
            (Some(_), None) => return None, // sent, and not compared
            (_, Some(want)) => want,
            (None, None) => &step["expect"],
        };
        let mut differences = Vec::new();
        self.compare_answer(&answer, expect, &mut differences);
        // What was captured and then decided otherwise is not there to look into.
        if step.get("deviation").is_none()
            && let Some(wanted) = step["facts"].as_object()
        {
            for (name, wanted) in wanted {
                self.compare_facts(name, wanted, &mut differences);
            }
        }
        let request = format!("{} {uri}", step["method"].as_str()?);
        Some(differences.into_iter().map(|what| format!("{request}: {:.300}", what)).collect())
    }

    fn compare_answer(&mut self, answer: &Answer, expect: &Value, differences: &mut Vec<String>) {
        let status = i64::from(answer.status.as_u16());
        let fits = match &expect["status"] {
            Value::Array(statuses) => statuses.iter().any(|one| one.as_i64() == Some(status)),
            one => one.as_i64() == Some(status),
        };
        if !fits {
            differences.push(format!("{status} instead of {}: {answer}", expect["status"]));
        }
        let Some(body) = expect.get("body") else { return };
        let unordered = expect.get("unordered").is_some();
        let got = serde_json::from_str(&answer.text).unwrap_or(Value::Null);
        self.compare(body, &got, &got, unordered, "", differences);
    }

    fn compare(
        &mut self,
        wanted: &Value,
        got: &Value,
        parent: &Value,
        unordered: bool,
        at: &str,
        differences: &mut Vec<String>,
    ) {
        match (wanted, got) {
            (Value::Object(wanted), Value::Object(members)) => {
                for key in wanted.keys().chain(members.keys()) {
                    if wanted.contains_key(key) != members.contains_key(key) {
                        differences.push(format!("{at}.{key} is on one side only"));
                    }
                }
                for (key, wanted) in wanted.iter().filter(|(key, _)| members.contains_key(*key)) {
                    self.compare(wanted, &members[key], got, unordered, &format!("{at}.{key}"), differences);
                }
            }
            (Value::Array(wanted), Value::Array(items)) => {
                if wanted.len() != items.len() {
                    differences.push(format!("{at} has {} instead of {} items", items.len(), wanted.len()));
                    return;
                }
                let mut left: Vec<&Value> = items.iter().collect();
                for (number, wanted) in wanted.iter().enumerate() {
                    // Where the order is free, the names tell who is meant.
                    let name = wanted["name"].as_str().and_then(|name| self.filled(name));
                    let same = |item: &&Value| unordered && item["name"].as_str() == name.as_deref();
                    let item = left.remove(left.iter().position(same).unwrap_or(0));
                    self.compare(wanted, item, got, unordered, &format!("{at}[{number}]"), differences);
                }
            }
            (Value::String(wanted), got) => {
                if let Err(what) = self.compare_text(wanted, got, parent) {
                    differences.push(format!("{at} {what}"));
                }
            }
            (wanted, got) if wanted == got => {}
            (wanted, got) => differences.push(format!("{at} is {got} instead of {wanted}")),
        }
    }

    fn compare_text(&mut self, wanted: &str, got: &Value, parent: &Value) -> Result<(), String> {
        let inner = wanted.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or_default();
        if inner.starts_with("text:") {
            return got.as_str().filter(|text| !text.is_empty()).map(|_| ()).ok_or_else(|| "is no text".to_owned());
        }
        let (kind, name) = inner.split_once(" as ").map_or((inner, None), |(kind, name)| (kind, Some(name)));
        if let Some(check) = kinds::check(kind, got, parent, self.app.hub.clock.now()) {
            check.map_err(|what| format!("{what}: {got}"))?;
            if let (Some(name), Some(text)) = (name, got.as_str()) {
                // Differing from everything before is how a new version is told from an old one.
                if self.captured.values().any(|other| other == text) {
                    return Err(format!("is not new: {text}"));
                }
                self.captured.insert(name.to_owned(), text.to_owned());
            }
            return Ok(());
        }
        match self.filled(wanted) {
            Some(wanted) if got.as_str() == Some(&wanted) => Ok(()),
            wanted => Err(format!("is {got} instead of {wanted:?}")),
        }
    }

    fn compare_facts(&self, name: &str, wanted: &Value, differences: &mut Vec<String>) {
        let Some(pem) = self.captured.get(name) else { return differences.push(format!("no certificate {name}")) };
        let signers = self.captured.iter().filter(|(other, _)| *other != name);
        let fixtures =
            self.fixtures.iter().filter_map(|(name, text)| Some((format!("fixture:{name}"), text.as_str()?)));
        let signers = signers.map(|(name, text)| (name.clone(), text.as_str())).chain(fixtures);
        let found = facts::of(pem, signers, self.app.hub.clock.now());
        for (key, wanted) in wanted.as_object().into_iter().flatten() {
            let got = &found[key];
            if got != wanted {
                differences.push(format!("{name}: {key} is {got} instead of {wanted}"));
            }
        }
    }

    /// A text with what stands in its braces; `None` where that was never captured.
    fn filled(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}")?;
            out.push_str(before);
            match name.split_once(':') {
                _ if name == "prefix" => out.push_str(self.prefix),
                _ if name == "bare" => out.push_str(&self.prefix[1..]),
                _ if name.starts_with('=') => out.push_str(self.captured.get(&name[1..])?),
                Some(("fixture", name)) => out.push_str(self.fixtures[name].as_str()?),
                Some(("repeat", rest)) => {
                    let (count, text) = rest.split_once(':')?;
                    out.push_str(&text.repeat(count.parse().ok()?));
                }
                _ => return None,
            }
            rest = after;
        }
        out.push_str(rest);
        Some(out)
    }

    fn filled_body(&self, body: &Value) -> Option<Value> {
        Some(match body {
            Value::String(text) => Value::String(self.filled(text)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.filled_body(item)).collect::<Option<_>>()?)
            }
            Value::Object(members) => {
                let filled = members.iter().map(|(key, item)| Some((key.clone(), self.filled_body(item)?)));
                Value::Object(filled.collect::<Option<_>>()?)
            }
            other => other.clone(),
        })
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/credhub-keys.jsonl")
}

/// Compared, and left out.
const COUNTED: (usize, usize) = (400, 36);
