//! Tables for people: a line under the header, numbers on the right.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// A line under the header and no other.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table of `rows`, whose columns from `numbers_from` on are numbers.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    numbers_from: usize,
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(numbers_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n", table.trim_fmt())
}
