//! Comma-separated values: a source that parses rows with a closure, and a format that writes them.

mod error;
mod malformed;
mod row;
mod row_input;
mod sink;
mod source;

pub use error::{CsvError, Place};
pub use malformed::{Malformed, MalformedRow};
pub use row::{Column, CsvRow};
pub use sink::{CsvEncoder, CsvFields, CsvRows};
pub use source::{CsvDecoder, CsvSource};

#[cfg(test)]
mod tests;
