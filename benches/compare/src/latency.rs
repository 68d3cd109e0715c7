//! Latencies at a fixed rate, in rounds: quiet, and beside a connection that pipelines flat out.

use crate::figures::{Fairness, Latency};
use crate::options::Options;
use crate::rounds::load;
use crate::servers::Server;
use crate::stats::{Quartiles, Stats};
use crate::works::{self, Work};
use std::error::Error;

/// The connections whose latencies count when there is a 64th that floods.
const POLITE: &str = "63";

/// How many turns are tried until one is found in which nothing else ran on the server's core.
const TRIES: usize = 2;

/// The share of a turn's time in which that may be so: a quiet machine stays far below it.
const WAITED_SHARE_MAX: f64 = 0.005;

/// What one server's turns gave, or why they gave nothing.
type Turns<T> = Result<Vec<T>, String>;

/// Measures everyone's latencies at the fixed rate.
///
/// # Errors
/// None that are known.
pub(crate) fn quiet(options: &Options) -> Result<Vec<Result<Latency, String>>, Box<dyn Error>> {
    let work = works::find("single").ok_or("no such work")?;
    let turns = interleaved("latency", options, |server| {
        undisturbed(server, work, options)
    });
    let sum_up = |turns: Turns<Paced>| {
        let turns = turns?;
        let column = |figure: fn(&Paced) -> f64| stats(turns.iter().map(figure));
        let p999: Vec<f64> = turns.iter().map(|turn| turn.p999).collect();
        Ok(Latency {
            rate: options.rate,
            p50: column(|turn| turn.p50)?,
            p99: column(|turn| turn.p99)?,
            p999: column(|turn| turn.p999)?,
            p999_quartiles: Quartiles::of(&p999),
            rounds: turns.len(),
            seconds: options.seconds,
            disturbed: turns.iter().filter(|turn| turn.is_disturbed).count(),
            stalled_us: Some(column(|turn| turn.stalled)?.median),
        })
    };
    Ok(turns.into_iter().map(sum_up).collect())
}

/// A turn in which the server had its core for itself, if that can be had in a few tries; else the last.
///
/// What is looked at is not the latency, so nobody's luck is chosen.
fn undisturbed(server: &Server, work: &Work, options: &Options) -> Result<Paced, Box<dyn Error>> {
    let mut turn = paced(server, work, &[], options)?;
    for _ in 1..TRIES {
        if !turn.is_disturbed {
            break;
        }
        turn = paced(server, work, &[], options)?;
    }
    Ok(turn)
}

/// Measures what one connection that pipelines flat out does to the latencies of 63 others.
///
/// # Errors
/// None that are known.
pub(crate) fn flooded(options: &Options) -> Result<Vec<Result<Fairness, String>>, Box<dyn Error>> {
    let work = works::find("single").ok_or("no such work")?;
    let turns = interleaved("fairness", options, |server| {
        let polite = ["--connections", POLITE];
        let quiet = paced(server, work, &polite, options)?;
        let beside = [&polite[..], &["--flood"]].concat();
        let flooded = paced(server, work, &beside, options)?;
        Ok([quiet.p99, flooded.p99, flooded.flood_per_second])
    });
    let sum_up = |turns: Turns<[f64; 3]>| {
        let turns = turns?;
        let column = |index: usize| stats(turns.iter().map(|turn| turn[index]));
        Ok(Fairness {
            rate: options.rate,
            quiet_p99: column(0)?,
            flooded_p99: column(1)?,
            ratio: stats(turns.iter().map(|[quiet, flooded, _]| flooded / quiet))?,
            flood_per_second: column(2)?.median,
        })
    };
    Ok(turns.into_iter().map(sum_up).collect())
}

/// Lets all servers have their turns, round by round; who fails once has no more.
fn interleaved<T>(
    what: &str,
    options: &Options,
    mut turn: impl FnMut(&Server) -> Result<T, Box<dyn Error>>,
) -> Vec<Turns<T>> {
    let mut all: Vec<Turns<T>> = options.servers.iter().map(|_| Ok(Vec::new())).collect();
    for round in 1..=options.rounds {
        eprintln!("{what}: round {round} of {}", options.rounds);
        for (server, turns) in options.servers.iter().zip(&mut all) {
            if round > options.rounds_of(server) {
                continue;
            }
            if let Ok(samples) = turns {
                match turn(server) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => *turns = Err(error.to_string()),
                }
            }
        }
    }
    all
}

/// Microseconds from when a request was due, what the flood got, and whether something else ran on the
/// server's core, be it another of its own threads.
struct Paced {
    p50: f64,
    p99: f64,
    p999: f64,
    stalled: f64,
    flood_per_second: f64,
    is_disturbed: bool,
}

fn paced(
    server: &Server,
    work: &Work,
    more: &[&str],
    options: &Options,
) -> Result<Paced, Box<dyn Error>> {
    let rate = options.rate.to_string();
    let report = load(server, work, &[&["--rate", &rate], more].concat(), options)?;
    let latency = report.latency_us.ok_or("no latencies")?;
    Ok(Paced {
        is_disturbed: report.server_waited.as_secs_f64() > options.seconds * WAITED_SHARE_MAX,
        p50: latency.p50,
        p99: latency.p99,
        p999: latency.p999,
        stalled: latency.stalled,
        flood_per_second: report.flood_per_second.unwrap_or(0.0),
    })
}

fn stats(samples: impl Iterator<Item = f64>) -> Result<Stats, String> {
    let samples: Vec<f64> = samples.collect();
    Stats::of(&samples).ok_or_else(|| "no rounds".to_owned())
}
