//! What the CredHub family answers, word for word.

mod auth;
mod bad_input;
mod data;
mod early;
mod find;
mod generate;
mod http;
mod keys;
mod random;
mod vectors;
