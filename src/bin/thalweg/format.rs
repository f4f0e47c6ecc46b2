//! For whom findings are written.

use clap::ValueEnum;

/// How findings are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// For people: a line each, or a table
    Text,
    /// For programs: an object, or one a line
    Json,
}
