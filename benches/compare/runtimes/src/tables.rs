//! The tables, in Markdown, and the JSON.

use crate::measure::{Figure, Measured};
use crate::workloads::{RUNTIMES, Unit};
use serde_json::{Value, json};

/// Where Waterwheel and tokio stand among [`RUNTIMES`].
const OURS: usize = 0;
const TOKIO: usize = 1;

/// A row for each kind of work, a column for each runtime: the medians, the best of them bold, and
/// how often Waterwheel's is tokio's and the best other one's.
pub(crate) fn short(rows: &[Measured]) -> String {
    let mut table = vec![
        std::iter::once("ns, or bytes")
            .chain(RUNTIMES)
            .chain(["to tokio", "to the best other"])
            .map(str::to_owned)
            .collect(),
    ];
    for row in rows {
        let medians = row.figures.map(|figure| figure.map(|figure| figure.median));
        let best = least(&medians);
        let cells = medians.map(|median| match median {
            Some(value) if median == best => format!("**{}**", shown(value)),
            Some(value) => shown(value),
            None => String::new(),
        });
        let ratios = [medians[TOKIO], least(&medians[OURS + 1..])];
        let ratios = ratios.map(|other| ratio(medians[OURS], other));
        let cells = cells.into_iter().chain(ratios);
        table.push(std::iter::once(named(row)).chain(cells).collect());
    }
    aligned(&table)
}

/// A line for each figure, with its spread.
pub(crate) fn long(rows: &[Measured]) -> String {
    let head = [
        "ns, or bytes",
        "runtime",
        "median",
        "middle half",
        "least",
        "to tokio",
    ];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        let tokio = row.figures[TOKIO].map(|figure| figure.median);
        for (figure, runtime) in row.figures.iter().zip(RUNTIMES) {
            let Some(figure) = figure else { continue };
            table.push(vec![
                named(row),
                runtime.to_owned(),
                shown(figure.median),
                format!("{}–{}", shown(figure.lower), shown(figure.upper)),
                shown(figure.least),
                ratio(Some(figure.median), tokio),
            ]);
        }
    }
    aligned(&table)
}

/// All figures, unrounded.
pub(crate) fn json(rows: &[Measured]) -> Value {
    let of_figure = |(figure, runtime): (&Option<Figure>, &str)| {
        let Figure {
            least,
            lower,
            median,
            upper,
        } = (*figure)?;
        Some(json!({
            "runtime": runtime, "least": least, "lower": lower, "median": median, "upper": upper,
        }))
    };
    let of_row = |row: &Measured| {
        let figures = row.figures.iter().zip(RUNTIMES);
        let figures: Vec<Value> = figures.filter_map(of_figure).collect();
        let unit = match row.unit {
            Unit::Nanos => "ns",
            Unit::Bytes => "bytes",
        };
        json!({ "title": row.title, "unit": unit, "figures": figures })
    };
    rows.iter().map(of_row).collect()
}

fn named(row: &Measured) -> String {
    match row.unit {
        Unit::Nanos => row.title.to_owned(),
        Unit::Bytes => format!("bytes: {}", row.title),
    }
}

/// Renders a table whose columns line up. The first row is the head.
fn aligned(table: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let widths = table.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    let rule = widths.iter().map(|&width| "-".repeat(width)).collect();
    let rows = table[..1]
        .iter()
        .chain(std::iter::once(&rule))
        .chain(&table[1..]);
    rows.fold(String::new(), |text, row| {
        let padded = row.iter().zip(&widths);
        let padded: Vec<_> = padded
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text + "| " + &padded.join(" | ") + " |\n"
    })
}

fn least(values: &[Option<f64>]) -> Option<f64> {
    values.iter().copied().flatten().min_by(f64::total_cmp)
}

/// Three digits or more.
fn shown(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn ratio(ours: Option<f64>, other: Option<f64>) -> String {
    let ratio = ours.zip(other).map(|(ours, other)| ours / other);
    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

#[cfg(test)]
mod tests {
    use super::{long, short};
    use crate::measure::{Figure, Measured};
    use crate::workloads::Unit;

    fn measured() -> Measured {
        let figure = |median| Figure {
            least: median - 2.0,
            lower: median - 1.0,
            median,
            upper: median + 1.0,
        };
        Measured {
            title: "a row",
            unit: Unit::Nanos,
            figures: [Some(30.0), Some(40.0), Some(50.0), Some(20.0), None]
                .map(|median| median.map(figure)),
        }
    }

    /// The cells of a line, without the spaces that align them.
    fn cells(table: &str, line: usize) -> Vec<&str> {
        let line = table.lines().nth(line).unwrap_or_default();
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells.collect()
    }

    #[test]
    fn the_best_is_bold_and_a_missing_cell_is_empty() {
        let table = short(&[measured()]);
        let expected = [
            "a row", "30.0", "40.0", "50.0", "**20.0**", "", "0.75", "1.50",
        ];
        assert_eq!(cells(&table, 2), expected);
    }

    #[test]
    fn a_spread_stands_beside_its_median() {
        let table = long(&[measured()]);
        let expected = ["a row", "waterwheel", "30.0", "29.0–31.0", "28.0", "0.75"];
        assert_eq!(cells(&table, 2), expected);
        assert_eq!(table.lines().count(), 2 + 4);
    }

    #[test]
    fn columns_line_up() {
        let table = long(&[measured()]);
        let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&width| width == widths[0]), "{table}");
    }
}
