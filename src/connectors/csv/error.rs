//! What is wrong with a row, named so that it is found again.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The row of which a [`CsvError`] speaks.
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

/// A row could not be made a record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// A field is not of the type that was asked for.
    #[error("{place}, column {column}: `{value}` is not {expected} ({reason})")]
    Value {
        /// The row.
        place: Place,
        /// The column: its name in backticks, or its index.
        column: String,
        /// The field's text.
        value: String,
        /// What it should be, with an article.
        expected: &'static str,
        /// What the type's `FromStr` said.
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
    /// A field is not text.
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
        /// How many fields there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The parse function refused a row by [`CsvRow::refuse`](super::CsvRow::refuse).
    #[error("{place}: {reason}")]
    Refused {
        /// The row.
        place: Place,
        /// What the function said.
        reason: String,
    },
    /// A file has no row at all, where a header should be: never skipped, as nothing says what the file is.
    #[error(
        "{} is empty and has not even a header: tell the source `without_header()` if its files have none",
        file.display()
    )]
    NoHeader {
        /// The file.
        file: Arc<Path>,
    },
    /// The parse function, or [`CsvSource::columns`](super::CsvSource::columns), asks for a column that the
    /// file has not: never skipped, as every row would be.
    #[error("{} has no column {column}; it has {available}", file.display())]
    NoSuchColumn {
        /// The file.
        file: Arc<Path>,
        /// The column: its name in backticks, or its index.
        column: String,
        /// The columns that there are.
        available: String,
    },
}

impl CsvError {
    /// Whether the file rather than one row of it is wrong.
    pub(super) fn is_of_file(&self) -> bool {
        matches!(
            self,
            CsvError::NoHeader { .. } | CsvError::NoSuchColumn { .. }
        )
    }

    /// The line on which the row begins, if one row is wrong.
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

/// What a text should be that is to be a `T`, with an article.
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
