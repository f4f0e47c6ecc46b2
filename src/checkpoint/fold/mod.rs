//! Folding: merges a chain of changes into a new base, so that the cost of restoring stays proportional to the state.
//!
//! A fold knows no types. Where an entry ends follows from the lengths in its state's schema; two keys are the same if
//! their bytes are; and the order is that of the keys' hashes, by the function that the subtasks report. The last write
//! wins; removed and dropped entries are left out.
//!
//! ```text
//! newest checkpoint ─ plan_fold ─► FoldTask ─ run, on any thread ─► Folded ─ attach ─► store
//!                                                                                  │ next complete:
//!     chain of the parent: [s1 s2 s3 s4]  + own [s9]   ══════════════►  [folded s9]
//! ```
//! A fold takes effect in the manifest of the *next* checkpoint, whose chains begin with the folded segment: a complete
//! manifest never changes, and a fold that is lost before then costs nothing but its work. A chain that does not fit
//! into memory is first partitioned by ranges of the hash, into an unnamed scratch file.

mod batch;
mod chain;
mod partition;
mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use batch::EntryLayout;
pub(super) use chain::ChainFolder;
pub(super) use queue::FoldQueue;
pub use queue::Folded;

use super::error::CheckpointError;
use super::files::CheckpointFiles;
use super::format::SegmentHeader;
use super::manifest::{Chain, Manifest};
use super::piece::StateRef;
use super::segment_writer::SegmentWriter;
use super::storage::{Durability, Storage};
use super::store::{Pin, StoreOptions};
use crate::record::KeyHasher;
use crate::state::HashOfKey;
use queue::FoldedChain;

/// A set of chains to fold.
#[derive(Debug)]
pub struct FoldTask {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) manifest: Manifest,
    /// The header of the segment to write. The next number is the scratch file's.
    pub(super) header: SegmentHeader,
    pub(super) hasher: KeyHasher,
    pub(super) memory: usize,
    pub(super) chains: Vec<(StateRef, HashOfKey, u32)>,
    pub(super) pin: Pin,
}

/// Whether a chain has become so long, or its changes so large, that it must be folded. The last link is not counted:
/// if it holds most of a table, the next checkpoint will be whole and end the chain.
pub(super) fn is_due(chain: &Chain, options: &StoreOptions) -> bool {
    let [base, deltas @ .., last] = chain.as_slice() else {
        return false;
    };
    let bytes: u64 = deltas.iter().map(|link| link.bytes).sum();
    let all = base.bytes + bytes + last.bytes;
    let is_heavy = bytes > base.bytes && all >= options.fold_bytes_min;
    deltas.len() >= options.deltas_max || is_heavy
}

impl FoldTask {
    /// Folds the chains. This takes a while: it reads and writes all of them.
    ///
    /// # Errors
    /// File errors. Nothing is left of the fold then, and nothing depends on it.
    pub fn run(self) -> Result<Folded, CheckpointError> {
        let files = CheckpointFiles::open(&*self.storage, self.manifest.clone())?;
        let expected = self
            .chains()
            .flat_map(|(.., chain)| chain)
            .map(|link| link.bytes)
            .sum();
        let mut writer = SegmentWriter::create(&self.storage, self.header, expected, None)?;
        let chains = match self.fold(&files, &mut writer) {
            Ok(chains) => chains,
            Err(error) => {
                writer.discard();
                return Err(error);
            }
        };
        let info = match writer.blocks().is_empty() {
            true => {
                writer.discard();
                None
            }
            false => Some(writer.seal(Durability::Synced)?.info),
        };
        Ok(Folded {
            info,
            chains,
            _pin: self.pin,
        })
    }

    fn chains(&self) -> impl Iterator<Item = (&StateRef, HashOfKey, u32, &Chain)> {
        self.chains.iter().filter_map(|(state, hash, subtask)| {
            let chain = self.manifest.states.get(state)?.chains.get(subtask)?;
            Some((state, *hash, *subtask, chain))
        })
    }

    fn fold(
        &self,
        files: &CheckpointFiles,
        writer: &mut SegmentWriter,
    ) -> Result<BTreeMap<(StateRef, u32), FoldedChain>, CheckpointError> {
        let scratch = self.header.number + 1;
        let into = (writer, self.header);
        let mut folder = ChainFolder::new(files, &self.storage, into, scratch, self.memory);
        let mut folded = BTreeMap::new();
        for (state, hash, subtask, chain) in self.chains() {
            let layout = EntryLayout {
                state,
                schema: &self.manifest.states[state].schema,
                hasher: self.hasher,
                hash_of_key: Some(hash),
            };
            let link = folder.fold(&layout, subtask, chain)?;
            let segments = chain.iter().map(|link| link.segment).collect();
            folded.insert((state.clone(), subtask), FoldedChain { segments, link });
        }
        Ok(folded)
    }
}
