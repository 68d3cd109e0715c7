//! When, where and by which command something was measured.

use serde::{Deserialize, Serialize};
use std::process::Command;

/// One run of this program.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    /// When it began, as in 2026-11-30 12:00 UTC.
    pub(crate) began: String,
    /// When the last part that it finished was done.
    pub(crate) ended: String,
    /// Processor, cores and kernel.
    pub(crate) machine: String,
    /// The project's commit, and whether there were changes on top.
    pub(crate) commit: String,
    /// The compiler.
    pub(crate) compiler: String,
    /// The command.
    pub(crate) command: String,
}

impl Run {
    /// One that begins now, here.
    pub(crate) fn begin(command: String) -> Self {
        Self {
            began: now(),
            ended: now(),
            machine: machine(),
            commit: commit(),
            compiler: said_by("rustc", &["--version"]),
            command,
        }
    }

    /// The day alone.
    pub(crate) fn day(&self) -> &str {
        self.began.split(' ').next().unwrap_or_default()
    }
}

/// The time as it is noted.
pub(crate) fn now() -> String {
    said_by("date", &["-u", "+%F %H:%M UTC"])
}

/// The commit, and whether anything was changed since but what a run writes.
fn commit() -> String {
    let commit = said_by("git", &["rev-parse", "--short", "HEAD"]);
    let written = [":!/README.md", ":!/benches/results", ":!/benches/charts"];
    let status = ["status", "--porcelain", "--", ":/"];
    let changes = said_by("git", &[&status[..], &written].concat());
    if changes.is_empty() {
        commit
    } else {
        commit + " with changes"
    }
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let release = said_by("uname", &["-r"]);
    let kernel: Vec<&str> = release.split(['.', '-']).take(2).collect();
    format!("{model}, {cores} cores, Linux {}", kernel.join("."))
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
