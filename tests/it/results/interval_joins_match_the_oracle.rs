//! Interval joins: every pair of records with equal keys and times that are near enough, once; nothing is kept longer
//! than it may be needed.

use std::time::Duration;

use proptest::prelude::*;
use thalweg::connectors::ForEach;
use thalweg::prelude::*;
use thalweg::runtime::Step;

use crate::schedule::{Schedule, sorted};

/// A number of its own, a key, a time.
type Timed = [u64; 3];

/// Left, right and the timestamp of a pair.
type Pair = (u64, u64, i64);

fn at(record: &Timed) -> Timestamp {
    Timestamp(record[2] as i64)
}

fn span(from: i64) -> IntervalBound {
    let length = Duration::from_nanos(from.unsigned_abs());
    if from < 0 {
        IntervalBound::Before(length)
    } else {
        IntervalBound::After(length)
    }
}

fn oracle(lefts: &[Timed], rights: &[Timed], lower: i64, upper: i64) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for left in lefts {
        for right in rights {
            let apart = right[2] as i64 - left[2] as i64;
            if left[1] == right[1] && (lower..=upper).contains(&apart) {
                pairs.push((left[0], right[0], left[2].max(right[2]) as i64));
            }
        }
    }
    sorted(pairs)
}

fn joined(schedule: Schedule, lefts: &[Timed], rights: &[Timed], bounds: [i64; 2]) -> Vec<Pair> {
    let env = schedule.environment();
    let strategy = BoundedOutOfOrderness::of(nanoseconds(100));
    let stream = |name, records: &[Timed]| {
        env.source(name, Collection::of(records.to_vec()))
            .timestamps(strategy, at)
            .key_by(|record| record[1])
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    stream("left", lefts)
        .join(stream("right", rights))
        .between(span(bounds[0]), span(bounds[1]))
        .apply(|left, right| [left[0], right[0]])
        .sink(
            "pairs",
            ForEach::new(move |pair: &[u64; 2], at| {
                let sent = sender.send((pair[0], pair[1], at.0));
                sent.map_err(|error| error.to_string())
            }),
        );
    schedule.run(&env);
    drop(env);
    sorted(receiver)
}

fn records() -> impl Strategy<Value = Vec<Timed>> {
    let record = (0..4_u64, 0..100_u64).prop_map(|(key, at)| [0, key, at]);
    proptest::collection::vec(record, 0..60).prop_map(|mut records| {
        for (number, record) in (0..).zip(&mut records) {
            record[0] = number;
        }
        records
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn pairs_are_those_of_the_oracle(
        lefts in records(), rights in records(), lower in -30..30_i64, width in 0..40_i64,
    ) {
        let bounds = [lower, lower + width];
        let expected = oracle(&lefts, &rights, bounds[0], bounds[1]);
        for schedule in Schedule::some() {
            prop_assert_eq!(joined(schedule, &lefts, &rights, bounds), expected.clone());
        }
    }
}

/// An interval join by hand. What comes out of it: pairs, and late left records with a 0 beside them.
struct Driven {
    left: thalweg::connectors::Inlet<i64>,
    right: thalweg::connectors::Inlet<i64>,
    job: thalweg::runtime::Stepper,
    results: std::sync::mpsc::Receiver<(i64, i64, i64)>,
}

fn driven(lower: i64, upper: i64, exclusive: bool) -> Driven {
    let env = Environment::new();
    let (left, left_source) = inlet::<i64>(1 << 12);
    let (right, right_source) = inlet::<i64>(1 << 12);
    let (sender, results) = std::sync::mpsc::channel();
    let late = OutputTag::new("late");
    let lefts = env.source("left", left_source);
    let lefts = lefts.timestamps(Monotonous, |at| Timestamp(*at));
    let rights = env.source("right", right_source);
    let rights = rights.timestamps(Monotonous, |at| Timestamp(*at));
    let mut joined = lefts
        .key_by(|at| *at / 1_000)
        .join(rights.key_by(|at| *at / 1_000))
        .between(span(lower), span(upper))
        .late_left_to(&late);
    if exclusive {
        // Said twice is said once.
        for _ in 0..2 {
            joined = joined.lower_bound_exclusive().upper_bound_exclusive();
        }
    }
    let pairs = joined.apply(|left, right| [*left, *right]);
    let of_late = sender.clone();
    pairs.side_output(&late).sink(
        "late",
        ForEach::new(move |left: &i64, at| {
            let sent = of_late.send((*left, 0, at.0));
            sent.map_err(|error| error.to_string())
        }),
    );
    pairs.sink(
        "pairs",
        ForEach::new(move |pair: &[i64; 2], at| {
            let sent = sender.send((pair[0], pair[1], at.0));
            sent.map_err(|error| error.to_string())
        }),
    );
    let clock = ManualClock::new(Timestamp(0));
    let job = env.stepper("driven", clock).expect("deploys");
    Driven {
        left,
        right,
        job,
        results,
    }
}

impl Driven {
    fn push(&mut self, lefts: &[i64], rights: &[i64]) -> Vec<(i64, i64, i64)> {
        for left in lefts {
            self.left.push(left).expect("room");
        }
        for right in rights {
            self.right.push(right).expect("room");
        }
        assert_eq!(self.job.run().expect("runs"), Step::Idle);
        self.results.try_iter().collect()
    }

    fn metric(&self, name: &str) -> i64 {
        let metrics = self.job.metrics();
        let of_name = metrics.iter().filter(|sample| sample.name == name);
        of_name.map(|sample| sample.value).sum()
    }
}

#[test]
fn a_pair_comes_with_its_second_record_and_the_later_time() {
    let mut join = driven(-3, 5, false);
    assert_eq!(join.push(&[10], &[]), []);
    assert_eq!(join.push(&[], &[7]), [(10, 7, 10)], "the lower bound");
    assert_eq!(join.push(&[], &[15]), [(10, 15, 15)], "the upper bound");
    assert_eq!(join.push(&[], &[16]), [], "above it");
    assert_eq!(join.push(&[12], &[]), [(12, 15, 15), (12, 16, 16)]);
}

#[test]
fn bounds_can_be_excluded() {
    let mut join = driven(-3, 5, true);
    assert_eq!(join.push(&[10], &[7]), []);
    assert_eq!(join.push(&[], &[8, 14, 15]), [(10, 8, 10), (10, 14, 14)]);
}

#[test]
fn a_record_behind_the_watermark_is_late_and_joins_with_nothing() {
    let mut join = driven(-3, 5, false);
    join.push(&[100], &[100]);
    // The watermark is 99: a record at it is not late.
    assert_eq!(join.push(&[], &[99]), [(100, 99, 100)]);
    assert_eq!(join.push(&[98], &[98]), [(98, 0, 98)]);
    assert_eq!(join.metric("late_records"), 2);
    assert_eq!(join.metric("late_records_dropped"), 1);
}

#[test]
fn records_are_kept_until_nothing_can_join_with_them() {
    let mut join = driven(-3, 5, false);
    join.push(&[10], &[10]);
    assert_eq!(join.metric("state_entries"), 2);
    // The left one may join with right ones up to 15, the right one with left ones up to 13.
    join.push(&[14], &[14]);
    assert_eq!(join.push(&[], &[15]), [(10, 15, 15), (14, 15, 15)]);
    assert_eq!(join.metric("state_entries"), 2);
    // Of another key: those of the first are gone.
    join.push(&[1_100], &[1_100]);
    assert_eq!(join.metric("state_entries"), 2);
}

#[test]
fn an_interval_that_holds_nothing_is_refused() {
    for (lower, upper, exclusive) in [(2, 1, false), (1, 1, true)] {
        let env = Environment::new();
        let numbers = |name| {
            let numbers = env.source(name, Collection::of([1_i64]));
            numbers.key_by(|n| *n)
        };
        let mut join = numbers("left")
            .join(numbers("right"))
            .between(span(lower), span(upper));
        if exclusive {
            join = join.lower_bound_exclusive();
        }
        join.apply(|l, r| l + r).sink("sums", Discard::new());
        let error = env.execute("empty").expect_err("nothing would join");
        assert!(error.to_string().contains("interval join"), "{error}");
    }
}
