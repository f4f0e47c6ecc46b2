//! A checkpoint in files, to restore from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::CheckpointError;
use super::format::Block;
use super::manifest::Manifest;
use super::piece::{PieceRef, StateRef};
use super::restored::Pieces;
use super::segment_reader::{BlockBuffer, Segment};
use super::storage::Storage;
use crate::record::KeyGroupAssignment;
use crate::state::StateSchema;

/// A checkpoint whose files are open: it stays readable even if they are removed meanwhile.
#[derive(Debug)]
pub(super) struct CheckpointFiles {
    manifest: Manifest,
    segments: BTreeMap<u64, Segment>,
}

impl CheckpointFiles {
    /// Opens the segments of a checkpoint and checks everything but the blocks.
    pub(super) fn open(storage: &dyn Storage, manifest: Manifest) -> Result<Self, CheckpointError> {
        let mut segments = BTreeMap::new();
        for info in &manifest.segments {
            let segment = Segment::open(storage, info, manifest.checkpoint)?;
            segments.insert(info.number, segment);
        }
        let files = CheckpointFiles { manifest, segments };
        files.check_links()?;
        Ok(files)
    }

    /// Checks that every link matches the blocks that its segment holds.
    fn check_links(&self) -> Result<(), CheckpointError> {
        for (state, entry) in &self.manifest.states {
            let chains = entry.chains.iter();
            for (subtask, link) in chains.flat_map(|(s, chain)| chain.iter().map(move |l| (s, l))) {
                let segment = &self.segments[&link.segment];
                let blocks = segment.blocks_of(state, *subtask).iter();
                let (entries, bytes) = blocks.fold((0u64, 0u64), |(entries, bytes), block| {
                    (
                        entries.saturating_add(block.count),
                        bytes.saturating_add(block.length),
                    )
                });
                if (entries, bytes) != (link.entries, link.bytes) {
                    return Err(segment.damaged("it does not hold what the manifest says"));
                }
            }
        }
        Ok(())
    }

    /// Reads and checks every block of every segment. Returns the number of blocks.
    pub(super) fn verify(&self) -> Result<u64, CheckpointError> {
        let mut buffer = BlockBuffer::new();
        let segments = self.segments.values();
        let counts = segments.map(|segment| segment.verify(&mut buffer));
        counts.sum()
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn into_manifest(self) -> Manifest {
        self.manifest
    }

    /// The blocks of a state of one subtask, in the order in which they are applied.
    pub(super) fn blocks_of<'a>(
        &'a self,
        state: &'a StateRef,
        subtask: u32,
    ) -> impl Iterator<Item = (&'a Segment, &'a Block)> {
        let entry = self.manifest.states.get(state);
        let chain = entry.and_then(|entry| entry.chains.get(&subtask));
        chain.into_iter().flatten().flat_map(move |link| {
            let segment = &self.segments[&link.segment];
            let blocks = segment.blocks_of(state, subtask).iter();
            blocks.map(move |block| (segment, block))
        })
    }
}

impl Pieces for CheckpointFiles {
    fn checkpoint(&self) -> u64 {
        self.manifest.checkpoint
    }

    fn operators(&self) -> Vec<Arc<str>> {
        let states = self
            .manifest
            .states
            .iter()
            .filter(|(_, entry)| entry.live > 0);
        let operators = states.map(|(state, _)| Arc::clone(&state.operator));
        let mut operators: Vec<_> = operators.collect();
        operators.dedup();
        operators
    }

    fn states(&self, operator: &str) -> Vec<StateSchema> {
        let states = self.manifest.states.iter();
        let of_operator = states.filter(|(state, _)| &*state.operator == operator);
        of_operator.map(|(_, entry)| entry.schema.clone()).collect()
    }

    fn parallelism(&self, operator: &str) -> u32 {
        let mut operators = self.manifest.operators.iter();
        let operator = operators.find(|known| &*known.uid == operator);
        operator.map_or(0, |operator| operator.parallelism)
    }

    fn max_parallelism(&self) -> Option<u32> {
        let mut operators = self.manifest.operators.iter();
        operators.next().map(|operator| operator.max_parallelism)
    }

    fn assignment(&self) -> Option<KeyGroupAssignment> {
        Some(self.manifest.assignment)
    }

    fn entry_count(&self, state: &StateRef) -> u64 {
        let state = self.manifest.states.get(state);
        state.map_or(0, |state| state.live)
    }

    fn visit(
        &self,
        state: &StateRef,
        wanted: &dyn Fn(u32) -> bool,
        visit: &mut dyn FnMut(PieceRef<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let mut buffer = BlockBuffer::new();
        let entry = self.manifest.states.get(state);
        let subtasks = entry.into_iter().flat_map(|entry| entry.chains.keys());
        for subtask in subtasks.filter(|subtask| wanted(**subtask)) {
            for (segment, block) in self.blocks_of(state, *subtask) {
                visit(segment.piece(block, &mut buffer)?)?;
            }
        }
        Ok(())
    }
}
