//! The `date` line of every answer (RFC 9110, 6.6.1).
//!
//! The line is rendered once in a second, and not for each answer. [`DateLine::refresh`] compares the second
//! of the wall clock with the rendered one, and renders again if they *differ*. So it follows a clock that is
//! set back. A comparison by "greater" would keep the old date until that time comes again.
//!
//! # Invariants
//!
//! - Always: the line has 37 bytes, in IMF-fixdate, with its line end.
//! - Never: this reads a clock itself.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The bytes of `date: Sun, 06 Nov 1994 08:49:37 GMT` and its line end.
pub(crate) const DATE_LINE_BYTES: usize = 37;

/// The last second that an IMF-fixdate can express: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// A rendered `date` line, and its second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DateLine {
    second: u64,
    line: [u8; DATE_LINE_BYTES],
}

impl DateLine {
    pub(crate) fn new(now: SystemTime) -> Self {
        let second = second_of(now);
        let mut line = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
        let written = write!(&mut line[6..], "{date}");
        debug_assert!(written.is_ok(), "an IMF-fixdate always has 29 bytes");
        Self { second, line }
    }

    /// Renders again if `now` is in another second. Returns true if it did.
    pub(crate) fn refresh(&mut self, now: SystemTime) -> bool {
        // A comparison by "greater" would keep the old date after the clock was set back.
        let is_another = self.second != second_of(now);
        if is_another {
            *self = Self::new(now);
        }
        is_another
    }

    /// Returns the line with its line end.
    pub(crate) const fn bytes(&self) -> &[u8; DATE_LINE_BYTES] {
        &self.line
    }
}

/// Returns the seconds since 1970. A clock outside the years 1970 to 9999 is wrong but not fatal. It counts
/// as the nearer end.
fn second_of(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().min(LAST_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn check(now: SystemTime, expected: &str) {
        assert_eq!(DateLine::new(now).bytes(), expected.as_bytes());
    }

    #[test]
    fn a_second_is_written_as_an_imf_fixdate() {
        // RFC 9110, 5.6.7
        check(at(784_111_777), "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        check(at(0), "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
        check(at(951_782_400), "date: Tue, 29 Feb 2000 00:00:00 GMT\r\n");
        check(at(LAST_SECOND), "date: Fri, 31 Dec 9999 23:59:59 GMT\r\n");
    }

    #[test]
    fn a_clock_out_of_range_stands_at_the_nearer_end() {
        check(
            at(0) - Duration::from_secs(5),
            "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        );
        check(
            at(LAST_SECOND + 1),
            "date: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
        );
    }

    #[test]
    fn the_line_follows_the_clock_in_both_directions() {
        let mut line = DateLine::new(at(784_111_777));
        for (second, time) in [
            (784_111_778, "08:49:38"),
            (784_111_777, "08:49:37"),
            (784_111_000, "08:36:40"),
        ] {
            line.refresh(at(second));
            assert_eq!(&line.bytes()[23..31], time.as_bytes());
        }
    }

    #[test]
    fn within_a_second_nothing_is_rendered() {
        let mut line = DateLine::new(at(7));
        line.line[0] = b'D';
        line.refresh(at(7) + Duration::from_millis(999));
        assert_eq!(line.bytes()[0], b'D');
    }
}
