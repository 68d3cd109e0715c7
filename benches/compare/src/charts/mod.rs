//! Charts of the results: horizontal bars as SVG, light and dark.

mod draw;
mod scale;
mod theme;

use crate::figures::Measured;
use crate::results::Results;
use crate::stats::{Quartiles, Stats};
use crate::works::{self, Work};
use std::error::Error;
use std::path::Path;

/// A place on the scale that stands out.
pub(crate) struct Mark {
    at: f64,
    label: &'static str,
}

/// One chart: what it shows, and what stands out on its scale.
pub(crate) struct Chart<'r> {
    /// The name of its files, without theme.
    pub(crate) file: String,
    /// What it shows.
    pub(crate) title: String,
    /// What its numbers are.
    subtitle: String,
    /// What follows a value.
    unit: &'static str,
    floor: Option<Mark>,
    goal: Option<Mark>,
    rows: Vec<(&'r str, Stats)>,
    /// The part of the run that it shows.
    part: String,
}

/// Draws a chart for whatever was measured, in both themes.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn draw_all(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    for chart in names(results) {
        for theme in &theme::THEMES {
            let path = folder.join(format!("{}-{}.svg", chart.file, theme.name));
            std::fs::write(path, draw::svg(&chart, theme, results))?;
        }
    }
    Ok(())
}

/// The charts that can be drawn of these results, the shortest bar first in each.
pub(crate) fn names(results: &Results) -> Vec<Chart<'_>> {
    let works = works::WORKS
        .iter()
        .filter(|work| results.floors.contains_key(work.name));
    let mut charts: Vec<Chart<'_>> = works.map(|work| cpu(results, work)).collect();
    charts.extend([
        latency(results),
        fairness(results),
        memory(results),
        instructions(results),
    ]);
    charts.retain(|chart| !chart.rows.is_empty());
    for chart in &mut charts {
        chart
            .rows
            .sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    }
    charts
}

fn cpu<'r>(results: &'r Results, work: &Work) -> Chart<'r> {
    Chart {
        file: format!("cpu-{}", work.name),
        title: format!("CPU time per request: {}", work.title),
        subtitle: "as a multiple of the floor, what the kernel alone costs; less is better"
            .to_owned(),
        unit: " ×",
        floor: Some(Mark {
            at: 1.0,
            label: "floor",
        }),
        goal: work.goal.map(|goal| Mark {
            at: goal * plain(results, work),
            label: "goal",
        }),
        rows: rows(results, |server| Some(server.cpu.get(work.name)?.ratio)),
        part: work.name.to_owned(),
    }
}

/// The plain floor, to which goals are ratios, as a multiple of the fastest, which is the scale's unit.
fn plain(results: &Results, work: &Work) -> f64 {
    let floor = results.floors.get(work.name);
    let plain = floor.and_then(|floor| floor.plain.as_ref());
    plain.map_or(1.0, |plain| plain.ratio.median)
}

fn latency(results: &Results) -> Chart<'_> {
    Chart {
        file: "latency".to_owned(),
        title: "Latency at 10,000 requests a second over 64 connections".to_owned(),
        subtitle:
            "99.9th percentile in microseconds from when a request was due, middle half of the \
                   rounds; less is better"
                .to_owned(),
        unit: " µs",
        floor: None,
        goal: None,
        rows: rows(results, |server| {
            let latency = server.latency.as_ref()?;
            let middle = latency.p999_quartiles.map(Quartiles::as_stats);
            Some(middle.unwrap_or(latency.p999))
        }),
        part: "latency".to_owned(),
    }
}

fn fairness(results: &Results) -> Chart<'_> {
    Chart {
        file: "fairness".to_owned(),
        title: "Latency beside a connection that pipelines flat out".to_owned(),
        subtitle:
            "99th percentile of 63 others, as a multiple of the same without it; less is better"
                .to_owned(),
        unit: " ×",
        floor: None,
        goal: Some(Mark {
            at: 2.0,
            label: "goal",
        }),
        rows: rows(results, |server| Some(server.fairness.as_ref()?.ratio)),
        part: "fairness".to_owned(),
    }
}

fn memory(results: &Results) -> Chart<'_> {
    Chart {
        file: "memory".to_owned(),
        title: "Resident memory per idle connection, of 10,000".to_owned(),
        subtitle: "bytes in user space, each connection having made one request; less is better"
            .to_owned(),
        unit: "",
        floor: None,
        goal: Some(Mark {
            at: 256.0,
            label: "goal",
        }),
        rows: rows(results, |server| {
            Some(exactly(server.memory.as_ref()?.per_connection_bytes))
        }),
        part: "memory".to_owned(),
    }
}

fn instructions(results: &Results) -> Chart<'_> {
    Chart {
        file: "instructions".to_owned(),
        title: "User instructions per request, 64 keep-alive connections".to_owned(),
        subtitle: "counted by callgrind; less is better".to_owned(),
        unit: "",
        floor: None,
        goal: Some(Mark {
            at: 1_000.0,
            label: "goal",
        }),
        rows: rows(results, |server| {
            Some(exactly(*server.instructions.get("single")?))
        }),
        part: "instructions".to_owned(),
    }
}

/// A count, which has no spread.
fn exactly(value: f64) -> Stats {
    Stats {
        median: value,
        lowest: value,
        highest: value,
    }
}

fn rows(results: &Results, value: impl Fn(&Measured) -> Option<Stats>) -> Vec<(&str, Stats)> {
    let row = |server: &'_ Measured| value(server);
    results
        .servers
        .iter()
        .filter_map(|server| Some((server.name.as_str(), row(server)?)))
        .collect()
}
