//! A row of a CSV file as the parse function sees it: fields by column name or index.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use csv::ByteRecord;

use super::error::{CsvError, Place, expectation};

/// The columns of one file.
///
/// A function usually looks up the same columns in the same order for every row, so the index found by the n-th
/// look-up of the previous row is tried first: one name comparison, no hashing.
#[derive(Default, Debug)]
pub(super) struct Columns {
    names: Vec<Box<str>>,
    guesses: Vec<Cell<usize>>,
}

impl Columns {
    pub(super) fn new(names: Vec<Box<str>>) -> Self {
        let guesses = names.iter().map(|_| Cell::new(0)).collect();
        Columns { names, guesses }
    }

    /// The index of the first column called `name`, for the `turn`-th look-up of a row.
    #[inline]
    fn find(&self, name: &str, turn: usize) -> Option<usize> {
        let guess = self.guesses.get(turn);
        if let Some(index) = guess.map(Cell::get)
            && *self.names[index] == *name
        {
            return Some(index);
        }
        let index = self.names.iter().position(|other| **other == *name)?;
        if let Some(guess) = guess {
            guess.set(index);
        }
        Some(index)
    }

    fn shown(&self, index: usize) -> String {
        match self.names.get(index) {
            Some(name) => named(name),
            None => format!("at index {index}"),
        }
    }

    /// Whether there is a column called `name`.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|other| **other == *name)
    }

    pub(super) fn available(&self, fields: usize) -> String {
        if self.names.is_empty() {
            return format!("no header and {fields} columns, the first at index 0");
        }
        format!("`{}`", self.names.join("`, `"))
    }
}

/// The column called `name`, as errors name it.
pub(super) fn named(name: &str) -> String {
    format!("`{name}`")
}

/// Identifies a column by its name or by its index from 0.
pub trait Column: Copy {
    /// The column's index in `row`, if the column exists.
    fn index(self, row: &CsvRow<'_>) -> Option<usize>;

    /// The column as error messages show it.
    fn shown(self) -> String;
}

impl Column for &str {
    #[inline]
    fn index(self, row: &CsvRow<'_>) -> Option<usize> {
        let turn = row.look_ups.replace(row.look_ups.get() + 1);
        row.columns.find(self, turn)
    }

    fn shown(self) -> String {
        named(self)
    }
}

impl Column for usize {
    #[inline]
    fn index(self, row: &CsvRow<'_>) -> Option<usize> {
        (self < row.fields.len()).then_some(self)
    }

    fn shown(self) -> String {
        format!("at index {self}")
    }
}

/// A row, borrowed from the reader without allocating.
///
/// ```
/// use thalweg::connectors::{CsvError, CsvRow};
///
/// struct Flight { carrier: String, departure_delay: Option<f64> }
///
/// impl Flight {
///     fn parse(row: &CsvRow<'_>) -> Result<Flight, CsvError> {
///         Ok(Flight {
///             carrier: row.text("carrier")?.to_owned(),
///             departure_delay: row.optional("dep_delay")?,
///         })
///     }
/// }
/// ```
#[derive(Debug)]
pub struct CsvRow<'a> {
    pub(super) fields: &'a ByteRecord,
    pub(super) columns: &'a Columns,
    pub(super) nulls: &'a [Box<str>],
    pub(super) file: &'a Arc<Path>,
    pub(super) line: u64,
    pub(super) look_ups: Cell<usize>,
}

impl<'a> CsvRow<'a> {
    /// Parses the field's value.
    ///
    /// # Errors
    /// [`CsvError`], if the column does not exist, or its field is empty or does not parse.
    #[inline]
    pub fn get<T>(&self, column: impl Column) -> Result<T, CsvError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let (index, text) = self.field(column)?;
        text.parse()
            .map_err(|reason| self.bad_value::<T>(index, text, &reason))
    }

    /// Parses the field's value, or returns `None` if the field is one of the source's nulls: by default the empty
    /// text and `NA`, see [`CsvSource::nulls`](super::CsvSource::nulls).
    ///
    /// # Errors
    /// [`CsvError`], if there is no such column or its field does not parse.
    #[inline]
    pub fn optional<T>(&self, column: impl Column) -> Result<Option<T>, CsvError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let (index, text) = self.field(column)?;
        if self.nulls.iter().any(|null| **null == *text) {
            return Ok(None);
        }
        let value = text.parse();
        value
            .map(Some)
            .map_err(|reason| self.bad_value::<T>(index, text, &reason))
    }

    /// The field's text, which may be empty.
    ///
    /// # Errors
    /// [`CsvError`], if the column does not exist or its field is not UTF-8.
    #[inline]
    pub fn text(&self, column: impl Column) -> Result<&'a str, CsvError> {
        self.field(column).map(|(_, text)| text)
    }

    /// The number of fields in the row.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether the row has no fields; never true of a row that was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The line on which the row begins, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The location of the row, for error messages.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            file: Arc::clone(self.file),
            line: self.line(),
        }
    }

    /// Returns an error that rejects this row for a reason specific to the parse function.
    #[must_use]
    pub fn refuse(&self, reason: impl fmt::Display) -> CsvError {
        CsvError::Refused {
            place: self.place(),
            reason: reason.to_string(),
        }
    }

    /// The row's fields, joined by `delimiter`.
    pub(super) fn joined(&self, delimiter: u8) -> String {
        let fields = self.fields.iter().map(String::from_utf8_lossy);
        let delimiter = char::from(delimiter).to_string();
        fields.collect::<Vec<Cow<'_, str>>>().join(&delimiter)
    }

    #[inline]
    fn field(&self, column: impl Column) -> Result<(usize, &'a str), CsvError> {
        let Some(index) = column.index(self) else {
            return Err(self.no_such_column(&column.shown()));
        };
        let Some(bytes) = self.fields.get(index) else {
            return Err(self.no_such_column(&column.shown()));
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok((index, text)),
            Err(_) => Err(self.not_utf8(index)),
        }
    }

    #[cold]
    fn bad_value<T>(&self, index: usize, value: &str, reason: &dyn fmt::Display) -> CsvError {
        let (place, column) = (self.place(), self.columns.shown(index));
        if value.is_empty() {
            return CsvError::Empty { place, column };
        }
        CsvError::Value {
            place,
            column,
            value: value.to_owned(),
            expected: expectation::<T>(),
            reason: reason.to_string(),
        }
    }

    #[cold]
    fn no_such_column(&self, column: &str) -> CsvError {
        CsvError::NoSuchColumn {
            file: Arc::clone(self.file),
            column: column.to_owned(),
            available: self.columns.available(self.fields.len()),
        }
    }

    #[cold]
    fn not_utf8(&self, index: usize) -> CsvError {
        CsvError::NotUtf8 {
            place: self.place(),
            column: self.columns.shown(index),
        }
    }
}
