//! What a run says.

use std::{fmt, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{gets::Times, load};

/// One burst, and the GETs alone before it.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    pub alone: Times,
    pub beside: Times,
    /// From the first question for a key to the last answer.
    pub burst: Duration,
}

/// All rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub load: f64,
    pub release_build: bool,
    pub idle: Duration,
    pub with_pool: Vec<Round>,
    pub without_pool: Vec<Round>,
}

/// The medians.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Figures {
    alone_ms: f64,
    beside_ms: f64,
    ratio: f64,
    burst_s: f64,
}

impl Report {
    /// Why the figures say nothing, if so.
    pub fn void(&self) -> Vec<String> {
        let mut why: Vec<_> = load::void(self.load).into_iter().collect();
        if !self.release_build {
            why.push("this is no release build".to_owned());
        }
        if self.idle < IDLE {
            why.push(format!("each burst came after {:?} of idling, not {IDLE:?}", self.idle));
        }
        why
    }

    /// What is over the bar.
    pub fn over_the_bar(&self) -> Vec<String> {
        let over =
            self.figures().into_iter().filter(|(_, figures)| figures.ratio.is_nan() || figures.ratio > MOST_RATIO);
        over.map(|(pool, figures)| format!("pool {pool}: ratio {:.2}, the bar is {MOST_RATIO}", figures.ratio))
            .collect()
    }

    /// Writes all of it to `target/bench/burst.json`.
    pub fn write(&self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
        let figures = self.figures().map(|(pool, figures)| serde_json::json!({"pool": pool, "figures": figures}));
        let all = serde_json::json!({
            "figures": figures, "void": self.void(), "over_the_bar": self.over_the_bar(), "run": self,
        });
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("burst.json"), format!("{all:#}\n")))
            .with_context(|| format!("writing to {}", folder.display()))
    }

    fn figures(&self) -> [(&'static str, Figures); 2] {
        [("on", Figures::of(&self.with_pool)), ("off", Figures::of(&self.without_pool))]
    }
}

impl Figures {
    fn of(rounds: &[Round]) -> Self {
        let median = |of: fn(&Round) -> f64| median(rounds.iter().map(of));
        Self {
            alone_ms: median(|round| round.alone.p99_ms),
            beside_ms: median(|round| round.beside.p99_ms),
            // Of each round its own: what else the machine did then is in both.
            ratio: median(|round| round.beside.p99_ms / round.alone.p99_ms),
            burst_s: median(|round| round.burst.as_secs_f64()),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in [("alone", &self.alone), ("beside", &self.beside)] {
            let Times { count, p50_ms, p99_ms, most_ms } = times;
            write!(f, "{what} {count} GETs p50 {p50_ms:.2} p99 {p99_ms:.2} most {most_ms:.2} ms; ")?;
        }
        write!(f, "keys in {:.2} s", self.burst.as_secs_f64())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "load before {:.2}; 200 GETs a second, 32 RSA-2048 keys at once", self.load)?;
        for (pool, rounds) in [("on", &self.with_pool), ("off", &self.without_pool)] {
            for (nth, round) in rounds.iter().enumerate() {
                writeln!(f, "pool {pool} round {nth}: {round}")?;
            }
        }
        self.void().iter().try_for_each(|why| writeln!(f, "void: {why}"))?;
        self.over_the_bar().iter().try_for_each(|why| writeln!(f, "over the bar: {why}"))?;
        let [on, off] = self.figures().map(|(pool, figures)| {
            let Figures { alone_ms, beside_ms, ratio, burst_s } = figures;
            format!(
                "pool {pool} alone {alone_ms:.2} ms beside {beside_ms:.2} ms ratio {ratio:.2} keys in {burst_s:.2} s"
            )
        });
        write!(f, "bench-burst: p99 of GETs: {on}; {off} (bar {MOST_RATIO})")
    }
}

/// The middle one, of an even number the lower of both; not a number where there is none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// How long is idled before a burst.
const IDLE: Duration = Duration::from_secs(60);
const MOST_RATIO: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn round(alone: f64, beside: f64) -> Round {
        let times = |p99_ms| Times { count: 2000, p50_ms: 1.0, p99_ms, most_ms: 9.0 };
        Round { alone: times(alone), beside: times(beside), burst: Duration::from_secs(1) }
    }

    fn report() -> Report {
        let with_pool = vec![round(2.0, 3.0), round(2.0, 8.0), round(2.0, 2.0)];
        let without_pool = vec![round(2.0, 4.5)];
        Report { load: 0.1, release_build: true, idle: IDLE, with_pool, without_pool }
    }

    #[test]
    fn the_line_compares_each_round_with_itself_and_takes_the_middle_one() {
        let text = report().to_string();
        let line = "bench-burst: p99 of GETs: pool on alone 2.00 ms beside 3.00 ms ratio 1.50 keys in 1.00 s; pool off alone \
                    2.00 ms beside 4.50 ms ratio 2.25 keys in 1.00 s (bar 2)";
        assert_eq!(text.lines().last(), Some(line));
        assert_eq!(report().over_the_bar(), ["pool off: ratio 2.25, the bar is 2"]);
    }

    #[test]
    fn what_says_nothing_says_why() {
        assert!(report().void().is_empty());
        let busy = Report { load: 0.6, release_build: false, idle: Duration::from_secs(1), ..report() };
        assert_eq!(busy.void().len(), 3);
    }

    #[test]
    fn nothing_measured_is_over_the_bar() {
        assert_eq!(Report { with_pool: Vec::new(), ..report() }.over_the_bar().len(), 2);
    }
}
