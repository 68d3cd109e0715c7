//! How an exchange ends, and how all of them do.
//!
//! Whatever a handler did or failed to do, the request at hand is answered or the connection is cut;
//! what it left of the body is read past, or the connection closes.

use std::any::Any;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Version;
use waterwheel_runtime::time::Instant;
use waterwheel_runtime::watch::poll_named;

use super::watch::{Ended, Watch};
use super::{Connection, Stage};
use crate::buffers::state::{Answer, Written};
use crate::connection::transport::unwrapped;
use crate::error::{Error, Refusal, Result, panic_text};
use crate::exchange::body::{Drained, drain};
use crate::exchange::responded::Responded;
use crate::proto::head::Head;
use crate::proto::keep_alive::Persistence;
use crate::shared::refused::Refused;
use crate::transport::io::Io;
use crate::transport::upgrade::Upgraded;

/// How a handler ended.
pub(super) enum Outcome {
    /// With what proves an answer.
    Answered,
    /// There was none: the request was pulled, and has been dropped since.
    Pulled,
    /// With an error: its own, the watch's, or what is said of a panic.
    Failed(Error),
    /// It was dropped: its client has left.
    Gone,
}

/// What a request has come to.
enum Verdict {
    /// Its answer is queued, whoever gave it.
    Answered,
    /// It has none, or half of one: what is queued goes out, and nothing else.
    Cut,
    /// There is nobody to answer.
    Gone,
}

/// What is to be done before the next request.
pub(super) enum Then {
    /// Nothing: there may be one.
    Next,
    /// To read past what is left of the body.
    Drain,
    /// To give the stream to whom it was promised.
    HandOver,
    /// To send what is queued, and to reset the connection.
    Reset,
    /// To send what is queued, and to close: the client sends no more.
    Close,
    /// The same, but the client may have sent more, or go on to.
    CloseInStages,
    /// To close.
    Over,
}

impl<T: Io> Connection<T> {
    /// Polls a handler. Whatever is queued when it waits goes out; its panic ends here.
    ///
    /// It is pinned where it stands: a handler's future may be large, and is not moved. In a debug build
    /// its name stands in the report of a poll that holds the thread.
    pub(super) fn drive<'a>(
        &'a self,
        mut handler: Pin<&'a mut impl Future<Output = Result<Responded>>>,
        name: &'static str,
    ) -> impl Future<Output = Outcome> {
        let mut watch = Watch::default();
        poll_fn(move |cx| {
            let poll = || poll_named(name, || handler.as_mut().poll(cx));
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Ready(Ok(Responded { .. }))) => Poll::Ready(Outcome::Answered),
                Ok(Poll::Ready(Err(error))) => Poll::Ready(Outcome::Failed(error)),
                Ok(Poll::Pending) => self.poll_waiting(cx, &mut watch),
                Err(payload) => Poll::Ready(Outcome::Failed(panicked(&*payload))),
            }
        })
    }

    /// A handler has panicked outside its polls: when it was called, or its future dropped. Its request
    /// is answered as after any other panic; what is to be done then is found when it is
    /// [finished](Self::finish).
    ///
    /// # Panics
    ///
    /// When no request is at hand: the panic is not a handler's, and goes on.
    #[cold]
    pub(crate) fn take_panic(&self, payload: Box<dyn Any + Send>) {
        if self.stage != Stage::Handling {
            resume_unwind(payload);
        }
        let verdict = self.judge(Outcome::Failed(panicked(&*payload)));
        if let (Verdict::Cut, Some(link)) = (verdict, self.link()) {
            link.work.exchange.answer.set(Answer::Aborted);
        }
    }

    /// The handler waits.
    fn poll_waiting(&self, cx: &mut Context<'_>, watch: &mut Watch) -> Poll<Outcome> {
        let Some(link) = self.link() else {
            return Poll::Ready(Outcome::Gone);
        };
        // The handler may never write again, so a client that takes nothing is cut here. Its next write
        // meets any other error.
        if link.poll_flush(cx).is_ready() && link.is_stalled() {
            return Poll::Ready(Outcome::Gone);
        }
        watch.poll(link, cx).map(|ended| match ended {
            Ended::TooSlow => Outcome::Failed(Refusal::HandlerTooSlow.into()),
            Ended::Gone => Outcome::Gone,
        })
    }

    /// The handler is done, one way or the other: sees to it that the request is answered, and says
    /// how to get to the next one.
    #[inline]
    pub(super) fn settle(&mut self, outcome: Outcome) -> Then {
        self.shared.counters.handled(|| {
            let begun = self.work.as_ref().and_then(|work| work.begun);
            Some(Instant::now() - begun?)
        });
        let Outcome::Answered = outcome else {
            return self.settle_rest(outcome);
        };
        if let Some(work) = &mut self.work
            && work.exchange.is_through()
        {
            work.advance(); // mostly so
            self.stage = Stage::Between;
            return Then::Next;
        }
        self.settle_rest(Outcome::Answered)
    }

    /// All ways but the short one.
    #[inline(never)]
    fn settle_rest(&mut self, outcome: Outcome) -> Then {
        match self.judge(outcome) {
            Verdict::Answered => self.leave_answered(),
            Verdict::Cut => self.leave_cut(),
            Verdict::Gone => Then::Over,
        }
    }

    #[inline]
    fn leave_answered(&mut self) -> Then {
        match &mut self.work {
            None => Then::Over,
            Some(work) if work.exchange.answer.get() == Answer::HandsOver => Then::HandOver,
            Some(work) if !work.exchange.is_read() => Then::Drain,
            Some(_) => self.leave(&Drained::Whole),
        }
    }

    /// Goes on behind the request, if the end of its body was found.
    #[inline]
    fn leave(&mut self, drained: &Drained) -> Then {
        let Some(work) = &mut self.work else {
            return Then::Over;
        };
        let persists = work.exchange.persistence.get().persists();
        // A transport of its own may have more to say than the request: over TLS, that it ends.
        let is_plain = self.io.as_ref().is_some_and(|io| io.info().is_none());
        work.advance();
        // If this is given up from here on, nothing that comes is taken for a request.
        self.stage = Stage::Closing;
        match (persists, drained) {
            (true, Drained::Whole) => {
                self.stage = Stage::Between;
                Then::Next
            }
            (false, Drained::Whole) if is_plain && work.ends_here() => Then::Close,
            _ => Then::CloseInStages,
        }
    }

    /// What is queued goes out, and not in place of an answer.
    fn leave_cut(&mut self) -> Then {
        self.stage = Stage::Closing;
        let Some(work) = &mut self.work else {
            return Then::Over;
        };
        let exchange = &mut work.exchange;
        if exchange.written.get() == Written::Stalled {
            return Then::Over;
        }
        if work.head.version() == Version::HTTP_10 {
            // An end in good order would be taken for the answer's (RFC 9112, 8).
            return Then::Reset;
        }
        let is_first = self.shared.register.requests(self.key) == 1;
        let says_nothing = exchange.answer.get() == Answer::Aborted && is_first;
        if says_nothing && exchange.output.get_mut().is_empty() {
            return Then::Over;
        }
        Then::CloseInStages
    }

    /// Does what is to be done; breaks when the connection is over.
    pub(super) async fn carry_out(&mut self, mut then: Then) -> ControlFlow<()> {
        loop {
            match then {
                Then::Next => return ControlFlow::Continue(()),
                Then::Drain => {
                    let Some(link) = self.link() else { break };
                    let drained = drain(link, self.behind()).await;
                    then = self.leave(&drained);
                    continue;
                }
                Then::HandOver => self.hand_over().await,
                Then::Reset => self.reset().await,
                Then::Close | Then::CloseInStages => self.close_in_stages().await,
                Then::Over => {}
            }
            break;
        }
        ControlFlow::Break(())
    }

    /// Sends what is queued, and lets the connection end in a reset.
    async fn reset(&mut self) {
        if let Some(link) = self.link() {
            link.io.reset_on_drop();
            drop(link.flush().await);
        }
    }

    /// Sends what is queued, and gives the stream to whom it was promised, with what has been read
    /// of it.
    async fn hand_over(&mut self) {
        if self.flush().await.is_err() {
            return;
        }
        let peer = self.peer_address();
        if let (Some(mut work), Some(io)) = (self.work.take(), self.io.take()) {
            work.advance();
            let read = work.input.filled().to_vec();
            if let Some(promise) = work.exchange.promise.take() {
                promise.keep(Upgraded::new(unwrapped(io), read, peer));
            }
            self.shared.give_back(work);
        }
    }

    /// What came behind the head at the front.
    fn behind(&self) -> &[u8] {
        self.work
            .as_ref()
            .map_or(&[], |work| &work.input.filled()[work.head_bytes..])
    }

    /// Looks at what became of the request, and answers it if nobody has.
    fn judge(&self, outcome: Outcome) -> Verdict {
        let Some(link) = self.link() else {
            return Verdict::Gone;
        };
        let answer = link.work.exchange.answer.get();
        let error = match (outcome, answer) {
            (Outcome::Answered | Outcome::Pulled, Answer::Complete | Answer::HandsOver) => {
                return Verdict::Answered;
            }
            (Outcome::Gone, _) => return Verdict::Gone,
            (_, Answer::Aborted) => return Verdict::Cut,
            (Outcome::Answered, _) => {
                Error::message("the handler gave back a Responded of another request")
            }
            (Outcome::Pulled, _) => Error::message("a pulled request was dropped unanswered"),
            (Outcome::Failed(error), _) => error,
        };
        match error.refusal() {
            Some(refusal) => link.shared.counters.refused(refusal),
            None if is_ours(&error) => link.shared.counters.handler_failures.one(),
            None => {} // the handler has done its work
        }
        self.log(&error);
        let unsent = match answer {
            Answer::Awaited => true,
            Answer::Streaming => link.work.exchange.output.borrow_mut().retract(),
            Answer::Complete | Answer::HandsOver | Answer::Aborted => {
                // What is out, is out; a stream that is promised changes hands all the same.
                link.work.exchange.persistence.set(Persistence::Close);
                return Verdict::Answered;
            }
        };
        if !unsent {
            return Verdict::Cut;
        }
        match error.client_error() {
            Some(blame) => link.queue_blame(blame),
            None => link.queue_error(error.status(), reason(&error)),
        }
        Verdict::Answered
    }

    /// Errors that are the client's fault, or the network's, are no news to the operator.
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
        if let Some(link) = self.link() {
            link.queue_error(refusal.status(), refusal.reason());
        }
        self.tell_of(refusal);
        self.close_in_stages().await;
    }

    /// Calls the hook for a request that no handler has seen.
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

/// What is said of a panic.
#[cold]
fn panicked(payload: &(dyn Any + Send)) -> Error {
    Error::message(format!("the handler panicked: {}", panic_text(payload)))
}
