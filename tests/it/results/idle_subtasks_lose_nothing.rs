//! Windows in two phases have the records of subtasks for which event time does not wait.

use thalweg::connectors::{Collected, inlet};
use thalweg::datastream::Environment;
use thalweg::operator::Tumbling;
use thalweg::runtime::Step;
use thalweg::state::Count;
use thalweg::time::{
    BoundedOutOfOrderness, ManualClock, Timestamp, WatermarkStrategy, nanoseconds, secs,
};

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

/// What comes to two subtasks, of which the first goes idle and comes back behind the other one.
struct Story {
    /// By how much records may be out of order.
    disorder: u64,
    begin: &'static [Placed],
    /// One a second.
    meanwhile: &'static [Placed],
    /// One at a time.
    back: &'static [Placed],
}

/// Returns what has been counted by the time that the subtask is idle, and what afterwards.
fn counted(counting: Counting, story: &Story) -> [Vec<Counted>; 2] {
    let env = Environment::new().parallelism(2);
    let (mut records, source) = inlet::<Placed>(1 << 12);
    let counts = Collected::new();
    let strategy = BoundedOutOfOrderness::of(nanoseconds(story.disorder));
    let placed = env
        .source("records", source)
        .partition_custom(|record, subtasks| record[0] as usize % subtasks)
        .timestamps(strategy.with_idleness(secs(1)), |record| {
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
    push(story.begin);
    for record in story.meanwhile {
        clock.advance(secs(1));
        push(&[*record]);
    }
    let early = sorted(counts.take());
    story.back.iter().for_each(|record| push(&[*record]));
    drop(records);
    assert_eq!(job.run().expect("runs"), Step::Finished);
    [early, sorted(counts.take())]
}

/// Checks what is counted, however it is.
fn check(story: &Story, early: &[Counted], later: &[Counted]) {
    for counting in [
        Counting::ByKey,
        Counting::OverAll,
        Counting::ByKeyInTwoPhases,
    ] {
        assert_eq!(counted(counting, story), [early, later], "{counting:?}");
    }
}

#[test]
fn records_of_a_subtask_that_goes_idle_are_in_their_windows() {
    let story = Story {
        disorder: 0,
        begin: &[[0, 1], [1, 2]],
        meanwhile: &[[1, 12], [1, 13], [1, 14], [1, 15]],
        back: &[[1, 28], [0, 26], [1, 35]],
    };
    check(&story, &[(0, 2)], &[(10, 4), (20, 2), (30, 1)]);
}

#[test]
fn records_behind_the_watermark_of_a_subtask_that_was_idle_are_in_their_windows() {
    // The one at 65 moves no watermark on. When it comes, event time is 60; by the next watermark of its subtask it is
    // 80.
    let story = Story {
        disorder: 20,
        begin: &[[0, 30], [1, 31]],
        meanwhile: &[[1, 31], [1, 31], [1, 31], [1, 81]],
        back: &[[0, 70], [0, 65], [1, 101], [0, 140]],
    };
    let later = [(60, 1), (70, 1), (80, 1), (100, 1), (140, 1)];
    check(&story, &[(30, 5)], &later);
}
