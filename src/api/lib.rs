//! The HTTP front: thin doors to the use cases. It translates and does nothing else.
//!
//! A request passes, from the outside in:
//!
//! - `path`: every path has one form, before anything is decided by it.
//! - `rest`: what nobody read of its body is read before the answer goes out.
//! - `layers`: counted, timed, and answered even when a handler panics.
//! - `caller`: a token becomes a [`Caller`](credsmith_core::hub::Caller), without which no use case can be called.
//! - `accept`: a client that wants no JSON is told so.
//! - a handler of a family (`credhub`), which reads a body, calls the hub and writes an answer.
//!
//! [`plain_router`] is for the second listener, which tells how the process is doing and nothing about credentials.
//!
//! Why one table of routes? The router is built from [`ROUTES`], and the test that walks every route with every kind of
//! caller reads the same table, so a route cannot be forgotten there.

mod accept;
mod buffer;
mod caller;
mod credhub;
mod layers;
mod path;
mod plain;
mod rest;

use std::{fmt, ops::Deref, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, Request},
    http::Method,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodFilter, MethodRouter},
};
use credsmith_core::{auth::Verifier, hub::Hub};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

pub use credhub::API_LEVEL;
pub use plain::{Readiness, plain_router};

/// What the front needs to answer.
#[derive(Debug)]
pub struct Api {
    pub hub: Arc<Hub>,
    /// Asked in turn; the first that knows a token decides.
    pub verifiers: Vec<Arc<dyn Verifier>>,
    /// What `/version` answers: [`API_LEVEL`], unless clients must be shown another.
    pub version: String,
    /// What `/info` names as the server that hands out tokens.
    pub auth_server: Option<String>,
}

/// The router of the HTTPS listener.
pub fn router(api: Api) -> Router {
    let app = App(Arc::new(api));
    let routes = ROUTES.iter().fold(Router::new(), |router, route| {
        let method = MethodFilter::try_from(route.method.clone()).expect("the table holds ordinary methods");
        router.route(route.path, (route.handler)(method))
    });
    let routed = routes
        .fallback(caller::no_route)
        .method_not_allowed_fallback(caller::no_route)
        .layer(from_fn(accept::json_only))
        .layer(from_fn_with_state(app.clone(), caller::authenticate))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(layers::in_time))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(from_fn_with_state(app.clone(), layers::observe))
        .layer(from_fn(rest::read_the_rest))
        .with_state(app);
    // Routing comes after the path has its one form, so the whole router is what is wrapped.
    Router::new().fallback_service(ServiceExt::<Request>::map_request(routed, path::tidy))
}

/// Every route of the HTTPS listener. HEAD works where GET does, OPTIONS everywhere.
pub const ROUTES: &[Route] = credhub::ROUTES;

/// A route, and who may call it at all.
pub struct Route {
    pub method: Method,
    /// With `{placeholders}`: also the label in metrics and logs, so their number is bounded.
    pub path: &'static str,
    /// Whether it answers without a token.
    pub public: bool,
    handler: fn(MethodFilter) -> MethodRouter<App>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// The state of every handler.
#[derive(Clone, Debug)]
struct App(Arc<Api>);

impl Deref for App {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}
impl FromRef<App> for Arc<Hub> {
    fn from_ref(app: &App) -> Self {
        app.hub.clone()
    }
}

/// The largest body, in bytes (architecture, section 5).
const BODY_LIMIT: usize = 512 * 1024;
