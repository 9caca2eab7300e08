//! How busy the machine was before a run, and why such a run says nothing.

use std::fs;

use anyhow::{Context as _, Result};

/// The load of the last minute.
pub fn load() -> Result<f64> {
    load_in(&fs::read_to_string("/proc/loadavg")?).context("a load in /proc/loadavg")
}

/// Why figures that were taken after such a load say nothing, if so.
pub fn void(load: f64) -> Option<String> {
    (load > MOST_LOAD).then(|| {
        format!("the load was {load:.2} before the first round, over {MOST_LOAD}: run it on a machine at rest")
    })
}

fn load_in(text: &str) -> Option<f64> {
    text.split(' ').next()?.parse().ok()
}

/// Over it nothing is measured.
pub const MOST_LOAD: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_that_of_the_last_minute() {
        assert_eq!(load_in("0.58 1.00 1.22 2/310 15292\n"), Some(0.58));
        assert_eq!(load_in(""), None);
    }
}
