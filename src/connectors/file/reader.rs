//! Reads files one after the other, each as a split of its own.
//!
//! What is in a file is a [`Decoder`]'s business; this is the rest: taking files from the
//! enumerator, opening them, announcing splits, keeping to a rate and the position that a
//! checkpoint needs.
//!
//! Reading a local file is a system call that may wait for the disk. It is made once per
//! [`Input::BUFFER_SIZE`] bytes, not once per record.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::operator::{
    BoxError, Collector, OpenContext, Push, SourceReader, SourceStatus, SplitId,
};

use super::FileError;
use super::files::{Assignment, FileSplit, Files};
use crate::connectors::pacer::Pacer;

/// Steps (a record read or refused, a file opened or ended) of a poll at most: a file full of
/// refused records must not keep the worker.
const STEPS_MAX: u32 = 4096;

/// A file's bytes, decompressed if its name ends in `.gz`.
pub struct Input {
    path: Arc<Path>,
    bytes: Box<dyn Read + Send>,
    /// How many bytes were read so far, and the last of them.
    size: u64,
    last_byte: Option<u8>,
}

impl Input {
    /// Bytes to read at a time.
    pub const BUFFER_SIZE: usize = 128 * 1024;

    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|cause| FileError::io(path, "open it", cause))?;
        let compressed = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        let bytes = if compressed {
            decompress(path, file)?
        } else {
            Box::new(file)
        };
        let path = path.into();
        Ok(Input {
            path,
            bytes,
            size: 0,
            last_byte: None,
        })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Whether a row or line that ends at `offset` stands at the end of the file without a line's
    /// end.
    #[cfg(feature = "csv")]
    #[inline]
    pub(crate) fn is_unended_at(&self, offset: u64) -> bool {
        offset == self.size && self.last_byte != Some(b'\n')
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.bytes.read(buffer)?;
        self.size += size as u64;
        self.last_byte = buffer[..size].last().copied().or(self.last_byte);
        Ok(size)
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Input").field(&self.path).finish()
    }
}

#[cfg(feature = "csv")]
fn decompress(_path: &Path, file: File) -> Result<Box<dyn Read + Send>, FileError> {
    let file = io::BufReader::with_capacity(Input::BUFFER_SIZE, file);
    Ok(Box::new(flate2::bufread::MultiGzDecoder::new(file)))
}

#[cfg(not(feature = "csv"))]
fn decompress(path: &Path, _file: File) -> Result<Box<dyn Read + Send>, FileError> {
    let path = path.to_path_buf();
    Err(FileError::Compressed { path })
}

/// What a step of a decoder did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// A record was read and emitted.
    Record,
    /// A record was read and refused.
    Refused,
    /// The file is at its end.
    End,
}

/// Makes records of a file's bytes.
pub trait Decoder: Send + 'static {
    /// The records' type.
    type Out: ?Sized + 'static;

    /// Registers what the decoder counts.
    fn open(&mut self, cx: &OpenContext) {
        let _ = cx;
    }

    /// Starts a file.
    ///
    /// # Errors
    /// Where its beginning is not what it should be.
    fn begin(&mut self, input: Input) -> Result<(), BoxError>;

    /// Reads the next record and emits it. Called when `out` is ready.
    ///
    /// # Errors
    /// Where the file cannot be read or a record not be refused quietly.
    fn step<D: Push<Self::Out>>(&mut self, out: &mut Collector<'_, D>)
    -> Result<Decoded, BoxError>;

    /// Bytes of the file, after decompression, before the next record.
    fn offset(&self) -> u64;

    /// Lets go of the file.
    fn end(&mut self);
}

/// Where in which file a reader stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilePosition {
    /// The split's number in this attempt.
    pub split: SplitId,
    /// The file.
    pub path: PathBuf,
    /// Bytes of the file, after decompression, before the next record.
    pub offset: u64,
}

/// Reads the files of one subtask.
#[derive(Debug)]
pub struct FileReader<C> {
    files: Files,
    decoder: C,
    /// The file being read, as of the end of the last poll.
    position: Option<FilePosition>,
    pacer: Option<Pacer>,
    index: u64,
    parallelism: u64,
    /// How many records this reader has emitted.
    emitted: u64,
}

impl<C: Decoder> FileReader<C> {
    pub(crate) fn new(
        files: &Files,
        decoder: C,
        pacer: Option<Pacer>,
        (index, parallelism): (u32, u32),
    ) -> Self {
        FileReader {
            files: files.clone(),
            decoder,
            position: None,
            pacer,
            index: u64::from(index),
            parallelism: u64::from(parallelism),
            emitted: 0,
        }
    }

    /// Where the reader stands; `None` between two files.
    #[must_use]
    pub fn position(&self) -> Option<&FilePosition> {
        self.position.as_ref()
    }

    /// The place of this reader's next record in the common schedule: readers take turns in it.
    fn turn(&self) -> u64 {
        self.emitted * self.parallelism + self.index
    }

    fn begin<D: Push<C::Out>>(
        &mut self,
        split: FileSplit,
        out: &mut Collector<'_, D>,
    ) -> Result<(), BoxError> {
        let input = match Input::open(&split.path) {
            Err(error) if error.is_not_found() && self.files.is_watched() => {
                tracing::info!(path = %split.path.display(), "a watched file was removed unread");
                return Ok(());
            }
            input => input?,
        };
        self.decoder.begin(input)?;
        if self.files.has_splits() {
            out.start_split(split.id);
        }
        self.position = Some(FilePosition {
            split: split.id,
            path: split.path,
            offset: self.decoder.offset(),
        });
        Ok(())
    }

    fn end<D: Push<C::Out>>(&mut self, out: &mut Collector<'_, D>) {
        self.decoder.end();
        if let Some(position) = self.position.take()
            && self.files.has_splits()
        {
            out.end_split(position.split);
        }
    }

    fn read<D: Push<C::Out>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        let due = match &mut self.pacer {
            Some(pacer) => pacer.due(self.emitted * self.parallelism, out.now()),
            None => u64::MAX,
        };
        for _ in 0..STEPS_MAX {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            if self.position.is_none() {
                match self.files.assign(out.now())? {
                    Assignment::Split(split) => self.begin(split, out)?,
                    Assignment::Wait(at) => return Ok(SourceStatus::Idle(Some(at))),
                    Assignment::Done => return Ok(SourceStatus::Finished),
                }
            } else if let Some(pacer) = &self.pacer
                && self.turn() >= due
            {
                return Ok(SourceStatus::Idle(Some(pacer.deadline(self.turn()))));
            } else {
                match self.decoder.step(out)? {
                    Decoded::Record => self.emitted += 1,
                    Decoded::Refused => {}
                    Decoded::End => self.end(out),
                }
            }
        }
        Ok(SourceStatus::More)
    }
}

impl<C: Decoder> SourceReader for FileReader<C> {
    type Out = C::Out;

    fn open(&mut self, cx: &OpenContext) -> Result<(), BoxError> {
        self.decoder.open(cx);
        Ok(self.files.ensure_started()?)
    }

    fn poll<D: Push<C::Out>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        let status = self.read(out);
        if let Some(position) = &mut self.position {
            position.offset = self.decoder.offset();
        }
        status
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.decoder.end();
        Ok(())
    }
}
