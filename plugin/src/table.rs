//! Tables of text.

use std::fmt::Write as _;

/// Rows under a heading, in columns as wide as their longest cell; the last column is as long as it is. Empty without rows.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = line(heading.iter().copied(), &widths);
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str), &widths));
    }
    text
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.zip(widths) {
        let cell = if cell.is_empty() { "-" } else { cell };
        let _ = write!(text, "{cell:<width$}  ");
    }
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_cells_are_marked() {
        let rows = [["gateway".to_owned(), String::new()], ["ä".to_owned(), "2/2".to_owned()]];
        assert_eq!(table(["NAME", "PODS"], &rows), "NAME     PODS\ngateway  -\nä        2/2\n");
    }

    #[test]
    fn a_table_without_rows_is_nothing() {
        assert_eq!(table(["NAME"], &[]), "");
    }
}
