//! Reads a segment: everything is checked before it is returned, see [`super::format`].

use std::fmt;
use std::io;

use rkyv::util::AlignedVec;

use super::error::CheckpointError;
use super::fields::FieldReader;
use super::format::{
    BLOCK_ALIGN, BLOCK_HEADER_SIZE, Block, INDEX_ENTRY_SIZE, SEGMENT_HEADER_SIZE, SegmentHeader,
    TRAILER_SIZE, Trailer, checksum,
};
use super::manifest::SegmentInfo;
use super::piece::{PieceKind, PieceRef, StateRef};
use super::segment_writer::segment_name;
use super::storage::{ReadAt, Storage};
use crate::seeded_bugs::seeded;

/// A reusable buffer for one block.
pub(super) type BlockBuffer = AlignedVec<BLOCK_ALIGN>;

/// A segment whose header, index and trailer have been checked.
pub(super) struct Segment {
    file: Box<dyn ReadAt>,
    name: String,
    states: Vec<StateRef>,
    /// In the order in which they are applied: by state and subtask, then drops, removals and sets, then as written.
    blocks: Vec<Block>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("name", &self.name)
            .field("states", &self.states)
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

/// The rank of a kind in the order in which the pieces of one checkpoint are applied.
fn turn(kind: PieceKind) -> u8 {
    match kind {
        PieceKind::Dropped => 0,
        PieceKind::Removed => 1,
        PieceKind::Set | PieceKind::Values => 2,
    }
}

impl Segment {
    /// Opens the segment that `checkpoint` names as `info`.
    pub(super) fn open(
        storage: &dyn Storage,
        info: &SegmentInfo,
        checkpoint: u64,
    ) -> Result<Self, CheckpointError> {
        let name = segment_name(info.number);
        let file = storage.open(&name).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => CheckpointError::Missing {
                checkpoint,
                file: name.clone(),
            },
            _ => CheckpointError::storage("open", &name, cause),
        })?;
        if file.length() != info.length {
            let end = file.length().min(info.length);
            let what = "it is not as long as the manifest says";
            return Err(CheckpointError::damaged(&name, end, what));
        }
        Segment::read(file, name, Some(info))
    }

    /// Reads the header, trailer and index of a file that may be a segment.
    pub(super) fn read(
        file: Box<dyn ReadAt>,
        name: String,
        named: Option<&SegmentInfo>,
    ) -> Result<Self, CheckpointError> {
        let sizes = (SEGMENT_HEADER_SIZE + TRAILER_SIZE) as u64;
        let damaged = |offset, what| CheckpointError::damaged(&name, offset, what);
        if file.length() < sizes {
            return Err(damaged(file.length(), "it is shorter than any segment"));
        }
        let mut header = [0; SEGMENT_HEADER_SIZE];
        fill(&*file, &name, 0, &mut header)?;
        let header = SegmentHeader::read(&name, &header)?;
        let trailer_offset = file.length() - TRAILER_SIZE as u64;
        let mut trailer = [0; TRAILER_SIZE];
        fill(&*file, &name, trailer_offset, &mut trailer)?;
        let (trailer, sum) = Trailer::read(&name, &trailer, trailer_offset)?;
        if trailer.number != header.number {
            return Err(damaged(
                trailer_offset,
                "header and trailer are of two segments",
            ));
        }
        let is_named = |info: &SegmentInfo| {
            (info.number, info.checkpoint, info.trailer_checksum)
                == (header.number, header.checkpoint, sum)
        };
        if named.is_some_and(|info| !is_named(info)) && !seeded("segment-unchecked") {
            return Err(damaged(
                trailer_offset,
                "it is not the segment that the manifest names",
            ));
        }
        let end = trailer.index_offset.checked_add(trailer.index_length);
        if end != Some(trailer_offset) {
            return Err(damaged(
                trailer_offset,
                "the index does not end where the trailer begins",
            ));
        }
        let mut index = vec![0; trailer.index_length as usize];
        fill(&*file, &name, trailer.index_offset, &mut index)?;
        if checksum(&index) != trailer.index_checksum {
            return Err(damaged(
                trailer.index_offset,
                "the index's checksum is wrong",
            ));
        }
        let (states, mut blocks) = read_index(&name, &index, trailer.index_offset)?;
        blocks.sort_by_key(|block| (block.state, block.subtask, turn(block.kind)));
        Ok(Segment {
            file,
            name,
            states,
            blocks,
        })
    }

    /// The error of damage in this segment.
    pub(super) fn damaged(&self, what: &'static str) -> CheckpointError {
        CheckpointError::damaged(&self.name, 0, what)
    }

    /// The states that have blocks in the segment.
    pub(super) fn states(&self) -> &[StateRef] {
        &self.states
    }

    /// All blocks, in the order in which they are applied.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The blocks of one state and subtask, in the order in which they are applied.
    pub(super) fn blocks_of(&self, state: &StateRef, subtask: u32) -> &[Block] {
        let Some(index) = self.states.iter().position(|known| known == state) else {
            return &[];
        };
        let of = (index as u32, subtask);
        let start = self.blocks.partition_point(|b| (b.state, b.subtask) < of);
        let end = self.blocks.partition_point(|b| (b.state, b.subtask) <= of);
        &self.blocks[start..end]
    }

    /// Reads a block and checks it. The bytes begin at a multiple of 16.
    pub(super) fn piece<'a>(
        &self,
        block: &Block,
        buffer: &'a mut BlockBuffer,
    ) -> Result<PieceRef<'a>, CheckpointError> {
        let damaged = |what| CheckpointError::damaged(&self.name, block.offset, what);
        // The index was checked: the block lies within the file.
        let size = block.size().ok_or_else(|| damaged("a block is too long"))? as usize;
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let bytes = &mut buffer[..size];
        fill(&*self.file, &self.name, block.offset, bytes)?;
        let (header, payload) = bytes.split_at(BLOCK_HEADER_SIZE);
        let (payload, padding) = payload.split_at(block.length as usize);
        // The header can be recomputed from the index and the payload, and must be equal. It does not show that the
        // payload is the one in this index.
        let sum = checksum(payload);
        let is_written = header == block.header(sum) && sum as u32 == block.sum;
        if !is_written && !seeded("block-unchecked") {
            return Err(damaged(
                "a block's header or payload is not what was written",
            ));
        }
        if padding.iter().any(|byte| *byte != 0) {
            return Err(damaged("what should be empty behind a block is not"));
        }
        Ok(PieceRef {
            subtask: block.subtask,
            kind: block.kind,
            namespace: block.namespace,
            count: block.count,
            bytes: payload,
        })
    }

    /// Reads and checks every block. Returns the number of blocks.
    pub(super) fn verify(&self, buffer: &mut BlockBuffer) -> Result<u64, CheckpointError> {
        let mut blocks: Vec<&Block> = self.blocks.iter().collect();
        blocks.sort_by_key(|block| block.offset);
        for block in &blocks {
            self.piece(block, buffer)?;
        }
        Ok(blocks.len() as u64)
    }
}

fn fill(file: &dyn ReadAt, name: &str, offset: u64, out: &mut [u8]) -> Result<(), CheckpointError> {
    file.read_at(offset, out)
        .map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => {
                CheckpointError::damaged(name, offset, "it became shorter while it was read")
            }
            _ => CheckpointError::storage("read", name, cause),
        })
}

/// Reads states and blocks; the blocks must lie end to end between the header and the index.
fn read_index(
    name: &str,
    index: &[u8],
    start: u64,
) -> Result<(Vec<StateRef>, Vec<Block>), CheckpointError> {
    let mut fields = FieldReader::new(name, index, start);
    let state_count = fields.count(1)?;
    let block_count = fields.count(INDEX_ENTRY_SIZE)?;
    let mut states = Vec::new();
    for _ in 0..state_count {
        let (operator, state) = (fields.text()?, fields.text()?);
        states.push(StateRef { operator, state });
    }
    let mut blocks = Vec::with_capacity(block_count);
    let mut offset = Some(SEGMENT_HEADER_SIZE as u64);
    for _ in 0..block_count {
        let block = Block::read(&mut fields)?;
        if block.state as usize >= states.len() {
            return Err(fields.damaged("a block is of no state"));
        }
        if offset != Some(block.offset) {
            return Err(fields.damaged("a block does not begin where the one before it ends"));
        }
        offset = block.size().and_then(|size| block.offset.checked_add(size));
        blocks.push(block);
    }
    fields.end()?;
    if offset != Some(start) {
        return Err(fields.damaged("the last block does not end where the index begins"));
    }
    Ok((states, blocks))
}
