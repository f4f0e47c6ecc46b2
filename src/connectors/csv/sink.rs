//! A file sink format that writes CSV rows.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use csv::{ByteRecord, Writer, WriterBuilder};

use crate::connectors::file::{FileEncoder, FileFormat, FileSink};
use crate::connectors::line_format::FormatFailed;
use crate::operator::{BoxError, Outcome};

/// A row being written: its fields in order.
#[derive(Debug, Default)]
pub struct CsvFields {
    fields: ByteRecord,
    text: String,
    /// The `Display` implementation of a value failed.
    failed: bool,
}

impl CsvFields {
    /// Appends a field with the `Display` text of `value`, quoted if necessary.
    pub fn push(&mut self, value: impl fmt::Display) -> &mut Self {
        self.text.clear();
        self.failed |= write!(self.text, "{value}").is_err();
        self.fields.push_field(self.text.as_bytes());
        self
    }

    /// Appends a field with the `Display` text of `value`, or an empty field for `None`.
    pub fn push_optional(&mut self, value: Option<impl fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.push(value),
            None => self.push(""),
        }
    }
}

/// A file sink format that writes one CSV row per record.
#[must_use]
pub struct CsvRows<V: ?Sized = (), F = ()> {
    header: Option<Arc<[Box<str>]>>,
    delimiter: u8,
    function: F,
    record: PhantomData<fn(&V)>,
}

impl FileSink<CsvRows> {
    /// Writes every record as a CSV row, into part files whose names end in `.csv`. A row whose number of fields
    /// differs from that of the header, or of the part's first row, fails the subtask.
    ///
    /// ```
    /// use thalweg::connectors::FileSink;
    ///
    /// let sink = FileSink::csv("delays").header(["carrier", "mean"]).records(
    ///     |delay: &(String, f64), row| {
    ///         row.push(&delay.0).push(delay.1);
    ///     },
    /// );
    /// ```
    pub fn csv(directory: impl AsRef<Path>) -> Self {
        let format = CsvRows {
            header: None,
            delimiter: b',',
            function: (),
            record: PhantomData,
        };
        FileSink::new(directory, format).extension("csv")
    }

    /// Writes, for every record, the fields that `function` pushes.
    pub fn records<V, F>(self, function: F) -> FileSink<CsvRows<V, F>>
    where
        V: ?Sized,
        F: Fn(&V, &mut CsvFields) + Clone + Send + Sync + 'static,
    {
        self.format(|rows| CsvRows {
            header: rows.header,
            delimiter: rows.delimiter,
            function,
            record: PhantomData,
        })
    }
}

impl<V: ?Sized, F> FileSink<CsvRows<V, F>> {
    /// Starts every part file with a header row of these names.
    pub fn header<S: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.format.header = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Separates fields with `delimiter` instead of a comma.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.format.delimiter = delimiter;
        self
    }
}

impl<V: ?Sized, F: Clone> Clone for CsvRows<V, F> {
    fn clone(&self) -> Self {
        CsvRows {
            header: self.header.clone(),
            delimiter: self.delimiter,
            function: self.function.clone(),
            record: PhantomData,
        }
    }
}

impl<V: ?Sized, F> fmt::Debug for CsvRows<V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvRows")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl<V, F> FileFormat<V> for CsvRows<V, F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut CsvFields) + Clone + Send + Sync + 'static,
{
    type Encoder = CsvEncoder<V, F>;

    fn encoder(&self) -> CsvEncoder<V, F> {
        CsvEncoder {
            format: self.clone(),
            rows: None,
            row: CsvFields::default(),
        }
    }
}

/// A buffer that the `csv` writer owns and from which its output is taken.
#[derive(Default)]
struct Written(RefCell<Vec<u8>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes CSV rows.
pub struct CsvEncoder<V: ?Sized, F> {
    format: CsvRows<V, F>,
    rows: Option<Writer<Written>>,
    row: CsvFields,
}

impl<V: ?Sized, F> fmt::Debug for CsvEncoder<V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvEncoder")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Converts an error of the `csv` writer.
fn row_error(error: csv::Error) -> BoxError {
    match error.into_kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => RowWidth {
            expected: expected_len,
            found: len,
        }
        .into(),
        csv::ErrorKind::Io(cause) => cause.into(),
        other => format!("{other:?}").into(),
    }
}

/// A row has more or fewer fields than the header, or than the first row.
#[derive(Debug, thiserror::Error)]
#[error("a row of {found} fields where there should be {expected}: push as many for every record")]
struct RowWidth {
    expected: u64,
    found: u64,
}

impl<V, F> FileEncoder<V> for CsvEncoder<V, F>
where
    V: ?Sized + 'static,
    F: Fn(&V, &mut CsvFields) + Send + 'static,
{
    fn begin(&mut self, _bytes: &mut Vec<u8>) -> Outcome {
        let mut rows = WriterBuilder::new()
            .delimiter(self.format.delimiter)
            .from_writer(Written::default());
        if let Some(header) = &self.format.header {
            let names = header.iter().map(|name| name.as_bytes());
            rows.write_record(names).map_err(row_error)?;
        }
        self.rows = Some(rows);
        Ok(())
    }

    fn append(&mut self, record: &V, bytes: &mut Vec<u8>) -> Outcome {
        self.row.fields.clear();
        (self.format.function)(record, &mut self.row);
        if std::mem::take(&mut self.row.failed) {
            return Err(FormatFailed.into());
        }
        if let Some(rows) = &mut self.rows {
            rows.write_byte_record(&self.row.fields)
                .map_err(row_error)?;
            bytes.append(&mut rows.get_ref().0.borrow_mut());
        }
        Ok(())
    }

    fn end(&mut self, bytes: &mut Vec<u8>) -> Outcome {
        if let Some(rows) = self.rows.take() {
            let written = rows.into_inner().map_err(|error| error.to_string())?;
            bytes.append(&mut written.0.into_inner());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::open_context;
    use crate::operator::{Sink, SinkWriter};
    use crate::time::Timestamp;
    use std::fs;

    #[test]
    fn rows_are_quoted_where_they_must_be_and_begin_with_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let sink = FileSink::csv(dir.path()).header(["name", "price"]).records(
            |pair: &(&'static str, Option<f64>), row| {
                row.push(pair.0).push_optional(pair.1);
            },
        );
        let mut writer = sink.writer(3, 4);
        writer.open(&open_context(3, 4)).unwrap();
        for pair in [("a,b", Some(1.5)), ("say \"c\"", None)] {
            writer.write(&pair, Timestamp::MIN).unwrap();
        }
        writer.finish().unwrap();
        let text = fs::read_to_string(dir.path().join("part-3-0.csv")).unwrap();
        assert_eq!(text, "name,price\n\"a,b\",1.5\n\"say \"\"c\"\"\",\n");
    }

    #[test]
    fn row_of_another_width_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let sink = FileSink::csv(dir.path())
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
