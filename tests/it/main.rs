//! The one integration-test binary. Each module says what it is about.

mod app;
mod credhub;
mod disk;
mod drift;
mod guards;
mod house;
mod keys;
mod operator;
mod outage;
mod plain;
mod torture;

// Tests start in the order of their names, and this one looks at what the others left.
#[path = "leaks/mod.rs"]
mod zz_leaks;
