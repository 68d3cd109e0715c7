//! Medians and spreads.

use serde::{Deserialize, Serialize};

/// A few samples, told by their middle and their ends.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// The lowest.
    pub(crate) lowest: f64,
    /// The highest.
    pub(crate) highest: f64,
}

impl Stats {
    /// Summarises the samples, if there are any.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[half]
        } else {
            f64::midpoint(sorted[half - 1], sorted[half])
        };
        Some(Self {
            median,
            lowest,
            highest,
        })
    }

    /// All three as multiples of something else.
    pub(crate) fn divided_by(self, unit: f64) -> Self {
        Self {
            median: self.median / unit,
            lowest: self.lowest / unit,
            highest: self.highest / unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle() {
        let stats = Stats::of(&[4.0, 1.0, 2.0, 3.0])
            .map(|stats| (stats.lowest, stats.median, stats.highest));
        assert_eq!(stats, Some((1.0, 2.5, 4.0)));
        assert!(Stats::of(&[]).is_none());
    }
}
