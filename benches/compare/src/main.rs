//! Measures Waterwheel beside its peers and beside the floor, the cost of the kernel alone.
//!
//! The servers take turns in rounds (A B C, A B C, …) on one core, while a load generator that checks every
//! answer runs on another core. Before and after each server's turn the floor takes one, and the server's CPU
//! time per request is divided by the mean of those two. So other programs on the machine disturb both sides
//! of the ratio.
//!
//! A part is measured by one function from a server to its figures (`turns`). All parts share the rounds, the
//! storage (`results`) and the tables, which name a part and a figure.
//!
//! Reading order: `parts` → `servers` → `options` → `process` → `contract` → `turns` → `rounds` → `results` →
//! `tables` → `charts`. The works are in `works.toml`, the servers in `peers.toml`.

mod charts;
mod contract;
mod options;
mod parts;
mod process;
mod results;
mod rounds;
mod servers;
mod tables;
mod turns;

use options::Options;
use results::{Results, Run};
use servers::project;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::read();
    if options.readme {
        return readme(&options);
    }
    let results = if let Some(path) = &options.draw {
        Results::read(path)?
    } else {
        let mut results = Results::default();
        let cargo = "cargo run --release --manifest-path benches/compare/Cargo.toml --";
        results
            .runs
            .push(Run::begin(format!("{cargo} {}", words())));
        let step = |&part| (part, options.clone());
        let steps: Vec<_> = options.measures.iter().map(step).collect();
        rounds::measure_all(&steps, &mut results, &options.json)?;
        results
    };
    print!("{}", tables::numbers(&results)?);
    match &options.charts {
        Some(folder) => charts::draw_all(&results, folder),
        None => Ok(()),
    }
}

/// Measures the numbers of README and NUMBERS.md, and writes them there.
fn readme(options: &Options) -> Result<(), Box<dyn Error>> {
    let benches = project().join("benches");
    let json = benches.join("results/numbers.json");
    let goes_on = options.resume || options.only.is_some();
    let mut results = if goes_on {
        Results::read(&json)?
    } else {
        Results::default()
    };
    let all = servers::named("all,floor-level")?;
    let parts = options
        .only
        .clone()
        .map_or_else(|| parts::named("all"), Ok)?;
    let is_done = |name| {
        results
            .parts
            .get(name)
            .is_some_and(|part| !part.left_out.contains_key("all"))
    };
    let steps: Vec<_> = parts
        .iter()
        .filter(|part| !(options.resume && is_done(part.name)))
        .map(|&part| {
            let takes_part = |server: &&_| part.takes(server, options.thorough);
            let servers = all.iter().filter(takes_part).cloned().collect();
            let mut options = Options {
                servers,
                ..options.clone()
            };
            // For latencies, many short rounds say more than a few long ones.
            if part.name == "latency" || !options.thorough {
                part.shorten(&mut options);
            }
            (part, options)
        })
        .collect();
    let command = format!("benches/measure {}", words().replace("--readme", ""));
    results.runs.push(Run::begin(
        command.split_whitespace().collect::<Vec<_>>().join(" "),
    ));
    rounds::measure_all(&steps, &mut results, &json)?;
    results.forget_stale_runs();
    results.write(&json)?;
    charts::draw_all(&results, &benches.join("charts"))?;
    let numbers = tables::numbers(&results)?;
    print!("{numbers}");
    std::fs::write(
        benches.join("results/NUMBERS.md"),
        format!("# Numbers\n\n{numbers}"),
    )?;
    tables::write_readme(&results, &project().join("README.md"))
}

/// The words of the command line.
fn words() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    words.join(" ")
}
