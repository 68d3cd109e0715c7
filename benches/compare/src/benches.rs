//! Benches that run by themselves and print tables: runtimes, routes, the gate.

use crate::bounded;
use crate::parts::Part;
use crate::plan::project;
use crate::servers::{folder, target_folder};
use std::error::Error;
use std::process::Command;
use std::time::Duration;

/// How long one may take, its build included.
const TIME_MAX: Duration = Duration::from_secs(1_200);

/// How a bench of the project is run, and a package of this workspace.
const BENCH: &[&str] = &["bench", "--quiet", "--bench"];
const RUN: &[&str] = &["run", "--release", "--quiet", "--package"];

/// Runs one and returns its tables, in Markdown, with an empty line between two.
///
/// # Errors
/// If it cannot be built or fails.
pub(crate) fn table(part: Part) -> Result<String, Box<dyn Error>> {
    let name = part.name();
    let mut cargo = Command::new("cargo");
    let (words, manifest, target) = if matches!(part, Part::Gate) {
        let target = target_folder()?.join("project");
        (BENCH, project(), target)
    } else {
        (RUN, folder(), target_folder()?)
    };
    cargo.args(words).arg(name);
    cargo
        .arg("--manifest-path")
        .arg(manifest.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(target);
    let text = bounded::text(&mut cargo, TIME_MAX)?;
    let tables: Vec<String> = text.trim().split("\n\n").filter_map(as_table).collect();
    if tables.is_empty() {
        return Err("it said nothing".into());
    }
    Ok(tables.join("\n"))
}

/// A table in Markdown, from lines that are one already or whose columns are aligned by spaces.
fn as_table(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let rows: Vec<String> = lines.map(as_row).collect();
    (!rows.is_empty()).then(|| with_rule(rows).join("\n") + "\n")
}

/// A line of a Markdown table is left as it is; the columns of any other are two spaces apart.
fn as_row(line: &str) -> String {
    if line.starts_with('|') {
        return line.to_owned();
    }
    let cells = line.split("  ").map(str::trim);
    let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
    format!("| {} |", cells.join(" | "))
}

/// Adds the line below the head, if there is none.
fn with_rule(mut rows: Vec<String>) -> Vec<String> {
    if rows
        .get(1)
        .is_some_and(|row| row.starts_with("|-") || row.starts_with("| -"))
    {
        return rows;
    }
    let columns = rows[0].matches('|').count() - 1;
    rows.insert(1, format!("|{}", "---|".repeat(columns)));
    rows
}

#[cfg(test)]
mod tests {
    use super::as_table;

    #[test]
    fn aligned_text_becomes_a_table() {
        let table = as_table("µs   least   median\nasking    3.1   3.2");
        let expected = "| µs | least | median |\n|---|---|---|\n| asking | 3.1 | 3.2 |\n";
        assert_eq!(table.as_deref(), Some(expected));
    }

    #[test]
    fn a_table_stays_as_it_is() {
        for table in ["| a |\n|---|\n| 1 |\n", "| a   |\n| --- |\n| 1   |\n"] {
            assert_eq!(as_table(table).as_deref(), Some(table));
        }
        assert_eq!(as_table("\n"), None);
    }
}
