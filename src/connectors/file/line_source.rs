//! A source of the lines of text files.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use crate::connectors::pacer::Pacer;
use crate::operator::{BoxError, Collector, Push, Source};

use super::FileError;
use super::files::Files;
use super::reader::{Decoded, Decoder, FileReader, Input};

/// Emits the lines of text files as `str`, without the line's end (`\n` or `\r\n`).
///
/// Files whose names end in `.gz` are decompressed. Which files are read, and how often, is as for
/// `CsvSource`. A line that is not UTF-8 fails the subtask.
#[derive(Debug)]
#[must_use]
pub struct LineSource {
    files: Files,
    pacer: Option<Pacer>,
}

impl LineSource {
    /// The lines of one file: parallelism 1, bounded. A plain file can be read in parallel by
    /// [`LineBlocks`](super::LineBlocks).
    pub fn file(path: impl AsRef<Path>) -> Self {
        LineSource::of(Files::file(path.as_ref()))
    }

    /// The lines of the files that are in a directory when the job starts: bounded.
    pub fn directory(path: impl AsRef<Path>) -> Self {
        LineSource::of(Files::directory(path.as_ref()))
    }

    /// The lines of the files that are at a path, appear there or change there; looks every
    /// `interval`. A changed file is read again in full.
    pub fn watch(path: impl AsRef<Path>, interval: Duration) -> Self {
        LineSource::of(Files::watch(path.as_ref(), interval))
    }

    fn of(files: Files) -> Self {
        LineSource { files, pacer: None }
    }

    /// Emits `records_per_second` over all subtasks, see [`Pacer`].
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

    fn start(&self) -> Result<(), BoxError> {
        Ok(self.files.start()?)
    }

    fn reader(&self, index: u32, parallelism: u32) -> Self::Reader {
        let subtask = (index, parallelism);
        FileReader::new(&self.files, LineDecoder::default(), self.pacer, subtask)
    }
}

/// Makes lines of a file's bytes.
#[derive(Debug, Default)]
pub struct LineDecoder {
    input: Option<BufReader<Input>>,
    bytes: Vec<u8>,
    line: u64,
    offset: u64,
}

impl Decoder for LineDecoder {
    type Out = str;

    fn begin(&mut self, input: Input) -> Result<(), BoxError> {
        self.input = Some(BufReader::with_capacity(Input::BUFFER_SIZE, input));
        (self.line, self.offset) = (0, 0);
        Ok(())
    }

    fn step<D: Push<str>>(&mut self, out: &mut Collector<'_, D>) -> Result<Decoded, BoxError> {
        let Some(input) = &mut self.input else {
            return Ok(Decoded::End);
        };
        self.bytes.clear();
        let read = input.read_until(b'\n', &mut self.bytes);
        let path = input.get_ref().path();
        let size = read.map_err(|cause| FileError::io(path, "read it", cause))?;
        if size == 0 {
            return Ok(Decoded::End);
        }
        self.line += 1;
        self.offset += size as u64;
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            let (path, line) = (path.to_path_buf(), self.line);
            return Err(FileError::NotUtf8 { path, line }.into());
        };
        out.emit(line);
        Ok(Decoded::Record)
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn end(&mut self) {
        self.input = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::Chain;
    use crate::operator::{Signal, SourceReader, SourceStatus};
    use crate::time::{Timestamp, millis, secs};
    use std::fs;

    fn chain() -> Chain<str, String> {
        Chain::new(str::to_owned)
    }

    #[test]
    fn lines_come_without_their_ends_and_the_position_counts_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines.txt");
        fs::write(&path, "one\ntwo\r\n\nlast").unwrap();
        let mut chain = chain();
        let mut reader = LineSource::file(&path).reader(0, 1);
        chain.room = 2;
        reader.open(&chain.cx()).unwrap();
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        assert_eq!(reader.position().unwrap().offset, 9);
        chain.room = usize::MAX;
        assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
        assert_eq!(chain.values(), ["one", "two", "", "last"]);
        assert!(chain.signals().is_empty());
    }

    #[test]
    fn line_that_is_no_text_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines.txt");
        fs::write(&path, b"one\n\xff\n").unwrap();
        let error = chain().try_drain(&mut LineSource::file(&path).reader(0, 1));
        let message = error.unwrap_err().to_string();
        assert!(
            message.ends_with("lines.txt, line 2: not valid UTF-8"),
            "{message}"
        );
    }

    #[test]
    fn files_of_a_directory_are_splits_shared_by_the_readers() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), format!("{name}1\n{name}2\n")).unwrap();
        }
        let source = LineSource::directory(dir.path());
        source.start().unwrap();
        let mut readers = [source.reader(0, 2), source.reader(1, 2)];
        let mut chains = [chain(), chain()];
        chains[0].room = 3;
        readers[0].open(&chains[0].cx()).unwrap();
        assert_eq!(chains[0].poll(&mut readers[0]), SourceStatus::More);
        chains[1].drain(&mut readers[1]);
        chains[0].room = usize::MAX;
        assert_eq!(chains[0].poll(&mut readers[0]), SourceStatus::Finished);
        let mut all = [chains[0].values(), chains[1].values()].concat();
        all.sort();
        assert_eq!(all, ["a1", "a2", "b1", "b2", "c1", "c2"]);
        assert_eq!(chains[1].values().len(), 2);
        let [Signal::Split(a), Signal::SplitEnd(b)] = *chains[1].signals() else {
            panic!("{:?}", chains[1].signals());
        };
        assert_eq!(a, b);
    }

    #[test]
    fn watched_directory_is_read_for_ever_and_changed_files_again_in_full() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a1\n").unwrap();
        let source = LineSource::watch(dir.path(), secs(1));
        assert!(!source.is_bounded());
        source.start().unwrap();
        let mut reader = source.reader(0, 1);
        let mut chain = chain();
        let idle = |s| SourceStatus::Idle(Some(Timestamp::from_secs(s)));
        assert_eq!(chain.try_drain(&mut reader).unwrap(), idle(1));
        fs::write(dir.path().join("a"), "a1\na2\n").unwrap();
        chain.clock.advance(secs(1));
        assert_eq!(chain.poll(&mut reader), idle(2));
        assert_eq!(chain.values(), ["a1", "a1", "a2"]);
    }

    #[test]
    fn watched_file_that_is_removed_before_it_is_opened_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "a1\n").unwrap();
        let watched = LineSource::watch(dir.path(), secs(1));
        let once = LineSource::directory(dir.path());
        watched.start().unwrap();
        once.start().unwrap();
        fs::remove_file(&path).unwrap();
        let status = chain().try_drain(&mut watched.reader(0, 1)).unwrap();
        assert!(matches!(status, SourceStatus::Idle(_)));
        let error = chain().try_drain(&mut once.reader(0, 1)).unwrap_err();
        assert!(error.to_string().contains("does not exist"));
    }

    #[test]
    fn rate_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines.txt");
        fs::write(&path, "1\n2\n3\n").unwrap();
        let mut reader = LineSource::file(&path).rate(1000).reader(0, 1);
        let mut chain = chain();
        let at = |ms| SourceStatus::Idle(Some(Timestamp::from_millis(ms)));
        assert_eq!(chain.try_drain(&mut reader).unwrap(), at(1));
        chain.clock.advance(millis(1));
        assert_eq!(chain.poll(&mut reader), at(2));
        assert_eq!(chain.values(), ["1", "2"]);
        chain.clock.advance(millis(5));
        assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
    }

    #[test]
    fn empty_directory_finishes_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = chain();
        chain.drain(&mut LineSource::directory(dir.path()).reader(0, 1));
        assert!(chain.values().is_empty());
    }
}
