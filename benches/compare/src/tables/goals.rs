//! The goals, what Waterwheel reached of them, and what the best of the others did.

use super::grid::{self, OURS, grouped};
use crate::figures::Measured;
use crate::results::Results;
use crate::works::WORKS;

/// A figure of a server, the less the better.
type Figure = Box<dyn Fn(&Measured) -> Option<f64>>;

/// One goal.
struct Goal {
    what: String,
    /// The most that it may be; without, the best of the others is the goal.
    most: Option<f64>,
    figure: Figure,
    digits: usize,
}

/// A table with a row for each goal that was measured.
pub(crate) fn table(results: &Results) -> String {
    let rows: Vec<Vec<String>> = all().iter().filter_map(|goal| goal.row(results)).collect();
    let head = ["", "goal", "waterwheel", "the best of the others"].map(str::to_owned);
    grid::aligned(&head, &rows)
}

impl Goal {
    fn new(
        what: impl Into<String>,
        most: Option<f64>,
        digits: usize,
        figure: impl Fn(&Measured) -> Option<f64> + 'static,
    ) -> Self {
        Self {
            what: what.into(),
            most,
            figure: Box::new(figure),
            digits,
        }
    }

    fn row(&self, results: &Results) -> Option<Vec<String>> {
        let ours = results.servers.iter().find(|server| server.name == OURS)?;
        let reached = (self.figure)(ours)?;
        let others = results.servers.iter().filter(|server| {
            server.name != OURS
                && crate::peers::rank(&server.name) < usize::MAX
                && !server.name.starts_with("floor")
        });
        let best = others
            .filter_map(|server| Some((server.name.as_str(), (self.figure)(server)?)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b));
        Some(vec![
            self.what.clone(),
            self.most
                .map_or("the best".to_owned(), |most| self.show(most)),
            format!("**{}**", self.show(reached)),
            best.map_or(String::new(), |(name, value)| {
                format!("{} ({name})", self.show(value))
            }),
        ])
    }

    fn show(&self, value: f64) -> String {
        match self.digits {
            0 => grouped(value),
            digits => format!("{value:.digits$}"),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes stay far below 2^52")]
fn all() -> Vec<Goal> {
    let mut goals = Vec::new();
    for work in &WORKS {
        let what = format!("CPU time to the floor: {}", work.short);
        goals.push(Goal::new(what, work.goal, 2, |server| {
            Some(server.cpu.get(work.name)?.ratio.median)
        }));
    }
    for (work, most) in [("single", 1_000.0), ("pipelined", 700.0)] {
        let what = format!("user instructions per request, {work}");
        goals.push(Goal::new(what, Some(most), 0, move |server| {
            server.instructions.get(work).copied()
        }));
    }
    for (work, most) in [("single", 2.05), ("pipelined", 0.13)] {
        let what = format!("system calls per request, {work}");
        goals.push(Goal::new(what, Some(most), 2, move |server| {
            Some(server.calls.get(work)?.traced)
        }));
    }
    goals.extend([
        Goal::new(
            "resident bytes per idle connection, of 10,000",
            Some(256.0),
            0,
            |server| Some(server.memory.as_ref()?.per_connection_bytes),
        ),
        Goal::new(
            "the same, with a handler whose future holds 4 KiB",
            Some(256.0),
            0,
            |server| Some(server.large_memory.as_ref()?.per_connection_bytes),
        ),
        Goal::new("resident at start, MB", Some(3.0), 1, |server| {
            Some(server.memory.as_ref()?.start_bytes as f64 / 1e6)
        }),
        Goal::new("p99.9 at 10,000 requests a second, µs", None, 0, |server| {
            Some(server.latency.as_ref()?.p999.median)
        }),
        Goal::new(
            "p99 beside a connection that pipelines flat out, to quiet",
            Some(2.0),
            1,
            |server| Some(server.fairness.as_ref()?.ratio.median),
        ),
        Goal::new(
            "crates that its server here depends on",
            Some(8.0),
            0,
            |server| Some(server.footprint.as_ref()?.dependencies as f64),
        ),
        Goal::new(
            "stripped binary of that server, KiB",
            Some(450.0),
            0,
            |server| Some(server.footprint.as_ref()?.binary_bytes as f64 / 1024.0),
        ),
    ]);
    goals
}
