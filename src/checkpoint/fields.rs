//! Fields of files: numbers and texts, written and read one after the other.
//!
//! Every number is little-endian on every machine. Reading checks bounds and never allocates more than the size of the
//! file.

use std::sync::Arc;

use super::error::CheckpointError;

/// Texts and lists are padded to a multiple of it.
pub(super) const FIELD_ALIGN: usize = 8;

/// Writes fields.
#[derive(Debug, Default)]
pub(super) struct FieldWriter {
    pub(super) bytes: Vec<u8>,
}

impl FieldWriter {
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes the number of elements that follow.
    pub(super) fn count(&mut self, count: usize) {
        self.u32(
            u32::try_from(count).expect("lists of a checkpoint have fewer than 2^32 elements"),
        );
    }

    /// Writes a text after its length, padded with zeros.
    pub(super) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.raw(text.as_bytes());
        self.fill();
    }

    /// Pads with zeros up to the next multiple of 8.
    pub(super) fn fill(&mut self) {
        let length = self.bytes.len().next_multiple_of(FIELD_ALIGN);
        self.bytes.resize(length, 0);
    }
}

/// Reads fields.
#[derive(Clone, Debug)]
pub(super) struct FieldReader<'a> {
    file: &'a str,
    bytes: &'a [u8],
    /// The offset in the file at which the bytes begin.
    start: u64,
    at: usize,
}

type Read<T> = Result<T, CheckpointError>;

impl<'a> FieldReader<'a> {
    /// Reads `bytes`, which are at offset `start` of `file`, a multiple of 8.
    pub(super) fn new(file: &'a str, bytes: &'a [u8], start: u64) -> Self {
        FieldReader {
            file,
            bytes,
            start,
            at: 0,
        }
    }

    /// The error of damage in the field that ends here.
    pub(super) fn damaged(&self, what: &'static str) -> CheckpointError {
        CheckpointError::damaged(self.file, self.start + self.at as u64, what)
    }

    pub(super) fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length);
        let taken = taken.ok_or_else(|| self.damaged("it ends inside of a field"))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("so many bytes were taken"))
    }

    pub(super) fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// Reads the number of elements that follow, each at least `size` bytes long.
    pub(super) fn count(&mut self, size: usize) -> Read<usize> {
        let count = self.u32()? as usize;
        if count > (self.bytes.len() - self.at) / size {
            return Err(self.damaged("it ends inside of a list"));
        }
        Ok(count)
    }

    pub(super) fn text(&mut self) -> Read<Arc<str>> {
        let length = self.count(1)?;
        let bytes = self.take(length)?;
        let text = str::from_utf8(bytes).map_err(|_| self.damaged("a name is no text"))?;
        let text = Arc::from(text);
        self.fill()?;
        Ok(text)
    }

    /// Skips zeros up to the next multiple of 8.
    pub(super) fn fill(&mut self) -> Read<()> {
        let length = self.at.next_multiple_of(FIELD_ALIGN) - self.at;
        self.zeros(length)
    }

    pub(super) fn zeros(&mut self, length: usize) -> Read<()> {
        match self.take(length)?.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(self.damaged("what should be empty is not")),
        }
    }

    /// Checks that nothing is left to read.
    pub(super) fn end(&self) -> Read<()> {
        match self.at == self.bytes.len() {
            true => Ok(()),
            false => Err(self.damaged("there is more than there should be")),
        }
    }
}
