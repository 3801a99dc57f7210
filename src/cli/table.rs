//! Tables as text.

use impasto::Result;

use super::print_line;

/// Rows of cells; the first row has the headings.
pub type Table = Vec<Vec<String>>;

/// Prints a table with the first column left-aligned and the others right-aligned.
pub fn print_table(table: &Table) -> Result<()> {
    let widths: Vec<usize> = (0..table[0].len())
        .map(|column| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    for line in table {
        let cells = line.iter().zip(&widths).enumerate();
        let padded = cells.map(|(column, (cell, &width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        print_line(padded.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}
