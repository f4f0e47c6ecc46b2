//! Opens a store: takes the lock and finds the usable checkpoints.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use super::retention::{FileName, Retention};
use super::{CheckpointStore, StoreOptions};
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::files::CheckpointFiles;
use crate::checkpoint::fold::FoldQueue;
use crate::checkpoint::manifest::Manifest;
use crate::checkpoint::storage::{DirectoryLock, Storage};

/// The numbers of the checkpoints that have a manifest, newest first, and the largest number in any other file's name.
pub(in crate::checkpoint) fn list(
    storage: &dyn Storage,
) -> Result<(Vec<u64>, u64), CheckpointError> {
    let names = storage.list();
    let names = names.map_err(|cause| CheckpointError::storage("list", &storage.place(), cause))?;
    let (mut checkpoints, mut largest) = (Vec::new(), 0);
    for name in &names {
        match FileName::parse(name) {
            Some(FileName::Manifest(checkpoint)) => checkpoints.push(checkpoint),
            Some(FileName::Segment(number) | FileName::Aside(number)) => {
                largest = largest.max(number)
            }
            None => {}
        }
    }
    checkpoints.sort_unstable_by(|a, b| b.cmp(a));
    Ok((checkpoints, largest))
}

/// Takes the lock for writing.
pub(in crate::checkpoint) fn lock(
    storage: &dyn Storage,
) -> Result<Box<dyn DirectoryLock>, CheckpointError> {
    let place = storage.place();
    storage.lock().map_err(|cause| match cause.kind() {
        io::ErrorKind::WouldBlock => CheckpointError::Locked { place },
        _ => CheckpointError::storage("lock", &place, cause),
    })
}

impl CheckpointStore {
    /// Opens the store of a directory: takes its lock, finds the usable checkpoints, and removes what an earlier
    /// process left behind.
    ///
    /// # Errors
    /// [`CheckpointError::Locked`] if another process writes there; [`CheckpointError::Storage`]. Damaged checkpoints
    /// are not an error: they are [`rejected`](Self::rejected). One that cannot be read for another reason is, because
    /// restoring from an older one would lose it.
    pub fn open(storage: Arc<dyn Storage>, options: StoreOptions) -> Result<Self, CheckpointError> {
        let place = storage.place();
        let lock = lock(&*storage)?;
        // A killed process may have renamed a manifest without syncing the directory: checkpoints that build on it from
        // now on must not outlive it.
        let synced = storage.sync_directory();
        synced.map_err(|cause| CheckpointError::storage("sync", &place, cause))?;
        let (checkpoints, largest) = list(&*storage)?;
        let mut store = CheckpointStore {
            storage,
            options,
            lock,
            completed: BTreeMap::new(),
            rejected: Vec::new(),
            next_number: largest + 1,
            last_length: 0,
            retention: Retention::default(),
            folds: FoldQueue::default(),
            fold: Weak::new(),
            hashes: BTreeMap::new(),
        };
        store.find(&checkpoints)?;
        Ok(store)
    }

    fn find(&mut self, checkpoints: &[u64]) -> Result<(), CheckpointError> {
        let mut rejected = Vec::new();
        for checkpoint in checkpoints {
            match usable(&*self.storage, *checkpoint) {
                Ok(manifest) => {
                    self.completed.insert(*checkpoint, manifest);
                }
                Err(cause) if cause.is_damage() => rejected.push((*checkpoint, cause)),
                Err(cause) => return Err(cause),
            }
        }
        let segments = self
            .completed
            .values()
            .flat_map(|manifest| &manifest.segments);
        let largest = segments.clone().map(|segment| segment.number).max();
        self.next_number = self.next_number.max(largest.unwrap_or(0) + 1);
        if let Some(newest) = self.completed.values().next_back() {
            let own = newest
                .segments
                .iter()
                .rfind(|s| s.checkpoint == newest.checkpoint);
            self.last_length = own.map_or(0, |segment| segment.length);
        }
        self.retention = Retention::new(self.next_number);
        for (checkpoint, cause) in rejected {
            self.reject(checkpoint, cause);
        }
        // A rejected checkpoint, should it be repaired, may need files that no other names.
        if self.rejected.is_empty() && self.sweep().is_err() {
            self.retention.keep_unnamed();
        }
        Ok(())
    }
}

/// The manifest of a checkpoint, after checking that its segments exist and have valid headers and indexes.
pub(in crate::checkpoint) fn usable(
    storage: &dyn Storage,
    checkpoint: u64,
) -> Result<Manifest, CheckpointError> {
    let manifest = Manifest::load(storage, checkpoint)?;
    CheckpointFiles::open(storage, manifest).map(CheckpointFiles::into_manifest)
}
