//! A source of the lines of one text file, distributed to parallel subtasks in blocks of bytes.
//!
//! ```text
//! block  0            1            2            3
//!       ┌────────────┬────────────┬────────────┬─────┐
//! file  │aaa bbb bbb↵│cc↵dddd dddd dddd dddd↵e ee ee│    a line belongs to the block of its first byte
//!       └────────────┴────────────┴────────────┴─────┘
//! of 2   0            1            0            1          block 2 has `e ee ee`, block 3 nothing
//! ```
//! The file is mapped into memory. A chunk of lines is copied before it is validated as UTF-8: the mapping changes if
//! another process writes to the file, and then a `str` in it would not stay one.

use std::path::Path;
use std::sync::Arc;

use crate::operator::{
    BoxError, Collector, OpenContext, Push, Source, SourceReader, SourceStatus, Split,
    fetch_beginning,
};

use super::blocks::Blocks;
use super::mapping::{MappedFile, Mapping};
use super::{FileError, Input};

/// How error messages refer to this source.
const NAME: &str = "the blocks of a file of lines";

/// The number of bytes validated as UTF-8 at a time. What a full chain does not take is validated again.
const CHUNK_SIZE: usize = 4096;

/// Emits the lines of one plain file as `str`, without line terminators (`\n` or `\r\n`), in parallel. Bounded.
///
/// The file is mapped into memory when the job starts. Parallel subtasks read it in blocks of
/// [64 KiB](LineBlocks::BLOCK), block `b` going to subtask `b mod p`; a single subtask reads the whole file.
/// The checkpointed position consists of the remaining blocks and the byte offset of the next line; a restored job
/// distributes those blocks anew and requires the file to be unchanged. A line that is not UTF-8 fails the subtask.
///
/// Nobody may write to or truncate the file while the job runs, as with [`RecordSource`](super::RecordSource). For
/// compressed files, directories and files that appear later, see [`LineSource`](super::LineSource).
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
    /// The default block size in bytes.
    pub const BLOCK: usize = 64 * 1024;

    /// The lines of the file at `path`.
    pub fn file(path: impl AsRef<Path>) -> Self {
        LineBlocks {
            file: MappedFile::new(path.as_ref()),
            block_size: Self::BLOCK,
            limit: None,
        }
    }

    /// Sets the block size in `bytes`, instead of [64 KiB](LineBlocks::BLOCK).
    ///
    /// # Panics
    /// If `bytes` is zero.
    pub fn block(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a block holds bytes");
        self.block_size = bytes;
        self
    }

    /// Ends after the first `lines` lines of the file, counted over all subtasks. To find the last of them, every
    /// subtask scans those lines when it opens.
    pub fn limit(mut self, lines: u64) -> Self {
        self.limit = Some(lines);
        self
    }
}

impl Source for LineBlocks {
    type Out = str;
    type Reader = LineBlockReader;

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

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
        LineBlockReader {
            file: self.file.clone(),
            limit: self.limit,
            mapping: None,
            lines: Lines {
                end: 0,
                blocks: Blocks::new(NAME, self.block_size, (index, parallelism)),
            },
            copy: Vec::new(),
        }
    }
}

/// The lines of one subtask and its progress: the offset of a block in progress is the file offset of its next line;
/// that of a block not yet started is 0.
#[derive(Debug)]
struct Lines {
    /// The number of bytes of the file to read.
    end: usize,
    blocks: Blocks,
}

/// The start of the first line that begins at or after `from`, or the end if there is none.
fn line_start(bytes: &[u8], from: usize) -> usize {
    let Some(before) = from.checked_sub(1) else {
        return 0;
    };
    let rest = bytes.get(before..).unwrap_or_default();
    let newline = rest.iter().position(|byte| *byte == b'\n');
    newline.map_or(bytes.len(), |newline| before + newline + 1)
}

impl Lines {
    /// The next run of complete adjacent lines and its offset; empty at the end.
    fn chunk<'a>(&mut self, bytes: &'a [u8]) -> (usize, &'a [u8]) {
        let bytes = &bytes[..self.end];
        loop {
            let next = *self.blocks.left.current();
            let mut offset = next.offset as usize;
            if offset == 0 {
                offset = line_start(bytes, self.blocks.start(next.next));
                self.blocks.left.set_offset(offset as u64);
            }
            // If no line begins in this or any later block, there is nothing left.
            if self.blocks.left.is_done() || offset >= self.end {
                return (self.end, &[]);
            }
            let block_end = self.blocks.end();
            if offset < block_end {
                let until = offset.saturating_add(CHUNK_SIZE).min(block_end);
                // There the next chunk ends.
                fetch_beginning(
                    bytes
                        .get(until.saturating_add(CHUNK_SIZE)..)
                        .unwrap_or_default(),
                );
                return (offset, &bytes[offset..line_start(bytes, until).max(offset)]);
            }
            // Skip blocks that one long line fills: no line begins in them.
            let blocks = offset as u64 / self.blocks.length - next.next;
            self.blocks.left.step(blocks.div_ceil(next.stride));
        }
    }

    /// Advances to the line that begins at `offset`.
    fn advance(&mut self, offset: usize) {
        let next = *self.blocks.left.current();
        let block = offset as u64 / self.blocks.length;
        if next.stride == 1 && block > next.next {
            self.blocks.left.step(block - next.next);
        }
        self.blocks.left.set_offset(offset as u64);
    }
}

/// Reads one subtask's blocks of a [`LineBlocks`] source.
#[derive(Debug)]
pub struct LineBlockReader {
    file: MappedFile,
    limit: Option<u64>,
    mapping: Option<Arc<Mapping>>,
    lines: Lines,
    /// A copy of the lines that are being emitted.
    copy: Vec<u8>,
}

/// The line, from 1, that the byte at `offset` is in.
fn line_of(mapping: &Mapping, offset: usize) -> u64 {
    let before = mapping.bytes()[..offset].iter();
    before.filter(|byte| **byte == b'\n').count() as u64 + 1
}

/// The text of complete lines that begin at offset `start`, of which `chunk` is a copy.
fn text<'a>(mapping: &Mapping, start: usize, chunk: &'a [u8]) -> Result<&'a str, FileError> {
    std::str::from_utf8(chunk).map_err(|error| FileError::NotUtf8 {
        path: mapping.path().to_path_buf(),
        line: line_of(mapping, start + error.valid_up_to()),
    })
}

/// The offset at which the first `lines` lines end.
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
        self.lines.blocks.check(&mapping)?;
        self.lines.end = end;
        self.mapping = Some(mapping);
        Ok(())
    }

    fn poll<D: Push<str>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        let Some(mapping) = &self.mapping else {
            return Ok(SourceStatus::Finished);
        };
        loop {
            let (start, chunk) = self.lines.chunk(mapping.bytes());
            if chunk.is_empty() {
                mapping.check()?;
                return Ok(SourceStatus::Finished);
            }
            let (mut read, end) = (start, start + chunk.len());
            // It holds little more than its last line.
            if chunk.len() as u64 > Input::RECORD_MAX {
                let (path, line) = (mapping.path().to_path_buf(), line_of(mapping, end - 1));
                return Err(FileError::TooLong { path, line }.into());
            }
            self.copy.clear();
            self.copy.extend_from_slice(chunk);
            for line in Split::at('\n').parts(text(mapping, start, &self.copy)?) {
                // The empty remainder after the last line terminator is not a line.
                if read == end {
                    break;
                }
                if !out.ready() {
                    self.lines.advance(read);
                    return Ok(SourceStatus::More);
                }
                read += line.len();
                // At the end of the file the line may have no terminator, of which `\r` is a part only before `\n`.
                let is_ended = read < end;
                read += usize::from(is_ended);
                let line = line.strip_suffix('\r').filter(|_| is_ended).unwrap_or(line);
                out.emit(line);
            }
            self.lines.advance(read);
        }
    }

    fn position(&mut self, _checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        self.lines
            .blocks
            .position(self.mapping.as_deref(), positions)
    }

    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        self.lines.blocks.seek(positions, readers)
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.mapping = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::{self, Chain, cuts, emitted_in_attempts};
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::OnceLock;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        test_chain::file("lines.txt", bytes)
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
        let next = reader.lines.blocks.left.current();
        assert_eq!((next.next, next.offset), (2, 9));
        chain.room = usize::MAX;
        assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
        assert_eq!(chain.values(), ["one", "two", "", "last"]);
    }

    #[test]
    fn carriage_return_without_a_newline_belongs_to_its_line() {
        let (_dir, path) = file(b"a\r\nb\rc\n\r\r\nlast\r");
        for block in [1, 3, 64] {
            let lines = emitted(&LineBlocks::file(&path).block(block), 0, 1);
            assert_eq!(lines, ["a", "b\rc", "\r", "last\r"]);
        }
    }

    #[test]
    fn line_is_text_even_if_the_file_is_written_to_meanwhile() {
        static PATH: OnceLock<PathBuf> = OnceLock::new();
        let (_dir, path) = file(b"one\ntwo\n");
        let path = PATH.get_or_init(|| path);
        let mut chain = Chain::new(|line: &str| {
            let file = fs::File::options().write(true).open(PATH.get().unwrap());
            file.unwrap()
                .write_all(b"\xff\xff\xff\n\xff\xff\xff\n\n")
                .unwrap();
            line.as_bytes().to_vec()
        });
        let error = chain.try_drain(&mut LineBlocks::file(path).reader(0, 1));
        assert_eq!(chain.values(), [b"one", b"two"]);
        let message = error.unwrap_err().to_string();
        assert!(
            message.ends_with("was changed while it was read"),
            "{message}"
        );
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
        fn every_line_is_emitted_once_whatever_is_restored_where(
            lines in prop::collection::vec(0..12_usize, 0..200),
            block in 1..40_usize,
            attempts in cuts(),
        ) {
            let lines = lines.iter().enumerate();
            let lines: Vec<_> = lines.map(|(n, dots)| format!("{n:03}{}", ".".repeat(*dots))).collect();
            let (_dir, path) = file(lines.join("\n").as_bytes());
            let source = LineBlocks::file(path).block(block);
            let emitted = emitted_in_attempts(&source, str::to_owned, &attempts);
            prop_assert_eq!(emitted, lines);
        }

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
