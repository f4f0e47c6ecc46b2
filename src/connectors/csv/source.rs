//! A source of the rows of CSV files.

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::connectors::file::{
    Decoded, Decoder, FileError, FilePlace, FileReader, Files, FilesLeft, Input,
};
use crate::connectors::pacer::Pacer;
use crate::metrics::Counter;
use crate::operator::{BoxError, Collector, OpenContext, Push, Source};

use super::error::CsvError;
use super::malformed::Malformed;
use super::row::{Columns, CsvRow, named};
use super::row_input::RowInput;

/// How a file is split into rows and fields, and what happens to malformed rows.
#[derive(Clone, Debug)]
struct Options {
    /// The columns that the header must have, if there is to be one.
    header: Option<Arc<[Box<str>]>>,
    delimiter: u8,
    nulls: Arc<[Box<str>]>,
    malformed: Malformed,
}

impl Options {
    fn rows(&self, input: RowInput) -> Reader<RowInput> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .buffer_capacity(Input::BUFFER_SIZE)
            .from_reader(input)
    }
}

/// Parses the rows of CSV files with a closure and emits the results.
///
/// The first row is the header unless configured otherwise; a file without any row then fails the subtask, except under
/// a [watched](CsvSource::watch) path, where it may not have been written yet. Files whose names end in `.gz` are
/// decompressed. The files of a directory are read one at a time, oldest first, each as a split with its own watermark,
/// and are shared among the readers. A checkpoint stores the byte and line position of each file in progress (a
/// compressed file is read again up to that position), and which files are finished and which wait; unless it watches a
/// path, a restored job reads the files that were found when it first started. Names that begin with `.` or `_` are
/// hidden, and subdirectories are not entered.
///
/// A [watched](CsvSource::watch) path is listed once per interval. **A file whose size or modification time has
/// changed since it was read is read again in full**, as with Flink's `PROCESS_CONTINUOUSLY`, so write files
/// elsewhere and move them in. Flink never reads a new file whose modification time is not newer than the newest it
/// has seen; this source does. A removed file is forgotten.
///
/// ```no_run
/// use std::time::Duration;
/// use thalweg::connectors::{CsvSource, Malformed};
///
/// let trades = CsvSource::watch("incoming/", Duration::from_secs(1))
///     .records(|row| Ok((row.text("symbol")?.to_owned(), row.get::<f64>("price")?)))
///     .malformed(Malformed::Skip);
/// ```
#[must_use]
pub struct CsvSource<F = ()> {
    files: Files,
    options: Options,
    pacer: Option<Pacer>,
    function: F,
}

impl CsvSource {
    /// The rows of one file: parallelism 1, bounded.
    pub fn file(path: impl AsRef<Path>) -> Self {
        CsvSource::of(Files::file(path.as_ref()))
    }

    /// The rows of the files that are in a directory when the job starts. Bounded.
    pub fn directory(path: impl AsRef<Path>) -> Self {
        CsvSource::of(Files::directory(path.as_ref()))
    }

    /// The rows of the files that exist at a path, appear there or change there; lists it every `interval` of
    /// processing time. Unbounded.
    pub fn watch(path: impl AsRef<Path>, interval: Duration) -> Self {
        CsvSource::of(Files::watch(path.as_ref(), interval))
    }

    /// The rows of the files that exist at a path or appear there; lists it every `interval`. A path is read once, even
    /// if its file changes later, or another one takes its place: what was read is remembered, and part of checkpoints.
    pub fn watch_new(path: impl AsRef<Path>, interval: Duration) -> Self {
        CsvSource::of(Files::watch_new(path.as_ref(), interval))
    }

    fn of(files: Files) -> Self {
        let nulls = ["", "NA"].map(Box::from).to_vec();
        CsvSource {
            files,
            options: Options {
                header: Some(Arc::default()),
                delimiter: b',',
                nulls: nulls.into(),
                malformed: Malformed::Fail,
            },
            pacer: None,
            function: (),
        }
    }

    /// Emits the result of `function` for every row. If the function is deterministic, the rows can be replayed from
    /// the checkpointed position, a byte offset per file.
    pub fn records<T, F>(self, function: F) -> CsvSource<F>
    where
        F: Fn(&CsvRow<'_>) -> Result<T, CsvError> + Clone + Send + Sync + 'static,
    {
        CsvSource {
            files: self.files,
            options: self.options,
            pacer: self.pacer,
            function,
        }
    }
}

impl<F> CsvSource<F> {
    /// Treats the first row as data; columns are then identified by index.
    pub fn without_header(mut self) -> Self {
        self.options.header = None;
        self
    }

    /// The first row is a header that has at least these columns: a file without one of them fails the
    /// subtask even where it has no rows, of which the function would ask for it.
    pub fn columns<S: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.options.header = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Expects fields to be separated by `delimiter` instead of a comma.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.options.delimiter = delimiter;
        self
    }

    /// Sets the texts that [`CsvRow::optional`] treats as null, replacing the defaults (empty and `NA`).
    pub fn nulls<S: Into<Box<str>>>(mut self, nulls: impl IntoIterator<Item = S>) -> Self {
        self.options.nulls = nulls.into_iter().map(Into::into).collect();
        self
    }

    /// Sets what happens to rows that cannot be converted to records.
    pub fn malformed(mut self, malformed: Malformed) -> Self {
        self.options.malformed = malformed;
        self
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

impl<F> fmt::Debug for CsvSource<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvSource")
            .field("files", &self.files)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<T, F> Source for CsvSource<F>
where
    T: 'static,
    F: Fn(&CsvRow<'_>) -> Result<T, CsvError> + Clone + Send + Sync + 'static,
{
    type Out = T;
    type Reader = FileReader<CsvDecoder<F>>;

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
        let decoder = CsvDecoder {
            options: self.options.clone(),
            function: self.function.clone(),
            may_be_empty: self.files.is_watched(),
            malformed_rows: Counter::default(),
            file: None,
            fields: ByteRecord::new(),
        };
        FileReader::new(&self.files, decoder, self.pacer, (index, parallelism))
    }
}

/// Decodes the bytes of a CSV file into records.
pub struct CsvDecoder<F> {
    options: Options,
    function: F,
    /// A file without a header is left alone: it is watched, and read again once something is written to it.
    may_be_empty: bool,
    malformed_rows: Counter,
    file: Option<OpenFile>,
    fields: ByteRecord,
}

impl<F> fmt::Debug for CsvDecoder<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvDecoder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A CSV file being read.
struct OpenFile {
    path: Arc<Path>,
    rows: Reader<RowInput>,
    columns: Columns,
    /// The number of fields per row; known from the first row on.
    width: Option<usize>,
    /// The position at which `rows` started reading.
    start: FilePlace,
    /// The line on which the row just read begins, from 1.
    line: u64,
}

impl OpenFile {
    fn read(&mut self, fields: &mut ByteRecord) -> Result<bool, FileError> {
        let position = self.rows.position();
        let (consumed, line) = (position.byte(), position.line());
        self.rows.get_mut().expect_row(consumed);
        let read = self.rows.read_byte_record(fields);
        self.line = self.start.lines + line + self.rows.get_ref().lines();
        let input = self.rows.get_ref();
        read.map_err(|error| input.failed(self.line, error.into()))
    }

    /// Reads the header, which must have the columns `asked_for`, if there is any row.
    fn read_header(
        &mut self,
        fields: &mut ByteRecord,
        asked_for: &[Box<str>],
    ) -> Result<bool, BoxError> {
        if !self.read(fields)? {
            return Ok(false);
        }
        let name = |field| std::str::from_utf8(field).map(Box::from);
        let names = fields.iter().map(name).collect::<Result<Vec<_>, _>>();
        let names = names.map_err(|_| FileError::NotUtf8 {
            path: self.path.to_path_buf(),
            line: self.line,
        })?;
        self.width = Some(names.len());
        self.columns = Columns::new(names);
        match asked_for.iter().find(|name| !self.columns.contains(name)) {
            Some(missing) => Err(Box::new(CsvError::NoSuchColumn {
                file: Arc::clone(&self.path),
                column: named(missing),
                available: self.columns.available(fields.len()),
            })),
            None => Ok(true),
        }
    }
}

impl<T, F> Decoder for CsvDecoder<F>
where
    T: 'static,
    F: Fn(&CsvRow<'_>) -> Result<T, CsvError> + Clone + Send + 'static,
{
    type Out = T;

    fn open(&mut self, cx: &OpenContext) {
        self.malformed_rows = cx.metrics.counter("malformed_rows");
    }

    fn another(&self) -> Self {
        CsvDecoder {
            options: self.options.clone(),
            function: self.function.clone(),
            may_be_empty: self.may_be_empty,
            malformed_rows: self.malformed_rows.clone(),
            file: None,
            fields: ByteRecord::new(),
        }
    }

    fn begin(&mut self, input: Input, from: FilePlace) -> Result<(), BoxError> {
        let path = Arc::clone(input.path());
        let mut file = OpenFile {
            path,
            rows: self.options.rows(RowInput::new(input)),
            columns: Columns::default(),
            width: None,
            start: FilePlace::default(),
            line: 0,
        };
        if let Some(asked_for) = &self.options.header {
            let has_header = file.read_header(&mut self.fields, asked_for)?;
            if !has_header && !self.may_be_empty {
                let file = file.path;
                return Err(CsvError::NoHeader { file }.into());
            }
        } else if from.offset > 0 && file.read(&mut self.fields)? {
            file.width = Some(self.fields.len());
        }
        if from.offset > file.rows.position().byte() {
            let mut input = Input::open(&file.path)?;
            input.skip_to(from.offset)?;
            let rows = self.options.rows(RowInput::resumed(input));
            (file.rows, file.start) = (rows, from);
        }
        self.file = Some(file);
        Ok(())
    }

    fn step<D: Push<T>>(&mut self, out: &mut Collector<'_, D>) -> Result<Decoded, BoxError> {
        let Some(file) = &mut self.file else {
            return Ok(Decoded::End);
        };
        if !file.read(&mut self.fields)? {
            return Ok(Decoded::End);
        }
        let expected = *file.width.get_or_insert(self.fields.len());
        let file = &*file;
        let bad_row = |error, row: &CsvRow<'_>, out: &mut Collector<'_, D>| {
            let options = &self.options;
            options
                .malformed
                .refuse(error, row, options.delimiter, out)?;
            self.malformed_rows.add(1);
            Ok(Decoded::Refused)
        };
        let row = CsvRow {
            fields: &self.fields,
            columns: &file.columns,
            nulls: &self.options.nulls,
            file: &file.path,
            line: file.line,
            look_ups: Cell::new(0),
        };
        if row.len() != expected {
            let (place, found) = (row.place(), row.len());
            let error = CsvError::FieldCount {
                place,
                expected,
                found,
            };
            return bad_row(error, &row, out);
        }
        match (self.function)(&row) {
            Ok(record) => {
                out.emit(&record);
                Ok(Decoded::Record)
            }
            Err(error) => bad_row(error, &row, out),
        }
    }

    fn place(&self) -> FilePlace {
        self.file.as_ref().map_or(FilePlace::default(), |file| {
            let position = file.rows.position();
            let read = file.rows.get_ref().of_file(position.byte());
            FilePlace {
                offset: file.start.offset + read,
                lines: file.start.lines + position.line() - 1,
            }
        })
    }
}
