//! The first phase of two-phase keyed windows: each subtask aggregates its own records, by key.
//!
//! If many records share few keys, most of what crosses a window's exchange says no more than "one
//! more of the same". Since aggregates can be merged, a subtask can first combine what it has for each key and
//! slice, so that only the result crosses:
//!
//! ```text
//! records ─► KeyedPartials ─┐  key and accumulator, when the watermark closes the slice
//! records ─► KeyedPartials ─┴─ by key ─► WindowOperator with MergeKeyedPartials ─► results
//! ```
//! The results are the same as with one phase, lateness included. A slice's accumulators are emitted ahead of
//! the watermark that closes it, with the slice's last timestamp: none of its windows has ended anywhere by
//! then, since the watermark downstream of the exchange is not ahead of this subtask's. A record that arrives
//! after its slice was closed is emitted immediately, alone and with its own timestamp. So downstream of the
//! exchange it is late exactly if the record would have been late, and fires a window again exactly if the
//! record would have. A subtask that becomes idle, for which nobody waits, first emits all slices (see
//! [`holding`](super::holding)).
//!
//! A checkpoint stores the slices, key by key. A subtask has records of keys that others own, so at the same
//! parallelism each gets back what it had. On rescaling each gets, merged, what all subtasks had for the keys that
//! it owns: any subtask may emit them.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, SnapshotOutput};
use crate::metrics::Gauge;
use crate::operator::key_context::Keys;
use crate::operator::{
    Aggregate, Barrier, Budget, Lookahead, OpenContext, Operator, OperatorError, Push, RecordRun,
    Signal, pass_on, raise,
};
use crate::record::{Key, KeyHash, KeyHasher, KeySelector, StateValue};
use crate::state::{Bookmark, encode_changes};
use crate::time::Timestamp;

use super::assigner::{EventTime, SlicedAssigner, WindowError};
use super::current::Current;
use super::holding::Holding;
use super::progress::{PROGRESS, Progress, own_subtask};
use super::slice_snapshot::{SliceSnapshot, WINDOWS};
use super::slice_table::{TableId, TablePool, TableShape};
use super::slicing::{Slice, Slicing};

/// How many accumulators a watermark may emit before the worker gets a chance to do something else.
const SIGNAL_BUDGET: u32 = 256;

type Stored<K> = <K as Key>::Stored;

/// The slices that the watermark has not closed, and how far emitting them has got once it has.
struct OpenSlices<K: Key + ?Sized, A> {
    name: Arc<str>,
    /// Identifies the state in checkpoints; `None` to use the name.
    uid: Option<Arc<str>>,
    slicing: Slicing,
    watermark: Timestamp,
    holding: Holding,
    /// Watermarks below this one close no slice.
    quiet_before: Timestamp,
    pool: TablePool<K, A>,
    /// How many keys the first slice will probably have.
    expected_keys: usize,
    /// By number.
    open: BTreeMap<i64, (Slice, TableId)>,
    /// How far emptying the first one has got, and how many keys it had.
    bookmark: Bookmark,
    keys: usize,
    state_entries: Gauge,
    state_bytes: Gauge,
    /// Present if checkpoints are enabled.
    snapshot: Option<(SliceSnapshot, Progress)>,
}

impl<K: Key + ?Sized, A> OpenSlices<K, A> {
    fn new(name: Arc<str>, slicing: Slicing, shape: TableShape) -> Self {
        OpenSlices {
            name,
            uid: None,
            slicing,
            watermark: Timestamp::MIN,
            holding: Holding::default(),
            quiet_before: Timestamp::MAX,
            pool: TablePool::new(shape, false),
            expected_keys: 0,
            open: BTreeMap::new(),
            bookmark: Bookmark::default(),
            keys: 0,
            state_entries: Gauge::default(),
            state_bytes: Gauge::default(),
            snapshot: None,
        }
    }

    /// Returns the table of an open slice, created if missing.
    fn table(&mut self, slice: Slice) -> TableId {
        let last = self.open.last_key_value();
        let keys = last.map_or(self.expected_keys, |(_, (_, table))| {
            self.pool.get(*table).entries.len()
        });
        let pool = &mut self.pool;
        let new = || (slice, pool.take(0, keys));
        self.quiet_before = self.quiet_before.min(slice.last);
        self.open.entry(slice.number).or_insert_with(new).1
    }

    /// Returns the first slice and its table, if it must not be held back any longer.
    fn first_due(&self) -> Option<(Slice, TableId)> {
        let (_, &first) = self.open.first_key_value()?;
        (first.0.last <= self.holding.reached(self.watermark)).then_some(first)
    }

    /// Updates `quiet_before`.
    fn find_quiet(&mut self) {
        let first = self.open.first_key_value();
        self.quiet_before = first.map_or(Timestamp::MAX, |(_, first)| first.0.last);
    }

    /// Releases the emptied table of a slice.
    fn close(&mut self, slice: i64, id: TableId) {
        if let Some((slices, _)) = &mut self.snapshot {
            slices.retire(slice);
        }
        self.open.remove(&slice);
        let keys = std::mem::take(&mut self.keys);
        self.pool.release(0, id, keys);
    }

    /// Freezes all slices for a checkpoint.
    fn freeze(&mut self, barrier: Barrier, current: &mut Current<K, A>) {
        if let Some((slices, progress)) = &mut self.snapshot {
            let open = self.open.iter().map(|(&number, &(_, id))| (number, id));
            slices.freeze(barrier, open, current, &mut self.pool);
            progress.capture(barrier.checkpoint, self.watermark, Timestamp::MIN);
        }
    }

    /// Writes part of what was frozen; returns whether it is done.
    fn drain(&mut self, out: &mut SnapshotOutput<'_>, current: &mut Current<K, A>) -> bool {
        let snapshot = self.snapshot.as_mut();
        snapshot.is_none_or(|(slices, progress)| {
            slices.drain(out, current, &mut self.pool) && progress.drain(out)
        })
    }
}

impl<K: Key + ?Sized, A: StateValue> OpenSlices<K, A> {
    /// Restores from the checkpoint, if any, and prepares for checkpoints.
    fn restore(
        &mut self,
        cx: &OpenContext,
        merge: impl Fn(&mut A, &A),
    ) -> Result<(), CheckpointError> {
        let uid = Arc::clone(self.uid.get_or_insert_with(|| Arc::clone(&self.name)));
        let snapshot = SliceSnapshot::of::<K, A>(&uid);
        let mut snapshot = (snapshot, Progress::new(&uid, self.slicing));
        let checkpointing = &cx.checkpointing;
        self.pool.changes = checkpointing.enabled.then(encode_changes);
        if let Some(restored) = &checkpointing.restored {
            self.put_back(&mut snapshot, restored, cx, merge)?;
        }
        cx.check_restored(&uid, |name| [WINDOWS, PROGRESS].contains(&name))?;
        self.snapshot = checkpointing.enabled.then_some(snapshot);
        Ok(())
    }

    fn put_back(
        &mut self,
        (slices, progress): &mut (SliceSnapshot, Progress),
        restored: &Restored,
        cx: &OpenContext,
        merge: impl Fn(&mut A, &A),
    ) -> Result<(), CheckpointError> {
        self.watermark = progress.restore(restored, cx)?.watermark;
        let own = own_subtask(restored, &slices.state().operator, cx);
        let hashes = match own {
            Some(_) => KeyHash(0)..=KeyHash(u64::MAX),
            None => cx.hashes(),
        };
        let tables = slices.restore(restored, &hashes, own, &mut self.pool, merge)?;
        for (number, id) in tables {
            let slice = self.slicing.numbered(number);
            let slice = slice.ok_or_else(|| slices.no_slice(number))?;
            self.open.insert(number, (slice, id));
        }
        self.find_quiet();
        Ok(())
    }
}

/// Aggregates the records of one subtask by key and slice; emits keys with accumulators.
pub struct KeyedPartials<V: ?Sized, S: KeySelector<V>, A: Aggregate<V>, D> {
    current: Current<S::Key, A::Accumulator>,
    selector: S,
    aggregate: A,
    hasher: KeyHasher,
    next: D,
    /// Slices are being emitted; afterwards this signal is forwarded.
    firing: Option<Signal>,
    /// Whether the operator takes input. A record that only adds to state changes nothing downstream, so whether
    /// there is room there is not checked for every record, only after something was emitted.
    ready: bool,
    slices: Box<OpenSlices<S::Key, A::Accumulator>>,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, S: KeySelector<V>, A: Aggregate<V>, D> std::fmt::Debug
    for KeyedPartials<V, S, A, D>
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedPartials")
            .field("name", &self.slices.name)
            .field("slicing", &self.slices.slicing)
            .field("watermark", &self.slices.watermark)
            .finish_non_exhaustive()
    }
}

impl<V, S, A, D> KeyedPartials<V, S, A, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    A: Aggregate<V>,
    D: Push<(Stored<S::Key>, A::Accumulator)>,
{
    /// Creates an operator called `name`, which applies `aggregate` per key to the slices of the windows of
    /// `assigner`.
    ///
    /// # Errors
    /// [`WindowError`] if the assigner's windows are invalid.
    pub fn new(
        name: Arc<str>,
        assigner: &impl SlicedAssigner<Time = EventTime>,
        selector: S,
        aggregate: A,
        next: D,
    ) -> Result<Self, WindowError> {
        let slices = OpenSlices::new(name, assigner.slicing()?, TableShape::default());
        Ok(KeyedPartials {
            current: Current::none(slices.pool.fresh()),
            selector,
            aggregate,
            hasher: KeyHasher::default(),
            next,
            firing: None,
            ready: false,
            slices: Box::new(slices),
            record: PhantomData,
        })
    }

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.slices.uid = Some(uid);
        self
    }

    /// Says how many keys a slice will probably have. Each subtask has room for all of them, as any may come
    /// to it.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.slices.expected_keys = keys;
        self
    }

    /// Adds a record of the current slice.
    #[inline(always)]
    fn add(&mut self, record: &V, hash: KeyHash) {
        let key = self.selector.key(record);
        let (table, aggregate) = (&mut *self.current.table, &self.aggregate);
        let (accumulator, _) = table.accumulator(hash, key.borrow(), || aggregate.create());
        aggregate.add(accumulator, record);
    }

    /// Adds a record that is not in the previous record's slice.
    #[cold]
    #[inline(never)]
    fn push_elsewhere(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let slices = &mut *self.slices;
        if at.is_none() {
            let operator = Arc::clone(&slices.name);
            raise(OperatorError::NoTimestamp { operator });
        }
        match slices.slicing.slice(at) {
            Some(slice) if slices.holding.holds(slice, slices.watermark) => {
                self.current.settle(&mut slices.pool);
                let table = slices.table(slice);
                self.current.take(slice, table, &mut slices.pool);
                self.add(record, hash);
            }
            // In no window, and not late.
            None if at > slices.holding.reached(slices.watermark) => {}
            _ => {
                let key = self.selector.key(record);
                let key: &S::Key = key.borrow();
                let mut accumulator = self.aggregate.create();
                self.aggregate.add(&mut accumulator, record);
                self.next.push(&(key.to_stored(), accumulator), at);
            }
        }
    }

    /// Checks again whether there is room downstream, after something was emitted.
    fn refresh(&mut self) {
        self.ready = self.firing.is_none() && self.next.ready();
    }

    /// Starts emitting the slices that must not be held back any longer, ahead of `signal`.
    fn start_firing(&mut self, signal: Signal) {
        self.current.settle(&mut self.slices.pool);
        self.firing = Some(signal);
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }

    /// Continues emitting slices, in time order, while there is budget and room downstream; then forwards the
    /// signal.
    fn advance(&mut self, budget: &mut Budget) {
        while let Some(signal) = self.firing
            && budget.left() > 0
            && self.next.ready()
        {
            let slices = &mut *self.slices;
            let Some((slice, id)) = slices.first_due() else {
                slices.find_quiet();
                self.firing = None;
                return self.next.signal(signal);
            };
            let (table, next) = (slices.pool.get_mut(id), &mut self.next);
            slices.keys = slices.keys.max(table.entries.len());
            let emit = |key: &Stored<S::Key>, accumulator: &A::Accumulator| {
                next.push(&(key.clone(), accumulator.clone()), slice.last);
                budget.take();
                budget.left() > 0 && next.ready()
            };
            if table.entries.walk(&mut slices.bookmark, true, emit) {
                slices.close(slice.number, id);
            }
        }
    }
}

impl<V, S, A, D> Operator for KeyedPartials<V, S, A, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    A: Aggregate<V>,
    D: Push<(Stored<S::Key>, A::Accumulator)>,
{
    pass_on!(next: deadline, close);

    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let name = Arc::clone(&self.slices.name);
        let metrics = cx.operator_metrics(&name);
        // Upstream of the exchange, a subtask has records of all keys.
        let shape = TableShape::of_all_keys(cx);
        self.hasher = cx.hasher;
        *self.slices = OpenSlices {
            uid: self.slices.uid.take(),
            expected_keys: self.slices.expected_keys,
            state_entries: metrics.gauge("state_entries"),
            state_bytes: metrics.gauge("state_bytes"),
            ..OpenSlices::new(Arc::clone(&name), self.slices.slicing, shape)
        };
        self.current = Current::none(self.slices.pool.fresh());
        self.next.open(cx)?;
        let merge = |into: &mut _, other: &_| self.aggregate.merge(into, other);
        let restored = self.slices.restore(cx, merge);
        restored.map_err(|cause| OperatorError::restore(&name, cause))?;
        self.refresh();
        Ok(())
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        self.refresh();
    }

    fn signal(&mut self, signal: Signal) {
        debug_assert!(self.firing.is_none(), "a signal during a firing");
        let slices = &mut *self.slices;
        slices.holding.on_signal(signal);
        match signal {
            Signal::Watermark(at) if at <= slices.watermark => return,
            Signal::Watermark(at) => {
                slices.watermark = at;
                if slices.holding.reached(at) >= slices.quiet_before {
                    self.start_firing(signal);
                } else {
                    self.next.signal(signal);
                }
            }
            Signal::Idle => self.start_firing(signal),
            Signal::Barrier(barrier) => {
                slices.freeze(barrier, &mut self.current);
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
        self.firing.is_none() && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
        self.refresh();
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = self.slices.drain(out, &mut self.current);
        self.next.snapshot(out) && written
    }

    fn flush(&mut self) {
        let (entries, bytes) = self.slices.pool.size();
        let table = &self.current.table;
        let entries = entries + table.entries.len();
        self.slices.state_entries.set(entries as i64);
        (self.slices.state_bytes).set((bytes + table.memory_bytes()) as i64);
        self.next.flush();
        self.refresh();
    }
}

impl<V, S, A, D> Push<V> for KeyedPartials<V, S, A, D>
where
    V: ?Sized,
    S: KeySelector<V>,
    A: Aggregate<V>,
    D: Push<(Stored<S::Key>, A::Accumulator)>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.push_hashed(record, at, self.hash_ahead(record));
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        if self.current.range.holds(at) {
            self.add(record, hash);
        } else {
            self.push_elsewhere(record, at, hash);
            self.refresh();
        }
    }

    #[inline(always)]
    fn push_each(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        let mut records = run.part(0..wanted);
        while self.ready {
            let range = self.current.range;
            let mut elsewhere = None;
            let here = records.by_ref().map_while(|(record, at)| {
                let is_here = range.holds(at);
                if !is_here {
                    elsewhere = Some((record, at));
                }
                is_here.then_some((record, at))
            });
            let keys = Keys::new(&self.selector, self.hasher);
            let (aggregate, table) = (&mut self.aggregate, &mut self.current.table);
            let add = |aggregate: &mut A, accumulator: &mut _, record: &V| {
                aggregate.add(accumulator, record);
            };
            table.accumulate(&keys, here, aggregate, A::create, add);
            let Some((record, at)) = elsewhere else {
                return wanted;
            };
            self.push_elsewhere(record, at, self.hash_ahead(record));
            self.refresh();
        }
        wanted - records.len()
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.current.table.entries.looks_ahead()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.hasher.hash(self.selector.key(record).borrow())
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.current.table.entries.prefetch(hash, ahead);
    }
}
