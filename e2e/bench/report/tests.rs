use super::*;
use crate::{
    count::Counted,
    machine::{Memory, Spent},
};

fn floor(seconds: u64, creates_a_second: f64) -> floor::Round {
    let took = Duration::from_secs(seconds);
    floor::Round { objects: 1000, took, creates_a_second, spent_each: Spent::default(), busy_before: 0.0 }
}

fn ours(seconds: u64, requests: usize) -> ours::Round {
    ours::Round {
        objects: 1000,
        took: Duration::from_secs(seconds),
        requests: Counted { objects: requests, all: requests + 4, lists: 4, ..Default::default() },
        memory: Memory { peak_kib: 40 * 1024 + seconds, resident_kib: 30 * 1024 },
        spent_each: Spent::default(),
        busy_before: 0.0,
    }
}

/// A run that is good in every way.
fn good() -> Report {
    Report {
        load: 0.2,
        release_build: true,
        floor_in_flight: 32,
        floor_tried: vec![(8, 310.0), (32, 400.0)],
        sizes: (900, 1200),
        floor: vec![floor(3, 700.0), floor(2, 600.0), floor(4, 200.0)],
        ours: vec![ours(5, 2002), ours(4, 2002), ours(9, 2005)],
        quiet: Quiet {
            lasted: QUIET,
            requests: Counted { all: 3, watches: 3, ..Default::default() },
            memory: Memory::default(),
            spent: 120_000,
            control: 1,
        },
    }
}

#[test]
fn the_middle_counts_and_no_single_round() {
    assert_eq!(median([5.0, 1.0, 3.0]), 3.0);
    assert_eq!(median([4.0, 1.0, 3.0, 2.0]), 2.0);
    assert!(median([]).is_nan());
    let figures = good().figures();
    assert_eq!((figures.ours.round(), figures.floor.round()), (200.0, 333.0));
    assert!((figures.ratio - 0.6).abs() < 1e-9);
    assert_eq!(figures.creates_a_second, 600.0);
    // Of all rounds, and the worst of them.
    assert!((figures.requests_each - 2.003).abs() < 1e-9);
    assert!(figures.rss_mib > 40.0);
}

#[test]
fn a_good_run_closes_with_its_line() {
    let report = good();
    assert_eq!((report.void(), report.under_the_bar()), (vec![], vec![]));
    let text = report.to_string();
    assert_eq!(
        text.lines().last(),
        Some(
            "bench-operator: ours 200/s floor 333/s ratio 0.60 requests-each 2.00 rss 40 MiB quiet-writes 0 quiet-requests 3"
        )
    );
    assert_eq!(text.matches("bench-operator:").count(), 1);
}

#[test]
fn what_says_nothing_is_void() {
    let spoilt: [fn(&mut Report); 8] = [
        |report| report.load = 0.51,
        |report| report.floor[1].busy_before = 0.51,
        |report| report.ours[2].busy_before = 1.9,
        |report| report.floor.iter_mut().for_each(|round| round.creates_a_second = 299.0),
        |report| report.floor.clear(),
        |report| report.release_build = false,
        |report| report.quiet.lasted = Duration::from_secs(119),
        |report| report.quiet.control = 0,
    ];
    for (nth, spoil) in spoilt.into_iter().enumerate() {
        let mut report = good();
        spoil(&mut report);
        assert_eq!(report.void().len(), 1, "{nth}: {:?}", report.void());
        assert!(report.to_string().contains("\nvoid: "), "{nth}");
    }
    let mut at_the_limit = good();
    at_the_limit.load = 0.5;
    assert_eq!(at_the_limit.void(), Vec::<String>::new());
}

#[test]
fn what_is_under_the_bar_is_told() {
    let spoilt: [fn(&mut Report); 4] = [
        |report| report.ours.iter_mut().for_each(|round| round.took = Duration::from_secs(7)),
        |report| report.ours[0].requests.objects = 5001,
        |report| report.quiet.requests.writes = 1,
        |report| report.floor.iter_mut().for_each(|round| round.took = Duration::from_secs(1)),
    ];
    for (nth, spoil) in spoilt.into_iter().enumerate() {
        let mut report = good();
        spoil(&mut report);
        assert_eq!(report.under_the_bar().len(), 1, "{nth}: {:?}", report.under_the_bar());
        assert!(report.to_string().contains("\nunder the bar: "), "{nth}");
    }
}
