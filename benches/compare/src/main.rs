//! Measures Waterwheel side by side with its peers and with the floor, what the kernel alone costs.
//!
//! Servers take turns in rounds (A B C, A B C, …) on one core while a load generator that checks
//! every answer runs on another. Before and after each server's turn the floor takes one, and the
//! server's CPU time per request is divided by the mean of those two: so what else happens on the
//! machine weighs on both sides of the ratio.
//!
//! Reading order: `options` → `works` → `servers` → `running` → `contract` → `rounds`; then what
//! else is counted: `calls`, `instructions`, `memory`, `footprint`; then `results` → `table` →
//! `chart`.

mod calls;
mod chart;
mod contract;
mod footprint;
mod generator;
mod instructions;
mod measure;
mod memory;
mod options;
mod pin;
mod results;
mod rounds;
mod running;
mod servers;
mod stats;
mod table;
mod works;

use options::{Options, Task};
use results::Results;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_arguments()?;
    let results = match &options.task {
        Task::Measure => {
            let results = measure::all(&options)?;
            results.write(&options.json)?;
            results
        }
        Task::Draw(path) => Results::read(path)?,
    };
    print!("{}", table::render(&results));
    if let Some(folder) = &options.charts {
        chart::draw_all(&results, folder)?;
    }
    Ok(())
}
