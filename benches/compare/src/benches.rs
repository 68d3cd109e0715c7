//! Benches that run by themselves and print tables: wakes, routes, the gate.

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

/// Runs one and gives its table, in Markdown.
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
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let table: Vec<String> = lines.map(as_row).collect();
    if table.is_empty() {
        return Err("it said nothing".into());
    }
    Ok(with_rule(table).join("\n") + "\n")
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
    if rows.get(1).is_some_and(|row| row.starts_with("|-")) {
        return rows;
    }
    let columns = rows[0].matches('|').count() - 1;
    rows.insert(1, format!("|{}", "---|".repeat(columns)));
    rows
}

#[cfg(test)]
mod tests {
    use super::{as_row, with_rule};

    #[test]
    fn aligned_text_becomes_a_table() {
        let rows = ["µs   least   median", "asking    3.1   3.2"];
        let rows = with_rule(rows.map(as_row).to_vec());
        assert_eq!(
            rows,
            [
                "| µs | least | median |",
                "|---|---|---|",
                "| asking | 3.1 | 3.2 |"
            ]
        );
    }
}
