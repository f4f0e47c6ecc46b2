//! What was made, as a table for people.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::duration::shown;
use crate::number::grouped;

use super::input_file::Finished;

/// A line under the header and no other.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// One file.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// Or words.
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
        let mut table = Table::new();
        table.load_style(STYLE);
        table.set_header(["file", "records", "bytes", "xxh3", ""]);
        for Row {
            name,
            records,
            finished,
        } in &self.rows
        {
            table.add_row([
                name.clone(),
                grouped(*records),
                grouped(finished.bytes),
                format!("{:016x}", finished.hash),
                if finished.was_there {
                    "unchanged"
                } else {
                    "written"
                }
                .to_owned(),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let bytes = self.rows.iter().map(|row| row.finished.bytes).sum();
        writeln!(f, "{}\n", table.trim_fmt())?;
        writeln!(f, "{} bytes in {}", grouped(bytes), shown(self.took))
    }
}
