//! The command line.

use crate::parts::{self, Part};
use crate::servers::{self, Class, Server};
use clap::Parser;
use std::path::PathBuf;

/// Measures Waterwheel beside its peers and beside the floor, the cost of the kernel alone.
#[derive(Clone, Parser)]
pub(crate) struct Options {
    /// The servers: names, `floor` (all its ways), or `all` (every server but the floor).
    #[arg(long, default_value = "waterwheel,hyper", value_parser = servers::named)]
    pub(crate) servers: Servers,
    /// One more server. The address is appended to the command.
    #[arg(long, value_name = "NAME=COMMAND", value_parser = Server::from_command)]
    pub(crate) server: Vec<Server>,
    /// The works: names, or `all`.
    #[arg(long, default_value = "single,pipelined,many,close", value_parser = parts::named)]
    pub(crate) works: Parts,
    /// The measures: `cpu` (at these works), other parts, or `all`.
    #[arg(long, default_value = "cpu", value_parser = parts::named)]
    pub(crate) measures: Parts,
    /// How often each server has its turn.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How often a slow server has its turn.
    #[arg(skip = usize::MAX)]
    pub(crate) slow_rounds: usize,
    /// Seconds of a turn that count.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Seconds of a turn before those that count.
    #[arg(long, default_value_t = 0.3)]
    pub(crate) warm_up: f64,
    /// Requests per second when latencies are measured.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) rate: u32,
    /// Connections held when memory is measured.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) idle: u16,
    /// Seconds that they are held before memory is read.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) settle: f64,
    /// The core of the servers.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: usize,
    /// The core of the load generator.
    #[arg(long, default_value_t = 1)]
    pub(crate) load_core: usize,
    /// Where the results go.
    #[arg(long, default_value = "results.json")]
    pub(crate) json: PathBuf,
    /// Where the charts go.
    #[arg(long)]
    pub(crate) charts: Option<PathBuf>,
    /// Shows results that were measured before.
    #[arg(long, value_name = "FILE")]
    pub(crate) draw: Option<PathBuf>,
    /// Measures the numbers of README and NUMBERS.md, and writes them there.
    #[arg(long)]
    pub(crate) readme: bool,
    /// With --readme: every server at every work, in more rounds.
    #[arg(long, requires = "readme")]
    pub(crate) thorough: bool,
    /// With --readme: these parts only, or `none`.
    #[arg(long, requires = "readme", value_parser = parts::named)]
    pub(crate) only: Option<Parts>,
    /// With --readme: only the parts that were not measured before an interruption.
    #[arg(long, requires = "readme")]
    pub(crate) resume: bool,
}

/// A list of names, which clap must not take for a repeated option.
pub(crate) type Servers = std::sync::Arc<[Server]>;
/// As [`Servers`].
pub(crate) type Parts = std::sync::Arc<[&'static Part]>;

impl Options {
    /// Reads the command line.
    pub(crate) fn read() -> Self {
        let mut options = Self::parse();
        let extra = options.server.iter().cloned();
        options.servers = options.servers.iter().cloned().chain(extra).collect();
        let is_asked = |part: &&&Part| {
            part.work.is_none() || options.works.iter().any(|work| work.name == part.name)
        };
        options.measures = options.measures.iter().filter(is_asked).copied().collect();
        options
    }

    /// Returns how often a server has its turn.
    pub(crate) fn rounds_of(&self, server: &Server) -> usize {
        if server.class == Class::Slow {
            self.rounds.min(self.slow_rounds)
        } else {
            self.rounds
        }
    }
}
