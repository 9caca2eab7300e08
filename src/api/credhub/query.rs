//! Query strings (spec section 1.2).

use axum::{
    extract::{FromRequestParts, Query as Pairs},
    http::request::Parts,
};
use credsmith_core::domain::CredentialName;

use super::error::Error;

/// The parameters of a query, decoded. Unknown ones are ignored.
pub(super) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let pairs = Pairs::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        pairs.map(|Pairs(pairs)| Self(pairs)).map_err(|_| Error::bad_request("the query string cannot be read"))
    }
}

impl Query {
    /// A text; `None` where the parameter is absent, the texts joined by a comma where it is given several times.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let values: Vec<_> = self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// A whole number; `None` where it is absent or empty.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i32>, Error> {
        let Some(text) = self.text(key).filter(|text| !text.is_empty()) else { return Ok(None) };
        let number = text.parse().map_err(|_| Error::bad_request(format!("{key} is no number: give a whole one")))?;
        Ok(Some(number))
    }

    /// A word for yes or no, in any case; no where it is absent or empty.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Error> {
        let word = self.text(key).unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "true" | "1" | "on" | "yes" => Ok(true),
            "false" | "0" | "off" | "no" | "" => Ok(false),
            _ => Err(Error::bad_request(format!("{key} is neither true nor false: give one of the two"))),
        }
    }

    /// The name that a read or a delete is about; `None` where no credential can have it, which is no error of its own
    /// (spec section 2.1).
    pub(super) fn name(&self) -> Result<Option<CredentialName>, Error> {
        let text = self.text("name").filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Error::bad_request("the query parameter name is missing: give a name in it"))?;
        Ok(text.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let uri = format!("/?{text}").parse().unwrap();
        Query(Pairs::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn a_parameter_given_twice_is_one_text() {
        assert_eq!(query("name=/a&x&name=%2Fb").text("name").as_deref(), Some("/a,/b"));
        assert_eq!(query("name").text("name").as_deref(), Some(""));
        assert_eq!(query("NAME=/a").text("name"), None);
    }

    #[test]
    fn numbers_are_whole_and_fit_32_bits() {
        assert_eq!(query("n=2147483647&m=-1&e=").integer("n").unwrap(), Some(i32::MAX));
        assert_eq!(query("n=").integer("n").unwrap(), None);
        for text in ["2147483648", "1.5", "%201", "abc", "1&n=2"] {
            assert!(query(&format!("n={text}")).integer("n").is_err(), "{text}");
        }
    }

    #[test]
    fn flags_are_words_in_any_case() {
        for (text, expected) in [("TRUE", true), ("1", true), ("On", true), ("yes", true), ("", false), ("off", false)]
        {
            assert_eq!(query(&format!("current={text}")).flag("current").unwrap(), expected, "{text}");
        }
        assert!(query("current=maybe").flag("current").is_err());
    }
}
