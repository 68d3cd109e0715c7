//! Measures Waterwheel side by side with its peers and with the floor, what the kernel alone costs.
//!
//! Servers take turns in rounds (A B C, A B C, …) on one core while a load generator that checks
//! every answer runs on another. Before and after each server's turn the floor takes one, and the
//! server's CPU time per request is divided by the mean of those two: so what else happens on the
//! machine weighs on both sides of the ratio.
//!
//! Reading order: `works` → `parts` → `servers` → `peers` → `options` → `running` → `contract`; then
//! `plan` → `measure`; then what is measured: `rounds`, `latency`, `calls`, `instructions`, `memory`,
//! `wrk`, `footprint`, `builds`, `benches`; then `figures` → `results` → `tables` → `charts`.

mod benches;
mod bounded;
mod builds;
mod calls;
mod charts;
mod contract;
mod figures;
mod footprint;
mod generator;
mod instructions;
mod latency;
mod measure;
mod memory;
mod options;
mod parts;
mod peers;
mod pin;
mod plan;
mod results;
mod rounds;
mod run;
mod running;
mod servers;
mod stats;
mod tables;
mod text;
mod works;
mod wrk;

use options::{Extent, Options, Task};
use results::Results;
use run::Run;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_arguments()?;
    match &options.task {
        Task::Measure => as_asked(&options),
        Task::Readme(extent) => readme(&options, extent),
        Task::Draw(path) => show(&Results::read(path)?, options.charts.as_deref()),
    }
}

/// Measures what the command line names, and shows it.
fn as_asked(options: &Options) -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let manifest = "cargo run --release --manifest-path benches/compare/Cargo.toml --";
    let mut results = Results::default();
    let command = format!("{manifest} {}", words.join(" "));
    results.runs.push(Run::begin(command));
    measure::all(&plan::as_asked(options), &mut results, &options.json)?;
    show(&results, options.charts.as_deref())
}

/// Measures what README shows, and writes it there.
fn readme(options: &Options, extent: &Extent) -> Result<(), Box<dyn Error>> {
    let json = plan::readme_json();
    let begins_anew = !extent.resume && extent.only.is_none();
    let mut results = match Results::read(&json) {
        Ok(results) if !begins_anew => results,
        Err(error) if !begins_anew && json.exists() => return Err(error),
        _ => Results::default(),
    };
    results.forget_stale_runs();
    let steps = plan::of_readme(options, extent, &results)?;
    let words = std::env::args().skip(1).filter(|word| word != "--readme");
    let command = ["benches/measure".to_owned()].into_iter().chain(words);
    let command: Vec<String> = command.collect();
    results.runs.push(Run::begin(command.join(" ")));
    measure::all(&steps, &mut results, &json)?;
    results.forget_stale_runs();
    results.write(&json)?;
    charts::draw_all(&results, &plan::readme_charts())?;
    let tables = tables::render(&results);
    std::fs::write(plan::readme_tables(), format!("# Numbers\n\n{tables}"))?;
    tables::write_readme(&results, &plan::readme())?;
    print!("{tables}");
    Ok(())
}

/// Prints the tables, and draws the charts if there is a place for them.
fn show(results: &Results, charts: Option<&Path>) -> Result<(), Box<dyn Error>> {
    print!("{}", tables::render(results));
    if let Some(folder) = charts {
        charts::draw_all(results, folder)?;
    }
    Ok(())
}
