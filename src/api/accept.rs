//! Answers are JSON, and a client that wants none gets none (spec section 1.3).

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use credsmith_core::hub::Caller;

use crate::{ROUTES, credhub::Error};

/// Refuses a request whose `Accept` excludes JSON, before anything is done for it. Whoever is not let in hears that first,
/// and an unknown path is that to everybody.
pub(crate) async fn json_only(matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    if !is_let_in(matched.as_ref(), &request) {
        return next.run(request).await;
    }
    match takes_json(request.headers()) {
        Some(true) => next.run(request).await,
        Some(false) => StatusCode::NOT_ACCEPTABLE.into_response(),
        None => {
            let text = "the Accept header cannot be read: send `Accept: application/json`, or none";
            Error::bad_request(text).into_response()
        }
    }
}

/// Whether a handler will answer, and not just say who may come in.
fn is_let_in(matched: Option<&MatchedPath>, request: &Request) -> bool {
    let path = matched.map(MatchedPath::as_str);
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let mut routes = ROUTES.iter().filter(|route| Some(route.path) == path && route.method == *method);
    routes.any(|route| route.public || request.extensions().get::<Caller>().is_some())
}

/// `None` where a header is no list of media ranges (RFC 9110, section 12.5.1).
fn takes_json(headers: &HeaderMap) -> Option<bool> {
    let mut takes = None;
    for value in headers.get_all(header::ACCEPT) {
        let ranges = value.to_str().ok()?.split(',').map(str::trim).filter(|range| !range.is_empty());
        for range in ranges {
            let takes_this = range_takes_json(range)?;
            takes = Some(takes.unwrap_or(false) || takes_this);
        }
    }
    Some(takes.unwrap_or(true)) // nothing said: anything goes
}

fn range_takes_json(range: &str) -> Option<bool> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (kind, sub) = media.split_once('/')?;
    if !is_token(kind) || !is_token(sub) || (kind == "*" && sub != "*") {
        return None;
    }
    let is_json = matches!((kind, sub), ("*", "*") | ("application", "*" | "json" | "*+json"));
    let mut weight = 1.0;
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        if name.eq_ignore_ascii_case("q") {
            weight = value.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
        }
    }
    Some(is_json && weight > 0.0)
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(values: &[&str]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        takes_json(&headers)
    }

    #[test]
    fn json_is_taken_by_name_by_wildcard_and_in_silence() {
        for value in [
            "",
            "application/json",
            "Application/JSON; charset=utf-8",
            "*/*",
            "application/*",
            "application/*+json",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/html, application/json;q=0.1,",
        ] {
            assert_eq!(takes(&[value]), Some(true), "{value}");
        }
        assert_eq!(takes(&[]), Some(true));
        assert_eq!(takes(&["text/html", "application/json"]), Some(true));
    }

    #[test]
    fn what_excludes_json_is_told_from_what_cannot_be_read() {
        for value in ["text/html", "application/xml", "text/*", "application/json;q=0", "text/html, image/*;q=0.5"] {
            assert_eq!(takes(&[value]), Some(false), "{value}");
        }
        for value in ["garbage", "/", "a/", "*/json", "a/b/c", "application/json;q=x", "application/json;q", "\u{e9}/a"]
        {
            assert_eq!(takes(&[value]), None, "{value}");
        }
    }
}
