//! Results as tables of text, in Markdown.

use crate::results::{Measured, Results};
use crate::works;
use std::fmt::Write;

/// Renders everything that was measured.
pub(crate) fn render(results: &Results) -> String {
    let mut text = format!(
        "{} · {}\n`{}`\n",
        results.date, results.machine, results.command
    );
    for section in [
        cpu,
        latency,
        calls,
        instructions,
        memory,
        footprint,
        remarks,
    ] {
        let part = section(results);
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

/// One column: its title and what stands there for a server.
type Column<'r> = (String, Box<dyn Fn(&Measured) -> Option<String> + 'r>);

/// A table of everyone who has anything in these columns; empty if no one has.
fn table(title: &str, results: &Results, columns: &[Column<'_>]) -> String {
    let rows: Vec<Vec<String>> = results
        .servers
        .iter()
        .map(|server| {
            (
                server,
                columns
                    .iter()
                    .map(|(_, cell)| cell(server))
                    .collect::<Vec<_>>(),
            )
        })
        .filter(|(_, cells)| cells.iter().any(Option::is_some))
        .map(|(server, cells)| {
            let cells = cells
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            std::iter::once(server.name.clone()).chain(cells).collect()
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head: Vec<String> = std::iter::once(title.to_owned())
        .chain(columns.iter().map(|(name, _)| name.clone()))
        .collect();
    aligned(&head, &rows)
}

/// Lines up the columns.
fn aligned(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    line(head) + &line(&rule) + &body
}

fn cpu(results: &Results) -> String {
    let columns: Vec<Column<'_>> = works::WORKS
        .iter()
        .map(|work| work.name)
        .filter(|work| results.floors.contains_key(*work))
        .map(|work| -> Column<'_> {
            let cell = move |server: &Measured| {
                let cpu = server.cpu.get(work)?;
                let ratio = cpu.ratio;
                Some(format!(
                    "{:.2} ({:.2}–{:.2}) {:.2} µs",
                    ratio.median, ratio.lowest, ratio.highest, cpu.microseconds.median
                ))
            };
            (work.to_owned(), Box::new(cell))
        })
        .collect();
    let mut text = table("CPU time as a ratio to the floor", results, &columns);
    for work in &works::WORKS {
        let Some(floor) = results.floors.get(work.name) else {
            continue;
        };
        let goal = work
            .goal
            .map_or(String::new(), |goal| format!("; goal {goal:.2}"));
        let us = floor.microseconds;
        let us = format!("{:.2} µs ({:.2}–{:.2})", us.median, us.lowest, us.highest);
        writeln!(
            text,
            "{}: {}; {} {us}{goal}",
            work.name, work.title, floor.mode
        )
        .ok();
    }
    text
}

fn latency(results: &Results) -> String {
    let us = |value: f64| Some(format!("{value:.0}"));
    let columns: [Column<'_>; 4] = [
        (
            "requests/s".to_owned(),
            Box::new(|server| Some(server.latency.as_ref()?.rate.to_string())),
        ),
        (
            "p50".to_owned(),
            Box::new(move |server| us(server.latency.as_ref()?.p50.median)),
        ),
        (
            "p99".to_owned(),
            Box::new(move |server| us(server.latency.as_ref()?.p99.median)),
        ),
        (
            "p99.9".to_owned(),
            Box::new(move |server| us(server.latency.as_ref()?.p999.median)),
        ),
    ];
    table("latency, µs", results, &columns)
}

fn calls(results: &Results) -> String {
    let columns: Vec<Column<'_>> = works::WORKS
        .iter()
        .filter(|work| {
            results
                .servers
                .iter()
                .any(|server| server.calls.contains_key(work.name))
        })
        .map(|work| -> Column<'_> {
            let cell = |server: &Measured| {
                let calls = server.calls.get(work.name)?;
                let names: Vec<String> = calls
                    .by_name
                    .iter()
                    .map(|(name, count)| format!("{name} {count:.3}"))
                    .collect();
                let at_speed = calls
                    .at_speed
                    .map_or("?".to_owned(), |count| format!("{count:.2}"));
                Some(format!(
                    "{at_speed} at speed, {:.2} traced: {}",
                    calls.traced,
                    names.join(" ")
                ))
            };
            (work.name.to_owned(), Box::new(cell))
        })
        .collect();
    table("system calls per request", results, &columns)
}

fn instructions(results: &Results) -> String {
    let columns: Vec<Column<'_>> = works::WORKS
        .iter()
        .filter(|work| {
            results
                .servers
                .iter()
                .any(|server| server.instructions.contains_key(work.name))
        })
        .map(|work| -> Column<'_> {
            let cell =
                |server: &Measured| Some(format!("{:.0}", server.instructions.get(work.name)?));
            (work.name.to_owned(), Box::new(cell))
        })
        .collect();
    table("user instructions per request", results, &columns)
}

#[expect(clippy::cast_precision_loss, reason = "bytes stay far below 2^52")]
fn memory(results: &Results) -> String {
    let start = |server: &Measured| {
        Some(format!(
            "{:.1}",
            server.memory.as_ref()?.start_bytes as f64 / 1e6
        ))
    };
    let each = |server: &Measured| {
        Some(format!(
            "{:.0}",
            server.memory.as_ref()?.per_connection_bytes
        ))
    };
    let columns: [Column<'_>; 2] = [
        ("MB at start".to_owned(), Box::new(start)),
        ("bytes per idle connection".to_owned(), Box::new(each)),
    ];
    table("resident memory", results, &columns)
}

fn footprint(results: &Results) -> String {
    let columns: [Column<'_>; 3] = [
        (
            "stripped KiB".to_owned(),
            Box::new(|server| Some((server.footprint.as_ref()?.binary_bytes / 1024).to_string())),
        ),
        (
            "dependencies".to_owned(),
            Box::new(|server| Some(server.footprint.as_ref()?.dependencies.to_string())),
        ),
        (
            "clean build, s".to_owned(),
            Box::new(|server| Some(format!("{:.1}", server.footprint.as_ref()?.build_seconds))),
        ),
    ];
    table("footprint", results, &columns)
}

fn remarks(results: &Results) -> String {
    let mut text = String::new();
    for server in results
        .servers
        .iter()
        .filter(|server| !server.remarks.is_empty())
    {
        writeln!(text, "{}: {}", server.name, server.remarks.join("; ")).ok();
    }
    for reason in &results.left_out {
        writeln!(text, "left out: {reason}").ok();
    }
    text
}
