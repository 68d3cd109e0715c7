//! Everything that was measured.

use super::grid::{self, Column, column};
use super::sections::{self, Detail};
use super::{goals, tail};
use crate::figures::Measured;
use crate::results::Results;
use crate::text::grouped;
use crate::works::{WORKS, Work};
use std::fmt::Write;

/// Renders all tables, under headings.
pub(crate) fn render(results: &Results) -> String {
    let works: Vec<&'static Work> = WORKS.iter().collect();
    let sections = [
        (
            "The goals",
            joined([goals::table(results), goals::floors(results)]),
        ),
        ("CPU time", sections::cpu(results, &works, Detail::Long)),
        ("The floor", sections::floors(results)),
        (
            "Latency at a fixed rate, and beside a connection that pipelines flat out",
            joined([sections::latency(results), tail::compared(results)]),
        ),
        ("Instructions and system calls", sections::counts(results)),
        ("System calls by name", calls(results)),
        ("Memory", sections::memory(results)),
        ("Who does what for an answer", sections::contract(results)),
        ("Wrong requests that are answered", accepted(results)),
        ("What it takes to have them", footprint(results)),
        ("What Waterwheel takes to build", sections::builds(results)),
        ("Answers a second, by two generators", wrk(results)),
        (
            "The runtime beside others",
            results.tables.get("runtimes").cloned().unwrap_or_default(),
        ),
        (
            "Finding a route",
            results.tables.get("routes").cloned().unwrap_or_default(),
        ),
        (
            "Asking the gate",
            results.tables.get("gate").cloned().unwrap_or_default(),
        ),
        ("Left out", list(&sections::left_out(results))),
        ("Measured by", list(&runs(results))),
    ];
    let mut text = String::new();
    for (title, body) in sections {
        if !body.is_empty() {
            write!(text, "## {title}\n\n{body}\n").ok();
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// Paragraphs, those that are not empty.
fn joined(parts: [String; 2]) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn list(lines: &[String]) -> String {
    let item = |text: String, line: &String| text + "- " + line + "\n";
    lines.iter().fold(String::new(), item)
}

/// The runs, each with the parts that are from it.
fn runs(results: &Results) -> Vec<String> {
    let line = |(index, run): (usize, &crate::run::Run)| {
        let parts: Vec<&str> = results
            .parts
            .iter()
            .filter(|(_, of)| **of == index)
            .map(|(part, _)| part.as_str())
            .collect();
        format!(
            "{} to {}, commit {}, {}, {}: `{}` ({})",
            run.began,
            run.ended,
            run.commit,
            run.machine,
            run.compiler,
            run.command,
            parts.join(", ")
        )
    };
    results.runs.iter().enumerate().map(line).collect()
}

fn calls(results: &Results) -> String {
    let counted = WORKS.iter().filter(|work| work.is_counted());
    let columns: Vec<Column<'_>> = counted
        .map(|work| {
            column(work.short, |server| {
                let calls = server.calls.get(work.name)?;
                let names = calls.by_name.iter();
                let names: Vec<String> = names
                    .map(|(name, count)| format!("{name} {count:.3}"))
                    .collect();
                let at_speed = calls.at_speed;
                let at_speed = at_speed.map_or("?".to_owned(), |count| format!("{count:.2}"));
                Some(format!("{at_speed} at speed; traced {}", names.join(", ")))
            })
        })
        .collect();
    grid::servers("per request", results, &columns)
}

fn accepted(results: &Results) -> String {
    let cell = |server: &Measured| {
        let accepts = &server.contract.accepts;
        (!accepts.is_empty()).then(|| accepts.join("; "))
    };
    grid::servers("who", results, &[column("what", cell)])
}

fn footprint(results: &Results) -> String {
    let columns = [
        column("stripped KiB", |server| {
            Some((server.footprint.as_ref()?.binary_bytes / 1024).to_string())
        }),
        column("dependencies", |server| {
            Some(server.footprint.as_ref()?.dependencies.to_string())
        }),
        column("clean build, s", |server| {
            Some(format!("{:.1}", server.footprint.as_ref()?.build_seconds))
        }),
    ];
    grid::servers("footprint", results, &columns)
}

fn wrk(results: &Results) -> String {
    let columns = [
        column("wrk", |server| {
            Some(grouped(server.wrk.as_ref()?.wrk_per_second))
        }),
        column("this folder's", |server| {
            Some(grouped(server.wrk.as_ref()?.own_per_second))
        }),
    ];
    grid::servers("64 connections", results, &columns)
}
