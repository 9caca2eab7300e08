//! How a ratio is taken: floor and ours in turns, five rounds, the medians compared.

use std::{fs, path::Path, process::ExitCode, time::Duration};

/// A thing measured against its floor.
#[derive(Debug)]
pub struct Ratio {
    pub name: String,
    /// Under this share of the floor's rate the command fails.
    pub bar: f64,
    /// Operations a second, one for each round.
    ours: Vec<f64>,
    floor: Vec<f64>,
}

impl Ratio {
    /// Runs both in turns. Each does its work once and says how many operations it did, and how long they took.
    pub fn measure(
        name: impl Into<String>,
        bar: f64,
        mut floor: impl FnMut() -> (usize, Duration),
        mut ours: impl FnMut() -> (usize, Duration),
    ) -> Self {
        let rate = |(count, took): (usize, Duration)| count as f64 / took.as_secs_f64();
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (rate(floor()), rate(ours()))).collect();
        let (floor, ours) = rounds.into_iter().unzip();
        Self { name: name.into(), bar, ours, floor }
    }

    fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.floor)
    }

    fn line(&self) -> String {
        let [ours, floor] = [&self.ours, &self.floor].map(|rates| {
            let (least, most) = rates.iter().fold((f64::MAX, 0.0_f64), |(a, b), rate| (a.min(*rate), b.max(*rate)));
            format!("{:.0}/s ({least:.0}-{most:.0})", median(rates))
        });
        format!("{:<24} ours {ours:<26} floor {floor:<26} ratio {:.2} (bar {:.2})", self.name, self.ratio(), self.bar)
    }
}

/// Prints every ratio and writes them to `target/bench/<name>.json`. Fails under a bar, and where the machine was busy
/// before: then the figures say nothing.
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub fn report(name: &str, busy: Option<f64>, ratios: &[Ratio]) -> ExitCode {
    for ratio in ratios {
        println!("{name}: {}", ratio.line());
    }
    let rows: Vec<_> = ratios
        .iter()
        .map(
            |r| serde_json::json!({"name": r.name, "ours": r.ours, "floor": r.floor, "ratio": r.ratio(), "bar": r.bar}),
        )
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let written = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join(format!("{name}.json")), serde_json::json!(rows).to_string()));
    if let Err(error) = written {
        println!("{name}: {} cannot be written: {error}", folder.display());
    }
    if let Some(load) = busy {
        println!(
            "{name}: void: the load was {load:.2} before the first round, over {MOST_LOAD}; run it on a machine at rest"
        );
        return ExitCode::FAILURE;
    }
    let under: Vec<_> = ratios.iter().filter(|ratio| ratio.ratio() < ratio.bar).map(|ratio| &ratio.name).collect();
    if under.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{name}: under the bar: {under:?}");
    ExitCode::FAILURE
}

/// The load of the last minute, where it is too high to measure anything.
pub fn busy() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split(' ').next()?.parse().ok()?;
    (load > MOST_LOAD).then_some(load)
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

const ROUNDS: usize = 5;
const MOST_LOAD: f64 = 0.5;
