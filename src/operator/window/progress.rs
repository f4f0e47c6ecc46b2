//! What a window operator checkpoints besides its slices: how far time has advanced, and which windows
//! it has.
//!
//! # The watermark is restored
//! A restored operator starts with its watermark, so windows that have fired fire again for late records
//! only, and the results are those of an undisturbed run. Flink starts without a watermark, and after a failure
//! accepts records that it would have dropped before. After rescaling, the operator starts
//! with the lowest watermark of the old subtasks. If some of those had fired windows that others had not, and
//! that are kept, there is no telling for which keys; such a checkpoint can be restored only at its own
//! parallelism. A watermark at the end of time is not restored: it marked the end of an input, not its time.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, SnapshotOutput, StateRef, ValueSnapshot};
use crate::operator::OpenContext;
use crate::record::FormError;
use crate::seeded_bugs::seeded;
use crate::state::StateKind;
use crate::time::Timestamp;

use super::slicing::Slicing;

/// The name of the state.
pub(super) const PROGRESS: &str = "windows.progress";

/// How far time had advanced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Times {
    /// The watermark, or the lowest and the highest one of the old subtasks.
    pub(super) watermark: Timestamp,
    pub(super) highest: Timestamp,
    /// Processing time.
    pub(super) now: Timestamp,
}

impl Times {
    const START: Times = Times {
        watermark: Timestamp::MIN,
        highest: Timestamp::MIN,
        now: Timestamp::MIN,
    };
}

/// The snapshots of a subtask's time, along with the definition of its windows.
pub(super) struct Progress {
    values: ValueSnapshot,
    slicing: Slicing,
}

impl Progress {
    pub(super) fn new(uid: &Arc<str>, slicing: Slicing) -> Self {
        Progress {
            values: ValueSnapshot::of::<i64>(StateRef::new(uid, PROGRESS), StateKind::Progress),
            slicing,
        }
    }

    /// Captures the watermark and processing time for a checkpoint.
    pub(super) fn capture(&mut self, checkpoint: u64, watermark: Timestamp, now: Timestamp) {
        let [size, slide, offset] = self.slicing.durations();
        let values = [watermark.0, now.0, size, slide, offset];
        self.values.capture(checkpoint, &values);
    }

    /// Writes what was captured; returns whether it is done.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.values.drain(out)
    }

    /// Returns how far time had advanced at a checkpoint: in this subtask, or, after rescaling, in all of them.
    ///
    /// # Errors
    /// [`CheckpointError::WindowsChanged`] if the checkpoint has different windows.
    pub(super) fn restore(
        &self,
        restored: &Restored,
        cx: &OpenContext,
    ) -> Result<Times, CheckpointError> {
        let (state, schema) = (self.values.state(), self.values.schema());
        let saved = restored.values::<i64>(state, schema)?.unwrap_or_default();
        let own = own_subtask(restored, &state.operator, cx);
        let mut times: Option<Times> = None;
        for (subtask, values) in (0..).zip(&saved) {
            if values.is_empty() || own.is_some_and(|own| own != subtask) {
                continue;
            }
            let Ok([watermark, now, durations @ ..]) = <[i64; 5]>::try_from(&values[..]) else {
                let cause = FormError::new::<[i64; 5]>(&[], "not five numbers");
                let state = state.clone();
                return Err(CheckpointError::Malformed { state, cause });
            };
            if durations != self.slicing.durations() {
                return Err(CheckpointError::WindowsChanged {
                    operator: Arc::clone(&state.operator),
                    saved: shown(durations),
                    wanted: shown(self.slicing.durations()),
                });
            }
            let [watermark, now] = [watermark, now].map(Timestamp);
            let before = times.unwrap_or(Times {
                watermark: Timestamp::MAX,
                highest: Timestamp::MIN,
                now: Timestamp::MAX,
            });
            let highest = match watermark {
                Timestamp::MAX => before.highest,
                _ => before.highest.max(watermark),
            };
            times = Some(Times {
                watermark: before.watermark.min(watermark),
                highest,
                now: before.now.min(now),
            });
        }
        let mut times = times.unwrap_or(Times::START);
        if times.watermark == Timestamp::MAX || seeded("progress-not-restored") {
            times.watermark = Timestamp::MIN;
        }
        Ok(times)
    }
}

/// Returns the old subtask whose state is this one's, if the parallelism is unchanged.
pub(super) fn own_subtask(restored: &Restored, uid: &Arc<str>, cx: &OpenContext) -> Option<u32> {
    let is_same = restored.parallelism(uid) == cx.subtask.parallelism;
    is_same.then_some(cx.subtask.index)
}

fn shown([size, slide, offset]: [i64; 3]) -> String {
    format!("a size of {size} ns, a slide of {slide} ns and an offset of {offset} ns")
}
