//! The handle of one request and its answer, and the heads that it queues.
//!
//! # How it works
//!
//! An [`Exchange`] is three references, so it is copied freely into the request, its body and its answer: the
//! buffers (the bytes to be moved), the stream (where they go), and the state of the server (the rules).
//!
//! - This file: the heads of answers, which are queued.
//! - [`write`](super::write): the queue is written, and a write that waits for too long ends the connection.
//! - [`read`](super::read): the body is read, and a client that sends it too slowly is refused.
//!
//! # Invariants
//!
//! - Always: only this handle and the connection reach the buffers.
//! - Always: a wait for the peer has a deadline.
//! - Never: a cell of the buffers is borrowed while the stream is polled for a wait.

use std::borrow::Cow;

use http::{Method, StatusCode};

use crate::buffers::{AnswerState, Buffers};
use crate::error::{ClientError, Error, InvalidAnswer, Refusal, Result};
use crate::extensions::Extensions;
use crate::headers::AnswerHeaders;
use crate::limits::Limits;
use crate::log;
use crate::proto::answer_cache::AnswerKey;
use crate::proto::encode::{self, Decided};
use crate::proto::framing::AnswerFraming;
use crate::proto::head::Head;
use crate::proto::keep_alive::Persistence;
use crate::shared::ServerState;
use crate::shared::error_answer::{ErrorAnswer, ErrorHook, PageFields};
use crate::transport::io::Io;
use crate::transport::shutdown_signal::ShutdownSignal;
use crate::transport::upgrade::Promise;

/// A body up to this size is copied behind its head, so that one write sends both with all other queued bytes. A
/// larger one is written from the handler's memory.
pub(crate) const COPIED_MAX: usize = 16 * 1024;

/// One request and its answer.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'c> {
    pub(super) buffers: &'c Buffers,
    pub(super) io: &'c dyn Io,
    pub(super) shared: &'c ServerState,
}

/// The request, and the state of its answer.
impl<'c> Exchange<'c> {
    #[inline]
    pub(crate) fn new(buffers: &'c Buffers, io: &'c dyn Io, shared: &'c ServerState) -> Self {
        Self {
            buffers,
            io,
            shared,
        }
    }

    #[inline]
    pub(crate) fn io(&self) -> &'c dyn Io {
        self.io
    }

    #[inline]
    pub(crate) fn limits(&self) -> &'c Limits {
        &self.shared.limits
    }

    #[inline]
    pub(crate) fn head(&self) -> &'c Head {
        self.buffers.head()
    }

    /// Returns the bytes that have arrived, from the first byte of the head.
    #[inline]
    pub(crate) fn bytes_from_head(&self) -> &'c [u8] {
        self.buffers.unread()
    }

    pub(crate) fn extensions(&self) -> &'c Extensions {
        self.buffers.extensions()
    }

    pub(crate) fn shutdown_signal(&self) -> ShutdownSignal {
        self.shared.ending.clone()
    }

    pub(crate) fn answer(&self) -> AnswerState {
        self.buffers.answer()
    }

    #[inline]
    pub(crate) fn set_answer(&self, state: AnswerState) {
        self.buffers.set_answer(state);
    }

    /// Notes that the answer passes the stream on to the owner of this promise's other half.
    pub(crate) fn set_promise(&self, promise: Promise) {
        self.buffers.set_promise(promise);
    }

    /// Returns true if the connection serves another request after this answer.
    pub(crate) fn persists(&self) -> bool {
        self.buffers.persistence().persists()
    }

    /// Notes that the connection closes after this answer.
    pub(crate) fn close_after(&self) {
        self.buffers.set_persistence(Persistence::Close);
    }
}

/// Queueing an answer.
impl Exchange<'_> {
    /// Queues an answer whose head equals that of the last one. Returns false if the head differs, or if the queue
    /// has to be written first. Then the queue is unchanged.
    #[inline]
    pub(crate) fn repeat(
        &self,
        status: StatusCode,
        body: &[u8],
        headers: &impl AnswerHeaders,
    ) -> bool {
        let length = body.len() as u64;
        let framing = self.framing(status, Some(length));
        // Only the usual framing is cached. All other answers take the way through all checks (LOG 13).
        if framing != AnswerFraming::Sized(length) || body.len() > COPIED_MAX {
            return false;
        }
        let persistence = self.decide_persistence();
        let key = AnswerKey {
            status,
            length,
            persistence,
            own: self.shared.own_lines.number(),
        };
        // One borrow for head and body, and no result in memory (LOG 43, 44).
        let is_repeated = self.buffers.output().repeat(key, headers, body);
        if is_repeated {
            self.buffers.set_persistence(persistence);
            self.buffers.set_answer(AnswerState::Complete);
        }
        is_repeated
    }

    /// Makes sure that the next answer does not [repeat](Self::repeat) the last one.
    pub(crate) fn forget_cached_answer(&self) {
        self.buffers.output().forget_cached();
    }

    /// Queues the head of an answer, and returns the decisions that stand in it.
    ///
    /// # Errors
    ///
    /// If the status is that of no final answer, or if the handler's fields cannot be sent. Then the queue is
    /// unchanged.
    pub(crate) fn queue_head(
        &self,
        status: StatusCode,
        length: Option<u64>,
        headers: &impl AnswerHeaders,
    ) -> Result<Decided> {
        let framing = self.framing(status, length);
        let makes_tunnel = || *self.head().method() == Method::CONNECT;
        // A handler's answer ends its request. A bare head does so with 204 alone.
        if framing == AnswerFraming::Bare && (status != StatusCode::NO_CONTENT || makes_tunnel()) {
            return Err(no_answer(status));
        }
        let decided = Decided {
            framing,
            persistence: self.decide_persistence(),
        };
        // The handler's fields may change the decisions: `connection: close`, or a Content-Length.
        let decided = self.shared.own_lines.with(|own| {
            let output = &mut self.buffers.output();
            output.push_head(status, decided, own, headers)
        })?;
        self.buffers.set_persistence(decided.persistence);
        Ok(decided)
    }

    /// Queues a head without a body, after which the connection continues: an interim one, or one of another
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
            let output = &mut self.buffers.output();
            output.push_bare(status, decided, own, headers)
        })?;
        Ok(())
    }

    /// Returns how the client finds the end of such an answer.
    #[inline]
    fn framing(&self, status: StatusCode, length: Option<u64>) -> AnswerFraming {
        let head = self.head();
        AnswerFraming::of(head.method(), head.version(), status, length)
    }

    /// Decides whether the connection serves another request after an answer that is made now.
    #[inline]
    fn decide_persistence(&self) -> Persistence {
        let buffers = self.buffers;
        // The body must end where the next request begins. A rest that is too long to be discarded, or that the
        // client sends only after 100, ends the connection.
        let is_kept = !self.shared.is_closing()
            && (!buffers.has_body()
                || buffers.body().can_be_drained(self.limits().drain_bytes_max));
        if is_kept {
            buffers.persistence()
        } else {
            Persistence::Close
        }
    }

    /// Returns true if so many bytes are queued that some should be written first.
    #[inline]
    pub(crate) fn has_much_queued(&self) -> bool {
        self.buffers.output().has_much()
    }

    /// Calls `append` with the queue, so that it can append bytes of a body or of its framing.
    #[inline]
    pub(crate) fn queue_with<T>(&self, append: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        append(self.buffers.output().buffer())
    }

    /// Returns the value of the first added field of that name (in any case), if it is UTF-8.
    pub(crate) fn added_header(&self, name: &str) -> Option<String> {
        let mut output = self.buffers.output();
        // The lines are parsed again, because only middleware looks for them, and each answer would pay for a map.
        let lines = output.added().split(|byte| *byte == b'\n');
        let fields = lines.filter_map(|line| {
            let line = str::from_utf8(line.strip_suffix(b"\r")?).ok()?;
            line.split_once(": ")
        });
        let mut named = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.to_owned())
    }

    /// Removes the added Set-Cookie field of this name.
    #[cfg(feature = "sessions")]
    pub(crate) fn remove_cookie(&self, name: &str) {
        let start = format!("set-cookie: {name}=");
        let is_named = |line: &[u8]| line.starts_with(start.as_bytes());
        self.with_added(|lines| encode::remove_added(lines, is_named));
    }

    /// Calls `f` with the field lines that are added to the next head.
    pub(crate) fn with_added<T>(&self, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        f(self.buffers.output().added())
    }
}

/// Answering instead of the handler.
impl Exchange<'_> {
    /// Queues the answer to a request in which its handler has found a fault. `error` is the one that the handler
    /// returned. Returns the length of the sent body.
    pub(crate) fn queue_client_error(
        &self,
        client_error: &ClientError,
        error: Option<&Error>,
    ) -> usize {
        let status = client_error.status();
        let text = format!("{client_error}\n");
        let queued = self
            .queue_page(status, client_error.text(), error, client_error.fields())
            .or_else(|| self.queue_whole(status, text.as_bytes(), client_error).ok());
        // The error's own fields may be ones that cannot be sent. Then the client receives it without them.
        queued.unwrap_or_else(|| {
            self.queue_plain_error(status, client_error.text());
            text.len()
        })
    }

    /// Queues the answer to a request that has failed. The connection closes after this answer.
    pub(crate) fn queue_error(&self, status: StatusCode, text: &str, error: Option<&Error>) {
        // Set before the head is made, so that the head of a hook's answer announces the end, too.
        self.close_after();
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
        // The router has put its hook among the values of the request, because the core knows no router.
        let of_router = self.extensions().get::<ErrorHook>();
        // The hook of the server is asked last, because a router knows its requests better.
        let hook = of_router.as_deref().or(self.shared.error_hook.as_ref())?;
        let (method, target, _) = self.head().request_line()?;
        let bytes = self.bytes_from_head();
        let answer = ErrorAnswer {
            status,
            text,
            refusal: error.and_then(Error::refusal),
            error,
            method,
            target,
            headers: self
                .buffers
                .has_request()
                .then(|| self.head().headers(bytes)),
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
        self.set_answer(AnswerState::Complete);
        if !decided.framing.sends_body() {
            return Ok(0);
        }
        self.buffers.output().queue(body);
        Ok(body.len())
    }

    fn queue_plain_error(&self, status: StatusCode, text: &str) {
        self.shared.own_lines.with(|own| {
            let output = &mut self.buffers.output();
            output.push_error(status, text, self.head().method(), own);
        });
        self.set_answer(AnswerState::Complete);
        self.close_after();
    }

    /// Takes the answer back if no byte of it has been written. Returns true if it did.
    pub(crate) fn retract(&self) -> bool {
        self.buffers.output().retract()
    }

    /// Returns true if a complete answer stays in the queue while its handler waits.
    pub(crate) fn is_held(&self) -> bool {
        self.buffers.is_held()
    }

    /// Queues 100 if the client waits for it, and if the answer has not begun.
    pub(super) fn queue_continue(&self) {
        let owed = self.buffers.body().take_owed_continue();
        if owed && self.buffers.answer() == AnswerState::Awaited {
            self.buffers.output().queue(encode::CONTINUE);
        }
    }
}

/// A complete answer that stays in the queue while middleware still works on it. Its drop takes the answer back, if no
/// byte of it has been written, so that an error or no answer takes its place.
#[cfg(feature = "sessions")]
pub(crate) struct HeldAnswer<'c>(Exchange<'c>);

#[cfg(feature = "sessions")]
impl<'c> HeldAnswer<'c> {
    pub(crate) fn new(exchange: Exchange<'c>) -> Self {
        exchange.buffers.set_held(true);
        Self(exchange)
    }

    /// Lets the answer go.
    pub(crate) fn release(self) {
        self.0.buffers.set_held(false);
    }
}

#[cfg(feature = "sessions")]
impl Drop for HeldAnswer<'_> {
    fn drop(&mut self) {
        // A released answer is not held.
        let was_held = self.0.is_held();
        self.0.buffers.set_held(false);
        if was_held && self.0.answer() == AnswerState::Complete && self.0.retract() {
            self.0.set_answer(AnswerState::Awaited);
        }
    }
}

/// Returns the error for a status that ends no request: an interim one, or success to CONNECT. That would make the
/// connection a tunnel, which only `Request::tunnel` does.
#[cold]
fn no_answer(status: StatusCode) -> Error {
    if status.is_success() {
        Refusal::ConnectUnanswerable.into() // the client asks for a tunnel that the handler does not make
    } else {
        InvalidAnswer::Status.into()
    }
}
