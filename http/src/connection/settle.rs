//! How an exchange ends, and how all of them do.
//!
//! Whatever a handler did or failed to do, the request at hand is answered or the connection is cut;
//! what it left of the body is read past, or the connection closes; and a client that is still
//! sending is given the time to see its answer.

use std::any::Any;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Version;
use waterwheel_runtime::race;
use waterwheel_runtime::time::{Instant, sleep};

use super::watch::{Ended, Watch};
use super::{Connection, Stage};
use crate::body::{Drained, drain};
use crate::error::{Error, Refusal, Result};
use crate::exchange::Answer;
use crate::io::Io;
use crate::proto::head::Head;
use crate::proto::keep_alive::Persistence;
use crate::refused::Refused;
use crate::responded::Responded;
use crate::upgrade::Upgraded;

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
    /// To send what is queued, which is not all, and to close.
    Cut,
    /// To send what is queued, and to close.
    Close,
    /// The same, but the client is still sending.
    Linger,
    /// To close.
    Over,
}

impl<T: Io> Connection<T> {
    /// Polls a handler. Whatever is queued when it waits goes out; its panic ends here.
    ///
    /// Pinned where it stands: a handler's future may be large, and is not moved.
    pub(super) fn drive<'a>(
        &'a self,
        mut handler: Pin<&'a mut impl Future<Output = Result<Responded>>>,
    ) -> impl Future<Output = Outcome> {
        let mut watch = Watch::default();
        poll_fn(
            move |cx| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
                Ok(Poll::Ready(Ok(Responded { .. }))) => Poll::Ready(Outcome::Answered),
                Ok(Poll::Ready(Err(error))) => Poll::Ready(Outcome::Failed(error)),
                Ok(Poll::Pending) => self.poll_waiting(cx, &mut watch),
                Err(payload) => Poll::Ready(Outcome::Failed(panicked(&*payload))),
            },
        )
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
        // An error here will be met again by whoever writes next.
        drop(link.poll_flush(cx));
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
            Verdict::Cut => {
                self.stage = Stage::Ending;
                Then::Cut
            }
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
        // The client's next request may be under way, and would turn the end into a reset, which costs
        // what is still in the kernel of this answer (RFC 9112, 9.6). Who has to be rid of connections does
        // not wait for that.
        let may_go_on = work.head.persistence().persists() && !self.shared.is_closing();
        work.advance();
        // If this is given up from here on, nothing that comes is taken for a request.
        self.stage = Stage::Ending;
        match (persists, drained) {
            (true, Drained::Whole) => {
                self.stage = Stage::Between;
                Then::Next
            }
            // Nothing is left unread, or to come, that could cost the client its answer.
            (false, Drained::Whole) if work.input.is_empty() && !may_go_on => Then::Close,
            _ => Then::Linger,
        }
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
                Then::Cut => drop(self.flush().await),
                Then::Close => drop(self.end().await),
                Then::Linger => self.close_lingering().await,
                Then::Over => {}
            }
            break;
        }
        ControlFlow::Break(())
    }

    /// Sends what is queued, and the end with it: mostly both in one segment. The end is said before
    /// the connection is closed, since a byte that comes meanwhile would turn that into a reset.
    async fn end(&self) -> Result<()> {
        if let (Some(link), Some(io)) = (self.link(), &self.io) {
            link.flush_last().await?;
            io.end_writing()?;
        }
        Ok(())
    }

    /// Sends what is queued, and gives the stream to whom it was promised, with what has been read
    /// of it.
    async fn hand_over(&mut self) {
        if self.flush().await.is_err() {
            return;
        }
        if let (Some(mut work), Some(io)) = (self.work.take(), self.io.take()) {
            work.advance();
            let read = work.input.filled().to_vec();
            if let Some(promise) = work.exchange.promise.take() {
                promise.keep(Upgraded::new(io, read, self.peer.get()));
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
            if link.work.head.version() == Version::HTTP_10 {
                // An end in good order would be taken for the answer's (RFC 9112, 8).
                link.io.reset_on_drop();
            }
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
            tracing::error!(peer = ?self.peer.get(), ?error, left_out, "a request failed in its handler");
        }
    }

    /// Answers a request that cannot be read, and ends the connection.
    pub(super) async fn refuse(&mut self, refusal: Refusal) {
        self.shared.counters.refused(refusal);
        if let Some(link) = self.link() {
            link.queue_error(refusal.status(), refusal.reason());
        }
        self.tell_of(refusal);
        self.close_lingering().await;
    }

    /// Calls the hook for a request that no handler has seen.
    fn tell_of(&self, refusal: Refusal) {
        let Some(hook) = self.shared.on_refusal.get() else {
            return;
        };
        let head = self.work.as_ref().map(|work| &work.head);
        let line = head.and_then(Head::request_line);
        hook(&Refused {
            peer: self.peer.get(),
            refusal,
            method: line.map(|(method, ..)| method),
            target: line.map(|(_, target, _)| target),
            version: line.map(|(.., version)| version),
        });
    }

    /// Sends what is queued, ends the writing direction, and reads on for a while: a client that
    /// is still sending would lose the answer to a reset otherwise.
    pub(super) async fn close_lingering(&mut self) {
        self.stage = Stage::Ending;
        self.shared.register.ends(self.key);
        let Some(io) = &self.io else { return };
        if self.end().await.is_ok() {
            let limits = &self.shared.limits;
            let mut left = limits.linger_bytes_max;
            let discarded = poll_fn(|cx| poll_discard(io, cx, &mut left));
            race(discarded, sleep(limits.linger_duration_max)).await;
        }
    }
}

/// Reads and throws away, until the end. Beyond the cap nothing more is read: then the client's own
/// sending stops, and it has time left to look at its answer.
fn poll_discard(io: &impl Io, cx: &mut Context<'_>, left: &mut u64) -> Poll<()> {
    let mut scrap = [0; 4096];
    while *left > 0 {
        match ready!(io.poll_read(cx, &mut scrap)) {
            Ok(0) | Err(_) => return Poll::Ready(()),
            Ok(count) => *left = left.saturating_sub(count as u64),
        }
    }
    io.poll_read_closed(cx)
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
    Error::message(format!("the handler panicked: {}", panic_message(payload)))
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}
