//! The number of open file descriptors, the limit, and a future that waits for a free one.
//!
//! The number is that of the process, not of the runtime: it includes files, pipes and the sockets of other threads.

use std::fs;
use std::io;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use crate::context;
use crate::timeout::timeout;

/// The number of descriptors that a request is assumed to need: its socket, and what its handler opens.
pub const PER_REQUEST: usize = 5;

/// The time after which a task that waits for a free descriptor looks again. The kernel sends no event when other code
/// closes one.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Returns the number of descriptors that this process has open.
///
/// # Errors
///
/// Fails if there is no `/proc`.
pub fn open() -> io::Result<usize> {
    // TODO 2: Since Linux 6.2, the size of the folder `/proc/self/fd` is the number: `fs::metadata("/proc/self/fd")?.len()`. That
    // needs no descriptor. If the size is zero, the kernel is older. Then count the entries of the folder
    // (`fs::read_dir`), and subtract one, because the listing has a descriptor of its own.
    todo!("TODO 2")
}

/// Returns the number of descriptors that this process may have open: the soft limit, as it was at the first call.
/// Returns `usize::MAX` if the limit is unknown.
pub fn limit() -> usize {
    // Read once, because the read of a file needs a descriptor, and later there may be none.
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        parse_limit(&limits).unwrap_or(usize::MAX)
    })
}

/// Finds the soft limit in the text of `/proc/self/limits`.
pub fn parse_limit(limits: &str) -> Option<usize> {
    // TODO 3: Find the line that begins with `Max open files`. The first word after that is the soft limit. Return `None` if it is
    // not a number.
    todo!("TODO 3")
}

/// Returns true if the process has room for another request.
pub fn should_accept() -> bool {
    // TODO 4: There is room if the open descriptors and `PER_REQUEST` further ones are within the limit. If the number cannot be
    // read, there is no room.
    todo!("TODO 4")
}

/// Waits until the process has room for another request.
pub async fn capacity() {
    // TODO 5: Loop: make the future of the next notification first (`let freed = freed.notified();`), then return if
    // `should_accept()`. Otherwise await the notification for at most `LOOK_AGAIN` (`timeout`), and loop. In the other order,
    // a socket could close between the look and the wait.
    todo!("TODO 5")
}
