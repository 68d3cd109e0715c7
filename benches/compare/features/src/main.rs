//! TLS, WebSockets and compression side by side.
//!
//! ```text
//! cargo run --release --manifest-path benches/compare/Cargo.toml -p features -- [tls] [websocket] [gzip]
//! ```
//!
//! The figures are the CPU time of the server's process, in user and kernel mode with all its threads, because other
//! work of the machine does not change it much. Each turn is a fresh process, and the servers take turns. A server
//! runs on the first core, the clients of this program on the second.
#![allow(clippy::print_stdout, reason = "it prints the tables")]

mod gzip;
mod server;
mod tls;
mod websocket;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::process::Command;

use clap::{Parser, ValueEnum};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use report::{Stats, grouped, table};

use server::{Folder, Server};

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Tls,
    Websocket,
    Gzip,
}

/// Measures TLS, WebSockets and compression side by side.
#[derive(Parser)]
struct Options {
    /// All of them by default.
    parts: Vec<Part>,
    /// How often each server has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Divides the length of each turn, for a trial.
    #[arg(long, default_value_t = 1)]
    shorter: usize,
    /// The only servers.
    #[arg(long)]
    only: Vec<String>,
}

/// The figures of a turn, in the order of the columns.
type Figures = Vec<f64>;

/// A part with its servers.
struct Plan {
    /// A server, and the word that tells it the part.
    servers: Vec<(&'static str, &'static str)>,
    /// The heads of the columns, each with the decimals of its figures.
    columns: &'static [(&'static str, usize)],
    turn: fn(&Server, &Folder, usize) -> io::Result<Figures>,
}

fn plan(part: Part) -> Plan {
    let each = |word: &'static str, names: &[&'static str]| {
        names
            .iter()
            .map(move |name| (*name, word))
            .collect::<Vec<_>>()
    };
    match part {
        Part::Tls => Plan {
            servers: each("tls", &["waterwheel", "hyper", "actix", "nginx", "go"]),
            columns: &tls::COLUMNS,
            turn: tls::turn,
        },
        Part::Websocket => Plan {
            servers: each(
                "websocket",
                &[
                    "waterwheel",
                    "tungstenite",
                    "fastwebsockets",
                    "node",
                    "uwebsockets",
                ],
            ),
            columns: &websocket::COLUMNS,
            turn: websocket::turn,
        },
        Part::Gzip => Plan {
            servers: [
                each("1", &["waterwheel", "axum", "actix", "nginx"]),
                each("6", &["waterwheel", "axum", "nginx"]),
            ]
            .concat(),
            columns: &gzip::COLUMNS,
            turn: gzip::turn,
        },
    }
}

fn measure(plan: &Plan, options: &Options, folder: &Folder) -> String {
    let mut turns: BTreeMap<_, Vec<Figures>> = BTreeMap::new();
    let mut failed = BTreeMap::new();
    for round in 1..=options.rounds {
        for key @ (name, word) in &plan.servers {
            if failed.contains_key(key) || !is_asked(&options.only, name) {
                continue;
            }
            eprintln!("{name} {word}: round {round} of {}", options.rounds);
            let turn = Server::start(name, folder, word)
                .and_then(|server| (plan.turn)(&server, folder, options.shorter.max(1)));
            match turn {
                Ok(figures) => turns.entry(key).or_default().push(figures),
                Err(error) => drop(failed.insert(key, error)),
            }
        }
    }
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(plan.columns.iter().map(|(title, _)| (*title).to_owned()));
    for key in &plan.servers {
        let title = match key.1.parse::<u8>() {
            Ok(level) => format!("{}, level {level}", key.0),
            Err(_) => key.0.to_owned(),
        };
        if let Some(turns) = turns.get(key) {
            let cells = plan.columns.iter().enumerate().map(|(at, (_, decimals))| {
                let samples: Vec<f64> = turns.iter().map(|figures| figures[at]).collect();
                Stats::range(&samples).map_or(String::new(), |stats| shown(&stats, *decimals))
            });
            rows.push(std::iter::once(title).chain(cells).collect());
        }
    }
    let mut text = table(rows);
    for ((name, word), error) in failed {
        text.extend([
            "\n",
            name,
            " (",
            word,
            ") is left out: ",
            &error.to_string(),
            "\n",
        ]);
    }
    text
}

fn is_asked(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|other| other == name)
}

fn shown(stats: &Stats, decimals: usize) -> String {
    let number = |value: f64| match decimals {
        0 => grouped(value),
        _ => format!("{value:.decimals$}"),
    };
    let [median, low, high] = [stats.median, stats.low, stats.high].map(number);
    if low == high {
        return median;
    }
    format!("{median} ({low}–{high})")
}

/// Builds the servers beside this program, since `cargo run` builds only the program that it runs.
fn build() -> io::Result<()> {
    let target = std::env::current_exe()?.with_file_name("..");
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--release",
        "--quiet",
        "--package",
        "features",
        "--bins",
    ]);
    cargo
        .env("CARGO_TARGET_DIR", target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if cargo.status()?.success() {
        return Ok(());
    }
    Err(io::Error::other("the servers are not built"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    build()?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?; // the servers inherit it
    let mut core = CpuSet::new();
    core.set(1)?;
    sched_setaffinity(Pid::from_raw(0), &core)?;
    let folder = Folder::new()?;
    for part in [Part::Tls, Part::Websocket, Part::Gzip] {
        if options.parts.is_empty() || options.parts.contains(&part) {
            println!("{}", measure(&plan(part), &options, &folder));
        }
    }
    let load = fs::read_to_string("/proc/loadavg")?;
    println!("Load of the machine at the end: {}", load.trim());
    Ok(())
}
