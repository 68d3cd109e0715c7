//! The smallest future: it is ready after a number of polls.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Returns `Pending` for a number of polls, and then a value.
#[derive(Debug)]
pub struct Countdown {
    /// The number of polls that still return `Pending`.
    pub polls_left: u32,
    /// The value of the future.
    pub value: u32,
}

impl Countdown {
    /// Makes a future that is ready after `polls` polls.
    pub fn new(polls: u32, value: u32) -> Self {
        Self {
            polls_left: polls,
            value,
        }
    }
}

impl Future for Countdown {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<u32> {
        if self.polls_left == 0 {
            return Poll::Ready(self.value);
        }
        self.polls_left -= 1;
        Poll::Pending
    }
}
