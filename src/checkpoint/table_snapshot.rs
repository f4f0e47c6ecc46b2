//! Snapshots of a table: what a barrier froze, drained in slices, and its restoration.

use std::ops::RangeInclusive;

use super::error::CheckpointError;
use super::piece::{PieceKind, StateRef};
use super::restored::Restored;
use super::snapshot::{SnapshotOutput, StateReport};
use crate::record::{KeyHash, StateValue, StoredKey};
use crate::state::{
    Drained, DurableTable, Extent, HashOfKey, StateKind, StateSchema, TypeLayout, hash_of_key,
};

/// The snapshots of one table, and how far the current one has been written.
#[derive(Debug)]
pub struct TableSnapshot {
    state: StateRef,
    schema: StateSchema,
    hash_of_key: HashOfKey,
    /// The checkpoint for which the table was last frozen, and to what extent.
    checkpoint: u64,
    extent: Extent,
    /// Not completely written yet.
    pending: bool,
    /// Earlier checkpoints hold values of an older type.
    migrated: bool,
    /// The number of entries at the freeze.
    entries: u64,
    /// The next snapshot will be whole: the table was told so, because most entries changed before the last one.
    expects_whole: bool,
    drained: Drained,
}

impl TableSnapshot {
    /// The snapshots of the table behind a state.
    #[must_use]
    pub fn of<S: StoredKey, T: StateValue>(state: StateRef, kind: StateKind) -> Self {
        Self::with_schema(
            StateSchema::keyed::<S, T>(&state.state, kind),
            state,
            hash_of_key::<S>,
        )
    }

    /// The snapshots of `state`, which has this schema.
    #[must_use]
    pub fn with_schema(schema: StateSchema, state: StateRef, hash_of_key: HashOfKey) -> Self {
        TableSnapshot {
            state,
            schema,
            hash_of_key,
            checkpoint: 0,
            extent: Extent::Changes,
            pending: false,
            migrated: false,
            entries: 0,
            expects_whole: false,
            drained: Drained::default(),
        }
    }

    /// The state's name.
    #[must_use]
    pub fn state(&self) -> &StateRef {
        &self.state
    }

    /// The state's schema.
    #[must_use]
    pub fn schema(&self) -> &StateSchema {
        &self.schema
    }

    /// Freezes `table` for a checkpoint. The previous snapshot must be drained. The first one after a migration is
    /// frozen as a whole, because changes cannot be combined with entries of another type. So is one before which most
    /// entries have changed: that writes little more, and starts a new chain, which need not be folded. The next one is
    /// then expected to be whole, too, and the table is spared recording changes until then.
    pub fn freeze(&mut self, table: &mut dyn DurableTable, checkpoint: u64, extent: Extent) {
        let is_worth_it = table.most_have_changed();
        let is_expected = std::mem::replace(&mut self.expects_whole, is_worth_it);
        let extent = if std::mem::take(&mut self.migrated) || is_expected || is_worth_it {
            Extent::Whole
        } else {
            extent
        };
        self.entries = table.entry_count() as u64;
        table.freeze(extent);
        if self.expects_whole {
            table.expect_whole();
        }
        (self.checkpoint, self.extent, self.pending) = (checkpoint, extent, true);
    }

    /// Writes some of what was frozen. Returns whether that is done; false if the barrier has not arrived yet.
    pub fn drain(&mut self, table: &mut dyn DurableTable, out: &mut SnapshotOutput<'_>) -> bool {
        if self.checkpoint < out.checkpoint() {
            return false;
        }
        if !self.pending {
            return true;
        }
        let budget = out.budget();
        let done = table.drain_frozen(budget, &mut self.drained);
        let spent = put_drained(&self.state, 0, &mut self.drained, out, done);
        if budget > 0 {
            // A slice without entries costs something, too: it scanned memory.
            out.spend(if done { spent as usize } else { budget });
        }
        if done {
            self.pending = false;
            out.report(self.report());
        }
        done
    }

    fn report(&self) -> StateReport {
        StateReport {
            state: self.state.clone(),
            schema: self.schema.clone(),
            hash_of_key: Some(self.hash_of_key),
            is_whole: self.extent == Extent::Whole,
            entries: Some(self.entries),
        }
    }

    /// Restores a checkpoint's entries whose keys have these hashes. Returns whether the checkpoint has the state.
    ///
    /// # Errors
    /// If the checkpoint's state is of another kind or type, or is damaged.
    pub fn restore(
        &self,
        table: &mut dyn DurableTable,
        restored: &Restored,
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<bool, CheckpointError> {
        self.restore_as(&self.schema, table, restored, hashes)
    }

    /// As [`restore`](Self::restore), into a table that converts values of the layout `old` to its own.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn migrate(
        &mut self,
        old: TypeLayout,
        table: &mut dyn DurableTable,
        restored: &Restored,
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<bool, CheckpointError> {
        self.migrated = true;
        let saved = StateSchema {
            value: old,
            ..self.schema.clone()
        };
        self.restore_as(&saved, table, restored, hashes)
    }

    fn restore_as(
        &self,
        schema: &StateSchema,
        table: &mut dyn DurableTable,
        restored: &Restored,
        hashes: &RangeInclusive<KeyHash>,
    ) -> Result<bool, CheckpointError> {
        if restored.agreed(&self.state, schema)?.is_none() {
            return Ok(false);
        }
        restored.visit_keys(&self.state, hashes, |piece| match piece.kind {
            PieceKind::Set => table.restore_set(piece.bytes, hashes),
            PieceKind::Removed => table.restore_removed(piece.bytes, hashes),
            PieceKind::Dropped | PieceKind::Values => Ok(()),
        })?;
        Ok(true)
    }
}

/// Hands over drained entries of a namespace: as many as fill a piece or, at the end, all. Returns how many entries and
/// keys that is.
pub fn put_drained(
    state: &StateRef,
    namespace: i64,
    drained: &mut Drained,
    out: &mut SnapshotOutput<'_>,
    last: bool,
) -> u64 {
    let removed = drained.removed_count;
    out.put(
        state,
        (PieceKind::Removed, namespace),
        &mut drained.removed_count,
        &mut drained.removed,
        last,
    );
    let set = (PieceKind::Set, namespace);
    removed - drained.removed_count + out.put_chunks(state, set, &mut drained.set)
}
