//! Runs a handler, and ends it early if its time is over or its client has left.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use waterwheel_runtime::time::{Instant, Sleep, sleep_until};
use waterwheel_runtime::watch::poll_named;

use super::Connection;
use super::finish::Next;
use crate::buffers::AnswerState;
use crate::buffers::stall_clock::poll_due;
use crate::error::{Error, Refusal, Result, drop_contained, panic_text};
use crate::exchange::responded::Responded;
use crate::shared::connections::Phase;
use crate::shared::disconnect::OnDisconnect;
use crate::transport::io::Io;

/// How a handler ended.
pub(super) enum Outcome {
    /// With the proof of an answer.
    Answered,
    /// There was no handler: the request was pulled, and has been dropped since.
    Pulled,
    /// With an error: its own, that its time is over, or the text of its panic.
    Failed(Error),
    /// It was dropped, because its client has left or takes no byte.
    Gone,
}

impl<T: Io> Connection<T> {
    /// Polls a handler. While it waits, the queue goes out. Its panic ends here.
    ///
    /// The handler is pinned where it stands, because its future may be large and should not move. In a debug
    /// build `name` stands in the report of a poll that holds the thread.
    pub(super) fn run_handler<'a>(
        &'a self,
        mut handler: Pin<&'a mut impl Future<Output = Result<Responded>>>,
        name: &'static str,
    ) -> impl Future<Output = Outcome> {
        let mut time = None;
        poll_fn(move |cx| {
            let poll = || poll_named(name, || handler.as_mut().poll(cx));
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Ready(Ok(Responded { .. }))) => Poll::Ready(Outcome::Answered),
                Ok(Poll::Ready(Err(error))) => Poll::Ready(Outcome::Failed(error)),
                Ok(Poll::Pending) => self.poll_beside_handler(&mut time, cx),
                Err(payload) => Poll::Ready(Outcome::Failed(panicked(payload))),
            }
        })
    }

    /// Writes the queue while the handler waits. Ready if the handler has to end: its time is over, its client
    /// has left, or its client takes no byte.
    ///
    /// `time` is made at the first call: most handlers never wait.
    fn poll_beside_handler(&self, time: &mut Option<Sleep>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(exchange) = self.exchange() else {
            return Poll::Ready(Outcome::Gone);
        };
        let is_known = exchange.is_stalled();
        let _flushed = exchange.poll_flush(cx); // the handler's next write meets an error again
        if exchange.is_stalled() && !is_known {
            // No write of the handler waits, so the handler would not learn of it.
            return Poll::Ready(Outcome::Gone);
        }
        if let Some(duration) = self.shared.limits.handler_duration_max {
            let time = time.get_or_insert_with(|| sleep_until(Instant::of_turn() + duration));
            if poll_due(time, cx).is_ready() {
                return Poll::Ready(Outcome::Failed(Refusal::HandlerTooSlow.into()));
            }
        }
        if self.shared.departure.disconnect == OnDisconnect::DropHandler {
            return exchange.poll_gone(cx).map(|()| Outcome::Gone);
        }
        Poll::Pending
    }

    /// Answers a request whose handler has panicked outside its polls: when it was called, or when its future
    /// was dropped. The next burst finishes the request.
    ///
    /// # Panics
    ///
    /// If no request is at hand: the panic is not a handler's, and goes on.
    #[cold]
    pub(super) fn take_panic(&self, payload: Box<dyn Any + Send>) {
        let is_handling = self.shared.connections.phase(self.id) == Phase::Handling;
        if !is_handling || !self.has_request() {
            resume_unwind(payload);
        }
        let next = self.judge(Outcome::Failed(panicked(payload)));
        if let (Next::Cut, Some(exchange)) = (next, self.exchange()) {
            exchange.set_answer(AnswerState::Aborted);
        }
    }
}

/// The error that a handler's panic becomes.
#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let error = Error::message(format!("the handler panicked: {}", panic_text(&*payload)));
    drop_contained(payload);
    error
}
