//! The watermark of an operator as part of its snapshots.
//!
//! A restored operator continues from the watermark that it had, for the reason given in
//! [`keyed_snapshot`](super::keyed_snapshot).

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, SnapshotOutput, StateRef, ValueSnapshot};
use crate::seeded_bugs::seeded;
use crate::state::StateKind;
use crate::time::Timestamp;

use super::OpenContext;
/// The snapshots of one operator's watermark.
pub(super) struct WatermarkSnapshot(ValueSnapshot);

impl WatermarkSnapshot {
    /// Creates the snapshots for the operator with this uid, in its state called `name`.
    pub(super) fn new(uid: &Arc<str>, name: &str) -> Self {
        let state = StateRef::new(uid, name);
        WatermarkSnapshot(ValueSnapshot::of::<i64>(state, StateKind::Progress))
    }

    /// The uid of the operator.
    pub(super) fn operator(&self) -> &Arc<str> {
        &self.0.state().operator
    }

    /// Captures the watermark for a checkpoint.
    pub(super) fn capture(&mut self, checkpoint: u64, watermark: Timestamp) {
        self.0.capture(checkpoint, [&watermark.0]);
    }

    /// Writes it. Returns whether that is done: not if the barrier has not arrived yet.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.0.drain(out)
    }

    /// Returns the watermark to resume from.
    pub(super) fn restore(
        &self,
        restored: &Restored,
        cx: &OpenContext,
    ) -> Result<Timestamp, CheckpointError> {
        Ok(*self.restore_range(restored, cx)?.start())
    }

    /// Returns the range from that to the highest watermark that any of the merged subtasks had seen.
    pub(super) fn restore_range(
        &self,
        restored: &Restored,
        cx: &OpenContext,
    ) -> Result<RangeInclusive<Timestamp>, CheckpointError> {
        let old = restored.values::<i64>(self.0.state(), self.0.schema())?;
        Ok(restored_watermarks(&old.unwrap_or_default(), cx))
    }
}

/// Returns the lowest and the highest watermark of the old subtasks; at unchanged parallelism, just this subtask's.
pub(super) fn restored_watermarks(old: &[Vec<i64>], cx: &OpenContext) -> RangeInclusive<Timestamp> {
    let index = cx.subtask.index as usize;
    let same = old.len() == cx.subtask.parallelism as usize;
    let own = if same { &old[index..=index] } else { old };
    if seeded("watermark-not-restored") {
        return Timestamp::MIN..=Timestamp::MIN;
    }
    let times = own.iter().flatten().copied().filter(|at| *at != i64::MAX);
    let [lowest, highest] = [times.clone().min(), times.max()];
    let [lowest, highest] = [lowest, highest].map(|at| at.map_or(Timestamp::MIN, Timestamp));
    lowest..=highest
}
