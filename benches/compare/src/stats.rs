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
}

/// Many samples, told by their middle and the middle half of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quartiles {
    /// A quarter of the samples is below.
    pub(crate) lower: f64,
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// A quarter of the samples is above.
    pub(crate) upper: f64,
}

impl Quartiles {
    /// Summarises the samples, if there are any; a quartile is the median of its half, with the middle.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len().div_ceil(2);
        let middle = |part: &[f64]| Some(Stats::of(part)?.median);
        Some(Self {
            lower: middle(&sorted[..half])?,
            median: middle(&sorted)?,
            upper: middle(&sorted[sorted.len() - half..])?,
        })
    }

    /// Whether the middle halves have anything in common: then the samples do not tell the two apart.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.lower <= other.upper && other.lower <= self.upper
    }

    /// As a median with its ends.
    pub(crate) fn as_stats(self) -> Stats {
        Stats {
            median: self.median,
            lowest: self.lower,
            highest: self.upper,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Quartiles, Stats};

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle() {
        let stats = Stats::of(&[4.0, 1.0, 2.0, 3.0])
            .map(|stats| (stats.lowest, stats.median, stats.highest));
        assert_eq!(stats, Some((1.0, 2.5, 4.0)));
        assert!(Stats::of(&[]).is_none());
    }

    #[test]
    fn quartiles_leave_out_a_quarter_at_each_end() {
        let of =
            |samples: &[f64]| Quartiles::of(samples).map(|all| (all.lower, all.median, all.upper));
        assert_eq!(of(&[5.0, 1.0, 900.0, 3.0, 4.0]), Some((3.0, 4.0, 5.0)));
        assert_eq!(of(&[1.0, 2.0, 3.0, 900.0]), Some((1.5, 2.5, 451.5)));
        assert_eq!(of(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn halves_that_touch_overlap_and_those_that_do_not_are_told_apart() {
        let of = |lower, upper| Quartiles {
            lower,
            median: lower,
            upper,
        };
        assert!(of(1.0, 2.0).overlaps(&of(2.0, 3.0)));
        assert!(of(2.0, 3.0).overlaps(&of(1.0, 2.0)));
        assert!(!of(1.0, 2.0).overlaps(&of(2.5, 3.0)));
        assert!(!of(2.5, 3.0).overlaps(&of(1.0, 2.0)));
    }
}
