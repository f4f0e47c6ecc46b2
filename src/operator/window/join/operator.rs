//! `WindowJoin`: where records go, which are late, and what signals trigger.
//!
//! Flink's window join, which is its `WindowOperator` over the union of both inputs:
//!
//! - A record is added to its slice unless all its windows are late; then, if it is late itself, it goes to
//!   its input's side output or is dropped and counted.
//! - A watermark fires the windows that end at or before it, in order of their ends, and is forwarded once their
//!   results have been emitted. Results carry their window's maximal timestamp; within a window they come in no
//!   particular order, but always in the same one for the same records in the same arrival order.
//! - A record for a window that has fired but is not late yet fires it again immediately, for all records of its key.
//!   The windows of one record fire latest first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::checkpoint::SnapshotOutput;
use crate::metrics::{Counter, Gauge};
use crate::operator::inputs::Inputs;
use crate::operator::window::assigner::{EventTime, SlicedAssigner, WindowError};
use crate::operator::window::lateness::Lateness;
use crate::operator::window::slicing::{Slice, Slicing};
use crate::operator::{
    Budget, MultiInput, OpenContext, Operator, OperatorError, OutputTag, Outputs, Push, RecordRun,
    Signal, TwoInput, pass_on, raise,
};
use crate::record::{KeySelector, Wire};
use crate::time::{Timestamp, Valve};

use super::firing::{Firing, Late, Stage};
use super::function::JoinFunction;
use super::snapshot::JoinSnapshot;
use super::staged::Staged;
use super::state::{JoinState, SliceId};

/// How many results a signal or a late record may cause before the worker gets a chance to do something
/// else.
const SIGNAL_BUDGET: u32 = 256;

/// What a window join counts.
#[derive(Default)]
struct JoinMetrics {
    late: u64,
    dropped: u64,
    late_records: Counter,
    late_records_dropped: Counter,
    state_entries: Gauge,
    state_bytes: Gauge,
    /// How many flushes remain until the size of the state is measured again.
    flushes_left: usize,
}

/// The key selectors of both sides.
pub(super) struct Keys<S1, S2> {
    pub(super) left: S1,
    pub(super) right: S2,
}

/// What happens to a record.
enum Fate {
    /// No window of its slice has ended.
    InTime(Slice, SliceId),
    /// Some have ended, but at least one is not late; with the first and the last of all windows.
    Behind(SliceId, (i64, i64)),
    /// It is too late.
    Late,
    /// It is in no window.
    InGap,
}

/// Joins two keyed streams over windows in event time.
pub struct WindowJoin<L: ?Sized, R: ?Sized, S1, S2, F, D> {
    pub(super) name: Arc<str>,
    pub(super) uid: Arc<str>,
    pub(super) slicing: Slicing,
    pub(super) lateness: Lateness,
    pub(super) keys: Keys<S1, S2>,
    pub(super) function: F,
    late_left: Option<OutputTag<L>>,
    late_right: Option<OutputTag<R>>,
    pub(super) next: Outputs<D>,
    pub(super) watermark: Timestamp,
    inputs: Inputs<Valve>,
    pub(super) state: JoinState<L, R>,
    pub(super) firing: Firing,
    /// Records that arrived during a firing.
    pub(super) staged: Staged<L, R>,
    /// Signals that have not been handled yet.
    pub(super) waiting: VecDeque<Signal>,
    /// Whether a firing is in progress, signals wait, or there was no room downstream when it was last called:
    /// a record that is merely stored needs none, so it does not check.
    pub(super) busy: bool,
    metrics: JoinMetrics,
    /// Present if checkpoints are enabled.
    pub(super) snapshot: Option<Box<JoinSnapshot>>,
}

impl<L: ?Sized, R: ?Sized, S1, S2, F, D> std::fmt::Debug for WindowJoin<L, R, S1, S2, F, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowJoin")
            .field("name", &self.name)
            .field("slicing", &self.slicing)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

impl<L, R, S1, S2, F, D> WindowJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: JoinFunction<S1::Key, L, R>,
    D: Push<F::Out>,
{
    /// Creates an operator called `name`, which applies `function` to the windows of `assigner` by the keys that
    /// the selectors `left` and `right` extract.
    ///
    /// # Errors
    /// [`WindowError`] if the assigner's windows are invalid.
    pub fn new(
        name: Arc<str>,
        assigner: &impl SlicedAssigner<Time = EventTime>,
        (left, right): (S1, S2),
        function: F,
        next: Outputs<D>,
    ) -> Result<Self, WindowError> {
        Ok(WindowJoin {
            uid: Arc::clone(&name),
            name,
            slicing: assigner.slicing()?,
            lateness: Lateness::default(),
            keys: Keys { left, right },
            function,
            late_left: None,
            late_right: None,
            next,
            watermark: Timestamp::MIN,
            inputs: Inputs::new(2, Valve::new(2)),
            state: JoinState::new(),
            firing: Firing::default(),
            staged: Staged::new(),
            waiting: VecDeque::new(),
            busy: false,
            metrics: JoinMetrics::default(),
            snapshot: None,
        })
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(self, uid: Arc<str>) -> Self {
        WindowJoin { uid, ..self }
    }

    /// Keeps windows for some time after the watermark has passed them.
    #[must_use]
    pub fn allowed_lateness(self, lateness: Lateness) -> Self {
        WindowJoin { lateness, ..self }
    }

    /// Sends late records of the left input to `tag` rather than dropping them.
    #[must_use]
    pub fn late_left_to(self, tag: OutputTag<L>) -> Self {
        WindowJoin {
            late_left: Some(tag),
            ..self
        }
    }

    /// Sends late records of the right input to `tag` rather than dropping them.
    #[must_use]
    pub fn late_right_to(self, tag: OutputTag<R>) -> Self {
        WindowJoin {
            late_right: Some(tag),
            ..self
        }
    }

    /// Determines what happens to a record at `at`; creates its slice.
    fn fate(&mut self, at: Timestamp) -> Fate {
        if at.is_none() {
            let operator = Arc::clone(&self.name);
            raise(OperatorError::NoTimestamp { operator });
        }
        let late = self.lateness.is_record_late(at, self.watermark);
        let nowhere = if late { Fate::Late } else { Fate::InGap };
        let Some(slice) = self.slicing.slice(at) else {
            return nowhere;
        };
        let (first, last) = self.slicing.windows_of(slice.number);
        if self.slicing.window(first).max_timestamp() > self.watermark {
            return Fate::InTime(slice, self.state.slice(slice.number));
        }
        if self.is_late(last) {
            return nowhere;
        }
        Fate::Behind(self.state.slice(slice.number), (first, last))
    }

    pub(super) fn is_late(&self, window: i64) -> bool {
        self.lateness
            .is_window_late(self.slicing.window(window), self.watermark)
    }

    /// Handles a record of the left input that is not in the previous record's slice.
    #[inline(never)]
    fn push_left(&mut self, record: &L, at: Timestamp) {
        if self.has_to_wait() {
            return (self.staged).push_left(record, at, &mut self.state.spare);
        }
        self.take_left(record, at);
        if self.firing.stage != Stage::Idle {
            self.advance(&mut Budget::new(SIGNAL_BUDGET));
        }
    }

    /// Puts a record of the left input where it belongs.
    pub(super) fn take_left(&mut self, record: &L, at: Timestamp) {
        match self.fate(at) {
            Fate::InTime(slice, id) => {
                let state = &mut self.state;
                state.left.take(slice, id);
                state.left.push(record, &mut state.spare);
            }
            Fate::Behind(id, windows) => {
                let state = &mut self.state;
                let place = state.left.push_to(id, record, &mut state.spare);
                self.fire_again(Late::of_left(id, place), windows);
            }
            Fate::Late => {
                self.count_late(self.late_left.is_none());
                if let Some(tag) = &self.late_left {
                    self.next.sides.push(tag, record, at);
                    self.busy |= !self.next.ready();
                }
            }
            Fate::InGap => {}
        }
    }

    /// Handles a record of the right input that is not in the previous record's slice.
    #[inline(never)]
    fn push_right(&mut self, record: &R, at: Timestamp) {
        if self.has_to_wait() {
            return (self.staged).push_right(record, at, &mut self.state.spare);
        }
        self.take_right(record, at);
        if self.firing.stage != Stage::Idle {
            self.advance(&mut Budget::new(SIGNAL_BUDGET));
        }
    }

    /// Puts a record of the right input where it belongs.
    pub(super) fn take_right(&mut self, record: &R, at: Timestamp) {
        match self.fate(at) {
            Fate::InTime(slice, id) => {
                let state = &mut self.state;
                state.right.take(slice, id);
                state.right.push(record, &mut state.spare);
            }
            Fate::Behind(id, windows) => {
                let state = &mut self.state;
                let place = state.right.push_to(id, record, &mut state.spare);
                self.fire_again(Late::of_right(id, place), windows);
            }
            Fate::Late => {
                self.count_late(self.late_right.is_none());
                if let Some(tag) = &self.late_right {
                    self.next.sides.push(tag, record, at);
                    self.busy |= !self.next.ready();
                }
            }
            Fate::InGap => {}
        }
    }

    fn fire_again(&mut self, late: Late, windows: (i64, i64)) {
        debug_assert!(self.firing.stage == Stage::Idle, "a record during a firing");
        self.state.settle();
        self.firing.start_again(late, windows);
        self.busy = true;
    }

    fn count_late(&mut self, dropped: bool) {
        self.metrics.late += 1;
        self.metrics.dropped += u64::from(dropped);
    }

    /// Returns whether no firing is in progress, and no record waits for one to end.
    fn is_settled(&self) -> bool {
        self.firing.stage == Stage::Idle && self.staged.is_empty()
    }

    /// Takes an overtaking barrier although there is no room downstream, if nothing is ahead of it.
    fn let_overtake(&mut self) {
        if self.is_settled()
            && let Some(signal) = Signal::take_overtaking(&mut self.waiting)
        {
            self.accept(signal);
        }
    }

    /// Handles a signal of both inputs, once those before it have been handled.
    pub(super) fn accept(&mut self, signal: Signal) {
        match signal {
            Signal::Watermark(at) if at > self.watermark => {
                let before = std::mem::replace(&mut self.watermark, at);
                self.state.settle();
                (self.firing).start(&self.slicing, self.lateness, before, at);
            }
            Signal::Watermark(_) => {}
            Signal::Barrier(barrier) => {
                self.freeze(barrier);
                self.next.signal(signal);
            }
            _ => self.next.signal(signal),
        }
    }

    /// Raises the error for a window that is too large for an index.
    #[cold]
    pub(super) fn raise_too_large(&self) -> ! {
        let operator = Arc::clone(&self.name);
        raise(OperatorError::WindowTooLarge { operator })
    }
}

impl<L, R, S1, S2, F, D> Operator for WindowJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: JoinFunction<S1::Key, L, R>,
    D: Push<F::Out>,
{
    pass_on!(next: deadline, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let metrics = cx.operator_metrics(&self.name);
        self.metrics = JoinMetrics {
            late_records: metrics.counter("late_records"),
            late_records_dropped: metrics.counter("late_records_dropped"),
            state_entries: metrics.gauge("state_entries"),
            state_bytes: metrics.gauge("state_bytes"),
            ..JoinMetrics::default()
        };
        self.next.open(cx)?;
        self.restore(cx)
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = self.drain(out);
        self.next.snapshot(out) && written
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        self.busy |= !self.next.ready();
    }

    fn signal(&mut self, signal: Signal) {
        self.waiting.push_back(signal);
        self.let_overtake();
        self.busy = true;
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        !self.busy
    }

    fn takes_barrier(&self) -> bool {
        self.is_settled() && self.waiting.is_empty() && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
    }

    fn flush(&mut self) {
        let metrics = &mut self.metrics;
        metrics.late_records.set(metrics.late);
        metrics.late_records_dropped.set(metrics.dropped);
        // Measuring visits every slice, so with many slices it is done less often: a constant cost per flush.
        match metrics.flushes_left.checked_sub(1) {
            Some(left) => metrics.flushes_left = left,
            None => {
                let (records, bytes) = self.state.size();
                metrics.state_entries.set(records as i64);
                metrics.state_bytes.set(bytes as i64);
                metrics.flushes_left = self.state.slice_count() / 16;
            }
        }
        self.next.flush();
        self.busy |= !self.next.ready();
    }
}

impl<L, R, S1, S2, F, D> MultiInput for WindowJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: JoinFunction<S1::Key, L, R>,
    D: Push<F::Out>,
{
    fn is_held(&self, input: usize) -> bool {
        self.inputs.is_held(input)
    }

    fn signal_from(&mut self, input: usize, signal: Signal) {
        let waiting = &mut self.waiting;
        (self.inputs).on_signal(input, signal, |signal| waiting.push_back(signal));
        self.let_overtake();
        self.busy |= !self.waiting.is_empty();
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }
}

impl<L, R, S1, S2, F, D> TwoInput<L, R> for WindowJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: JoinFunction<S1::Key, L, R>,
    D: Push<F::Out>,
{
    #[inline(always)]
    fn push_first(&mut self, record: &L, at: Timestamp) {
        if self.state.left.is_at_hand(at) {
            self.state.left.push(record, &mut self.state.spare);
        } else {
            self.push_left(record, at);
        }
    }

    #[inline(always)]
    fn push_second(&mut self, record: &R, at: Timestamp) {
        if self.state.right.is_at_hand(at) {
            self.state.right.push(record, &mut self.state.spare);
        } else {
            self.push_right(record, at);
        }
    }

    #[inline(always)]
    fn takes_runs(&self) -> bool {
        true
    }

    #[inline(always)]
    fn push_each_first(&mut self, run: &impl RecordRun<L>, wanted: usize) -> usize {
        let mut records = run.part(0..wanted);
        while !self.busy {
            let state = &mut self.state;
            let Some((record, at)) = state.left.extend(&mut records, &mut state.spare) else {
                return wanted;
            };
            self.push_left(record, at);
        }
        wanted - records.len()
    }

    #[inline(always)]
    fn push_each_second(&mut self, run: &impl RecordRun<R>, wanted: usize) -> usize {
        let mut records = run.part(0..wanted);
        while !self.busy {
            let state = &mut self.state;
            let Some((record, at)) = state.right.extend(&mut records, &mut state.spare) else {
                return wanted;
            };
            self.push_right(record, at);
        }
        wanted - records.len()
    }
}
