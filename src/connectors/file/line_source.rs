//! A source of the lines of text files.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use crate::connectors::pacer::Pacer;
use crate::operator::{BoxError, Collector, Push, Source};

use super::FileError;
use super::files::Files;
use super::files_left::{FilePlace, FilesLeft};
use super::reader::{Decoded, Decoder, FileReader, Input};

/// Emits the lines of text files as `str`, without line terminators (`\n` or `\r\n`).
///
/// Files whose names end in `.gz` are decompressed. Which files are read, how often, and what a checkpoint stores are
/// the same as for `CsvSource`. A line that is not UTF-8 fails the subtask.
#[derive(Debug)]
#[must_use]
pub struct LineSource {
    files: Files,
    pacer: Option<Pacer>,
}

impl LineSource {
    /// The lines of one file: parallelism 1, bounded. To read a plain file in parallel, use
    /// [`LineBlocks`](super::LineBlocks).
    pub fn file(path: impl AsRef<Path>) -> Self {
        LineSource::of(Files::file(path.as_ref()))
    }

    /// The lines of the files that are in a directory when the job starts. Bounded.
    pub fn directory(path: impl AsRef<Path>) -> Self {
        LineSource::of(Files::directory(path.as_ref()))
    }

    /// The lines of the files that exist at a path, appear there or change there; lists it every `interval`. A
    /// changed file is read again in full.
    pub fn watch(path: impl AsRef<Path>, interval: Duration) -> Self {
        LineSource::of(Files::watch(path.as_ref(), interval))
    }

    /// The lines of the files that exist at a path or appear there; lists it every `interval`. A path is read once, even
    /// if its file changes later, or another one takes its place: what was read is remembered, and part of checkpoints.
    pub fn watch_new(path: impl AsRef<Path>, interval: Duration) -> Self {
        LineSource::of(Files::watch_new(path.as_ref(), interval))
    }

    fn of(files: Files) -> Self {
        LineSource { files, pacer: None }
    }

    /// Emits `records_per_second` records, in total over all subtasks, see [`Pacer`]. Those that have a file to read
    /// share the rate equally.
    ///
    /// # Panics
    /// If the rate is zero.
    pub fn rate(mut self, records_per_second: u64) -> Self {
        self.pacer = Some(Pacer::per_second(records_per_second));
        self
    }
}

impl Source for LineSource {
    type Out = str;
    type Reader = FileReader<LineDecoder>;

    fn max_parallelism(&self) -> u32 {
        self.files.max_parallelism()
    }

    fn is_bounded(&self) -> bool {
        self.files.is_bounded()
    }

    fn check_positions(&self) -> Result<(), BoxError> {
        Ok(())
    }

    fn start(&self) -> Result<(), BoxError> {
        Ok(self.files.start()?)
    }

    fn resume(&self, positions: &[Vec<u8>]) -> Result<(), BoxError> {
        Ok(self.files.resume(&FilesLeft::of(positions)?)?)
    }

    fn reader(&self, index: u32, parallelism: u32) -> Self::Reader {
        let subtask = (index, parallelism);
        FileReader::new(&self.files, LineDecoder::default(), self.pacer, subtask)
    }
}

/// Decodes the bytes of a file into lines.
#[derive(Debug, Default)]
pub struct LineDecoder {
    input: Option<BufReader<Input>>,
    bytes: Vec<u8>,
    place: FilePlace,
}

impl Decoder for LineDecoder {
    type Out = str;

    fn another(&self) -> Self {
        LineDecoder::default()
    }

    fn begin(&mut self, mut input: Input, from: FilePlace) -> Result<(), BoxError> {
        input.skip_to(from.offset)?;
        self.input = Some(BufReader::with_capacity(Input::BUFFER_SIZE, input));
        self.place = from;
        Ok(())
    }

    fn step<D: Push<str>>(&mut self, out: &mut Collector<'_, D>) -> Result<Decoded, BoxError> {
        let Some(input) = &mut self.input else {
            return Ok(Decoded::End);
        };
        self.bytes.clear();
        input.get_mut().begin_record();
        let read = input.read_until(b'\n', &mut self.bytes);
        let file = input.get_ref();
        let size = read.map_err(|cause| file.failed(self.place.lines + 1, cause))?;
        if size == 0 {
            return Ok(Decoded::End);
        }
        self.place.lines += 1;
        self.place.offset += size as u64;
        let line = match self.bytes.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
            None => &self.bytes,
        };
        let Ok(line) = std::str::from_utf8(line) else {
            let (path, line) = (file.path().to_path_buf(), self.place.lines);
            return Err(FileError::NotUtf8 { path, line }.into());
        };
        out.emit(line);
        Ok(Decoded::Record)
    }

    fn place(&self) -> FilePlace {
        self.place
    }
}

#[cfg(test)]
#[path = "line_source_test.rs"]
mod tests;
