//! The order of a run: parts, rounds, and the servers in turn.

use crate::contract;
use crate::options::Options;
use crate::parts::{Part, Work};
use crate::process::text;
use crate::results::{Floor, Measured, Results, now};
use crate::servers::{
    self, EAGER_FLOORS, FLOORS, OURS, PLAIN_FLOOR, Server, build, folder, target,
};
use crate::turns::{self, Beside, Sample};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use report::Stats;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

/// How often each way of the floor runs before the fastest is chosen, for half a turn each.
const TRIALS: usize = 5;

/// Short turns with the plain floor for each round, half a turn each.
const SHORT_TURNS: usize = 5;

/// A part with its own servers, rounds and times.
type Step = (&'static Part, Options);

/// Builds the servers, leaves out those that do not work, and measures the steps. Writes each part at once.
///
/// # Errors
/// Returns an error if the floor or the load generator cannot be built, or results cannot be written.
pub(crate) fn measure_all(
    steps: &[Step],
    results: &mut Results,
    json: &Path,
) -> Result<(), Box<dyn Error>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?; // the servers inherit it
    let absent = prepare(steps, results)?;
    for (index, (part, options)) in steps.iter().enumerate() {
        eprintln!(
            "{} · {}, {} of {}",
            now(),
            part.name,
            index + 1,
            steps.len()
        );
        let mut measured = Measured {
            rounds: options.rounds,
            seconds: options.seconds,
            ..Measured::default()
        };
        let mut options = options.clone();
        let is_able = |server: &&Server| {
            let lacks = &results.servers[&server.name].lacks;
            let reason = match (absent.get(&server.name), part.work) {
                (Some(reason), _) => reason.clone(),
                (None, Some(work)) if lacks.contains(&work.needs) => {
                    format!("lacks {}", work.needs)
                }
                _ => return true,
            };
            measured.left_out.insert(server.name.clone(), reason);
            false
        };
        if part.has_servers() {
            options.servers = options.servers.iter().filter(is_able).cloned().collect();
        }
        if let Err(error) = measure(part, &options, results, &mut measured) {
            measured
                .left_out
                .insert("all".to_owned(), error.to_string());
        }
        results.insert(part.name, measured);
        results.write(json)?;
    }
    Ok(())
}

/// Builds and checks the servers of all steps. Returns those that do not work, with the reason.
fn prepare(
    steps: &[Step],
    results: &mut Results,
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut absent = BTreeMap::new();
    let needing: Vec<&Step> = steps
        .iter()
        .filter(|(part, _)| part.has_servers())
        .collect();
    if needing.is_empty() {
        return Ok(absent);
    }
    let tools = "--package floor --package load";
    text(&mut build(folder(), &target()?, tools))?;
    let mut seen = BTreeSet::new();
    let servers = needing
        .iter()
        .flat_map(|(_, options)| options.servers.iter().map(move |server| (server, options)));
    for (server, options) in servers.filter(|(server, _)| seen.insert(server.name.clone())) {
        eprintln!("{} · preparing {}", now(), server.name);
        let ready = server
            .build()
            .and_then(|()| contract::check(server, options));
        match ready {
            Ok(about) => drop(results.servers.insert(server.name.clone(), about)),
            Err(error) => {
                // Parts that are not measured today still need what is stored about it.
                results.servers.entry(server.name.clone()).or_default();
                absent.insert(server.name.clone(), error.to_string());
            }
        }
    }
    Ok(absent)
}

fn measure(
    part: &Part,
    options: &Options,
    results: &Results,
    measured: &mut Measured,
) -> Result<(), Box<dyn Error>> {
    if let Some(work) = part.work {
        return cpu(work, options, measured);
    }
    let lacks = |server: &Server| results.servers[&server.name].lacks.clone();
    match part.name {
        "latency" => rounds(part.name, options, Stats::quartiles, measured, |server| {
            turns::latency(server, options)
        }),
        "fairness" => rounds(part.name, options, Stats::range, measured, |server| {
            turns::fairness(server, options)
        }),
        "builds" => measured.figures = turns::builds()?,
        _ if part.has_program() => measured.tables = turns::tables(part.name)?,
        name => {
            measured.rounds = 1;
            let options = &Options {
                rounds: 1,
                ..options.clone()
            };
            rounds(name, options, Stats::range, measured, |server| match name {
                "calls" => turns::calls(server, &lacks(server), options),
                "instructions" => turns::instructions(server, &lacks(server), options),
                "memory" => turns::memory(server, options),
                "wrk" => turns::wrk(server, options),
                _ => turns::footprint(server),
            });
        }
    }
    Ok(())
}

/// Lets the servers take their turns, round by round. A server that fails once has no more turns.
fn rounds(
    name: &str,
    options: &Options,
    spread: fn(&[f64]) -> Option<Stats>,
    measured: &mut Measured,
    mut turn: impl FnMut(&Server) -> Result<Sample, Box<dyn Error>>,
) {
    let mut samples: BTreeMap<(&str, String), Vec<f64>> = BTreeMap::new();
    for round in 1..=options.rounds {
        eprintln!("{name}: round {round} of {}", options.rounds);
        for server in options
            .servers
            .iter()
            .filter(|server| round <= options.rounds_of(server))
        {
            if measured.left_out.contains_key(&server.name) {
                continue;
            }
            match turn(server) {
                Err(error) => drop(
                    measured
                        .left_out
                        .insert(server.name.clone(), error.to_string()),
                ),
                Ok(sample) => {
                    for (figure, value) in sample {
                        samples
                            .entry((&server.name, figure))
                            .or_default()
                            .push(value);
                    }
                }
            }
        }
    }
    samples.retain(|(server, _), _| !measured.left_out.contains_key(*server));
    for ((server, figure), samples) in samples {
        let figures = measured.figures.entry(server.to_owned()).or_default();
        figures.extend(spread(&samples).map(|stats| (figure, stats)));
    }
}

/// CPU time at a work, beside the fastest floor. A work with a goal is also measured beside the plain floor,
/// in many short turns without another server in between: a ratio of two ratios would have the noise of both.
fn cpu(
    work: &'static Work,
    options: &Options,
    measured: &mut Measured,
) -> Result<(), Box<dyn Error>> {
    let mut beside = Beside::new(fastest_floor(work, options)?, work, options)?;
    let mut all = options.clone();
    if work.goal.is_some() {
        let plain = std::iter::once(servers::floor(PLAIN_FLOOR));
        all.servers = options.servers.iter().cloned().chain(plain).collect();
    }
    rounds(&work.name, &all, Stats::range, measured, |server| {
        beside.turn(server)
    });
    let plain = match measured.figures.get(PLAIN_FLOOR) {
        Some(figures) => figures.get("ratio").copied(),
        None => None,
    };
    if !options
        .servers
        .iter()
        .any(|server| server.name == PLAIN_FLOOR)
    {
        measured.figures.remove(PLAIN_FLOOR);
    }
    measured.floor = Some(Floor {
        way: beside.floor.name.clone(),
        us: Stats::range(&beside.floor_us).ok_or("no rounds")?,
        plain,
    });
    let ours = options.servers.iter().find(|server| server.name == OURS);
    let (Some(ours), Some(_)) = (ours.filter(|_| plain.is_some()), measured.figures.get(OURS))
    else {
        return Ok(());
    };
    let short = Options {
        seconds: options.seconds / 2.0,
        rounds: options.rounds * SHORT_TURNS,
        servers: [ours.clone()].into(),
        ..options.clone()
    };
    let mut beside = Beside::new(servers::floor(PLAIN_FLOOR), work, &short)?;
    let mut turns = Measured::default();
    rounds(
        &format!("{}, plain floor", work.name),
        &short,
        Stats::quartiles,
        &mut turns,
        |server| beside.turn(server),
    );
    if let Some(ratio) = turns
        .figures
        .get(OURS)
        .and_then(|figures| figures.get("ratio"))
    {
        let ours = measured.figures.entry(OURS.to_owned()).or_default();
        ours.insert("to plain".to_owned(), *ratio);
    }
    Ok(())
}

/// Returns the fastest way of the floor at this work.
fn fastest_floor(work: &'static Work, options: &Options) -> Result<Server, Box<dyn Error>> {
    let eager = if work.closes() {
        &EAGER_FLOORS[..]
    } else {
        &[]
    };
    let floors = [&FLOORS[..], eager]
        .concat()
        .into_iter()
        .map(servers::floor);
    let trial = Options {
        seconds: options.seconds / 2.0,
        rounds: TRIALS,
        servers: floors.collect(),
        ..options.clone()
    };
    let mut trials = Measured::default();
    rounds(
        &format!("{}, floors", work.name),
        &trial,
        Stats::range,
        &mut trials,
        |floor| Ok(vec![("us".to_owned(), turns::cpu(floor, work, &trial)?.0)]),
    );
    let median = |server: &&Server| {
        trials
            .figures
            .get(&server.name)
            .map(|figures| figures["us"].median)
    };
    let measured = trial
        .servers
        .iter()
        .filter(|server| median(server).is_some());
    let fastest = measured.min_by(|a, b| {
        median(a)
            .partial_cmp(&median(b))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    Ok(fastest
        .ok_or_else(|| format!("no floor runs: {:?}", trials.left_out))?
        .clone())
}
