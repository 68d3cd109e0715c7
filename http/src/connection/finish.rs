//! How a request ends.
//!
//! Behind a handler, the request at hand is answered or the connection is cut. A rest of its body is drained,
//! or the connection closes.

use std::ops::ControlFlow;

use http::Version;
use waterwheel_runtime::time::Instant;

use super::Connection;
use super::run_handler::Outcome;
use super::transport::unwrapped;
use crate::buffers::{AnswerState, Written};
use crate::error::{Error, Refusal};
use crate::exchange::body::drain;
use crate::proto::head::Head;
use crate::shared::refused::Refused;
use crate::transport::io::Io;
use crate::transport::upgrade::Upgraded;

/// The step behind a request.
pub(super) enum Next {
    /// Look for the next request.
    Request,
    /// Read past the rest of the body.
    Drain,
    /// Give the stream to the task that it was promised to.
    HandOver,
    /// Send the queue and close at once: the client sends no more.
    Close,
    /// Send the queue and close in stages: the client may have sent more, or go on to.
    CloseInStages,
    /// There is no answer, or half of one: send what is queued, and no more.
    Cut,
    /// Send the queue and reset the connection.
    Reset,
    /// Drop the connection.
    Drop,
}

impl<T: Io> Connection<T> {
    /// Sees to it that a request whose handler has ended is answered, and returns the next step.
    #[inline]
    pub(super) fn finish_request(&mut self, outcome: Outcome) -> Next {
        self.shared.counters.handled(|| {
            let begun = self.buffers.as_ref().and_then(|buffers| buffers.begun());
            Some(Instant::now() - begun?)
        });
        // The usual way is short, and all others are out of line (LOG 13).
        if let Outcome::Answered = outcome
            && let Some(buffers) = &mut self.buffers
            && buffers.is_through()
        {
            buffers.end_request();
            return Next::Request;
        }
        self.finish_otherwise(outcome)
    }

    #[inline(never)]
    fn finish_otherwise(&mut self, outcome: Outcome) -> Next {
        let next = self.judge(outcome);
        match (next, &mut self.buffers) {
            (Next::Cut, _) => self.leave_cut(),
            (Next::Request, None) => Next::Drop,
            (Next::Request, Some(buffers)) if buffers.answer() == AnswerState::HandsOver => {
                Next::HandOver
            }
            (Next::Request, Some(buffers)) if !buffers.is_read() => Next::Drain,
            (Next::Request, Some(_)) => self.leave(true),
            (next, _) => next,
        }
    }

    /// Goes on behind an answered request if its body `is_drained`, and closes otherwise.
    #[inline]
    fn leave(&mut self, is_drained: bool) -> Next {
        let Some(buffers) = &mut self.buffers else {
            return Next::Drop;
        };
        let persists = buffers.persistence().persists();
        // A transport of the user's may have more to send than the answer: over TLS, its end.
        let is_plain = self.io.as_ref().is_some_and(|io| io.info().is_none());
        buffers.end_request();
        if persists && is_drained {
            return Next::Request;
        }
        // From here on, no byte is taken for a request, even if this is given up.
        self.shared.connections.close(self.id);
        if !persists && is_drained && is_plain && buffers.ends_here() {
            Next::Close
        } else {
            Next::CloseInStages
        }
    }

    /// The queue goes out, but it must not look like a whole answer.
    fn leave_cut(&mut self) -> Next {
        self.shared.connections.close(self.id);
        let Some(buffers) = &mut self.buffers else {
            return Next::Drop;
        };
        if buffers.written() == Written::Stalled {
            return Next::Drop;
        }
        if buffers.head().version() == Version::HTTP_10 {
            // An end in good order would be taken for the answer's (RFC 9112, 8).
            return Next::Reset;
        }
        let is_first = self.shared.connections.requests(self.id) == 1;
        let is_silent = buffers.answer() == AnswerState::Aborted && is_first;
        if is_silent && buffers.queued().is_empty() {
            return Next::Drop;
        }
        Next::CloseInStages
    }

    /// Does the step. Breaks if the connection is over.
    pub(super) async fn carry_out(&mut self, mut next: Next) -> ControlFlow<()> {
        if let Next::Drain = next
            && let Some(exchange) = self.exchange()
        {
            let is_drained = drain(exchange).await;
            next = self.leave(is_drained);
        }
        match next {
            Next::Request => return ControlFlow::Continue(()),
            Next::HandOver => self.hand_over().await,
            Next::Close if self.closes_at_once().await => {}
            Next::Close | Next::CloseInStages => self.close_in_stages().await,
            Next::Reset => self.reset().await,
            Next::Drain | Next::Cut | Next::Drop => {}
        }
        ControlFlow::Break(())
    }

    /// Sends the queue, and lets the connection end in a reset.
    async fn reset(&mut self) {
        if let Some(exchange) = self.exchange() {
            exchange.io().reset_on_drop();
            let _sent = exchange.flush().await; // the connection ends either way
        }
    }

    /// Sends the queue, and gives the stream to the task that it was promised to, with the bytes that have
    /// been read of it.
    async fn hand_over(&mut self) {
        if let Some(exchange) = self.exchange()
            && exchange.flush().await.is_err()
        {
            return;
        }
        let peer = self.peer_address();
        if let (Some(mut buffers), Some(io)) = (self.buffers.take(), self.io.take()) {
            buffers.end_request();
            let read = buffers.unread().to_vec();
            if let Some(promise) = buffers.take_promise() {
                promise.keep(Upgraded::new(unwrapped(io), read, peer));
            }
            self.shared.return_buffers(buffers);
        }
    }

    /// Answers the request if the handler has not. Returns `Request` if an answer is queued whole, `Cut` if
    /// none is, and `Drop` if the client is gone.
    pub(super) fn judge(&self, outcome: Outcome) -> Next {
        let Some(exchange) = self.exchange() else {
            return Next::Drop;
        };
        let answer = exchange.answer();
        let error = match (outcome, answer) {
            (
                Outcome::Answered | Outcome::Pulled,
                AnswerState::Complete | AnswerState::HandsOver,
            ) => {
                return Next::Request;
            }
            (Outcome::Gone, _) => return Next::Drop,
            (_, AnswerState::Aborted) => return Next::Cut,
            (Outcome::Answered, _) => {
                Error::message("the handler gave back a Responded of another request")
            }
            (Outcome::Pulled, _) => Error::message("a pulled request was dropped unanswered"),
            (Outcome::Failed(error), _) => error,
        };
        match error.refusal() {
            Some(refusal) => self.shared.counters.refused(refusal),
            None if is_ours(&error) => self.shared.counters.handler_failures.one(),
            None => {} // the handler has done its work
        }
        self.log(&error);
        let unsent = match answer {
            AnswerState::Awaited => true,
            AnswerState::Streaming => exchange.retract(),
            AnswerState::Complete | AnswerState::HandsOver | AnswerState::Aborted => {
                // The answer is queued and cannot be taken back. A stream that is promised changes hands.
                exchange.close_after();
                return Next::Request;
            }
        };
        if !unsent {
            return Next::Cut;
        }
        match error.client_error() {
            Some(client_error) => exchange.queue_client_error(client_error),
            None => exchange.queue_error(error.status(), reason(&error)),
        }
        Next::Request
    }

    /// Logs an error of the handler's. A fault of the client or the network is not logged.
    fn log(&self, error: &Error) {
        if !is_ours(error) && error.refusal() != Some(Refusal::HandlerTooSlow) {
            return;
        }
        if let Some(left_out) = self.shared.log.allows() {
            tracing::error!(peer = ?self.peer_address(), ?error, left_out, "a request failed in its handler");
        }
    }

    /// Answers a request that cannot be read, and ends the connection.
    pub(super) async fn refuse(&mut self, refusal: Refusal) {
        self.shared.counters.refused(refusal);
        if let Some(exchange) = self.exchange() {
            exchange.queue_error(refusal.status(), refusal.reason());
        }
        self.tell_of(refusal);
        self.close_in_stages().await;
    }

    /// Calls the hook for a request that no handler sees.
    fn tell_of(&self, refusal: Refusal) {
        let Some(hook) = self.shared.on_refusal.get() else {
            return;
        };
        let head = self.buffers.as_ref().map(|buffers| buffers.head());
        let line = head.and_then(Head::request_line);
        hook(&Refused {
            peer: self.peer_address(),
            refusal,
            method: line.map(|(method, ..)| method),
            target: line.map(|(_, target, _)| target),
            version: line.map(|(.., version)| version),
        });
    }
}

fn reason(error: &Error) -> &'static str {
    error
        .refusal()
        .map_or("internal server error", Refusal::reason)
}

/// Returns true if an error is the handler's: neither the client's fault nor the end of its connection.
fn is_ours(error: &Error) -> bool {
    error.refusal().is_none() && error.client_error().is_none() && !error.is_disconnect()
}
