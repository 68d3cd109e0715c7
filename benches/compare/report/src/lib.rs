//! Medians with their spread, and tables in Markdown.

use serde::{Deserialize, Serialize};
use tabled::builder::Builder;
use tabled::settings::Style;
use thousands::Separable;

/// The median of some samples and their spread. In JSON: `[median, low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 3]", into = "[f64; 3]")]
pub struct Stats {
    /// The sample in the middle, or the mean of the two in the middle.
    pub median: f64,
    /// The lowest sample, or the lower quartile.
    pub low: f64,
    /// The highest sample, or the upper quartile.
    pub high: f64,
}

impl Stats {
    /// Returns the median with the lowest and the highest sample, or `None` without samples.
    #[must_use]
    pub fn range(samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let median = middle(&sorted);
        Some(Self { median, low, high })
    }

    /// Returns the median with the quartiles, or `None` without samples.
    ///
    /// A quartile is the median of its half. Both halves contain the sample in the middle.
    #[must_use]
    pub fn quartiles(samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples);
        let half = sorted.len().div_ceil(2);
        (half > 0).then(|| Self {
            median: middle(&sorted),
            low: middle(&sorted[..half]),
            high: middle(&sorted[sorted.len() - half..]),
        })
    }

    /// Returns true if the spreads overlap. Then the samples do not show which of the two is less.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

impl From<[f64; 3]> for Stats {
    fn from([median, low, high]: [f64; 3]) -> Self {
        Self { median, low, high }
    }
}

impl From<Stats> for [f64; 3] {
    fn from(stats: Stats) -> Self {
        [stats.median, stats.low, stats.high]
    }
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> f64 {
    let last = sorted.len() - 1;
    f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)])
}

/// Renders a Markdown table whose columns line up. The first row is the head.
///
/// Returns an empty text without a second row.
#[must_use]
pub fn table(rows: Vec<Vec<String>>) -> String {
    if rows.len() < 2 {
        return String::new();
    }
    let mut table = Builder::from_iter(rows).build();
    format!("{}\n", table.with(Style::markdown()))
}

/// Renders a whole number with commas between its thousands.
#[must_use]
pub fn grouped(value: f64) -> String {
    format!("{value:.0}").separate_with_commas()
}

#[cfg(test)]
mod tests {
    use super::{Stats, grouped, table};

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle() {
        let stats = Stats::range(&[4.0, 1.0, 2.0, 3.0]);
        assert_eq!(stats, Some([2.5, 1.0, 4.0].into()));
        assert_eq!(Stats::range(&[]), None);
    }

    #[test]
    fn quartiles_leave_out_a_quarter_at_each_end() {
        let of = |samples: &[f64]| Stats::quartiles(samples).map(<[f64; 3]>::from);
        assert_eq!(of(&[5.0, 1.0, 900.0, 3.0, 4.0]), Some([4.0, 3.0, 5.0]));
        assert_eq!(of(&[1.0, 2.0, 3.0, 900.0]), Some([2.5, 1.5, 451.5]));
        assert_eq!(of(&[7.0]), Some([7.0, 7.0, 7.0]));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn spreads_that_touch_overlap() {
        let of = |low, high| Stats::from([low, low, high]);
        assert!(of(1.0, 2.0).overlaps(&of(2.0, 3.0)));
        assert!(!of(2.5, 3.0).overlaps(&of(1.0, 2.0)));
    }

    #[test]
    fn columns_line_up_and_thousands_are_set_apart() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let shown = table(vec![row(["a", "µs"]), row(["name", &grouped(1_234_567.4)])]);
        let expected = "| a    | µs        |\n|------|-----------|\n| name | 1,234,567 |\n";
        assert_eq!(shown, expected);
        assert_eq!(table(vec![row(["a", "b"])]), "");
    }
}
