//! A sink that writes lines of text into part files.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::connectors::line_format::{By, ByDebug, ByDisplay, LineFormat};
use crate::operator::{OpenContext, Outcome, Sink, SinkWriter};
use crate::time::Timestamp;

use super::FileError;
use super::part_file::{PartFile, PartFiles};

/// Text that a writer holds at most before it writes it.
const TEXT_SIZE_MAX: usize = 128 * 1024;

/// Writes every record as a line into a file `part-<subtask>-<n>` of a directory.
///
/// The directory is created if it is not there. While it is written a part has a name that begins
/// with a dot; it gets its own at the end of input, and no file is ever overwritten. A job that
/// fails leaves its parts hidden, so what is visible is whole: a restarted job writes new parts. A
/// subtask without records writes no part.
///
/// ```
/// use thalweg::connectors::LineFile;
///
/// let lines = LineFile::directory("out").extension("txt"); // records that are `Display`
/// let sums = LineFile::directory("out");
/// let sums = sums.with(|sum: &(u64, f64), f| write!(f, "{}\t{:.2}", sum.0, sum.1));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LineFile<F = ByDisplay> {
    directory: PathBuf,
    extension: Arc<str>,
    format: F,
}

impl LineFile {
    /// Writes parts into the directory at `path`.
    pub fn directory(path: impl AsRef<Path>) -> Self {
        LineFile {
            directory: path.as_ref().to_path_buf(),
            extension: "".into(),
            format: ByDisplay,
        }
    }
}

impl<F> LineFile<F> {
    /// Parts are named `part-<subtask>-<n>.<extension>`.
    pub fn extension(mut self, extension: &str) -> Self {
        self.extension = format!(".{extension}").into();
        self
    }

    /// Writes records by their `Debug`.
    pub fn debug(self) -> LineFile<ByDebug> {
        self.format(ByDebug)
    }

    /// Writes records by a closure that writes as an implementation of `Display` does.
    pub fn with<V, G>(self, function: G) -> LineFile<By<V, G>>
    where
        V: ?Sized,
        G: Fn(&V, &mut fmt::Formatter<'_>) -> fmt::Result,
    {
        self.format(By::new(function))
    }

    fn format<G>(self, format: G) -> LineFile<G> {
        LineFile {
            directory: self.directory,
            extension: self.extension,
            format,
        }
    }
}

impl<V: ?Sized, F: LineFormat<V>> Sink<V> for LineFile<F> {
    type Writer = LineFileWriter<F>;

    fn writer(&self, index: u32, _parallelism: u32) -> LineFileWriter<F> {
        LineFileWriter {
            parts: PartFiles::new(&self.directory, index, &self.extension),
            format: self.format.clone(),
            part: None,
            text: String::new(),
        }
    }
}

/// Writes the lines of one subtask of a [`LineFile`].
#[derive(Debug)]
pub struct LineFileWriter<F> {
    parts: PartFiles,
    format: F,
    part: Option<PartFile>,
    /// Whole lines that are not written yet.
    text: String,
}

impl<F> LineFileWriter<F> {
    fn write_out(&mut self) -> Outcome {
        if self.text.is_empty() {
            return Ok(());
        }
        let part = match &mut self.part {
            Some(part) => part,
            None => self.part.insert(self.parts.create()?),
        };
        let written = part.write_all(self.text.as_bytes());
        self.text.clear();
        Ok(written.map_err(|cause| FileError::io(part.path(), "write it", cause))?)
    }
}

impl<V: ?Sized, F: LineFormat<V>> SinkWriter<V> for LineFileWriter<F> {
    fn open(&mut self, _cx: &OpenContext) -> Outcome {
        self.text.reserve(TEXT_SIZE_MAX + TEXT_SIZE_MAX / 4);
        Ok(self.parts.create_directory()?)
    }

    fn write(&mut self, record: &V, _at: Timestamp) -> Outcome {
        let line_start = self.text.len();
        if let Err(cause) = self.format.append(record, &mut self.text) {
            self.text.truncate(line_start);
            return Err(cause);
        }
        self.text.push('\n');
        if self.text.len() >= TEXT_SIZE_MAX {
            self.write_out()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        self.write_out()?;
        if let Some(part) = self.part.take() {
            part.finish()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Outcome {
        self.part = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::open_context;
    use std::fs;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names = entries
            .map(name)
            .map(|n| n.into_string().unwrap())
            .collect::<Vec<_>>();
        names.sort();
        names
    }

    fn written(sink: &LineFile, index: u32, records: &[u64], finish: bool) {
        let mut writer = Sink::<u64>::writer(sink, index, 2);
        SinkWriter::<u64>::open(&mut writer, &open_context(index, 2)).unwrap();
        for record in records {
            writer.write(record, Timestamp::MIN).unwrap();
        }
        if finish {
            SinkWriter::<u64>::finish(&mut writer).unwrap();
        } else {
            writer.write_out().unwrap();
        }
        SinkWriter::<u64>::close(&mut writer).unwrap();
    }

    #[test]
    fn part_is_hidden_until_it_is_whole_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("made/for/it");
        let sink = LineFile::directory(&out).extension("txt");
        written(&sink, 0, &[1, 2], false);
        assert_eq!(names(&out), [".part-0-0.txt.inprogress"]);
        written(&sink, 0, &[3], true);
        written(&sink, 0, &[4], true);
        written(&sink, 1, &[5], true);
        let finished = ["part-0-1.txt", "part-0-2.txt", "part-1-0.txt"];
        assert_eq!(names(&out)[1..], finished);
        let text = finished.map(|name| fs::read_to_string(out.join(name)).unwrap());
        assert_eq!(text, ["3\n", "4\n", "5\n"]);
    }

    #[test]
    fn subtask_without_records_writes_no_part() {
        let dir = tempfile::tempdir().unwrap();
        written(&LineFile::directory(dir.path()), 0, &[], true);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let sink = LineFile::directory(file.join("below"));
        let mut writer = Sink::<u64>::writer(&sink, 0, 1);
        let error = SinkWriter::<u64>::open(&mut writer, &open_context(0, 1)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("file/below: could not create it")
        );
    }
}
