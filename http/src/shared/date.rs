//! The `date` line of every answer (RFC 9110, 6.6.1).
//!
//! Rendered once a second, not once an answer: [`DateLine::refresh`] compares the wall
//! clock's second with the one it has rendered and renders again when they *differ*. A clock
//! that is set back is followed at once, where "is greater" would freeze the date until the
//! old time comes round again.
//!
//! **Always**: 37 bytes, IMF-fixdate, line end included. **Never**: reads a clock itself.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The bytes of `date: Sun, 06 Nov 1994 08:49:37 GMT` and its line end.
pub(crate) const DATE_LINE_BYTES: usize = 37;

/// The last second an IMF-fixdate can say: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// A rendered `date` line and the second it is true for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DateLine {
    second: u64,
    line: [u8; DATE_LINE_BYTES],
}

impl DateLine {
    pub(crate) fn new(now: SystemTime) -> Self {
        let second = second_of(now);
        Self {
            second,
            line: render(second),
        }
    }

    /// Renders again if the second of `now` is another one; says whether it did.
    pub(crate) fn refresh(&mut self, now: SystemTime) -> bool {
        let is_another = self.second != second_of(now);
        if is_another {
            *self = Self::new(now);
        }
        is_another
    }

    /// The line with its line end.
    pub(crate) const fn bytes(&self) -> &[u8; DATE_LINE_BYTES] {
        &self.line
    }
}

/// Seconds since 1970. A clock outside the years 1970 to 9999 is wrong, not fatal: it stands
/// at the nearer end.
fn second_of(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().min(LAST_SECOND))
}

fn render(second: u64) -> [u8; DATE_LINE_BYTES] {
    let mut line = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
    let written = write!(&mut line[6..], "{date}");
    debug_assert!(written.is_ok(), "an IMF-fixdate always has 29 bytes");
    line
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
