//! The window operator against Flink's rules, written down naively.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::metrics::MetricGroup;
use crate::operator::{
    Aggregate, Budget, Count, Max, OpenContext, Operator, OperatorError, OutputTag, Outputs, Push,
    Signal, SubtaskInfo, Sum, pass_on,
};
use crate::record::{KeyGroupAssignment, KeyHasher, MaxParallelism, OwnedSelector};
use crate::time::{Clock, Timestamp, nanoseconds};

type Record = (u8, u32);

/// What comes out, in order. Aggregates and lists are compared alike, as lists of numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    Result {
        key: u8,
        start: i64,
        end: i64,
        at: i64,
        values: Vec<u32>,
    },
    Late {
        key: u8,
        value: u32,
        at: i64,
    },
    Watermark(i64),
    End,
}

/// The events of one key, watermarks included: between keys there is no order.
fn of_key(events: &[Event], wanted: u8) -> Vec<&Event> {
    let is_wanted = |event: &&Event| match event {
        Event::Result { key, .. } | Event::Late { key, .. } => *key == wanted,
        _ => true,
    };
    events.iter().filter(is_wanted).collect()
}

/// How a window is assigned and kept.
#[derive(Clone, Copy, Debug)]
struct Shape {
    size: i64,
    slide: i64,
    offset: i64,
    lateness: i64,
}

impl Shape {
    fn assigner(&self) -> Sliding {
        let sliding = Sliding::of(
            nanoseconds(self.size as u64),
            nanoseconds(self.slide as u64),
        );
        let offset = nanoseconds(self.offset.unsigned_abs());
        if self.offset < 0 {
            sliding.offset_back(offset)
        } else {
            sliding.offset(offset)
        }
    }
}

/// Flink's `WindowOperator` and `EventTimeTrigger`, transcribed: a list and timers per key and window.
struct Oracle {
    shape: Shape,
    watermark: i64,
    contents: BTreeMap<(u8, i64), Vec<u32>>,
    timers: BTreeSet<(i64, u8, i64)>,
    events: Vec<Event>,
}

impl Oracle {
    fn new(shape: Shape) -> Self {
        let (contents, timers, events) = Default::default();
        Oracle {
            shape,
            watermark: i64::MIN,
            contents,
            timers,
            events,
        }
    }

    fn max_timestamp(&self, start: i64) -> i64 {
        start + self.shape.size - 1
    }

    fn cleanup(&self, start: i64) -> i64 {
        self.max_timestamp(start)
            .saturating_add(self.shape.lateness)
    }

    fn push(&mut self, (key, value): Record, at: i64) {
        let Shape {
            size,
            slide,
            offset,
            lateness,
        } = self.shape;
        let mut skipped = true;
        let mut start = at - (at - offset).rem_euclid(slide);
        while start > at - size {
            if self.cleanup(start) > self.watermark {
                skipped = false;
                self.contents.entry((key, start)).or_default().push(value);
                if self.max_timestamp(start) <= self.watermark {
                    self.emit(key, start);
                } else {
                    self.timers.insert((self.max_timestamp(start), key, start));
                }
                if self.cleanup(start) != i64::MAX {
                    self.timers.insert((self.cleanup(start), key, start));
                }
            }
            start -= slide;
        }
        if skipped && at.saturating_add(lateness) <= self.watermark {
            self.events.push(Event::Late { key, value, at });
        }
    }

    fn emit(&mut self, key: u8, start: i64) {
        if let Some(values) = self.contents.get(&(key, start)) {
            let (end, at) = (start + self.shape.size, self.max_timestamp(start));
            let values = values.clone();
            self.events.push(Event::Result {
                key,
                start,
                end,
                at,
                values,
            });
        }
    }

    fn watermark(&mut self, watermark: i64) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        while let Some(&(time, key, start)) = self.timers.first().filter(|t| t.0 <= watermark) {
            self.timers.pop_first();
            if time == self.max_timestamp(start) {
                self.emit(key, start);
            }
            if time == self.cleanup(start) {
                self.contents.remove(&(key, start));
            }
        }
        self.events.push(Event::Watermark(watermark));
    }
}

/// What the operator's outputs write to, and whether they have room.
#[derive(Default)]
struct Downstream {
    events: Vec<Event>,
    /// A pattern of answers to `ready`, one bit per call; 0: always ready.
    busy: u64,
    calls: u32,
    said_ready: bool,
    /// A late firing may emit several results without asking.
    in_push: bool,
}

#[derive(Clone, Default)]
struct Collect(Arc<Mutex<Downstream>>);

impl Operator for Collect {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }
    fn begin(&mut self, _now: Timestamp) {}
    fn signal(&mut self, signal: Signal) {
        let mut down = self.0.lock().unwrap();
        match signal {
            Signal::Watermark(at) => down.events.push(Event::Watermark(at.0)),
            Signal::End => down.events.push(Event::End),
            _ => {}
        }
    }
    fn ready(&self) -> bool {
        let mut down = self.0.lock().unwrap();
        down.calls = (down.calls + 1) % 61;
        down.said_ready = down.busy >> down.calls & 1 == 0;
        down.said_ready
    }
    fn resume(&mut self, _budget: &mut Budget) {}
    fn flush(&mut self) {}
    fn deadline(&self) -> Option<Timestamp> {
        None
    }
    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

type WindowResult = (u8, TimeWindow, Vec<u32>);

impl Push<WindowResult> for Collect {
    fn push(&mut self, (key, window, values): &WindowResult, at: Timestamp) {
        let mut down = self.0.lock().unwrap();
        assert!(
            down.in_push || std::mem::take(&mut down.said_ready),
            "emitted without asking"
        );
        let (start, end, values) = (window.start.0, window.end.0, values.clone());
        down.events.push(Event::Result {
            key: *key,
            start,
            end,
            at: at.0,
            values,
        });
    }
}

struct Late(Collect);

impl Operator for Late {
    pass_on!(0: open, begin, resume, flush, deadline, close);
    fn signal(&mut self, _signal: Signal) {}
    fn ready(&self) -> bool {
        true
    }
}

impl Push<Record> for Late {
    fn push(&mut self, &(key, value): &Record, at: Timestamp) {
        let mut down = self.0.0.lock().unwrap();
        down.events.push(Event::Late {
            key,
            value,
            at: at.0,
        });
    }
}

fn open_context(assignment: KeyGroupAssignment) -> OpenContext {
    let max_parallelism = MaxParallelism::default_for(1);
    OpenContext {
        subtask: SubtaskInfo {
            job: "".into(),
            vertex: "".into(),
            index: 0,
            parallelism: 1,
            attempt: 0,
        },
        metrics: MetricGroup::new(),
        hasher: KeyHasher::new(assignment, max_parallelism),
        key_groups: max_parallelism.range(0, 1),
        waker: None,
        clock: Clock::System,
    }
}

/// An operator under test and what it wrote.
struct Harness<P> {
    operator: P,
    down: Collect,
    cx: OpenContext,
    budget: u32,
}

type Key = OwnedSelector<fn(&Record) -> u8>;

fn key_of(record: &Record) -> u8 {
    record.0
}

fn harness<F>(
    shape: Shape,
    function: F,
    late: bool,
) -> Harness<WindowOperator<Record, Key, F, Collect>>
where
    F: WindowFunction<Record, u8, Out = WindowResult>,
{
    let down = Collect::default();
    let tag = OutputTag::<Record>::new("late");
    let mut outputs = Outputs::new(down.clone());
    outputs
        .sides
        .connect("late".into(), Box::new(Late(down.clone())));
    let selector = OwnedSelector(key_of as fn(&Record) -> u8);
    let operator = WindowOperator::new("w".into(), &shape.assigner(), selector, function, outputs);
    let lateness = Lateness::of(nanoseconds(shape.lateness as u64));
    let operator = operator.unwrap().allowed_lateness(lateness);
    let mut operator = if late {
        operator.late_to(tag)
    } else {
        operator
    };
    let cx = open_context(KeyGroupAssignment::Flink);
    operator.open(&cx).unwrap();
    Harness {
        operator,
        down,
        cx,
        budget: 100,
    }
}

impl<P: Push<Record>> Harness<P> {
    /// What a head does before it hands on the next record or signal.
    fn wait(&mut self) {
        let mut turns = 0;
        while !self.operator.ready() {
            self.operator.resume(&mut Budget::new(self.budget));
            turns += 1;
            assert!(turns < 100_000, "never ready");
        }
    }

    fn push(&mut self, record: Record, at: i64) {
        self.wait();
        self.down.0.lock().unwrap().in_push = true;
        self.operator.prefetch(&record);
        self.operator.push(&record, Timestamp(at));
        self.down.0.lock().unwrap().in_push = false;
    }

    fn signal(&mut self, signal: Signal) {
        self.wait();
        self.operator.signal(signal);
        self.operator.flush();
    }

    fn watermark(&mut self, at: i64) {
        self.signal(Signal::Watermark(Timestamp(at)));
    }

    fn events(&mut self) -> Vec<Event> {
        self.wait();
        std::mem::take(&mut self.down.0.lock().unwrap().events)
    }

    fn metric(&mut self, name: &str) -> i64 {
        self.wait();
        self.operator.flush();
        self.cx.metrics.total(name)
    }
}

/// All values of a window in order of arrival.
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
    for step in steps {
        match *step {
            Step::Push(record, at) => {
                oracle.push(record, at);
                harness.push(record, at);
            }
            Step::Watermark(at) => {
                oracle.watermark(at);
                harness.watermark(at);
            }
        }
    }
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
