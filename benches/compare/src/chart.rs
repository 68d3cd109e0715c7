//! Charts of the results: horizontal bars as SVG, light and dark.

use crate::results::{Measured, Results};
use crate::stats::Stats;
use crate::works;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

/// Width of a chart, and of the parts of a row.
const WIDTH: f64 = 760.0;
const NAMES_WIDTH: f64 = 150.0;
const VALUES_WIDTH: f64 = 90.0;
const ROW_HEIGHT: f64 = 26.0;
const TOP_HEIGHT: f64 = 58.0;
const FOOT_HEIGHT: f64 = 20.0;
const FOOT_LINE_HEIGHT: f64 = 14.0;

/// Characters of a line below the chart.
const FOOT_LINE_CHARACTERS: usize = 125;

/// A bar longer than so many times the shortest is cut, and says so.
const CUT_AT: f64 = 8.0;

/// A theme: its name and its colours.
struct Theme {
    name: &'static str,
    back: &'static str,
    text: &'static str,
    faint: &'static str,
    bar: &'static str,
    ours: &'static str,
}

const THEMES: [Theme; 2] = [
    Theme {
        name: "light",
        back: "#ffffff",
        text: "#1f2328",
        faint: "#6e7781",
        bar: "#b6c2cf",
        ours: "#0969da",
    },
    Theme {
        name: "dark",
        back: "#0d1117",
        text: "#e6edf3",
        faint: "#8b949e",
        bar: "#3d4855",
        ours: "#58a6ff",
    },
];

/// One chart: what it shows and the line that is the goal.
struct Chart<'r> {
    file: String,
    title: String,
    unit: &'static str,
    line: Option<(f64, String)>,
    rows: Vec<(&'r str, Stats)>,
}

/// Draws a chart for whatever was measured, in both themes.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn draw_all(results: &Results, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    for mut chart in charts(results) {
        chart
            .rows
            .sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
        for theme in &THEMES {
            let path = folder.join(format!("{}-{}.svg", chart.file, theme.name));
            std::fs::write(path, chart.draw(theme, results))?;
        }
    }
    Ok(())
}

fn charts(results: &Results) -> Vec<Chart<'_>> {
    let mut charts: Vec<Chart<'_>> = results
        .floors
        .keys()
        .map(|work| cpu_chart(results, work))
        .collect();
    let exactly = |value: f64| Stats {
        median: value,
        lowest: value,
        highest: value,
    };
    charts.push(Chart {
        file: "latency".to_owned(),
        title: "Latency, p99.9 at a fixed rate, microseconds".to_owned(),
        unit: " µs",
        line: None,
        rows: rows(results, |server| Some(server.latency.as_ref()?.p999)),
    });
    charts.push(Chart {
        file: "memory".to_owned(),
        title: "Resident bytes per idle connection".to_owned(),
        unit: "",
        line: None,
        rows: rows(results, |server| {
            Some(exactly(server.memory.as_ref()?.per_connection_bytes))
        }),
    });
    charts.push(Chart {
        file: "instructions".to_owned(),
        title: "User instructions per request, 64 keep-alive connections".to_owned(),
        unit: "",
        line: None,
        rows: rows(results, |server| {
            Some(exactly(*server.instructions.get("single")?))
        }),
    });
    charts.retain(|chart| !chart.rows.is_empty());
    charts
}

fn cpu_chart<'r>(results: &'r Results, work: &str) -> Chart<'r> {
    let title = works::find(work).map_or(work, |work| work.title);
    Chart {
        file: format!("cpu-{work}"),
        title: format!("Server CPU time per request: {title}"),
        unit: " ×",
        line: Some((1.0, "floor".to_owned())),
        rows: rows(results, |server| Some(server.cpu.get(work)?.ratio)),
    }
}

fn rows(results: &Results, value: impl Fn(&Measured) -> Option<Stats>) -> Vec<(&str, Stats)> {
    results
        .servers
        .iter()
        .filter_map(|server| Some((server.name.as_str(), value(server)?)))
        .collect()
}

impl Chart<'_> {
    #[expect(clippy::cast_precision_loss, reason = "a few rows")]
    fn draw(&self, theme: &Theme, results: &Results) -> String {
        let foot = foot(results);
        let bottom = TOP_HEIGHT + self.rows.len() as f64 * ROW_HEIGHT;
        let height = bottom + FOOT_HEIGHT + foot.len() as f64 * FOOT_LINE_HEIGHT;
        let scale = self.scale();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
             <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n\
             <text x=\"16\" y=\"28\" font-size=\"16\" font-weight=\"600\" fill=\"{}\">{title}</text>\n",
            theme.back,
            theme.text,
            title = escaped(&self.title),
        );
        for (index, row) in self.rows.iter().enumerate() {
            svg += &bar(
                row,
                TOP_HEIGHT + index as f64 * ROW_HEIGHT,
                scale,
                self.unit,
                theme,
            );
        }
        if let Some((at, label)) = &self.line {
            svg += &rule(NAMES_WIDTH + at * scale, bottom, label, theme);
        }
        for (index, line) in foot.iter().enumerate() {
            let y = bottom + FOOT_HEIGHT + index as f64 * FOOT_LINE_HEIGHT;
            let (colour, line) = (theme.faint, escaped(line));
            writeln!(
                svg,
                "<text x=\"16\" y=\"{y}\" font-size=\"10\" fill=\"{colour}\">{line}</text>"
            )
            .ok();
        }
        svg + "</svg>\n"
    }

    /// Pixels of one unit: the longest bar fills the width, unless it dwarfs the others.
    fn scale(&self) -> f64 {
        let shortest = self.rows.first().map_or(1.0, |(_, stats)| stats.median);
        let longest = self
            .rows
            .iter()
            .map(|(_, stats)| stats.highest)
            .fold(1e-9, f64::max);
        let end = longest.min((shortest * CUT_AT).max(1e-9));
        (WIDTH - NAMES_WIDTH - VALUES_WIDTH) / end
    }
}

/// One bar with its name, its value and the spread of its samples.
fn bar((name, stats): &(&str, Stats), y: f64, scale: f64, unit: &str, theme: &Theme) -> String {
    let room = WIDTH - NAMES_WIDTH - VALUES_WIDTH;
    let length = (stats.median * scale).clamp(1.0, room);
    let colour = if *name == "waterwheel" {
        theme.ours
    } else {
        theme.bar
    };
    let value = if stats.median < 100.0 {
        format!("{:.2}", stats.median)
    } else {
        format!("{:.0}", stats.median)
    };
    let cut = if stats.median * scale > room + 0.5 {
        " →"
    } else {
        ""
    };
    let middle = y + ROW_HEIGHT / 2.0;
    let [low, high] =
        [stats.lowest, stats.highest].map(|end| NAMES_WIDTH + (end * scale).clamp(0.0, room));
    format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{text}\">{}</text>\n\
         <rect x=\"{NAMES_WIDTH}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{colour}\"/>\n\
         <line x1=\"{low:.1}\" y1=\"{middle:.1}\" x2=\"{high:.1}\" y2=\"{middle:.1}\" stroke=\"{text}\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{text}\">{value}{unit}{cut}</text>\n",
        NAMES_WIDTH - 8.0,
        middle + 4.5,
        escaped(name),
        y + 4.0,
        ROW_HEIGHT - 8.0,
        length.max(high - NAMES_WIDTH) + NAMES_WIDTH + 8.0,
        middle + 4.5,
        text = theme.text,
    )
}

/// An upright line with a name above it.
fn rule(x: f64, bottom: f64, label: &str, theme: &Theme) -> String {
    let colour = theme.faint;
    format!(
        "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"{colour}\" \
         stroke-dasharray=\"3 3\"/>\n<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" \
         fill=\"{colour}\">{label}</text>\n",
        TOP_HEIGHT - 4.0,
        TOP_HEIGHT - 8.0,
    )
}

/// When, where and how it was measured, in lines that fit.
fn foot(results: &Results) -> Vec<String> {
    let mut lines = vec![
        format!("{} · {}", results.date, results.machine),
        String::new(),
    ];
    for word in results.command.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].chars().count() + word.chars().count() > FOOT_LINE_CHARACTERS {
            lines.push(format!("    {word}"));
        } else {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last] = format!("{}{gap}{word}", lines[last]);
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
