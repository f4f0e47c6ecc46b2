//! `SnapshotOutput`: where an operator writes its frozen state.

use std::cell::Cell;
use std::sync::Arc;

use super::piece::{Piece, PieceKind, StateRef};
use crate::state::{CHUNK_BYTES, Chunk, Chunks, HashOfKey, StateSchema};

/// Work that must be done before a checkpoint completes, but not on a worker, such as syncing a sink's file.
pub type Deferred =
    Box<dyn FnOnce() -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send>;

/// Receives the pieces of a subtask's snapshots.
pub trait PieceSink {
    /// Whether the sink wants another piece now. One that is sent anyway is accepted.
    fn has_room(&self) -> bool;

    /// Whether so many pieces are in flight that no work should be done that creates more.
    fn is_full(&self) -> bool;

    /// Sends a piece of a checkpoint.
    fn send(&mut self, checkpoint: u64, piece: Piece);

    /// Registers work that must be done before the checkpoint completes.
    fn defer(&mut self, checkpoint: u64, work: Deferred);

    /// Returns an empty buffer, reusing a returned one's memory where possible.
    fn buffer(&mut self) -> Vec<u8>;
}

/// A subtask's report on a state, once all of it has been handed over.
#[derive(Clone, Debug)]
pub struct StateReport {
    /// Which state.
    pub state: StateRef,
    /// Its schema.
    pub schema: StateSchema,
    /// Computes the hashes of its keys, if it is keyed.
    pub hash_of_key: Option<HashOfKey>,
    /// Whether the pieces are the whole state; otherwise they are the changes since the previous checkpoint.
    pub is_whole: bool,
    /// How many entries it had at the barrier, if restoring it needs to reserve room for them.
    pub entries: Option<u64>,
}

impl StateReport {
    /// The report of a non-keyed state, which is whole at every checkpoint.
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

/// Where an operator writes its frozen state, in slices.
pub struct SnapshotOutput<'a> {
    checkpoint: u64,
    subtask: u32,
    sink: &'a mut dyn PieceSink,
    reports: &'a mut Vec<StateReport>,
    budget: usize,
    overtakes: bool,
    has_written: bool,
    /// Whether an operator asked for room when there was none.
    was_short: Cell<bool>,
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
    /// One slice of a subtask's snapshot for a checkpoint, of about `budget` entries.
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
            was_short: Cell::new(false),
        }
    }

    /// Sets whether the checkpoint has waited too long for its barriers, so that they overtake records in flight.
    #[must_use]
    pub fn overtaking(self, overtakes: bool) -> Self {
        SnapshotOutput { overtakes, ..self }
    }

    /// Whether barriers that are still queued are to overtake the records in front of them.
    #[must_use]
    pub fn overtakes(&self) -> bool {
        self.overtakes
    }

    /// The checkpoint's number.
    #[must_use]
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// How many entries may still be written in this slice; 0 while the sink has no room.
    #[must_use]
    pub fn budget(&self) -> usize {
        let budget = if self.sink.has_room() { self.budget } else { 0 };
        self.was_short.set(self.was_short.get() || budget == 0);
        budget
    }

    /// Whether nothing was written in this slice although there was room whenever an operator asked: whoever is not done
    /// waits for something else. There may be room now where there was none then, as pieces are taken on another thread.
    pub(crate) fn nothing_to_write(&self) -> bool {
        !self.has_written && !self.was_short.get()
    }

    /// Takes `entries` off the budget.
    pub fn spend(&mut self, entries: usize) {
        self.has_written = true;
        self.budget = self.budget.saturating_sub(entries);
    }

    /// Whether anything was written in this slice.
    #[must_use]
    pub fn has_written(&self) -> bool {
        self.has_written
    }

    /// Hands `bytes` over as a piece if they fill one, or, if they are the `last`, whatever their size. The buffer is
    /// empty afterwards.
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

    /// Hands the full chunks over as pieces and lends them new buffers. Returns how many entries they held.
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

    /// Records that a namespace was dropped with all of its entries.
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

    /// Has `work` done off the worker before the checkpoint completes.
    pub fn defer(&mut self, work: Deferred) {
        self.sink.defer(self.checkpoint, work);
    }

    /// Reports that all of a state has been handed over.
    pub fn report(&mut self, report: StateReport) {
        self.has_written = true;
        self.reports.push(report);
    }
}

impl StateRef {
    /// The state named `state` of `operator`.
    #[must_use]
    pub fn new(operator: &Arc<str>, state: &str) -> Self {
        StateRef {
            operator: Arc::clone(operator),
            state: state.into(),
        }
    }
}
