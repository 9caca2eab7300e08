//! The one integration-test binary. Each module says what it is about.

/// A line that is printed whether or not the test passes: the framework keeps back what `eprintln!` prints.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stderr(), $($words)*).ok();
    }};
}

mod app;
mod command_line;
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
