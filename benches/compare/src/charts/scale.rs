//! How values become lengths.

use super::Chart;
use crate::text::grouped;

/// A bar longer than so many times the middle one, or the floor, is cut.
const CUT_AT_MIDDLES: f64 = 2.5;
const CUT_AT_FLOORS: f64 = 12.0;

/// Values from zero to an end, in so many pixels.
pub(crate) struct Scale {
    room: f64,
    end: f64,
}

impl Scale {
    /// The longest bar fills the room, unless it dwarfs the others.
    pub(crate) fn of(chart: &Chart<'_>, room: f64) -> Self {
        let middle = chart.rows.get(chart.rows.len() / 2);
        let middles = middle.map_or(1.0, |(_, stats)| stats.median * CUT_AT_MIDDLES);
        let floors = chart.floor.as_ref().map(|floor| floor.at * CUT_AT_FLOORS);
        let cut = middles.min(floors.unwrap_or(f64::MAX));
        let ends = chart.rows.iter().map(|(_, stats)| stats.highest);
        let marks = [&chart.floor, &chart.goal].into_iter().flatten();
        let farthest_mark = marks.map(|mark| mark.at * 1.1).fold(1e-9, f64::max);
        let end = ends.fold(1e-9, f64::max).min(cut).max(farthest_mark);
        Self { room, end }
    }

    /// The length of a value, at most the whole room.
    pub(crate) fn length(&self, value: f64) -> f64 {
        (value.max(0.0) / self.end).min(1.0) * self.room
    }

    /// Whether a value is longer than can be shown.
    pub(crate) fn is_cut(&self, value: f64) -> bool {
        value > self.end * 1.001
    }

    /// Round values, and what is written at them.
    pub(crate) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let step = step(self.end);
        let values = (0_u32..).map(move |index| f64::from(index) * step);
        let end = self.end;
        values
            .take_while(move |&value| value <= end)
            .map(|value| (value, tick(value)))
    }
}

/// A round number of which four to ten fit into the whole.
fn step(end: f64) -> f64 {
    let power = 10_f64.powf((end / 4.0).log10().floor());
    let fits = |&factor: &f64| end / (power * factor) <= 10.0;
    power * [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0)
}

/// A value of the grid, without needless digits.
fn tick(value: f64) -> String {
    if value >= 1_000.0 {
        return grouped(value);
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{step, tick};

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
            assert!((step(end) - expected).abs() < 1e-9, "{end}: {}", step(end));
        }
    }
}
