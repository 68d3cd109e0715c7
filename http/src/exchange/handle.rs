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

use http::{Method, StatusCode};

use crate::buffers::{AnswerState, Buffers};
use crate::error::{ClientError, Error, InvalidAnswer, Refusal, Result};
use crate::headers::AnswerHeaders;
use crate::limits::Limits;
use crate::proto::answer_cache::AnswerKey;
use crate::proto::encode::{self, Decided};
use crate::proto::framing::AnswerFraming;
use crate::proto::head::Head;
use crate::proto::keep_alive::Persistence;
use crate::shared::ServerState;
use crate::transport::io::Io;
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

    /// Calls `f` with the field lines that are added to the next head.
    pub(crate) fn with_added<T>(&self, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        f(self.buffers.output().added())
    }
}

/// Answering instead of the handler.
impl Exchange<'_> {
    /// Answers a request in which its handler has found a fault.
    pub(crate) fn queue_client_error(&self, error: &ClientError) {
        let text = format!("{error}\n");
        match self.queue_head(error.status(), Some(text.len() as u64), error) {
            Ok(decided) => {
                if decided.framing.sends_body() {
                    self.buffers.output().queue(text.as_bytes());
                }
                self.set_answer(AnswerState::Complete);
            }
            // The error's own fields cannot be sent, so the client receives it without them.
            Err(_) => self.queue_error(error.status(), error.text()),
        }
    }

    /// Answers a request that has failed. The connection closes after this answer.
    pub(crate) fn queue_error(&self, status: StatusCode, text: &str) {
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

    /// Queues 100 if the client waits for it, and if the answer has not begun.
    pub(super) fn queue_continue(&self) {
        let owed = self.buffers.body().take_owed_continue();
        if owed && self.buffers.answer() == AnswerState::Awaited {
            self.buffers.output().queue(encode::CONTINUE);
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
