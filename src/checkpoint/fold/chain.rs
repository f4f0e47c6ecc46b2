//! Folds one chain: all changes ever made to a subtask's part of a state, piece by piece.

use std::sync::Arc;

use super::batch::{Batch, ENTRY_COST, EntryLayout};
use super::partition::{PARTS_MAX, Partitioner};
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::files::CheckpointFiles;
use crate::checkpoint::format::SegmentHeader;
use crate::checkpoint::manifest::{Chain, Link};
use crate::checkpoint::piece::{PieceKind, PieceRef};
use crate::checkpoint::segment_reader::BlockBuffer;
use crate::checkpoint::segment_writer::SegmentWriter;
use crate::checkpoint::storage::Storage;

/// Folds chains into a segment, one at a time.
pub(in crate::checkpoint) struct ChainFolder<'a> {
    files: &'a CheckpointFiles,
    storage: &'a Arc<dyn Storage>,
    writer: &'a mut SegmentWriter,
    /// The header of the scratch file for chains that do not fit into memory.
    scratch: SegmentHeader,
    memory: usize,
    number: u64,
    buffer: BlockBuffer,
    batch: Batch,
}

impl<'a> ChainFolder<'a> {
    /// Folds chains of `files` into the segment that `writer` writes.
    pub(in crate::checkpoint) fn new(
        files: &'a CheckpointFiles,
        storage: &'a Arc<dyn Storage>,
        (writer, header): (&'a mut SegmentWriter, SegmentHeader),
        scratch: u64,
        memory: usize,
    ) -> Self {
        ChainFolder {
            files,
            storage,
            writer,
            scratch: SegmentHeader {
                number: scratch,
                ..header
            },
            memory,
            number: header.number,
            buffer: BlockBuffer::new(),
            batch: Batch::default(),
        }
    }

    /// Folds the chain of one subtask. Returns a link to the remaining entries, if there are any.
    pub(in crate::checkpoint) fn fold(
        &mut self,
        layout: &EntryLayout<'_>,
        subtask: u32,
        chain: &Chain,
    ) -> Result<Option<Link>, CheckpointError> {
        let entries: u64 = chain.iter().map(|link| link.entries).sum();
        let bytes: u64 = chain.iter().map(|link| link.bytes).sum();
        let cost = bytes + entries * ENTRY_COST;
        let blocks = || self.files.blocks_of(layout.state, subtask);
        if !layout.schema.kind.is_keyed()
            || blocks().all(|(_, block)| block.kind == PieceKind::Set) && chain.len() < 2
        {
            return self.copy(layout, subtask);
        }
        match cost.div_ceil(self.memory.max(1) as u64).min(PARTS_MAX) {
            0 | 1 => self.fold_in_memory(layout, subtask),
            part_count => self.fold_in_parts(layout, subtask, (part_count, bytes)),
        }
    }

    /// Copies a chain that needs no folding: a base, or non-keyed values.
    fn copy(
        &mut self,
        layout: &EntryLayout<'_>,
        subtask: u32,
    ) -> Result<Option<Link>, CheckpointError> {
        let mut link = None;
        for (segment, block) in self.files.blocks_of(layout.state, subtask) {
            let piece = segment.piece(block, &mut self.buffer)?;
            count(&mut link, self.number, &piece);
            self.writer.append(layout.state, piece)?;
        }
        Ok(link)
    }

    fn fold_in_memory(
        &mut self,
        layout: &EntryLayout<'_>,
        subtask: u32,
    ) -> Result<Option<Link>, CheckpointError> {
        self.batch.clear();
        for (segment, block) in self.files.blocks_of(layout.state, subtask) {
            let piece = segment.piece(block, &mut self.buffer)?;
            self.batch.add(layout, &piece)?;
        }
        let mut link = None;
        self.put_batch(layout, subtask, &mut link)?;
        Ok(link)
    }

    fn fold_in_parts(
        &mut self,
        layout: &EntryLayout<'_>,
        subtask: u32,
        (part_count, bytes): (u64, u64),
    ) -> Result<Option<Link>, CheckpointError> {
        let counts = (part_count, self.memory);
        let mut parts = Partitioner::create(self.storage, self.scratch, layout, counts, bytes)?;
        for (segment, block) in self.files.blocks_of(layout.state, subtask) {
            let piece = segment.piece(block, &mut self.buffer);
            if let Err(error) = piece.and_then(|piece| parts.add(&piece)) {
                parts.discard();
                return Err(error);
            }
        }
        let parts = parts.finish(&**self.storage)?;
        let mut link = None;
        for part in 0..part_count as u32 {
            self.batch.clear();
            let batch = &mut self.batch;
            parts.visit(part, &mut self.buffer, |piece| batch.add(layout, piece))?;
            self.put_batch(layout, subtask, &mut link)?;
        }
        Ok(link)
    }

    fn put_batch(
        &mut self,
        layout: &EntryLayout<'_>,
        subtask: u32,
        link: &mut Option<Link>,
    ) -> Result<(), CheckpointError> {
        let (writer, number) = (&mut *self.writer, self.number);
        self.batch.fold(subtask, |piece| {
            count(link, number, &piece);
            writer.append(layout.state, piece)
        })
    }
}

fn count(link: &mut Option<Link>, segment: u64, piece: &PieceRef<'_>) {
    let link = link.get_or_insert(Link {
        segment,
        entries: 0,
        bytes: 0,
    });
    link.entries += piece.count;
    link.bytes += piece.bytes.len() as u64;
}
