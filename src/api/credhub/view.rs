//! What is answered, written by hand: secrets go straight from their `SecretText` into a buffer that is wiped, and what
//! was sent as JSON stands in the answer as it was sent (spec section 1.5).
//!
//! Why no `Serialize`? A type that can be serialised ends up in a log one day.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use credsmith_core::{
    domain::{SecretText, Value, value::Certificate},
    hub::Version,
    material,
    store::Found,
};
use jiff::Timestamp;

use crate::buffer::Buffer;

/// One credential.
pub(super) fn credential(version: &Version) -> Response {
    let mut out = Buffer::default();
    write_credential(version, false, &mut out);
    json(out.into_bytes())
}

/// The same as the answer to a generate, which tells more about a certificate.
pub(super) fn generated(version: &Version) -> Response {
    let mut out = Buffer::default();
    write_credential(version, true, &mut out);
    json(out.into_bytes())
}

/// The answer to a name: `{"data":[…]}`.
pub(super) fn data(versions: &[Version]) -> Response {
    let mut out = Buffer::default();
    out.push(br#"{"data":["#);
    for (at, version) in versions.iter().enumerate() {
        if at > 0 {
            out.push(b",");
        }
        write_credential(version, false, &mut out);
    }
    out.push(b"]}");
    json(out.into_bytes())
}

/// One item of a find.
pub(super) fn write_found(found: &Found, out: &mut String) {
    let (at, name) = (time(found.at), quoted(found.name.as_str()));
    let expires = found.expires.map_or_else(String::new, |at| format!(r#","expiry_date":"{}""#, time(at)));
    out.push_str(&format!(r#"{{"version_created_at":"{at}","name":{name}{expires}}}"#));
}

/// An answer of that JSON text.
pub(super) fn json(body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

fn write_credential(version: &Version, generated: bool, out: &mut Buffer) {
    let row = &version.row;
    let (kind, at, id, name) = (row.kind, time(row.stamp.at), row.id, quoted(row.name.as_str()));
    let metadata = row.metadata.as_ref().map_or("null", |metadata| metadata.as_str());
    let head = format!(
        r#"{{"type":"{kind}","version_created_at":"{at}","id":"{id}","name":{name},"metadata":{metadata},"value":"#
    );
    out.push(head.as_bytes());
    match &version.value {
        Value::Value(text) | Value::Password(text) => write_text(text.expose(), out),
        Value::Json(document) => out.push(document.expose().as_bytes()),
        Value::User(user) => {
            out.push(br#"{"username":"#);
            match &user.username {
                Some(name) => write_text(name, out),
                None => out.push(b"null"),
            }
            out.push(br#","password":"#);
            write_text(user.password.expose(), out);
            out.push(br#","password_hash":"#);
            write_text(user.password_hash.expose(), out);
            out.push(b"}");
        }
        Value::Rsa(pair) => {
            write_texts(&pair.texts(), out);
            out.push(b"}");
        }
        Value::Ssh(pair) => {
            write_texts(&pair.texts(), out);
            let fingerprint = pair.credhub_fingerprint();
            out.push(br#","public_key_fingerprint":"#);
            write_optional(fingerprint.as_deref(), out);
            out.push(b"}");
        }
        Value::Certificate(of) => {
            write_texts(&of.texts(), out);
            out.push(b"}");
            write_facts(version, out);
            if generated {
                write_issued(version, of, out);
            }
        }
    }
    out.push(b"}");
}

/// The top-level keys of a certificate.
fn write_facts(version: &Version, out: &mut Buffer) {
    let facts = &version.row.facts;
    let expiry = facts.expires.map_or_else(|| "null".to_owned(), |at| format!("\"{}\"", time(at)));
    let generated = facts.generated.map_or_else(String::new, |generated| format!(r#","generated":{generated}"#));
    let text = format!(
        r#","expiry_date":{expiry},"certificate_authority":{},"self_signed":{}{generated},"transitional":{}"#,
        facts.is_ca, facts.self_signed, facts.transitional
    );
    out.push(text.as_bytes());
}

/// What only the answer to a generate tells. Where nothing was made, nothing was used.
fn write_issued(version: &Version, of: &Certificate, out: &mut Buffer) {
    let (overridden, used) = match version.issued {
        Some(issued) => (issued.duration_overridden, issued.duration_used),
        None => (false, 0),
    };
    let bits = material::Certificate::first(of.certificate.expose()).and_then(|read| read.key_bits).unwrap_or_default();
    let text = format!(r#","duration_overridden":{overridden},"duration_used":{used},"key_length":{bits}"#);
    out.push(text.as_bytes());
}

/// An object of texts without its end; one that is absent is null.
fn write_texts(texts: &[(&str, Option<&SecretText>)], out: &mut Buffer) {
    for (at, (key, text)) in texts.iter().enumerate() {
        out.push(if at == 0 { b"{" } else { b"," });
        out.push(format!("\"{key}\":").as_bytes());
        write_optional(text.map(SecretText::expose), out);
    }
}

fn write_optional(text: Option<&str>, out: &mut Buffer) {
    match text {
        Some(text) => write_text(text, out),
        None => out.push(b"null"),
    }
}

fn write_text(text: &str, out: &mut Buffer) {
    serde_json::to_writer(out, text).expect("a text is always JSON, and the buffer takes it");
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

/// Seconds, the rest cut off.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
