//! A sleep, with the help of another thread.

use std::thread;
use std::time::Duration;

use crate::oneshot::oneshot;

/// Completes after `duration`. It starts a thread that sleeps for it.
pub async fn sleep(duration: Duration) {
    // TODO 5: Make a oneshot. Start a thread (`thread::spawn`) that sleeps for `duration` and then sends `()`. Await the
    // receiver.
    todo!("TODO 5")
}
