//! What is known of one server, of the floor, or of a build, as it is written and read again.

use crate::parts::Part;
use crate::stats::{Quartiles, Stats};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The floor at one work.
#[derive(Serialize, Deserialize)]
pub(crate) struct Floor {
    /// Its fastest way here.
    pub(crate) mode: String,
    /// CPU microseconds per request.
    pub(crate) microseconds: Stats,
    /// The plain floor beside it, where there is a goal.
    pub(crate) plain: Option<Cpu>,
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
    /// As a ratio to the fastest floor, measured before and after.
    pub(crate) ratio: Stats,
    /// As a ratio to the plain floor, for the server that has a goal: of many short turns in between.
    #[serde(default)]
    pub(crate) to_plain: Option<Quartiles>,
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
    /// The same, by the middle half of the rounds: what else a machine does weighs most here.
    pub(crate) p999_quartiles: Option<Quartiles>,
    /// How many rounds there were.
    #[serde(default)]
    pub(crate) rounds: usize,
    /// How long a round was, in seconds.
    #[serde(default)]
    pub(crate) seconds: f64,
    /// In how many of them something else ran on the server's core nevertheless.
    #[serde(default)]
    pub(crate) disturbed: usize,
    /// Microseconds of a round in which the machine ran something else in the generator's place, which do
    /// not count; the median.
    pub(crate) stalled_us: Option<f64>,
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

impl Measured {
    /// Forgets what is known of a part.
    pub(crate) fn forget(&mut self, part: Part) {
        match part {
            Part::Cpu(work) => drop(self.cpu.remove(work.name)),
            Part::Latency => self.latency = None,
            Part::Fairness => self.fairness = None,
            Part::Calls => self.calls.clear(),
            Part::Instructions => self.instructions.clear(),
            Part::Memory => (self.memory, self.large_memory) = (None, None),
            Part::Wrk => self.wrk = None,
            Part::Footprint => self.footprint = None,
            Part::Builds | Part::Runtimes | Part::Routes | Part::Gate => {}
        }
    }
}
