//! JSON that keeps what was sent: the order of keys, and every digit of a number (spec section 11.2).
//!
//! Why not a tree of values? A tree turns numbers into 64-bit floats, or makes every number of every other document in
//! the process arbitrary. Here a number is never anything but its own text.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
};

use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::secret::SecretText;

/// A compact JSON document that is no secret, such as the metadata of a version.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Box<str>);

impl JsonText {
    /// Reads any JSON document and keeps it in its compact form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        compact(text).map(|text| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The same for a secret document: compact, key order kept, of a repeated key the last counts.
pub fn compact_secret(text: &SecretText) -> Result<SecretText, Error> {
    compact(text.expose()).map(SecretText::new)
}

/// The top-level members of an object whose value is a string, decoded; `None` where the document is no object.
pub fn string_members(document: &SecretText) -> Option<Vec<(String, SecretText)>> {
    let members = members(document.expose()).ok()?;
    let strings = members.into_iter().filter(|(_, raw)| raw.get().starts_with('"'));
    Some(strings.filter_map(|(key, raw)| Some((key, serde_json::from_str(raw.get()).ok()?))).collect())
}

/// Why a text is no JSON document. Says where, never what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the JSON is malformed at line {line}, column {column}")]
    Malformed { line: usize, column: usize },
    #[error("the JSON is nested deeper than 500 levels")]
    TooDeep,
}

fn compact(text: &str) -> Result<String, Error> {
    // One pass checks the text, without recursion; the second may then rely on it.
    let valid: &RawValue = serde_json::from_str(text).map_err(malformed)?;
    let mut scan = Scan { text: valid.get(), at: 0, out: String::with_capacity(text.len()) };
    scan.value(0)?;
    Ok(std::mem::take(&mut scan.out))
}

/// Copies a valid document without its white space. One pass over the text, whatever its nesting.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// Wiped where it is not handed out: the document may be a secret.
    out: String,
}

impl<'a> Scan<'a> {
    fn value(&mut self, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        match self.peek() {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => {
                let raw = self.string();
                self.push_string(raw)
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| c.is_ascii_whitespace() || ",]}".contains(c)).unwrap_or(rest.len());
                self.out.push_str(&rest[..end]); // a number, true, false or null: its own text
                self.at += end;
                Ok(())
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Error> {
        self.take("[");
        loop {
            if self.peek() == b']' {
                self.take("]");
                return Ok(());
            }
            self.value(depth + 1)?;
            if self.peek() == b',' {
                self.take(",");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Error> {
        let start = self.out.len();
        let mut members: Vec<std::ops::Range<usize>> = Vec::new();
        let mut positions = HashMap::new();
        let mut repeated = false;
        self.take("{");
        while self.peek() != b'}' {
            let from = self.out.len();
            let raw = self.string();
            let key: SecretText = serde_json::from_str(raw).map_err(malformed)?;
            self.push_string(raw)?;
            self.take(":");
            self.value(depth + 1)?;
            let member = from..self.out.len();
            match positions.entry(key.expose().to_owned()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(members.len());
                    members.push(member);
                }
                // Of a repeated key the last counts, at the place of the first.
                Entry::Occupied(first) => {
                    repeated = true;
                    members[*first.get()] = member;
                }
            }
            if self.peek() == b',' {
                self.take(",");
            }
        }
        self.take("}");
        if repeated {
            let kept: Vec<_> = members.into_iter().map(|member| &self.out[member]).collect();
            let object = zeroize::Zeroizing::new(format!("{{{}}}", kept.join(",")));
            self.out.truncate(start);
            self.out.push_str(&object);
        }
        Ok(())
    }

    /// The next byte that is no white space; zero at the end.
    fn peek(&mut self) -> u8 {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Copies a sign that is known to come next.
    fn take(&mut self, sign: &str) {
        self.peek();
        self.at += sign.len();
        self.out.push_str(sign);
    }

    /// The string that comes next, quotes included, as it was written.
    fn string(&mut self) -> &'a str {
        self.peek();
        let rest = &self.text.as_bytes()[self.at + 1..];
        let mut length = 0;
        while rest[length] != b'"' {
            length += if rest[length] == b'\\' { 2 } else { 1 };
        }
        let raw = &self.text[self.at..self.at + length + 2];
        self.at += raw.len();
        raw
    }

    /// Brings a string to its shortest form: only what must be escaped is.
    fn push_string(&mut self, raw: &str) -> Result<(), Error> {
        if raw.contains('\\') {
            let text: SecretText = serde_json::from_str(raw).map_err(malformed)?;
            self.out.push_str(&quoted(text.expose()));
        } else {
            self.out.push_str(raw);
        }
        Ok(())
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.out);
    }
}

fn quoted(text: &str) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(serde_json::to_string(text).expect("a string is always JSON"))
}

/// Members in the order of their first appearance, with the value of their last.
fn members(object: &str) -> Result<Vec<(String, &RawValue)>, Error> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out: Self::Value = Vec::new();
            let mut positions = HashMap::new();
            while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                match positions.get(&key) {
                    Some(&at) => {
                        let slot: &mut (String, &'de RawValue) = &mut out[at];
                        slot.1 = value;
                    }
                    None => {
                        positions.insert(key.clone(), out.len());
                        out.push((key, value));
                    }
                }
            }
            Ok(out)
        }
    }
    serde_json::Deserializer::from_str(object).deserialize_map(Members).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> Error {
    Error::Malformed { line: error.line(), column: error.column() }
}

/// Levels of objects and arrays within one another (spec section 1.3).
const MAX_DEPTH: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_keep_their_digits_and_keys_their_order() {
        let text = r#" { "b" : 1.10 , "a":[1E+2, 0.12345678901234567890123, -0, 12345678901234567890123] } "#;
        assert_eq!(
            compact(text).unwrap(),
            r#"{"b":1.10,"a":[1E+2,0.12345678901234567890123,-0,12345678901234567890123]}"#
        );
    }

    #[test]
    fn of_a_repeated_key_the_last_counts() {
        assert_eq!(compact(r#"{"a":1,"b":2,"a":3}"#).unwrap(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn repeated_keys_are_found_at_every_level_and_under_any_spelling() {
        let text = r#"[{"x":{"a":1,"\u0061":2},"y":[],"x":{"b":{},"b":[{"c":1,"c":2}]}}]"#;
        assert_eq!(compact(text).unwrap(), r#"[{"x":{"b":[{"c":2}]},"y":[]}]"#);
    }

    #[test]
    fn deep_nesting_takes_no_longer_than_flat_text() {
        let deep = format!("{}{}{}", "[".repeat(498), "1,".repeat(200_000) + "1", "]".repeat(498));
        assert_eq!(compact(&deep).unwrap().len(), deep.len());
    }

    #[test]
    fn escapes_are_brought_to_one_form() {
        assert_eq!(compact(r#"{"\u0061":"\u00e9\/\n"}"#).unwrap(), "{\"a\":\"é/\\n\"}");
    }

    #[test]
    fn malformed_text_is_refused_with_its_place() {
        for text in ["", "{", "{'a':1}", "[1,]", "nul", "1 2", "\"\u{1}\""] {
            assert!(matches!(compact(text), Err(Error::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nest = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(compact(&nest(500)).is_ok());
        assert_eq!(compact(&nest(501)), Err(Error::TooDeep));
        assert_eq!(compact(&nest(100_000)), Err(Error::TooDeep));
    }

    #[test]
    fn only_strings_of_the_top_level_are_expanded() {
        let document = SecretText::new(r#"{"user":"a","port":5,"deep":{"x":"y"},"pass":"\u0062"}"#.into());
        let members = string_members(&document).unwrap();
        let plain: Vec<_> = members.iter().map(|(k, v)| (k.as_str(), v.expose())).collect();
        assert_eq!(plain, [("user", "a"), ("pass", "b")]);
        assert!(string_members(&SecretText::new("[1]".into())).is_none());
    }

    proptest! {
        #[test]
        fn compacting_twice_changes_nothing(text in r#"[\[\]{}":, a-c0-9.eE+-]{0,40}"#) {
            if let Ok(once) = compact(&text) {
                prop_assert_eq!(compact(&once).unwrap(), once);
            }
        }
    }
}
