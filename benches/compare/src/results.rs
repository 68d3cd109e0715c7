//! What was measured, as it is written and read again.

use crate::stats::Stats;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

/// A whole run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Results {
    /// The day, as in 2026-11-30.
    pub(crate) date: String,
    /// Processor, cores and kernel.
    pub(crate) machine: String,
    /// The command that measured it.
    pub(crate) command: String,
    /// The fastest way of the floor per work, and its CPU time per request.
    pub(crate) floors: BTreeMap<String, Floor>,
    /// Everyone measured, in the order of the command.
    pub(crate) servers: Vec<Measured>,
    /// What was left out, and why.
    pub(crate) left_out: Vec<String>,
}

/// The floor at one work.
#[derive(Serialize, Deserialize)]
pub(crate) struct Floor {
    /// Its fastest way here.
    pub(crate) mode: String,
    /// CPU microseconds per request.
    pub(crate) microseconds: Stats,
}

/// One server.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Its name.
    pub(crate) name: String,
    /// In what its answers differ from the contract, or it differs from the others.
    pub(crate) remarks: Vec<String>,
    /// CPU time, by work.
    pub(crate) cpu: BTreeMap<String, Cpu>,
    /// Latencies at a fixed rate.
    pub(crate) latency: Option<Latency>,
    /// System calls per request, by work.
    pub(crate) calls: BTreeMap<String, Calls>,
    /// User instructions per request, by work.
    pub(crate) instructions: BTreeMap<String, f64>,
    /// Resident memory.
    pub(crate) memory: Option<Memory>,
    /// What it takes to have it.
    pub(crate) footprint: Option<Footprint>,
}

/// CPU time at one work.
#[derive(Serialize, Deserialize)]
pub(crate) struct Cpu {
    /// As a ratio to the floor measured before and after.
    pub(crate) ratio: Stats,
    /// Microseconds per request.
    pub(crate) microseconds: Stats,
    /// Answers a second, which depends on the load generator too.
    pub(crate) per_second: Stats,
}

/// Latencies in microseconds from when a request was due.
#[derive(Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Requests a second.
    pub(crate) rate: u64,
    /// The median latency.
    pub(crate) p50: Stats,
    /// All but one in a hundred.
    pub(crate) p99: Stats,
    /// All but one in a thousand.
    pub(crate) p999: Stats,
}

/// System calls per request.
#[derive(Serialize, Deserialize)]
pub(crate) struct Calls {
    /// At full speed, counted by the kernel's trace point (perf), where that can be read.
    pub(crate) at_speed: Option<f64>,
    /// Under strace, which makes the server the slower side.
    pub(crate) traced: f64,
    /// The same by name.
    pub(crate) by_name: BTreeMap<String, f64>,
}

/// Resident memory.
#[derive(Serialize, Deserialize)]
pub(crate) struct Memory {
    /// After one request.
    pub(crate) start_bytes: u64,
    /// Connections held.
    pub(crate) connections: usize,
    /// More of it per connection that has made a request and is idle.
    pub(crate) per_connection_bytes: f64,
}

/// What it takes to have a server.
#[derive(Serialize, Deserialize)]
pub(crate) struct Footprint {
    /// Bytes of its binary without symbols.
    pub(crate) binary_bytes: u64,
    /// Crates it depends on, directly and not.
    pub(crate) dependencies: usize,
    /// Seconds of a clean release build.
    pub(crate) build_seconds: f64,
}

impl Results {
    /// Empty results of today, on this machine.
    pub(crate) fn new() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        Self {
            date: said_by("date", &["-u", "+%F"]),
            machine: machine(),
            command: format!(
                "cargo run --release --manifest-path benches/compare/Cargo.toml -- {}",
                words.join(" ")
            ),
            floors: BTreeMap::new(),
            servers: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Reads results written before.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    }

    /// Writes them.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(
            path,
            serde_json::to_string_pretty(self)? + "\n",
        )?)
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
    format!(
        "{model}, {cores} cores, Linux {}",
        said_by("uname", &["-r"])
    )
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
