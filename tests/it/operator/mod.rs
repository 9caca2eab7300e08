//! The operator against a real API server: what people apply, and what they see then.
//!
//! One control plane and one operator process serve all of these tests, and each has a namespace of its own ([`scene`]).
//! What deletes the definition, stops the operator or counts its looks has a control plane of its own.

mod alone;
mod api_writes;
mod authorities;
mod bad_keys;
mod bad_rows;
mod barriers;
mod callers;
mod certificates;
mod conflicts;
mod consent;
mod deletion;
mod failed_writes;
mod hanging;
mod inheritance;
mod keys;
mod looks;
mod many_bad_objects;
mod missing_right;
mod needless;
mod ownership;
mod refusals;
mod requests;
mod rotation;
mod says;
pub mod scene;
mod schema;
mod source_watches;
mod sources;
mod startup;
mod table;
mod target;
mod types;
mod walk;
mod years;
