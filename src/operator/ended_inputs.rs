//! Which inputs of an operator have ended, as part of its snapshots.
//!
//! A job that resumes from a checkpoint taken after the end of an input reaches that end again, but the function has
//! already been called for it and must not be called twice (Flink: finished operators are not run again). This holds
//! only if every subtask had reached the end, since what is left of an input may be assigned to any of them, as in
//! Flink, and only if nothing has arrived since: a source may have more than it had.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, SnapshotOutput, StateRef, ValueSnapshot};
use crate::state::StateKind;

use super::OpenContext;

/// The name of the state.
pub(super) const ENDED_INPUTS: &str = "ended-inputs";

/// Returns whether a checkpoint has nothing else of an operator: without it, all that is lost is that its function has
/// been called for the end.
pub(crate) fn keeps_ends_only(restored: &Restored, uid: &Arc<str>) -> bool {
    let states = restored.states(uid);
    let mut others = states.iter().filter(|state| *state.name != *ENDED_INPUTS);
    others.all(|state| restored.entry_count(&StateRef::new(uid, &state.name)) == 0)
}

/// No operator with a function has more.
const INPUTS: usize = 2;

/// Which inputs of an operator have ended.
#[derive(Debug, Default)]
pub(super) struct EndedInputs {
    ended: [bool; INPUTS],
    /// As of the checkpoint from which the job resumed; reset when a record arrives.
    had_ended: [bool; INPUTS],
    /// Present if checkpoints store it.
    snapshot: Option<ValueSnapshot>,
}

impl EndedInputs {
    /// Restores what a checkpoint has for the operator with this uid, and prepares for checkpoints.
    pub(super) fn open(&mut self, cx: &OpenContext, uid: &Arc<str>) -> Result<(), CheckpointError> {
        let state = StateRef::new(uid, ENDED_INPUTS);
        let snapshot = ValueSnapshot::of::<u8>(state, StateKind::UnionList);
        if let Some(restored) = &cx.checkpointing.restored {
            let subtasks = restored.values::<u8>(snapshot.state(), snapshot.schema())?;
            let subtasks = subtasks.unwrap_or_default();
            for (input, had_ended) in (0u8..).zip(&mut self.had_ended) {
                let mut subtasks = subtasks.iter();
                *had_ended = subtasks.len() > 0 && subtasks.all(|ended| ended.contains(&input));
            }
        }
        self.snapshot = cx.checkpointing.enabled.then_some(snapshot);
        Ok(())
    }

    /// Records the arrival of a record on an input.
    #[inline(always)]
    pub(super) fn note_record(&mut self, input: usize) {
        self.had_ended[input] = false;
    }

    /// Records the end of an input. Returns whether the function must be called.
    pub(super) fn end(&mut self, input: usize) -> bool {
        self.ended[input] = true;
        !self.had_ended[input]
    }

    /// Captures the ended inputs for a checkpoint.
    pub(super) fn capture(&mut self, checkpoint: u64) {
        if let Some(snapshot) = &mut self.snapshot {
            let known = self.ended.iter().zip(self.had_ended);
            let known = (0u8..).zip(known.map(|(ended, had_ended)| *ended || had_ended));
            let ended: Vec<u8> = known
                .filter_map(|(input, ended)| ended.then_some(input))
                .collect();
            snapshot.capture(checkpoint, &ended);
        }
    }

    /// Writes what was captured. Returns whether it is done.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.snapshot
            .as_mut()
            .is_none_or(|snapshot| snapshot.drain(out))
    }
}
