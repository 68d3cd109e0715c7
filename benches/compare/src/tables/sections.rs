//! Tables that stand in more than one place.

use super::grid::{self, column};
use super::tail;
use crate::contract::WRONG;
use crate::figures::{LeftOut, Measured};
use crate::results::Results;
use crate::stats::Stats;
use crate::text::grouped;
use crate::works::{WORKS, Work};

/// How exactly a ratio is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The median.
    Short,
    /// The median, the ends, and microseconds.
    Long,
}

/// CPU time as a ratio to the floor, at these works.
pub(crate) fn cpu(results: &Results, works: &[&'static Work], detail: Detail) -> String {
    let columns: Vec<_> = works
        .iter()
        .filter(|work| results.floors.contains_key(work.name))
        .map(|&work| {
            let cell = move |server: &Measured| {
                let cpu = server.cpu.get(work.name)?;
                let us = cpu.microseconds.median;
                Some(match detail {
                    Detail::Short => format!("{:.2}", cpu.ratio.median),
                    Detail::Long => format!("{} {us:.2} µs", spread(&cpu.ratio)),
                })
            };
            column(work.short, cell)
        })
        .collect();
    grid::servers("CPU time to the floor", results, &columns)
}

/// A median with its ends.
fn spread(stats: &Stats) -> String {
    format!(
        "{:.2} ({:.2}–{:.2})",
        stats.median, stats.lowest, stats.highest
    )
}

/// The floor at each work.
pub(crate) fn floors(results: &Results) -> String {
    let rows: Vec<Vec<String>> = WORKS
        .iter()
        .filter_map(|work| {
            let floor = results.floors.get(work.name)?;
            let plain = floor.plain.as_ref().map(|plain| spread(&plain.ratio));
            Some(vec![
                work.short.to_owned(),
                work.title.to_owned(),
                floor.mode.clone(),
                spread(&floor.microseconds),
                plain.unwrap_or_default(),
            ])
        })
        .collect();
    let head = [
        "the floor",
        "what is asked",
        "its fastest way",
        "CPU µs per request",
        "the plain floor to it",
    ];
    grid::aligned(&head.map(str::to_owned), &rows)
}

/// Latencies, and what a flood does to them.
pub(crate) fn latency(results: &Results) -> String {
    let us = |value: f64| Some(grouped(value));
    let columns = [
        column("p50", move |server| us(server.latency.as_ref()?.p50.median)),
        column("p99", move |server| us(server.latency.as_ref()?.p99.median)),
        column("p99.9", |server| Some(tail::cell(server.latency.as_ref()?))),
        column("p99, quiet", move |server| {
            us(server.fairness.as_ref()?.quiet_p99.median)
        }),
        column("p99, flooded", move |server| {
            us(server.fairness.as_ref()?.flooded_p99.median)
        }),
        column("flooded to quiet", |server| {
            let ratio = server.fairness.as_ref()?.ratio.median;
            Some(if ratio < 100.0 {
                format!("{ratio:.1}")
            } else {
                grouped(ratio)
            })
        }),
        column("the flood's answers/s", move |server| {
            let answers = server.fairness.as_ref()?.flood_per_second;
            if answers < 1.0 {
                Some("none".to_owned())
            } else {
                us(answers)
            }
        }),
    ];
    grid::servers("latency, µs", results, &columns)
}

/// User instructions and system calls per request, at the works at which they are counted.
pub(crate) fn counts(results: &Results) -> String {
    let counted = || WORKS.iter().filter(|work| work.is_counted());
    let mut columns = Vec::new();
    for work in counted() {
        columns.push(column(format!("instructions, {}", work.short), |server| {
            Some(grouped(*server.instructions.get(work.name)?))
        }));
    }
    for work in counted() {
        columns.push(column(format!("calls, {}", work.short), |server| {
            Some(format!("{:.2}", server.calls.get(work.name)?.traced))
        }));
    }
    grid::servers("per request", results, &columns)
}

/// Resident memory.
#[expect(clippy::cast_precision_loss, reason = "bytes stay far below 2^52")]
pub(crate) fn memory(results: &Results) -> String {
    let columns = [
        column("MB at start", |server| {
            Some(format!(
                "{:.1}",
                server.memory.as_ref()?.start_bytes as f64 / 1e6
            ))
        }),
        column("bytes per idle connection, of 10,000", |server| {
            Some(grouped(server.memory.as_ref()?.per_connection_bytes))
        }),
        column("the same, with a handler of 4 KiB", |server| {
            Some(grouped(server.large_memory.as_ref()?.per_connection_bytes))
        }),
    ];
    grid::servers("resident memory", results, &columns)
}

/// What each does, and does not do, for an answer.
pub(crate) fn contract(results: &Results) -> String {
    let known = |server: &Measured| server.contract.answer_bytes > 0;
    let columns = [
        column("version", |server| server.version.clone()),
        column("bytes of an answer", move |server| {
            known(server).then(|| server.contract.answer_bytes.to_string())
        }),
        column("lacks", move |server| {
            known(server).then(|| server.contract.lacks.join(", "))
        }),
        column(
            format!("refuses, of {} wrong requests", WRONG.len()),
            move |server| {
                let accepted = server.contract.accepts.len();
                known(server).then(|| (WRONG.len() - accepted).to_string())
            },
        ),
        column("otherwise", |server| server.contract.remark.clone()),
    ];
    grid::servers("the contract", results, &columns)
}

/// Clean builds of Waterwheel.
#[expect(clippy::cast_precision_loss, reason = "bytes stay far below 2^52")]
pub(crate) fn builds(results: &Results) -> String {
    let rows: Vec<Vec<String>> = ["default", "all features"]
        .iter()
        .filter_map(|kind| {
            let build = results.builds.get(*kind)?;
            let megabytes = build.binary_bytes as f64 / 1e6;
            Some(vec![
                (*kind).to_owned(),
                build.crates.to_string(),
                format!("{:.0}", build.seconds),
                format!("{megabytes:.1} (`{}`)", build.example),
            ])
        })
        .collect();
    let head = [
        "a build from nothing",
        "crates, ours among them",
        "seconds",
        "MB of a stripped binary",
    ];
    grid::aligned(&head.map(str::to_owned), &rows)
}

/// What was left out, a line for each reason.
pub(crate) fn left_out(results: &Results) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for LeftOut {
        part,
        server,
        reason,
    } in &results.left_out
    {
        let reason = reason.replace('\n', " ");
        lines.push(format!("{server} at {part} ({reason})"));
    }
    lines.dedup();
    lines
}
