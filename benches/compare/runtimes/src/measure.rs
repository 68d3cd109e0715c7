//! Rounds: each runtime has its turn, over and over.

use crate::workloads::{Cell, RUNTIMES, Row, Size, Unit};
use std::error::Error;
use std::process::Command;

/// Memory differs so little between two processes that this many do.
const ROUNDS_OF_BYTES: usize = 3;

/// All of the work, not a fraction.
const WHOLE: Size = Size { divisor: 1 };

/// The samples of one runtime at one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    /// The lowest sample.
    pub(crate) least: f64,
    /// A quarter of the samples is below.
    pub(crate) lower: f64,
    /// The middle one.
    pub(crate) median: f64,
    /// A quarter of the samples is above.
    pub(crate) upper: f64,
}

impl Figure {
    /// `None` without samples.
    fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        // A quartile is the median of its half, with the middle one.
        let half = samples.len().div_ceil(2);
        Some(Self {
            least: *samples.first()?,
            lower: middle(&samples[..half]),
            median: middle(&samples),
            upper: middle(&samples[samples.len() - half..]),
        })
    }
}

/// The middle one of sorted samples, or the mean of the two in the middle.
fn middle(sorted: &[f64]) -> f64 {
    let last = sorted.len() - 1;
    f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)])
}

/// A row that has been measured.
pub(crate) struct Measured {
    /// The row's name.
    pub(crate) title: &'static str,
    /// What the figures count.
    pub(crate) unit: Unit,
    /// In the order of [`RUNTIMES`].
    pub(crate) figures: [Option<Figure>; RUNTIMES.len()],
}

/// Measures a row. In each round every runtime has its turn, and in each round another is the first.
/// The first round warms up and does not count.
///
/// # Errors
/// If a process of its own cannot be started, or fails.
pub(crate) fn measure(row: &Row, rounds: usize) -> Result<Measured, Box<dyn Error>> {
    let mut samples = RUNTIMES.map(|_| Vec::new());
    let (warm_up, rounds) = match row.unit {
        Unit::Nanos => (1, rounds),
        Unit::Bytes => (0, rounds.min(ROUNDS_OF_BYTES)),
    };
    for round in 0..warm_up + rounds {
        for turn in 0..RUNTIMES.len() {
            let runtime = (round + turn) % RUNTIMES.len();
            let Some(cell) = &row.cells[runtime] else {
                continue;
            };
            let sample = match row.unit {
                Unit::Nanos => once(cell),
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
        figures: samples.map(Figure::of),
    })
}

/// Does a row's work once in one runtime.
pub(crate) fn once(cell: &Cell) -> f64 {
    cell(WHOLE)
}

/// Has this program do a row's work once in another process (`--once`).
fn in_fresh_process(title: &str, runtime: &str) -> Result<f64, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["--once", title, runtime]).output()?;
    if !output.status.success() {
        return Err(format!("{title} on {runtime}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_figure_is_told_by_least_quartiles_and_median() {
        let figure = Figure::of(vec![5.0, 1.0, 4.0, 2.0, 3.0, 6.0]);
        let expected = Figure {
            least: 1.0,
            lower: 2.0,
            median: 3.5,
            upper: 5.0,
        };
        assert_eq!(figure, Some(expected));
        assert_eq!(Figure::of(Vec::new()), None);
    }
}
