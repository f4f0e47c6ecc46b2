//! Read-only inspection of checkpoints, without the lock, even while a job is writing more of them.

use std::collections::{BTreeSet, HashMap};

use xxhash_rust::xxh3::Xxh3;

use super::error::CheckpointError;
use super::files::CheckpointFiles;
use super::fold::EntryLayout;
use super::manifest::Manifest;
use super::piece::{PieceKind, PieceRef, StateRef};
use super::segment_reader::{BlockBuffer, Segment};
use super::storage::Storage;
use super::store::{self, usable};
use crate::record::{KeyHash, KeyHasher};

/// A checkpoint in a directory.
#[derive(Debug)]
pub struct Listed {
    /// Its number.
    pub checkpoint: u64,
    /// Its manifest, or why it cannot be used.
    pub manifest: Result<Manifest, CheckpointError>,
}

/// Lists the checkpoints of a directory, newest first. Manifests, headers and indexes are checked, blocks are not.
///
/// # Errors
/// [`CheckpointError::Storage`] if the directory cannot be listed.
pub fn list(storage: &dyn Storage) -> Result<Vec<Listed>, CheckpointError> {
    let (checkpoints, _) = store::list(storage)?;
    let listed = checkpoints.into_iter().map(|checkpoint| Listed {
        checkpoint,
        manifest: usable(storage, checkpoint),
    });
    Ok(listed.collect())
}

/// Reads the manifest of a checkpoint.
///
/// # Errors
/// [`CheckpointError::Unknown`]; file errors and damage.
pub fn inspect(storage: &dyn Storage, checkpoint: u64) -> Result<Manifest, CheckpointError> {
    let (checkpoints, _) = store::list(storage)?;
    if !checkpoints.contains(&checkpoint) {
        let place = storage.place();
        return Err(CheckpointError::Unknown { checkpoint, place });
    }
    usable(storage, checkpoint)
}

/// What [`verify`] has checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The number of segments.
    pub segments: u64,
    /// The number of blocks in them.
    pub blocks: u64,
    /// The bytes of all files.
    pub bytes: u64,
}

/// Checks every byte of a checkpoint.
///
/// # Errors
/// As [`inspect`]; the first damage found.
pub fn verify(storage: &dyn Storage, checkpoint: u64) -> Result<Verified, CheckpointError> {
    let manifest = inspect(storage, checkpoint)?;
    let length = manifest.encode().len() as u64;
    let bytes = manifest.segments.iter().map(|segment| segment.length);
    let (segments, bytes) = (manifest.segments.len() as u64, length + bytes.sum::<u64>());
    let blocks = CheckpointFiles::open(storage, manifest)?.verify()?;
    Ok(Verified {
        segments,
        blocks,
        bytes,
    })
}

/// A block of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// The state it belongs to.
    pub state: StateRef,
    /// The subtask that handed it over.
    pub subtask: u32,
    /// What its payload holds.
    pub kind: PieceKind,
    /// The namespace of its entries.
    pub namespace: i64,
    /// Its offset in the file.
    pub offset: u64,
    /// The length of its payload in bytes.
    pub length: u64,
    /// How many entries, keys or values it holds.
    pub count: u64,
}

/// Lists the blocks of a segment, whether or not a manifest names it: each is checked, in the order in which they are
/// applied.
///
/// # Errors
/// File errors and damage.
pub fn segment(storage: &dyn Storage, name: &str) -> Result<Vec<BlockInfo>, CheckpointError> {
    let file = storage.open(name);
    let file = file.map_err(|cause| CheckpointError::storage("open", name, cause))?;
    let segment = Segment::read(file, name.to_owned(), None)?;
    segment.verify(&mut BlockBuffer::new())?;
    let blocks = segment.blocks().iter().map(|block| BlockInfo {
        state: segment.states()[block.state as usize].clone(),
        subtask: block.subtask,
        kind: block.kind,
        namespace: block.namespace,
        offset: block.offset,
        length: block.length,
        count: block.count,
    });
    Ok(blocks.collect())
}

/// How a state differs between two checkpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateDifference {
    /// The state.
    pub state: StateRef,
    /// Whether the state's kind or type differs, or only one checkpoint has it: then all its entries count as added or
    /// removed.
    pub is_other: bool,
    /// Entries that only the second checkpoint has.
    pub added: u64,
    /// Entries that only the first checkpoint has.
    pub removed: u64,
    /// Keys whose value differs in the second checkpoint.
    pub changed: u64,
    /// Entries that are the same in both.
    pub unchanged: u64,
}

/// Compares two checkpoints: for every state, which keys are in only one of them or have different values. Entries are
/// compared as bytes, by 128-bit hashes.
///
/// # Errors
/// As [`inspect`].
pub fn compare(
    storage: &dyn Storage,
    first: u64,
    second: u64,
) -> Result<Vec<StateDifference>, CheckpointError> {
    let first = CheckpointFiles::open(storage, inspect(storage, first)?)?;
    let second = CheckpointFiles::open(storage, inspect(storage, second)?)?;
    let states: BTreeSet<&StateRef> = first
        .manifest()
        .states
        .keys()
        .chain(second.manifest().states.keys())
        .collect();
    states
        .into_iter()
        .map(|state| compare_state(&first, &second, state))
        .collect()
}

/// Entries are compared by ranges of hashes, so that only about this many are in memory at a time.
const ENTRIES_AT_A_TIME: u64 = 4_000_000;

/// A value's hash, by the hash of its key.
type Digest = HashMap<u128, u128>;

fn compare_state(
    first: &CheckpointFiles,
    second: &CheckpointFiles,
    state: &StateRef,
) -> Result<StateDifference, CheckpointError> {
    let entry = |files: &CheckpointFiles| files.manifest().states.get(state).cloned();
    let (before, after) = (entry(first), entry(second));
    let schema = |entry: &Option<super::ManifestState>| entry.as_ref().map(|e| e.schema.clone());
    let mut difference = StateDifference {
        state: state.clone(),
        is_other: schema(&before) != schema(&after),
        added: 0,
        removed: 0,
        changed: 0,
        unchanged: 0,
    };
    let counts = [&before, &after].map(|entry| entry.as_ref().map_or(0, |e| e.entries()));
    let pass_count = (counts[0] + counts[1]).div_ceil(ENTRIES_AT_A_TIME).max(1);
    for pass in 0..pass_count {
        let before = digest(first, state, (pass, pass_count))?;
        let after = digest(second, state, (pass, pass_count))?;
        for (key, value) in &before {
            match after.get(key) {
                None => difference.removed += 1,
                Some(_) if difference.is_other => difference.changed += 1,
                Some(other) if other != value => difference.changed += 1,
                Some(_) => difference.unchanged += 1,
            }
        }
        let is_new = |key: &&u128| !before.contains_key(key);
        difference.added += after.keys().filter(is_new).count() as u64;
    }
    Ok(difference)
}

fn hash(parts: &[&[u8]]) -> u128 {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.digest128()
}

/// The final entries of a state after its whole chain, restricted to the keys of this pass.
fn digest(
    files: &CheckpointFiles,
    state: &StateRef,
    (pass, pass_count): (u64, u64),
) -> Result<Digest, CheckpointError> {
    let mut digest = Digest::new();
    let Some(entry) = files.manifest().states.get(state) else {
        return Ok(digest);
    };
    let layout = EntryLayout {
        state,
        schema: &entry.schema,
        hasher: KeyHasher::default(),
        hash_of_key: None,
    };
    let mut buffer = BlockBuffer::new();
    for subtask in entry.chains.keys() {
        // Dropping a namespace affects one subtask only.
        let mut own = HashMap::<u128, (i64, u128)>::new();
        for (segment, block) in files.blocks_of(state, *subtask) {
            let piece = segment.piece(block, &mut buffer)?;
            match piece.kind {
                PieceKind::Dropped => own.retain(|_, (namespace, _)| *namespace != piece.namespace),
                PieceKind::Values => count_values(&layout, &piece, *subtask, &mut own)?,
                PieceKind::Set | PieceKind::Removed => layout.items(&piece, |item| {
                    let part = u128::from(KeyHash::of_bytes(item.key).0) * u128::from(pass_count);
                    if (part >> 64) as u64 != pass {
                        return Ok(());
                    }
                    let key = hash(&[&piece.namespace.to_le_bytes(), item.key]);
                    if piece.kind == PieceKind::Set {
                        own.insert(key, (piece.namespace, hash(&[item.value])));
                    } else {
                        own.remove(&key);
                    }
                    Ok(())
                })?,
            }
        }
        digest.extend(own.into_iter().map(|(key, (_, value))| (key, value)));
    }
    Ok(digest)
}

/// Values have no keys: each is compared with the value at the same position in the same subtask of the other
/// checkpoint.
fn count_values(
    layout: &EntryLayout<'_>,
    piece: &PieceRef<'_>,
    subtask: u32,
    own: &mut HashMap<u128, (i64, u128)>,
) -> Result<(), CheckpointError> {
    layout.items(piece, |item| {
        let place = own.len() as u64;
        let key = hash(&[&subtask.to_le_bytes(), &place.to_le_bytes()]);
        own.insert(key, (piece.namespace, hash(&[item.bytes])));
        Ok(())
    })
}
