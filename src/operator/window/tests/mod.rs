//! The window operator against Flink's rules: at random against the oracle, and trap by trap.

mod end_of_time;
mod harness;
mod join_restoring;
mod oracle;
mod partial;
mod partial_restoring;
mod processing_time;
mod restoring;
mod session;

use proptest::prelude::*;

use super::{AggregateWindow, Elements, ProcessWindow, WindowFunction};
use crate::operator::{Aggregate, Budget, Count, Max, Operator, OperatorError, Signal, Sum};
use crate::time::Timestamp;
use harness::{Harness, WindowResult, harness};
use oracle::{Event, Oracle, Record, Shape, of_key};

/// All values of a window in arrival order.
fn lists() -> impl WindowFunction<Record, u8, Out = WindowResult> {
    ProcessWindow::<Record, WindowResult, _, _>::new(
        |&key: &u8, window, elements: &Elements<Record>, emit: &mut dyn FnMut(&WindowResult)| {
            emit(&(
                key,
                window,
                elements.iter().map(|&(_, value)| value).collect(),
            ));
        },
    )
}

fn value_of(record: &Record) -> u32 {
    record.1
}

type Sums = (
    Count,
    Sum<fn(&Record) -> u32, u32>,
    Max<fn(&Record) -> u32, u32>,
);

fn sums_of_lists(events: Vec<Event>) -> Vec<Event> {
    let sum = |event| match event {
        Event::Result {
            key,
            start,
            end,
            at,
            values,
        } => {
            let (count, sum) = (values.len() as u32, values.iter().sum());
            let values = vec![count, sum, *values.iter().max().unwrap()];
            Event::Result {
                key,
                start,
                end,
                at,
                values,
            }
        }
        other => other,
    };
    events.into_iter().map(sum).collect()
}

/// Count, sum and maximum of a window.
fn sums() -> impl WindowFunction<Record, u8, Out = WindowResult> {
    let value = value_of as fn(&Record) -> u32;
    let aggregate: Sums = (Count, Sum::of(value), Max::of(value));
    type Out = <Sums as Aggregate<Record>>::Out;
    AggregateWindow::new(aggregate, |&key: &u8, window, (count, sum, max): Out| {
        (key, window, vec![count as u32, sum, max.unwrap()])
    })
}

#[derive(Clone, Debug)]
enum Step {
    Push(Record, i64),
    Watermark(i64),
}

fn steps(span: i64) -> impl Strategy<Value = Vec<Step>> {
    // Time moves on, records are out of order around it, watermarks lag and sometimes jump.
    let step = (0..10_u32, 0..5_u8, -40..12_i64, any::<u16>(), 0..6_i64);
    let steps = proptest::collection::vec(step, 0..150);
    (steps, -span..span).prop_map(move |(steps, start)| {
        let mut now = start;
        let mut value = 0;
        let step = |(kind, key, around, jump, advance): (u32, u8, i64, u16, i64)| {
            now += advance;
            value += 1;
            match kind {
                0..7 => Step::Push((key, value), now + around),
                7..9 => Step::Watermark(now - i64::from(jump % 40)),
                _ => {
                    now += i64::from(jump) % (2 * span);
                    Step::Watermark(now - i64::from(jump % 7))
                }
            }
        };
        steps.into_iter().map(step).collect()
    })
}

fn shapes(size: i64, slide: i64) -> impl Strategy<Value = Shape> {
    let lateness = prop_oneof![Just(0), 1..20_i64, 20..200_i64, Just(i64::MAX)];
    (1..size, 1..slide, -1.0..1.0_f64, lateness).prop_map(|(size, slide, part, lateness)| {
        let offset = ((slide as f64 * part) as i64).clamp(1 - slide, slide - 1);
        Shape {
            size,
            slide,
            offset,
            lateness,
        }
    })
}

fn check<F>(shape: Shape, steps: &[Step], function: F, budget: u32, busy: u64, as_sums: bool)
where
    F: WindowFunction<Record, u8, Out = WindowResult>,
{
    let mut oracle = Oracle::new(shape);
    let mut harness = harness(shape, function, true);
    harness.budget = budget;
    harness.down.0.lock().unwrap().busy = busy;
    // Half of the time records come in runs.
    let mut run = Vec::new();
    for step in steps {
        match *step {
            Step::Push(record, at) => {
                oracle.push(record, at);
                if budget.is_multiple_of(2) {
                    run.push((record, at));
                } else {
                    harness.push(record, at);
                }
            }
            Step::Watermark(at) => {
                oracle.watermark(at);
                harness.push_run(&run);
                run.clear();
                harness.watermark(at);
            }
        }
    }
    harness.push_run(&run);
    oracle.watermark(i64::MAX);
    harness.watermark(i64::MAX);
    harness.signal(Signal::End);
    let late = oracle
        .events
        .iter()
        .filter(|e| matches!(e, Event::Late { .. }))
        .count();
    assert_eq!(harness.metric("late_records"), late as i64);
    assert_eq!(harness.metric("late_records_dropped"), 0);
    oracle.events.push(Event::End);
    let expected = if as_sums {
        sums_of_lists(oracle.events)
    } else {
        oracle.events
    };
    let found = harness.events();
    for key in 0..5 {
        assert_eq!(of_key(&found, key), of_key(&expected, key), "key {key}");
    }
    assert_eq!(found.len(), expected.len());
}

/// Ready more often than not, in a pattern.
fn busy() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(0x5555_5555_5555_5555),
        any::<u64>().prop_map(|bits| bits & !(1 << 7))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn process_windows_are_flinks(
        shape in shapes(40, 30), steps in steps(300), budget in 1..40_u32, busy in busy(),
    ) {
        check(shape, &steps, lists(), budget, busy, false);
    }

    #[test]
    fn aggregate_windows_are_flinks(
        shape in shapes(40, 30), steps in steps(300), budget in 1..40_u32, busy in busy(),
    ) {
        check(shape, &steps, sums(), budget, busy, true);
    }

    #[test]
    fn aggregate_windows_with_a_large_overlap_are_flinks(
        shape in shapes(300, 4), steps in steps(300), budget in 1..40_u32, busy in busy(),
    ) {
        check(shape, &steps, sums(), budget, busy, true);
    }
}

const TEN: Shape = Shape {
    size: 10,
    slide: 10,
    offset: 0,
    lateness: 0,
};

fn result(key: u8, start: i64, end: i64, values: &[u32]) -> Event {
    let (at, values) = (end - 1, values.to_vec());
    Event::Result {
        key,
        start,
        end,
        at,
        values,
    }
}

#[test]
fn watermark_goes_on_after_the_results_it_causes() {
    let mut windows = harness(TEN, lists(), true);
    windows.push((1, 7), -1);
    windows.push((1, 8), 0);
    windows.watermark(8);
    windows.watermark(9);
    let expected = [
        result(1, -10, 0, &[7]),
        Event::Watermark(8),
        result(1, 0, 10, &[8]),
        Event::Watermark(9),
    ];
    assert_eq!(windows.events(), expected);
}

#[test]
fn late_but_allowed_record_fires_at_once_with_the_whole_window() {
    let mut windows = harness(Shape { lateness: 5, ..TEN }, lists(), true);
    windows.push((1, 7), 3);
    windows.watermark(13);
    windows.push((1, 8), 2);
    windows.push((2, 9), 2);
    windows.watermark(14);
    windows.push((1, 10), 2);
    let expected = [
        result(1, 0, 10, &[7]),
        Event::Watermark(13),
        result(1, 0, 10, &[7, 8]),
        result(2, 0, 10, &[9]),
        Event::Watermark(14),
        Event::Late {
            key: 1,
            value: 10,
            at: 2,
        },
    ];
    assert_eq!(windows.events(), expected);
}

#[test]
fn late_record_without_side_output_is_dropped_and_counted() {
    let mut windows = harness(TEN, sums(), false);
    windows.watermark(9);
    windows.push((1, 7), 9);
    assert_eq!(windows.events(), [Event::Watermark(9)]);
    assert_eq!(windows.metric("late_records"), 1);
    assert_eq!(windows.metric("late_records_dropped"), 1);
}

#[test]
fn record_in_a_gap_is_late_only_behind_the_watermark() {
    let gaps = Shape { size: 3, ..TEN };
    let mut windows = harness(gaps, lists(), false);
    windows.watermark(4);
    windows.push((1, 7), 5);
    assert_eq!(windows.metric("late_records"), 0);
    windows.push((1, 7), 4);
    assert_eq!(windows.metric("late_records"), 1);
}

#[test]
fn watermark_never_regresses() {
    let mut windows = harness(TEN, sums(), true);
    for at in [5, 3, 5, i64::MIN, 6] {
        windows.watermark(at);
    }
    assert_eq!(windows.events(), [Event::Watermark(5), Event::Watermark(6)]);
}

#[test]
fn record_without_a_timestamp_fails_the_subtask() {
    let mut windows = harness(TEN, sums(), true);
    windows.push((1, 7), i64::MIN + 3);
    let push = std::panic::AssertUnwindSafe(|| windows.push((1, 7), i64::MIN));
    let error = OperatorError::from_panic(std::panic::catch_unwind(push).unwrap_err());
    assert!(matches!(error, OperatorError::NoTimestamp { .. }));
}

#[test]
fn far_timestamps_cost_no_memory_for_the_time_between() {
    let mut windows = harness(TEN, sums(), true);
    for at in [-1 << 62, 0, 1 << 62, i64::MAX - 1] {
        windows.push((1, 7), at);
    }
    assert_eq!(windows.metric("state_entries"), 4);
    windows.watermark(i64::MAX);
    assert_eq!(windows.events().len(), 5);
    assert_eq!(windows.metric("state_entries"), 0);
}

#[test]
fn a_large_firing_yields_and_its_watermark_waits() {
    let mut windows = harness(TEN, sums(), true);
    for key in 0..=255 {
        windows.push((key, 1), 0);
        windows.push((key, 1), 10);
    }
    windows.operator.signal(Signal::Watermark(Timestamp(19)));
    assert!(!windows.operator.ready());
    let count = |windows: &Harness<_>| windows.down.0.lock().unwrap().events.len();
    let first = count(&windows);
    assert!((1..=256).contains(&first), "{first}");
    windows.operator.resume(&mut Budget::new(10));
    assert!(count(&windows) <= first + 10);
    let events = windows.events();
    assert_eq!(events.len(), 513);
    assert_eq!(events.last(), Some(&Event::Watermark(19)));
}
