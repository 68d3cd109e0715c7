//! A future that is ready at a point in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Is ready once a point in time has come. It sets no alarm: it looks at the clock in each poll.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
}

impl Deadline {
    /// Makes a future that is ready after `duration`, counted from now.
    pub fn after(duration: Duration) -> Self {
        Self {
            at: Instant::now() + duration,
        }
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        // TODO 2: Return `Poll::Ready(())` if the clock, `Instant::now()`, has reached `self.at`. Otherwise return
        // `Poll::Pending`.
        todo!("TODO 2")
    }
}
