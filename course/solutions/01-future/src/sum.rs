//! The state machine that the compiler makes of an `async fn`, written by hand.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::countdown::Countdown;

/// Awaits two countdowns, one after the other, and adds their values.
///
/// This is the model for [`Sum`].
pub async fn sum(first: Countdown, second: Countdown) -> u32 {
    let one = first.await;
    let two = second.await;
    one + two
}

/// The same as [`sum`], as an enum. Each `.await` of the model is a state here.
#[derive(Debug)]
pub enum Sum {
    /// The model stands at `first.await`. It will need `second` later.
    AtFirst { first: Countdown, second: Countdown },
    /// The model stands at `second.await`. It has the value of the first countdown.
    AtSecond { one: u32, second: Countdown },
    /// The model has returned.
    Done,
}

impl Sum {
    pub fn new(first: Countdown, second: Countdown) -> Self {
        Self::AtFirst { first, second }
    }
}

impl Future for Sum {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        // The loop is here for the step from `AtFirst` to `AtSecond`: the new state is polled at once.
        loop {
            match &mut *self {
                // BEGIN TODO 3
                //> Write the two states. In each, poll the countdown with `Pin::new(countdown).poll(cx)`.
                //>
                //> - `AtFirst`: if the countdown is pending, return `Poll::Pending`. If it is ready with `one`, make the
                //>   next state, `AtSecond`. Take `second` out of the old state with
                //>   `std::mem::replace(second, Countdown::new(0, 0))`, and store the new state with `self.set(…)`, a method
                //>   of `Pin`.
                //> - `AtSecond`: if the countdown is ready with `two`, compute the sum first (`one` is a reference into
                //>   the old state). Then store `Done`, and return the sum.
                //= Self::AtFirst { .. } => todo!("TODO 3: the state AtFirst"),
                //= Self::AtSecond { .. } => todo!("TODO 3: the state AtSecond"),
                Self::AtFirst { first, second } => {
                    let Poll::Ready(one) = Pin::new(first).poll(cx) else {
                        return Poll::Pending;
                    };
                    let second = std::mem::replace(second, Countdown::new(0, 0));
                    self.set(Self::AtSecond { one, second });
                }
                Self::AtSecond { one, second } => {
                    let Poll::Ready(two) = Pin::new(second).poll(cx) else {
                        return Poll::Pending;
                    };
                    let sum = *one + two;
                    self.set(Self::Done);
                    return Poll::Ready(sum);
                }
                // END TODO
                Self::Done => panic!("a future is not polled after it was ready"),
            }
        }
    }
}
