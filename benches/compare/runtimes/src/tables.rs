//! The tables, in Markdown.

use crate::measure::Measured;
use crate::workloads::{RUNTIMES, Unit};
use report::table;

/// Where Waterwheel and tokio stand among [`RUNTIMES`].
const OURS: usize = 0;
const TOKIO: usize = 1;

/// A row for each kind of work and a column for each runtime: the medians, the best of them bold. The last
/// columns are Waterwheel's median as a ratio to tokio's and to the best other one.
pub(crate) fn short(rows: &[Measured]) -> String {
    let ends = ["to tokio", "to the best other"];
    let mut all = vec![strings(&[&["ns, or bytes"], &RUNTIMES[..], &ends].concat())];
    for row in rows {
        let medians = row.figures.map(|figure| figure.map(|figure| figure.median));
        let best = least(&medians);
        let show = |median: Option<f64>| match median {
            Some(value) if median == best => format!("**{}**", shown(value)),
            Some(value) => shown(value),
            None => String::new(),
        };
        let ratios = [medians[TOKIO], least(&medians[OURS + 1..])];
        let ratios = ratios.map(|other| ratio(medians[OURS], other));
        let cells = medians.into_iter().map(show).chain(ratios);
        all.push(std::iter::once(named(row)).chain(cells).collect());
    }
    table(all)
}

/// A line for each figure, with its spread.
pub(crate) fn long(rows: &[Measured]) -> String {
    let mut all = vec![strings(&[
        "ns, or bytes",
        "runtime",
        "median",
        "middle half",
        "to tokio",
    ])];
    for row in rows {
        let tokio = row.figures[TOKIO].map(|figure| figure.median);
        for (figure, runtime) in row.figures.iter().zip(RUNTIMES) {
            if let Some(figure) = figure {
                let half = format!("{}–{}", shown(figure.low), shown(figure.high));
                let ratio = ratio(Some(figure.median), tokio);
                all.push(vec![
                    named(row),
                    runtime.to_owned(),
                    shown(figure.median),
                    half,
                    ratio,
                ]);
            }
        }
    }
    table(all)
}

fn strings(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

fn named(row: &Measured) -> String {
    match row.unit {
        Unit::Ns => row.title.to_owned(),
        Unit::Bytes => format!("bytes: {}", row.title),
    }
}

fn least(values: &[Option<f64>]) -> Option<f64> {
    values.iter().copied().flatten().min_by(f64::total_cmp)
}

/// A number with at least three digits.
fn shown(value: f64) -> String {
    let decimals = usize::from(value < 100.0);
    format!("{value:.decimals$}")
}

fn ratio(ours: Option<f64>, other: Option<f64>) -> String {
    let ratio = ours.zip(other).map(|(ours, other)| ours / other);
    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

#[cfg(test)]
mod tests {
    use super::{long, short};
    use crate::measure::Measured;
    use crate::workloads::Unit;

    #[test]
    fn the_best_is_bold_a_missing_cell_is_empty_and_a_spread_stands_beside_its_median() {
        let figures = [Some(30.0), Some(40.0), Some(50.0), Some(20.0), None];
        let figures =
            figures.map(|median| median.map(|median| [median, median - 1.0, median + 1.0].into()));
        let rows = [Measured {
            title: "a row",
            unit: Unit::Ns,
            figures,
        }];
        let cells = |table: &str| -> Vec<String> {
            let line = table.lines().nth(2).unwrap_or_default();
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        };
        let expected = [
            "a row", "30.0", "40.0", "50.0", "**20.0**", "", "0.75", "1.50",
        ];
        assert_eq!(cells(&short(&rows)), expected);
        assert_eq!(
            cells(&long(&rows)),
            ["a row", "waterwheel", "30.0", "29.0–31.0", "0.75"]
        );
    }
}
