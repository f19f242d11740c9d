//! Lists for people (aligned columns) and for scripts (one JSON object a line).

use serde::Serialize;

use crate::base::output::{Out, inert};
use crate::base::{Error, Result};

/// Prints rows in columns, two spaces apart; trailing empty cells leave no trailing spaces.
///
/// # Errors
/// Standard output cannot be written.
pub fn table(out: &mut Out, rows: &[Vec<String>]) -> Result<()> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| inert(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Prints each value as one line of JSON.
///
/// # Errors
/// Standard output cannot be written.
pub fn objects<T: Serialize>(out: &mut Out, values: &[T]) -> Result<()> {
    for value in values {
        let text = serde_json::to_string(value)
            .map_err(|source| Error::wrong(format!("cannot write JSON: {source}")))?;
        out.line(&text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_in_them_acts_on_the_terminal() {
        let mut text = Vec::new();
        let rows = [
            vec!["a".to_owned(), "b\u{1b}".to_owned(), String::new()],
            vec!["long".to_owned(), "c".to_owned()],
        ];
        table(&mut Out::new(&mut text), &rows).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "a     b\\u{1b}\nlong  c\n");
    }
}
