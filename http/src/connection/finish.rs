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
use crate::buffers::state::{AnswerState, Written};
use crate::error::{Error, Refusal};
use crate::exchange::body::drain;
use crate::exchange::link::Link;
use crate::log;
use crate::proto::head::Head;
use crate::proto::keep_alive::Persistence;
use crate::shared::refused::Refused;
use crate::transport::io::Io;
use crate::transport::upgrade::{OfServer, Upgraded};

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
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a call costs 4 % of a pipelined request (LOG R20)"
    )]
    pub(super) fn finish_request(&mut self, outcome: Outcome) -> Next {
        self.count_handled();
        // The usual way is short, and all others are out of line (LOG 13).
        if let Outcome::Answered = outcome
            && let Some(work) = &mut self.work
            && work.exchange.is_through()
        {
            work.advance();
            return Next::Request;
        }
        self.finish_otherwise(outcome)
    }

    /// The same for a request that was pulled.
    pub(super) fn finish_pulled(&mut self) -> Next {
        self.count_handled();
        self.finish_otherwise(Outcome::Pulled)
    }

    #[inline]
    fn count_handled(&self) {
        self.shared.counters.handled(|| {
            let begun = self.work.as_ref().and_then(|work| work.begun);
            Some(Instant::now() - begun?)
        });
    }

    #[inline(never)]
    fn finish_otherwise(&mut self, outcome: Outcome) -> Next {
        let next = self.judge(outcome);
        match (next, &mut self.work) {
            (Next::Cut, _) => self.leave_cut(),
            (Next::Request, None) => Next::Drop,
            (Next::Request, Some(work)) if work.exchange.answer.get() == AnswerState::HandsOver => {
                Next::HandOver
            }
            (Next::Request, Some(work)) if !work.exchange.is_read() => Next::Drain,
            (Next::Request, Some(_)) => self.leave(true),
            (next, _) => next,
        }
    }

    /// Goes on behind an answered request if its body `is_drained`, and closes otherwise.
    #[inline]
    fn leave(&mut self, is_drained: bool) -> Next {
        let Some(work) = &mut self.work else {
            return Next::Drop;
        };
        let persists = work.exchange.persistence.get().persists();
        // A transport of the user's may have more to send than the answer: over TLS, its end.
        let is_plain = self.io.as_ref().is_some_and(|io| io.info().is_none());
        work.advance();
        if persists && is_drained {
            return Next::Request;
        }
        // From here on, no byte is taken for a request, even if this is given up.
        self.shared.connections.close(self.id);
        if !persists && is_drained && is_plain && work.ends_here() {
            Next::Close
        } else {
            Next::CloseInStages
        }
    }

    /// The queue goes out, but it must not look like a whole answer.
    fn leave_cut(&mut self) -> Next {
        self.shared.connections.close(self.id);
        let Some(work) = &mut self.work else {
            return Next::Drop;
        };
        let exchange = &mut work.exchange;
        if exchange.written.get() == Written::Stalled {
            return Next::Drop;
        }
        if work.head.version() == Version::HTTP_10 {
            // An end in good order would be taken for the answer's (RFC 9112, 8).
            return Next::Reset;
        }
        let is_first = self.shared.connections.requests(self.id) == 1;
        let is_silent = exchange.answer.get() == AnswerState::Aborted && is_first;
        if is_silent && exchange.output.get_mut().is_empty() {
            return Next::Drop;
        }
        Next::CloseInStages
    }

    /// Does the step. Breaks if the connection is over.
    pub(super) async fn carry_out(&mut self, mut next: Next) -> ControlFlow<()> {
        if let Next::Drain = next
            && let Some(link) = self.link()
        {
            let is_drained = drain(link, self.behind()).await;
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
        if let Some(link) = self.link() {
            link.io.reset_on_drop();
            let _sent = link.flush().await; // the connection ends either way
        }
    }

    /// Sends the queue, and gives the stream to the task that it was promised to, with the bytes that have
    /// been read of it.
    async fn hand_over(&mut self) {
        if let Some(link) = self.link()
            && link.flush().await.is_err()
        {
            return;
        }
        let peer = self.peer_address();
        if let (Some(mut work), Some(io)) = (self.work.take(), self.io.take()) {
            work.advance();
            let read = work.input.filled().to_vec();
            if let Some(promise) = work.exchange.promise.take() {
                self.shared.counters.upgrades.one();
                let server = OfServer {
                    entry: Box::new(self.shared.connections.upgrade(self.id)),
                    ending: self.shared.ending.clone(),
                    cutting: self.shared.cutting.clone(),
                };
                promise.keep(Upgraded::new(unwrapped(io), read, peer, server));
            }
            self.shared.give_back(work);
        }
    }

    /// The bytes that came behind the head at the front.
    fn behind(&self) -> &[u8] {
        self.work
            .as_ref()
            .map_or(&[], |work| &work.input.filled()[work.head_bytes..])
    }

    /// Answers the request if the handler has not. Returns `Request` if an answer is queued whole, `Cut` if
    /// none is, and `Drop` if the client is gone.
    pub(super) fn judge(&self, outcome: Outcome) -> Next {
        let Some(link) = self.link() else {
            return Next::Drop;
        };
        let answer = link.work.exchange.answer.get();
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
        self.answer_failure(link, answer, &error)
    }

    /// Logs an error, and answers the request if that is possible.
    #[cold]
    fn answer_failure(&self, link: Link<'_>, answer: AnswerState, error: &Error) -> Next {
        match error.refusal() {
            Some(refusal) => link.shared.counters.refused(refusal),
            None if is_ours(error) => link.shared.counters.handler_failures.one(),
            None => {} // the handler has done its work
        }
        self.log(error);
        let unsent = match answer {
            AnswerState::Awaited => true,
            AnswerState::Streaming => link.work.exchange.output.borrow_mut().retract(),
            AnswerState::Complete | AnswerState::HandsOver | AnswerState::Aborted => {
                // The answer is queued and cannot be taken back. A stream that is promised changes hands.
                link.work.exchange.persistence.set(Persistence::Close);
                return Next::Request;
            }
        };
        if !unsent {
            return Next::Cut;
        }
        match error.client_error() {
            Some(blame) => drop(link.queue_blame(blame, Some(error))),
            None => link.queue_error(error.status(), reason(error), Some(error)),
        }
        Next::Request
    }

    /// Logs the error of a handler. One of the client or the network has a line only for debugging.
    fn log(&self, error: &Error) {
        let is_ours = is_ours(error) || error.refusal() == Some(Refusal::HandlerTooSlow);
        if !is_ours && !log::is_debugging() {
            return;
        }
        let Some(link) = self.link() else { return };
        // A copy, so only for lines that are written.
        let id = link.added_header(log::REQUEST_ID);
        let subject = self.subject(id.as_deref());
        if is_ours {
            if let Some(left_out) = self.shared.log.allows() {
                log::handler_failed(subject, error, left_out);
            }
        } else if error.is_disconnect() {
            log::client_left(subject, error);
        } else {
            log::refused(subject, error.status(), &error.to_string());
        }
    }

    /// The request that a log line is about, as far as its head is known.
    fn subject<'a>(&'a self, id: Option<&'a str>) -> log::Subject<'a> {
        let head = self.work.as_ref().map(|work| &work.head);
        let line = head.and_then(Head::request_line);
        log::Subject {
            method: line.map(|(method, ..)| method),
            target: line.map(|(_, target, _)| target),
            peer: self.peer_address(),
            id,
        }
    }

    /// Queues the answer to a request that cannot be read. The connection ends behind it.
    #[cold]
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Next {
        self.shared.counters.refused(refusal);
        if let Some(link) = self.link() {
            link.queue_error(refusal.status(), refusal.reason(), Some(&refusal.into()));
        }
        if log::is_debugging() {
            log::refused(self.subject(None), refusal.status(), refusal.reason());
        }
        self.tell_of(refusal);
        Next::CloseInStages
    }

    /// Calls the hook for a request that no handler sees.
    fn tell_of(&self, refusal: Refusal) {
        let Some(hook) = self.shared.on_refusal.get() else {
            return;
        };
        let head = self.work.as_ref().map(|work| &work.head);
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
