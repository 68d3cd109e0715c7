//! The lines that every answer of a server has: its name, the date, and the empty line.
//!
//! Each answer asks whether the lines are current, and for their number. Only an answer that differs from the
//! one before copies the lines themselves.
//!
//! # Invariants
//!
//! - Always: the lines were true at most [`DATE_CHECK`] ago.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use waterwheel_runtime::time::Instant;

use crate::proto::encode::{EMPTY_LINE, OwnLines};
use crate::shared::date::DateLine;

/// The time for which a reading of the wall clock is valid.
const DATE_CHECK: Duration = Duration::from_millis(100);

pub(crate) struct ServerLines {
    /// The time of the next reading of the wall clock.
    next_check: Cell<Instant>,
    /// The number of times that the lines were rendered.
    number: Cell<u64>,
    lines: RefCell<Lines>,
}

struct Lines {
    date: DateLine,
    /// The `server` line if there is one, the `date` line, and the empty line.
    rendered: Vec<u8>,
    server_bytes: usize,
}

impl ServerLines {
    /// Renders the lines. `server_line` has its line end, or is empty.
    pub(crate) fn new(server_line: Vec<u8>) -> Self {
        let mut lines = Lines {
            date: DateLine::new(SystemTime::now()),
            server_bytes: server_line.len(),
            rendered: server_line,
        };
        lines.render();
        Self {
            next_check: Cell::new(Instant::now() + DATE_CHECK),
            number: Cell::new(1),
            lines: RefCell::new(lines),
        }
    }

    /// Calls `f` with the lines for the present second.
    pub(crate) fn with<T>(&self, f: impl FnOnce(OwnLines<'_>) -> T) -> T {
        let number = self.number();
        let lines = self.lines.borrow();
        f(OwnLines {
            lines: &lines.rendered,
            server_bytes: lines.server_bytes,
            number,
            added: &[],
        })
    }

    /// Returns the number of the current lines. The lines are the same as long as the number is.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        // The clock of the turn costs no system call. The wall clock is read ten times in a second at most.
        let now = Instant::of_turn();
        if now >= self.next_check.get() {
            self.check(now);
        }
        self.number.get()
    }

    #[cold]
    fn check(&self, now: Instant) {
        self.next_check.set(now + DATE_CHECK);
        // The number changes only with the second. So the cached heads stay valid for that long.
        let lines = &mut *self.lines.borrow_mut();
        if lines.date.refresh(SystemTime::now()) {
            lines.render();
            self.number.set(self.number.get() + 1);
        }
    }
}

impl Lines {
    fn render(&mut self) {
        self.rendered.truncate(self.server_bytes);
        self.rendered.extend_from_slice(self.date.bytes());
        self.rendered.extend_from_slice(EMPTY_LINE);
    }
}
