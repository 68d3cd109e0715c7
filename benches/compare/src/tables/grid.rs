//! A table: a head, and rows of cells that may be empty.

use crate::figures::Measured;
use crate::peers::OURS;
use crate::results::Results;

/// A column of a table of servers: its title, and what stands there.
pub(crate) type Column<'r> = (String, Box<dyn Fn(&Measured) -> Option<String> + 'r>);

/// A column.
pub(crate) fn column<'r>(
    title: impl Into<String>,
    cell: impl Fn(&Measured) -> Option<String> + 'r,
) -> Column<'r> {
    (title.into(), Box::new(cell))
}

/// Everyone who has anything in these columns, the fastest first; empty if no one has.
pub(crate) fn servers(title: &str, results: &Results, columns: &[Column<'_>]) -> String {
    let mut rows = Vec::new();
    for server in sorted(results) {
        let cells: Vec<_> = columns.iter().map(|(_, cell)| cell(server)).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            rows.push(std::iter::once(shown(&server.name)).chain(cells).collect());
        }
    }
    let titles = columns.iter().map(|(title, _)| title.clone());
    let head: Vec<String> = std::iter::once(title.to_owned()).chain(titles).collect();
    aligned(&head, &rows)
}

/// Everyone by CPU time with 64 connections, those without it last.
fn sorted(results: &Results) -> Vec<&Measured> {
    let mut servers: Vec<&Measured> = results.servers.iter().collect();
    let time = |server: &Measured| {
        let single = server.cpu.get("single");
        single.map_or(f64::MAX, |cpu| cpu.ratio.median)
    };
    servers.sort_by(|a, b| {
        let ranks = || crate::peers::rank(&a.name).cmp(&crate::peers::rank(&b.name));
        time(a).total_cmp(&time(b)).then_with(ranks)
    });
    servers
}

/// A server's name; ours stands out.
fn shown(name: &str) -> String {
    if name == OURS {
        format!("**{name}**")
    } else {
        name.to_owned()
    }
}

/// Renders a table whose columns line up; empty without rows.
pub(crate) fn aligned(head: &[String], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        let cells = rows
            .iter()
            .chain(std::iter::once(&head.to_vec()))
            .map(|row| row[column].chars().count())
            .max();
        cells.unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let pad = |(cell, &width): (&String, &usize)| format!("{cell:<width$}");
        let padded: Vec<String> = cells.iter().zip(&widths).map(pad).collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    line(head) + &line(&rule) + &body
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = aligned(&row(["a", "long title"]), &[row(["name", "1"])]);
        let expected = "| a    | long title |\n| ---- | ---------- |\n| name | 1          |\n";
        assert_eq!(table, expected);
    }
}
