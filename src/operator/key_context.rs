//! From a record to its key's state: what reductions and aggregations have in common.
//!
//! One table per operator; the selector and the hasher yield the key and its slot. Nothing is
//! allocated for a known key, even if the key is borrowed from the record.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::{CheckpointError, SnapshotOutput, StateRef, TableSnapshot};
use crate::metrics::Gauge;
use crate::record::{Key, KeyHash, KeyHasher, KeySelector, StateValue, StoredKey};
use crate::state::{Lookahead, RunKeys, StateKind, Table, TableOptions, encode_changes};
use crate::time::Timestamp;

use super::record_run::pays;
use super::{Barrier, OpenContext, Operator, OperatorError, RecordRun, on_stack};

/// The stored form of the keys that a selector extracts.
pub(super) type Stored<V, S> = <<S as KeySelector<V>>::Key as Key>::Stored;

/// One value of type `T` per key of the records of type `V`.
pub(super) struct KeyContext<V: ?Sized, S: KeySelector<V>, T> {
    selector: S,
    hasher: KeyHasher,
    table: Table<Stored<V, S>, T>,
    /// The expected number of keys, across all subtasks.
    pub(super) expected_keys: usize,
    gauges: TableGauges,
    durable: Box<Durable>,
}

/// How the state is checkpointed.
struct Durable {
    kind: StateKind,
    /// The state's name.
    name: &'static str,
    /// The operator's uid, or `None` to use its name.
    uid: Option<Arc<str>>,
    /// Present if checkpoints are enabled.
    snapshot: Option<TableSnapshot>,
}

impl<V: ?Sized, S: KeySelector<V>, T> KeyContext<V, S, T> {
    /// No state yet; [`open`](Self::open) creates the table.
    pub(super) fn new(selector: S, kind: StateKind, name: &'static str) -> Self {
        KeyContext {
            selector,
            hasher: KeyHasher::default(),
            table: Table::new(TableOptions::default()),
            expected_keys: 0,
            gauges: TableGauges::default(),
            durable: Box::new(Durable {
                kind,
                name,
                uid: None,
                snapshot: None,
            }),
        }
    }

    /// Binds the state to a uid rather than to the operator's name.
    pub(super) fn bind(&mut self, uid: Arc<str>) {
        self.durable.uid = Some(uid);
    }

    /// Prefetches a cache line of the state for a hash.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.table.prefetch(hash, ahead);
    }

    /// Returns the hash of a key.
    #[inline(always)]
    pub(super) fn hash(&self, key: &S::Key) -> KeyHash {
        self.hasher.hash(key)
    }

    /// Returns whether looking ahead pays.
    #[inline(always)]
    pub(super) fn looks_ahead(&self) -> bool {
        self.table.looks_ahead()
    }

    /// Returns the key of a record.
    #[inline(always)]
    pub(super) fn key<'a>(&self, record: &'a V) -> S::Found<'a> {
        self.selector.key(record)
    }

    /// Returns the value of `key`, which has this hash, and whether `first` has just created it.
    #[inline(always)]
    pub(super) fn value(
        &mut self,
        key: &S::Key,
        hash: KeyHash,
        first: impl FnOnce() -> T,
    ) -> (&mut T, bool) {
        self.table
            .find_or_insert_with(hash, |stored| stored.is(key), || (key.to_stored(), first()))
    }

    /// Calls `each` with the first `wanted` records of a run, their keys, their values, and whether `first` has just
    /// created the value, as long as `next`, which it is to push to, is ready; returns the number of calls.
    ///
    /// `next` is moved out of the operator for the length of the loop: the table is occasionally accessed through calls,
    /// and whatever those might access too cannot stay in registers.
    #[inline(always)]
    pub(super) fn update_run<D: Operator>(
        &mut self,
        next: &mut D,
        (run, wanted): (&impl RecordRun<V>, usize),
        mut first: impl FnMut(&V) -> T,
        mut each: impl FnMut(&mut D, &S::Key, (&V, Timestamp), (&mut T, bool)),
    ) -> usize {
        let (selector, hasher) = (&self.selector, self.hasher);
        let keys = Keys::new(selector, hasher);
        let first = |(): &mut (), record: &(&V, Timestamp)| first(record.0);
        on_stack(next, |next| {
            if !next.ready() {
                return 0;
            }
            let each = |(): &mut (), record: (&V, Timestamp), value: (&mut T, bool)| {
                each(next, selector.key(record.0).borrow(), record, value);
                next.ready()
            };
            if pays(wanted) && self.table.looks_ahead() {
                let untimed = |record| (record, Timestamp::MIN);
                let records = (|numbers| run.part(numbers), wanted);
                let ahead = |numbers| run.part_ahead(numbers).map(untimed);
                let ahead = (ahead, run.known());
                (self.table).upsert_looking_ahead((&keys, &mut ()), records, ahead, first, each)
            } else {
                let mut records = run.part(0..wanted);
                (self.table).upsert_run((&keys, &mut ()), &mut records, first, each);
                wanted - records.len()
            }
        })
    }

    /// Publishes the size of the table; call this at the end of a batch.
    #[inline]
    pub(super) fn publish(&mut self) {
        let table = &self.table;
        (self.gauges).publish(table.len(), || table.memory_bytes());
    }
}

/// The keys that a selector extracts from records.
pub(super) struct Keys<'a, V: ?Sized, S> {
    selector: &'a S,
    hasher: KeyHasher,
    record: PhantomData<&'a V>,
}

impl<'a, V: ?Sized, S: KeySelector<V>> Keys<'a, V, S> {
    #[inline(always)]
    pub(super) fn new(selector: &'a S, hasher: KeyHasher) -> Self {
        Keys {
            selector,
            hasher,
            record: PhantomData,
        }
    }
}

impl<'a, V: ?Sized, S: KeySelector<V>> RunKeys<Stored<V, S>> for Keys<'a, V, S> {
    type Record = (&'a V, Timestamp);

    #[inline(always)]
    fn hash(&self, (record, _): &Self::Record) -> KeyHash {
        self.hasher.hash(self.selector.key(record).borrow())
    }

    #[inline(always)]
    fn is(&self, (record, _): &Self::Record, key: &Stored<V, S>) -> bool {
        key.is(self.selector.key(record).borrow())
    }

    #[inline(always)]
    fn stored(&self, (record, _): &Self::Record) -> Stored<V, S> {
        self.selector.key(record).borrow().to_stored()
    }
}

impl<V: ?Sized, S: KeySelector<V>, T: StateValue> KeyContext<V, S, T> {
    /// Creates the table and restores it from the checkpoint, if any.
    pub(super) fn open(&mut self, name: &Arc<str>, cx: &OpenContext) -> Result<(), OperatorError> {
        let durable = &mut self.durable;
        let uid = durable.uid.get_or_insert_with(|| Arc::clone(name));
        self.hasher = cx.hasher;
        self.table = Table::new(TableOptions {
            hasher: cx.hasher,
            expected_keys: cx.share_of_keys(self.expected_keys),
            restored_keys: cx.restored_entries(uid, durable.name),
            hashes: cx.hashes(),
            changes: (cx.checkpointing.enabled).then(encode_changes),
            ..TableOptions::default()
        });
        self.gauges = TableGauges::register(name, cx);
        let state = StateRef::new(uid, durable.name);
        let snapshot = TableSnapshot::of::<Stored<V, S>, T>(state, durable.kind);
        let restored = restore(&mut self.table, &snapshot, cx);
        restored.map_err(|cause| OperatorError::restore(name, cause))?;
        durable.snapshot = cx.checkpointing.enabled.then_some(snapshot);
        Ok(())
    }

    /// Freezes the table for a checkpoint.
    pub(super) fn freeze(&mut self, barrier: Barrier) {
        if let Some(snapshot) = &mut self.durable.snapshot {
            snapshot.freeze(&mut self.table, barrier.checkpoint, barrier.extent());
        }
    }

    /// Writes part of what was frozen; returns whether it is done.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let snapshot = self.durable.snapshot.as_mut();
        snapshot.is_none_or(|snapshot| snapshot.drain(&mut self.table, out))
    }
}

fn restore<S: StoredKey, T: StateValue>(
    table: &mut Table<S, T>,
    snapshot: &TableSnapshot,
    cx: &OpenContext,
) -> Result<(), CheckpointError> {
    if let Some(restored) = &cx.checkpointing.restored {
        snapshot.restore(table, restored, &cx.hashes())?;
    }
    let state = snapshot.state();
    cx.check_restored(&state.operator, |name| name == &*state.state)
}

/// The size of one table, as metrics.
#[derive(Debug, Default)]
pub(super) struct TableGauges {
    entries: Gauge,
    bytes: Gauge,
    published: Option<usize>,
}

impl TableGauges {
    /// Registers `state_entries` and `state_bytes` of the operator or state called `name`.
    pub(super) fn register(name: &Arc<str>, cx: &OpenContext) -> Self {
        let metrics = cx.operator_metrics(name);
        TableGauges {
            entries: metrics.gauge("state_entries"),
            bytes: metrics.gauge("state_bytes"),
            published: None,
        }
    }

    /// Publishes the size if the number of entries has changed.
    #[inline]
    pub(super) fn publish(&mut self, entries: usize, bytes: impl FnOnce() -> usize) {
        if self.published.replace(entries) != Some(entries) {
            self.entries.set(entries as i64);
            self.bytes.set(bytes() as i64);
        }
    }
}
