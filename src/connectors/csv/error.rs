//! Errors in CSV rows, with the row's location.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The location of the row that a [`CsvError`] is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line on which the row begins, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file.display(), self.line)
    }
}

/// A row that could not be converted to a record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// A field does not parse as the requested type.
    #[error("{place}, column {column}: `{value}` is not {expected} ({reason})")]
    Value {
        /// The row.
        place: Place,
        /// The column: its name in backticks, or its index.
        column: String,
        /// The field's text.
        value: String,
        /// The expected type, with an article.
        expected: &'static str,
        /// The message of the type's `FromStr` error.
        reason: String,
    },
    /// A field is empty where a value is needed.
    #[error("{place}, column {column}: empty (read it with `optional` if it may be)")]
    Empty {
        /// The row.
        place: Place,
        /// The column: its name in backticks, or its index.
        column: String,
    },
    /// A field is not valid UTF-8.
    #[error("{place}, column {column}: not valid UTF-8")]
    NotUtf8 {
        /// The row.
        place: Place,
        /// The column: its name in backticks, or its index.
        column: String,
    },
    /// A row has more or fewer fields than the header, or than the first row.
    #[error("{place}: {found} fields instead of {expected}")]
    FieldCount {
        /// The row.
        place: Place,
        /// The expected number of fields.
        expected: usize,
        /// The actual number of fields.
        found: usize,
    },
    /// The parse function rejected the row with [`CsvRow::refuse`](super::CsvRow::refuse).
    #[error("{place}: {reason}")]
    Refused {
        /// The row.
        place: Place,
        /// The reason the function gave.
        reason: String,
    },
    /// A file has no row at all where a header is expected. Never skipped, because nothing tells what the file is.
    #[error(
        "{} is empty and has not even a header: tell the source `without_header()` if its files have none",
        file.display()
    )]
    NoHeader {
        /// The file.
        file: Arc<Path>,
    },
    /// The parse function, or [`CsvSource::columns`](super::CsvSource::columns), asks for a column that the file does
    /// not have. Never skipped, because every row would be affected.
    #[error("{} has no column {column}; it has {available}", file.display())]
    NoSuchColumn {
        /// The file.
        file: Arc<Path>,
        /// The column: its name in backticks, or its index.
        column: String,
        /// The available columns.
        available: String,
    },
}

impl CsvError {
    /// Whether the error concerns the whole file rather than one row.
    pub(super) fn is_of_file(&self) -> bool {
        matches!(
            self,
            CsvError::NoHeader { .. } | CsvError::NoSuchColumn { .. }
        )
    }

    /// The line on which the row begins, if the error concerns a single row.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            CsvError::Value { place, .. }
            | CsvError::Empty { place, .. }
            | CsvError::NotUtf8 { place, .. }
            | CsvError::FieldCount { place, .. }
            | CsvError::Refused { place, .. } => Some(place.line),
            CsvError::NoHeader { .. } | CsvError::NoSuchColumn { .. } => None,
        }
    }
}

/// Describes the expected type `T` of a field, with an article.
pub(super) fn expectation<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    match name {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128"
        | "isize" | "f32" | "f64" => "a number",
        "bool" => "`true` or `false`",
        "char" => "one character",
        _ if name.contains('<') => "a value of its type",
        _ => name.rsplit("::").next().unwrap_or(name),
    }
}
