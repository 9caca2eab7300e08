//! `/info`, `/health` and `/version` (spec section 8.3).

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use credsmith_core::hub::Caller;
use serde_json::{Value, json};

use crate::App;

/// The level of the CredHub API that is spoken here: the release whose recorded answers ours are compared with.
///
/// Clients decide by it what they may send: metadata from 2.6.0 on, no `mode` on PUT from 2.0.0 on. It has nothing to do
/// with the release of Credsmith.
pub const API_LEVEL: &str = "2.15.20";

pub(super) async fn info(State(app): State<App>) -> Response {
    // Clients join paths to it as text, so it must not end in a slash (spec section 10.1).
    let url = app.auth_server.as_deref().unwrap_or_default().trim_end_matches('/');
    answer(&json!({"auth-server": {"url": url}, "app": {"name": "CredHub"}}))
}

pub(super) async fn health() -> Response {
    answer(&json!({"status": "UP"}))
}

pub(super) async fn version(State(app): State<App>, _: Caller) -> Response {
    answer(&json!({"version": app.version}))
}

fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
