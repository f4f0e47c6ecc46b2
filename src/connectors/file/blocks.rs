//! The unread blocks of a mapped file, as stored in a checkpoint.

use crate::connectors::splits::{
    Position, PositionError, PositionReader, Progression, Progressions, deal,
};
use crate::operator::BoxError;

use super::FileError;
use super::identity::Identity;
use super::mapping::Mapping;

/// The blocks of one subtask, and the identity of the file once it is known.
#[derive(Debug)]
pub(super) struct Blocks {
    /// How error messages refer to the source.
    source: &'static str,
    index: u32,
    parallelism: u32,
    /// The length of a block, in records or bytes.
    pub(super) length: u64,
    pub(super) left: Progressions,
    /// The file that was being read when the checkpoint was taken.
    before: Option<Identity>,
}

impl Blocks {
    /// Assigns block `index` and every `parallelism`-th block after it.
    pub(super) fn new(
        source: &'static str,
        length: usize,
        (index, parallelism): (u32, u32),
    ) -> Self {
        let all = Progression::new(u64::from(index), u64::from(parallelism), u64::MAX);
        Blocks {
            source,
            index,
            parallelism,
            length: length as u64,
            left: Progressions::one(all),
            before: None,
        }
    }

    /// Where `block` begins, in records or bytes.
    pub(super) fn start(&self, block: u64) -> usize {
        usize::try_from(block.saturating_mul(self.length)).unwrap_or(usize::MAX)
    }

    /// Where the current block ends, in records or bytes. A subtask that runs alone reads the file as a single block.
    pub(super) fn end(&self) -> usize {
        let current = self.left.current();
        match current.stride {
            1 => usize::MAX,
            _ => self.start(current.next.saturating_add(1)),
        }
    }

    /// Checks that the file is the one that was being read when the checkpoint was taken.
    pub(super) fn check(&self, mapping: &Mapping) -> Result<(), FileError> {
        if self
            .before
            .is_some_and(|before| before != mapping.identity())
        {
            let path = mapping.path().to_path_buf();
            return Err(FileError::ChangedSinceCheckpoint { path });
        }
        Ok(())
    }

    /// Appends the position of the reader of `mapping`.
    pub(super) fn position(
        &self,
        mapping: Option<&Mapping>,
        positions: &mut Vec<Vec<u8>>,
    ) -> Result<(), BoxError> {
        let mapping = mapping.ok_or("the reader is not open")?;
        positions.extend(self.left.all().map(|part| {
            let position = mapping.identity().write(Position::of(self.source));
            part.write(position.number(self.length)).end()
        }));
        Ok(())
    }

    /// Takes this reader's share of the remaining blocks.
    pub(super) fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        if readers == 0 {
            return Ok(());
        }
        let mut left = Vec::with_capacity(positions.len());
        for position in positions {
            let mut reader = PositionReader::of(self.source, position)?;
            let (identity, length) = (Identity::read(&mut reader)?, reader.number()?);
            let is_first = left.is_empty();
            if length == 0 || !(is_first || (self.before, self.length) == (Some(identity), length))
            {
                let wanted = self.source;
                return Err(PositionError::Damaged { wanted }.into());
            }
            (self.before, self.length) = (Some(identity), length);
            left.push(Progression::read(&mut reader)?);
            reader.end()?;
        }
        if left.is_empty() {
            let wanted = self.source;
            return Err(PositionError::Damaged { wanted }.into());
        }
        self.left = Progressions::of(deal(&left, self.index, self.parallelism));
        Ok(())
    }
}
