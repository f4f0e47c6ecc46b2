//! The snapshots of a keyed process operator: its states, its timers, and its watermark.
//!
//! # The watermark is restored
//! A checkpoint stores the operator's watermark, and a restored operator starts with it. What was late before
//! the checkpoint is late after it, so the results are those of an undisturbed run. Flink starts
//! without a watermark, and after a failure accepts records that it would have dropped before. After
//! rescaling, the operator starts with the lowest watermark of the old subtasks: nothing is late that was
//! not late for its key. A watermark at the end of time is not restored: it marked the end of an input, not
//! its time.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, SnapshotOutput, StateRef, TableSnapshot};
use crate::record::Key;
use crate::seeded_bugs::seeded;
use crate::state::{KeyedBackend, KeyedTable, StateError, hash_of_timer, timer_schema};
use crate::time::Timestamp;

use super::timer_service::TimerService;
use super::watermark_snapshot::WatermarkSnapshot;
use super::{Barrier, OpenContext, TimeDomain};

/// The names of the states besides those that the function registers.
pub(super) const EVENT_TIMERS: &str = "timers.event";
const PROCESSING_TIMERS: &str = "timers.processing";
const WATERMARK: &str = "timers.watermark";

/// The progress of one operator's snapshots.
pub(super) struct KeyedSnapshot {
    /// In the order of the backend's tables.
    tables: Vec<TableSnapshot>,
    timers: [(TimeDomain, TableSnapshot); 2],
    watermark: WatermarkSnapshot,
}

impl KeyedSnapshot {
    /// Creates the snapshots of the states of `backend`, and of timers and the watermark.
    pub(super) fn new<K: Key + ?Sized>(
        uid: &Arc<str>,
        backend: &KeyedBackend<K>,
    ) -> Result<Self, StateError> {
        let own = [EVENT_TIMERS, PROCESSING_TIMERS, WATERMARK];
        if let Some(taken) = backend.tables().find(|t| own.contains(&&**t.name())) {
            return Err(StateError::NameTaken {
                name: Arc::clone(taken.name()),
                requested: taken.kind(),
            });
        }
        let table = |table: &dyn KeyedTable| {
            let state = StateRef::new(uid, table.name());
            TableSnapshot::with_schema(table.schema(), state, table.hash_of_key())
        };
        let timers = |domain, name| {
            let (schema, state) = (timer_schema::<K::Stored>(name), StateRef::new(uid, name));
            let hash_of_key = hash_of_timer::<K::Stored>;
            (
                domain,
                TableSnapshot::with_schema(schema, state, hash_of_key),
            )
        };
        Ok(KeyedSnapshot {
            tables: backend.tables().map(table).collect(),
            timers: [
                timers(TimeDomain::Event, EVENT_TIMERS),
                timers(TimeDomain::Processing, PROCESSING_TIMERS),
            ],
            watermark: WatermarkSnapshot::new(uid, WATERMARK),
        })
    }

    /// Returns the names of all of these states.
    pub(super) fn names<K: Key + ?Sized>(backend: &KeyedBackend<K>) -> Vec<Arc<str>> {
        let own = [EVENT_TIMERS, PROCESSING_TIMERS, WATERMARK];
        let registered = backend.tables().map(|table| Arc::clone(table.name()));
        registered.chain(own.map(Arc::from)).collect()
    }

    /// Freezes everything for a checkpoint.
    pub(super) fn freeze<K: Key + ?Sized>(
        &mut self,
        barrier: Barrier,
        watermark: Timestamp,
        backend: &mut KeyedBackend<K>,
        timers: &mut TimerService<K>,
    ) {
        let (checkpoint, extent) = (barrier.checkpoint, barrier.extent());
        for (snapshot, table) in self.tables.iter_mut().zip(backend.tables_mut()) {
            snapshot.freeze(table.durable(), checkpoint, extent);
        }
        let hasher = backend.hasher();
        for (domain, snapshot) in &mut self.timers {
            snapshot.freeze(&mut timers.durable(*domain, hasher), checkpoint, extent);
        }
        self.watermark.capture(checkpoint, watermark);
    }

    /// Writes part of what was frozen; returns whether it is done.
    pub(super) fn drain<K: Key + ?Sized>(
        &mut self,
        out: &mut SnapshotOutput<'_>,
        backend: &mut KeyedBackend<K>,
        timers: &mut TimerService<K>,
    ) -> bool {
        let hasher = backend.hasher();
        // All of them get a turn, even if the first ones use up the budget: copies forced by records must be handed
        // out.
        let tables = self.tables.iter_mut().zip(backend.tables_mut());
        let tables = tables.fold(true, |done, (snapshot, table)| {
            snapshot.drain(table.durable(), out) && done
        });
        tables
            && (self.timers.iter_mut())
                .all(|(domain, snapshot)| snapshot.drain(&mut timers.durable(*domain, hasher), out))
            && self.watermark.drain(out)
    }

    /// Restores states and timers, and returns the watermark.
    pub(super) fn restore<K: Key + ?Sized>(
        &mut self,
        restored: &Restored,
        cx: &OpenContext,
        backend: &mut KeyedBackend<K>,
        timers: &mut TimerService<K>,
    ) -> Result<Timestamp, CheckpointError> {
        let hashes = cx.hashes();
        let saved = restored.states(self.watermark.operator());
        for (snapshot, table) in self.tables.iter_mut().zip(backend.tables_mut()) {
            let saved = saved.iter().find(|saved| saved.name == *table.name());
            let old = saved.map(|saved| saved.value.clone());
            if let Some(old) = old
                && let Some(mut migrating) = table.migrating(&old)
            {
                snapshot.migrate(old, &mut *migrating, restored, &hashes)?;
                continue;
            }
            snapshot.restore(table.durable(), restored, &hashes)?;
        }
        let kinds = if seeded("timers-not-restored") { 0 } else { 2 };
        for (domain, snapshot) in &self.timers[..kinds] {
            let mut timers = timers.durable(*domain, backend.hasher());
            snapshot.restore(&mut timers, restored, &hashes)?;
        }
        timers.rearm();
        self.watermark.restore(restored, cx)
    }
}
