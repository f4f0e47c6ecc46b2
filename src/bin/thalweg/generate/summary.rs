//! The summary of the generated files, as a table.

use std::fmt;
use std::time::Duration;

use crate::duration::shown;
use crate::number::grouped;
use crate::table::table;

use super::input_file::Finished;

/// One file.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// The number of records, or of words.
    pub(super) records: u64,
    pub(super) finished: Finished,
}

/// All files of a run.
#[derive(Debug)]
pub(super) struct Summary {
    rows: Vec<Row>,
    took: Duration,
}

impl Summary {
    pub(super) fn new(rows: Vec<Row>, took: Duration) -> Self {
        Summary { rows, took }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows.iter().map(|row| {
            let finished = &row.finished;
            [
                row.name.clone(),
                grouped(row.records),
                grouped(finished.bytes),
                format!("{:016x}", finished.hash),
                if finished.was_there {
                    "unchanged"
                } else {
                    "written"
                }
                .to_owned(),
            ]
        });
        let header = ["file", "records", "bytes", "xxh3", ""];
        writeln!(f, "{}", table(header, 1..3, rows))?;
        let bytes = self.rows.iter().map(|row| row.finished.bytes).sum();
        writeln!(f, "{} bytes in {}", grouped(bytes), shown(self.took))
    }
}
