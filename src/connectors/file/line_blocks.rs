//! A source of the lines of one text file, dealt to parallel subtasks in blocks of bytes.
//!
//! ```text
//! block  0            1            2            3
//!       ┌────────────┬────────────┬────────────┬─────┐
//! file  │aaa bbb bbb↵│cc↵dddd dddd dddd dddd↵e ee ee│    a line belongs to the block of its first byte
//!       └────────────┴────────────┴────────────┴─────┘
//! of 2   0            1            0            1          block 2 has `e ee ee`, block 3 nothing
//! ```
//! The file is mapped into memory, and lines are handed on where they stand: none is copied.

use std::path::Path;
use std::sync::Arc;

use crate::operator::{BoxError, Collector, OpenContext, Push, Source, SourceReader, SourceStatus};

use super::FileError;
use super::mapping::{MappedFile, Mapping};

/// Bytes that are checked to be text at a time. What a full chain leaves over is checked again.
const CHUNK_SIZE: usize = 4096;

/// Emits the lines of one plain file as `str`, without the line's end (`\n` or `\r\n`), in parallel.
/// Bounded.
///
/// The file is mapped into memory when the job starts. Parallel subtasks deal it in blocks of
/// [64 KiB](LineBlocks::BLOCK), block `b` to subtask `b mod p`; one alone reads the file as a whole.
/// The position, from which it can be replayed, is a block and the byte offset of the next line in the
/// file. A line that is not UTF-8 fails the subtask.
///
/// Nobody may write to the file or truncate it while the job runs, as for
/// [`RecordSource`](super::RecordSource). For compressed files, directories and files that come later,
/// see [`LineSource`](super::LineSource).
///
/// ```
/// use thalweg::connectors::LineBlocks;
///
/// let lines = LineBlocks::file("words.txt").block(1 << 20);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LineBlocks {
    file: MappedFile,
    block_size: usize,
    limit: Option<u64>,
}

impl LineBlocks {
    /// Bytes of a block.
    pub const BLOCK: usize = 64 * 1024;

    /// The lines of the file at `path`.
    pub fn file(path: impl AsRef<Path>) -> Self {
        LineBlocks {
            file: MappedFile::new(path.as_ref()),
            block_size: Self::BLOCK,
            limit: None,
        }
    }

    /// Deals blocks of so many `bytes` instead of [64 KiB](LineBlocks::BLOCK).
    ///
    /// # Panics
    /// If a block would be empty.
    pub fn block(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a block holds bytes");
        self.block_size = bytes;
        self
    }

    /// Ends after the first `lines` lines of the file, counted over all subtasks. To find the last one,
    /// every subtask looks through them when it opens.
    pub fn limit(mut self, lines: u64) -> Self {
        self.limit = Some(lines);
        self
    }
}

impl Source for LineBlocks {
    type Out = str;
    type Reader = LineBlockReader;

    fn start(&self) -> Result<(), BoxError> {
        let path = self.file.path();
        if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("gz"))
        {
            let path = path.to_path_buf();
            return Err(FileError::NoBlocks { path }.into());
        }
        self.file.size()?;
        Ok(())
    }

    fn reader(&self, index: u32, parallelism: u32) -> LineBlockReader {
        let block_size = self.block_size;
        LineBlockReader {
            file: self.file.clone(),
            limit: self.limit,
            mapping: None,
            lines: Lines {
                end: 0,
                block_size,
                stride: parallelism.max(1) as usize,
                position: LinePosition {
                    block: index as usize,
                    offset: 0,
                },
            },
        }
    }
}

/// Where a [`LineBlockReader`] stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinePosition {
    /// The block of the next line, from 0.
    pub block: usize,
    /// Bytes of the file before the next line.
    pub offset: usize,
}

/// Which lines are one subtask's, and how far it has come.
#[derive(Debug)]
struct Lines {
    /// Bytes of the file that are read.
    end: usize,
    block_size: usize,
    /// From one of the subtask's blocks to its next one.
    stride: usize,
    position: LinePosition,
}

/// Where the first line begins that does so at `from` or later; the end, if none does.
fn line_start(bytes: &[u8], from: usize) -> usize {
    let Some(before) = from.checked_sub(1) else {
        return 0;
    };
    let rest = bytes.get(before..).unwrap_or_default();
    let newline = rest.iter().position(|byte| *byte == b'\n');
    newline.map_or(bytes.len(), |newline| before + newline + 1)
}

impl Lines {
    /// Goes to the subtask's first line.
    fn start(&mut self, bytes: &[u8], end: usize) {
        self.end = end;
        self.go_to(bytes, self.position.block);
    }

    /// Goes to the first line of a block.
    fn go_to(&mut self, bytes: &[u8], block: usize) {
        let start = block.saturating_mul(self.block_size);
        let offset = line_start(&bytes[..self.end], start);
        self.position = LinePosition { block, offset };
    }

    /// Where the block ends that is read. A subtask that is alone reads a block as long as the file.
    fn block_end(&self) -> usize {
        match self.stride {
            1 => usize::MAX,
            _ => (self.position.block.saturating_add(1)).saturating_mul(self.block_size),
        }
    }

    /// The next lines that follow one another, whole; empty at the end.
    fn chunk<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let bytes = &bytes[..self.end];
        while self.position.offset >= self.block_end() && self.position.offset < self.end {
            // Blocks that a long line fills are left out: no line begins there.
            let LinePosition { block, offset } = self.position;
            let turns = (offset / self.block_size - block).div_ceil(self.stride);
            self.go_to(bytes, block + turns * self.stride);
        }
        let start = self.position.offset.min(self.end);
        let until = start.saturating_add(CHUNK_SIZE).min(self.block_end());
        &bytes[start..line_start(bytes, until).max(start)]
    }

    /// Moves on by lines of so many bytes.
    fn advance(&mut self, bytes: usize) {
        self.position.offset += bytes;
        if self.stride == 1 {
            self.position.block = self.position.offset / self.block_size;
        }
    }
}

/// Reads one subtask's blocks of a [`LineBlocks`] source.
#[derive(Debug)]
pub struct LineBlockReader {
    file: MappedFile,
    limit: Option<u64>,
    mapping: Option<Arc<Mapping>>,
    lines: Lines,
}

impl LineBlockReader {
    /// Where the reader stands, once it is open.
    #[must_use]
    pub fn position(&self) -> LinePosition {
        self.lines.position
    }
}

/// The text of whole lines that begin at `start`.
fn text<'a>(mapping: &Mapping, start: usize, chunk: &'a [u8]) -> Result<&'a str, FileError> {
    std::str::from_utf8(chunk).map_err(|error| {
        let before = &mapping.bytes()[..start + error.valid_up_to()];
        let newlines = before.iter().filter(|byte| **byte == b'\n').count();
        FileError::NotUtf8 {
            path: mapping.path().to_path_buf(),
            line: newlines as u64 + 1,
        }
    })
}

/// Where so many lines end.
fn end_of(bytes: &[u8], lines: u64) -> usize {
    let lines = usize::try_from(lines).unwrap_or(usize::MAX);
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(lines);
    lines.map(<[u8]>::len).sum()
}

impl SourceReader for LineBlockReader {
    type Out = str;

    fn open(&mut self, _cx: &OpenContext) -> Result<(), BoxError> {
        let mapping = self.file.open(u64::MAX)?;
        let bytes = mapping.bytes();
        let end = self.limit.map_or(bytes.len(), |lines| end_of(bytes, lines));
        self.lines.start(bytes, end);
        self.mapping = Some(mapping);
        Ok(())
    }

    fn poll<D: Push<str>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        let Some(mapping) = &self.mapping else {
            return Ok(SourceStatus::Finished);
        };
        loop {
            let chunk = self.lines.chunk(mapping.bytes());
            if chunk.is_empty() {
                mapping.check()?;
                return Ok(SourceStatus::Finished);
            }
            let mut read = 0;
            for line in text(mapping, self.lines.position.offset, chunk)?.split_inclusive('\n') {
                if !out.ready() {
                    self.lines.advance(read);
                    return Ok(SourceStatus::More);
                }
                read += line.len();
                let line = line.strip_suffix('\n').unwrap_or(line);
                out.emit(line.strip_suffix('\r').unwrap_or(line));
            }
            self.lines.advance(read);
        }
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.mapping = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::Chain;
    use proptest::prelude::*;
    use std::fs;
    use std::path::PathBuf;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines.txt");
        fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn emitted(source: &LineBlocks, index: u32, parallelism: u32) -> Vec<String> {
        let mut chain = Chain::new(str::to_owned);
        chain.drain(&mut source.reader(index, parallelism));
        chain.values()
    }

    #[test]
    fn lines_belong_to_the_block_of_their_first_byte() {
        let (_dir, path) = file(b"aaa bbb bbb\ncc\ndddd dddd dddd dddd\ne ee ee");
        let source = LineBlocks::file(path).block(13);
        let first = emitted(&source, 0, 2);
        assert_eq!(first, ["aaa bbb bbb", "cc", "e ee ee"]);
        assert_eq!(emitted(&source, 1, 2), ["dddd dddd dddd dddd"]);
        assert_eq!(emitted(&source, 0, 1).len(), 4);
    }

    #[test]
    fn reader_goes_on_where_a_full_chain_stopped_it() {
        let (_dir, path) = file(b"one\r\ntwo\n\nlast");
        let mut reader = LineBlocks::file(path).block(4).reader(0, 1);
        let mut chain = Chain::new(str::to_owned);
        chain.room = 2;
        reader.open(&chain.cx()).unwrap();
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        let (block, offset) = (2, 9);
        assert_eq!(reader.position(), LinePosition { block, offset });
        chain.room = usize::MAX;
        assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
        assert_eq!(chain.values(), ["one", "two", "", "last"]);
    }

    #[test]
    fn line_that_is_no_text_is_named_in_whatever_block_it_is() {
        let (_dir, path) = file(b"one\ntwo\nthr\xff\nfour\n");
        let mut chain = Chain::new(str::to_owned);
        let error = chain.try_drain(&mut LineBlocks::file(path).block(4).reader(0, 2));
        let message = error.unwrap_err().to_string();
        assert!(message.ends_with("lines.txt, line 3: not valid UTF-8"));
    }

    #[test]
    fn missing_and_compressed_files_are_named_before_the_job_runs() {
        let error = LineBlocks::file("no/such.txt").start().unwrap_err();
        assert!(error.to_string().contains("no/such.txt does not exist"));
        let error = LineBlocks::file("lines.txt.gz").start().unwrap_err();
        assert!(error.to_string().contains("LineSource"));
    }

    proptest! {
        #[test]
        fn every_line_is_emitted_once_in_order_whatever_the_blocks(
            text in "([ab\u{e4}]{0,9}\n){0,12}[ab]{0,9}",
            block in 1..40_usize,
            parallelism in 1..5_u32,
            limit in proptest::option::of(0..14_u64),
        ) {
            let (_dir, path) = file(text.as_bytes());
            let mut source = LineBlocks::file(path).block(block);
            let mut lines: Vec<(usize, &str)> = Vec::new();
            for line in text.split_inclusive('\n') {
                let start = line.as_ptr() as usize - text.as_ptr() as usize;
                lines.push((start, line.strip_suffix('\n').unwrap_or(line)));
            }
            if let Some(limit) = limit {
                source = source.limit(limit);
                lines.truncate(limit as usize);
            }
            for index in 0..parallelism {
                let own = |start: usize| (start / block) as u32 % parallelism == index;
                let share = lines.iter().filter(|(start, _)| own(*start));
                let share: Vec<_> = share.map(|(_, line)| (*line).to_owned()).collect();
                prop_assert_eq!(emitted(&source, index, parallelism), share);
            }
        }
    }
}
