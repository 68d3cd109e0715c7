//! Charts of the results: horizontal bars as SVG, light and dark. `chart.svg` is the template.

use crate::parts::WORKS;
use crate::results::Results;
use crate::servers::OURS;
use minijinja::{Environment, context};
use report::{Stats, grouped};
use std::error::Error;
use std::path::Path;

/// The width of a chart in a README, and the space for names, values and margins.
const WIDTH: f64 = 830.0;
const BARS_AT: f64 = 170.0;
const ROOM: f64 = WIDTH - BARS_AT - 110.0;

/// Above the first bar, and of a row.
const TOP: f64 = 92.0;
const ROW: f64 = 26.0;

/// A bar longer than this multiple of the middle bar, or of the floor, is cut.
const CUT_AT_MIDDLES: f64 = 2.5;
const CUT_AT_FLOORS: f64 = 12.0;

/// A chart: the name of its file, the texts, and the part and the figure that it shows.
pub(crate) struct Chart {
    file: String,
    pub(crate) title: String,
    subtitle: &'static str,
    unit: &'static str,
    part: String,
    figure: &'static str,
}

/// The charts beside those of CPU time.
const OTHERS: [[&str; 6]; 4] = [
    [
        "latency",
        "Latency at 10,000 requests per second over 64 connections",
        "99.9th percentile in microseconds from when a request was due, middle half of the rounds; less is better",
        " µs",
        "latency",
        "p99.9",
    ],
    [
        "fairness",
        "Latency beside a connection that pipelines as fast as it can",
        "99th percentile of 63 others, as a multiple of the same without it; less is better",
        " ×",
        "fairness",
        "ratio",
    ],
    [
        "memory",
        "Resident memory per idle connection, of 10,000",
        "bytes in user space; each connection has made one request; less is better",
        "",
        "memory",
        "per connection",
    ],
    [
        "instructions",
        "User instructions per request, 64 keep-alive connections",
        "counted by callgrind; less is better",
        "",
        "instructions",
        "single",
    ],
];

/// The chart of CPU time at a work.
pub(crate) fn cpu(work: &crate::parts::Work) -> Chart {
    Chart {
        file: format!("cpu-{}", work.name),
        title: format!("CPU time per request: {}", work.title),
        subtitle: "as a multiple of the floor, the cost of the kernel alone; less is better",
        unit: " ×",
        part: work.name.clone(),
        figure: "ratio",
    }
}

/// Draws a chart for each part that was measured, in both themes.
pub(crate) fn draw_all(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let others = OTHERS.map(|[file, title, subtitle, unit, part, figure]| Chart {
        file: file.to_owned(),
        title: title.to_owned(),
        subtitle,
        unit,
        part: part.to_owned(),
        figure,
    });
    for chart in WORKS.iter().map(cpu).chain(others) {
        let mut rows = rows(&chart, results);
        rows.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
        for (name, theme) in themes().iter().filter(|_| !rows.is_empty()) {
            let path = folder.join(format!("{}-{name}.svg", chart.file));
            std::fs::write(path, chart.svg(&rows, theme, results)?)?;
        }
    }
    Ok(())
}

fn rows<'r>(chart: &Chart, results: &'r Results) -> Vec<(&'r str, Stats)> {
    let part = results.parts.get(&chart.part);
    let figures = part.into_iter().flat_map(|part| &part.figures);
    figures
        .filter_map(|(name, figures)| Some((name.as_str(), *figures.get(chart.figure)?)))
        .collect()
}

fn themes() -> [(&'static str, minijinja::Value); 2] {
    [
        (
            "light",
            context! {
                back => "#ffffff", text => "#1f2328", faint => "#59636e",
                grid => "#d1d9e0", bar => "#b6c2cf", ours => "#0969da",
            },
        ),
        (
            "dark",
            context! {
                back => "#0d1117", text => "#f0f6fc", faint => "#9198a1",
                grid => "#3d444d", bar => "#4a5664", ours => "#4493f8",
            },
        ),
    ]
}

impl Chart {
    fn svg(
        &self,
        rows: &[(&str, Stats)],
        theme: &minijinja::Value,
        results: &Results,
    ) -> Result<String, Box<dyn Error>> {
        let is_of_cpu = self.figure == "ratio" && self.part != "fairness";
        let end = end(rows, is_of_cpu);
        let place = |value: f64| tenth(BARS_AT + (value / end).clamp(0.0, 1.0) * ROOM);
        let row = |(index, (name, stats)): (u32, &(&str, Stats))| {
            context! {
                name => *name,
                is_ours => *name == OURS,
                y => TOP + ROW * (f64::from(index) + 0.5),
                end => place(stats.median).max(BARS_AT + 1.0),
                low => place(stats.low),
                high => place(stats.high),
                is_cut => stats.median > end * 1.001,
                value => shown(stats.median) + self.unit,
            }
        };
        let bars: Vec<_> = (0..).zip(rows).map(row).collect();
        let tick = |value| context! { x => place(value), label => tick(value) };
        let foot = self.foot(rows, results);
        let lines = f64::from(u32::try_from(foot.len())?);
        let bottom = TOP + ROW * f64::from(u32::try_from(rows.len())?);
        let templates = Environment::new();
        let template = templates.template_from_named_str("chart.xml", include_str!("chart.svg"))?;
        let svg = template.render(context! {
            width => WIDTH,
            height => bottom + 40.0 + 15.0 * lines,
            left => BARS_AT,
            top => TOP - 4.0,
            bottom,
            title => &self.title,
            subtitle => self.subtitle,
            ticks => ticks(end).map(tick).collect::<Vec<_>>(),
            bars,
            floor => is_of_cpu.then(|| place(1.0)),
            foot,
            theme,
        })?;
        Ok(svg + "\n")
    }

    /// Returns when, where and how the part was measured.
    fn foot(&self, rows: &[(&str, Stats)], results: &Results) -> Vec<String> {
        let mut lines = Vec::new();
        if rows.iter().any(|(_, stats)| stats.high > stats.low) {
            let spread = if self.part == "latency" {
                "the quartiles"
            } else {
                "the lowest and the highest"
            };
            lines.push(format!("Bars: medians of the rounds; whiskers: {spread}."));
        }
        if let Some(run) = results.run_of(&self.part) {
            lines.push(format!(
                "{} · commit {} · {}",
                run.day(),
                run.commit,
                run.machine
            ));
            lines.extend(
                textwrap::wrap(&run.command, 130)
                    .into_iter()
                    .map(String::from),
            );
        }
        lines
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

/// Rounds a length: tenths of a pixel are enough.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
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
