//! The bytes of answers on their way to the client.
//!
//! # Invariants
//!
//! - Always: `bytes[written..]` is queued. The buffer is empty once all of it is written.
//! - Never: an answer is taken back after a byte of it has been written.

use http::{Method, StatusCode};

use crate::error::InvalidAnswer;
use crate::headers::AnswerHeaders;
use crate::proto::answer_cache::{AnswerCache, AnswerKey};
use crate::proto::encode::{self, Decided, OwnLines};

/// The queue of bytes for the client.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    written: usize,
    /// The start of the newest head, as long as no byte of it has been written.
    unsent_head: Option<usize>,
    /// Field lines for the next head, which the handler or the server makes.
    added: Vec<u8>,
    cache: AnswerCache,
}

/// If this many bytes are queued, they are written before more are queued.
const HIGH_WATER: usize = 64 * 1024;

/// A larger write buffer is not kept.
const OUTPUT_KEPT_MAX: usize = 32 * 1024;

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub(crate) fn queued(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Returns true if some of the queued bytes should be written before more are queued.
    pub(crate) fn has_much(&self) -> bool {
        self.queued().len() >= HIGH_WATER
    }

    /// Notes that so many of the queued bytes have been written.
    pub(crate) fn add_written(&mut self, count: usize) {
        self.written += count;
        if self.is_empty() {
            // The memory stays. The next answer on this connection then costs no allocation.
            self.bytes.clear();
            (self.written, self.unsent_head) = (0, None);
            return;
        }
        // A head can be taken back only as long as it is whole in the queue.
        self.unsent_head = self
            .unsent_head
            .filter(|head| self.written <= *head && *head < self.bytes.len());
    }

    /// Queues bytes of a body, or of its framing.
    #[inline]
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the buffer, so that the caller can append to it.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Queues the head of the last answer again, and `body` after it. Returns false if the key or the fields
    /// differ, or if the two are too much. Then the queue is unchanged.
    #[inline]
    pub(crate) fn repeat(
        &mut self,
        key: AnswerKey,
        headers: &impl AnswerHeaders,
        body: &[u8],
    ) -> bool {
        // The cache has no lines that a middleware adds, because they differ from answer to answer.
        if !self.added.is_empty() {
            return false;
        }
        let Some(head) = self.cache.get(key, headers) else {
            return false;
        };
        let start = self.bytes.len();
        // The caller does not wait after this. So the queue must stay below the mark at which it would have to.
        if start + head.len() + body.len() >= HIGH_WATER {
            return false;
        }
        self.unsent_head = Some(start);
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(body);
        true
    }

    /// Empties the cache of the last answer's head.
    pub(crate) fn forget_cached(&mut self) {
        self.cache.forget();
    }

    /// Queues the head of an answer.
    ///
    /// # Errors
    ///
    /// If the handler's fields cannot be sent. Then the queue is unchanged.
    pub(crate) fn push_head(
        &mut self,
        status: StatusCode,
        decided: Decided,
        own: OwnLines<'_>,
        headers: &impl AnswerHeaders,
    ) -> Result<Decided, InvalidAnswer> {
        // Set before the head is encoded: if that fails, the queue ends here, and taking back removes no byte.
        self.unsent_head = Some(self.bytes.len());
        let added = &self.added;
        let own = OwnLines { added, ..own };
        let cache = &mut self.cache;
        encode::push_head(&mut self.bytes, cache, status, decided, own, headers)
    }

    /// Queues a head that is not taken back: an interim one, or one of another protocol.
    ///
    /// # Errors
    ///
    /// As [`push_head`](Self::push_head).
    pub(crate) fn push_bare(
        &mut self,
        status: StatusCode,
        decided: Decided,
        own: OwnLines<'_>,
        headers: &impl AnswerHeaders,
    ) -> Result<Decided, InvalidAnswer> {
        let cache = &mut self.cache;
        // The added lines are left out: they belong to the final answer. `unsent_head` stays, as this head is sent in
        // any case.
        encode::push_head(&mut self.bytes, cache, status, decided, own, headers)
    }

    /// Queues a whole answer of the server's own.
    pub(crate) fn push_error(
        &mut self,
        status: StatusCode,
        text: &str,
        method: &Method,
        own: OwnLines<'_>,
    ) {
        let added = &self.added;
        let own = OwnLines { added, ..own };
        encode::push_error(&mut self.bytes, status, text, method, own);
    }

    /// Takes the newest answer back if no byte of it has been written. Returns true if it did.
    pub(crate) fn retract(&mut self) -> bool {
        match self.unsent_head.take() {
            Some(head) => {
                self.bytes.truncate(head);
                true
            }
            None => false,
        }
    }

    /// Returns the field lines for the next head.
    pub(crate) fn added(&mut self) -> &mut Vec<u8> {
        &mut self.added
    }

    #[inline]
    pub(super) fn clear_added(&mut self) {
        self.added.clear();
    }

    pub(super) fn is_clean(&self) -> bool {
        self.bytes.is_empty()
            && self.unsent_head.is_none()
            && self.bytes.capacity() <= OUTPUT_KEPT_MAX
            && self.added.capacity() == 0
    }

    /// Empties the queue, and frees memory that is not kept. The cache stays.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.written = 0;
        self.unsent_head = None;
        // One large answer must not keep its memory in the pool for ever.
        self.bytes.shrink_to(OUTPUT_KEPT_MAX);
        self.added = Vec::new();
    }
}
