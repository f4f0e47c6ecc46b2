//! `Restored`: the checkpoint from which a job is restored, as its operators see it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::error::CheckpointError;
use super::piece::{PieceKind, PieceRef, StateRef};
use crate::record::{FormError, KeyGroupAssignment, KeyHash, MaxParallelism, StateValue};
use crate::state::{StateSchema, decode_value};

/// The pieces of a complete checkpoint, wherever they are stored.
pub trait Pieces: Send + Sync {
    /// The checkpoint's number.
    fn checkpoint(&self) -> u64;

    /// The uids of the operators that have state in it.
    fn operators(&self) -> Vec<Arc<str>>;

    /// The schemas of an operator's states.
    fn states(&self, operator: &str) -> Vec<StateSchema>;

    /// How many subtasks the operator had.
    fn parallelism(&self, operator: &str) -> u32;

    /// The number of key groups of the job that took it, if recorded.
    fn max_parallelism(&self) -> Option<u32> {
        None
    }

    /// The function that assigned keys to key groups, if recorded.
    fn assignment(&self) -> Option<KeyGroupAssignment> {
        None
    }

    /// How many entries a state has across all subtasks; an upper bound where the number is unknown.
    fn entry_count(&self, state: &StateRef) -> u64;

    /// Calls `visit` with every piece of a state from the subtasks that are `wanted`, in the order in which they must
    /// be applied: subtask by subtask, then checkpoint by checkpoint, and within a checkpoint drops, then removals,
    /// then sets. The bytes begin at a multiple of 16.
    ///
    /// # Errors
    /// If the bytes cannot be read or are damaged, and any error that `visit` returns.
    fn visit(
        &self,
        state: &StateRef,
        wanted: &dyn Fn(u32) -> bool,
        visit: &mut dyn FnMut(PieceRef<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError>;
}

/// A checkpoint that is unusable.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Its number.
    pub checkpoint: u64,
    /// Why it is unusable.
    pub cause: Arc<CheckpointError>,
}

/// The checkpoint from which a job is restored.
#[derive(Clone)]
pub struct Restored {
    pieces: Arc<dyn Pieces>,
    passed_over: Vec<Rejected>,
}

impl std::fmt::Debug for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restored")
            .field("checkpoint", &self.checkpoint())
            .finish_non_exhaustive()
    }
}

impl Restored {
    /// The checkpoint made up of these pieces.
    #[must_use]
    pub fn new(pieces: Arc<dyn Pieces>) -> Self {
        Restored {
            pieces,
            passed_over: Vec::new(),
        }
    }

    /// Says which newer checkpoints were passed over because they are unusable.
    #[must_use]
    pub(super) fn passing_over(self, passed_over: Vec<Rejected>) -> Self {
        Restored {
            passed_over,
            ..self
        }
    }

    /// The newer checkpoints that were passed over because they are unusable, newest first.
    #[must_use]
    pub fn passed_over(&self) -> &[Rejected] {
        &self.passed_over
    }

    /// The checkpoint's number.
    #[must_use]
    pub fn checkpoint(&self) -> u64 {
        self.pieces.checkpoint()
    }

    /// The number of key groups of the job that took it, if recorded.
    #[must_use]
    pub fn max_parallelism(&self) -> Option<u32> {
        self.pieces.max_parallelism()
    }

    /// The function that assigned keys to key groups in the job that took it, if recorded.
    #[must_use]
    pub fn assignment(&self) -> Option<KeyGroupAssignment> {
        self.pieces.assignment()
    }

    /// The uids of the operators that have state in it.
    #[must_use]
    pub fn operators(&self) -> Vec<Arc<str>> {
        self.pieces.operators()
    }

    /// The schemas of an operator's states.
    #[must_use]
    pub fn states(&self, operator: &str) -> Vec<StateSchema> {
        self.pieces.states(operator)
    }

    /// How many entries a state has across all subtasks; an upper bound where the number is unknown.
    #[must_use]
    pub fn entry_count(&self, state: &StateRef) -> u64 {
        self.pieces.entry_count(state)
    }

    /// How many subtasks the operator had.
    #[must_use]
    pub fn parallelism(&self, operator: &str) -> u32 {
        self.pieces.parallelism(operator)
    }

    /// The schema of a state, if the checkpoint has it, after checking that it agrees with the job's.
    ///
    /// # Errors
    /// [`CheckpointError::KindChanged`] and [`CheckpointError::TypeChanged`].
    pub fn agreed(
        &self,
        state: &StateRef,
        wanted: &StateSchema,
    ) -> Result<Option<StateSchema>, CheckpointError> {
        let states = self.pieces.states(&state.operator);
        let Some(saved) = states.into_iter().find(|saved| saved.name == state.state) else {
            return Ok(None);
        };
        if saved.kind != wanted.kind {
            return Err(CheckpointError::KindChanged {
                state: state.clone(),
                saved: saved.kind,
                wanted: wanted.kind,
            });
        }
        let parts = [
            ("key", &saved.key, &wanted.key),
            ("value", &saved.value, &wanted.value),
        ];
        for (part, saved, wanted) in parts {
            if !wanted.agrees(saved) {
                return Err(CheckpointError::TypeChanged {
                    state: state.clone(),
                    part,
                    saved: Box::new(saved.clone()),
                    wanted: Box::new(wanted.clone()),
                });
            }
        }
        Ok(Some(saved))
    }

    /// Calls `visit` with every piece of a state, see [`Pieces::visit`]. A [`FormError`] that `visit` returns is
    /// reported for the state.
    ///
    /// # Errors
    /// If the bytes cannot be read or are malformed.
    pub fn visit(
        &self,
        state: &StateRef,
        mut visit: impl FnMut(PieceRef<'_>) -> Result<(), FormError>,
    ) -> Result<(), CheckpointError> {
        self.visit_from(state, &|_| true, &mut visit)
    }

    /// As [`visit`](Self::visit), for a state whose keys are those that its subtasks own: skips the pieces of subtasks
    /// that owned none of these hashes. The pieces visited may also hold other keys.
    ///
    /// # Errors
    /// As [`visit`](Self::visit).
    pub fn visit_keys(
        &self,
        state: &StateRef,
        hashes: &RangeInclusive<KeyHash>,
        mut visit: impl FnMut(PieceRef<'_>) -> Result<(), FormError>,
    ) -> Result<(), CheckpointError> {
        let parallelism = self.parallelism(&state.operator);
        let max = self.max_parallelism().map(MaxParallelism::new);
        let max = max.and_then(Result::ok);
        let wanted = |subtask: u32| match max {
            Some(max) if subtask < parallelism && max.admit(parallelism).is_ok() => {
                let owned = max.hashes(&max.range(subtask, parallelism));
                owned.start() <= hashes.end() && hashes.start() <= owned.end()
            }
            _ => true,
        };
        self.visit_from(state, &wanted, &mut visit)
    }

    fn visit_from(
        &self,
        state: &StateRef,
        wanted: &dyn Fn(u32) -> bool,
        visit: &mut dyn FnMut(PieceRef<'_>) -> Result<(), FormError>,
    ) -> Result<(), CheckpointError> {
        self.pieces.visit(state, wanted, &mut |piece| {
            visit(piece).map_err(|cause| CheckpointError::Malformed {
                state: state.clone(),
                cause,
            })
        })
    }

    /// The values of a non-keyed state, grouped by the subtask that had them.
    ///
    /// # Errors
    /// As [`agreed`](Self::agreed) and [`visit`](Self::visit).
    pub fn values<T: StateValue>(
        &self,
        state: &StateRef,
        wanted: &StateSchema,
    ) -> Result<Option<Vec<Vec<T>>>, CheckpointError> {
        if self.agreed(state, wanted)?.is_none() {
            return Ok(None);
        }
        let mut values: Vec<Vec<T>> = Vec::new();
        values.resize_with(self.parallelism(&state.operator) as usize, Vec::new);
        self.visit(state, |piece| {
            let mut bytes = piece.bytes;
            while piece.kind == PieceKind::Values && !bytes.is_empty() {
                let value = decode_value(&mut bytes)?;
                if values.len() <= piece.subtask as usize {
                    values.resize_with(piece.subtask as usize + 1, Vec::new);
                }
                values[piece.subtask as usize].push(value);
            }
            Ok(())
        })?;
        Ok(Some(values))
    }
}
