//! The checkpoint writer: takes the pieces of all subtasks off the workers and puts them into the store.
//!
//! It is driven message by message: by a thread of its own, which is never pinned, or, in step mode, by the
//! caller. Everything that a running job writes of its checkpoints is directed from here.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::checkpoint::{
    CheckpointError, CheckpointStore, Contents, Deferred, Export, FoldTask, Folded, Pending, Piece,
    PieceSink, Restored, Storage,
};
use crate::operator::{Concluded, panic_message};
use crate::state::CHUNK_BYTES;

/// With this many pieces in flight, from all subtasks together, no subtask drains what it froze.
const PIECES_MAX: usize = 32;
/// With this many in flight, subtasks take no records either, since each record may make a table copy what it froze.
/// These pieces and a batch's copies, an eighth of a mebibyte each, are the memory that a checkpoint takes in addition
/// to the state. It suffices for the ten milliseconds that creating a file may take while every record makes a table
/// copy.
const PIECES_FULL: usize = 4 * PIECES_MAX;
/// How many empty buffers are ready before the first piece, for the first checkpoint to use.
const BUFFERS_FIRST: usize = 8;
/// How many empty buffers are kept: as many as are in flight if the writer keeps up, and as many again.
const BUFFERS_MAX: usize = 2 * PIECES_MAX;
/// For every so many pieces in a checkpoint, one buffer is made ready for the next checkpoint.
const PIECES_PER_BUFFER: u64 = 8;

/// A message to the writer.
pub(crate) enum WriterMessage {
    /// A piece of a subtask's snapshot.
    Piece(u64, Piece),
    /// Work to do before a checkpoint is completed.
    Defer(u64, Deferred),
    /// All pieces have been sent: complete the checkpoint. If it is `kept`, it will be copied: until then it stays, even
    /// if newer ones take its place.
    Complete {
        checkpoint: u64,
        contents: Box<Contents>,
        kept: bool,
    },
    /// Discard a checkpoint that will not be completed.
    Abandon(u64),
    /// Discard everything incomplete, and reply with the checkpoint to restore from.
    Restore(Sender<Result<Option<Restored>, CheckpointError>>),
    /// Copy a complete checkpoint.
    Export(u64, Arc<dyn Storage>),
    /// The job has ended: discard what is incomplete, and the checkpoints from the one with the number `discard` on.
    Close { discard: Option<u64> },
}

/// What the writer reports.
#[derive(Debug)]
pub(crate) enum Written {
    /// A checkpoint is complete, or could not be completed.
    Checkpoint(u64, Result<CheckpointSize, String>),
    /// A checkpoint was copied, or could not be.
    Exported(u64, Result<(), String>),
    /// The writer has ended before its job: with this panic.
    Panicked(String),
}

/// How much a checkpoint wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckpointSize {
    /// Entries and values that were written.
    pub entries: u64,
    /// Bytes that were written.
    pub bytes: u64,
}

/// The pieces and buffers in flight, shared by subtasks and writer.
#[derive(Debug, Default)]
struct Traffic {
    pieces: AtomicUsize,
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// A subtask's connection to the writer.
#[derive(Clone, Debug)]
pub(crate) struct PieceSender {
    messages: Sender<WriterMessage>,
    traffic: Arc<Traffic>,
}

impl PieceSink for PieceSender {
    fn has_room(&self) -> bool {
        self.traffic.pieces.load(Ordering::Relaxed) < PIECES_MAX
    }

    fn is_full(&self) -> bool {
        self.traffic.pieces.load(Ordering::Relaxed) >= PIECES_FULL
    }

    fn send(&mut self, checkpoint: u64, piece: Piece) {
        self.traffic.pieces.fetch_add(1, Ordering::Relaxed);
        // The writer outlives all subtasks; it ends only with the job.
        let _ = self.messages.send(WriterMessage::Piece(checkpoint, piece));
    }

    fn defer(&mut self, checkpoint: u64, work: Deferred) {
        let _ = self.messages.send(WriterMessage::Defer(checkpoint, work));
    }

    fn buffer(&mut self) -> Vec<u8> {
        // The writer may have been preempted while it held the lock: allocating is faster than waiting for it.
        let buffers = self.traffic.buffers.try_lock().ok();
        buffers
            .and_then(|mut buffers| buffers.pop())
            .unwrap_or_default()
    }
}

impl Traffic {
    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a buffer back, or frees it if there are enough or if it is small: whoever got a small one would have to
    /// allocate anyway.
    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.buffers();
        if buffer.capacity() >= CHUNK_BYTES && buffers.len() < BUFFERS_MAX {
            buffers.push(buffer);
        }
    }

    /// Ensures that `count` buffers are ready. Their pages are touched here: where the allocator uses huge
    /// pages, the first thread to touch one waits milliseconds until the system has cleared it, and that must not be
    /// a worker.
    fn make_ready(&self, count: usize) {
        while self.buffers().len() < count {
            let mut buffer = Vec::with_capacity(CHUNK_BYTES);
            // Not zeros: zeroed memory comes straight from the system, in pages that nobody has touched yet.
            buffer.resize(CHUNK_BYTES, 0xff);
            self.give_back(buffer);
        }
    }
}

/// A checkpoint whose pieces are arriving.
struct Incoming {
    /// The file that they go into, or why there is none.
    file: Result<Pending, String>,
    size: CheckpointSize,
    work: Vec<Deferred>,
}

/// Writes the checkpoints of one job.
pub(crate) struct CheckpointWriter {
    store: CheckpointStore,
    messages: Receiver<WriterMessage>,
    traffic: Arc<Traffic>,
    incoming: HashMap<u64, Incoming>,
    /// Pieces of these checkpoints come too late.
    concluded: Concluded,
    /// Checkpoints that are yet to be copied.
    kept: HashMap<u64, Export>,
    /// Checkpoints before this one belong to an earlier run, from which this one was not resumed.
    first: u64,
    /// What the job was first restored from, until it has a checkpoint of its own.
    origin: Option<Restored>,
}

/// Creates a writer for `store`, for a job that was restored from `origin` and whose first checkpoint has the number
/// `first`, and the senders to it.
pub(crate) fn checkpoint_writer(
    store: CheckpointStore,
    first: u64,
    origin: Option<Restored>,
) -> (CheckpointWriter, Sender<WriterMessage>, PieceSender) {
    let (sender, messages) = channel();
    let traffic = Arc::new(Traffic::default());
    let pieces = PieceSender {
        messages: sender.clone(),
        traffic: Arc::clone(&traffic),
    };
    let writer = CheckpointWriter {
        store,
        first,
        messages,
        traffic,
        incoming: HashMap::new(),
        concluded: Concluded::default(),
        kept: HashMap::new(),
        origin,
    };
    (writer, sender, pieces)
}

/// Folds on a separate thread; not at all if the operating system refuses one.
fn spawn_fold(fold: FoldTask) -> Option<JoinHandle<Result<Folded, CheckpointError>>> {
    let thread = std::thread::Builder::new().name("thalweg-fold".to_owned());
    thread.spawn(move || fold.run()).ok()
}

/// Copies a checkpoint, to a storage that may be the user's own.
fn run_export(
    checkpoint: u64,
    export: Result<Export, CheckpointError>,
    storage: &Arc<dyn Storage>,
) -> Written {
    let copied = AssertUnwindSafe(|| export?.to(storage));
    let exported = match catch_unwind(copied) {
        Ok(exported) => exported.map_err(|error| error.to_string()),
        Err(payload) => Err(format!("its copy panicked: {}", panic_message(&*payload))),
    };
    Written::Exported(checkpoint, exported)
}

/// Copies a checkpoint on a separate thread; fails if the operating system refuses one.
fn spawn_export(
    checkpoint: u64,
    export: Result<Export, CheckpointError>,
    storage: Arc<dyn Storage>,
    tell: impl Fn(Written) + Clone + Send + 'static,
) -> Option<JoinHandle<()>> {
    let refused = tell.clone();
    let thread = std::thread::Builder::new().name("thalweg-export".to_owned());
    let thread = thread.spawn(move || tell(run_export(checkpoint, export, &storage)));
    match thread {
        Ok(thread) => Some(thread),
        Err(error) => {
            refused(Written::Exported(checkpoint, Err(error.to_string())));
            None
        }
    }
}

impl CheckpointWriter {
    /// Processes messages until the job ends. Meanwhile, chains are folded and checkpoints copied on other threads,
    /// so that pieces need not wait for that.
    pub(crate) fn run(mut self, tell: impl Fn(Written) + Clone + Send + 'static) {
        let mut folding: Option<JoinHandle<Result<Folded, CheckpointError>>> = None;
        let mut exporting = Vec::new();
        self.traffic.make_ready(BUFFERS_FIRST);
        while let Ok(message) = self.messages.recv() {
            if let WriterMessage::Export(checkpoint, storage) = message {
                exporting.retain(|thread: &JoinHandle<()>| !thread.is_finished());
                let export = self.export(checkpoint);
                exporting.extend(spawn_export(checkpoint, export, storage, tell.clone()));
                continue;
            }
            let is_last = matches!(message, WriterMessage::Close { .. });
            if is_last || folding.as_ref().is_some_and(JoinHandle::is_finished) {
                // A fold in progress uses files: the directory must not be released before it ends.
                let folded = folding.take().map(JoinHandle::join);
                folded
                    .into_iter()
                    .flatten()
                    .for_each(|folded| self.attach(folded));
            }
            if is_last {
                // So does an export.
                exporting.drain(..).map(JoinHandle::join).for_each(drop);
            }
            let completes = matches!(message, WriterMessage::Complete { .. });
            self.take(message).into_iter().for_each(&tell);
            if is_last {
                return;
            }
            if completes && folding.is_none() {
                folding = self.store.plan_fold().and_then(spawn_fold);
            }
        }
    }

    /// Processes the next message, if there is one. Returns whether there was.
    pub(crate) fn step(&mut self, tell: impl FnMut(Written)) -> bool {
        match self.messages.try_recv() {
            Ok(message) => {
                let completes = matches!(message, WriterMessage::Complete { .. });
                self.take(message).into_iter().for_each(tell);
                if completes && let Some(fold) = self.store.plan_fold() {
                    self.attach(fold.run());
                }
                true
            }
            Err(_) => false,
        }
    }

    fn take(&mut self, message: WriterMessage) -> Option<Written> {
        match message {
            WriterMessage::Piece(checkpoint, piece) => self.append(checkpoint, piece),
            WriterMessage::Defer(checkpoint, work) => {
                if let Some(incoming) = self.incoming(checkpoint) {
                    incoming.work.push(work);
                }
            }
            WriterMessage::Complete {
                checkpoint,
                contents,
                kept,
            } => {
                let completed = self.complete(checkpoint, *contents);
                if kept && let Ok(export) = self.store.export(checkpoint) {
                    self.kept.insert(checkpoint, export);
                }
                return Some(Written::Checkpoint(checkpoint, completed));
            }
            WriterMessage::Abandon(checkpoint) => {
                self.concluded.abort(checkpoint);
                self.abandon(checkpoint);
            }
            WriterMessage::Restore(reply) => {
                let _ = reply.send(self.restore());
            }
            WriterMessage::Export(checkpoint, storage) => {
                let export = self.export(checkpoint);
                return Some(run_export(checkpoint, export, &storage));
            }
            WriterMessage::Close { discard } => self.close(discard),
        }
        None
    }

    /// Prepares the copy of a checkpoint.
    fn export(&mut self, checkpoint: u64) -> Result<Export, CheckpointError> {
        match self.kept.remove(&checkpoint) {
            Some(export) => Ok(export),
            None => self.store.export(checkpoint),
        }
    }

    /// The checkpoint that pieces belong to; `None` if it is completed or aborted.
    fn incoming(&mut self, checkpoint: u64) -> Option<&mut Incoming> {
        if self.concluded.contains(checkpoint) {
            return None;
        }
        let store = &mut self.store;
        Some(self.incoming.entry(checkpoint).or_insert_with(|| Incoming {
            file: store.begin(checkpoint).map_err(|error| error.to_string()),
            size: CheckpointSize::default(),
            work: Vec::new(),
        }))
    }

    fn append(&mut self, checkpoint: u64, piece: Piece) {
        if let Some(incoming) = self.incoming(checkpoint)
            && let Ok(file) = &mut incoming.file
        {
            incoming.size.entries += piece.count;
            incoming.size.bytes += piece.bytes.len() as u64;
            if let Err(error) = file.append(&piece) {
                let failed = std::mem::replace(&mut incoming.file, Err(error.to_string()));
                if let Ok(file) = failed {
                    self.store.abandon(file);
                }
            }
        }
        self.traffic.pieces.fetch_sub(1, Ordering::Relaxed);
        self.traffic.give_back(piece.bytes);
    }

    fn complete(&mut self, checkpoint: u64, contents: Contents) -> Result<CheckpointSize, String> {
        // A checkpoint of a job without state has no pieces.
        let known = self.incoming(checkpoint).is_some();
        let incoming = self.incoming.remove(&checkpoint).filter(|_| known);
        self.concluded.conclude(checkpoint);
        let Incoming { file, size, work } = incoming.ok_or("it was given up before")?;
        let file = file?;
        for work in work {
            let done = catch_unwind(AssertUnwindSafe(work));
            let done = done.unwrap_or_else(|payload| {
                let message = panic_message(&*payload);
                Err(format!("a sink panicked before it was completed: {message}").into())
            });
            if let Err(error) = done {
                self.store.abandon(file);
                return Err(error.to_string());
            }
        }
        let completed = self.store.complete(file, contents);
        completed.map_err(|error| error.to_string())?;
        // From now on the job is restored from its own checkpoints.
        self.origin = None;
        let wanted = size.bytes / CHUNK_BYTES as u64 / PIECES_PER_BUFFER;
        self.traffic.make_ready(BUFFERS_MAX.min(wanted as usize));
        Ok(size)
    }

    /// Attaches folded chains: they are used from the next checkpoint on.
    fn attach(&mut self, folded: Result<Folded, CheckpointError>) {
        match folded {
            Ok(folded) => self.store.attach(folded),
            // Nothing is lost: chains stay as they are, and folding is tried again.
            Err(error) => tracing::warn!(%error, "deltas could not be folded into bases"),
        }
    }

    fn abandon(&mut self, checkpoint: u64) {
        self.kept.remove(&checkpoint);
        if let Some(Incoming { file: Ok(file), .. }) = self.incoming.remove(&checkpoint) {
            self.store.abandon(file);
        }
    }

    fn abandon_all(&mut self) {
        self.kept.clear();
        let incoming: Vec<u64> = self.incoming.keys().copied().collect();
        for checkpoint in incoming {
            self.concluded.conclude(checkpoint);
            self.abandon(checkpoint);
        }
    }

    fn restore(&mut self) -> Result<Option<Restored>, CheckpointError> {
        self.abandon_all();
        let own = self.store.restore_newest_since(self.first)?;
        Ok(own.or_else(|| self.origin.clone()))
    }

    fn close(&mut self, discard: Option<u64>) {
        self.abandon_all();
        self.store.discard_spare();
        if let Some(since) = discard
            && let Err(error) = self.store.discard_since(since)
        {
            tracing::warn!(%error, "the checkpoints of a cancelled job could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{HeapStorage, PieceKind, StateRef, StoreOptions};

    /// Takes buffers for as long as they come with memory.
    fn take_ready(pieces: &mut PieceSender) -> Vec<Vec<u8>> {
        let buffers = std::iter::repeat_with(|| pieces.buffer());
        buffers
            .take_while(|buffer| buffer.capacity() >= CHUNK_BYTES)
            .collect()
    }

    #[test]
    fn buffers_are_ready_before_a_worker_asks_for_them_and_come_back() {
        let store = CheckpointStore::open(Arc::new(HeapStorage::new()), StoreOptions::default());
        let (writer, messages, mut pieces) = checkpoint_writer(store.unwrap(), 1, None);
        let thread = std::thread::spawn(move || writer.run(|_| {}));
        let settle = || {
            let (reply, answer) = channel();
            messages.send(WriterMessage::Restore(reply)).unwrap();
            answer.recv().unwrap().unwrap();
        };
        settle();
        let mut first = take_ready(&mut pieces);
        assert_eq!(first.len(), BUFFERS_FIRST);
        assert!(first.iter().all(Vec::is_empty));
        let piece = Piece {
            state: StateRef::new(&"sums".into(), "sum"),
            subtask: 0,
            kind: PieceKind::Set,
            namespace: 0,
            count: 1,
            bytes: first.pop().unwrap(),
        };
        pieces.send(1, piece);
        settle();
        assert_eq!(take_ready(&mut pieces).len(), 1, "the one that came back");
        messages
            .send(WriterMessage::Close { discard: None })
            .unwrap();
        thread.join().unwrap();
    }
}
