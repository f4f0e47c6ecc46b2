//! Two-phase windows fire like those in one phase; windows over a gathered stream like those of a single key.

use std::collections::BTreeMap;

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::datastream::Environment;
use thalweg::operator::{Elements, OutputTag, Session, Sliding, TimeWindow, Tumbling};
use thalweg::runtime::{JobError, Step};
use thalweg::state::{Count, Max, Sum};
use thalweg::time::{
    BoundedOutOfOrderness, ManualClock, Monotonous, Punctuated, Timestamp, nanoseconds,
};

use super::windows_match_the_oracle::{Event, SHAPES, Shape, events, oracle};
use crate::schedule::{Schedule, sorted};

/// The counts with which each key and window fired, in order. The source, and so the first phase, has one subtask, so
/// that which records are late does not depend on the schedule.
fn counts(schedule: Schedule, events: &[Event], shape: Shape) -> BTreeMap<(u64, i64), Vec<u64>> {
    let env = schedule.environment();
    let counts = Collected::new();
    let punctuation =
        |event: &Event, _: Timestamp| (event[2] != 0).then_some(Timestamp(event[2] as i64));
    let size = nanoseconds(shape.size as u64);
    env.source("events", Collection::of(events.to_vec()))
        .timestamps(Punctuated::new(punctuation), |event| {
            Timestamp(event[1] as i64)
        })
        .key_by(|event| event[0])
        .window(Sliding::of(size, nanoseconds(shape.slide as u64)))
        .allowed_lateness(nanoseconds(shape.lateness as u64))
        .two_phase()
        .aggregate_with(Count, |key, window, count| (*key, window.start.0, count))
        .sink("counts", counts.sink());
    schedule.run(&env);
    let mut fired = BTreeMap::<_, Vec<u64>>::new();
    for (key, start, count) in counts.take() {
        fired.entry((key, start)).or_default().push(count);
    }
    fired
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn windows_in_two_phases_fire_as_flinks_do(events in events()) {
        for shape in SHAPES {
            let (expected, _) = oracle(&events, shape);
            for schedule in Schedule::some() {
                let found = counts(schedule, &events, shape);
                prop_assert_eq!(found, expected.clone(), "{:?} {:?}", shape, schedule);
            }
        }
    }
}

#[test]
fn what_all_subtasks_have_of_a_key_is_merged() {
    let records: Vec<[u64; 3]> = (0..3_000)
        .map(|n| [n * 31 % 7, n * 7919 % 1009, 100 + n * 3 - n * 31 % 50])
        .collect();
    let mut windows = BTreeMap::<(u64, i64), (u64, Option<u64>)>::new();
    for [key, number, at] in &records {
        let (count, max) = windows.entry((*key, (at / 100 * 100) as i64)).or_default();
        *count += 1;
        *max = (*max).max(Some(*number));
    }
    let expected: Vec<_> = windows.into_iter().collect();
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let results = Collected::new();
        env.source("records", Collection::of(records.clone()))
            .rebalance()
            .timestamps(BoundedOutOfOrderness::of(nanoseconds(50)), |record| {
                Timestamp(record[2] as i64)
            })
            .key_by(|record| record[0])
            .window(Tumbling::of(nanoseconds(100)))
            .two_phase()
            .aggregate_with(
                (Count, Max::of(|record: &[u64; 3]| record[1])),
                |key, window, found| ((*key, window.start.0), found),
            )
            .sink("results", results.sink());
        schedule.run(&env);
        assert_eq!(sorted(results.take()), expected, "{schedule:?}");
    }
}

#[test]
fn words_are_counted_where_they_are_read_first() {
    let words = "the cat and the dog and the longest word that does not fit inline of all";
    let mut expected = BTreeMap::<String, u64>::new();
    for word in words.split(' ').cycle().take(1_000) {
        *expected.entry(word.to_owned()).or_default() += 1;
    }
    for parallelism in [1, 2, 3] {
        let env = Environment::new().parallelism(parallelism);
        let counts = Collected::new();
        let lines: Vec<String> = words
            .split(' ')
            .cycle()
            .take(1_000)
            .map(String::from)
            .collect();
        env.source("words", Collection::of(lines))
            .rebalance()
            .timestamps(Monotonous, |_| Timestamp(1))
            .key_by_ref(|word| word)
            .window(Tumbling::of(nanoseconds(10)))
            .two_phase()
            .aggregate_with(Count, |word: &str, _, count| (word.to_owned(), count))
            .sink("counts", counts.sink());
        let graph = env.plan(thalweg::graph::PlanFormat::Text).expect("a plan");
        assert!(graph.contains("partial window"), "{graph}");
        env.execute("words").expect("runs");
        let found: BTreeMap<String, u64> = counts.take().into_iter().collect();
        assert_eq!(found, expected, "parallelism {parallelism}");
    }
}

/// The most memory that a subtask of each operator has said its state takes.
fn state_bytes(expected_keys: usize) -> BTreeMap<String, i64> {
    let env = Environment::new().parallelism(2);
    env.source("numbers", Collection::of(0..1_000_u64))
        .timestamps(Monotonous, |number| Timestamp(*number as i64 / 50))
        .key_by(|number| number % 3)
        .expected_keys(expected_keys)
        .window(Sliding::of(nanoseconds(20), nanoseconds(10)))
        .two_phase()
        .aggregate_with(Count, |_, _, count| count)
        .name("windows")
        .sink("counts", Collected::new().sink());
    let job = env.stepper("expected", ManualClock::new(Timestamp(0)));
    let mut job = job.expect("a job").batch(100);
    let mut most = BTreeMap::new();
    while job.step().expect("nothing fails") != Step::Finished {
        for sample in job.metrics() {
            if sample.name == "state_bytes" {
                let bytes: &mut i64 = most.entry(sample.operator.to_string()).or_default();
                *bytes = sample.value.max(*bytes);
            }
        }
    }
    most
}

#[test]
fn both_phases_have_room_for_the_keys_that_are_expected() {
    let (few, many) = (state_bytes(0), state_bytes(100_000));
    // The phase behind the exchange has a half of the keys in each of two subtasks.
    for (operator, keys) in [("partial window", 100_000), ("windows", 50_000)] {
        let room = keys * size_of::<[u64; 2]>() as i64;
        assert!(few[operator] < room, "{operator}: {few:?}");
        assert!(many[operator] >= room, "{operator}: {many:?}");
    }
}

#[test]
fn late_records_of_two_phases_cannot_go_to_a_side_output() {
    let env = Environment::new();
    let results = Collected::new();
    let late = OutputTag::<u64>::new("late");
    env.source("numbers", Collection::of([1_u64]))
        .key_by(|number| *number)
        .window(Tumbling::of(nanoseconds(10)))
        .late_to(&late)
        .two_phase()
        .aggregate_with(Count, |_, _, count| count)
        .sink("results", results.sink());
    let error = env
        .execute("refused")
        .expect_err("there are no late records");
    assert!(matches!(error, JobError::Graph(_)), "{error}");
    assert!(error.to_string().contains("two phases"), "{error}");
}

#[test]
fn a_gathered_stream_has_windows_of_every_kind() {
    let late = OutputTag::<[u64; 2]>::new("late");
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let (sums, lists, lates) = (Collected::new(), Collected::new(), Collected::new());
        let punctuation = |record: &[u64; 2], at: Timestamp| (record[0] == 0).then_some(at);
        let times = [10, 12, 40, 41, 60, 15, 90];
        let records = (1..).zip(times).map(|(n, at)| [n % 5, at]);
        let stream = env
            .source("records", Collection::of(records.collect::<Vec<_>>()))
            .timestamps(Punctuated::new(punctuation), |record| {
                Timestamp(record[1] as i64)
            });
        let [first, second] = stream.fork();
        let sessions = first
            .window_all(Session::with_gap(nanoseconds(10)))
            .gather()
            .late_to(&late)
            .aggregate_with(
                Sum::of(|record: &[u64; 2]| record[1]),
                |_, window: TimeWindow, sum| (window.start.0, window.end.0, sum),
            );
        sessions.side_output(&late).sink("late", lates.sink());
        sessions.sink("sums", sums.sink());
        second
            .window_all(Tumbling::of(nanoseconds(50)))
            .gather()
            .process(
                |_,
                 window,
                 records: &Elements<[u64; 2]>,
                 emit: &mut dyn FnMut(&(i64, Vec<u64>))| {
                    let times = records.iter().map(|record| record[1]).collect();
                    emit(&(window.start.0, times));
                },
            )
            .sink("lists", lists.sink());
        schedule.run(&env);
        let expected = [(10, 22, 22), (40, 51, 81), (60, 70, 60), (90, 100, 90)];
        assert_eq!(sums.take(), expected, "{schedule:?}");
        assert_eq!(lates.take(), [[1, 15]], "{schedule:?}");
        let expected = [(0, vec![10, 12, 40, 41]), (50, vec![60, 90])];
        assert_eq!(lists.take(), expected, "{schedule:?}");
    }
}
