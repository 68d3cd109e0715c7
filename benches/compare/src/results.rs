//! What was measured, as it is written, read again and merged.

use crate::parts::Part;
use crate::run::Run;
use crate::stats::Stats;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

/// Everything measured, by one run or by several that came after each other.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The runs that measured it, the latest last.
    pub(crate) runs: Vec<Run>,
    /// Which of the runs measured a part.
    pub(crate) parts: BTreeMap<String, usize>,
    /// The floor, by work.
    pub(crate) floors: BTreeMap<String, Floor>,
    /// Everyone measured.
    pub(crate) servers: Vec<Measured>,
    /// What Waterwheel itself takes to build, without features and with all.
    pub(crate) builds: BTreeMap<String, Build>,
    /// What benches say that print tables of their own.
    pub(crate) tables: BTreeMap<String, String>,
    /// What was left out, and why.
    pub(crate) left_out: Vec<LeftOut>,
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
    /// Its version, where it is known.
    pub(crate) version: Option<String>,
    /// In what it differs from the contract.
    pub(crate) contract: Contract,
    /// CPU time, by work.
    pub(crate) cpu: BTreeMap<String, Cpu>,
    /// Latencies at a fixed rate.
    pub(crate) latency: Option<Latency>,
    /// Latencies beside a connection that pipelines flat out.
    pub(crate) fairness: Option<Fairness>,
    /// System calls per request, by work.
    pub(crate) calls: BTreeMap<String, Calls>,
    /// User instructions per request, by work.
    pub(crate) instructions: BTreeMap<String, f64>,
    /// Resident memory.
    pub(crate) memory: Option<Memory>,
    /// Resident memory with a handler whose future holds 4 KiB.
    pub(crate) large_memory: Option<Memory>,
    /// Answers a second by wrk and by the load generator of this folder.
    pub(crate) wrk: Option<CrossCheck>,
    /// What it takes to have it.
    pub(crate) footprint: Option<Footprint>,
}

/// How a server keeps the contract.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Contract {
    /// How it differs from the others.
    pub(crate) remark: Option<String>,
    /// Bytes of an answer to `/plaintext`.
    pub(crate) answer_bytes: usize,
    /// Fields that its answers lack, and what it cannot answer.
    pub(crate) lacks: Vec<String>,
    /// Wrong requests that it answers as if they were right.
    pub(crate) accepts: Vec<String>,
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

/// What one connection that pipelines flat out does to 63 others.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fairness {
    /// Requests a second of the others, all together.
    pub(crate) rate: u64,
    /// Their p99 without it, in microseconds.
    pub(crate) quiet_p99: Stats,
    /// Their p99 beside it.
    pub(crate) flooded_p99: Stats,
    /// The second as a multiple of the first, round by round.
    pub(crate) ratio: Stats,
    /// Answers a second that it got.
    pub(crate) flood_per_second: f64,
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
    /// After ten requests.
    pub(crate) start_bytes: u64,
    /// Connections held.
    pub(crate) connections: usize,
    /// More of it per connection that has made a request and is idle.
    pub(crate) per_connection_bytes: f64,
}

/// Answers a second, by two generators.
#[derive(Serialize, Deserialize)]
pub(crate) struct CrossCheck {
    /// By wrk.
    pub(crate) wrk_per_second: f64,
    /// By the load generator of this folder.
    pub(crate) own_per_second: f64,
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

/// A clean build of Waterwheel.
#[derive(Serialize, Deserialize)]
pub(crate) struct Build {
    /// Crates, its own and those for procedural macros and build scripts among them.
    pub(crate) crates: usize,
    /// Seconds.
    pub(crate) seconds: f64,
    /// The example whose binary is weighed.
    pub(crate) example: String,
    /// Bytes of that binary without symbols.
    pub(crate) binary_bytes: u64,
}

/// Something that was not measured.
#[derive(Serialize, Deserialize)]
pub(crate) struct LeftOut {
    /// The part of the run.
    pub(crate) part: String,
    /// Whose.
    pub(crate) server: String,
    /// Why.
    pub(crate) reason: String,
}

impl Results {
    /// Reads results written before.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes them; who reads the file meanwhile sees the old or the new, and never a part.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(std::fs::rename(new, path)?)
    }

    /// The server of this name, or a fresh entry for it.
    pub(crate) fn server(&mut self, name: &str) -> &mut Measured {
        let known = self.servers.iter().position(|server| server.name == name);
        let index = known.unwrap_or_else(|| {
            self.servers.push(Measured {
                name: name.to_owned(),
                ..Measured::default()
            });
            self.servers.len() - 1
        });
        &mut self.servers[index]
    }

    /// Begins a part anew: what is known of it counts no more.
    pub(crate) fn begin(&mut self, part: Part) {
        let name = part.name();
        self.forget_left_out(name);
        self.parts.remove(name);
        self.tables.remove(name);
        match part {
            Part::Cpu(_) => drop(self.floors.remove(name)),
            Part::Builds => self.builds.clear(),
            _ => {}
        }
        for server in &mut self.servers {
            server.forget(part);
        }
    }

    /// Forgets what was left out of a part.
    pub(crate) fn forget_left_out(&mut self, part: &str) {
        self.left_out.retain(|left| left.part != part);
    }

    /// Keeps what was measured, or the reason why it was not.
    pub(crate) fn keep<T, E: ToString>(
        &mut self,
        part: &str,
        server: &str,
        found: Result<T, E>,
    ) -> Option<T> {
        found
            .map_err(|error| {
                self.left_out.push(LeftOut {
                    part: part.to_owned(),
                    server: server.to_owned(),
                    reason: error.to_string(),
                });
            })
            .ok()
    }

    /// A part is done, by the latest run.
    pub(crate) fn done(&mut self, part: &str) {
        let latest = self.runs.len().saturating_sub(1);
        self.parts.insert(part.to_owned(), latest);
        if let Some(run) = self.runs.last_mut() {
            run.ended = crate::run::now();
        }
    }

    /// The run that measured a part.
    pub(crate) fn run_of(&self, part: &str) -> Option<&Run> {
        self.runs.get(*self.parts.get(part)?)
    }

    /// Forgets runs of which nothing is left.
    pub(crate) fn forget_stale_runs(&mut self) {
        let used: BTreeSet<usize> = self.parts.values().copied().collect();
        let runs = used
            .iter()
            .filter_map(|&index| self.runs.get(index).cloned());
        self.runs = runs.collect();
        for index in self.parts.values_mut() {
            *index = used.range(..*index).count();
        }
    }
}

impl Measured {
    fn forget(&mut self, part: Part) {
        match part {
            Part::Cpu(work) => drop(self.cpu.remove(work.name)),
            Part::Latency => self.latency = None,
            Part::Fairness => self.fairness = None,
            Part::Calls => self.calls.clear(),
            Part::Instructions => self.instructions.clear(),
            Part::Memory => (self.memory, self.large_memory) = (None, None),
            Part::Wrk => self.wrk = None,
            Part::Footprint => self.footprint = None,
            Part::Builds | Part::Wake | Part::Routes | Part::Gate => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Results;
    use crate::parts::Part;
    use crate::run::Run;
    use std::collections::BTreeMap;

    #[test]
    fn a_part_begun_anew_has_no_figures_and_the_others_keep_theirs() {
        let mut results = Results::default();
        let of_both = [("wake", "old"), ("gate", "kept")];
        results.tables = BTreeMap::from(of_both.map(|(part, table)| (part.into(), table.into())));
        results
            .server("hyper")
            .instructions
            .insert("single".to_owned(), 1.0);
        for part in ["wake", "gate", "instructions"] {
            results.done(part);
        }
        results.begin(Part::Wake);
        results.begin(Part::Instructions);
        assert!(results.server("hyper").instructions.is_empty());
        assert!(results.parts.keys().eq(["gate"]));
        assert!(results.tables.keys().eq(["gate"]));
    }

    #[test]
    fn a_run_is_forgotten_when_all_its_parts_are_measured_again() {
        let mut results = Results::default();
        let run = |command: &str| Run {
            began: String::new(),
            ended: String::new(),
            machine: String::new(),
            commit: String::new(),
            compiler: String::new(),
            command: command.to_owned(),
        };
        for (command, part) in [("a", "x"), ("b", "y"), ("c", "x")] {
            results.runs.push(run(command));
            results.done(part);
        }
        results.forget_stale_runs();
        assert_eq!(results.runs.len(), 2);
        let command_of = |part| results.run_of(part).map(|run| run.command.as_str());
        assert_eq!((command_of("x"), command_of("y")), (Some("c"), Some("b")));
    }
}
