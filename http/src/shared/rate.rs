//! A limit on log lines, which keeps a log readable: a few lines in each second, and the number of lines left
//! out.

use std::cell::Cell;
use std::time::Duration;

use waterwheel_runtime::time::Instant;

const LINES_MAX: u32 = 5;
const PERIOD: Duration = Duration::from_secs(1);

/// Allows [`LINES_MAX`] lines in each [`PERIOD`].
pub(crate) struct Rate {
    since: Cell<Instant>,
    lines: Cell<u32>,
    left_out: Cell<u64>,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            since: Cell::new(Instant::now()),
            lines: Cell::new(0),
            left_out: Cell::new(0),
        }
    }
}

impl Rate {
    /// Returns `None` if no line may be written now. Returns the number of lines left out before this one
    /// otherwise.
    pub(crate) fn allows(&self) -> Option<u64> {
        let now = Instant::of_turn();
        if now - self.since.get() >= PERIOD {
            self.since.set(now);
            self.lines.set(0);
        }
        if self.lines.get() >= LINES_MAX {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.lines.set(self.lines.get() + 1);
        // The number of lines left out stands in the next line, so no fault goes unseen.
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_few_lines_and_a_count() {
        waterwheel_runtime::block_on(async {
            waterwheel_runtime::time::pause();
            let rate = Rate::default();
            let through = (0..100).filter(|_| rate.allows().is_some()).count();
            assert_eq!(through, 5);
            waterwheel_runtime::time::advance(PERIOD).await;
            assert_eq!(rate.allows(), Some(95));
        });
    }
}
