//! The lines that every answer of a server has: its name, the date, and the empty line.
//!
//! How old they are, and which they are, is asked for each answer; they themselves only for one that
//! is not like the last.
//!
//! # Invariants
//!
//! - Always: what is handed out was true up to [`DATE_CHECK`] ago.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use waterwheel_runtime::time::Instant;

use crate::proto::encode::{EMPTY_LINE, OwnLines};
use crate::shared::date::DateLine;

/// How long a look at the wall clock is good for.
const DATE_CHECK: Duration = Duration::from_millis(100);

pub(crate) struct ServerLines {
    /// When the wall clock is to be looked at again.
    next_check: Cell<Instant>,
    /// How often they were rendered.
    number: Cell<u64>,
    lines: RefCell<Lines>,
}

struct Lines {
    date: DateLine,
    /// The `server` line or nothing, the `date` line, and the empty line.
    rendered: Vec<u8>,
    server_bytes: usize,
}

impl ServerLines {
    /// With the server's line and its end, or nothing.
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

    /// Calls `f` with them, true for the present second.
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

    /// The number of those that are true now: as long as it is the same, so are they.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        let now = Instant::of_turn();
        if now >= self.next_check.get() {
            self.check(now);
        }
        self.number.get()
    }

    #[cold]
    fn check(&self, now: Instant) {
        self.next_check.set(now + DATE_CHECK);
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
