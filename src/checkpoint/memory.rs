//! In-memory snapshots for tests to restore from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::CheckpointError;
use super::piece::{Piece, PieceKind, PieceRef, StateRef};
use super::restored::{Pieces, Restored};
use super::snapshot::{Deferred, PieceSink, StateReport};
use crate::record::FRAME_ALIGN;
use crate::state::StateSchema;

/// The snapshots of some subtasks, checkpoint by checkpoint, back to the last whole one.
#[derive(Default)]
pub struct MemorySnapshot {
    checkpoint: u64,
    /// The pieces of the checkpoint in progress.
    fresh: Vec<Piece>,
    states: BTreeMap<StateRef, StateSchema>,
    /// For each state and subtask, the pieces of each checkpoint.
    chains: BTreeMap<(StateRef, u32), Vec<Vec<Piece>>>,
    parallelism: u32,
    deferred: Vec<Deferred>,
}

impl std::fmt::Debug for MemorySnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemorySnapshot")
            .field("checkpoint", &self.checkpoint)
            .field("states", &self.states.keys())
            .finish_non_exhaustive()
    }
}

impl MemorySnapshot {
    /// An empty snapshot of operators with this parallelism.
    #[must_use]
    pub fn new(parallelism: u32) -> Self {
        MemorySnapshot {
            parallelism,
            ..MemorySnapshot::default()
        }
    }

    /// Completes the part of one subtask, after it has reported all of its states.
    ///
    /// # Errors
    /// Any error that deferred work returns.
    pub fn complete(
        &mut self,
        checkpoint: u64,
        subtask: u32,
        reports: &[StateReport],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.checkpoint = checkpoint;
        for report in reports {
            let of_state = |piece: &Piece| piece.state == report.state && piece.subtask == subtask;
            let (mut pieces, rest): (Vec<Piece>, Vec<Piece>) = std::mem::take(&mut self.fresh)
                .into_iter()
                .partition(of_state);
            self.fresh = rest;
            pieces.sort_by_key(|piece| match piece.kind {
                PieceKind::Dropped => 0,
                PieceKind::Removed => 1,
                PieceKind::Set | PieceKind::Values => 2,
            });
            let chain = self.chains.entry((report.state.clone(), subtask));
            let chain = chain.or_default();
            if report.is_whole {
                chain.clear();
            }
            chain.push(pieces);
            self.states
                .insert(report.state.clone(), report.schema.clone());
        }
        self.deferred.drain(..).try_for_each(|work| work())
    }

    /// Discards what was handed over for a checkpoint that will not complete.
    pub fn abort(&mut self) {
        self.fresh.clear();
        self.deferred.clear();
    }

    /// The completed checkpoint, to restore from.
    #[must_use]
    pub fn restored(&self) -> Restored {
        Restored::new(Arc::new(Kept {
            checkpoint: self.checkpoint,
            states: self.states.clone(),
            chains: self.chains.clone(),
            parallelism: self.parallelism,
        }))
    }
}

impl PieceSink for MemorySnapshot {
    fn has_room(&self) -> bool {
        true
    }

    fn is_full(&self) -> bool {
        false
    }

    fn send(&mut self, _checkpoint: u64, piece: Piece) {
        self.fresh.push(piece);
    }

    fn defer(&mut self, _checkpoint: u64, work: Deferred) {
        self.deferred.push(work);
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

struct Kept {
    checkpoint: u64,
    states: BTreeMap<StateRef, StateSchema>,
    chains: BTreeMap<(StateRef, u32), Vec<Vec<Piece>>>,
    parallelism: u32,
}

impl Kept {
    fn pieces<'a>(&'a self, state: &'a StateRef) -> impl Iterator<Item = &'a Piece> {
        let chains = self.chains.iter();
        let of_state = chains.filter(move |((of, _), _)| of == state);
        of_state.flat_map(|(_, chain)| chain.iter().flatten())
    }
}

impl Pieces for Kept {
    fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    fn operators(&self) -> Vec<Arc<str>> {
        let mut operators: Vec<_> = self.states.keys().map(|s| s.operator.clone()).collect();
        operators.dedup();
        operators
    }

    fn states(&self, operator: &str) -> Vec<StateSchema> {
        let states = self.states.iter();
        let of_operator = states.filter(|(state, _)| &*state.operator == operator);
        of_operator.map(|(_, schema)| schema.clone()).collect()
    }

    fn parallelism(&self, _operator: &str) -> u32 {
        self.parallelism
    }

    fn entry_count(&self, state: &StateRef) -> u64 {
        self.pieces(state).map(|piece| piece.count).sum()
    }

    fn visit(
        &self,
        state: &StateRef,
        wanted: &dyn Fn(u32) -> bool,
        visit: &mut dyn FnMut(PieceRef<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let mut aligned = rkyv::util::AlignedVec::<FRAME_ALIGN>::new();
        for piece in self.pieces(state).filter(|piece| wanted(piece.subtask)) {
            aligned.clear();
            aligned.extend_from_slice(&piece.bytes);
            visit(PieceRef {
                bytes: &aligned,
                ..piece.as_ref()
            })?;
        }
        Ok(())
    }
}
