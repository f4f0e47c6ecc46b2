//! Reads files one after another, each as a split.
//!
//! Decoding the contents is the job of a [`Decoder`]. This module does the rest: getting files from the enumerator,
//! opening them, announcing splits, keeping to a rate, and tracking the position for checkpoints.
//!
//! Reading a local file is a system call that may wait for the disk. It is made once per [`Input::BUFFER_SIZE`]
//! bytes, not once per record.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::operator::{
    BoxError, Collector, OpenContext, Push, SourceReader, SourceStatus, SplitId,
};

use super::FileError;
use super::files::{Assignment, Files};
use super::files_left::{BegunFile, FilePlace, FilesLeft};
use super::identity::Identity;
use super::schedule::Share;
use crate::connectors::pacer::Pacer;
use crate::connectors::splits::deal_whole;

/// The maximum number of steps per poll (a record read or rejected, a file opened or finished): a file full of
/// rejected records must not monopolize the worker.
const STEPS_MAX: u32 = 4096;

/// The bytes of a file, decompressed if its name ends in `.gz`.
pub struct Input {
    path: Arc<Path>,
    /// The file's identity when it was opened.
    identity: Identity,
    bytes: Bytes,
    /// The number of bytes read or skipped so far.
    size: u64,
    /// With how many, the record being read must have ended.
    end_max: u64,
}

/// The underlying byte stream.
enum Bytes {
    Plain(File),
    Decompressed(Box<dyn Read + Send>),
}

impl Input {
    /// The number of bytes to read at a time.
    pub const BUFFER_SIZE: usize = 128 * 1024;

    /// About the largest size of a record: a file without line ends, or with a quote that nothing closes, must not fill
    /// the memory. Tests have no room for as much.
    pub(crate) const RECORD_MAX: u64 = if cfg!(test) { 4 << 20 } else { 256 << 20 };

    /// Opens the file at `path`.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|cause| FileError::input(path, "open it", cause))?;
        let metadata = file.metadata();
        let metadata = metadata.map_err(|cause| FileError::input(path, "look at it", cause))?;
        let compressed = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        let bytes = if compressed {
            Bytes::Decompressed(decompress(path, file)?)
        } else {
            Bytes::Plain(file)
        };
        Ok(Input {
            path: path.into(),
            identity: Identity::of(&metadata),
            bytes,
            size: 0,
            end_max: u64::MAX,
        })
    }

    /// Starts to read a record, perhaps of bytes that are buffered already: reading fails if it does not end soon enough.
    #[inline]
    pub fn begin_record(&mut self) {
        self.end_max = self.size + Self::RECORD_MAX;
    }

    /// The error of reading the record that began in `line`.
    pub(crate) fn failed(&self, line: u64, cause: io::Error) -> FileError {
        if self.size >= self.end_max {
            let path = self.path.to_path_buf();
            return FileError::TooLong { path, line };
        }
        FileError::input(&self.path, "read it", cause)
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Skips to `offset`: seeks in a plain file, reads through a compressed one.
    ///
    /// # Errors
    /// If the bytes cannot be read, or there are fewer.
    pub fn skip_to(&mut self, offset: u64) -> Result<(), FileError> {
        let skipped = match &mut self.bytes {
            Bytes::Plain(file) => file.seek(SeekFrom::Start(offset)),
            Bytes::Decompressed(bytes) => {
                let ahead = offset.saturating_sub(self.size);
                let read = io::copy(&mut bytes.take(ahead), &mut io::sink());
                read.map(|read| self.size + read)
            }
        };
        self.size = skipped.map_err(|cause| FileError::input(&self.path, "read it", cause))?;
        if self.size == offset {
            return Ok(());
        }
        let path = self.path.to_path_buf();
        Err(FileError::ChangedSinceCheckpoint { path })
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.size >= self.end_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let size = match &mut self.bytes {
            Bytes::Plain(file) => file.read(buffer)?,
            Bytes::Decompressed(bytes) => bytes.read(buffer)?,
        };
        self.size += size as u64;
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
    Ok(Box::new(Gzip(flate2::bufread::MultiGzDecoder::new(file))))
}

/// What is in a compressed file; its errors say that the file may be none.
#[cfg(feature = "csv")]
struct Gzip(flate2::bufread::MultiGzDecoder<io::BufReader<File>>);

#[cfg(feature = "csv")]
impl Read for Gzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            if error.raw_os_error().is_some() {
                return error;
            }
            let reason = format!(
                "its name ends in `.gz`, but it is not a gzip file, or is cut off or damaged ({error})"
            );
            io::Error::new(error.kind(), reason)
        })
    }
}

#[cfg(not(feature = "csv"))]
fn decompress(path: &Path, _file: File) -> Result<Box<dyn Read + Send>, FileError> {
    let path = path.to_path_buf();
    Err(FileError::Compressed { path })
}

/// The result of a decoder's step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// A record was read and emitted.
    Record,
    /// A record was read and rejected.
    Refused,
    /// The end of the file was reached.
    End,
}

/// Decodes the bytes of a file into records.
pub trait Decoder: Sized + Send + 'static {
    /// The records' type.
    type Out: ?Sized + 'static;

    /// Registers the decoder's metrics.
    fn open(&mut self, cx: &OpenContext) {
        let _ = cx;
    }

    /// A new decoder with the same configuration, for another file.
    #[must_use]
    fn another(&self) -> Self;

    /// Starts a file at a place that an earlier decoder reported.
    ///
    /// # Errors
    /// If the beginning of the file is invalid.
    fn begin(&mut self, input: Input, from: FilePlace) -> Result<(), BoxError>;

    /// Reads the next record and emits it. Called when `out` is ready.
    ///
    /// # Errors
    /// If the file cannot be read, or a record is malformed and the policy is to fail.
    fn step<D: Push<Self::Out>>(&mut self, out: &mut Collector<'_, D>)
    -> Result<Decoded, BoxError>;

    /// The position of the next record.
    fn place(&self) -> FilePlace;
}

/// A file being read.
#[derive(Debug)]
struct OpenFile<C> {
    decoder: C,
    /// The split's number in this attempt.
    split: SplitId,
    path: PathBuf,
    identity: Identity,
}

/// Reads the files of one subtask.
///
/// Files are read one at a time, except after resuming from a checkpoint at which several were in progress: those are
/// read in turns, as they were before, so that none of them holds back the watermark or falls behind it.
#[derive(Debug)]
pub struct FileReader<C> {
    files: Files,
    /// The prototype of the decoders.
    decoder: C,
    current: Option<OpenFile<C>>,
    /// Other files in progress, the next to be read first.
    others: VecDeque<OpenFile<C>>,
    /// Files in progress at the checkpoint, yet to be opened.
    begun: Vec<BegunFile>,
    finished: Vec<(PathBuf, Identity)>,
    /// This reader's part in the rate, if there is one.
    share: Option<Share>,
    index: u32,
    parallelism: u32,
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
            current: None,
            others: VecDeque::new(),
            begun: Vec::new(),
            finished: Vec::new(),
            share: pacer.map(Share::new),
            index,
            parallelism,
        }
    }

    /// Opens a file. Returns `None` if a watched file has been removed, has changed since it was found or partly read, or
    /// is still empty though it is read only once: the directory's next listing finds it anew.
    fn open_file(&self, split: SplitId, file: BegunFile) -> Result<Option<OpenFile<C>>, BoxError> {
        let BegunFile {
            path,
            identity: expected,
            place,
        } = file;
        let input = match Input::open(&path) {
            Err(error) if error.is_not_found() && self.files.is_watched() => {
                tracing::info!(path = %path.display(), "a watched file was removed unread");
                self.files.forget(&path, expected);
                return Ok(None);
            }
            input => input?,
        };
        // A file that was completed since it was listed is another one than listed, but it is the one that is read.
        let identity = input.identity;
        let is_begun = place != FilePlace::default();
        let reads_changes = self.files.reads_changes();
        if self.files.is_watched() && !reads_changes && !is_begun && identity.size == 0 {
            // It is read but once: not before something has been written to it.
            self.files.forget(&path, expected);
            return Ok(None);
        }
        if (is_begun || reads_changes) && identity != expected {
            if reads_changes {
                tracing::info!(path = %path.display(), "a watched file has changed: it is read anew");
                return Ok(None);
            }
            return Err(FileError::ChangedSinceCheckpoint { path }.into());
        }
        let mut decoder = self.decoder.another();
        decoder.begin(input, place)?;
        Ok(Some(OpenFile {
            decoder,
            split,
            path,
            identity,
        }))
    }

    /// Opens the files that were in progress at the checkpoint, starting a split for each.
    fn open_begun<D: Push<C::Out>>(&mut self, out: &mut Collector<'_, D>) -> Result<(), BoxError> {
        for file in std::mem::take(&mut self.begun) {
            if let Some(file) = self.open_file(self.files.next_id(), file)? {
                self.start_split(file.split, out);
                self.others.push_back(file);
            }
        }
        Ok(())
    }

    fn start_split<D: Push<C::Out>>(&self, split: SplitId, out: &mut Collector<'_, D>) {
        if self.files.has_splits() {
            out.start_split(split);
        }
    }

    /// Switches to the next file in progress, if there are several.
    fn take_turns<D: Push<C::Out>>(&mut self, out: &mut Collector<'_, D>) {
        if let Some(next) = self.others.pop_front() {
            self.start_split(next.split, out);
            self.others.extend(self.current.replace(next));
        }
    }

    fn end<D: Push<C::Out>>(&mut self, out: &mut Collector<'_, D>) {
        if let Some(file) = self.current.take() {
            if self.files.has_splits() {
                out.end_split(file.split);
            }
            self.finished.push((file.path, file.identity));
        }
        self.take_turns(out);
    }

    fn read<D: Push<C::Out>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        for _ in 0..STEPS_MAX {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            if self.current.is_none() {
                match self.files.assign(out.now())? {
                    Assignment::Split(split) => {
                        let (path, identity, place) =
                            (split.path, split.identity, FilePlace::default());
                        let file = BegunFile {
                            path,
                            identity,
                            place,
                        };
                        self.current = self.open_file(split.id, file)?;
                        if self.current.is_some() {
                            self.start_split(split.id, out);
                        }
                    }
                    Assignment::Wait(at) => {
                        self.leave_rate();
                        return Ok(SourceStatus::Idle(Some(at)));
                    }
                    Assignment::Done => {
                        self.leave_rate();
                        return Ok(SourceStatus::Finished);
                    }
                }
            } else if let Some(share) = &mut self.share
                && !share.has_left()
            {
                if let Err(at) = self.files.grant(share, out.now()) {
                    return Ok(SourceStatus::Idle(Some(at)));
                }
            } else if let Some(file) = &mut self.current {
                match file.decoder.step(out)? {
                    Decoded::Record => {
                        if let Some(share) = &mut self.share {
                            share.spend();
                        }
                    }
                    Decoded::Refused => {}
                    Decoded::End => self.end(out),
                }
            }
        }
        Ok(SourceStatus::More)
    }

    /// Without a file, this reader has no part in the rate.
    fn leave_rate(&mut self) {
        if let Some(share) = &mut self.share {
            self.files.leave(share);
        }
    }

    /// This reader's report for a checkpoint.
    fn left(&mut self) -> FilesLeft {
        self.files.forget_gone(&mut self.finished);
        let begun = self.current.iter().chain(&self.others);
        let begun = begun.map(|file| BegunFile {
            path: file.path.clone(),
            identity: file.identity,
            place: file.decoder.place(),
        });
        FilesLeft {
            begun: begun.chain(self.begun.iter().cloned()).collect(),
            finished: self.finished.clone(),
            waiting: self.files.waiting(),
        }
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
        if !self.begun.is_empty() {
            self.open_begun(out)?;
        }
        if !self.others.is_empty() {
            self.take_turns(out);
        }
        self.read(out)
    }

    fn position(&mut self, _checkpoint: u64, positions: &mut Vec<Vec<u8>>) -> Result<(), BoxError> {
        self.left().write(positions);
        Ok(())
    }

    fn seek(&mut self, positions: &[Vec<u8>], readers: u32) -> Result<(), BoxError> {
        if readers == 0 {
            return Ok(());
        }
        let left = FilesLeft::of(positions)?;
        self.files.ensure_resumed(&left)?;
        self.begun = deal_whole(left.begun, self.index, self.parallelism).collect();
        self.finished = deal_whole(left.finished, self.index, self.parallelism).collect();
        Ok(())
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.current = None;
        self.others.clear();
        Ok(())
    }
}
