//! JSON bodies (spec section 1.3).
//!
//! A body is never a tree of values: members stay slices of the text that was sent until somebody asks for one of them,
//! so that a secret goes from there straight into a `SecretText`, and a number keeps its digits.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    RequestExt,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use credsmith_core::domain::SecretText;
use futures::{StreamExt, TryStreamExt};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::error::Error;
use crate::{BODY_LIMIT, buffer::Buffer, rest::declared_length};

/// The text of a JSON body, whole and wiped when dropped. Whether it is JSON is found out when it is read.
pub(super) struct Body(Zeroizing<String>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        require_json(request.headers())?;
        // One that says it is too large is not read at all.
        if declared_length(request.headers()).is_some_and(|length| length > BODY_LIMIT as u64) {
            return Err(too_large());
        }
        let late =
            || Error::Refused(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive: send it again".into());
        let buffer = tokio::time::timeout(BODY_TIME, read(request)).await.map_err(|_| late())??;
        buffer.into_text().map(Self).ok_or_else(|| Error::bad_request("the body is not UTF-8: send JSON in UTF-8"))
    }
}

impl Body {
    /// The document: anything that is valid JSON.
    pub(super) fn json(&self) -> Result<&RawValue, Error> {
        let text = self.0.strip_prefix('\u{feff}').unwrap_or(&self.0);
        if is_too_deep(text) {
            return Err(Error::bad_request("the body is nested deeper than 500 levels: send a flatter one"));
        }
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::bad_request(format!("the body is no valid JSON: look at line {line}, column {column}"))
        })
    }
}

/// A JSON object: its members as they were sent, of a repeated key the last. They may be secret, so it has no `Debug`.
pub(super) struct Object<'a> {
    /// What stands before its keys in messages: nothing, or `parameters.`
    place: &'static str,
    members: BTreeMap<String, &'a RawValue>,
}

impl<'a> Object<'a> {
    /// The document as an object.
    pub(super) fn new(document: &'a RawValue) -> Result<Self, Error> {
        Self::at("", document).ok_or_else(|| Error::bad_request("the body is no JSON object: send one"))
    }

    fn at(place: &'static str, raw: &'a RawValue) -> Option<Self> {
        let members = serde_json::from_str(raw.get()).ok()?;
        Some(Self { place, members })
    }

    /// `Err`: a key that is not in `known`, in a text that says so.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), String> {
        let unknown = self.members.keys().find(|key| !known.contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| Err(self.unknown(key, known)))
    }

    /// The text about an unknown key.
    pub(super) fn unknown(&self, key: &str, known: &[&str]) -> String {
        let short: String = key.chars().take(64).flat_map(char::escape_debug).collect();
        format!("the key `{}{short}` is unknown here: use only {}", self.place, known.join(", "))
    }

    /// Whether there is such a key, with any value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// As it was sent; `None` where it is absent or null.
    pub(super) fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.members.get(key).copied().filter(|raw| raw.get() != "null")
    }

    /// A text; `None` where it is absent or null.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        self.raw(key).map(|raw| self.string(key, raw)).transpose()
    }

    /// A secret text; `None` where it is absent or null.
    pub(super) fn secret(&self, key: &str) -> Result<Option<SecretText>, Error> {
        self.raw(key).map(|raw| self.string(key, raw)).transpose()
    }

    /// True or false, or the same as a text; `None` where it is absent or null.
    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        match raw.get() {
            "true" | r#""true""# => Ok(Some(true)),
            "false" | r#""false""# => Ok(Some(false)),
            _ => Err(self.wrong(key, "true or false")),
        }
    }

    /// The same where null is refused.
    pub(super) fn strict_boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        self.refuse_null(key, "true or false")?;
        self.boolean(key)
    }

    /// A whole number of 32 bits; `None` where it is absent.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i32>, Error> {
        self.refuse_null(key, "a whole number")?;
        let parsed = self.raw(key).map(|raw| raw.get().parse());
        parsed.transpose().map_err(|_| self.wrong(key, "a whole number"))
    }

    /// An object; `None` where it is absent or null.
    pub(super) fn object(&self, key: &'static str, place: &'static str) -> Result<Option<Object<'a>>, Error> {
        let read = |raw| Self::at(place, raw).ok_or_else(|| self.wrong(key, "a JSON object"));
        self.raw(key).map(read).transpose()
    }

    /// A list of texts; `None` where it is absent or null.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let parsed = self.raw(key).map(|raw| serde_json::from_str(raw.get()));
        parsed.transpose().map_err(|_| self.wrong(key, "a list of texts"))
    }

    fn string<T: serde::de::DeserializeOwned>(&self, key: &str, raw: &RawValue) -> Result<T, Error> {
        serde_json::from_str(raw.get()).map_err(|_| self.wrong(key, "a text"))
    }

    fn refuse_null(&self, key: &str, wanted: &str) -> Result<(), Error> {
        let is_null = self.has(key) && self.raw(key).is_none();
        if is_null { Err(self.wrong(key, wanted)) } else { Ok(()) }
    }

    fn wrong(&self, key: &str, wanted: &str) -> Error {
        Error::bad_request(format!("`{}{key}` has the wrong type: send {wanted}", self.place))
    }
}

async fn read(request: Request) -> Result<Buffer, Error> {
    // The limit is the layer's.
    let mut parts = request.into_limited_body().into_data_stream().into_stream();
    let mut buffer = Buffer::default();
    while let Some(part) = parts.next().await {
        buffer.push(&part.map_err(|error| refused_part(&error))?);
    }
    Ok(buffer)
}

fn refused_part(error: &axum::Error) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return too_large();
        }
        cause = error.source();
    }
    Error::bad_request("the body broke off: send it again")
}

fn too_large() -> Error {
    let text = format!("the body has more than {BODY_LIMIT} bytes: send less");
    Error::Refused(StatusCode::PAYLOAD_TOO_LARGE, text.into())
}

/// `application/json` and `application/*+json`, with any parameters.
fn require_json(headers: &HeaderMap) -> Result<(), Error> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence.strip_prefix("application/").is_some_and(|sub| sub == "json" || sub.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    Err(Error::bad_request("the content type is missing or not JSON: send `Content-Type: application/json`"))
}

/// Whether brackets are nested deeper than allowed. Whether they fit each other is the parser's business.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Levels of objects and arrays within one another, the body itself included.
const MAX_DEPTH: usize = 500;
/// After which whoever drips a body is sent away.
const BODY_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn of_a_repeated_key_the_last_counts() {
        let body = body(r#"{"a":1,"a":"x"}"#);
        let object = Object::new(body.json().unwrap()).unwrap();
        assert_eq!(object.text("a").unwrap().as_deref(), Some("x"));
    }

    #[test]
    fn text_booleans_are_accepted_and_nothing_else() {
        let body = body(r#"{"a":"true","b":false,"c":"TRUE","d":1,"e":null,"f":"","g":"\u0074rue"}"#);
        let object = Object::new(body.json().unwrap()).unwrap();
        assert_eq!((object.boolean("a").unwrap(), object.boolean("b").unwrap()), (Some(true), Some(false)));
        assert_eq!((object.boolean("e").unwrap(), object.boolean("z").unwrap()), (None, None));
        for key in ["c", "d", "f", "g"] {
            assert!(object.boolean(key).is_err(), "{key}");
        }
        assert!(object.strict_boolean("e").is_err());
    }

    #[test]
    fn nesting_counts_brackets_outside_of_texts() {
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(!is_too_deep(&nest(500)));
        assert!(is_too_deep(&nest(501)));
        assert!(!is_too_deep(&format!(r#"["\"{}"]"#, "[".repeat(600))));
    }

    #[test]
    fn content_types_are_json_or_refused() {
        let check = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            require_json(&headers).is_ok()
        };
        for text in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(check(text), "{text}");
        }
        for text in ["", "text/json", "*/*", "application/*", "garbage", "application/x-www-form-urlencoded"] {
            assert!(!check(text), "{text}");
        }
        assert!(require_json(&HeaderMap::new()).is_err());
    }
}
