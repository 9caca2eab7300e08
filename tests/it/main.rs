//! The one integration-test binary. Each module says what it is about.

mod app;
mod credhub;
mod guards;
mod house;
mod plain;
