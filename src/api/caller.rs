//! Who asks: a bearer token becomes a [`Caller`], or a refusal.
//!
//! The token is looked at once, before any handler: a bad one is refused on public paths and on unknown ones too (spec
//! section 7.3). A handler that takes a `Caller` cannot be reached without one, and a handler that takes none has
//! nothing to call the hub with.

use axum::{
    extract::{FromRequestParts, MatchedPath, OptionalFromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use credsmith_core::{
    auth::{Identity, TokenError},
    domain::SecretText,
    hub::Caller,
};
use serde_json::json;

use crate::{App, ROUTES, credhub::Error, layers::record_actor};

/// Turns the token of a request, if there is one, into the [`Caller`] that handlers take.
pub(crate) async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match identify(&app, request.headers_mut()).await {
        Ok(Some(identity)) => {
            record_actor(identity.actor.as_str());
            request.extensions_mut().insert(Caller::client(identity, app.hub.clock.now()));
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::NoToken)
    }
}

impl OptionalFromRequestParts<App> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Answers where no handler does: OPTIONS, another method on a known path, an unknown path. Strangers learn nothing from
/// it (spec section 1.4; where the original answers 500 or nothing, ours is a 404 that says so).
pub(crate) async fn no_route(
    matched: Option<MatchedPath>,
    method: Method,
    caller: Option<Caller>,
) -> Result<Response, Refusal> {
    let path = matched.as_ref().map(MatchedPath::as_str);
    let routes: Vec<_> = ROUTES.iter().filter(|route| Some(route.path) == path).collect();
    if caller.is_none() && !routes.iter().any(|route| route.public) {
        return Err(Refusal::NoToken);
    }
    if routes.is_empty() {
        return Ok(Error::not_found("this path does not exist: credentials are at /api/v1/data").into_response());
    }
    let mut allowed: Vec<_> = routes.iter().map(|route| route.method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let allow = (header::ALLOW, allowed.join(","));
    if method == Method::OPTIONS {
        return Ok((StatusCode::OK, [allow]).into_response());
    }
    let text = format!("this path does not know that method: it knows {}", allowed.join(", "));
    Ok(([allow], Error::not_found(text)).into_response())
}

/// Why there is no [`Caller`] (spec section 7.3).
#[derive(Debug)]
pub(crate) enum Refusal {
    NoToken,
    Expired,
    Invalid(String),
    /// Nobody can tell right now.
    Unavailable(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, description) = match self {
            Self::NoToken => ("access_denied", "Full authentication is required to access this resource".to_owned()),
            Self::Expired => ("access_token_expired", "the token has expired: sign in again".to_owned()),
            Self::Invalid(why) => ("invalid_token", why),
            Self::Unavailable(why) => {
                tracing::warn!(%why, "a token could not be checked");
                let text = format!("{why}: try again in a moment");
                return Error::Refused(StatusCode::SERVICE_UNAVAILABLE, text.into()).into_response();
            }
        };
        let challenge = match code {
            "access_denied" => "Bearer".to_owned(),
            _ => format!(r#"Bearer error="{code}", error_description="{}""#, quotable(&description)),
        };
        let challenge = HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer"));
        let body = json!({"error": code, "error_description": description}).to_string();
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::WWW_AUTHENTICATE, challenge),
        ];
        (StatusCode::UNAUTHORIZED, headers, body).into_response()
    }
}

async fn identify(app: &App, headers: &mut HeaderMap) -> Result<Option<Identity>, Refusal> {
    let Some(token) = token(headers)? else { return Ok(None) };
    for verifier in &app.verifiers {
        match verifier.verify(&token).await {
            None => {}
            Some(Ok(identity)) => return Ok(Some(identity)),
            Some(Err(TokenError::Expired)) => return Err(Refusal::Expired),
            Some(Err(error @ TokenError::Invalid(_))) => return Err(Refusal::Invalid(error.to_string())),
            Some(Err(error @ TokenError::Unavailable(_))) => return Err(Refusal::Unavailable(error.to_string())),
        }
    }
    Err(Refusal::Invalid("the token is none that this server knows: use one that was issued for it".into()))
}

/// Takes the token out of the headers, so that nobody further in can print it. Another scheme counts as no token
/// (spec section 7.3).
fn token(headers: &mut HeaderMap) -> Result<Option<SecretText>, Refusal> {
    let malformed = || Refusal::Invalid("the Authorization header is malformed: send `Bearer` and one token".into());
    let header::Entry::Occupied(entry) = headers.entry(header::AUTHORIZATION) else { return Ok(None) };
    let (_, mut values) = entry.remove_entry_mult();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first.filter(|_| second.is_none()) else { return Err(malformed()) };
    let bytes = value.as_bytes();
    let Some((scheme, rest)) = bytes.split_at_checked(SCHEME.len()) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Ok(None);
    }
    let text = rest.strip_prefix(b" ").and_then(|rest| std::str::from_utf8(rest).ok()).unwrap_or_default();
    // RFC 6750, section 2.1.
    let stem = text.trim_end_matches('=');
    let fine = !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
    if fine { Ok(Some(SecretText::new(text.to_owned()))) } else { Err(malformed()) }
}

/// A text that can stand between quotes in a header (RFC 6750, section 3).
fn quotable(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') && !"\"\\".contains(c) { c } else { '\'' }).collect()
}

const SCHEME: &[u8] = b"Bearer";

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(values: &[&str]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let token = token(&mut headers);
        assert!(headers.is_empty());
        token.map(|token| token.map(|token| token.expose().to_owned())).map_err(|_| ())
    }

    #[test]
    fn a_bearer_token_is_one_word_after_one_space() {
        for value in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER a.b-c_d~e+f/g=="] {
            assert_eq!(token_of(&[value]), Ok(Some("a.b-c_d~e+f/g==".into())), "{value}");
        }
        for value in ["", "Basic dXNlcg==", "Token abc", "abc", "eyJhbGciOi.x.y"] {
            assert_eq!(token_of(&[value]), Ok(None), "{value}");
        }
        for value in ["Bearer", "Bearer  a", "Bearer a b", "Bearer a,b", "Bearer ==", "Bearera"] {
            assert_eq!(token_of(&[value]), Err(()), "{value}");
        }
        assert_eq!(token_of(&["Bearer a", "Bearer a"]), Err(()));
        assert_eq!(token_of(&[]), Ok(None));
    }

    #[test]
    fn a_description_cannot_break_out_of_its_quotes() {
        assert_eq!(quotable("a\"b\\c\r\nd\u{e9}"), "a'b'c''d'");
    }
}
