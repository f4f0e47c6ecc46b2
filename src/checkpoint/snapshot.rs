//! `SnapshotOutput`: where an operator writes what a barrier froze.

use std::sync::Arc;

use super::piece::{Piece, PieceKind, StateRef};
use crate::state::{CHUNK_BYTES, Chunk, Chunks, HashOfKey, StateSchema};

/// Work that must be done before a checkpoint is complete, but not on a worker: a sink's file is synced.
pub type Deferred =
    Box<dyn FnOnce() -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send>;

/// Takes the pieces of a subtask's snapshots.
pub trait PieceSink {
    /// Whether another piece is wanted now. One that comes nevertheless is taken.
    fn has_room(&self) -> bool;

    /// Whether so many pieces are under way that nothing should be done that makes more of them.
    fn is_full(&self) -> bool;

    /// Takes a piece of a checkpoint.
    fn send(&mut self, checkpoint: u64, piece: Piece);

    /// Takes work to be done before the checkpoint is complete.
    fn defer(&mut self, checkpoint: u64, work: Deferred);

    /// An empty buffer, which has memory already where one has come back.
    fn buffer(&mut self) -> Vec<u8>;
}

/// What a subtask says of a state when all of it is handed over.
#[derive(Clone, Debug)]
pub struct StateReport {
    /// Which state.
    pub state: StateRef,
    /// What it is.
    pub schema: StateSchema,
    /// Finds the hashes of its keys, if it has keys.
    pub hash_of_key: Option<HashOfKey>,
    /// Whether the pieces are all of it; if not, they are what changed since the checkpoint before.
    pub is_whole: bool,
    /// How many entries it had at the barrier, where somebody will want to make room for them.
    pub entries: Option<u64>,
}

impl StateReport {
    /// The report of a state without keys, which is whole at every checkpoint.
    pub(crate) fn without_keys(state: &StateRef, schema: &StateSchema) -> Self {
        StateReport {
            state: state.clone(),
            schema: schema.clone(),
            hash_of_key: None,
            is_whole: true,
            entries: None,
        }
    }
}

/// Where an operator writes what a barrier froze, in slices.
pub struct SnapshotOutput<'a> {
    checkpoint: u64,
    subtask: u32,
    sink: &'a mut dyn PieceSink,
    reports: &'a mut Vec<StateReport>,
    budget: usize,
    overtakes: bool,
    has_written: bool,
}

impl std::fmt::Debug for SnapshotOutput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotOutput")
            .field("checkpoint", &self.checkpoint)
            .field("subtask", &self.subtask)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl<'a> SnapshotOutput<'a> {
    /// A slice of the snapshot that a subtask takes for a checkpoint: about `budget` entries.
    pub fn new(
        checkpoint: u64,
        subtask: u32,
        sink: &'a mut dyn PieceSink,
        reports: &'a mut Vec<StateReport>,
        budget: usize,
    ) -> Self {
        SnapshotOutput {
            checkpoint,
            subtask,
            sink,
            reports,
            budget,
            overtakes: false,
            has_written: false,
        }
    }

    /// Says that the checkpoint has waited too long for its barriers: they overtake what is on its way.
    #[must_use]
    pub fn overtaking(self, overtakes: bool) -> Self {
        SnapshotOutput { overtakes, ..self }
    }

    /// Whether barriers that are still queued are to overtake what is in front of them.
    #[must_use]
    pub fn overtakes(&self) -> bool {
        self.overtakes
    }

    /// The checkpoint's number.
    #[must_use]
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// How many entries may still be written in this slice: none while the writer is behind.
    #[must_use]
    pub fn budget(&self) -> usize {
        if self.sink.has_room() { self.budget } else { 0 }
    }

    /// Takes so many entries off the budget.
    pub fn spend(&mut self, entries: usize) {
        self.has_written = true;
        self.budget = self.budget.saturating_sub(entries);
    }

    /// Whether something was written in this slice.
    #[must_use]
    pub fn has_written(&self) -> bool {
        self.has_written
    }

    /// Hands `bytes` over as a piece if there are enough of them, or, where they are the `last` ones, any.
    /// The buffer is empty then.
    pub fn put(
        &mut self,
        state: &StateRef,
        (kind, namespace): (PieceKind, i64),
        count: &mut u64,
        bytes: &mut Vec<u8>,
        last: bool,
    ) {
        if bytes.len() < CHUNK_BYTES && !(last && *count > 0) {
            return;
        }
        let chunk = Chunk {
            count: std::mem::take(count),
            bytes: std::mem::take(bytes),
        };
        self.send(state, (kind, namespace), chunk);
        if !last {
            *bytes = self.sink.buffer();
        }
    }

    /// Hands the full ones of some chunks over as pieces, and lends them buffers for others. Returns how many
    /// entries there were.
    pub fn put_chunks(
        &mut self,
        state: &StateRef,
        (kind, namespace): (PieceKind, i64),
        chunks: &mut Chunks,
    ) -> u64 {
        let mut count = 0;
        for chunk in chunks.take_full() {
            count += chunk.count;
            self.send(state, (kind, namespace), chunk);
        }
        for _ in 0..chunks.wanted() {
            chunks.lend(self.sink.buffer());
        }
        count
    }

    fn send(&mut self, state: &StateRef, (kind, namespace): (PieceKind, i64), chunk: Chunk) {
        let piece = Piece {
            state: state.clone(),
            subtask: self.subtask,
            kind,
            namespace,
            count: chunk.count,
            bytes: chunk.bytes,
        };
        self.sink.send(self.checkpoint, piece);
    }

    /// Says that a namespace is gone, with all of its entries.
    pub fn drop_namespace(&mut self, state: &StateRef, namespace: i64) {
        let piece = Piece {
            state: state.clone(),
            subtask: self.subtask,
            kind: PieceKind::Dropped,
            namespace,
            count: 0,
            bytes: Vec::new(),
        };
        self.sink.send(self.checkpoint, piece);
    }

    /// Has `work` done before the checkpoint is complete, off the worker.
    pub fn defer(&mut self, work: Deferred) {
        self.sink.defer(self.checkpoint, work);
    }

    /// Says that all of a state is handed over.
    pub fn report(&mut self, report: StateReport) {
        self.has_written = true;
        self.reports.push(report);
    }
}

impl StateRef {
    /// The state called `state` of `operator`.
    #[must_use]
    pub fn new(operator: &Arc<str>, state: &str) -> Self {
        StateRef {
            operator: Arc::clone(operator),
            state: state.into(),
        }
    }
}
