//! Which inputs of an operator have ended, as part of its snapshots.
//!
//! A job that goes on from a checkpoint behind the end of an input comes to that end again, but the function was told
//! of it and has had its last word: it is not told twice (Flink: operators that had finished are not run again). Only
//! if every subtask had come to the end: what is left of an input may be dealt to any of them, as in Flink. And only
//! if nothing has come since: a source may have more than it had.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, SnapshotOutput, StateRef, ValueSnapshot};
use crate::state::StateKind;

use super::OpenContext;

/// The name of the state.
pub(super) const ENDED_INPUTS: &str = "ended-inputs";

/// Whether a checkpoint has nothing else of an operator: without it nothing is lost but that its function had its last
/// word.
pub(crate) fn keeps_ends_only(restored: &Restored, uid: &Arc<str>) -> bool {
    let states = restored.states(uid);
    let mut others = states.iter().filter(|state| *state.name != *ENDED_INPUTS);
    others.all(|state| restored.entry_count(&StateRef::new(uid, &state.name)) == 0)
}

/// No operator with a function has more.
const INPUTS: usize = 2;

/// What is known of the ends of an operator's inputs.
#[derive(Debug, Default)]
pub(super) struct EndedInputs {
    ended: [bool; INPUTS],
    /// At the checkpoint that the job went on from; nothing has come since.
    had_ended: [bool; INPUTS],
    /// Where checkpoints keep it.
    snapshot: Option<ValueSnapshot>,
}

impl EndedInputs {
    /// Takes up what a checkpoint has of the operator with this uid, and has those to come keep it.
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

    /// A record of an input has come.
    #[inline(always)]
    pub(super) fn note_record(&mut self, input: usize) {
        self.had_ended[input] = false;
    }

    /// An input has ended. Says whether the function is to be told.
    pub(super) fn end(&mut self, input: usize) -> bool {
        self.ended[input] = true;
        !self.had_ended[input]
    }

    /// Keeps it for a checkpoint.
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

    /// Writes it. Returns whether that is done.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.snapshot
            .as_mut()
            .is_none_or(|snapshot| snapshot.drain(out))
    }
}
