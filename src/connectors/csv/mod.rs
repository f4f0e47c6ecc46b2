//! Comma-separated values: rows parsed by a closure, rows written from one.

mod error;
mod malformed;
mod row;
mod sink;
mod source;

pub use error::{CsvError, Place};
pub use malformed::{Malformed, MalformedRow};
pub use row::{Column, CsvRow};
pub use sink::{CsvEncoder, CsvFields, CsvRows};
pub use source::{CsvDecoder, CsvSource};

#[cfg(test)]
mod tests;
