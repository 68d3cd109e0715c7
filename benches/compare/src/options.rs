//! What the command line asks for.

use crate::parts::Part;
use crate::peers;
use crate::servers::{Class, Server};
use crate::works::{self, Work};
use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};
use std::error::Error;
use std::path::PathBuf;

/// How to call it.
const USAGE: &str = "compare [--servers NAME,...|all] [--server NAME=COMMAND]... [--works NAME,...|all]
        [--measures cpu,latency,fairness,calls,instructions,memory,wrk,builds,runtimes,routes,gate,footprint|all]
        [--rounds 5] [--seconds 2] [--warm-up 0.3] [--rate 10000] [--idle 10000] [--settle 2]
        [--server-core 0] [--load-core 1] [--json results.json] [--charts FOLDER]
compare --readme [--thorough] [--only PART,...] [--resume]
compare --draw results.json [--charts FOLDER]";

/// What to do.
#[derive(Clone)]
pub(crate) enum Task {
    /// Measure what is asked for, and write the results.
    Measure,
    /// Measure what README shows, and write it there.
    Readme(Extent),
    /// Show results that were measured before.
    Draw(PathBuf),
}

/// How much of what README shows is measured.
#[derive(Clone, Default)]
pub(crate) struct Extent {
    /// Everyone, at everything, for as long as it takes.
    pub(crate) thorough: bool,
    /// Only these parts; the others stay as they were.
    pub(crate) only: Option<Vec<Part>>,
    /// Only what was not measured before an interruption.
    pub(crate) resume: bool,
}

/// The command line, or what a part of a longer run is told in its place.
#[derive(Clone)]
pub(crate) struct Options {
    /// What to do.
    pub(crate) task: Task,
    /// Who is measured, beside the floor.
    pub(crate) servers: Vec<Server>,
    /// At what.
    pub(crate) works: Vec<&'static Work>,
    /// In which respects.
    pub(crate) measures: Vec<Part>,
    /// How often each server has its turn.
    pub(crate) rounds: usize,
    /// How often slow servers have theirs.
    pub(crate) slow_rounds: usize,
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
            measures: Part::named("cpu")?,
            rounds: 5,
            slow_rounds: usize::MAX,
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
        let mut extent = Extent::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("readme") => options.task = Task::Readme(Extent::default()),
                Long("thorough") => extent.thorough = true,
                Long("resume") => extent.resume = true,
                Long("only") => extent.only = Some(Part::named(&parser.value()?.string()?)?),
                Long(name) => {
                    let name = name.to_owned();
                    options.take(&name, &mut parser)?;
                }
                Short(_) | Value(_) => return Err(USAGE.into()),
            }
        }
        if let Task::Readme(asked) = &mut options.task {
            *asked = extent;
        }
        if options.servers.is_empty() {
            options.servers = peers::named("waterwheel,hyper")?;
        }
        let works = options.works.clone();
        options.measures.retain(|part| match part {
            Part::Cpu(work) => works.iter().any(|asked| asked.name == work.name),
            _ => true,
        });
        Ok(options)
    }

    fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), Box<dyn Error>> {
        match name {
            "servers" => self
                .servers
                .extend(peers::named(&parser.value()?.string()?)?),
            "server" => self
                .servers
                .push(Server::from_command(&parser.value()?.string()?)?),
            "works" => self.works = works::named(&parser.value()?.string()?)?,
            "measures" => self.measures = Part::named(&parser.value()?.string()?)?,
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

    /// How often a server has its turn.
    pub(crate) fn rounds_of(&self, server: &Server) -> usize {
        match server.class {
            Class::Slow => self.rounds.min(self.slow_rounds),
            _ => self.rounds,
        }
    }
}
