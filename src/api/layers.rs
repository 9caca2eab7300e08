//! What happens around every request: counted, timed, and answered even when a handler panics or hangs.

use std::{
    any::Any,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::{Instrument, Span, field};

use crate::{App, credhub::Error};

/// Counts and logs a request by its route, never by its path or its query: both are unbounded, and a query may hold
/// what somebody typed by mistake.
pub(crate) async fn observe(
    State(app): State<App>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = word(request.method());
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", method, route, actor = field::Empty);
    let mut response = next.run(request).instrument(span.clone()).await;

    // Whatever is answered here, nobody may keep it.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let (status, took) = (response.status(), started.elapsed());
    let metrics = &app.hub.metrics;
    metrics.requests.with_label_values(&[method, route, status.as_str()]).inc();
    metrics.request_seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
    span.in_scope(|| tracing::info!(status = status.as_u16(), milliseconds = took.as_millis(), "answered"));
    response
}

/// Writes who asks into the log line of the request.
pub(crate) fn record_actor(actor: &str) {
    Span::current().record("actor", actor);
}

/// Ends a request that takes too long. The time covers the reading of its body.
pub(crate) async fn in_time(request: Request, next: Next) -> Response {
    within(REQUEST_TIME, next.run(request)).await
}

/// Answers for a handler that panicked. The text of the panic stays out of the answer: it may hold anything.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Error::internal().into_response()
}

async fn within(time: Duration, answer: impl Future<Output = Response>) -> Response {
    tokio::time::timeout(time, answer).await.unwrap_or_else(|_| {
        tracing::warn!(seconds = time.as_secs(), "given up: the answer took too long");
        let text = "the answer took too long and was given up: try again, and read before you write";
        Error::Refused(StatusCode::SERVICE_UNAVAILABLE, text.into()).into_response()
    })
}

/// The method as a label. A client may invent methods, so the others share one.
fn word(method: &Method) -> &'static str {
    const KNOWN: [Method; 8] = [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
    ];
    const WORDS: [&str; 8] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"];
    KNOWN.iter().position(|known| known == method).map_or("other", |at| WORDS[at])
}

/// Longer than any call takes, shorter than the 45 s that the command line waits (spec section 10.1).
const REQUEST_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_methods_share_a_label() {
        assert_eq!(word(&Method::DELETE), "DELETE");
        assert_eq!(word(&Method::from_bytes(b"BREW").unwrap()), "other");
    }

    #[tokio::test]
    async fn a_request_that_hangs_is_given_up() {
        let answer = within(Duration::from_millis(5), std::future::pending()).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
