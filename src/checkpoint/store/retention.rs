//! Decides which files are no longer needed, and when they are removed.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Weak};

use super::CheckpointStore;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::manifest::{Manifest, manifest_name};
use crate::checkpoint::segment_writer::{remove_leftover, segment_name};
use crate::checkpoint::storage::Storage;

/// Segments that are being read: they are kept until it is dropped.
pub(in crate::checkpoint) type Pin = Arc<Vec<u64>>;

/// The files to be removed.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// Files that nothing on disk names once the directory has been synced.
    garbage: Vec<String>,
    /// Segments that a manifest among the garbage may name: they become garbage when that is gone.
    behind: Vec<String>,
    /// Files with smaller numbers existed before the store was opened.
    first_number: u64,
    /// Whether such files are kept although no usable checkpoint names them, because a rejected one may.
    unswept: bool,
    pins: Vec<Weak<Vec<u64>>>,
    /// An unreferenced segment whose file the next one takes over.
    spare: Option<u64>,
}

impl Retention {
    pub(super) fn new(first_number: u64) -> Self {
        Retention {
            first_number,
            ..Retention::default()
        }
    }

    /// Keeps files that no usable checkpoint names until enough newer checkpoints are complete.
    pub(super) fn keep_unnamed(&mut self) {
        self.unswept = true;
    }

    /// Has a file removed after the next sync of the directory.
    pub(super) fn discard(&mut self, name: String) {
        self.garbage.push(name);
    }

    /// Has a segment removed after the next sync but one: after that of the removal of its manifest.
    pub(super) fn discard_behind(&mut self, name: String) {
        self.behind.push(name);
    }

    /// Takes the segment whose file a new one may take over.
    pub(super) fn take_spare(&mut self) -> Option<u64> {
        self.spare.take()
    }

    /// Keeps the segments of a checkpoint until the pin is dropped.
    pub(super) fn pin(&mut self, manifest: &Manifest) -> Pin {
        let segments = manifest.segments.iter().map(|segment| segment.number);
        let pin = Arc::new(segments.collect());
        self.pins.push(Arc::downgrade(&pin));
        pin
    }
}

/// A parsed file name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::checkpoint) enum FileName {
    Manifest(u64),
    Segment(u64),
    /// A manifest under its temporary name.
    Aside(u64),
}

/// The temporary name of a manifest.
pub(in crate::checkpoint) fn aside_name(number: u64) -> String {
    format!("new-{number:010}")
}

impl FileName {
    pub(in crate::checkpoint) fn parse(name: &str) -> Option<Self> {
        let (kind, number) = name.split_once('-')?;
        let number = number.parse().ok()?;
        let parsed = match kind {
            "manifest" => FileName::Manifest(number),
            "segment" => FileName::Segment(number),
            "new" => FileName::Aside(number),
            _ => return None,
        };
        // A name that is spelled differently is not one of ours.
        let spelled = match parsed {
            FileName::Manifest(number) => manifest_name(number),
            FileName::Segment(number) => segment_name(number),
            FileName::Aside(number) => aside_name(number),
        };
        (spelled == name).then_some(parsed)
    }
}

/// Removes a file; it is no error if it is gone already.
fn remove_if_there(storage: &dyn Storage, name: &str) -> io::Result<()> {
    match storage.remove(name) {
        Err(cause) if storage.open(name).is_ok() => Err(cause),
        _ => Ok(()),
    }
}

impl CheckpointStore {
    /// Removes the checkpoints from number `since` on: those of a cancelled job that is to leave none. Manifests are
    /// removed first, the newest last, so that an interruption leaves only whole checkpoints.
    ///
    /// # Errors
    /// [`CheckpointError::Storage`] where a file cannot be removed.
    pub fn discard_since(&mut self, since: u64) -> Result<(), CheckpointError> {
        let completed = self.completed.split_off(&since);
        let manifests = completed.keys().map(|number| manifest_name(*number));
        let segments = completed.values().flat_map(|manifest| &manifest.segments);
        let segments: BTreeSet<u64> = segments.map(|segment| segment.number).collect();
        let segments = &segments - &self.named();
        for name in manifests.chain(segments.into_iter().map(segment_name)) {
            let removed = self.storage.remove(&name);
            removed.map_err(|cause| CheckpointError::storage("remove", &name, cause))?;
        }
        self.discard_garbage();
        Ok(())
    }

    /// Removes, where possible, what waits for a sync of the directory after which it may be removed, and what was folded
    /// for the next checkpoint: there will be none, this is the end.
    fn discard_garbage(&mut self) {
        let used = &self.named() | &self.pinned();
        let is_used = |name: &String| match FileName::parse(name) {
            Some(FileName::Manifest(checkpoint)) => self.completed.contains_key(&checkpoint),
            Some(FileName::Segment(number)) => used.contains(&number),
            _ => false,
        };
        let mut left = std::mem::take(&mut self.retention.garbage);
        // Manifests come first: the segments behind them may be theirs.
        left.append(&mut self.retention.behind);
        left.extend(self.folds.segment().map(|info| segment_name(info.number)));
        for name in left.iter().filter(|name| !is_used(name)) {
            remove_leftover(&*self.storage, name);
        }
    }

    /// Removes manifests that were published although their checkpoints were reported as failed: a job that goes on
    /// from an older checkpoint takes back what was prepared for those, so nobody may find them later.
    ///
    /// # Errors
    /// [`CheckpointError::Storage`] if one of them may survive.
    pub(super) fn withdraw_failed(&mut self) -> Result<(), CheckpointError> {
        let completed = &self.completed;
        let has_failed = |name: &mut String| match FileName::parse(name) {
            Some(FileName::Manifest(checkpoint)) => !completed.contains_key(&checkpoint),
            _ => false,
        };
        let failed: Vec<_> = (self.retention.garbage)
            .extract_if(.., has_failed)
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        // It may never have got its name.
        let remove = |name: &String| {
            let removed = remove_if_there(&*self.storage, name);
            removed.map_err(|cause| CheckpointError::storage("remove", name, cause))
        };
        let withdrawn = failed.iter().try_for_each(remove).and_then(|()| {
            let synced = self.storage.sync_directory();
            synced.map_err(|cause| CheckpointError::storage("sync", &self.storage.place(), cause))
        });
        if withdrawn.is_err() {
            self.retention.garbage.extend(failed);
        }
        withdrawn
    }

    /// The numbers of the segments that complete checkpoints name.
    fn named(&self) -> BTreeSet<u64> {
        let segments = self
            .completed
            .values()
            .flat_map(|manifest| &manifest.segments);
        segments.map(|segment| segment.number).collect()
    }

    /// The numbers of all segments to keep: also those that are being read, wait to be named, or are spare.
    fn kept(&self) -> BTreeSet<u64> {
        let mut kept = self.named();
        kept.extend(self.folds.segment().map(|info| info.number));
        kept.extend(self.retention.spare);
        &kept | &self.pinned()
    }

    /// The numbers of the segments that somebody else still reads.
    fn pinned(&self) -> BTreeSet<u64> {
        let pins = self.retention.pins.iter().filter_map(Weak::upgrade);
        pins.flat_map(|pin| (*pin).clone()).collect()
    }

    /// Removes what was due, now that the directory has been synced since it became unreferenced.
    pub(super) fn retire(&mut self) {
        self.retention.pins.retain(|pin| pin.strong_count() > 0);
        let (named, kept) = (self.named(), self.kept());
        let mut left = Vec::new();
        for name in std::mem::take(&mut self.retention.garbage) {
            match FileName::parse(&name) {
                // In use again: no longer garbage.
                Some(FileName::Manifest(checkpoint))
                    if self.completed.contains_key(&checkpoint) => {}
                Some(FileName::Segment(number)) if named.contains(&number) => {}
                Some(FileName::Segment(number)) if kept.contains(&number) => left.push(name),
                Some(FileName::Segment(number)) if self.retention.spare.is_none() => {
                    self.retention.spare = Some(number);
                }
                // A failed removal is retried.
                _ if remove_if_there(&*self.storage, &name).is_ok() => {}
                _ => left.push(name),
            }
        }
        let is_manifest =
            |name: &String| matches!(FileName::parse(name), Some(FileName::Manifest(_)));
        if !left.iter().any(is_manifest) {
            left.append(&mut self.retention.behind);
        }
        self.retention.garbage = left;
        self.drop_oldest();
        if self.completed.len() >= self.options.retained {
            self.drop_rejected();
        }
        if self.retention.unswept && self.rejected.is_empty() {
            self.retention.unswept = self.sweep().is_err();
        }
    }

    /// Removes the spare segment, because no further segment will take over its file.
    pub fn discard_spare(&mut self) {
        if let Some(spare) = self.retention.spare.take() {
            remove_leftover(&*self.storage, &segment_name(spare));
        }
    }

    /// Removes the manifests of the oldest checkpoints. Their segments follow after the next sync.
    fn drop_oldest(&mut self) {
        while self.completed.len() > self.options.retained.max(1) {
            let Some((checkpoint, manifest)) = self.completed.pop_first() else {
                return;
            };
            let name = manifest_name(checkpoint);
            if self.storage.remove(&name).is_err() {
                self.retention.discard(name);
            }
            let named = self.named();
            for segment in manifest.segments {
                if !named.contains(&segment.number) {
                    self.retention.discard(segment_name(segment.number));
                }
            }
        }
    }

    /// Forgets rejected checkpoints older than all retained ones.
    fn drop_rejected(&mut self) {
        let oldest = self.completed.first_key_value().map(|(number, _)| *number);
        let storage = &self.storage;
        self.rejected.retain(|rejected| {
            let is_old = oldest.is_some_and(|oldest| rejected.checkpoint < oldest);
            if is_old {
                remove_leftover(&**storage, &manifest_name(rejected.checkpoint));
            }
            !is_old
        });
    }

    /// Removes files that predate the opening of the store and that no checkpoint names, except one spare segment.
    pub(super) fn sweep(&mut self) -> io::Result<()> {
        let kept = self.kept();
        for name in self.storage.list()? {
            let is_old = |number| number < self.retention.first_number;
            match FileName::parse(&name) {
                Some(FileName::Segment(number)) if !is_old(number) || kept.contains(&number) => {}
                Some(FileName::Segment(number)) if self.retention.spare.is_none() => {
                    self.retention.spare = Some(number);
                }
                Some(FileName::Segment(_)) => remove_leftover(&*self.storage, &name),
                Some(FileName::Aside(number)) if is_old(number) => {
                    remove_leftover(&*self.storage, &name);
                }
                Some(FileName::Aside(_) | FileName::Manifest(_)) | None => {}
            }
        }
        Ok(())
    }
}
