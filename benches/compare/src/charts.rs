//! Charts of the results: horizontal bars as SVG, light and dark. `chart.svg` is the template.

use crate::parts::{WORKS, Work};
use crate::results::Results;
use crate::servers::OURS;
use crate::tables::DEFINITIONS;
use minijinja::{Environment, context};
use report::{Stats, grouped};
use serde::Deserialize;
use std::error::Error;
use std::path::Path;

/// Where the bars begin, and the length of the longest.
const BARS_AT: f64 = 170.0;
const ROOM: f64 = 550.0;

/// A bar longer than this multiple of the middle bar, or of the floor, is cut.
const CUT_AT_MIDDLES: f64 = 2.5;
const CUT_AT_FLOORS: f64 = 12.0;

/// A chart: its texts, and the figure of the part of the same name.
#[derive(Clone, Deserialize)]
pub(crate) struct Chart {
    pub(crate) title: String,
    subtitle: String,
    unit: String,
    figure: String,
}

/// Draws a chart for each part that was measured, light and dark.
pub(crate) fn draw_all(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let works = WORKS
        .iter()
        .map(|work| (&work.name, Chart::cpu(work), true));
    let others = DEFINITIONS.charts.iter();
    let others = others.map(|(part, chart)| (part, chart.clone(), false));
    for (part, chart, is_of_cpu) in works.chain(others) {
        let rows = chart.rows(part, results);
        let prefix = if is_of_cpu { "cpu-" } else { "" };
        for theme in ["light", "dark"].into_iter().filter(|_| !rows.is_empty()) {
            let path = folder.join(format!("{prefix}{part}-{theme}.svg"));
            std::fs::write(path, chart.svg(part, &rows, is_of_cpu, theme, results)?)?;
        }
    }
    Ok(())
}

impl Chart {
    /// The chart of CPU time at a work.
    pub(crate) fn cpu(work: &Work) -> Self {
        let subtitle = "as a multiple of the floor, the cost of the kernel alone; less is better";
        Self {
            title: format!("CPU time per request: {}", work.title),
            subtitle: subtitle.to_owned(),
            unit: " ×".to_owned(),
            figure: "ratio".to_owned(),
        }
    }

    /// The servers and their figures, the least first.
    fn rows<'r>(&self, part: &str, results: &'r Results) -> Vec<(&'r str, Stats)> {
        let figures = results.parts.get(part);
        let figures = figures.into_iter().flat_map(|part| &part.figures);
        let row = |(name, figures): (&'r String, &'r crate::results::Figures)| {
            Some((name.as_str(), *figures.get(&self.figure)?))
        };
        let mut rows: Vec<(&str, Stats)> = figures.filter_map(row).collect();
        rows.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
        rows
    }

    fn svg(
        &self,
        part: &str,
        rows: &[(&str, Stats)],
        has_floor: bool,
        theme: &str,
        results: &Results,
    ) -> Result<String, Box<dyn Error>> {
        let end = end(rows, has_floor);
        // Tenths of a pixel are enough.
        let length = |value: f64| ((value / end).clamp(0.0, 1.0) * ROOM * 10.0).round() / 10.0;
        let place = |value| BARS_AT + length(value);
        let row = |(name, stats): &(&str, Stats)| {
            context! {
                name => *name,
                is_ours => *name == OURS,
                end => place(stats.median).max(BARS_AT + 1.0),
                low => place(stats.low),
                high => place(stats.high),
                has_spread => stats.high > stats.low,
                is_cut => stats.median > end * 1.001,
                value => shown(stats.median) + &self.unit,
            }
        };
        let tick = |value| context! { x => place(value), label => tick(value) };
        let run = results.run_of(part);
        let command = run.map(|run| textwrap::fill(&run.command, 130));
        let templates = Environment::new();
        let template = templates.template_from_named_str("chart.xml", include_str!("chart.svg"))?;
        let svg = template.render(context! {
            title => &self.title,
            subtitle => &self.subtitle,
            ticks => ticks(end).map(tick).collect::<Vec<_>>(),
            bars => rows.iter().map(row).collect::<Vec<_>>(),
            left => BARS_AT,
            floor => has_floor.then(|| place(1.0)),
            ends => if part == "latency" { "the quartiles" } else { "the lowest and the highest" },
            when => run.map(|run| format!("{} · commit {} · {}", run.day(), run.commit, run.machine)),
            command => command.unwrap_or_default(),
            theme,
        })?;
        Ok(svg + "\n")
    }
}

/// The largest value of the scale: the longest bar, unless it dwarfs the others. The rows are sorted.
fn end(rows: &[(&str, Stats)], has_floor: bool) -> f64 {
    let middle = rows[rows.len() / 2].1.median * CUT_AT_MIDDLES;
    let floor = if has_floor { CUT_AT_FLOORS } else { f64::MAX };
    let longest = rows
        .iter()
        .map(|(_, stats)| stats.high)
        .fold(1e-9, f64::max);
    longest
        .min(middle)
        .min(floor)
        .max(if has_floor { 1.1 } else { 0.0 })
}

/// Round values from zero to the end, four to ten of them.
fn ticks(end: f64) -> impl Iterator<Item = f64> {
    let power = 10_f64.powf((end / 4.0).log10().floor());
    let fits = |factor: &f64| end / (power * factor) <= 10.0;
    let step = power * [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0);
    (0_u32..)
        .map(move |index| f64::from(index) * step)
        .take_while(move |&value| value <= end)
}

/// A value of the grid, without needless digits.
fn tick(value: f64) -> String {
    if value >= 1_000.0 {
        return grouped(value);
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A value with two decimals, one or none.
fn shown(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        grouped(value)
    }
}

#[cfg(test)]
mod tests {
    use super::{tick, ticks};

    #[test]
    fn ticks_have_no_needless_digits() {
        let all = [0.0, 0.5, 1.25, 10.0, 2_000.0].map(tick);
        assert_eq!(all, ["0", "0.5", "1.25", "10", "2,000"]);
    }

    #[test]
    fn the_grid_has_round_steps() {
        for (end, expected) in [
            (1.3, 0.2),
            (4.0, 1.0),
            (9.0, 1.0),
            (640.0, 100.0),
            (15_000.0, 2_000.0),
        ] {
            let second = ticks(end).nth(1).unwrap_or_default();
            assert!((second - expected).abs() < 1e-9, "{end}: {second}");
        }
    }
}
