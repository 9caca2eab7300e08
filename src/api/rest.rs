//! What is left of a body is read before the answer goes out.
//!
//! A refusal often comes before the body was read: no token, another content type, too many bytes. A server that answers
//! and stops listening resets the stream in HTTP/2 and closes the connection in HTTP/1.1, and a client that still sends
//! then often loses the answer: curl says `Stream error in the HTTP/2 framing layer` in place of what is wrong.
//!
//! Why not in each handler? Half of the refusals come before there is one.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, Version, header},
    middleware::Next,
    response::Response,
};
use futures::{Stream, StreamExt};

/// Reads and drops what nobody read, within bounds: whoever sends more, or slower, may lose the answer.
pub(crate) async fn read_the_rest(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let is_too_long = declared_length(&parts.headers).is_some_and(|length| length > MOST as u64);
    let awaits_go_on = parts.version < Version::HTTP_2 && parts.headers.contains_key(header::EXPECT);
    let back = Back::default();
    let lent = Lent { body: Some(body.into_data_stream()), has_begun: false, back: back.clone() };
    let response = next.run(Request::from_parts(parts, Body::from_stream(lent))).await;
    let left = back.lock().expect(UNPOISONED).take();
    if let Some(Left { body, has_begun }) = left {
        // To read is to say "go on", and then the client sends for nothing what it has held back.
        let is_held_back = awaits_go_on && !has_begun;
        if !is_too_long && !is_held_back {
            let _ = tokio::time::timeout(PATIENCE, drop_all(body)).await; // late: the answer goes out all the same
        }
    }
    response
}

/// The length of a body, where the client says it beforehand.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body on loan: what is left of it goes back when the borrower drops it, however that ends.
struct Lent {
    /// `None` once it has ended.
    body: Option<BodyDataStream>,
    has_begun: bool,
    back: Back,
}

struct Left {
    body: BodyDataStream,
    has_begun: bool,
}

type Back = Arc<Mutex<Option<Left>>>;

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.has_begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let part = ready!(body.poll_next_unpin(context));
        if !matches!(part, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(part)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Ok(mut back)) = (self.body.take(), self.back.lock()) {
            *back = Some(Left { body, has_begun: self.has_begun });
        }
    }
}

async fn drop_all(mut body: BodyDataStream) {
    let mut left = MOST;
    while let Some(Ok(part)) = body.next().await {
        left = left.saturating_sub(part.len());
        if left == 0 {
            return;
        }
    }
}

/// A multiple of what a body may have, so that whoever sends one that is too large is told.
const MOST: usize = 8 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);
const UNPOISONED: &str = "nobody panics with the body in hand";
