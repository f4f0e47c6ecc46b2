//! Writes a segment: takes pieces, writes blocks, see [`super::format`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::error::CheckpointError;
use super::fields::FieldWriter;
use super::format::{BLOCK_ALIGN, Block, SEGMENT_HEADER_SIZE, SegmentHeader, Trailer, checksum};
use super::manifest::SegmentInfo;
use super::piece::{PieceRef, StateRef};
use super::storage::{Durability, Storage, WriteOnce};
use crate::seeded_bugs::seeded;

/// The name of the segment with this number.
pub(super) fn segment_name(number: u64) -> String {
    format!("segment-{number:010}")
}

/// A segment that is being written.
pub(super) struct SegmentWriter {
    storage: Arc<dyn Storage>,
    file: Box<dyn WriteOnce>,
    name: String,
    header: SegmentHeader,
    offset: u64,
    states: Vec<StateRef>,
    indexes: BTreeMap<StateRef, u32>,
    blocks: Vec<Block>,
    /// Whether a write has failed: the file is useless then.
    failed: bool,
}

impl fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentWriter")
            .field("name", &self.name)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// A completely written segment.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) info: SegmentInfo,
    /// In the order in which they were written.
    pub(super) blocks: Vec<Block>,
}

impl SegmentWriter {
    /// Creates a segment of about `expected` bytes, in the place of an old one that is no longer needed, if there is
    /// one.
    pub(super) fn create(
        storage: &Arc<dyn Storage>,
        header: SegmentHeader,
        expected: u64,
        old: Option<u64>,
    ) -> Result<Self, CheckpointError> {
        let name = segment_name(header.number);
        let file = match old {
            Some(old) => storage.reuse(&segment_name(old), &name, expected),
            None => storage.create(&name, expected),
        };
        let file =
            file.map_err(|cause| CheckpointError::write("create", &name, expected, cause))?;
        let mut writer = SegmentWriter {
            storage: Arc::clone(storage),
            file,
            name,
            header,
            offset: 0,
            states: Vec::new(),
            indexes: BTreeMap::new(),
            blocks: Vec::new(),
            failed: false,
        };
        match writer.put(&[&header.write()]) {
            Ok(()) => Ok(writer),
            Err(error) => {
                writer.discard();
                Err(error)
            }
        }
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<(), CheckpointError> {
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let mut written = self.file.append(parts);
        if seeded("failed-write-ignored") {
            written = Ok(());
        }
        written.map_err(|cause| {
            self.failed = true;
            CheckpointError::write("write", &self.name, length, cause)
        })?;
        self.offset += length;
        Ok(())
    }

    /// Writes a piece of a state as a block.
    pub(super) fn append(
        &mut self,
        state: &StateRef,
        piece: PieceRef<'_>,
    ) -> Result<(), CheckpointError> {
        if self.failed {
            let checkpoint = self.header.checkpoint;
            return Err(CheckpointError::Incomplete { checkpoint });
        }
        let sum = checksum(piece.bytes);
        let block = Block {
            kind: piece.kind,
            subtask: piece.subtask,
            state: self.index_of(state),
            namespace: piece.namespace,
            offset: self.offset,
            length: piece.bytes.len() as u64,
            count: piece.count,
            sum: sum as u32,
        };
        debug_assert!(block.offset.is_multiple_of(BLOCK_ALIGN as u64));
        let padding = piece.bytes.len().next_multiple_of(BLOCK_ALIGN) - piece.bytes.len();
        let header = block.header(sum);
        self.put(&[&header, piece.bytes, &[0; BLOCK_ALIGN][..padding]])?;
        self.blocks.push(block);
        Ok(())
    }

    fn index_of(&mut self, state: &StateRef) -> u32 {
        let last = self.blocks.last().map(|block| block.state);
        if let Some(last) = last.filter(|last| self.states[*last as usize] == *state) {
            return last;
        }
        let next = self.states.len() as u32;
        let index = *self.indexes.entry(state.clone()).or_insert(next);
        if index == next {
            self.states.push(state.clone());
        }
        index
    }

    /// The states that have blocks in the segment.
    pub(super) fn states(&self) -> &[StateRef] {
        &self.states
    }

    /// The blocks so far.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Writes the index and the trailer, and ends the file. Removes a segment that cannot be completed.
    pub(super) fn seal(mut self, durability: Durability) -> Result<Sealed, CheckpointError> {
        debug_assert!(self.offset >= SEGMENT_HEADER_SIZE as u64);
        let trailer_checksum = match self.put_index() {
            Ok(sum) => sum,
            Err(error) => {
                self.discard();
                return Err(error);
            }
        };
        let durability = match seeded("segment-unsynced") {
            true => Durability::Scratch,
            false => durability,
        };
        let length = self.file.finish(durability);
        let length = length.map_err(|cause| {
            remove_leftover(&*self.storage, &self.name);
            CheckpointError::write("sync", &self.name, self.offset, cause)
        })?;
        debug_assert_eq!(length, self.offset);
        Ok(Sealed {
            info: SegmentInfo {
                number: self.header.number,
                checkpoint: self.header.checkpoint,
                length,
                trailer_checksum,
            },
            blocks: self.blocks,
        })
    }

    /// Returns the trailer's checksum.
    fn put_index(&mut self) -> Result<u64, CheckpointError> {
        if self.failed {
            let checkpoint = self.header.checkpoint;
            return Err(CheckpointError::Incomplete { checkpoint });
        }
        let mut index = FieldWriter::default();
        index.count(self.states.len());
        index.count(self.blocks.len());
        for state in &self.states {
            index.text(&state.operator);
            index.text(&state.state);
        }
        for block in &self.blocks {
            block.write(&mut index);
        }
        let trailer = Trailer {
            number: self.header.number,
            index_offset: self.offset,
            index_length: index.bytes.len() as u64,
            index_checksum: checksum(&index.bytes),
        };
        let (trailer, sum) = trailer.write();
        self.put(&[&index.bytes, &trailer])?;
        Ok(sum)
    }

    /// Abandons the segment and removes its file.
    pub(super) fn discard(self) {
        drop(self.file);
        remove_leftover(&*self.storage, &self.name);
    }
}

/// Removes an unreferenced file. If that fails, the next opening of the directory removes it.
pub(super) fn remove_leftover(storage: &dyn Storage, name: &str) {
    if let Err(error) = storage.remove(name) {
        tracing::debug!(name, %error, "a leftover file stays for now");
    }
}
