//! One chart as SVG.

use super::scale::Scale;
use super::theme::Theme;
use super::{Chart, Mark};
use crate::peers::OURS;
use crate::results::Results;
use crate::stats::Stats;
use crate::text::{grouped, wrapped};
use std::fmt::Write;

/// Width of a chart, as wide as a README is shown, and of the parts of a row.
const WIDTH: f64 = 830.0;
const MARGIN: f64 = 20.0;
const NAMES_WIDTH: f64 = 150.0;
const VALUES_WIDTH: f64 = 90.0;

/// Heights: of a row, of its bar, of all above the first row, and of a line of the caption.
const ROW_HEIGHT: f64 = 26.0;
const BAR_HEIGHT: f64 = 16.0;
const TOP_HEIGHT: f64 = 92.0;
const FOOT_GAP: f64 = 40.0;
const FOOT_LINE_HEIGHT: f64 = 15.0;

/// Where the bars begin, and how long the longest can be.
const BARS_AT: f64 = MARGIN + NAMES_WIDTH;
const ROOM: f64 = WIDTH - BARS_AT - VALUES_WIDTH - MARGIN;

/// Characters of a line of the caption.
const FOOT_CHARACTERS: usize = 130;

/// Marks nearer to each other than this are named to their left and right.
const MARKS_NEAR: f64 = 90.0;

/// Draws it.
pub(crate) fn svg(chart: &Chart<'_>, theme: &Theme, results: &Results) -> String {
    let foot = foot(chart, results);
    let bottom = TOP_HEIGHT + rows_height(chart.rows.len());
    let height = bottom + FOOT_GAP + rows_height(foot.len()) / ROW_HEIGHT * FOOT_LINE_HEIGHT;
    let scale = Scale::of(chart, ROOM);
    let mut svg = head(chart, height, theme);
    svg += &grid(&scale, bottom, theme);
    for (index, row) in chart.rows.iter().enumerate() {
        let middle = TOP_HEIGHT + rows_height(index) + ROW_HEIGHT / 2.0;
        svg += &bar(row, middle, &scale, chart.unit, theme);
    }
    svg += &marks(chart, bottom, &scale, theme);
    let mut y = bottom + FOOT_GAP;
    for line in &foot {
        svg += &text(MARGIN, y, line, theme.faint, "font-size=\"11\"");
        y += FOOT_LINE_HEIGHT;
    }
    svg + "</svg>\n"
}

#[expect(clippy::cast_precision_loss, reason = "a few rows")]
fn rows_height(rows: usize) -> f64 {
    rows as f64 * ROW_HEIGHT
}

fn head(chart: &Chart<'_>, height: f64, theme: &Theme) -> String {
    let title = escaped(&chart.title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif\" \
         font-size=\"13\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
        theme.back
    );
    let bold = "font-size=\"17\" font-weight=\"600\"";
    svg += &text(MARGIN, 30.0, &chart.title, theme.text, bold);
    svg += &text(MARGIN, 50.0, &chart.subtitle, theme.faint, "");
    svg
}

fn place(scale: &Scale, value: f64) -> f64 {
    BARS_AT + scale.length(value)
}

/// Upright lines at round values, which are told below.
fn grid(scale: &Scale, bottom: f64, theme: &Theme) -> String {
    let mut svg = String::new();
    for (value, label) in scale.ticks() {
        let x = place(scale, value);
        let (top, colour) = (TOP_HEIGHT - 4.0, theme.grid);
        writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{colour}\" stroke-width=\"0.5\"/>"
        )
        .ok();
        let style = "text-anchor=\"middle\" font-size=\"10\"";
        svg += &text(x, bottom + 14.0, &label, theme.faint, style);
    }
    svg
}

/// One bar with its name, its value and the spread of its samples.
fn bar(
    (name, stats): &(&str, Stats),
    middle: f64,
    scale: &Scale,
    unit: &str,
    theme: &Theme,
) -> String {
    let is_ours = *name == OURS;
    let (colour, weight) = if is_ours {
        (theme.ours, "font-weight=\"600\"")
    } else {
        (theme.bar, "")
    };
    let end = place(scale, stats.median).max(BARS_AT + 1.0);
    let is_cut = scale.is_cut(stats.median);
    let value = shown(stats.median) + unit;
    let anchored = format!("text-anchor=\"end\" {weight}");
    let baseline = middle + 4.5;
    let mut svg = text(BARS_AT - 10.0, baseline, name, theme.text, &anchored);
    let (top, length) = (middle - BAR_HEIGHT / 2.0, end - BARS_AT);
    writeln!(
        svg,
        "<rect x=\"{BARS_AT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\" fill=\"{colour}\"/>"
    )
    .ok();
    if is_cut {
        svg += &gap(end - 24.0, middle, theme);
    }
    let (low, high) = (place(scale, stats.lowest), place(scale, stats.highest));
    if high - low > 1.0 && !is_cut {
        svg += &whisker(low, high, middle, theme);
    }
    svg + &text(end.max(high) + 8.0, baseline, &value, theme.text, weight)
}

/// Two strokes through a bar that is longer than shown.
fn gap(x: f64, middle: f64, theme: &Theme) -> String {
    let (top, bottom) = (
        middle + BAR_HEIGHT / 2.0 + 1.0,
        middle - BAR_HEIGHT / 2.0 - 1.0,
    );
    let colour = theme.back;
    format!(
        "<path d=\"M{x:.1} {top}L{:.1} {bottom}M{:.1} {top}L{:.1} {bottom}\" stroke=\"{colour}\" stroke-width=\"2.5\"/>\n",
        x + 8.0,
        x + 6.0,
        x + 14.0,
    )
}

/// A line from the lowest to the highest sample, with ends.
fn whisker(low: f64, high: f64, middle: f64, theme: &Theme) -> String {
    let (top, bottom, colour) = (middle - 4.0, middle + 4.0, theme.text);
    format!(
        "<path d=\"M{low:.1} {top}V{bottom}M{low:.1} {middle}H{high:.1}M{high:.1} {top}V{bottom}\" \
         stroke=\"{colour}\" fill=\"none\" opacity=\"0.75\"/>\n"
    )
}

/// The floor and the goal: lines through all rows, named above them.
fn marks(chart: &Chart<'_>, bottom: f64, scale: &Scale, theme: &Theme) -> String {
    let mut svg = String::new();
    let places = [(&chart.floor, theme.text), (&chart.goal, theme.goal)];
    let both = places
        .iter()
        .filter_map(|(mark, colour)| Some((mark.as_ref()?, *colour)));
    let both: Vec<(&Mark, &str)> = both.collect();
    for (index, (mark, colour)) in both.iter().enumerate() {
        let x = place(scale, mark.at);
        let top = TOP_HEIGHT - 4.0;
        writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{colour}\" \
             stroke-width=\"1.5\" stroke-dasharray=\"4 3\"/>"
        )
        .ok();
        let other = both.get(1 - index).map(|(other, _)| place(scale, other.at));
        let label = format!("{} {}", mark.label, shown(mark.at));
        svg += &match other {
            Some(other) if is_one(x, other) && index == 0 => String::new(),
            Some(other) if is_one(x, other) => {
                label_above(x, &format!("floor = {label}"), "middle", colour)
            }
            Some(other) if x < other && other - x < MARKS_NEAR => {
                label_above(x - 3.0, &label, "end", colour)
            }
            Some(other) if x > other && x - other < MARKS_NEAR => {
                label_above(x + 3.0, &label, "start", colour)
            }
            _ => label_above(x, &label, "middle", colour),
        };
    }
    svg
}

fn is_one(x: f64, other: f64) -> bool {
    (x - other).abs() < 0.5
}

fn label_above(x: f64, label: &str, anchor: &str, colour: &str) -> String {
    let style = format!("text-anchor=\"{anchor}\" font-size=\"11\" font-weight=\"600\"");
    text(x, TOP_HEIGHT - 10.0, label, colour, &style)
}

/// When, where and how it was measured, in lines that fit.
fn foot(chart: &Chart<'_>, results: &Results) -> Vec<String> {
    let spread = chart
        .rows
        .iter()
        .any(|(_, stats)| stats.highest > stats.lowest);
    let mut lines = Vec::new();
    if spread {
        lines.push("Bars: medians of the rounds; whiskers: the lowest and the highest.".to_owned());
    }
    if let Some(run) = results.run_of(&chart.part).or(results.runs.last()) {
        lines.push(format!(
            "{} · commit {} · {}",
            run.day(),
            run.commit,
            run.machine
        ));
        lines.extend(wrapped(&run.command, FOOT_CHARACTERS));
    }
    lines
}

/// A value as exactly as it is worth telling.
fn shown(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        grouped(value)
    }
}

fn text(x: f64, y: f64, text: &str, colour: &str, style: &str) -> String {
    let text = escaped(text);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\" {style}>{text}</text>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
