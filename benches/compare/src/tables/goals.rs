//! The goals, what Waterwheel reached of them, and what the best of the others did.
//!
//! CPU time is told twice: to the fastest floor, and to the plain floor, for which the goals were set.

use super::{grid, tail};
use crate::figures::Measured;
use crate::peers::{self, OURS};
use crate::results::Results;
use crate::text::{grouped, paragraph};
use crate::works::{WORKS, Work};

/// A figure of a server, the less the better.
type Figure = Box<dyn Fn(&Measured) -> Option<f64>>;

/// What is to be said of ours and another's figure.
type Verdict = fn(&Measured, &Measured) -> Option<&'static str>;

/// One goal.
struct Goal {
    what: String,
    /// The most that it may be; without, the best of the others is the goal.
    most: Option<f64>,
    figure: Figure,
    /// The work whose CPU time it is, told to the plain floor, too.
    work: Option<&'static Work>,
    /// Whether ours differs from another's by more than noise, where that is known.
    verdict: Option<Verdict>,
    digits: usize,
}

/// What the fastest floor is.
const FASTEST: &str = "The *floor* is the fastest loop known at each work: by `recv` and `send`, \
     level-triggered, edge-triggered or over mio, and for new connections also with a read straight after \
     accept, no registration before it, and `TCP_DEFER_ACCEPT`, which whoever can has there, too.";

/// What the plain floor is, and which ratio says what.
const PLAIN: &str = "The *plain floor* is what the goals for CPU time were set for: one `read` and one \
     `write` per readiness in a level-triggered epoll loop, which registers each connection when it is \
     accepted. The ratio to the floor is the stricter one: it says how much a server costs beyond what the \
     machine asks for. The ratio to the plain floor says whether a goal is met; it is of many short turns, \
     ours and the floor's side by side, and the middle half of them stands in brackets.";

/// Where the ratio to the plain floor stands.
const PLAIN_COLUMN: usize = 3;

/// A table with a row for each goal that was measured.
pub(crate) fn table(results: &Results) -> String {
    let mut rows: Vec<Vec<String>> = all().iter().filter_map(|goal| goal.row(results)).collect();
    let mut head = [
        "",
        "goal",
        "waterwheel",
        "to the plain floor",
        "the best of the others",
    ]
    .map(str::to_owned)
    .to_vec();
    if plain(results).is_empty() {
        for row in rows.iter_mut().chain([&mut head]) {
            row.remove(PLAIN_COLUMN);
        }
    }
    grid::aligned(&head, &rows)
}

/// What the floors are that were measured; empty without any.
pub(crate) fn floors(results: &Results) -> String {
    let plain = plain(results);
    if results.floors.is_empty() {
        String::new()
    } else if plain.is_empty() {
        paragraph(FASTEST)
    } else {
        let plain = plain.join(", ");
        paragraph(&format!(
            "{FASTEST} {PLAIN} The plain floor is {plain} times the floor."
        ))
    }
}

/// The plain floor as a multiple of the fastest, at each work where it is known.
fn plain(results: &Results) -> Vec<String> {
    let one = |work: &Work| {
        let plain = results.floors.get(work.name)?.plain.as_ref()?;
        Some(format!("{:.2} ({})", plain.ratio.median, work.short))
    };
    WORKS.iter().filter_map(one).collect()
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
            work: None,
            verdict: None,
            digits,
        }
    }

    /// The goal for CPU time at a work.
    fn of_work(work: &'static Work) -> Self {
        Self {
            work: Some(work),
            ..Self::new(
                format!("CPU time to the floor: {}", work.short),
                work.goal,
                2,
                |server| Some(server.cpu.get(work.name)?.ratio.median),
            )
        }
    }

    fn row(&self, results: &Results) -> Option<Vec<String>> {
        let ours = results.servers.iter().find(|server| server.name == OURS)?;
        let reached = (self.figure)(ours)?;
        let to_plain = self.work.and_then(|work| ours.cpu.get(work.name)?.to_plain);
        let others = results.servers.iter().filter(|server| {
            server.name != OURS
                && peers::rank(&server.name) < usize::MAX
                && !server.name.starts_with("floor")
        });
        let best = others
            .filter_map(|server| Some((server, (self.figure)(server)?)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b));
        Some(vec![
            self.what.clone(),
            self.most
                .map_or("the best".to_owned(), |most| self.show(most)),
            format!("**{}**", self.show(reached)),
            to_plain.map_or(String::new(), |ratio| {
                let [lower, median, upper] =
                    [ratio.lower, ratio.median, ratio.upper].map(|ratio| self.show(ratio));
                format!("**{median}** ({lower}–{upper})")
            }),
            best.map_or(String::new(), |(other, value)| {
                let verdict = self.verdict.and_then(|verdict| verdict(ours, other));
                let verdict =
                    verdict.map_or(String::new(), |verdict| format!("; ours is {verdict}"));
                format!("{} ({}){verdict}", self.show(value), other.name)
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
    let mut goals: Vec<Goal> = WORKS.iter().map(Goal::of_work).collect();
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
        Goal {
            verdict: Some(tail::verdict),
            ..Goal::new("p99.9 at 10,000 requests a second, µs", None, 0, |server| {
                Some(server.latency.as_ref()?.p999.median)
            })
        },
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

#[cfg(test)]
mod tests {
    use super::{floors, table};
    use crate::figures::{Cpu, Floor};
    use crate::peers::OURS;
    use crate::results::Results;
    use crate::stats::{Quartiles, Stats};

    /// A CPU time, told without spread.
    fn cpu(ratio: f64, to_plain: Option<Quartiles>) -> Cpu {
        let exactly = |value| Stats {
            median: value,
            lowest: value,
            highest: value,
        };
        Cpu {
            ratio: exactly(ratio),
            to_plain,
            microseconds: exactly(1.0),
            per_second: exactly(1.0),
        }
    }

    fn results(plain: Option<Cpu>, ours: Cpu) -> Results {
        let mut results = Results::default();
        let floor = Floor {
            mode: "floor-edge".to_owned(),
            microseconds: ours.microseconds,
            plain,
        };
        results.floors.insert("single".to_owned(), floor);
        let single = &mut results.server(OURS).cpu;
        single.insert("single".to_owned(), ours);
        results
    }

    #[test]
    fn the_ratio_to_the_plain_floor_stands_beside_that_to_the_fastest() {
        let to_plain = Quartiles {
            lower: 1.08,
            median: 1.1,
            upper: 1.13,
        };
        let results = results(Some(cpu(1.1, None)), cpu(1.21, Some(to_plain)));
        assert!(table(&results).contains("| 1.00 | **1.21**   | **1.10** (1.08–1.13) |"));
        let floors = floors(&results).replace('\n', " ");
        assert!(floors.contains("is 1.10 (64 connections) times the floor"));
    }

    #[test]
    fn results_without_a_plain_floor_say_nothing_of_it() {
        let results = results(None, cpu(1.21, None));
        assert!(table(&results).contains("**1.21**"));
        assert!(!table(&results).contains("plain"));
        assert!(!floors(&results).contains("plain"));
    }
}
