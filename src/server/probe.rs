//! The program as the kill test runs it: the same, and a harness hears of each point that it reaches.
//!
//! `CREDSMITH_PROBE` names a directory with two named pipes. `points` takes one line for each point, its name and what it
//! concerns; `orders` gives lines such as `hold store.open 3`: the third who reaches that point from now on tells
//! `held` and stays there. `CREDSMITH_PROBE_SYNC=off` lets the store answer before its commits are on disk.

#[path = "main.rs"]
mod program;

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use credsmith_core::probe::{self, Point, Watcher};

fn main() -> ExitCode {
    match env::var_os("CREDSMITH_PROBE").map(PathBuf::from).map(Pipes::open) {
        Some(Err(error)) => {
            eprintln!("error: the pipes that CREDSMITH_PROBE names: {error}; run this program by `make torture`");
            return ExitCode::FAILURE;
        }
        Some(Ok(pipes)) => probe::watch(Box::new(pipes)),
        None => {}
    }
    program::main()
}

struct Pipes {
    points: Mutex<File>,
    order: Arc<Mutex<Option<Order>>>,
    syncs: bool,
}

/// Whom to hold.
struct Order {
    point: String,
    /// How many may pass before.
    passing: usize,
}

impl Pipes {
    fn open(directory: PathBuf) -> io::Result<Self> {
        // For reading as well: neither waits for the other end then, nor ends with it.
        let pipe = |name: &str| OpenOptions::new().read(true).write(true).open(directory.join(name));
        let (points, orders) = (pipe("points")?, pipe("orders")?);
        let order = Arc::new(Mutex::new(None));
        let given = Arc::clone(&order);
        std::thread::Builder::new().name("probe".to_owned()).spawn(move || {
            for line in BufReader::new(orders).lines().map_while(Result::ok) {
                *given.lock().unwrap_or_else(PoisonError::into_inner) = parse(&line);
            }
        })?;
        let syncs = env::var_os("CREDSMITH_PROBE_SYNC").is_none_or(|word| word != "off");
        Ok(Self { points: Mutex::new(points), order, syncs })
    }

    fn is_to_hold(&self, point: Point) -> bool {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        match order.as_mut().filter(|order| order.point == point.as_str()) {
            Some(Order { passing: 0, .. }) => order.take().is_some(),
            Some(order) => {
                order.passing -= 1;
                false
            }
            None => false,
        }
    }
}

impl Watcher for Pipes {
    fn reached(&self, point: Point, what: &str) -> bool {
        // Point and order under one lock: the lines stand in the order of what happened.
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        // A step that changed nothing that has a name was refused, or is bookkeeping: nobody is held there.
        let hold = !what.is_empty() && self.is_to_hold(point);
        let held = if hold { "held\n" } else { "" };
        // One write, and short: SIGKILL finds it done or not begun. Where the harness has gone nobody wants to know.
        let _ = points.write_all(format!("{} {what}\n{held}", point.as_str()).as_bytes());
        hold
    }

    fn syncs(&self) -> bool {
        self.syncs
    }
}

fn parse(line: &str) -> Option<Order> {
    let mut words = line.split(' ');
    let (Some("hold"), Some(point), Some(turn)) = (words.next(), words.next(), words.next()) else { return None };
    Some(Order { point: point.to_owned(), passing: turn.parse::<usize>().ok()?.saturating_sub(1) })
}
