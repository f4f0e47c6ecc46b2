//! A window operator under test, driven as a head drives it, and a downstream that is not always ready.

use std::sync::{Arc, Mutex};

use super::oracle::{Event, Record, Shape};
use crate::checkpoint::SnapshotOutput;
use crate::metrics::MetricGroup;
use crate::operator::recorder::Records;
use crate::operator::window::{Lateness, TimeWindow, WindowFunction, WindowOperator};
use crate::operator::{
    Budget, Checkpointing, Lookahead, OpenContext, Operator, OperatorError, OutputTag, Outputs,
    Push, Signal, SubtaskInfo, pass_on,
};
use crate::record::{KeyGroupAssignment, KeyHasher, MaxParallelism, OwnedSelector};
use crate::time::{Clock, Timestamp, nanoseconds};

/// What the operator's outputs write to, and whether they have room.
#[derive(Default)]
pub(super) struct Downstream {
    pub(super) events: Vec<Event>,
    /// A pattern of answers to `ready`, one bit per call; 0: always ready.
    pub(super) busy: u64,
    calls: u32,
    said_ready: bool,
    /// A late firing may emit several results without asking.
    in_push: bool,
}

#[derive(Clone, Default)]
pub(super) struct Collect(pub(super) Arc<Mutex<Downstream>>);

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
    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

pub(super) type WindowResult = (u8, TimeWindow, Vec<u32>);

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

pub(super) struct Late(Collect);

impl Operator for Late {
    pass_on!(0: open, begin, resume, flush, deadline, snapshot, close);
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

pub(super) fn open_context(assignment: KeyGroupAssignment) -> OpenContext {
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
        checkpointing: Checkpointing::default(),
    }
}

/// An operator under test and what it wrote.
pub(super) struct Harness<P> {
    pub(super) operator: P,
    pub(super) down: Collect,
    cx: OpenContext,
    pub(super) budget: u32,
}

pub(super) type Key = OwnedSelector<fn(&Record) -> u8>;

pub(super) fn key_of(record: &Record) -> u8 {
    record.0
}

/// An operator that `build` makes upstream of an output with a side output for late records.
pub(super) fn harness_of<P: Push<Record>>(
    build: impl FnOnce(Key, Outputs<Collect>, OutputTag<Record>) -> P,
) -> Harness<P> {
    harness_in(open_context(KeyGroupAssignment::Flink), build).unwrap()
}

/// Like `harness_of`, with an open context.
pub(super) fn harness_in<P: Push<Record>>(
    cx: OpenContext,
    build: impl FnOnce(Key, Outputs<Collect>, OutputTag<Record>) -> P,
) -> Result<Harness<P>, OperatorError> {
    let down = Collect::default();
    let tag = OutputTag::<Record>::new("late");
    let mut outputs = Outputs::new(down.clone());
    outputs
        .sides
        .connect("late".into(), Box::new(Late(down.clone())));
    let selector = OwnedSelector(key_of as fn(&Record) -> u8);
    let mut operator = build(selector, outputs, tag);
    operator.open(&cx)?;
    Ok(Harness {
        operator,
        down,
        cx,
        budget: 100,
    })
}

pub(super) fn harness<F>(
    shape: Shape,
    function: F,
    late: bool,
) -> Harness<WindowOperator<Record, Key, F, Collect>>
where
    F: WindowFunction<Record, u8, Out = WindowResult>,
{
    let cx = open_context(KeyGroupAssignment::Flink);
    windows_in(cx, shape, function, late).unwrap()
}

/// Like `harness`, with an open context.
pub(super) fn windows_in<F>(
    cx: OpenContext,
    shape: Shape,
    function: F,
    late: bool,
) -> Result<Harness<WindowOperator<Record, Key, F, Collect>>, OperatorError>
where
    F: WindowFunction<Record, u8, Out = WindowResult>,
{
    harness_in(cx, |selector, outputs, tag| {
        let assigner = shape.assigner();
        let operator = WindowOperator::new("w".into(), &assigner, selector, function, outputs);
        let lateness = Lateness::of(nanoseconds(shape.lateness as u64));
        let operator = operator.unwrap().allowed_lateness(lateness);
        if late {
            operator.late_to(tag)
        } else {
            operator
        }
    })
}

impl<P: Push<Record>> Harness<P> {
    /// What a head does before it passes on the next record or signal.
    pub(super) fn wait(&mut self) {
        let mut turns = 0;
        while !self.operator.ready() {
            self.operator.resume(&mut Budget::new(self.budget));
            turns += 1;
            assert!(turns < 100_000, "never ready");
        }
    }

    pub(super) fn push(&mut self, record: Record, at: i64) {
        self.wait();
        self.down.0.lock().unwrap().in_push = true;
        let hash = self.operator.hash_ahead(&record);
        self.operator.prefetch(hash, Lookahead::Near);
        self.operator.push_hashed(&record, Timestamp(at), hash);
        self.down.0.lock().unwrap().in_push = false;
    }

    /// Pushes records like a head that has them at hand.
    pub(super) fn push_run(&mut self, run: &[(Record, i64)]) {
        let mut left = run;
        while !left.is_empty() {
            self.wait();
            self.down.0.lock().unwrap().in_push = true;
            let taken = self.operator.push_run(&Records(left), left.len());
            left = &left[taken..];
            self.down.0.lock().unwrap().in_push = false;
        }
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.wait();
        self.operator.signal(signal);
        self.operator.flush();
    }

    pub(super) fn watermark(&mut self, at: i64) {
        self.signal(Signal::Watermark(Timestamp(at)));
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        self.wait();
        std::mem::take(&mut self.down.0.lock().unwrap().events)
    }

    pub(super) fn metric(&mut self, name: &str) -> i64 {
        self.wait();
        self.operator.flush();
        self.cx.metrics.total(name)
    }
}
