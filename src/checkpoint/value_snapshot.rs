//! Snapshots of non-keyed values: small, and captured as a whole at the barrier.

use super::piece::{PieceKind, StateRef};
use super::snapshot::{SnapshotOutput, StateReport};
use crate::record::StateValue;
use crate::state::{StateKind, StateSchema, encode_value};

/// The non-keyed values of one state, as captured at a barrier.
#[derive(Debug)]
pub struct ValueSnapshot {
    state: StateRef,
    schema: StateSchema,
    checkpoint: u64,
    /// Captured but not written yet.
    pending: bool,
    count: u64,
    bytes: Vec<u8>,
}

impl ValueSnapshot {
    /// The snapshots of a state whose values are of type `T`.
    #[must_use]
    pub fn of<T: StateValue>(state: StateRef, kind: StateKind) -> Self {
        ValueSnapshot {
            schema: StateSchema::unkeyed::<T>(&state.state, kind),
            state,
            checkpoint: 0,
            pending: false,
            count: 0,
            bytes: Vec::new(),
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

    /// Captures all values for a checkpoint. They must be of the type that [`of`](Self::of) was called with.
    pub fn capture<'a, T: StateValue>(
        &mut self,
        checkpoint: u64,
        values: impl IntoIterator<Item = &'a T>,
    ) {
        (self.checkpoint, self.pending, self.count) = (checkpoint, true, 0);
        self.bytes.clear();
        for value in values {
            encode_value(value, &mut self.bytes);
            self.count += 1;
        }
    }

    /// Whether values are captured for this checkpoint.
    #[must_use]
    pub fn is_captured(&self, checkpoint: u64) -> bool {
        self.checkpoint == checkpoint
    }

    /// Writes the captured values. Returns whether that is done; false if the barrier has not arrived yet.
    pub fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        if self.checkpoint < out.checkpoint() {
            return false;
        }
        if std::mem::take(&mut self.pending) {
            let kind = (PieceKind::Values, 0);
            out.put(&self.state, kind, &mut self.count, &mut self.bytes, true);
            out.report(StateReport::without_keys(&self.state, &self.schema));
        }
        true
    }
}
