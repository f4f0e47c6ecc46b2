//! Snapshots of slices: one keyed state, with each slice a namespace of it.
//!
//! A barrier freezes the table of every slice, in constant time each; what is frozen is written table by table, while
//! records keep changing them. A slice that is over is dropped as a whole: the next checkpoint stores one word for it
//! and nothing about its keys. Its table is not reused for another slice until everything it owes is written (see
//! [`TablePool::release`]).
//!
//! ```text
//! barrier 1    slices 4 5 6    written: all entries of 4, 5 and 6
//! barrier 2    slices   5 6 7  written: 4 is dropped; what changed of 5 and 6; all entries of 7
//! ```
//! Nodes of merged slices are not stored: they are rebuilt when a window needs them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::checkpoint::{
    CheckpointError, PieceKind, Restored, SnapshotOutput, StateRef, StateReport, put_drained,
};
use crate::operator::Barrier;
use crate::record::{FormError, Key, KeyHash, StateValue};
use crate::seeded_bugs::seeded;
use crate::state::{
    Drained, DurableTable, Extent, HashOfKey, StateKind, StateSchema, entries, hash_of_key,
};

use super::current::Current;
use super::slice_table::{TableId, TablePool};

/// The name of the state.
pub(super) const WINDOWS: &str = "windows";

/// How many of the keys that a piece restores a new table reserves room for, at most.
const ROOM_MAX: u64 = 1 << 16;

/// How far writing the frozen contents of the slices' tables has got.
pub(super) struct SliceSnapshot {
    state: StateRef,
    schema: StateSchema,
    hash_of_key: HashOfKey,
    /// The checkpoint for which the tables were last frozen, and how much of them.
    checkpoint: u64,
    extent: Extent,
    /// Not everything has been written.
    pending: bool,
    /// The slices whose tables owe something, and the tables; the last one is next.
    frozen: Vec<(i64, TableId)>,
    /// Which of them most recently handed over its copies before its turn.
    looked_at: usize,
    /// The slices that the checkpoint must drop.
    dropped: Vec<i64>,
    /// The slices in the last checkpoint, in order.
    kept: Vec<i64>,
    /// Those of them that are over.
    over: Vec<i64>,
    drained: Drained,
}

impl SliceSnapshot {
    /// Creates the snapshots of slices with keys `K` and accumulators `A`.
    pub(super) fn of<K: Key + ?Sized, A: StateValue>(uid: &Arc<str>) -> Self {
        SliceSnapshot {
            state: StateRef::new(uid, WINDOWS),
            schema: StateSchema::keyed::<K::Stored, A>(WINDOWS, StateKind::Window),
            hash_of_key: hash_of_key::<K::Stored>,
            checkpoint: 0,
            extent: Extent::Changes,
            pending: false,
            frozen: Vec::new(),
            looked_at: 0,
            dropped: Vec::new(),
            kept: Vec::new(),
            over: Vec::new(),
            drained: Drained::default(),
        }
    }

    /// Returns the state's name.
    pub(super) fn state(&self) -> &StateRef {
        &self.state
    }

    /// Returns the error for a checkpoint with an impossible slice.
    pub(super) fn no_slice(&self, number: i64) -> CheckpointError {
        no_slice(&self.state, number)
    }

    /// Records that a slice is over.
    pub(super) fn retire(&mut self, slice: i64) {
        if self.kept.binary_search(&slice).is_ok() {
            self.over.push(slice);
        }
    }

    /// Freezes the tables of `slices`, which are in order, for a checkpoint.
    pub(super) fn freeze<K: Key + ?Sized, A>(
        &mut self,
        barrier: Barrier,
        slices: impl Iterator<Item = (i64, TableId)>,
        current: &mut Current<K, A>,
        pool: &mut TablePool<K, A>,
    ) {
        debug_assert!(!self.pending, "the checkpoint before is written");
        (self.checkpoint, self.extent) = (barrier.checkpoint, barrier.extent());
        self.pending = true;
        self.dropped = std::mem::take(&mut self.over);
        if self.extent == Extent::Whole {
            self.dropped.clear();
        }
        self.dropped.sort_unstable();
        self.dropped.dedup();
        self.kept.clear();
        for (slice, id) in slices {
            current.table_of(id, pool).entries.freeze(self.extent);
            self.kept.push(slice);
            self.frozen.push((slice, id));
        }
    }

    /// Writes part of what was frozen. Returns whether it is done: not if the barrier has not arrived yet.
    pub(super) fn drain<K: Key + ?Sized, A>(
        &mut self,
        out: &mut SnapshotOutput<'_>,
        current: &mut Current<K, A>,
        pool: &mut TablePool<K, A>,
    ) -> bool {
        if self.checkpoint < out.checkpoint() {
            return false;
        }
        if !self.pending {
            return true;
        }
        for slice in self.dropped.drain(..) {
            if seeded("window-drop-not-kept") {
                continue;
            }
            out.drop_namespace(&self.state, slice);
        }
        while let Some(&(slice, id)) = self.frozen.last() {
            let budget = out.budget();
            let drained = &mut self.drained;
            let table = &mut current.table_of(id, pool).entries;
            let done = table.drain_frozen(budget, drained);
            let spent = put_drained(&self.state, slice, drained, out, done);
            if budget > 0 {
                // A table without entries has a cost too, and so has a step that writes none.
                out.spend(if done { spent as usize + 1 } else { budget });
            }
            if !done {
                self.hand_copies_over(out, current, pool);
                return false;
            }
            self.frozen.pop();
            pool.release_drained(id);
        }
        self.pending = false;
        out.report(StateReport {
            state: self.state.clone(),
            schema: self.schema.clone(),
            hash_of_key: Some(self.hash_of_key),
            is_whole: self.extent == Extent::Whole,
            entries: None,
        });
        true
    }

    /// Hands over the copies made by one of the waiting tables, a different one each time, so that they do not pile up.
    fn hand_copies_over<K: Key + ?Sized, A>(
        &mut self,
        out: &mut SnapshotOutput<'_>,
        current: &mut Current<K, A>,
        pool: &mut TablePool<K, A>,
    ) {
        let waiting = self.frozen.len() - 1;
        if waiting > 0 {
            self.looked_at = (self.looked_at + 1) % waiting;
            let (slice, id) = self.frozen[self.looked_at];
            let table = &mut current.table_of(id, pool).entries;
            let done = table.drain_frozen(0, &mut self.drained);
            debug_assert!(!done, "it waits to be drained");
            put_drained(&self.state, slice, &mut self.drained, out, false);
        }
    }

    /// Restores the tables of the slices, for the keys with these hashes. With `own`, only what the subtask with this
    /// index had. What several subtasks had for a key is merged.
    ///
    /// A subtask that dropped a slice dropped only its own part of it, so each one's slices are assembled
    /// before they are merged with those of others.
    pub(super) fn restore<K: Key + ?Sized, A: StateValue>(
        &mut self,
        restored: &Restored,
        hashes: &RangeInclusive<KeyHash>,
        own: Option<u32>,
        pool: &mut TablePool<K, A>,
        merge: impl Fn(&mut A, &A),
    ) -> Result<Vec<(i64, TableId)>, CheckpointError> {
        let (mut all, mut part) = (SliceTables::default(), SliceTables::default());
        if restored.agreed(&self.state, &self.schema)?.is_none() {
            return Ok(Vec::new());
        }
        let (hasher, mut subtask) = (pool.shape.hasher, None);
        restored.visit(&self.state, |piece| {
            if own.is_some_and(|own| own != piece.subtask) {
                return Ok(());
            }
            if seeded("window-contents-not-restored") && piece.namespace % 2 == 0 {
                return Ok(());
            }
            if subtask.replace(piece.subtask) != Some(piece.subtask) {
                unite(&mut part, &mut all, pool, &merge);
            }
            let known = part.get(piece.namespace);
            match (piece.kind, known) {
                (PieceKind::Set, _) => {
                    let room = piece.count.min(ROOM_MAX) as usize;
                    let id = known.unwrap_or_else(|| pool.take(0, room));
                    part.insert(piece.namespace, id);
                    let table = pool.get_mut(id);
                    entries(piece.bytes, &hasher, hashes, |hash, key, accumulator| {
                        table.restore(hash, key, accumulator);
                    })
                }
                (PieceKind::Removed, Some(id)) => {
                    let table: &mut dyn DurableTable = &mut pool.get_mut(id).entries;
                    table.restore_removed(piece.bytes, hashes)
                }
                (PieceKind::Dropped, Some(id)) => {
                    part.remove(piece.namespace);
                    pool.discard(id);
                    Ok(())
                }
                _ => Ok(()),
            }
        })?;
        unite(&mut part, &mut all, pool, &merge);
        let mut found = Vec::new();
        self.kept.clear();
        for (slice, id) in all.take() {
            if pool.get(id).entries.is_empty() {
                pool.release(0, id, 0);
            } else {
                self.kept.push(slice);
                found.push((slice, id));
            }
        }
        Ok(found)
    }
}

/// Returns the error for a state with an impossible slice.
pub(super) fn no_slice(state: &StateRef, number: i64) -> CheckpointError {
    CheckpointError::Malformed {
        state: state.clone(),
        cause: FormError::new::<i64>(&number.to_le_bytes(), "no window has this slice"),
    }
}

/// The tables of slices, in the order of the slices.
#[derive(Default)]
struct SliceTables(BTreeMap<i64, TableId>);

impl SliceTables {
    fn get(&self, slice: i64) -> Option<TableId> {
        self.0.get(&slice).copied()
    }

    fn insert(&mut self, slice: i64, id: TableId) {
        self.0.insert(slice, id);
    }

    fn remove(&mut self, slice: i64) {
        self.0.remove(&slice);
    }

    /// Removes and returns all of them.
    fn take(&mut self) -> Vec<(i64, TableId)> {
        std::mem::take(&mut self.0).into_iter().collect()
    }
}

/// Merges the slices of one subtask into those of the previous subtasks.
fn unite<K: Key + ?Sized, A: StateValue>(
    part: &mut SliceTables,
    all: &mut SliceTables,
    pool: &mut TablePool<K, A>,
    merge: &impl Fn(&mut A, &A),
) {
    for (slice, id) in part.take() {
        match all.get(slice) {
            None => all.insert(slice, id),
            Some(known) => {
                pool.restore_from(id, known, merge);
                pool.discard(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::MemorySnapshot;
    use crate::operator::window::slice_table::TableShape;
    use crate::state::encode_changes;

    type Pool = TablePool<u64, u64>;

    fn pool() -> Pool {
        let mut pool = Pool::new(TableShape::default(), false);
        pool.changes = Some(encode_changes());
        pool
    }

    fn fill(pool: &mut Pool, id: TableId, keys: std::ops::Range<u64>, value: u64) {
        let hasher = pool.shape.hasher;
        for key in keys {
            let table = pool.get_mut(id);
            *table.accumulator(hasher.hash(&key), &key, || 0).0 = value;
        }
    }

    fn write(snapshot: &mut SliceSnapshot, pool: &mut Pool, memory: &mut MemorySnapshot) {
        let (checkpoint, mut reports) = (snapshot.checkpoint, Vec::new());
        let mut current = Current::none(pool.fresh());
        loop {
            let mut out = SnapshotOutput::new(checkpoint, 0, memory, &mut reports, 4);
            if snapshot.drain(&mut out, &mut current, pool) {
                break;
            }
        }
        memory.complete(checkpoint, 0, &reports).unwrap();
    }

    /// What a checkpoint has for slice 5.
    fn restored(uid: &Arc<str>, memory: &MemorySnapshot) -> Vec<(u64, u64)> {
        let (mut pool, mut snapshot) = (pool(), SliceSnapshot::of::<u64, u64>(uid));
        let all = KeyHash(0)..=KeyHash(u64::MAX);
        let merge = |_: &mut u64, _: &u64| unreachable!("one subtask has nothing to merge");
        let slices = snapshot.restore(&memory.restored(), &all, None, &mut pool, merge);
        let slices = slices.unwrap();
        let (_, id) = *slices.iter().find(|(slice, _)| *slice == 5).unwrap();
        let entries = &pool.get(id).entries;
        let mut entries: Vec<_> = entries.iter().map(|(key, value)| (*key, *value)).collect();
        entries.sort_unstable();
        entries
    }

    #[test]
    fn a_slice_that_is_over_and_comes_again_has_nothing_of_before() {
        let (uid, mut memory) = (Arc::<str>::from("windows"), MemorySnapshot::new(1));
        let (mut pool, mut snapshot) = (pool(), SliceSnapshot::of::<u64, u64>(&uid));
        let mut current = Current::none(pool.fresh());
        let barrier = |checkpoint, options| Barrier {
            checkpoint,
            options,
        };
        let first = pool.take(0, 0);
        fill(&mut pool, first, 0..100, 1);
        let whole = barrier(1, Barrier::WHOLE);
        snapshot.freeze(whole, [(5, first)].into_iter(), &mut current, &mut pool);
        fill(&mut pool, first, 50..150, 2);
        snapshot.retire(5);
        pool.discard(first);
        let second = pool.take(0, 0);
        assert_ne!(first, second, "the first one owes its entries");
        fill(&mut pool, second, 90..110, 3);
        write(&mut snapshot, &mut pool, &mut memory);
        let found = restored(&uid, &memory);
        assert_eq!(found, (0..100).map(|key| (key, 1)).collect::<Vec<_>>());
        assert_eq!(pool.take(0, 0), first, "it owes nothing any more");

        let changes = barrier(2, 0);
        snapshot.freeze(changes, [(5, second)].into_iter(), &mut current, &mut pool);
        write(&mut snapshot, &mut pool, &mut memory);
        let found = restored(&uid, &memory);
        assert_eq!(found, (90..110).map(|key| (key, 3)).collect::<Vec<_>>());
    }
}
