//! A sleep, with the help of another thread.

use std::thread;
use std::time::Duration;

use crate::oneshot::oneshot;

/// Completes after `duration`. It starts a thread that sleeps for it.
pub async fn sleep(duration: Duration) {
    let (sender, receiver) = oneshot();
    thread::spawn(move || {
        thread::sleep(duration);
        sender.send(());
    });
    receiver.await
}
