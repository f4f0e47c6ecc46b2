//! `WindowOperator`: keyed tumbling and sliding windows.
//!
//! Flink's `WindowOperator` with its `EventTimeTrigger`, for windows made of slices:
//!
//! - A record is added to its slice unless all its windows are late; then, if it is late itself, it goes to
//!   the side output or is dropped and counted.
//! - A watermark fires the windows that end at or before it, in order of their ends, and is forwarded once
//!   their results have been emitted. Results carry their window's maximal timestamp. Within a window, keys fire in
//!   no particular order.
//! - A record for a window that has fired but is not late yet fires it again immediately, for its
//!   key alone. The windows of one record fire latest first, which is the order of Flink's assigner.
//!
//! Adding a record takes a comparison (is it in the previous record's slice?) and one upsert into that
//! slice's table; a watermark that ends no window takes a comparison. See [`state`](super::state) and
//! [`firing`](super::firing) for which state exists and how windows are assembled from it.
//!
//! Windows in [processing time](ProcessingTime) differ only in the clock: a record's time is that of its
//! batch, and the watermark is the processing time that has passed. No record is late then, and windows open at
//! the end of input do not fire (Flink's rule): a run that resumes from a checkpoint taken there fires them in time.
//!
//! A checkpoint stores the [slices](super::slice_snapshot), key by key, and how far [time](super::progress)
//! had advanced. After a restore, windows whose end has passed meanwhile fire immediately in processing time, and
//! at the next watermark in event time.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::SnapshotOutput;
use crate::operator::key_context::Keys;
use crate::operator::{
    Budget, Lookahead, OpenContext, Operator, OperatorError, OutputTag, Outputs, Push, RecordRun,
    Signal, earlier, pass_on, raise,
};
use crate::record::{Key, KeyHash, KeyHasher, KeySelector, StoredKey};
use crate::time::Timestamp;

use super::assigner::{EventTime, SlicedAssigner, WindowError, WindowTime};
use super::current::Current;
use super::firing::{Emission, Stage};
use super::function::WindowFunction;
use super::late::LateRecords;
use super::lateness::Lateness;
use super::slice_table::{SliceTable, TableId, TableShape};
use super::timeline::Timeline;

/// How many results a watermark may emit before the worker gets a chance to do something else.
const SIGNAL_BUDGET: u32 = 256;

/// Keyed tumbling or sliding windows in event time or (by `T`) processing time.
pub struct WindowOperator<V, S, F, D, T = EventTime>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
{
    current: Current<S::Key, F::Accumulator>,
    selector: S,
    function: F,
    hasher: KeyHasher,
    /// Processing time of the batch.
    now: Timestamp,
    /// The input has ended: windows in processing time no longer fire.
    ended: bool,
    /// A firing is unfinished.
    busy: bool,
    /// Whether the operator takes input. A record that only adds to state changes nothing downstream, so whether
    /// there is room there is not checked for every record, only after something was emitted.
    ready: bool,
    next: Outputs<D>,
    timeline: Box<Timeline<S::Key, F::Accumulator>>,
    late: Box<LateRecords<V>>,
    time: PhantomData<T>,
}

impl<V, S, F, D, T> std::fmt::Debug for WindowOperator<V, S, F, D, T>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowOperator")
            .field("name", &self.timeline.name)
            .field("slicing", &self.timeline.slicing)
            .field("watermark", &self.timeline.watermark)
            .finish_non_exhaustive()
    }
}

impl<V, S, F, D, T> WindowOperator<V, S, F, D, T>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
    T: WindowTime,
{
    /// Creates an operator called `name`, which applies `function` to the windows of `assigner` per key.
    ///
    /// # Errors
    /// [`WindowError`] if the assigner's windows are invalid.
    pub fn new(
        name: Arc<str>,
        assigner: &impl SlicedAssigner<Time = T>,
        selector: S,
        function: F,
        next: Outputs<D>,
    ) -> Result<Self, WindowError> {
        let shape = TableShape::default();
        let timeline = Timeline::new(name, assigner.slicing()?, shape);
        Ok(WindowOperator {
            current: Current::none(timeline.state.pool.fresh()),
            selector,
            function,
            hasher: KeyHasher::default(),
            now: Timestamp::MIN,
            ended: false,
            busy: false,
            ready: false,
            next,
            timeline: Box::new(timeline),
            late: Box::new(LateRecords::new()),
            time: PhantomData,
        })
    }

    /// Keeps windows for some time after the watermark has passed them. Has no effect in processing time,
    /// where nothing is late.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Lateness) -> Self {
        if T::IS_EVENT {
            self.timeline.lateness = lateness;
        }
        self
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.timeline.uid = Some(uid);
        self
    }

    /// Sends late records to `tag` rather than dropping them.
    #[must_use]
    pub fn late_to(mut self, tag: OutputTag<V>) -> Self {
        self.late.tag = Some(tag);
        self
    }

    /// Reserves room for `keys` keys, across all subtasks, in the first slice.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.timeline.state.expected_keys = keys;
        self
    }

    /// Adds a record that is not in the previous record's slice to the right slice, if any.
    #[cold]
    #[inline(never)]
    fn push_elsewhere(&mut self, record: &V, at: Timestamp) {
        let timeline = &mut *self.timeline;
        if at.is_none() {
            let operator = Arc::clone(&timeline.name);
            raise(OperatorError::NoTimestamp { operator });
        }
        let Some(slice) = timeline.slicing.slice(at) else {
            return self.reject(record, at);
        };
        if slice.number < timeline.open_slice {
            return self.push_behind(record, at, slice.number);
        }
        self.current.settle(&mut timeline.state.pool);
        let table = timeline.slice(slice.number);
        self.current.take(slice, table, &mut timeline.state.pool);
        let hash = self.hash_of(record);
        self.add(record, hash);
    }

    #[inline(always)]
    fn hash_of(&self, record: &V) -> KeyHash {
        self.hasher.hash(self.selector.key(record).borrow())
    }

    /// Adds a record of the current slice.
    #[inline(always)]
    fn add(&mut self, record: &V, hash: KeyHash) {
        let (key, table) = (self.selector.key(record), &mut self.current.table);
        add(table, hash, key.borrow(), &mut self.function, record);
    }

    /// Adds a record to another table.
    fn add_to(&mut self, table: TableId, record: &V) {
        let key = self.selector.key(record);
        let hash = self.hasher.hash(key.borrow());
        let (table, function) = (self.timeline.state.pool.get_mut(table), &mut self.function);
        add(table, hash, key.borrow(), function, record);
    }

    /// Adds a record for which at least one window has ended, and fires those that contain it and are not late.
    fn push_behind(&mut self, record: &V, at: Timestamp, slice: i64) {
        let timeline = &mut *self.timeline;
        self.current.settle(&mut timeline.state.pool);
        let (first, last) = timeline.slicing.windows_of(slice);
        if timeline.is_late(last) {
            return self.reject(record, at);
        }
        let table = timeline.slice(slice);
        self.add_to(table, record);
        for level in self.timeline.state.levels() {
            if let Some(node) = self.timeline.state.node_over(slice, level) {
                self.add_to(node, record);
            }
        }
        for window in (first..=last).rev() {
            if self.timeline.is_late(window) {
                break;
            }
            if window < self.timeline.open_window {
                self.fire_again(record, window);
            }
        }
    }

    /// Fires a window again, for the key of `record` alone.
    fn fire_again(&mut self, record: &V, number: i64) {
        let Timeline { slicing, state, .. } = &*self.timeline;
        let (function, next) = (&mut self.function, &mut self.next);
        let window = slicing.window(number);
        let key = self.selector.key(record);
        let (key, hash) = (key.borrow(), self.hasher.hash(key.borrow()));
        let mut united: Option<F::Accumulator> = None;
        state.visit(slicing.slices_of(number), |table| {
            let table = &state.pool.get(table).entries;
            let found = table.get(hash, |stored| stored.is(key));
            match (&mut united, found) {
                (_, None) => {}
                (Some(united), Some(later)) => function.merge(united, later),
                (None, Some(first)) => united = Some(first.clone()),
            }
        });
        if let Some(united) = united {
            let emit = |result: &F::Out| next.main.push(result, window.max_timestamp());
            function.fire(key, window, &united, emit);
        }
    }

    /// Handles a record that no window takes.
    fn reject(&mut self, record: &V, at: Timestamp) {
        let timeline = &*self.timeline;
        if (timeline.lateness).is_record_late(at, timeline.watermark) {
            self.late.take(&mut self.next.sides, record, at);
        }
    }

    /// Checks again whether there is room downstream, after something was emitted.
    fn refresh(&mut self) {
        self.ready = !self.busy && self.next.ready();
    }

    /// Time has advanced to `watermark`: starts firing the windows that this ends.
    fn start_firing(&mut self, watermark: Timestamp) {
        let timeline = &mut *self.timeline;
        debug_assert_eq!(timeline.firing.stage, Stage::Idle);
        self.current.settle(&mut timeline.state.pool);
        let first = timeline.open_window;
        timeline.watermark = watermark;
        timeline.find_open();
        let (slicing, lateness) = (&timeline.slicing, timeline.lateness);
        (timeline.firing).start(slicing, lateness, first, watermark);
        self.busy = true;
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }

    /// Continues firing while there is budget and room downstream.
    fn advance(&mut self, budget: &mut Budget) {
        while self.busy && budget.left() > 0 && self.next.ready() {
            let timeline = &mut *self.timeline;
            let (state, slicing) = (&mut timeline.state, &timeline.slicing);
            let (firing, function) = (&mut timeline.firing, &mut self.function);
            match firing.stage {
                Stage::Idle => self.busy = false,
                Stage::Seek => firing.seek(state, slicing, timeline.watermark, F::MERGES_AHEAD),
                Stage::Build => {
                    let merge = |node: &mut _, slice: &_| function.merge(node, slice);
                    budget.spend(firing.build(state, merge));
                }
                Stage::Emit => {
                    let mut emission = Emission {
                        next: &mut self.next.main,
                        budget: Budget::new(budget.left()),
                        window: slicing.window(firing.window),
                    };
                    firing.emit(state, slicing, function, &mut emission);
                    *budget = emission.budget;
                }
                Stage::Retire => budget.spend(firing.retire(state)),
                Stage::Forward => {
                    firing.stage = Stage::Idle;
                    timeline.find_quiet();
                    self.busy = false;
                    if T::IS_EVENT {
                        self.next.signal(Signal::Watermark(timeline.watermark));
                    }
                }
            }
        }
    }
}

/// Adds a record to the accumulator of its key.
#[inline(always)]
fn add<V: ?Sized, K: Key + ?Sized, F: WindowFunction<V, K>>(
    table: &mut SliceTable<K, F::Accumulator>,
    hash: KeyHash,
    key: &K,
    function: &mut F,
    record: &V,
) {
    let (accumulator, _) = table.accumulator(hash, key, || function.create());
    function.add(accumulator, record);
}

impl<V, S, F, D, T> Operator for WindowOperator<V, S, F, D, T>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
    T: WindowTime,
{
    pass_on!(next: close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.hasher = cx.hasher;
        let metrics = cx.operator_metrics(&self.timeline.name);
        self.timeline.open(cx, &metrics);
        self.late.open(&metrics);
        self.current = Current::none(self.timeline.state.pool.fresh());
        self.next.open(cx)?;
        let merge = |into: &mut _, later: &_| self.function.merge(into, later);
        let restored = self.timeline.restore(cx, merge);
        self.now = restored.map_err(|cause| OperatorError::restore(&self.timeline.name, cause))?;
        let accumulators = self.timeline.state.accumulators();
        accumulators.for_each(|accumulator| self.function.restored(accumulator));
        self.refresh();
        Ok(())
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        if !T::IS_EVENT && !self.ended && now > self.now {
            self.now = now;
            let passed = now.saturating_sub(1);
            if passed >= self.timeline.quiet_before {
                self.start_firing(passed);
            }
        }
        self.refresh();
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Watermark(at) if T::IS_EVENT => {
                if at <= self.timeline.watermark {
                    return;
                }
                if at >= self.timeline.quiet_before {
                    self.start_firing(at);
                } else {
                    self.timeline.watermark = at;
                    self.next.signal(signal);
                }
            }
            Signal::Barrier(barrier) => {
                let timeline = &mut self.timeline;
                timeline.freeze(barrier, &mut self.current, self.now);
                self.next.signal(signal);
            }
            Signal::End => {
                self.ended = true;
                self.next.signal(signal);
            }
            _ => self.next.signal(signal),
        }
        self.refresh();
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.ready
    }

    fn takes_barrier(&self) -> bool {
        !self.busy && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
        self.refresh();
    }

    fn flush(&mut self) {
        self.timeline.publish(&self.current.table);
        self.late.publish();
        self.next.flush();
        self.refresh();
    }

    fn deadline(&self) -> Option<Timestamp> {
        let next = self.next.deadline();
        if T::IS_EVENT || self.ended {
            return next;
        }
        let timeline = &*self.timeline;
        let first = timeline.state.front().map(|slice| {
            let (first, _) = timeline.slicing.windows_of(slice);
            timeline.slicing.window(first.max(timeline.open_window)).end
        });
        earlier(first, next)
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = self.timeline.drain(out, &mut self.current);
        self.next.snapshot(out) && written
    }
}

impl<V, S, F, D, T> Push<V> for WindowOperator<V, S, F, D, T>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
    T: WindowTime,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.push_hashed(record, at, self.hash_of(record));
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let at = if T::IS_EVENT { at } else { self.now };
        if self.current.range.holds(at) {
            self.add(record, hash);
        } else {
            self.push_elsewhere(record, at);
            self.refresh();
        }
    }

    #[inline(always)]
    fn takes_runs(&self) -> bool {
        !self.looks_ahead()
    }

    #[inline(always)]
    fn push_each(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        let mut records = run.part(0..wanted);
        while self.ready {
            let (range, now) = (self.current.range, self.now);
            let mut elsewhere = None;
            let here = records.by_ref().map_while(|(record, at)| {
                let at = if T::IS_EVENT { at } else { now };
                let is_here = range.holds(at);
                if !is_here {
                    elsewhere = Some((record, at));
                }
                is_here.then_some((record, at))
            });
            let keys = Keys::new(&self.selector, self.hasher);
            let (function, table) = (&mut self.function, &mut self.current.table);
            table.accumulate(&keys, here, function, F::create, F::add);
            let Some((record, at)) = elsewhere else {
                return wanted;
            };
            self.push_elsewhere(record, at);
            self.refresh();
        }
        wanted - records.len()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.hash_of(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.current.table.entries.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.current.table.entries.looks_ahead()
    }
}
