//! Sinks into a table of an SQLite database.

mod row;
mod sink;
mod table;
#[cfg(test)]
mod tests;

pub use row::SqlRow;
pub use sink::{SqliteSink, SqliteWriter};
pub use table::{SqliteError, SqliteTable};
