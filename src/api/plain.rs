//! The plain listener: how the process is doing, and nothing about credentials.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use credsmith_core::metrics::Metrics;
use futures::future;

/// Says whether the process can serve.
#[async_trait]
pub trait Readiness: fmt::Debug + Send + Sync + 'static {
    /// `Err`: why not, in words that may be shown to anybody.
    async fn check(&self) -> Result<(), String>;
}

/// The router of the plain listener: `/healthz` while the process lives, `/readyz` while it can serve, `/metrics` for
/// Prometheus, and `GET /health` as the original has it (spec section 1.1). Everything else is 404 with an empty body.
pub fn plain_router(metrics: Metrics, readiness: Arc<dyn Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(move || future::ready(([(header::CONTENT_TYPE, PROMETHEUS)], metrics.page()))))
        .route("/health", get(async || ([(header::CONTENT_TYPE, ACTUATOR)], HEALTH)))
        .fallback(async || StatusCode::NOT_FOUND)
        .method_not_allowed_fallback(async || StatusCode::NOT_FOUND)
}

async fn ready(State(readiness): State<Arc<dyn Readiness>>) -> Response {
    match readiness.check().await {
        Ok(()) => "ok".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const ACTUATOR: &str = "application/vnd.spring-boot.actuator.v3+json";
const HEALTH: &str = r#"{"groups":["liveness","readiness"],"status":"UP"}"#;
