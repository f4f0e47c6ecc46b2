//! A sink that writes rows into CSV part files.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ByteRecord, Writer, WriterBuilder};

use crate::connectors::file::{FileError, PartFile, PartFiles};
use crate::connectors::line_format::FormatFailed;
use crate::operator::{BoxError, OpenContext, Outcome, Sink, SinkWriter};
use crate::time::Timestamp;

/// Bytes that a writer holds at most before it writes them.
const BUFFER_SIZE: usize = 128 * 1024;

/// A row that is being written: fields in order.
#[derive(Debug, Default)]
pub struct CsvFields {
    fields: ByteRecord,
    text: String,
    /// A value refused to be shown.
    failed: bool,
}

impl CsvFields {
    /// Appends a field that shows `value` by its `Display`; quoted where it must be.
    pub fn push(&mut self, value: impl fmt::Display) -> &mut Self {
        self.text.clear();
        self.failed |= write!(self.text, "{value}").is_err();
        self.fields.push_field(self.text.as_bytes());
        self
    }

    /// Appends a field that shows `value`, or an empty one if there is none.
    pub fn push_optional(&mut self, value: Option<impl fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.push(value),
            None => self.push(""),
        }
    }
}

/// Writes every record as a row into a file `part-<subtask>-<n>.csv` of a directory.
///
/// Files are named, finished and never overwritten as by [`LineFile`](crate::connectors::LineFile).
/// A row whose number of fields is not the header's, or the first row's, fails the subtask.
///
/// ```
/// use thalweg::connectors::CsvSink;
///
/// let sink = CsvSink::directory("delays").header(["carrier", "mean"]).records(
///     |delay: &(String, f64), row| {
///         row.push(&delay.0).push(delay.1);
///     },
/// );
/// ```
#[must_use]
pub struct CsvSink<V: ?Sized = (), F = ()> {
    directory: PathBuf,
    header: Option<Arc<[Box<str>]>>,
    delimiter: u8,
    function: F,
    record: PhantomData<fn(&V)>,
}

impl CsvSink {
    /// Writes parts into the directory at `path`.
    pub fn directory(path: impl AsRef<Path>) -> Self {
        CsvSink {
            directory: path.as_ref().to_path_buf(),
            header: None,
            delimiter: b',',
            function: (),
            record: PhantomData,
        }
    }

    /// Writes the fields that `function` pushes for every record.
    pub fn records<V, F>(self, function: F) -> CsvSink<V, F>
    where
        V: ?Sized,
        F: Fn(&V, &mut CsvFields) + Clone + Send + Sync + 'static,
    {
        CsvSink {
            directory: self.directory,
            header: self.header,
            delimiter: self.delimiter,
            function,
            record: PhantomData,
        }
    }
}

impl<V: ?Sized, F> CsvSink<V, F> {
    /// Begins every part with a row of these names.
    pub fn header<S: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.header = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Ends fields with `delimiter` instead of a comma.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }
}

impl<V: ?Sized, F> fmt::Debug for CsvSink<V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvSink")
            .field("directory", &self.directory)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl<V, F> Sink<V> for CsvSink<V, F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut CsvFields) + Clone + Send + Sync + 'static,
{
    type Writer = CsvWriter<F>;

    fn writer(&self, index: u32, _parallelism: u32) -> CsvWriter<F> {
        CsvWriter {
            parts: PartFiles::new(&self.directory, index, ".csv"),
            header: self.header.clone(),
            delimiter: self.delimiter,
            function: self.function.clone(),
            part: None,
            row: CsvFields::default(),
        }
    }
}

/// Writes the rows of one subtask of a [`CsvSink`].
pub struct CsvWriter<F> {
    parts: PartFiles,
    header: Option<Arc<[Box<str>]>>,
    delimiter: u8,
    function: F,
    part: Option<Writer<PartFile>>,
    row: CsvFields,
}

impl<F> fmt::Debug for CsvWriter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvWriter")
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl<F> CsvWriter<F> {
    #[cold]
    fn create(&self) -> Result<Writer<PartFile>, BoxError> {
        let mut part = WriterBuilder::new()
            .delimiter(self.delimiter)
            .buffer_capacity(BUFFER_SIZE)
            .from_writer(self.parts.create()?);
        if let Some(header) = &self.header {
            part.write_record(header.iter().map(|name| name.as_bytes()))
                .map_err(|error| row_error(&part, error))?;
        }
        Ok(part)
    }
}

/// The error of writing a row, with the file's name.
fn row_error(part: &Writer<PartFile>, error: csv::Error) -> BoxError {
    let path = part.get_ref().path();
    match error.into_kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => RowWidth {
            path: path.to_path_buf(),
            expected: expected_len,
            found: len,
        }
        .into(),
        csv::ErrorKind::Io(cause) => FileError::io(path, "write it", cause).into(),
        other => format!("{}: {other:?}", path.display()).into(),
    }
}

/// A row has more or fewer fields than the header, or than the first row.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: a row of {found} fields where there should be {expected}: push as many for every record",
    path.display()
)]
struct RowWidth {
    path: PathBuf,
    expected: u64,
    found: u64,
}

impl<V, F> SinkWriter<V> for CsvWriter<F>
where
    V: ?Sized,
    F: Fn(&V, &mut CsvFields) + Send + 'static,
{
    fn open(&mut self, _cx: &OpenContext) -> Outcome {
        Ok(self.parts.create_directory()?)
    }

    fn write(&mut self, record: &V, _at: Timestamp) -> Outcome {
        self.row.fields.clear();
        (self.function)(record, &mut self.row);
        if std::mem::take(&mut self.row.failed) {
            return Err(FormatFailed.into());
        }
        if self.part.is_none() {
            self.part = Some(self.create()?);
        }
        if let Some(part) = &mut self.part
            && let Err(error) = part.write_byte_record(&self.row.fields)
        {
            return Err(row_error(part, error));
        }
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        let Some(mut part) = self.part.take() else {
            return Ok(());
        };
        let flushed = part.flush();
        flushed.map_err(|cause| FileError::io(part.get_ref().path(), "write it", cause))?;
        let mut file = part.into_inner().map_err(|error| error.to_string())?;
        file.flush()?;
        file.finish()?;
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

    #[test]
    fn rows_are_quoted_where_they_must_be_and_begin_with_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let sink = CsvSink::directory(dir.path())
            .header(["name", "price"])
            .records(|pair: &(&'static str, Option<f64>), row| {
                row.push(pair.0).push_optional(pair.1);
            });
        let mut writer = sink.writer(3, 4);
        writer.open(&open_context(3, 4)).unwrap();
        for pair in [("a,b", Some(1.5)), ("say \"c\"", None)] {
            writer.write(&pair, Timestamp::MIN).unwrap();
        }
        assert!(dir.path().join(".part-3-0.csv.inprogress").exists());
        writer.finish().unwrap();
        let text = fs::read_to_string(dir.path().join("part-3-0.csv")).unwrap();
        assert_eq!(text, "name,price\n\"a,b\",1.5\n\"say \"\"c\"\"\",\n");
    }

    #[test]
    fn row_of_another_width_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let sink = CsvSink::directory(dir.path())
            .header(["one"])
            .records(|n: &u64, row| {
                row.push(n).push(n);
            });
        let mut writer = sink.writer(0, 1);
        writer.open(&open_context(0, 1)).unwrap();
        let error = writer.write(&1, Timestamp::MIN).unwrap_err().to_string();
        assert!(
            error.contains("2 fields where there should be 1"),
            "{error}"
        );
    }
}
