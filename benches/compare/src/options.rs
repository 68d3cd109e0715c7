//! What the command line asks for.

use crate::servers::{self, Server};
use crate::works::{self, Work};
use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};
use std::error::Error;
use std::path::PathBuf;

/// How to call it.
const USAGE: &str = "compare [--servers NAME,...|all] [--server NAME=COMMAND]... [--works NAME,...|all]
        [--measures cpu,latency,calls,instructions,memory,footprint|all] [--rounds 5] [--seconds 2] [--warm-up 0.3]
        [--rate 10000] [--idle 10000] [--settle 2] [--server-core 0] [--load-core 1]
        [--json results.json] [--charts FOLDER]
compare --draw results.json [--charts FOLDER]";

/// What to do.
pub(crate) enum Task {
    /// Measure, and write the results.
    Measure,
    /// Show results that were measured before.
    Draw(PathBuf),
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// CPU time per request, as a ratio to the floor.
    Cpu,
    /// Latencies at a fixed rate.
    Latency,
    /// System calls per request.
    Calls,
    /// User instructions per request.
    Instructions,
    /// Resident bytes at start and per idle connection.
    Memory,
    /// Size of the binary, dependencies, time of a clean build.
    Footprint,
}

/// All measures by name.
const MEASURES: [(&str, Measure); 6] = [
    ("cpu", Measure::Cpu),
    ("latency", Measure::Latency),
    ("calls", Measure::Calls),
    ("instructions", Measure::Instructions),
    ("memory", Measure::Memory),
    ("footprint", Measure::Footprint),
];

/// The command line.
pub(crate) struct Options {
    /// What to do.
    pub(crate) task: Task,
    /// Who is measured, beside the floor.
    pub(crate) servers: Vec<Server>,
    /// At what.
    pub(crate) works: Vec<&'static Work>,
    /// In which respects.
    pub(crate) measures: Vec<Measure>,
    /// How often each server has its turn.
    pub(crate) rounds: usize,
    /// How long a turn is counted.
    pub(crate) seconds: f64,
    /// How long it runs before it is counted.
    pub(crate) warm_up: f64,
    /// Requests a second when latencies are measured.
    pub(crate) rate: u64,
    /// Connections held when memory is measured.
    pub(crate) idle: usize,
    /// Seconds they are held before memory is read.
    pub(crate) settle: f64,
    /// The core of the servers.
    pub(crate) server_core: usize,
    /// The core of the load generator.
    pub(crate) load_core: usize,
    /// Where the results go.
    pub(crate) json: PathBuf,
    /// Where the charts go, if anywhere.
    pub(crate) charts: Option<PathBuf>,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// For an unknown option, value or name.
    pub(crate) fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            task: Task::Measure,
            servers: Vec::new(),
            works: works::named("single,pipelined,many,close")?,
            measures: vec![Measure::Cpu],
            rounds: 5,
            seconds: 2.0,
            warm_up: 0.3,
            rate: 10_000,
            idle: 10_000,
            settle: 2.0,
            server_core: 0,
            load_core: 1,
            json: "results.json".into(),
            charts: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long(name) => {
                    let name = name.to_owned();
                    options.take(&name, &mut parser)?;
                }
                Short(_) | Value(_) => return Err(USAGE.into()),
            }
        }
        if options.servers.is_empty() {
            options.servers = servers::named("waterwheel,hyper")?;
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), Box<dyn Error>> {
        match name {
            "servers" => self
                .servers
                .extend(servers::named(&parser.value()?.string()?)?),
            "server" => self
                .servers
                .push(Server::from_command(&parser.value()?.string()?)?),
            "works" => self.works = works::named(&parser.value()?.string()?)?,
            "measures" => self.measures = measures(&parser.value()?.string()?)?,
            "rounds" => self.rounds = parser.value()?.parse()?,
            "seconds" => self.seconds = parser.value()?.parse()?,
            "warm-up" => self.warm_up = parser.value()?.parse()?,
            "rate" => self.rate = parser.value()?.parse()?,
            "idle" => self.idle = parser.value()?.parse()?,
            "settle" => self.settle = parser.value()?.parse()?,
            "server-core" => self.server_core = parser.value()?.parse()?,
            "load-core" => self.load_core = parser.value()?.parse()?,
            "json" => self.json = parser.value()?.into(),
            "charts" => self.charts = Some(parser.value()?.into()),
            "draw" => self.task = Task::Draw(parser.value()?.into()),
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }
}

fn measures(names: &str) -> Result<Vec<Measure>, String> {
    if names == "all" {
        return Ok(MEASURES.map(|(_, measure)| measure).to_vec());
    }
    let find = |name: &str| {
        MEASURES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, measure)| *measure)
    };
    names
        .split(',')
        .map(|name| find(name).ok_or_else(|| format!("no such measure: {name}\n{USAGE}")))
        .collect()
}
