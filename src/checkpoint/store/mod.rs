//! The store of one job's checkpoints.
//!
//! ```text
//! begin ─► Pending ─ append(piece) … ─► complete(contents) ─► it counts
//!             └────── abandon                  └─ error ─► nothing has changed
//!
//! complete: segment: sync │ manifest aside: write, sync │ rename │ directory: sync │ it counts │ old ones go
//! ```
//! Only one process writes: the store holds the directory's lock. Until the directory is synced, the new checkpoint
//! does not count and nothing is removed; whatever fails, earlier checkpoints stay as they were. A checkpoint that is
//! found damaged is *rejected*, by number and with its cause, and the one before it is used.
//!
//! Unreferenced files are removed in two steps, so that no power loss leaves a manifest without its segments: manifests
//! after the sync of one checkpoint, their segments after the sync of the next. One such segment is kept as a *spare*,
//! whose file the next segment takes over, see [`Storage::reuse`]. Opening a store keeps one spare in the same way, and
//! removes all other segments that no manifest names, unless a checkpoint is rejected.

mod complete;
mod opening;
mod retention;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use super::error::CheckpointError;
use super::files::CheckpointFiles;
use super::fold::{FoldQueue, FoldTask, Folded, is_due};
use super::format::{Origin, SegmentHeader};
use super::manifest::{Manifest, OperatorInfo};
use super::piece::{Piece, StateRef};
use super::restored::{Rejected, Restored};
use super::savepoint::Export;
use super::segment_writer::{SegmentWriter, remove_leftover, segment_name};
use super::snapshot::StateReport;
use super::storage::{DirectoryLock, Storage};
use crate::record::KeyHasher;
use crate::state::HashOfKey;
pub(super) use complete::write_manifest;
pub(super) use opening::{list, lock, usable};
use retention::Retention;
pub(super) use retention::{FileName, Pin, aside_name};

/// The most space that is allocated ahead, whatever the size of the last checkpoint.
const EXPECTED_BYTES_MAX: u64 = 64 << 20;

/// How checkpoints are written, retained and folded.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// How many complete checkpoints are retained: at least 1.
    pub retained: usize,
    /// How the job hashes keys.
    pub hasher: KeyHasher,
    /// How many bytes are allocated ahead for the first checkpoint; later ones go by the one before.
    pub segment_bytes: u64,
    /// A chain is folded when more than this many links follow its first.
    pub deltas_max: usize,
    /// A chain of at least this many bytes is folded when its changes are larger than its first link.
    pub fold_bytes_min: u64,
    /// About how many bytes of memory a fold uses.
    pub fold_memory: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            retained: 2,
            hasher: KeyHasher::default(),
            segment_bytes: 1 << 20,
            deltas_max: 8,
            fold_bytes_min: 1 << 20,
            fold_memory: 8 << 20,
        }
    }
}

/// One subtask's reports on the states of its operators.
#[derive(Clone, Debug)]
pub struct SubtaskReport {
    /// The subtask's index.
    pub subtask: u32,
    /// The reports on all of its states.
    pub states: Vec<StateReport>,
}

/// The contents of a complete checkpoint, apart from its pieces.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The complete checkpoint that incremental changes are based on.
    pub parent: Option<u64>,
    /// Whether it was taken as a savepoint.
    pub is_savepoint: bool,
    /// When it was begun, in milliseconds since 1970.
    pub started_ms: u64,
    /// When all of it had been handed over, in milliseconds since 1970.
    pub completed_ms: u64,
    /// Every operator that has state.
    pub operators: Vec<OperatorInfo>,
    /// The reports of all subtasks.
    pub reports: Vec<SubtaskReport>,
}

/// A complete checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completed {
    /// Its number.
    pub checkpoint: u64,
    /// How many bytes were written for it.
    pub bytes_written: u64,
    /// How many entries it holds in all, every change counted.
    pub entries: u64,
    /// How many bytes of state it holds in all.
    pub bytes: u64,
}

/// A checkpoint in progress.
#[derive(Debug)]
pub struct Pending {
    checkpoint: u64,
    /// The number of its segment.
    number: u64,
    storage: Arc<dyn Storage>,
    header: SegmentHeader,
    expected: u64,
    /// The number of the old segment whose file it takes over.
    old: Option<u64>,
    /// Created once there is something to write.
    segment: Option<SegmentWriter>,
    failed: bool,
}

impl Pending {
    /// Its number.
    #[must_use]
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Writes a piece. After an error the checkpoint cannot be completed.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`], [`CheckpointError::Storage`].
    pub fn append(&mut self, piece: &Piece) -> Result<(), CheckpointError> {
        if self.failed {
            let checkpoint = self.checkpoint;
            return Err(CheckpointError::Incomplete { checkpoint });
        }
        let result = self.write(piece);
        self.failed = result.is_err();
        result
    }

    fn write(&mut self, piece: &Piece) -> Result<(), CheckpointError> {
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => {
                let create =
                    |bytes, old| SegmentWriter::create(&self.storage, self.header, bytes, old);
                let segment = match create(self.expected, self.old.take()) {
                    // It may have become smaller than the previous one: ask only for what is needed.
                    Err(CheckpointError::NoSpace { .. }) => create(piece.bytes.len() as u64, None),
                    result => result,
                };
                none.insert(segment?)
            }
        };
        segment.append(&piece.state, piece.as_ref())
    }

    fn discard(self) {
        if let Some(segment) = self.segment {
            segment.discard();
        }
        if let Some(old) = self.old {
            remove_leftover(&*self.storage, &segment_name(old));
        }
    }
}

/// The checkpoints of one job, in one directory.
#[derive(Debug)]
pub struct CheckpointStore {
    storage: Arc<dyn Storage>,
    options: StoreOptions,
    lock: Box<dyn DirectoryLock>,
    /// The usable checkpoints, by number.
    completed: BTreeMap<u64, Manifest>,
    rejected: Vec<Rejected>,
    /// The number of the next file; numbers are never used twice.
    next_number: u64,
    /// How long the last segment was.
    last_length: u64,
    retention: Retention,
    folds: FoldQueue,
    /// Alive while a fold is in progress or waiting: only one at a time.
    fold: Weak<Vec<u64>>,
    /// How keys are hashed, as far as subtasks have reported.
    hashes: BTreeMap<StateRef, HashOfKey>,
}

impl CheckpointStore {
    /// The unusable checkpoints, newest first.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The complete checkpoints, oldest first.
    pub fn completed(&self) -> impl Iterator<Item = &Manifest> {
        self.completed.values()
    }

    /// The newest complete checkpoint.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.completed.last_key_value().map(|(number, _)| *number)
    }

    /// What tells this directory from all others, as [`DirectoryLock::identity`].
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.lock.identity()
    }

    /// A number greater than that of every checkpoint ever found here.
    #[must_use]
    pub fn next_checkpoint(&self) -> u64 {
        self.largest() + 1
    }

    fn largest(&self) -> u64 {
        let rejected = self.rejected.iter().map(|rejected| rejected.checkpoint);
        rejected.chain(self.newest()).max().unwrap_or(0)
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    fn header(&self, number: u64, checkpoint: u64) -> SegmentHeader {
        SegmentHeader {
            origin: Origin::of(&self.options.hasher),
            number,
            checkpoint,
        }
    }

    /// Sets how keys are hashed: as in the checkpoint that the job is restored from.
    pub(crate) fn set_hasher(&mut self, hasher: KeyHasher) {
        self.options.hasher = hasher;
    }

    /// Begins a checkpoint. Several may be pending.
    ///
    /// # Errors
    /// [`CheckpointError::NotNewer`] if there is one with this or a larger number.
    pub fn begin(&mut self, checkpoint: u64) -> Result<Pending, CheckpointError> {
        let newest = self.largest();
        if checkpoint <= newest {
            return Err(CheckpointError::NotNewer { checkpoint, newest });
        }
        let number = self.take_number();
        Ok(Pending {
            checkpoint,
            number,
            storage: Arc::clone(&self.storage),
            header: self.header(number, checkpoint),
            expected: self.expected_length(),
            old: self.retention.take_spare(),
            segment: None,
            failed: false,
        })
    }

    /// How many bytes are allocated ahead: as for the last checkpoint, within bounds.
    fn expected_length(&self) -> u64 {
        let like_last = (self.last_length / 8 * 9).min(EXPECTED_BYTES_MAX);
        like_last.max(self.options.segment_bytes)
    }

    /// Aborts a checkpoint and discards everything written for it.
    pub fn abandon(&mut self, pending: Pending) {
        pending.discard();
    }

    /// Opens a checkpoint to restore from. Its blocks are checked as they are read.
    ///
    /// # Errors
    /// [`CheckpointError::Unknown`]; file errors and damage.
    pub fn restore(&self, checkpoint: u64) -> Result<Restored, CheckpointError> {
        let manifest = self.manifest(checkpoint)?;
        let files = CheckpointFiles::open(&*self.storage, manifest.clone())?;
        Ok(Restored::new(Arc::new(files)))
    }

    fn manifest(&self, checkpoint: u64) -> Result<&Manifest, CheckpointError> {
        let manifest = self.completed.get(&checkpoint);
        manifest.ok_or_else(|| CheckpointError::Unknown {
            checkpoint,
            place: self.storage.place(),
        })
    }

    /// Returns the newest usable checkpoint, after checking every byte of it; none if the directory has never held one.
    /// Those found unusable are among the [`rejected`](Self::rejected) then.
    ///
    /// # Errors
    /// [`CheckpointError::NoneUsable`]: there are checkpoints, and starting afresh would lose them.
    /// [`CheckpointError::Storage`]: one cannot be read just now, and restoring from an older one would lose it.
    pub fn restore_newest(&mut self) -> Result<Option<Restored>, CheckpointError> {
        self.restore_newest_since(0)
    }

    /// As [`restore_newest`](Self::restore_newest), but ignores checkpoints below `first`, which belong to other runs.
    pub(crate) fn restore_newest_since(
        &mut self,
        first: u64,
    ) -> Result<Option<Restored>, CheckpointError> {
        self.withdraw_failed()?;
        while let Some(entry) = self
            .completed
            .last_entry()
            .filter(|entry| *entry.key() >= first)
        {
            let checked = CheckpointFiles::open(&*self.storage, entry.get().clone())
                .and_then(|files| files.verify().map(|_| files));
            match checked {
                Ok(files) => {
                    let restored = Restored::new(Arc::new(files));
                    let checkpoint = restored.checkpoint();
                    let newer = |r: &&Rejected| r.checkpoint > checkpoint;
                    let passed_over = self.rejected.iter().take_while(newer).cloned();
                    return Ok(Some(restored.passing_over(passed_over.collect())));
                }
                Err(cause) if !cause.is_damage() => return Err(cause),
                Err(cause) => {
                    let checkpoint = entry.remove().checkpoint;
                    self.reject(checkpoint, cause);
                }
            }
        }
        let mut own = self.rejected.iter().filter(|r| r.checkpoint >= first);
        let Some(newest) = own.next() else {
            return Ok(None);
        };
        Err(CheckpointError::NoneUsable {
            place: self.storage.place(),
            count: 1 + own.count(),
            newest: newest.checkpoint,
            cause: Arc::clone(&newest.cause),
        })
    }

    /// Returns the chains to fold now, if any are due and no fold is in progress.
    pub fn plan_fold(&mut self) -> Option<FoldTask> {
        let (_, newest) = self.completed.last_key_value()?;
        if self.fold.strong_count() > 0 {
            return None;
        }
        let mut chains = Vec::new();
        for (state, entry) in &newest.states {
            let Some(hash) = self.hashes.get(state) else {
                continue;
            };
            let due = entry
                .chains
                .iter()
                .filter(|(_, chain)| is_due(chain, &self.options));
            chains.extend(due.map(|(subtask, _)| (state.clone(), *hash, *subtask)));
        }
        if chains.is_empty() {
            return None;
        }
        let manifest = newest.clone();
        let pin = self.retention.pin(&manifest);
        self.fold = Arc::downgrade(&pin);
        let number = self.take_number();
        // The next number is the scratch file's.
        self.take_number();
        Some(FoldTask {
            storage: Arc::clone(&self.storage),
            header: self.header(number, manifest.checkpoint),
            manifest,
            hasher: self.options.hasher,
            memory: self.options.fold_memory,
            chains,
            pin,
        })
    }

    /// Attaches a finished fold: the next checkpoint builds on it.
    pub fn attach(&mut self, folded: Folded) {
        if let Some(unused) = self.folds.attach(folded) {
            self.retention.discard(segment_name(unused));
        }
    }

    /// Prepares the export of a checkpoint as a savepoint. Its segments are kept until the export is dropped.
    ///
    /// # Errors
    /// [`CheckpointError::Unknown`].
    pub fn export(&mut self, checkpoint: u64) -> Result<Export, CheckpointError> {
        let manifest = self.manifest(checkpoint)?.clone();
        Ok(Export {
            storage: Arc::clone(&self.storage),
            _pin: self.retention.pin(&manifest),
            manifest,
            hasher: self.options.hasher,
            hashes: self.hashes.clone(),
            memory: self.options.fold_memory,
        })
    }

    fn reject(&mut self, checkpoint: u64, cause: CheckpointError) {
        tracing::warn!(checkpoint, error = %cause, "a checkpoint cannot be used");
        let cause = Arc::new(cause);
        self.rejected.push(Rejected { checkpoint, cause });
        self.rejected
            .sort_by_key(|rejected| std::cmp::Reverse(rejected.checkpoint));
        self.retention.keep_unnamed();
    }
}
