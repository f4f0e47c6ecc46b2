//! Tables for people: a line under the header, numbers aligned right.

use std::ops::RangeBounds;

use comfy_table::{CellAlignment, LineStyle, Row, Table, TableStyle};

/// A line under the header and no others.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Formats `rows` as a table; the columns in `numbers` are numeric.
pub(crate) fn table<R: Into<Row>>(
    header: impl Into<Row>,
    numbers: impl RangeBounds<usize>,
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(header);
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", table.trim_fmt())
}
