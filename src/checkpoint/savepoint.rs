//! Savepoints: self-contained checkpoints, each in a directory of its own.
//!
//! An export folds every chain to a base and writes one segment and one manifest, in the format of all checkpoints: a
//! savepoint depends on no other file, and it either exists completely or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::CheckpointError;
use super::files::CheckpointFiles;
use super::fold::{ChainFolder, EntryLayout};
use super::format::{Origin, SegmentHeader};
use super::manifest::{Manifest, ManifestState, SegmentInfo, manifest_name};
use super::piece::StateRef;
use super::restored::Restored;
use super::segment_writer::{SegmentWriter, remove_leftover};
use super::storage::{Durability, Storage};
use super::store::{FileName, Pin, aside_name, list, lock, write_manifest};
use crate::record::KeyHasher;
use crate::state::HashOfKey;

/// The number of a savepoint's segment; the next one is the scratch file's.
const SEGMENT: u64 = 1;
const SCRATCH: u64 = 2;

/// A checkpoint to be exported as a savepoint.
#[derive(Debug)]
pub struct Export {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) manifest: Manifest,
    pub(super) hasher: KeyHasher,
    pub(super) hashes: BTreeMap<StateRef, HashOfKey>,
    pub(super) memory: usize,
    /// Keeps the exported segments until the export is done.
    pub(super) _pin: Pin,
}

impl Export {
    /// Writes the savepoint. This takes a while; any thread may do it.
    ///
    /// # Errors
    /// [`CheckpointError::NotEmpty`] if there is a checkpoint already, [`CheckpointError::Locked`], and file errors. In
    /// that case there is no savepoint, and nothing that looks like one.
    pub fn to(self, other: &Arc<dyn Storage>) -> Result<(), CheckpointError> {
        let _lock = lock(&**other)?;
        let (there, _) = list(&**other)?;
        if let Some(checkpoint) = there.first() {
            return Err(CheckpointError::NotEmpty {
                place: other.place(),
                checkpoint: *checkpoint,
            });
        }
        clear(&**other)?;
        let files = CheckpointFiles::open(&*self.storage, self.manifest.clone())?;
        let header = SegmentHeader {
            origin: Origin::of(&self.hasher),
            number: SEGMENT,
            checkpoint: self.manifest.checkpoint,
        };
        let mut writer = SegmentWriter::create(other, header, self.manifest.bytes(), None)?;
        let states = match self.copy(&files, other, (&mut writer, header)) {
            Ok(states) => states,
            Err(error) => {
                writer.discard();
                return Err(error);
            }
        };
        let info = writer.seal(Durability::Synced)?.info;
        self.publish(&**other, info, states)
    }

    fn copy(
        &self,
        files: &CheckpointFiles,
        other: &Arc<dyn Storage>,
        into: (&mut SegmentWriter, SegmentHeader),
    ) -> Result<BTreeMap<StateRef, ManifestState>, CheckpointError> {
        let mut folder = ChainFolder::new(files, other, into, SCRATCH, self.memory);
        let mut states = BTreeMap::new();
        for (state, entry) in &self.manifest.states {
            let layout = EntryLayout {
                state,
                schema: &entry.schema,
                hasher: self.hasher,
                hash_of_key: self.hashes.get(state).copied(),
            };
            let mut chains = BTreeMap::new();
            for (subtask, chain) in &entry.chains {
                let link = folder.fold(&layout, *subtask, chain)?;
                chains.insert(*subtask, link.into_iter().collect());
            }
            let mut copied = ManifestState {
                schema: entry.schema.clone(),
                live: entry.live,
                chains,
            };
            copied.live = copied.live.min(copied.entries());
            states.insert(state.clone(), copied);
        }
        Ok(states)
    }

    fn publish(
        self,
        other: &dyn Storage,
        info: SegmentInfo,
        states: BTreeMap<StateRef, ManifestState>,
    ) -> Result<(), CheckpointError> {
        let manifest = Manifest {
            is_savepoint: true,
            segments: vec![info],
            states,
            ..self.manifest
        };
        let (aside, name) = (aside_name(SCRATCH), manifest_name(manifest.checkpoint));
        let result = write_manifest(other, &aside, &name, &manifest.encode());
        if result.is_err() {
            // The manifest first: it must not be found without its segment.
            remove_leftover(other, &aside);
            remove_leftover(other, &name);
        }
        result
    }
}

/// Removes what a failed export left behind.
fn clear(storage: &dyn Storage) -> Result<(), CheckpointError> {
    let names = storage.list();
    let names = names.map_err(|cause| CheckpointError::storage("list", &storage.place(), cause))?;
    for name in names.iter().filter(|name| FileName::parse(name).is_some()) {
        let removed = storage.remove(name);
        removed.map_err(|cause| CheckpointError::storage("remove", name, cause))?;
    }
    Ok(())
}

/// Opens the newest checkpoint of a directory to restore from, after checking every byte of it: a savepoint, or what
/// another job left. Nothing is written, so no lock is needed.
///
/// # Errors
/// [`CheckpointError::Empty`] if there is none; file errors and damage.
pub fn open_savepoint(storage: &dyn Storage) -> Result<Restored, CheckpointError> {
    let (there, _) = list(storage)?;
    let Some(newest) = there.first() else {
        let place = storage.place();
        return Err(CheckpointError::Empty { place });
    };
    let files = CheckpointFiles::open(storage, Manifest::load(storage, *newest)?)?;
    files.verify()?;
    Ok(Restored::new(Arc::new(files)))
}
