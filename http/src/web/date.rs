//! HTTP dates (RFC 9110, 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999. Later times have no HTTP date.
const LAST_SECOND: u64 = 253_402_300_799;

/// Cuts a time to whole seconds. Returns `None` for a time without an HTTP date: before 1970 or after 9999.
pub(super) fn whole_seconds(time: SystemTime) -> Option<SystemTime> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    (seconds <= LAST_SECOND).then(|| UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Returns `Sun, 06 Nov 1994 08:49:37 GMT`, or `None` for a time without an HTTP date.
pub(super) fn http_date(time: SystemTime) -> Option<String> {
    whole_seconds(time).map(httpdate::fmt_http_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, expected: Option<&str>) {
        let offset = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 {
            UNIX_EPOCH - offset
        } else {
            UNIX_EPOCH + offset
        };
        assert_eq!(http_date(time).as_deref(), expected);
    }

    #[test]
    fn a_time_outside_1970_to_9999_has_no_date() {
        check(784_111_777, Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        check(0, Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        check(-1, None);
        check(253_402_300_799, Some("Fri, 31 Dec 9999 23:59:59 GMT"));
        check(253_402_300_800, None);
    }
}
