//! The bytes of answers on their way out.

use http::{Method, StatusCode};

use crate::error::InvalidAnswer;
use crate::headers::AnswerHeaders;
use crate::proto::answer_cache::{AnswerCache, AnswerKey};
use crate::proto::encode::{self, Decided, OwnLines};

/// Bytes queued for the peer.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: usize,
    /// Where the newest head begins, as long as nothing of it has been written.
    unsent_head: Option<usize>,
    /// Field lines for the next head, whoever gives the answer.
    pub(crate) added: Vec<u8>,
    rendered: AnswerCache,
}

/// More than this many queued bytes are written before more are queued.
const HIGH_WATER: usize = 64 * 1024;

/// A write buffer larger than this is not kept.
const OUTPUT_KEPT_MAX: usize = 32 * 1024;

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub(crate) fn queued(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Whether more is queued than should be before some of it is written.
    pub(crate) fn has_much(&self) -> bool {
        self.queued().len() >= HIGH_WATER
    }

    /// So many of the queued bytes are out.
    pub(crate) fn add_written(&mut self, count: usize) {
        self.written += count;
        if self.is_empty() {
            self.bytes.clear();
            (self.written, self.unsent_head) = (0, None);
            return;
        }
        self.unsent_head = self
            .unsent_head
            .filter(|head| self.written <= *head && *head < self.bytes.len());
    }

    /// Queues the last answer's head again, and `body` behind it, if just the same is asked for and
    /// that is not too much; says whether it did.
    #[inline]
    pub(crate) fn repeat(
        &mut self,
        asked: AnswerKey,
        headers: &impl AnswerHeaders,
        body: &[u8],
    ) -> bool {
        if !self.added.is_empty() {
            return false;
        }
        let Some(head) = self.rendered.get(asked, headers) else {
            return false;
        };
        let start = self.bytes.len();
        if start + head.len() + body.len() >= HIGH_WATER {
            return false;
        }
        self.unsent_head = Some(start);
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(body);
        true
    }

    /// Queues the head of an answer.
    ///
    /// # Errors
    ///
    /// If the handler's fields cannot be sent. Then nothing is queued.
    pub(crate) fn push_head(
        &mut self,
        status: StatusCode,
        decided: Decided,
        own: OwnLines<'_>,
        headers: &impl AnswerHeaders,
    ) -> Result<Decided, InvalidAnswer> {
        self.unsent_head = Some(self.bytes.len());
        let added = &self.added;
        let own = OwnLines { added, ..own };
        let rendered = &mut self.rendered;
        encode::push_head(&mut self.bytes, rendered, status, decided, own, headers)
    }

    /// Queues an interim head, before which nothing is taken back.
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
        let rendered = &mut self.rendered;
        encode::push_head(&mut self.bytes, rendered, status, decided, own, headers)
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

    /// Takes the newest answer back, if nothing of it is out yet; says whether it did.
    pub(crate) fn retract(&mut self) -> bool {
        match self.unsent_head.take() {
            Some(head) => {
                self.bytes.truncate(head);
                true
            }
            None => false,
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.bytes.is_empty()
            && self.unsent_head.is_none()
            && self.bytes.capacity() <= OUTPUT_KEPT_MAX
            && self.added.capacity() == 0
    }

    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.written = 0;
        self.unsent_head = None;
        self.bytes.shrink_to(OUTPUT_KEPT_MAX);
        self.added = Vec::new();
    }
}
