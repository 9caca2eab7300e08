//! The CredHub API: its routes. What it answers, to the letter, is section by section in the specification of CredHub's
//! behaviour, which the comments here call "spec".

mod body;
mod data;
mod error;
mod info;
mod keys;
mod query;
mod request;
mod view;

use axum::{http::Method, routing::on};

pub(crate) use error::Error;
pub use info::API_LEVEL;

use crate::Route;

/// The routes of this release (spec section 1.1).
pub(crate) const ROUTES: &[Route] = &[
    Route { method: Method::GET, path: "/info", public: true, handler: |m| on(m, info::info) },
    Route { method: Method::GET, path: "/health", public: true, handler: |m| on(m, info::health) },
    Route { method: Method::GET, path: "/version", public: false, handler: |m| on(m, info::version) },
    Route { method: Method::GET, path: "/api/v1/data", public: false, handler: |m| on(m, data::get) },
    Route { method: Method::PUT, path: "/api/v1/data", public: false, handler: |m| on(m, data::set) },
    Route { method: Method::POST, path: "/api/v1/data", public: false, handler: |m| on(m, data::generate) },
    Route { method: Method::DELETE, path: "/api/v1/data", public: false, handler: |m| on(m, data::delete) },
    Route { method: Method::GET, path: "/api/v1/data/{id}", public: false, handler: |m| on(m, data::get_by_id) },
];
