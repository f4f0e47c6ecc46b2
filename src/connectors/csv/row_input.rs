//! The bytes of a file as `csv` reads them, in which it is seen where rows begin.

use std::io::{self, Read};

use crate::connectors::file::{FileError, Input};

/// A byte order mark, which `csv` takes off the front of what it reads.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Hands the bytes of a file to `csv` and counts the line ends in front of each row.
///
/// `csv` tells how many bytes and lines it has consumed, but that is not where the next row begins: blank lines may
/// come first, and the `\n` of a `\r\n` is left to the row after it. Whether the row before was ended by a `\r`, by a
/// `\n` or by the end of the file cannot be told from its fields.
pub(super) struct RowInput {
    input: Input,
    /// The number of bytes to hand out in front of those of the file.
    extra: u64,
    /// A copy of the bytes handed out last; `csv` takes more only once it has consumed these.
    chunk: Vec<u8>,
    /// The number of bytes handed out so far.
    size: u64,
    /// Whether the next row's first byte was handed out.
    is_found: bool,
    /// The number of line ends found in front of it.
    lines: u64,
}

impl RowInput {
    /// The bytes of a file from its beginning.
    pub(super) fn new(input: Input) -> Self {
        RowInput {
            input,
            extra: 0,
            chunk: Vec::new(),
            size: 0,
            is_found: false,
            lines: 0,
        }
    }

    /// The bytes of a file from somewhere else, **behind a `\r`**. `csv` skips that as a blank line without counting
    /// it, and takes U+FEFF for a byte order mark only in front of everything.
    pub(super) fn resumed(input: Input) -> Self {
        let mut input = RowInput::new(input);
        input.extra = 1;
        input
    }

    /// The number of bytes of the file among the first `consumed` ones.
    #[inline]
    pub(super) fn of_file(&self, consumed: u64) -> u64 {
        consumed.saturating_sub(self.extra)
    }

    /// Starts to look for the row that is read next; `csv` has consumed `consumed` bytes.
    #[inline]
    pub(super) fn expect_row(&mut self, consumed: u64) {
        (self.is_found, self.lines) = (false, 0);
        self.input.begin_record();
        let left = (self.size - consumed) as usize;
        self.look(self.chunk.len() - left);
    }

    /// The number of line ends in front of the expected row, once it was read.
    #[inline]
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The error of reading the row that begins in `line`.
    pub(super) fn failed(&self, line: u64, cause: io::Error) -> FileError {
        self.input.failed(line, cause)
    }

    /// Looks for the row in the chunk from index `start`.
    #[inline]
    fn look(&mut self, start: usize) {
        for byte in &self.chunk[start..] {
            match byte {
                b'\n' => self.lines += 1,
                b'\r' => {}
                _ => {
                    self.is_found = true;
                    return;
                }
            }
        }
    }
}

impl Read for RowInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = if self.size < self.extra {
            (&b"\r"[..]).read(buffer)?
        } else {
            self.input.read(buffer)?
        };
        // At the end of the file, what came before stays: the next row is looked for behind it.
        if size > 0 {
            self.chunk.clear();
            self.chunk.extend_from_slice(&buffer[..size]);
            let is_marked = self.size == 0 && self.chunk.starts_with(BYTE_ORDER_MARK);
            self.size += size as u64;
            if !self.is_found {
                self.look(if is_marked { BYTE_ORDER_MARK.len() } else { 0 });
            }
        }
        Ok(size)
    }
}
