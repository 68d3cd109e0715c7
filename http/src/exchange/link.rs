//! Moves an exchange's bytes between its buffers and the stream.
//!
//! # How it works
//!
//! A [`Link`] is three references, freely copied into request, body and answer: the working set (what
//! is to be moved), the stream (where to), and the server's shared part (by which rules).
//!
//! # Invariants
//!
//! - Always: a wait for the peer has a deadline.
//! - Never: a cell of the exchange borrowed across a poll of the stream's waits.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, StatusCode};
use waterwheel_runtime::budget;
use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use crate::buffers::Work;
use crate::buffers::state::{AnswerState, BodyPiece, Written};
use crate::error::{ClientError, Error, InvalidAnswer, Refusal, Result, of_peer};
use crate::error_answer::{ErrorAnswer, ErrorHook, PageFields};
use crate::headers::AnswerHeaders;
use crate::log;
use crate::proto::answer_cache::AnswerKey;
use crate::proto::encode::{self, Decided};
use crate::proto::framing::AnswerFraming;
use crate::proto::keep_alive::Persistence;
use crate::shared::ServerState;
use crate::shared::disconnect::OnHalfClose;
use crate::transport::io::Io;

/// A body up to this size is copied behind its head, so that both go out in one piece with
/// whatever else is queued; a larger one is written from where it is.
pub(crate) const COPIED_MAX: usize = 16 * 1024;

/// What is written in one call of what the handler has: the kernel may take megabytes at once, and
/// meanwhile nobody else has a turn.
const WRITE_BYTES_MAX: usize = 256 * 1024;

/// Bytes that one read discards at most.
const DISCARDED_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy)]
pub(crate) struct Link<'c> {
    pub(crate) work: &'c Work,
    pub(crate) io: &'c dyn Io,
    pub(crate) shared: &'c ServerState,
}

/// Writing.
impl Link<'_> {
    /// Writes everything that is queued, and waits until the transport has passed it on.
    pub(crate) async fn flush(&self) -> Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_write_queue(cx, Io::poll_write_one))?;
        let flushed = self.io.poll_flush(cx);
        self.or_held_back(flushed, cx)
    }

    /// As [`poll_flush`](Self::poll_flush), behind a first write that did not take the whole queue.
    pub(crate) fn poll_flush_behind(
        &self,
        first: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        ready!(self.poll_written(first, cx))?;
        self.poll_flush(cx)
    }

    /// Writes everything that is queued, and the end behind it: mostly both in one segment.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_write_queue(cx, Io::poll_write_last))?;
        let ended = self.io.poll_end(cx);
        self.or_held_back(ended, cx)
    }

    #[inline]
    fn poll_write_queue(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&dyn Io, &mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<Result<()>> {
        self.or_stalled_before()?;
        while !self.work.exchange.output.borrow().is_empty() {
            ready!(budget::poll_spend(cx, 1)); // the transport may always have room
            let poll = write(self.io, cx, self.work.exchange.output.borrow().queued());
            ready!(self.poll_written(poll, cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes in what a write of what is queued has come to.
    #[inline]
    fn poll_written(
        &self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let count = ready!(self.or_stalled(written, cx))?;
        self.work.exchange.output.borrow_mut().add_written(count);
        Poll::Ready(Ok(()))
    }

    /// Waits until there is room for more to be queued.
    pub(crate) async fn back_pressure(&self) -> Result<()> {
        let has_much = self.work.exchange.output.borrow().has_much();
        if has_much {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what is queued, and then `data` from where it is.
    pub(crate) async fn write_through(&self, data: &[u8]) -> Result<()> {
        let mut written = 0;
        poll_fn(|cx| self.poll_write_through(cx, data, &mut written)).await
    }

    fn poll_write_through(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        written: &mut usize,
    ) -> Poll<Result<()>> {
        self.or_stalled_before()?;
        while *written < data.len() {
            ready!(budget::poll_spend(cx, 1));
            let (poll, queued) = {
                let output = self.work.exchange.output.borrow();
                let queued = output.queued();
                let end = data.len().min(*written + WRITE_BYTES_MAX);
                let slices = [IoSlice::new(queued), IoSlice::new(&data[*written..end])];
                let slices = if queued.is_empty() {
                    &slices[1..]
                } else {
                    &slices[..]
                };
                (self.io.poll_write(cx, slices), queued.len())
            };
            let count = ready!(self.or_stalled(poll, cx))?;
            let of_output = count.min(queued);
            self.work
                .exchange
                .output
                .borrow_mut()
                .add_written(of_output);
            *written += count - of_output;
        }
        self.poll_flush(cx)
    }

    /// Sends up to `count` bytes of a file by the transport itself; `None` if it cannot. The end of
    /// the file is 0.
    pub(crate) async fn send_file(
        &self,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Result<usize>> {
        if let Err(error) = self.or_stalled_before() {
            return Some(Err(error));
        }
        let count = count.min(WRITE_BYTES_MAX);
        poll_fn(|cx| {
            ready!(budget::poll_spend(cx, 1));
            match self.io.poll_send_file(cx, file, offset, count) {
                Some(Poll::Ready(Ok(0))) => Poll::Ready(Some(Ok(0))),
                Some(poll) => self.or_stalled(poll, cx).map(Some),
                None => Poll::Ready(None),
            }
        })
        .await
    }

    /// A write that waits, waits only so long.
    #[inline]
    fn or_stalled(
        &self,
        poll: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        match poll {
            Poll::Ready(Ok(count)) if count > 0 => {
                self.work.exchange.note_taken();
                self.work.exchange.note_written(count);
                self.shared.counters.bytes_written.add(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Ok(_)) => Poll::Ready(Err(of_peer(io::ErrorKind::WriteZero.into()).into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(of_peer(error).into())),
            Poll::Pending => {
                let stall = &self.work.exchange.write_stall;
                self.poll_stalled(stall, cx)
                    .map(|stalled| Err(stalled.into()))
            }
        }
    }

    /// A flush or an end that waits, waits as long as a write may.
    #[inline]
    pub(crate) fn or_held_back(
        &self,
        poll: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let stall = &self.work.exchange.flush_stall;
        match poll {
            Poll::Ready(done) => {
                stall.take();
                Poll::Ready(done.map_err(|error| of_peer(error).into()))
            }
            Poll::Pending => self
                .poll_stalled(stall, cx)
                .map(|stalled| Err(stalled.into())),
        }
    }

    #[cold]
    fn poll_stalled(
        &self,
        stall: &Cell<Option<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        if !self.is_stalled() {
            let held_bytes = self.io.held_bytes();
            if self.work.exchange.held_bytes.replace(held_bytes) > held_bytes {
                self.work.exchange.note_taken();
            }
            let limit = self.shared.limits.write_stall_duration_max;
            // The clock comes first: discarding may spend all of the budget.
            if poll_stall(stall, cx, || Instant::now() + limit).is_pending() {
                if self.is_last() {
                    // A client may read nothing before it has sent everything.
                    self.discard(cx);
                }
                return Poll::Pending;
            }
            self.work.exchange.written.set(Written::Stalled);
            self.shared.counters.write_timeouts.one();
            // Else the kernel would keep what it has, perhaps megabytes, for minutes.
            self.io.reset_on_drop();
        }
        Poll::Ready(stalled())
    }

    /// # Errors
    ///
    /// If the client has stalled. The connection ends in a reset, so no more is written.
    #[inline]
    fn or_stalled_before(&self) -> Result<()> {
        if self.is_stalled() {
            return Err(stalled().into());
        }
        Ok(())
    }

    /// Queues an answer like the last one, with a head that is there already; says whether it did,
    /// and there is no need to send anything at once.
    #[inline]
    pub(crate) fn repeat(
        &self,
        status: StatusCode,
        body: &[u8],
        headers: &impl AnswerHeaders,
    ) -> bool {
        let length = body.len() as u64;
        let framing = self.framing(status, Some(length));
        if framing != AnswerFraming::Sized(length) || body.len() > COPIED_MAX {
            return false;
        }
        let persistence = self.persistence();
        let asked = AnswerKey {
            status,
            length,
            persistence,
            own: self.shared.own_lines.number(),
        };
        let is_repeated = self
            .work
            .exchange
            .output
            .borrow_mut()
            .repeat(asked, headers, body);
        if is_repeated {
            self.work.exchange.persistence.set(persistence);
            self.work.exchange.answer.set(AnswerState::Complete);
        }
        is_repeated
    }

    /// Queues the head of an answer, decided and validated.
    ///
    /// # Errors
    ///
    /// If the handler's fields cannot be sent. Then nothing is queued.
    pub(crate) fn queue_head(
        &self,
        status: StatusCode,
        length: Option<u64>,
        headers: &impl AnswerHeaders,
    ) -> Result<Decided> {
        let framing = self.framing(status, length);
        let makes_tunnel = || *self.work.head.method() == Method::CONNECT;
        if framing == AnswerFraming::Bare && (status != StatusCode::NO_CONTENT || makes_tunnel()) {
            return Err(no_answer(status));
        }
        let decided = Decided {
            framing,
            persistence: self.persistence(),
        };
        let decided = self.shared.own_lines.with(|own| {
            let output = &mut self.work.exchange.output.borrow_mut();
            output.push_head(status, decided, own, headers)
        })?;
        self.work.exchange.persistence.set(decided.persistence);
        Ok(decided)
    }

    /// Queues a head without a body behind which the connection goes on: interim, or to another
    /// protocol.
    pub(crate) fn queue_bare(
        &self,
        status: StatusCode,
        headers: &impl AnswerHeaders,
    ) -> Result<()> {
        let decided = Decided {
            framing: AnswerFraming::Bare,
            persistence: Persistence::Persist,
        };
        self.shared.own_lines.with(|own| {
            let output = &mut self.work.exchange.output.borrow_mut();
            output.push_bare(status, decided, own, headers)
        })?;
        Ok(())
    }

    /// How the end of such an answer is found.
    #[inline]
    fn framing(&self, status: StatusCode, length: Option<u64>) -> AnswerFraming {
        let head = &self.work.head;
        AnswerFraming::of(head.method(), head.version(), status, length)
    }

    /// What becomes of the connection, as things stand.
    fn persistence(&self) -> Persistence {
        if self.shared.is_closing() {
            return Persistence::Close;
        }
        let limits = &self.shared.limits;
        self.work.exchange.persistence(limits.drain_bytes_max)
    }

    /// Queues the answer to a request that its handler found fault with. `error` is the one that it returned.
    /// Returns the length of the sent body.
    pub(crate) fn queue_blame(&self, blame: &ClientError, error: Option<&Error>) -> usize {
        let status = blame.status();
        let text = format!("{blame}\n");
        let queued = self
            .queue_page(status, blame.text(), error, blame.fields())
            .or_else(|| self.queue_whole(status, text.as_bytes(), blame).ok());
        queued.unwrap_or_else(|| {
            self.queue_plain_error(status, blame.text());
            text.len()
        })
    }

    /// Queues the answer to a request that went wrong, after which the connection closes.
    pub(crate) fn queue_error(&self, status: StatusCode, text: &str, error: Option<&Error>) {
        // Set before the head is made, so that the head of a hook's answer announces the end, too.
        self.work.exchange.persistence.set(Persistence::Close);
        let retry_after =
            encode::retry_after(status).map(|(name, value)| (name.into(), value.into()));
        if self
            .queue_page(status, text, error, retry_after.as_slice())
            .is_none()
        {
            self.queue_plain_error(status, text);
        }
    }

    /// Queues an error answer with the body that a hook makes, and with these fields if the hook leaves them
    /// out. Returns the length of the sent body. Returns `None` if there is no hook, no request line, or if the
    /// hook has failed.
    fn queue_page(
        &self,
        status: StatusCode,
        text: &str,
        error: Option<&Error>,
        original: &[(Cow<'static, str>, Cow<'static, str>)],
    ) -> Option<usize> {
        let of_router = self.work.exchange.extensions.get::<ErrorHook>();
        // The hook of the server is asked last, because a router knows its requests better.
        let hook = of_router.as_deref().or(self.shared.error_hook.as_ref())?;
        let (method, target, _) = self.work.head.request_line()?;
        let bytes = self.work.input.filled();
        let answer = ErrorAnswer {
            status,
            text,
            refusal: error.and_then(Error::refusal),
            error,
            method,
            target,
            headers: (self.work.head_bytes > 0).then(|| self.work.head.headers(bytes)),
        };
        let queued = hook.call(&answer).and_then(|(page, body)| {
            let page = &page;
            self.queue_whole(status, &body, &PageFields { page, original })
        });
        match queued {
            Ok(sent) => Some(sent),
            Err(error) => {
                // Any client can cause error answers, so the lines about them have a limit.
                if let Some(left_out) = self.shared.log.allows() {
                    log::error_hook_failed(&error, left_out);
                }
                None
            }
        }
    }

    /// Queues a whole answer, and returns the length of its body as it is sent.
    fn queue_whole(
        &self,
        status: StatusCode,
        body: &[u8],
        headers: &impl AnswerHeaders,
    ) -> Result<usize> {
        let decided = self.queue_head(status, Some(body.len() as u64), headers)?;
        self.work.exchange.answer.set(AnswerState::Complete);
        if !decided.framing.sends_body() {
            return Ok(0);
        }
        let out = &mut self.work.exchange.output.borrow_mut().bytes;
        out.extend_from_slice(body);
        Ok(body.len())
    }

    fn queue_plain_error(&self, status: StatusCode, text: &str) {
        self.shared.own_lines.with(|own| {
            let output = &mut self.work.exchange.output.borrow_mut();
            output.push_error(status, text, self.work.head.method(), own);
        });
        self.work.exchange.answer.set(AnswerState::Complete);
        self.work.exchange.persistence.set(Persistence::Close);
    }
}

/// Reading behind the last request.
impl Link<'_> {
    /// Returns true if the present answer is the last one and the body of its request has been read.
    /// Then bytes that come have no use.
    fn is_last(&self) -> bool {
        let exchange = &self.work.exchange;
        let is_answered = matches!(
            exchange.answer.get(),
            AnswerState::Streaming | AnswerState::Complete
        );
        is_answered && !exchange.persistence.get().persists() && exchange.is_read()
    }

    /// Reads and discards all bytes that are there, as far as the task's budget goes.
    #[cold]
    pub(crate) fn discard(&self, cx: &mut Context<'_>) {
        while budget::poll_spend(cx, 1).is_ready()
            && matches!(poll_discard(self.io, self.shared, cx), Poll::Ready(Ok(1..)))
        {}
    }

    /// Returns true if the client has taken no byte for too long. Then the connection is cut.
    #[inline]
    pub(crate) fn is_stalled(&self) -> bool {
        self.work.exchange.written.get() == Written::Stalled
    }
}

/// Reads once, and discards the bytes; 0 is the end of the stream.
#[inline(never)] // keeps the scrap out of the loop's frame
pub(crate) fn poll_discard(
    io: &dyn Io,
    shared: &ServerState,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut scrap = [0; DISCARDED_BYTES];
    let read = ready!(io.poll_read(cx, &mut scrap));
    if let Ok(count) = read {
        shared.counters.bytes_read.add(count);
    }
    Poll::Ready(read)
}

/// What log lines and middleware ask.
impl Link<'_> {
    /// Returns the value of the first added field of that name (in any case), if it is UTF-8.
    pub(crate) fn added_header(&self, name: &str) -> Option<String> {
        let output = self.work.exchange.output.borrow();
        let lines = output.added.split(|byte| *byte == b'\n');
        let fields = lines.filter_map(|line| {
            let line = str::from_utf8(line.strip_suffix(b"\r")?).ok()?;
            line.split_once(": ")
        });
        let mut named = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.to_owned())
    }
}

/// Waiting.
impl Link<'_> {
    /// Waits until the peer has left, by what the server makes of the end of its direction.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.shared.departure.half_close {
            OnHalfClose::KeepServing => self.io.poll_closed(cx),
            OnHalfClose::Disconnect => self.io.poll_read_closed(cx),
        }
    }
}

/// Reading.
impl Link<'_> {
    /// Reads up to `buffer.len()` bytes of the body; 0 is its end. `behind` is what came behind
    /// the head.
    pub(crate) fn poll_read_body(
        &self,
        cx: &mut Context<'_>,
        behind: &[u8],
        buffer: &mut [u8],
    ) -> Poll<Result<usize>> {
        loop {
            let mut at = 0;
            let taken = self.take(behind, buffer.len(), &mut |data| {
                buffer[at..at + data.len()].copy_from_slice(data);
                at += data.len();
            })?;
            match taken {
                BodyPiece::Bytes(count) => return Poll::Ready(Ok(count)),
                BodyPiece::End => return Poll::Ready(Ok(0)),
                BodyPiece::Nothing => {}
            }
            let direct = self.work.exchange.body.borrow().direct(behind);
            if let Some(left) = direct {
                return self.poll_read_direct(cx, buffer, left);
            }
            ready!(self.poll_more(cx))?;
        }
    }

    /// Gives the next piece of the body to `sink`; `false` is its end.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        behind: &[u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<bool>> {
        loop {
            match self.take(behind, usize::MAX, sink)? {
                BodyPiece::Bytes(_) => return Poll::Ready(Ok(true)),
                BodyPiece::End => return Poll::Ready(Ok(false)),
                BodyPiece::Nothing => ready!(self.poll_more(cx))?,
            }
        }
    }

    /// Out of what is here already.
    pub(crate) fn take(
        &self,
        behind: &[u8],
        max: usize,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<BodyPiece, Refusal> {
        self.work
            .exchange
            .body
            .borrow_mut()
            .take(behind, max, &self.shared.limits, sink)
    }

    fn poll_read_direct(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        left: u64,
    ) -> Poll<Result<usize>> {
        ready!(self.poll_continue(cx))?;
        // A transport that always has more must not hold the thread.
        ready!(budget::poll_spend(cx, 1));
        let max = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let poll = self.io.poll_read(cx, &mut buffer[..max]);
        let count = ready!(self.or_too_slow(poll, cx))?;
        self.work.exchange.body.borrow_mut().add_direct(count);
        Poll::Ready(Ok(count))
    }

    /// Reads more of the body into its buffer.
    fn poll_more(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_continue(cx))?;
        ready!(budget::poll_spend(cx, 1));
        let poll = self
            .io
            .poll_read(cx, self.work.exchange.body.borrow_mut().room());
        let count = ready!(self.or_too_slow(poll, cx))?;
        self.work.exchange.body.borrow_mut().add(count);
        Poll::Ready(Ok(()))
    }

    /// The client may be waiting for 100: now is the time, unless the answer is out already.
    fn poll_continue(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let owed = std::mem::take(&mut self.work.exchange.body.borrow_mut().owes_continue);
        if owed && self.work.exchange.answer.get() == AnswerState::Awaited {
            self.work
                .exchange
                .output
                .borrow_mut()
                .bytes
                .extend_from_slice(encode::CONTINUE);
        }
        self.poll_flush(cx)
    }

    /// A read that waits, waits only so long; and one that finds the end, finds it too early.
    fn or_too_slow(
        &self,
        poll: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize>> {
        let stall = &self.work.exchange.read_stall;
        let refusal = match poll {
            Poll::Ready(Ok(0)) => Refusal::BodyCutShort,
            Poll::Ready(count) => {
                stall.take();
                if let Ok(count) = count {
                    self.shared.counters.bytes_read.add(count);
                }
                return Poll::Ready(count.map_err(|error| of_peer(error).into()));
            }
            Poll::Pending => {
                ready!(poll_stall(stall, cx, || self.body_deadline()));
                Refusal::BodyTooSlow
            }
        };
        self.work.exchange.body.borrow_mut().break_off(refusal);
        Poll::Ready(Err(refusal.into()))
    }

    /// When the body is too slow: nothing for a while, or too little for too long.
    fn body_deadline(&self) -> Instant {
        let now = Instant::now();
        let limits = &self.shared.limits;
        let stalled = now + limits.body_stall_duration_max;
        let mut body = self.work.exchange.body.borrow_mut();
        let since = *body.waiting_since.get_or_insert(now);
        let earned_seconds = body.received / u64::from(limits.body_bytes_per_second_min.max(1));
        let earned = since + limits.body_stall_duration_max + Duration::from_secs(earned_seconds);
        if limits.body_bytes_per_second_min == 0 {
            stalled
        } else {
            stalled.min(earned)
        }
    }
}

/// The error for a status that ends no request: an interim one, or success to CONNECT, which would make
/// a tunnel of the connection and is `Request::tunnel`'s.
#[cold]
fn no_answer(status: StatusCode) -> Error {
    if status.is_success() {
        Refusal::ConnectUnanswerable.into() // the client asks for a tunnel that the handler does not make
    } else {
        InvalidAnswer::Status.into()
    }
}

/// The error of a write to a client that has taken no byte for too long.
#[cold]
fn stalled() -> io::Error {
    of_peer(io::Error::new(
        io::ErrorKind::TimedOut,
        "the peer takes no more of its answer",
    ))
}

/// Waits until the time of `sleep` has come.
///
/// A sleep spends budget if it is found to be over before its timer has fired. A client that sends without an
/// end makes its task spend the whole budget in each poll, and the sleep would be refused each time. So this
/// asks the clock of the turn first.
pub(crate) fn poll_due(sleep: &mut Sleep, cx: &mut Context<'_>) -> Poll<()> {
    if sleep.deadline() <= Instant::of_turn() {
        return Poll::Ready(());
    }
    Pin::new(sleep).poll(cx)
}

/// Runs the stall's clock while a wait lasts; ready when it has lasted too long.
fn poll_stall(
    stall: &Cell<Option<Box<Sleep>>>,
    cx: &mut Context<'_>,
    deadline: impl FnOnce() -> Instant,
) -> Poll<()> {
    let mut sleep = stall
        .take()
        .unwrap_or_else(|| Box::new(sleep_until(deadline())));
    let poll = poll_due(&mut sleep, cx);
    stall.set(Some(sleep));
    poll
}
