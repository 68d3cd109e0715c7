//! Rounds: each runtime has its turn, over and over.

use crate::workloads::{self, Cell, RUNTIMES, Row, Size, Unit};
use report::Stats;
use serde::Serialize;
use std::error::Error;
use std::process::Command;

/// Memory differs little between two processes, so a few rounds are enough.
const ROUNDS_OF_BYTES: usize = 3;

/// A row that has been measured.
#[derive(Serialize)]
pub(crate) struct Measured {
    /// The name of the row.
    pub(crate) title: &'static str,
    /// The unit of the figures.
    pub(crate) unit: Unit,
    /// The median and the middle half for each of [`RUNTIMES`].
    pub(crate) figures: [Option<Stats>; RUNTIMES.len()],
}

/// Measures a row. In each round every runtime has its turn, and each round begins with another runtime. The
/// first round warms up and does not count.
///
/// # Errors
/// Returns an error if a process of its own cannot be started, or fails.
pub(crate) fn measure(row: &Row, rounds: usize) -> Result<Measured, Box<dyn Error>> {
    let mut samples = RUNTIMES.map(|_| Vec::new());
    let (warm_up, rounds) = match row.unit {
        Unit::Ns => (1, rounds),
        Unit::Bytes => (0, rounds.min(ROUNDS_OF_BYTES)),
    };
    for round in 0..warm_up + rounds {
        for turn in 0..RUNTIMES.len() {
            let runtime = (round + turn) % RUNTIMES.len();
            let Some(cell) = &row.cells[runtime] else {
                continue;
            };
            let sample = match row.unit {
                Unit::Ns => whole(cell),
                Unit::Bytes => in_fresh_process(row.title, RUNTIMES[runtime])?,
            };
            if round >= warm_up {
                samples[runtime].push(sample);
            }
        }
    }
    Ok(Measured {
        title: row.title,
        unit: row.unit,
        figures: samples.map(|samples| Stats::quartiles(&samples)),
    })
}

/// Does all of a cell's work once.
fn whole(cell: &Cell) -> f64 {
    cell(Size { divisor: 1 })
}

/// Does the work of one row in one runtime, if there is such a cell.
pub(crate) fn named(title: &str, runtime: &str) -> Option<f64> {
    let row = workloads::rows()
        .into_iter()
        .find(|row| row.title == title)?;
    let column = RUNTIMES.iter().position(|name| *name == runtime)?;
    row.cells[column].as_ref().map(whole)
}

/// Runs this program with `--once` in another process.
fn in_fresh_process(title: &str, runtime: &str) -> Result<f64, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["--once", title, runtime]).output()?;
    if !output.status.success() {
        return Err(format!("{title} on {runtime}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
