//! Entries partitioned on disk by ranges of their hash, so that each part fits into memory.

use std::sync::Arc;

use super::batch::EntryLayout;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::format::{Block, SegmentHeader};
use crate::checkpoint::piece::{PieceKind, PieceRef};
use crate::checkpoint::segment_reader::{BlockBuffer, Segment};
use crate::checkpoint::segment_writer::{SegmentWriter, remove_leftover, segment_name};
use crate::checkpoint::storage::{Durability, Storage};
use crate::record::KeyHash;

/// The maximum number of parts: each needs a buffer.
pub(super) const PARTS_MAX: u64 = 1024;

/// The unwritten entries of a part.
#[derive(Default)]
struct Part {
    kind: Option<PieceKind>,
    namespace: i64,
    count: u64,
    bytes: Vec<u8>,
}

/// Partitions entries into a scratch file.
pub(super) struct Partitioner<'a> {
    layout: &'a EntryLayout<'a>,
    writer: SegmentWriter,
    parts: Vec<Part>,
    /// A part is written once it has this many bytes.
    part_bytes: usize,
}

impl<'a> Partitioner<'a> {
    pub(super) fn create(
        storage: &Arc<dyn Storage>,
        header: SegmentHeader,
        layout: &'a EntryLayout<'a>,
        (part_count, memory): (u64, usize),
        expected: u64,
    ) -> Result<Self, CheckpointError> {
        let mut parts = Vec::new();
        parts.resize_with(part_count as usize, Part::default);
        Ok(Partitioner {
            layout,
            writer: SegmentWriter::create(storage, header, expected, None)?,
            part_bytes: (memory / parts.len()).min(64 * 1024),
            parts,
        })
    }

    /// Partitions a piece. Pieces come in the order in which they are applied.
    pub(super) fn add(&mut self, piece: &PieceRef<'_>) -> Result<(), CheckpointError> {
        if piece.kind == PieceKind::Dropped {
            return (0..self.parts.len()).try_for_each(|part| self.drop_namespace(part, piece));
        }
        let layout = self.layout;
        layout.items(piece, |item| {
            let part = part_of(layout.hash(item.key)?, self.parts.len());
            let what = (Some(piece.kind), piece.namespace);
            let current = &self.parts[part];
            if (current.kind, current.namespace) != what || current.bytes.len() >= self.part_bytes {
                self.flush(part)?;
                (self.parts[part].kind, self.parts[part].namespace) = what;
            }
            self.parts[part].bytes.extend_from_slice(item.bytes);
            self.parts[part].count += 1;
            Ok(())
        })
    }

    fn drop_namespace(&mut self, part: usize, piece: &PieceRef<'_>) -> Result<(), CheckpointError> {
        self.flush(part)?;
        let subtask = part as u32;
        self.writer
            .append(self.layout.state, PieceRef { subtask, ..*piece })
    }

    fn flush(&mut self, index: usize) -> Result<(), CheckpointError> {
        let part = &mut self.parts[index];
        if let Some(kind) = part.kind.filter(|_| part.count > 0) {
            // The number of the part takes the place of a subtask's.
            let piece = PieceRef {
                subtask: index as u32,
                kind,
                namespace: part.namespace,
                count: part.count,
                bytes: &part.bytes,
            };
            self.writer.append(self.layout.state, piece)?;
        }
        part.bytes.clear();
        part.count = 0;
        Ok(())
    }

    pub(super) fn discard(self) {
        self.writer.discard();
    }

    /// Finishes the partitioning.
    pub(super) fn finish(mut self, storage: &dyn Storage) -> Result<Parts, CheckpointError> {
        for part in 0..self.parts.len() {
            if let Err(error) = self.flush(part) {
                self.writer.discard();
                return Err(error);
            }
        }
        let sealed = self.writer.seal(Durability::Scratch)?;
        let segment = Segment::open(storage, &sealed.info, sealed.info.checkpoint);
        // Once open, the file can be read without a name, and leaves nothing behind.
        remove_leftover(storage, &segment_name(sealed.info.number));
        Ok(Parts {
            segment: segment?,
            blocks: sealed.blocks,
        })
    }
}

fn part_of(hash: KeyHash, part_count: usize) -> usize {
    ((u128::from(hash.0) * part_count as u128) >> 64) as usize
}

/// Partitioned entries.
pub(super) struct Parts {
    segment: Segment,
    /// In the order in which they were written, which is that in which they are applied.
    blocks: Vec<Block>,
}

impl Parts {
    /// Calls `visit` with the pieces of a part, in the order in which they are applied.
    pub(super) fn visit(
        &self,
        part: u32,
        buffer: &mut BlockBuffer,
        mut visit: impl FnMut(&PieceRef<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        for block in self.blocks.iter().filter(|block| block.subtask == part) {
            visit(&self.segment.piece(block, buffer)?)?;
        }
        Ok(())
    }
}
