//! `WindowOperator`: tumbling and sliding windows of event time, keyed.
//!
//! Flink's `WindowOperator` with its `EventTimeTrigger`, for windows that are made of slices:
//!
//! - A record is added to its slice unless all its windows are late; then, if it is late itself, it goes to
//!   the side output or is dropped and counted.
//! - A watermark fires the windows that end at or before it, in order of their ends, and goes on when
//!   their results are out. Results carry their window's maximal timestamp. Inside a window, keys fire in
//!   an order that depends on their hashes only.
//! - A record that comes for a window that has fired, but is not late yet, fires it again at once, for its
//!   key alone. The windows of one record fire latest first, which is the order of Flink's assigner.
//!
//! Adding a record is a comparison (is it in the slice of the record before?) and one upsert. What state
//! there is and how windows are put together from it stands in [`state`](super::state).

use std::borrow::Borrow;
use std::sync::Arc;

use crate::metrics::{Counter, Gauge};
use crate::operator::{
    Budget, Lookahead, OpenContext, Operator, OperatorError, OutputTag, Outputs, Push, Signal,
    pass_on, raise,
};
use crate::record::{
    Key, KeyGroupAssignment, KeyHash, KeyHasher, KeySelector, MaxParallelism, StoredKey,
};
use crate::time::Timestamp;

use super::assigner::{SlicedAssigner, WindowError};
use super::firing::{Firing, Stage};
use super::function::WindowFunction;
use super::lateness::Lateness;
use super::slice_table::{HashedKey, SliceTable, TableId};
use super::slicing::{Slice, Slicing};
use super::state::WindowState;

/// How many results a watermark may emit before the worker gets a chance to do something else.
const SIGNAL_BUDGET: u32 = 256;

/// What a window operator counts.
#[derive(Default)]
struct WindowMetrics {
    late: u64,
    dropped: u64,
    late_records: Counter,
    late_records_dropped: Counter,
    state_entries: Gauge,
    state_bytes: Gauge,
    /// Flushes until the size of the state is taken again.
    flushes_left: usize,
}

/// Windows of event time over a keyed stream.
pub struct WindowOperator<V, S, F, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
{
    name: Arc<str>,
    slicing: Slicing,
    lateness: Lateness,
    selector: S,
    function: F,
    late: Option<OutputTag<V>>,
    next: Outputs<D>,
    hasher: KeyHasher,
    watermark: Timestamp,
    state: WindowState<S::Key, F::Accumulator>,
    firing: Firing<S::Key, F::Accumulator>,
    /// The slice of the record before, if none of its windows has fired, and its table.
    current: (Slice, Option<TableId>),
    metrics: WindowMetrics,
}

impl<V, S, F, D> std::fmt::Debug for WindowOperator<V, S, F, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowOperator")
            .field("name", &self.name)
            .field("slicing", &self.slicing)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

impl<V, S, F, D> WindowOperator<V, S, F, D>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
{
    /// An operator called `name`, which applies `function` to the windows of `assigner` per key.
    ///
    /// # Errors
    /// [`WindowError`] if the assigner's windows cannot be.
    pub fn new(
        name: Arc<str>,
        assigner: &impl SlicedAssigner,
        selector: S,
        function: F,
        next: Outputs<D>,
    ) -> Result<Self, WindowError> {
        Ok(WindowOperator {
            name,
            slicing: assigner.slicing()?,
            lateness: Lateness::default(),
            selector,
            function,
            late: None,
            next,
            hasher: KeyHasher::new(KeyGroupAssignment::Hash, MaxParallelism::default_for(1)),
            watermark: Timestamp::MIN,
            state: WindowState::new(),
            firing: Firing::new(),
            current: (Slice::NONE, None),
            metrics: WindowMetrics::default(),
        })
    }

    /// Keeps windows for some time after the watermark has passed them.
    #[must_use]
    pub fn allowed_lateness(self, lateness: Lateness) -> Self {
        WindowOperator { lateness, ..self }
    }

    /// Sends late records to `tag` rather than dropping them.
    #[must_use]
    pub fn late_to(self, tag: OutputTag<V>) -> Self {
        WindowOperator {
            late: Some(tag),
            ..self
        }
    }

    /// Adds a record that is not in the slice of the record before: to the right slice, if any.
    #[inline(never)]
    fn push_elsewhere(&mut self, record: &V, at: Timestamp) {
        if at.is_none() {
            let operator = Arc::clone(&self.name);
            raise(OperatorError::NoTimestamp { operator });
        }
        let Some(slice) = self.slicing.slice(at) else {
            return self.reject(record, at);
        };
        let (first, last) = self.slicing.windows_of(slice.number);
        if self.slicing.window(first).max_timestamp() <= self.watermark {
            return self.push_behind(record, at, slice.number, (first, last));
        }
        let (table, known) = self.state.slice(slice.number);
        self.metrics.flushes_left *= usize::from(known);
        self.current = (slice, Some(table));
        let hash = self.hasher.hash(self.selector.key(record).borrow());
        self.add(table, record, hash);
    }

    #[inline(always)]
    fn add(&mut self, table: TableId, record: &V, hash: KeyHash) {
        let table = self.state.pool.get_mut(table);
        let key = self.selector.key(record);
        upsert(table, hash, key.borrow(), &mut self.function, record);
    }

    /// Adds a record of which at least one window has ended, and fires those that take it.
    #[cold]
    fn push_behind(&mut self, record: &V, at: Timestamp, slice: i64, windows: (i64, i64)) {
        let (first, last) = windows;
        if self.is_late(last) {
            return self.reject(record, at);
        }
        let (table, _) = self.state.slice(slice);
        let hash = self.hasher.hash(self.selector.key(record).borrow());
        self.add(table, record, hash);
        let nodes: Vec<TableId> = self.state.nodes_over(slice).collect();
        nodes
            .into_iter()
            .for_each(|node| self.add(node, record, hash));
        for window in (first..=last).rev() {
            if self.is_late(window) {
                break;
            }
            if self.slicing.window(window).max_timestamp() <= self.watermark {
                self.fire_again(record, window);
            }
        }
    }

    fn is_late(&self, window: i64) -> bool {
        self.lateness
            .is_window_late(self.slicing.window(window), self.watermark)
    }

    /// Fires a window that has fired before for the key of `record`.
    fn fire_again(&mut self, record: &V, number: i64) {
        let window = self.slicing.window(number);
        let (state, function, next) = (&self.state, &mut self.function, &mut self.next);
        let slices = self.slicing.slices_of(number);
        let key = self.selector.key(record);
        let (key, hash) = (key.borrow(), self.hasher.hash(key.borrow()));
        let mut united: Option<F::Accumulator> = None;
        state.visit(slices, |table| {
            let found = state
                .pool
                .get(table)
                .get(hash, |stored| stored.stored.key() == key);
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

    /// Passes over a record that no window takes.
    #[cold]
    fn reject(&mut self, record: &V, at: Timestamp) {
        if !self.lateness.is_record_late(at, self.watermark) {
            return;
        }
        self.metrics.late += 1;
        match &self.late {
            Some(tag) => self.next.sides.push(tag, record, at),
            None => self.metrics.dropped += 1,
        }
    }

    /// Goes on firing while there is budget and room downstream.
    fn advance(&mut self, budget: &mut Budget) {
        while self.firing.stage != Stage::Idle && budget.left() > 0 && self.next.ready() {
            let (state, slicing) = (&mut self.state, &self.slicing);
            match self.firing.stage {
                Stage::Idle => {}
                Stage::Seek => self
                    .firing
                    .seek(state, slicing, self.watermark, F::MERGES_AHEAD),
                Stage::Merge => {
                    let function = &self.function;
                    let merge = |united: &mut _, later: &_| function.merge(united, later);
                    budget.spend(self.firing.merge(state, merge));
                }
                Stage::Emit => self.emit(budget),
                Stage::Retire => budget.spend(self.firing.retire(state)),
                Stage::Forward => {
                    self.firing.stage = Stage::Idle;
                    self.next.signal(Signal::Watermark(self.watermark));
                }
            }
        }
    }

    fn emit(&mut self, budget: &mut Budget) {
        let window = self.slicing.window(self.firing.window);
        let at = window.max_timestamp();
        // The caller has asked whether there is room for the first.
        while let Some((key, united)) = self.firing.next_result(&mut self.state, &self.slicing) {
            let next = &mut self.next.main;
            self.function
                .fire(key.stored.key(), window, &united, |result| {
                    next.push(result, at)
                });
            budget.take();
            if budget.left() == 0 || !self.next.ready() {
                return;
            }
        }
    }
}

/// Adds `record` to the accumulator of its key.
#[inline(always)]
fn upsert<V, K, F>(
    table: &mut SliceTable<K, F::Accumulator>,
    hash: KeyHash,
    key: &K,
    function: &mut F,
    record: &V,
) where
    V: ?Sized,
    K: Key + ?Sized,
    F: WindowFunction<V, K>,
{
    let create = || {
        let stored = key.to_stored();
        (HashedKey { hash, stored }, function.create())
    };
    let (accumulator, _) =
        table.find_or_insert_with(hash, |other| other.stored.key() == key, create);
    function.add(accumulator, record);
}

impl<V, S, F, D> Operator for WindowOperator<V, S, F, D>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
{
    pass_on!(next: begin, deadline, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let metrics = cx.operator_metrics(&self.name);
        self.metrics = WindowMetrics {
            late_records: metrics.counter("late_records"),
            late_records_dropped: metrics.counter("late_records_dropped"),
            state_entries: metrics.gauge("state_entries"),
            state_bytes: metrics.gauge("state_bytes"),
            ..WindowMetrics::default()
        };
        self.hasher = cx.hasher;
        self.next.open(cx)
    }

    fn signal(&mut self, signal: Signal) {
        debug_assert_eq!(self.firing.stage, Stage::Idle, "a signal during a firing");
        let Signal::Watermark(at) = signal else {
            return self.next.signal(signal);
        };
        if at <= self.watermark {
            return;
        }
        let before = std::mem::replace(&mut self.watermark, at);
        self.current = (Slice::NONE, None);
        self.firing.start(&self.slicing, self.lateness, before, at);
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.firing.stage == Stage::Idle && self.next.ready()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
    }

    fn flush(&mut self) {
        let metrics = &mut self.metrics;
        metrics.late_records.set(metrics.late);
        metrics.late_records_dropped.set(metrics.dropped);
        // Every table is asked, so with many tables it is done more seldom: a constant cost per flush.
        match metrics.flushes_left.checked_sub(1) {
            Some(left) => metrics.flushes_left = left,
            None => {
                let (entries, bytes) = self.state.pool.size();
                metrics.state_entries.set(entries as i64);
                metrics.state_bytes.set(bytes as i64);
                metrics.flushes_left = self.state.pool.count() / 16;
            }
        }
        self.next.flush();
    }
}

impl<V, S, F, D> Push<V> for WindowOperator<V, S, F, D>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.push_hashed(record, at, self.hash_ahead(record));
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        match self.current {
            (slice, Some(table)) if slice.holds(at) => self.add(table, record, hash),
            _ => self.push_elsewhere(record, at),
        }
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.hasher.hash(self.selector.key(record).borrow())
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        if let (_, Some(table)) = self.current {
            self.state.pool.get(table).prefetch(hash, ahead);
        }
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        match self.current {
            (_, Some(table)) => self.state.pool.get(table).looks_ahead(),
            (_, None) => false,
        }
    }
}
