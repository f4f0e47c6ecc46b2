//! Windows over a whole stream match those of a keyed stream with one key, whatever the parallelism.

use std::collections::BTreeMap;

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::operator::{EventTime, SlicedAssigner, Sliding, TimeWindow, Tumbling};
use thalweg::runtime::JobError;
use thalweg::state::{Count, Max};
use thalweg::time::{BoundedOutOfOrderness, Punctuated, Timestamp, nanoseconds};

use super::windows_match_the_oracle::{Event, SHAPES, Shape, events, oracle};
use crate::schedule::{Schedule, sorted};

/// The counts with which each window fired, in order. The source, and so the first half of the windows, has one
/// subtask, so that which records are late does not depend on the schedule.
fn counts(schedule: Schedule, events: &[Event], shape: Shape) -> BTreeMap<i64, Vec<u64>> {
    let env = schedule.environment();
    let counts = Collected::new();
    let punctuation =
        |event: &Event, _: Timestamp| (event[2] != 0).then_some(Timestamp(event[2] as i64));
    let size = nanoseconds(shape.size as u64);
    env.source("events", Collection::of(events.to_vec()))
        .timestamps(Punctuated::new(punctuation), |event| {
            Timestamp(event[1] as i64)
        })
        .window_all(Sliding::of(size, nanoseconds(shape.slide as u64)))
        .allowed_lateness(nanoseconds(shape.lateness as u64))
        .aggregate_with(Count, |window, count| (window.start.0, count))
        .sink("counts", counts.sink());
    schedule.run(&env);
    let mut fired = BTreeMap::<_, Vec<u64>>::new();
    for (start, count) in counts.take() {
        fired.entry(start).or_default().push(count);
    }
    fired
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn windows_fire_as_those_of_one_key(events in events()) {
        let one_key = events.iter().map(|[_, at, watermark]| [0, *at, *watermark]);
        let one_key: Vec<_> = one_key.collect();
        for shape in SHAPES {
            let (fired, _) = oracle(&one_key, shape);
            let expected: BTreeMap<_, _> =
                fired.into_iter().map(|((_, start), counts)| (start, counts)).collect();
            for schedule in Schedule::some() {
                let found = counts(schedule, &events, shape);
                prop_assert_eq!(found, expected.clone(), "{:?} {:?}", shape, schedule);
            }
        }
    }
}

/// Start, number of records and largest number of each window, for records spread over all subtasks.
fn spread(
    schedule: Schedule,
    records: &[[u64; 2]],
    windows: impl SlicedAssigner<Time = EventTime>,
) -> Vec<(i64, u64, Option<u64>)> {
    let env = schedule.environment();
    let results = Collected::new();
    env.source("records", Collection::of(records.to_vec()))
        .rebalance()
        .timestamps(BoundedOutOfOrderness::of(nanoseconds(50)), |record| {
            Timestamp(record[1] as i64)
        })
        .window_all(windows)
        .aggregate_with(
            (Count, Max::of(|record: &[u64; 2]| record[0])),
            |window: TimeWindow, (count, max)| (window.start.0, count, max),
        )
        .sink("results", results.sink());
    schedule.run(&env);
    sorted(results.take())
}

#[test]
fn records_of_all_subtasks_are_in_one_window() {
    // Each subtask gets every `p`th record, so none is more than 50 ns behind another one of that subtask.
    let records: Vec<[u64; 2]> = (0..2_000)
        .map(|n| [n * 7919 % 1009, 100 + n * 3 - n * 31 % 50])
        .collect();
    let windows = |size: u64, slide: u64| {
        let mut windows = BTreeMap::<i64, (u64, Option<u64>)>::new();
        for [number, at] in &records {
            let last = at / slide * slide;
            let starts = (0..size.div_ceil(slide)).map(|back| last as i64 - (back * slide) as i64);
            for start in starts.filter(|start| start + size as i64 > *at as i64) {
                let (count, max) = windows.entry(start).or_default();
                *count += 1;
                *max = (*max).max(Some(*number));
            }
        }
        let row = |(start, (count, max))| (start, count, max);
        windows.into_iter().map(row).collect::<Vec<_>>()
    };
    let (tumbling, sliding) = (windows(100, 100), windows(90, 40));
    for schedule in Schedule::all() {
        let found = spread(schedule, &records, Tumbling::of(nanoseconds(100)));
        assert_eq!(found, tumbling, "{schedule:?}");
        let size = Sliding::of(nanoseconds(90), nanoseconds(40));
        assert_eq!(spread(schedule, &records, size), sliding, "{schedule:?}");
    }
}

#[test]
fn windows_that_cannot_be_are_refused_before_the_job_runs() {
    let env = Schedule::threads(1).environment();
    let results = Collected::<u64>::new();
    env.source("numbers", Collection::of([1_u64]))
        .window_all(Tumbling::of(nanoseconds(0)))
        .aggregate_with(Count, |_, count| count)
        .sink("results", results.sink());
    let error = env.execute("refused").expect_err("a window without a size");
    assert!(matches!(error, JobError::Graph(_)), "{error}");
    assert!(error.to_string().contains("size"), "{error}");
}
