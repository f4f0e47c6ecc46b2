//! Windows that are open at a savepoint resume at any parallelism: each is complete, and fires once.

use std::sync::Arc;

use thalweg::checkpoint::HeapStorage;
use thalweg::operator::{Sliding, TimeWindow};
use thalweg::prelude::*;
use thalweg::time::{BoundedOutOfOrderness, nanoseconds};

use super::ledger::Ledger;

const NUMBERS: u64 = 150_000;
const KEYS: u64 = 10;
/// One number per nanosecond.
const SLIDE: u64 = 20_000;
const SIZE: u64 = 60_000;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Keyed,
    TwoPhase,
    All,
}

/// The number of numbers per key and window, or per window.
fn counts(kind: Kind, parallelism: u32, ledger: &Ledger) -> Environment {
    let storage = Arc::new(HeapStorage::new());
    let env = Environment::new()
        .parallelism(parallelism)
        .checkpoints(Checkpoints::on_request().to_storage(storage));
    let watermarks = BoundedOutOfOrderness::of(nanoseconds(0));
    let numbers = env
        .source(
            "numbers",
            Generator::new(|n| n).rate(150_000).count(NUMBERS),
        )
        .parallelism(1)
        .timestamps(watermarks, |n| Timestamp(*n as i64))
        .rebalance();
    let windows = Sliding::of(nanoseconds(SIZE), nanoseconds(SLIDE));
    let row = |key: &u64, window: TimeWindow, count: u64| {
        let window = (window.end.0 as u64).div_euclid(SLIDE);
        [key * 1_000 + window, count]
    };
    match kind {
        Kind::Keyed => numbers
            .key_by(|n| n % KEYS)
            .window(windows)
            .aggregate_with(Count, row)
            .uid("windows")
            .sink("ledger", ledger.clone()),
        Kind::TwoPhase => numbers
            .key_by(|n| n % KEYS)
            .window(windows)
            .two_phase()
            .aggregate_with(Count, row)
            .uid("windows")
            .sink("ledger", ledger.clone()),
        Kind::All => numbers
            .window_all(windows)
            .aggregate_with(Count, move |window, count| row(&0, window, count))
            .uid("windows")
            .sink("ledger", ledger.clone()),
    };
    env
}

fn expected(kind: Kind) -> Vec<[u64; 2]> {
    let keys = match kind {
        Kind::All => 1,
        _ => KEYS,
    };
    let mut rows = Vec::new();
    for key in 0..keys {
        for window in 1..=(NUMBERS + SIZE).div_ceil(SLIDE) - 1 {
            let end = window * SLIDE;
            let (from, to) = (end.saturating_sub(SIZE), end.min(NUMBERS));
            if from < to {
                rows.push([key * 1_000 + window, (to - from) / keys]);
            }
        }
    }
    rows
}

#[test]
fn windows_of_every_kind_go_on_at_another_parallelism() {
    for kind in [Kind::Keyed, Kind::TwoPhase, Kind::All] {
        let ledger = Ledger::default();
        let directory = tempfile::tempdir().expect("a directory");
        let mut restored = None;
        for (step, parallelism) in [2, 3, 3, 1].into_iter().enumerate() {
            let mut env = counts(kind, parallelism, &ledger);
            if let Some(path) = restored.take() {
                env = env.restore(RestoreFrom::Path(path));
            }
            if step == 3 {
                env.execute("windows").expect("it finishes");
                break;
            }
            let job = env.spawn("windows").expect("a job");
            std::thread::sleep(std::time::Duration::from_millis(120));
            let path = directory.path().join(step.to_string());
            job.stop(&path).expect("a savepoint");
            job.wait().expect("it finishes");
            let is_first = step == 0;
            assert!(!is_first || ledger.rows().len() < expected(kind).len());
            restored = Some(path);
        }
        assert_eq!(ledger.rows(), expected(kind), "{kind:?}");
    }
}
