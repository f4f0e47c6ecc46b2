//! Processing-time windows: jobs under a clock that is advanced by hand.

use thalweg::connectors::{Collected, inlet};
use thalweg::datastream::Environment;
use thalweg::operator::{Session, TimeWindow, Tumbling, WindowAssigner};
use thalweg::runtime::Step;
use thalweg::state::Count;
use thalweg::time::{ManualClock, Timestamp, nanoseconds};

use crate::schedule::sorted;

/// A key, the window's start and end, and its number of records.
type Counted = (u64, i64, i64, u64);

/// Pushes keys at given clock times; returns what had been counted by the time of each push, and what arrived after
/// the end of input.
fn run(
    parallelism: u32,
    assigner: impl WindowAssigner<[u64; 1]>,
    pushes: &[(i64, &[u64])],
) -> (Vec<Vec<Counted>>, Vec<Counted>) {
    let env = Environment::new().parallelism(parallelism);
    let (mut records, source) = inlet::<[u64; 1]>(1 << 12);
    let counts = Collected::new();
    env.source("bids", source)
        .key_by(|bid| bid[0])
        .window(assigner)
        .aggregate_with(Count, |bidder, window: TimeWindow, count| {
            (*bidder, window.start.0, window.end.0, count)
        })
        .sink("counts", counts.sink());
    let clock = ManualClock::new(Timestamp(0));
    let mut job = env.stepper("bids", clock.clone()).expect("deploys");
    let mut counted = Vec::new();
    for &(at, keys) in pushes {
        clock.advance(nanoseconds((at - clock.now().0) as u64));
        assert_eq!(job.run().expect("runs"), Step::Idle);
        counted.push(sorted(counts.take()));
        for &key in keys {
            records.push(&[key]).expect("room");
        }
        assert_eq!(job.run().expect("runs"), Step::Idle);
    }
    drop(records);
    assert_eq!(job.run().expect("runs"), Step::Finished);
    (counted, counts.take())
}

#[test]
fn bids_are_counted_per_bidder_and_window_of_the_clock() {
    for parallelism in [1, 2, 3] {
        let windows = Tumbling::of(nanoseconds(100)).processing_time();
        let pushes: [(i64, &[u64]); 6] = [
            (10, &[1, 2, 1]),
            (99, &[3, 1]),
            (100, &[1]),
            (101, &[]),
            (455, &[2]),
            (499, &[2]),
        ];
        let (counted, left) = run(parallelism, windows, &pushes);
        let first = vec![(1, 0, 100, 3), (2, 0, 100, 1), (3, 0, 100, 1)];
        let second = vec![(1, 100, 200, 1)];
        let expected = [vec![], vec![], first, vec![], second, vec![]];
        assert_eq!(counted, expected, "parallelism {parallelism}");
        assert!(left.is_empty(), "what is open at the end never fires");
    }
}

#[test]
fn sessions_end_when_the_clock_has_passed_their_gap() {
    for parallelism in [1, 3] {
        let sessions = Session::with_gap(nanoseconds(50)).processing_time();
        let pushes: [(i64, &[u64]); 5] =
            [(10, &[1, 2]), (40, &[1]), (60, &[]), (89, &[]), (90, &[])];
        let (counted, left) = run(parallelism, sessions, &pushes);
        let expected = [
            vec![],
            vec![],
            vec![(2, 10, 60, 1)],
            vec![],
            vec![(1, 10, 90, 2)],
        ];
        assert_eq!(counted, expected, "parallelism {parallelism}");
        assert!(left.is_empty());
    }
}
