//! A deadline for the tests of the course.
//!
//! A runtime that has lost a wake does not fail. It waits forever. So each test runs on a thread of its own, and
//! fails if that thread has not ended in time.

use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The time that a test may take. The tests wait for at most a few hundred milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test, and fails if it takes more than ten seconds.
///
/// # Panics
///
/// Panics if `test` panics, or if it does not end in time.
pub fn in_time(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        // Dropped at the end of the test, also if it panics.
        let _ended = ended;
        test();
    });
    if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        panic!("the test has not ended after {PATIENCE:?}: a loop never ends, or a wake is lost");
    }
    if let Err(reason) = thread.join() {
        panic::resume_unwind(reason);
    }
}
