//! The policy for rows that cannot be converted to records.

use crate::operator::{Collector, Outcome, OutputTag};
use crate::record::{Archived, Record};
use crate::time::Timestamp;

use super::error::CsvError;
use super::row::CsvRow;

/// What a [`CsvSource`](super::CsvSource) does with a row that it cannot convert to a record: a value that does not
/// parse, a wrong number of fields, text that is not UTF-8, or a row that the parse function rejects.
///
/// A file that cannot be read, has no header or lacks a requested column always fails the subtask.
#[derive(Clone, Debug, Default)]
pub enum Malformed {
    /// The subtask fails with the [`CsvError`](super::CsvError).
    #[default]
    Fail,
    /// The row is dropped and counted in the metric `malformed_rows`.
    Skip,
    /// The row is emitted to this side output and counted in the metric `malformed_rows`.
    SideOutput(OutputTag<MalformedRow>),
}

impl Malformed {
    /// Drops or redirects `row` as the policy says, or returns `error`.
    #[cold]
    pub(super) fn refuse<D>(
        &self,
        error: CsvError,
        row: &CsvRow<'_>,
        delimiter: u8,
        out: &mut Collector<'_, D>,
    ) -> Outcome {
        match self {
            _ if error.is_of_file() => Err(error.into()),
            Malformed::Fail => Err(error.into()),
            Malformed::Skip => Ok(()),
            Malformed::SideOutput(tag) => {
                let malformed = MalformedRow {
                    file: row.place().file.display().to_string(),
                    line: row.line(),
                    row: row.joined(delimiter),
                    reason: error.to_string(),
                };
                out.side(tag, &malformed, Timestamp::MIN);
                Ok(())
            }
        }
    }
}

/// A row that could not be converted to a record.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct MalformedRow {
    /// The file's path.
    pub file: String,
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// The row's fields, joined by the delimiter, without quotes.
    pub row: String,
    /// The error as a sentence, with file, line, column and value.
    pub reason: String,
}

impl Record for MalformedRow {
    type Form = Archived;
}

impl std::fmt::Display for MalformedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}
