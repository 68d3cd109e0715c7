//! One request on its connection: its handler runs, and the request is finished.
//!
//! # How it works
//!
//! Four functions decide one after the other:
//!
//! ```text
//!  the handler's end ── run_handler ──► Outcome ── finish_request ──► Read, if all is through
//!                                                        │ otherwise
//!                                                        ▼
//!                        is a whole answer queued? ──► judge ──────► Read, Cut or Drop
//!                                                        │
//!                                                        ▼
//!                        what happens to the     finish_otherwise ─► Read, Drain, HandOver, Close,
//!                        connection?             leave, leave_cut    CloseInStages, Reset or Drop
//! ```
//!
//! ## 1. The handler's end
//!
//! | the handler | `Outcome` |
//! |---|---|
//! | returns `Ok` | `Answered` |
//! | returns an error, or panics in a poll | `Failed` |
//! | waits longer than `handler_duration_max` | `Failed` (`HandlerTooSlow`) |
//! | waits for something else while its client takes no byte | `Gone` (a write of its own fails instead) |
//! | waits while its client leaves, under `OnDisconnect::DropHandler` | `Gone` |
//! | panics when it is called, or when its future is dropped | `take_panic` judges `Failed`; the next future of the worker sees `Pulled` |
//! | does not exist: the program pulled the request and dropped it | `Pulled` |
//! | is dropped with its task, or cut by the server | no `Outcome`: the connection drops |
//!
//! ## 2. Is a whole answer queued? (`judge`)
//!
//! `finish_request` skips this for an `Answered` request that `is_through`: the answer is complete, the body is
//! read, the connection persists, and there are no extensions.
//!
//! | state of the answer | `Answered`, `Pulled` | `Failed` | `Gone` |
//! |---|---|---|---|
//! | `Awaited` | 500 is queued: `Read` | the error is queued: `Read` | `Drop` |
//! | `Streaming`, no byte of it is written | taken back; 500 is queued: `Read` | taken back; the error is queued: `Read` | `Drop` |
//! | `Streaming`, a byte of it is written | `Cut` | `Cut` | `Drop` |
//! | `Complete` or `HandsOver` | `Read` | the answer stays, the connection closes after it: `Read` | `Drop` |
//! | `Aborted` | `Cut` | `Cut` | `Drop` |
//!
//! A client error (`ClientError`) leaves the connection open. Each other error closes it after its answer.
//!
//! ## 3. What happens to the connection?
//!
//! The first row that fits decides.
//!
//! | `judge` returned | condition | `Next` | function |
//! |---|---|---|---|
//! | `Drop` | | `Drop` | `finish_otherwise` |
//! | `Read` | the answer is `HandsOver` | `HandOver` | `finish_otherwise` |
//! | `Read` | the body is not read | `Drain`, then a row of `leave` | `finish_otherwise`, `carry_out` |
//! | `Read` | the body is read or drained, and the connection persists | `Read`: the next request | `leave` |
//! | `Read` | the body is read or drained, the client sends no more (`ends_here`), and the transport is plain | `Close` | `leave` |
//! | `Read` | any other: the drain failed, or the client may send more | `CloseInStages` | `leave` |
//! | `Cut` | the client takes no byte | `Drop` | `leave_cut` |
//! | `Cut` | HTTP/1.0 | `Reset` | `leave_cut` |
//! | `Cut` | the first request is `Aborted`, and the queue is empty | `Drop` | `leave_cut` |
//! | `Cut` | any other: the client sees that the answer is not whole | `CloseInStages` | `leave_cut` |
//!
//! A connection that closes anyway does not drain: the drain fails at once. A connection without buffers
//! returns `Drop` everywhere.
//!
//! # Invariants
//!
//! - Always: after a handler, its request is answered, or the connection ends.
//! - Always: a handler's panic ends at its request.

use std::any::Any;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Version;
use waterwheel_runtime::time::{Instant, Sleep, sleep_until};
use waterwheel_runtime::watch::poll_named;

use super::transport::unwrapped;
use super::{Connection, Next};
use crate::buffers::stall_clock::poll_due;
use crate::buffers::{AnswerState, Written};
use crate::error::panics::{drop_contained, panic_text};
use crate::error::{Error, Refusal, Result};
use crate::exchange::body::drain;
use crate::exchange::handle::Exchange;
use crate::exchange::handler::Responded;
use crate::log;
use crate::proto::head::Head;
use crate::shared::connections::Phase;
use crate::shared::disconnect::OnDisconnect;
use crate::shared::reasons;
use crate::shared::refused::Refused;
use crate::shared::upgraded::UpgradedEntry;
use crate::transport::io::Io;
use crate::transport::upgrade::{OfServer, Upgraded};

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

// Running its handler.
impl<T: Io> Connection<T> {
    /// Polls a handler. While the handler waits, the connection writes the queue. A panic of the handler ends here.
    ///
    /// The handler is pinned where it stands, because its future may be large and should not move (LOG 3). In a
    /// debug build `name` stands in the report of a poll that holds the thread.
    pub(super) fn run_handler<'a>(
        &'a self,
        mut handler: Pin<&'a mut impl Future<Output = Result<Responded>>>,
        name: &'static str,
    ) -> impl Future<Output = Outcome> {
        let mut time = None;
        poll_fn(move |cx| {
            let request = move || {
                let request = self.request()?;
                Some((request.method().clone(), request.target().to_owned()))
            };
            let part = reasons::enter_handler(cx, request);
            let poll = || poll_named(name, || handler.as_mut().poll(cx));
            match catch_unwind(AssertUnwindSafe(poll)) {
                // The proof itself is not looked at: the state of the answer in the buffers decides.
                Ok(Poll::Ready(Ok(Responded { .. }))) => Poll::Ready(Outcome::Answered),
                Ok(Poll::Ready(Err(error))) => Poll::Ready(Outcome::Failed(error)),
                Ok(Poll::Pending) => {
                    part.waits();
                    self.poll_beside_handler(&mut time, cx)
                }
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
        // A stall that was known before has been reported to the handler's own write.
        let is_known = exchange.is_stalled();
        if !exchange.is_held() {
            let _flushed = exchange.poll_flush(cx); // the handler's next write meets an error again
        }
        if exchange.is_stalled() && !is_known {
            // No write of the handler waits, so the handler would not learn of it.
            reasons::client_gone();
            return Poll::Ready(Outcome::Gone);
        }
        // The clock starts at the first wait, and not with the request: most handlers never wait, and need no timer.
        if let Some(duration) = self.shared.limits.handler_duration_max {
            let time = time.get_or_insert_with(|| sleep_until(Instant::of_turn() + duration));
            if poll_due(time, cx).is_ready() {
                reasons::handler_too_slow();
                return Poll::Ready(Outcome::Failed(Refusal::HandlerTooSlow.into()));
            }
        }
        if self.shared.departure.disconnect == OnDisconnect::DropHandler {
            ready!(exchange.poll_gone(cx));
            reasons::client_gone();
            return Poll::Ready(Outcome::Gone);
        }
        Poll::Pending
    }

    /// Answers a request whose handler has panicked outside its polls: when it was called, or when its future
    /// was dropped. The next future of the worker finishes the request.
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
        // The state has to tell it, because the next future begins with the phase and the answer alone.
        if let (Next::Cut, Some(exchange)) = (next, self.exchange()) {
            exchange.set_answer(AnswerState::Aborted);
        }
    }
}

// Finishing it.
impl<T: Io> Connection<T> {
    /// Verifies that a request is answered after its handler has ended, and returns the next step.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a call costs 4 % of a pipelined request (LOG R20)"
    )]
    pub(super) fn finish_request(&mut self, outcome: Outcome) -> Next {
        self.count_handled();
        // The usual way is short, and all others are out of line (LOG 13).
        if let Outcome::Answered = outcome
            && let Some(buffers) = &mut self.buffers
            && buffers.is_through()
        {
            buffers.end_request();
            return Next::Read;
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
            let begun = self.buffers.as_ref().and_then(|buffers| buffers.begun());
            Some(Instant::now() - begun?)
        });
    }

    #[inline(never)]
    fn finish_otherwise(&mut self, outcome: Outcome) -> Next {
        let next = self.judge(outcome);
        if let Some(buffers) = &mut self.buffers {
            // Here, and not with each request: `is_through` sends those with values this way.
            buffers.clear_extensions();
        }
        match (next, &mut self.buffers) {
            (Next::Cut, _) => self.leave_cut(),
            (Next::Read, None) => Next::Drop,
            (Next::Read, Some(buffers)) if buffers.answer() == AnswerState::HandsOver => {
                Next::HandOver
            }
            (Next::Read, Some(buffers)) if !buffers.is_read() => Next::Drain,
            (Next::Read, Some(_)) => self.leave(true),
            (next, _) => next,
        }
    }

    /// Ends an answered request. The connection continues if it persists and the body `is_drained`. It closes
    /// otherwise.
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
            return Next::Read;
        }
        // From here on, no byte is taken for a request, even if the caller drops this future.
        self.shared.connections.close(self.id);
        if !persists && is_drained && is_plain && buffers.ends_here() {
            Next::Close
        } else {
            Next::CloseInStages
        }
    }

    /// Decides how a connection ends whose queue must not look like a whole answer to the client.
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
        // A handler that aborts the first request wants no byte to leave. After other requests, the queue may have
        // their answers, which the client must receive.
        let is_first = self.shared.connections.requests(self.id) == 1;
        let is_silent = buffers.answer() == AnswerState::Aborted && is_first;
        if is_silent && buffers.queued().is_empty() {
            return Next::Drop;
        }
        Next::CloseInStages
    }

    /// Does a step that may have to wait. Breaks if the connection is over.
    pub(super) async fn carry_out(&mut self, mut next: Next) -> ControlFlow<()> {
        // Draining comes first, because its result decides which of the other steps follows.
        if let Next::Drain = next
            && let Some(exchange) = self.exchange()
        {
            let is_drained = drain(exchange).await;
            next = self.leave(is_drained);
        }
        match next {
            Next::Read => return ControlFlow::Continue(()),
            Next::HandOver => self.hand_over().await,
            Next::Close if self.closes_at_once().await => {}
            Next::Close | Next::CloseInStages => self.close_in_stages().await,
            Next::Reset => {
                if let Some(exchange) = self.exchange() {
                    exchange.io().reset_on_drop();
                    let _sent = exchange.flush().await; // the connection ends either way
                }
            }
            Next::Handle | Next::Wait | Next::Drain | Next::Cut | Next::Drop => {}
        }
        ControlFlow::Break(())
    }

    /// Sends the queue, and passes the stream to the task that it was promised to, with the bytes that were read
    /// from it after the request.
    async fn hand_over(&mut self) {
        if let Some(exchange) = self.exchange()
            // The answer must be out before the stream changes hands, because its new owner writes to it at once.
            && exchange.flush().await.is_err()
        {
            return;
        }
        let peer = self.peer_address();
        if let (Some(mut buffers), Some(io)) = (self.buffers.take(), self.io.take()) {
            buffers.end_request();
            let read = buffers.unread().to_vec();
            if let Some(promise) = buffers.take_promise() {
                self.shared.counters.upgrades.one();
                let server = OfServer {
                    entry: Box::new(UpgradedEntry::new(&self.shared, self.id)),
                    ending: self.shared.ending.clone(),
                    cutting: self.shared.cutting.clone(),
                };
                promise.keep(Upgraded::new(unwrapped(io), read, peer, server));
            }
            self.shared.return_buffers(buffers);
        }
    }

    /// Answers the request if the handler has not. Returns `Read` if a whole answer is queued, `Cut` if it is not,
    /// and `Drop` if the client is gone.
    /// `finish_otherwise` turns `Read` and `Cut` into the step that follows.
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
                return Next::Read;
            }
            (Outcome::Gone, _) => return Next::Drop,
            (_, AnswerState::Aborted) => return Next::Cut,
            (Outcome::Answered, _) => {
                Error::message("the handler gave back a Responded of another request")
            }
            (Outcome::Pulled, _) => Error::message("a pulled request was dropped unanswered"),
            (Outcome::Failed(error), _) => error,
        };
        self.answer_failure(exchange, answer, &error)
    }

    /// Logs an error, and answers the request if that is possible.
    #[cold]
    fn answer_failure(&self, exchange: Exchange<'_>, answer: AnswerState, error: &Error) -> Next {
        match error.refusal() {
            Some(refusal) => self.shared.counters.refused(refusal),
            None if is_ours(error) => self.shared.counters.handler_failures.one(),
            None => {} // the handler has done its work
        }
        self.log(error);
        let unsent = match answer {
            AnswerState::Awaited => true,
            // The head and the first pieces may still be in the queue. Then the client receives a whole error instead.
            AnswerState::Streaming => exchange.retract(),
            AnswerState::Complete | AnswerState::HandsOver | AnswerState::Aborted => {
                // The answer is queued and cannot be taken back. A stream that is promised changes hands.
                exchange.close_after();
                return Next::Read;
            }
        };
        if !unsent {
            return Next::Cut;
        }
        if let Some(client_error) = error.client_error() {
            let _sent = exchange.queue_client_error(client_error, Some(error));
        } else {
            let reason = error.refusal().map(Refusal::reason);
            let text = reason.unwrap_or("internal server error");
            exchange.queue_error(error.status(), text, Some(error));
        }
        Next::Read
    }

    /// Logs the error of a handler. One of the client or the network has a line only for debugging.
    fn log(&self, error: &Error) {
        let is_behind_us = matches!(
            error.refusal(),
            Some(Refusal::HandlerTooSlow | Refusal::BadGateway | Refusal::GatewayTimeout)
        );
        let is_ours = is_ours(error) || is_behind_us;
        if !is_ours && !log::is_debugging() {
            return;
        }
        let Some(exchange) = self.exchange() else {
            return;
        };
        // A copy, so only for lines that are written.
        let id = exchange.added_header(log::REQUEST_ID);
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

    /// Returns the request that a log line is about, as far as its head is known.
    fn subject<'a>(&'a self, id: Option<&'a str>) -> log::Subject<'a> {
        let head = self.buffers.as_ref().map(|buffers| buffers.head());
        let line = head.and_then(Head::request_line);
        log::Subject {
            method: line.map(|(method, ..)| method),
            target: line.map(|(_, target, _)| target),
            peer: self.peer_address(),
            id,
        }
    }

    /// Queues the answer to a request that cannot be read. The connection ends after it.
    #[cold]
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Next {
        self.shared.counters.refused(refusal);
        if let Some(exchange) = self.exchange() {
            exchange.queue_error(refusal.status(), refusal.reason(), Some(&refusal.into()));
        }
        if log::is_debugging() {
            log::refused(self.subject(None), refusal.status(), refusal.reason());
        }
        // No handler sees this request, so an access log learns of it through the hook.
        if let Some(hook) = self.shared.on_refusal.get() {
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
        Next::CloseInStages
    }
}

/// Returns true if an error is the handler's: neither the client's fault nor the end of its connection.
fn is_ours(error: &Error) -> bool {
    error.refusal().is_none() && error.client_error().is_none() && !error.is_disconnect()
}

/// Makes an error of a handler's panic.
#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let error = Error::message(format!("the handler panicked: {}", panic_text(&*payload)));
    drop_contained(payload);
    error
}
