//! All results: stored as JSON, read again, and merged part by part.

use crate::process::{bounded, text};
use crate::servers::folder;
use report::Stats;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// The results of one run, or of several runs that each measured some parts.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) runs: Vec<Run>,
    pub(crate) servers: BTreeMap<String, About>,
    pub(crate) parts: BTreeMap<String, Measured>,
}

/// When, where and by which command something was measured.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    /// As in 2026-11-30 12:00 UTC.
    pub(crate) began: String,
    /// When the last part of the run was done.
    pub(crate) ended: String,
    pub(crate) machine: String,
    /// The project's commit, and whether there were changes on top.
    pub(crate) commit: String,
    pub(crate) compiler: String,
    pub(crate) command: String,
}

/// How a server keeps the contract.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) version: Option<String>,
    pub(crate) remark: String,
    /// Bytes of an answer to `/plaintext`.
    pub(crate) answer_bytes: usize,
    /// Fields that its answers lack, and requests that it cannot answer.
    pub(crate) lacks: Vec<String>,
    /// Wrong requests that it answers as if they were right.
    pub(crate) accepts: Vec<String>,
}

/// The figures of one server at one part, by name.
pub(crate) type Figures = BTreeMap<String, Stats>;

/// A part that was measured.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The index of the run.
    pub(crate) run: usize,
    pub(crate) rounds: usize,
    /// Seconds of a turn.
    pub(crate) seconds: f64,
    /// The fastest floor, if there was one in between.
    pub(crate) floor: Option<Floor>,
    /// The figures of each server.
    pub(crate) figures: BTreeMap<String, Figures>,
    /// Servers that were left out, or `all`, with the reason.
    pub(crate) left_out: BTreeMap<String, String>,
    /// Tables of a program that prints its own.
    pub(crate) tables: String,
}

/// The floor at one work.
#[derive(Serialize, Deserialize)]
pub(crate) struct Floor {
    /// Its fastest way.
    pub(crate) way: String,
    /// CPU microseconds per request.
    pub(crate) us: Stats,
    /// The plain floor as a ratio to it, if the work has a goal.
    pub(crate) plain: Option<Stats>,
}

impl Results {
    /// Reads results.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes the results. A reader sees the old file or the new one, never a part.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(std::fs::rename(new, path)?)
    }

    /// Stores a part, measured by the latest run.
    pub(crate) fn insert(&mut self, part: &str, mut measured: Measured) {
        measured.run = self.runs.len() - 1;
        self.runs[measured.run].ended = now();
        self.parts.insert(part.to_owned(), measured);
    }

    /// Returns a figure.
    pub(crate) fn figure(&self, part: &str, server: &str, figure: &str) -> Option<Stats> {
        self.parts
            .get(part)?
            .figures
            .get(server)?
            .get(figure)
            .copied()
    }

    /// Returns the run that measured a part.
    pub(crate) fn run_of(&self, part: &str) -> Option<&Run> {
        self.runs.get(self.parts.get(part)?.run)
    }

    /// Removes the runs whose parts were all measured again.
    pub(crate) fn forget_stale_runs(&mut self) {
        let mut used: Vec<usize> = self.parts.values().map(|part| part.run).collect();
        used.sort_unstable();
        used.dedup();
        self.runs = used
            .iter()
            .filter_map(|&run| self.runs.get(run).cloned())
            .collect();
        for part in self.parts.values_mut() {
            part.run = used.partition_point(|&run| run < part.run);
        }
    }
}

impl Run {
    /// A run that begins now.
    pub(crate) fn begin(command: String) -> Self {
        Self {
            began: now(),
            ended: now(),
            machine: machine(),
            commit: commit(),
            compiler: said_by("rustc --version"),
            command,
        }
    }

    /// Returns the day without the time.
    pub(crate) fn day(&self) -> &str {
        self.began.split(' ').next().unwrap_or_default()
    }
}

/// The time, as in 2026-11-30 12:00 UTC.
pub(crate) fn now() -> String {
    said_by("date -u '+%F %H:%M UTC'")
}

/// The commit, and whether other files changed since then than those that a run writes.
fn commit() -> String {
    let written = "':!/README.md' ':!/benches/results' ':!/benches/charts'";
    let changes = said_by(&format!("git status --porcelain -- :/ {written}"));
    let suffix = if changes.is_empty() {
        ""
    } else {
        " with changes"
    };
    said_by("git rev-parse --short HEAD") + suffix
}

fn machine() -> String {
    let model = said_by("sed -n 's/^model name\\s*: //p' /proc/cpuinfo | head -n 1");
    let kernel = said_by("uname -r | cut -d . -f 1,2");
    format!("{model}, {} cores, Linux {kernel}", said_by("nproc"))
}

fn said_by(command: &str) -> String {
    let said = text(bounded(30, "sh -c").arg(command).current_dir(folder()));
    said.map_or_else(|_| "unknown".to_owned(), |said| said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Measured, Results, Run};

    #[test]
    fn a_run_is_forgotten_when_all_its_parts_are_measured_again() {
        let mut results = Results::default();
        for (command, part) in [("a", "x"), ("b", "y"), ("c", "x")] {
            results.runs.push(Run::begin(command.to_owned()));
            results.insert(part, Measured::default());
        }
        results.forget_stale_runs();
        assert_eq!(results.runs.len(), 2);
        let command_of = |part| results.run_of(part).map(|run| run.command.as_str());
        assert_eq!((command_of("x"), command_of("y")), (Some("c"), Some("b")));
    }
}
