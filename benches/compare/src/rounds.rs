//! Interleaved rounds: CPU time against the floor around it.
//!
//! Everyone is told by the fastest floor, which has a turn between any two of others. What has a goal is
//! told by the plain floor too, in many short turns with nobody else in between: a ratio of two ratios
//! would carry the noise of both.

use crate::figures::{Cpu, Floor};
use crate::generator::{self, Report};
use crate::options::Options;
use crate::peers::{self, EAGER_FLOORS, FLOORS, OURS, PLAIN_FLOOR};
use crate::running::Running;
use crate::servers::Server;
use crate::stats::{Quartiles, Stats};
use crate::works::Work;
use std::error::Error;

/// How often each way of the floor runs before the fastest is chosen.
const TRIALS: usize = 5;

/// How long each of these trials is, as a part of a turn.
const TRIAL_SHARE: f64 = 0.5;

/// How many short turns with the plain floor there are for each round.
const SHORT_TURNS: usize = 5;

/// How long each of them is, as a part of a turn.
const SHORT_SHARE: f64 = 0.5;

/// One server's turns at one work.
#[derive(Default)]
struct Turns {
    cpu_us: Vec<f64>,
    ratio: Vec<f64>,
    per_second: Vec<f64>,
    failed: Option<String>,
}

/// Measures everyone at one work; gives the floor, and for each server its figures or why there are none.
///
/// # Errors
/// If the floor itself fails.
#[expect(
    clippy::type_complexity,
    reason = "one list, in the order of the servers"
)]
pub(crate) fn cpu(
    work: &Work,
    options: &Options,
) -> Result<(Floor, Vec<Result<Cpu, String>>), Box<dyn Error>> {
    let servers = &options.servers;
    let mut floor = FloorTurns::begin(fastest_floor(work, options)?, work, options)?;
    let plain_floor = peers::floor(PLAIN_FLOOR);
    let mut plain = work.goal.map(|_| Turns::default());
    let mut turns: Vec<Turns> = servers.iter().map(|_| Turns::default()).collect();
    for round in 1..=options.rounds {
        eprintln!("{}: round {round} of {}", work.name, options.rounds);
        if let Some(plain) = &mut plain {
            floor.around(&plain_floor, plain)?;
        }
        for (server, turns) in servers.iter().zip(&mut turns) {
            if turns.failed.is_none() && round <= options.rounds_of(server) {
                floor.around(server, turns)?;
            }
        }
    }
    let plain = plain.map(|turns| turns.sum_up()).transpose()?;
    let mut all: Vec<_> = turns.iter().map(Turns::sum_up).collect();
    for (server, cpu) in servers.iter().zip(&mut all) {
        if let Ok(cpu) = cpu
            && server.name == OURS
            && work.goal.is_some()
        {
            cpu.to_plain = Some(to_plain(server, work, options)?);
        }
    }
    Ok((floor.sum_up(plain)?, all))
}

/// What a server takes as a multiple of what the plain floor takes, in short turns one after the other.
fn to_plain(server: &Server, work: &Work, options: &Options) -> Result<Quartiles, Box<dyn Error>> {
    let mut options = options.clone();
    options.seconds *= SHORT_SHARE;
    let count = options.rounds * SHORT_TURNS;
    eprintln!("{}: {count} turns with the plain floor", work.name);
    let mut plain = FloorTurns::begin(peers::floor(PLAIN_FLOOR), work, &options)?;
    let mut turns = Turns::default();
    for _ in 0..count {
        plain.around(server, &mut turns)?;
    }
    match turns.failed {
        Some(reason) => Err(reason.into()),
        None => Ok(Quartiles::of(&turns.ratio).ok_or("no rounds")?),
    }
}

impl Turns {
    fn add(&mut self, taken: Result<(f64, f64), Box<dyn Error>>, floor_us: f64) {
        match taken {
            Ok((cpu_us, per_second)) => {
                self.cpu_us.push(cpu_us);
                self.ratio.push(cpu_us / floor_us);
                self.per_second.push(per_second);
            }
            Err(error) => self.failed = Some(error.to_string()),
        }
    }

    /// Sums up; what it is to the plain floor is another question.
    fn sum_up(&self) -> Result<Cpu, String> {
        if let Some(reason) = &self.failed {
            return Err(reason.clone());
        }
        let stats = |samples: &[f64]| Stats::of(samples).ok_or_else(|| "no rounds".to_owned());
        Ok(Cpu {
            ratio: stats(&self.ratio)?,
            to_plain: None,
            microseconds: stats(&self.cpu_us)?,
            per_second: stats(&self.per_second)?,
        })
    }
}

/// The turns of a floor, one between any two of others.
struct FloorTurns<'o> {
    floor: Server,
    work: &'o Work,
    options: &'o Options,
    cpu_us: Vec<f64>,
    before: f64,
}

impl<'o> FloorTurns<'o> {
    /// Lets it have its first turn.
    fn begin(floor: Server, work: &'o Work, options: &'o Options) -> Result<Self, Box<dyn Error>> {
        let before = floor_turn(&floor, work, options)?;
        Ok(Self {
            floor,
            work,
            options,
            cpu_us: vec![before],
            before,
        })
    }

    /// Lets someone have a turn, and the floor one after it.
    fn around(&mut self, server: &Server, turns: &mut Turns) -> Result<(), Box<dyn Error>> {
        let taken = turn(server, self.work, self.options);
        let after = floor_turn(&self.floor, self.work, self.options)?;
        turns.add(taken, f64::midpoint(self.before, after));
        self.cpu_us.push(after);
        self.before = after;
        Ok(())
    }

    fn sum_up(self, plain: Option<Cpu>) -> Result<Floor, Box<dyn Error>> {
        Ok(Floor {
            mode: self.floor.name,
            microseconds: Stats::of(&self.cpu_us).ok_or("no rounds")?,
            plain,
        })
    }
}

/// The way of the floor that is the fastest at this work.
fn fastest_floor(work: &Work, options: &Options) -> Result<Server, Box<dyn Error>> {
    let mut options = options.clone();
    options.seconds *= TRIAL_SHARE;
    let mut names = FLOORS.to_vec();
    if work.is_of_new_connections() {
        names.extend(EAGER_FLOORS);
    }
    let mut turns: Vec<_> = names
        .into_iter()
        .map(|name| (peers::floor(name), Vec::new()))
        .collect();
    for _ in 0..TRIALS {
        for (floor, samples) in &mut turns {
            samples.push(floor_turn(floor, work, &options)?);
        }
    }
    let median = |samples: &[f64]| Stats::of(samples).map_or(f64::MAX, |stats| stats.median);
    let fastest = turns
        .into_iter()
        .min_by(|(_, a), (_, b)| median(a).total_cmp(&median(b)));
    Ok(fastest.ok_or("no floor")?.0)
}

fn floor_turn(floor: &Server, work: &Work, options: &Options) -> Result<f64, Box<dyn Error>> {
    let (cpu_us, _) =
        turn(floor, work, options).map_err(|error| format!("{}: {error}", floor.name))?;
    Ok(cpu_us)
}

/// One turn in a fresh process: CPU microseconds per request, and requests per second.
fn turn(server: &Server, work: &Work, options: &Options) -> Result<(f64, f64), Box<dyn Error>> {
    let report = load(server, work, &[], options)?;
    let cpu_us = report.server_cpu_us_per_request.ok_or("no CPU time")?;
    Ok((cpu_us, report.requests_per_second))
}

/// Loads a server in a fresh process.
///
/// # Errors
/// If it fails under the load.
pub(crate) fn load(
    server: &Server,
    work: &Work,
    more: &[&str],
    options: &Options,
) -> Result<Report, Box<dyn Error>> {
    let own = if server.is_floor() { work.floor } else { &[] };
    let running = Running::start(server, own, options.server_core)?;
    let (pid, seconds, warm_up) = (
        running.pid.to_string(),
        options.seconds.to_string(),
        options.warm_up.to_string(),
    );
    let timing = ["--seconds", &seconds, "--warm-up", &warm_up, "--pid", &pid];
    let report = generator::run(&running, &[work.load, &timing, more].concat(), options)?;
    let is_starved = report.requests == 0 && report.latency_us.is_none();
    if is_starved || report.reconnects > report.requests / 100 {
        return Err(format!(
            "{} answers, {} connections lost",
            report.requests, report.reconnects
        )
        .into());
    }
    Ok(report)
}
