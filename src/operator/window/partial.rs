//! The first phase of windows over a non-keyed stream: each subtask aggregates its own records.
//!
//! To compute such windows in one place, as Flink does, all records must be sent there. Since
//! aggregates can be merged, it is enough to send accumulators:
//!
//! ```text
//! records ─► PartialAggregate ─┐  one accumulator per slice, when the watermark closes it
//! records ─► PartialAggregate ─┴─► WindowOperator with MergePartials ─► results
//! ```
//! An accumulator is emitted ahead of the watermark that closes its slice, with the slice's last
//! timestamp, so that the downstream windows see it as a record on time. A record that arrives after its
//! slice was closed is emitted immediately, as an accumulator of its own: whether it is late is decided
//! downstream of the exchange, by the combined watermark of all subtasks. A subtask that becomes idle, for which
//! nobody waits, first emits all slices (see [`holding`](super::holding)).
//!
//! Adding a record takes a comparison (is it in the previous record's slice?) and the aggregate's `add`.
//!
//! A checkpoint stores the accumulators as a list. On rescaling they are distributed over the subtasks: it does
//! not matter which of them emits one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;

use crate::checkpoint::{
    CheckpointError, Restored, SnapshotOutput, StateRef, ValueSnapshot, share,
};
use crate::operator::{
    Aggregate, Barrier, Budget, OpenContext, Operator, OperatorError, Push, RecordRun, Signal,
    on_stack, pass_on, raise,
};
use crate::record::{Far, OwnedForm, Record};
use crate::state::StateKind;
use crate::time::Timestamp;

use super::assigner::{EventTime, SlicedAssigner, WindowError};
use super::current::Range;
use super::holding::Holding;
use super::open_slice::OpenSlice;
use super::progress::{PROGRESS, Progress};
use super::slice_snapshot::no_slice;
use super::slicing::{Slice, Slicing};

/// How many accumulators a watermark may emit before the worker gets a chance to do something else.
const SIGNAL_BUDGET: u32 = 256;

/// The name of the state.
const SLICES: &str = "slices";

/// How the state is checkpointed.
#[derive(Default)]
struct Durable {
    /// The operator's uid, or `None` to use its name.
    uid: Option<Arc<str>>,
    /// Present if checkpoints are enabled.
    snapshot: Option<(ValueSnapshot, Progress)>,
}

/// Aggregates the records of one subtask by slice; emits accumulators.
pub struct PartialAggregate<V: ?Sized, A: Aggregate<V>, D> {
    name: Arc<str>,
    durable: Box<Durable>,
    slicing: Slicing,
    aggregate: A,
    next: D,
    watermark: Timestamp,
    /// The previous record's slice; one that contains no timestamp after it was closed.
    current: (Slice, A::Accumulator),
    /// All other slices with records that the watermark has not closed, by number.
    open: BTreeMap<i64, (Slice, A::Accumulator)>,
    holding: Holding,
    /// Slices are being emitted; afterwards this signal is forwarded.
    firing: Option<Signal>,
    /// Whether the operator takes input. A record that only adds to state changes nothing downstream, so whether
    /// there is room there is not checked for every record, only after something was emitted.
    ready: bool,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, A: Aggregate<V>, D> std::fmt::Debug for PartialAggregate<V, A, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartialAggregate")
            .field("name", &self.name)
            .field("slicing", &self.slicing)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

impl<V, A, D> PartialAggregate<V, A, D>
where
    V: ?Sized,
    A: Aggregate<V>,
    D: Push<A::Accumulator>,
{
    /// Creates an operator called `name`, which applies `aggregate` to the slices of the windows of `assigner`.
    ///
    /// # Errors
    /// [`WindowError`] if the assigner's windows are invalid.
    pub fn new(
        name: Arc<str>,
        assigner: &impl SlicedAssigner<Time = EventTime>,
        aggregate: A,
        next: D,
    ) -> Result<Self, WindowError> {
        Ok(PartialAggregate {
            name,
            durable: Box::default(),
            slicing: assigner.slicing()?,
            current: (Slice::NONE, aggregate.create()),
            aggregate,
            next,
            watermark: Timestamp::MIN,
            open: BTreeMap::new(),
            holding: Holding::default(),
            firing: None,
            ready: false,
            record: PhantomData,
        })
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.durable.uid = Some(uid);
        self
    }

    /// Restores from the checkpoint, if any, and prepares for checkpoints.
    fn restore(&mut self, cx: &OpenContext) -> Result<(), CheckpointError> {
        let uid = self
            .durable
            .uid
            .get_or_insert_with(|| Arc::clone(&self.name));
        let (uid, kind) = (Arc::clone(uid), StateKind::OperatorList);
        let values =
            ValueSnapshot::of::<OpenSlice<A::Accumulator>>(StateRef::new(&uid, SLICES), kind);
        let snapshot = (values, Progress::new(&uid, self.slicing));
        if let Some(restored) = &cx.checkpointing.restored {
            self.put_back(&snapshot, restored, cx)?;
        }
        cx.check_restored(&uid, |name| [SLICES, PROGRESS].contains(&name))?;
        self.durable.snapshot = cx.checkpointing.enabled.then_some(snapshot);
        Ok(())
    }

    fn put_back(
        &mut self,
        (values, progress): &(ValueSnapshot, Progress),
        restored: &Restored,
        cx: &OpenContext,
    ) -> Result<(), CheckpointError> {
        self.watermark = progress.restore(restored, cx)?.watermark;
        let saved =
            restored.values::<OpenSlice<A::Accumulator>>(values.state(), values.schema())?;
        let saved = saved.unwrap_or_default();
        for open in share(saved, cx.subtask.index, cx.subtask.parallelism) {
            let slice = self.slicing.numbered(open.number);
            let slice = slice.ok_or_else(|| no_slice(values.state(), open.number))?;
            match self.open.entry(open.number) {
                Entry::Vacant(place) => {
                    place.insert((slice, open.accumulator));
                }
                Entry::Occupied(mut known) => {
                    (self.aggregate).merge(&mut known.get_mut().1, &open.accumulator);
                }
            }
        }
        Ok(())
    }

    /// Captures the state for a checkpoint.
    fn capture(&mut self, barrier: Barrier) {
        let Some((values, progress)) = &mut self.durable.snapshot else {
            return;
        };
        let current = Some(&self.current).filter(|(slice, _)| *slice != Slice::NONE);
        let open = self.open.values().chain(current);
        let open: Vec<_> = open
            .map(|(slice, accumulator)| OpenSlice {
                number: slice.number,
                accumulator: accumulator.clone(),
            })
            .collect();
        values.capture(barrier.checkpoint, &open);
        progress.capture(barrier.checkpoint, self.watermark, Timestamp::MIN);
    }

    /// Adds a record that is not in the previous record's slice.
    #[inline(never)]
    fn push_elsewhere(&mut self, record: &V, at: Timestamp) {
        if at.is_none() {
            let operator = Arc::clone(&self.name);
            raise(OperatorError::NoTimestamp { operator });
        }
        match self.slicing.slice(at) {
            // In no window, and not late.
            None if at > self.holding.reached(self.watermark) => {}
            Some(slice) if self.holding.holds(slice, self.watermark) => {
                let known = self.open.remove(&slice.number);
                let (_, mut accumulator) =
                    known.unwrap_or_else(|| (slice, self.aggregate.create()));
                self.aggregate.add(&mut accumulator, record);
                self.park((slice, accumulator));
            }
            _ => {
                let mut accumulator = self.aggregate.create();
                self.aggregate.add(&mut accumulator, record);
                self.next.push(&accumulator, at);
            }
        }
    }

    /// Makes `next` the current slice and moves the previous one to the others.
    fn park(&mut self, next: (Slice, A::Accumulator)) {
        let (slice, accumulator) = mem::replace(&mut self.current, next);
        if slice != Slice::NONE {
            self.open.insert(slice.number, (slice, accumulator));
        }
    }

    /// Checks again whether there is room downstream, after something was emitted.
    fn refresh(&mut self) {
        self.ready = self.firing.is_none() && self.next.ready();
    }

    /// Starts emitting the slices that must not be held back any longer, ahead of `signal`.
    fn start_firing(&mut self, signal: Signal) {
        if self.current.0.last <= self.holding.reached(self.watermark) {
            self.park((Slice::NONE, self.aggregate.create()));
        }
        self.firing = Some(signal);
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }

    /// Continues emitting slices, in time order, while there is budget and room downstream; then forwards the
    /// signal.
    fn advance(&mut self, budget: &mut Budget) {
        let reached = self.holding.reached(self.watermark);
        while let Some(signal) = self.firing
            && budget.left() > 0
            && self.next.ready()
        {
            let first = self.open.first_entry();
            if let Some(entry) = first.filter(|entry| entry.get().0.last <= reached) {
                let (slice, accumulator) = entry.remove();
                self.next.push(&accumulator, slice.last);
                budget.take();
            } else {
                self.firing = None;
                self.next.signal(signal);
            }
        }
    }
}

impl<V, A, D> Operator for PartialAggregate<V, A, D>
where
    V: ?Sized,
    A: Aggregate<V>,
    D: Push<A::Accumulator>,
{
    pass_on!(next: deadline, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        let restored = self.restore(cx);
        restored.map_err(|cause| OperatorError::restore(&self.name, cause))?;
        self.refresh();
        Ok(())
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        self.refresh();
    }

    fn signal(&mut self, signal: Signal) {
        debug_assert!(self.firing.is_none(), "a signal during a firing");
        self.holding.on_signal(signal);
        match signal {
            Signal::Watermark(at) if at <= self.watermark => return,
            Signal::Watermark(at) => {
                self.watermark = at;
                self.start_firing(signal);
            }
            Signal::Idle => self.start_firing(signal),
            Signal::Barrier(barrier) => {
                self.capture(barrier);
                self.next.signal(signal);
            }
            _ => self.next.signal(signal),
        }
        self.refresh();
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let snapshot = self.durable.snapshot.as_mut();
        let written =
            snapshot.is_none_or(|(values, progress)| values.drain(out) && progress.drain(out));
        self.next.snapshot(out) && written
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.ready
    }

    fn takes_barrier(&self) -> bool {
        self.firing.is_none() && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
        self.refresh();
    }

    fn flush(&mut self) {
        self.next.flush();
        self.refresh();
    }
}

impl<V, A, D> Push<V> for PartialAggregate<V, A, D>
where
    V: ?Sized,
    A: Aggregate<V>,
    D: Push<A::Accumulator>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        let (slice, accumulator) = &mut self.current;
        if slice.holds(at) {
            self.aggregate.add(accumulator, record);
        } else {
            self.push_elsewhere(record, at);
            self.refresh();
        }
    }

    #[inline(always)]
    fn push_run(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        let mut records = run.part(0..wanted);
        while self.ready {
            let ((slice, accumulator), aggregate) = (&mut self.current, &self.aggregate);
            let range = Range::of(*slice);
            let elsewhere = on_stack(accumulator, |accumulator| {
                records.find(|&(record, at)| {
                    let here = range.holds(at);
                    if here {
                        aggregate.add(accumulator, record);
                    }
                    !here
                })
            });
            let Some((record, at)) = elsewhere else {
                return wanted;
            };
            self.push_elsewhere(record, at);
            self.refresh();
        }
        wanted - records.len()
    }
}

/// Aggregates accumulators of `A`, in the form that they have downstream of an exchange.
pub struct MergePartials<V: ?Sized, A> {
    aggregate: A,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, A> MergePartials<V, A> {
    /// Merges the output of [`PartialAggregate`]s with the same aggregate.
    pub fn new(aggregate: A) -> Self {
        MergePartials {
            aggregate,
            record: PhantomData,
        }
    }
}

impl<V: ?Sized, A: Clone> Clone for MergePartials<V, A> {
    fn clone(&self) -> Self {
        MergePartials::new(self.aggregate.clone())
    }
}

impl<V: ?Sized, A: std::fmt::Debug> std::fmt::Debug for MergePartials<V, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MergePartials")
            .field(&self.aggregate)
            .finish()
    }
}

impl<V, A> Aggregate<Far<A::Accumulator>> for MergePartials<V, A>
where
    V: ?Sized + 'static,
    A: Aggregate<V>,
    A::Accumulator: Record,
    <A::Accumulator as Record>::Form: OwnedForm<A::Accumulator>,
{
    type Accumulator = A::Accumulator;
    type Out = A::Out;

    fn create(&self) -> A::Accumulator {
        self.aggregate.create()
    }

    fn add(&self, accumulator: &mut A::Accumulator, partial: &Far<A::Accumulator>) {
        let partial = <A::Accumulator as Record>::Form::owned(partial);
        self.aggregate.merge(accumulator, &partial);
    }

    fn merge(&self, accumulator: &mut A::Accumulator, other: &A::Accumulator) {
        self.aggregate.merge(accumulator, other);
    }

    fn result(&self, accumulator: &A::Accumulator) -> A::Out {
        self.aggregate.result(accumulator)
    }
}
