//! What ends a handler from outside: its time, and its client.

use std::pin::Pin;
use std::task::{Context, Poll};

use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use crate::exchange::link::Link;
use crate::shared::disconnect::OnDisconnect;

/// Looks after a handler while it waits.
#[derive(Default)]
pub(super) struct Watch {
    /// Made when the handler first waits: most never do.
    time: Option<Sleep>,
}

/// Why a handler does not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It has taken longer than it may.
    TooSlow,
    /// Its client has left.
    Gone,
}

impl Watch {
    pub(super) fn poll(&mut self, link: Link<'_>, cx: &mut Context<'_>) -> Poll<Ended> {
        if let Some(duration) = link.shared.limits.handler_duration_max {
            let time = self
                .time
                .get_or_insert_with(|| sleep_until(Instant::of_turn() + duration));
            if Pin::new(time).poll(cx).is_ready() {
                return Poll::Ready(Ended::TooSlow);
            }
        }
        if link.shared.departure.disconnect == OnDisconnect::DropHandler {
            return link.poll_gone(cx).map(|()| Ended::Gone);
        }
        Poll::Pending
    }
}
