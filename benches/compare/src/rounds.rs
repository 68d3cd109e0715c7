//! Interleaved rounds: CPU time against the floor around it.

use crate::figures::{Cpu, Floor};
use crate::generator::{self, Report};
use crate::options::Options;
use crate::peers::{self, FLOORS};
use crate::running::Running;
use crate::servers::Server;
use crate::stats::Stats;
use crate::works::Work;
use std::error::Error;

/// How often each way of the floor runs before the fastest is chosen.
const TRIALS: usize = 3;

/// How long each of these trials is, as a part of a turn.
const TRIAL_SHARE: f64 = 0.5;

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
    let floor = fastest_floor(work, options)?;
    let mut turns: Vec<Turns> = servers.iter().map(|_| Turns::default()).collect();
    let mut floors = Vec::new();
    for round in 1..=options.rounds {
        eprintln!("{}: round {round} of {}", work.name, options.rounds);
        let mut before = floor_turn(&floor, work, options)?;
        floors.push(before);
        for (server, turns) in servers.iter().zip(&mut turns) {
            if turns.failed.is_some() || round > options.rounds_of(server) {
                continue;
            }
            let taken = turn(server, work, options);
            let after = floor_turn(&floor, work, options)?;
            turns.add(taken, f64::midpoint(before, after));
            floors.push(after);
            before = after;
        }
    }
    let microseconds = Stats::of(&floors).ok_or("no rounds")?;
    Ok((
        Floor {
            mode: floor.name,
            microseconds,
        },
        turns.iter().map(Turns::sum_up).collect(),
    ))
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

    fn sum_up(&self) -> Result<Cpu, String> {
        if let Some(reason) = &self.failed {
            return Err(reason.clone());
        }
        let stats = |samples: &[f64]| Stats::of(samples).ok_or_else(|| "no rounds".to_owned());
        Ok(Cpu {
            ratio: stats(&self.ratio)?,
            microseconds: stats(&self.cpu_us)?,
            per_second: stats(&self.per_second)?,
        })
    }
}

/// The way of the floor that is the fastest at this work.
fn fastest_floor(work: &Work, options: &Options) -> Result<Server, Box<dyn Error>> {
    let mut options = options.clone();
    options.seconds *= TRIAL_SHARE;
    let mut turns = FLOORS.map(|name| (peers::floor(name), Vec::new()));
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
