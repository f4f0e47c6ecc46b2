//! Windows in two phases have the records of subtasks for which event time does not wait.

use thalweg::connectors::{Collected, inlet};
use thalweg::datastream::Environment;
use thalweg::operator::Tumbling;
use thalweg::runtime::Step;
use thalweg::state::Count;
use thalweg::time::{ManualClock, Monotonous, Timestamp, WatermarkStrategy, nanoseconds, secs};

use crate::schedule::sorted;

/// Subtask and timestamp.
type Placed = [u64; 2];
/// The start of a window and its number of records.
type Counted = (i64, u64);

/// Where records are counted.
#[derive(Clone, Copy, Debug)]
enum Counting {
    OverAll,
    ByKey,
    ByKeyInTwoPhases,
}

/// Returns what has been counted when one of two subtasks has gone idle and come back behind the other one.
fn counted(counting: Counting) -> Vec<Counted> {
    let env = Environment::new().parallelism(2);
    let (mut records, source) = inlet::<Placed>(1 << 12);
    let counts = Collected::new();
    let placed = env
        .source("records", source)
        .partition_custom(|record, subtasks| record[0] as usize % subtasks)
        .timestamps(Monotonous.with_idleness(secs(1)), |record| {
            Timestamp(record[1] as i64)
        });
    let windows = Tumbling::of(nanoseconds(10));
    match counting {
        Counting::OverAll => placed
            .window_all(windows)
            .aggregate_with(Count, |window, count| (window.start.0, count))
            .sink("counts", counts.sink()),
        Counting::ByKey => placed
            .key_by(|_| 0_u64)
            .window(windows)
            .aggregate_with(Count, |_, window, count| (window.start.0, count))
            .sink("counts", counts.sink()),
        Counting::ByKeyInTwoPhases => placed
            .key_by(|_| 0_u64)
            .window(windows)
            .two_phase()
            .aggregate_with(Count, |_, window, count| (window.start.0, count))
            .sink("counts", counts.sink()),
    };
    let clock = ManualClock::new(Timestamp(0));
    let mut job = env.stepper("idle", clock.clone()).expect("deploys");
    let mut push = |pushed: &[Placed]| {
        for record in pushed {
            records.push(record).expect("room");
        }
        assert_eq!(job.run().expect("runs"), Step::Idle);
    };
    push(&[[0, 1], [1, 2]]);
    for at in 12..16 {
        clock.advance(secs(1));
        push(&[[1, at]]);
    }
    // Subtask 0 is idle, so the first window is over.
    assert_eq!(counts.take(), [(0, 2)], "{counting:?}");
    push(&[[1, 28]]);
    push(&[[0, 26]]);
    push(&[[1, 35]]);
    drop(records);
    assert_eq!(job.run().expect("runs"), Step::Finished);
    sorted(counts.take())
}

#[test]
fn records_of_a_subtask_that_goes_idle_are_in_their_windows() {
    for counting in [
        Counting::ByKey,
        Counting::OverAll,
        Counting::ByKeyInTwoPhases,
    ] {
        let expected = [(10, 4), (20, 2), (30, 1)];
        assert_eq!(counted(counting), expected, "{counting:?}");
    }
}
