//! What is answered, written by hand: secrets go straight from their `SecretText` into a buffer that is wiped, and what
//! was sent as JSON stands in the answer as it was sent (spec section 1.5).
//!
//! Why no `Serialize`? A type that can be serialised ends up in a log one day.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use credsmith_core::{domain::Value, hub::Version, store::Found};
use jiff::Timestamp;

use crate::buffer::Buffer;

/// One credential.
pub(super) fn credential(version: &Version) -> Response {
    let mut out = Buffer::default();
    write_credential(version, &mut out);
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
        write_credential(version, &mut out);
    }
    out.push(b"]}");
    json(out.into_bytes())
}

/// One item of a find.
pub(super) fn write_found(found: &Found, out: &mut String) {
    let (at, name) = (time(found.at), quoted(found.name.as_str()));
    out.push_str(&format!(r#"{{"version_created_at":"{at}","name":{name}}}"#));
}

/// An answer of that JSON text.
pub(super) fn json(body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

fn write_credential(version: &Version, out: &mut Buffer) {
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
    }
    out.push(b"}");
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
