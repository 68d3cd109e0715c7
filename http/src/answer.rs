//! Answers: whole, or piece by piece.

use std::fmt;

use http::StatusCode;

use crate::error::{InvalidAnswer, Result};
use crate::exchange::Answer;
use crate::headers::AnswerHeaders;
use crate::link::{COPIED_MAX, Link};
use crate::proto::chunked;
use crate::proto::framing::AnswerFraming;
use crate::proto::head::Head;
use crate::proto::keep_alive::Persistence;

/// Proof that a request has been answered.
///
/// Only an answer makes one. The connection still checks that the request at hand was the one
/// answered: a `Responded` that was kept from another request is worth a 500.
#[derive(Debug)]
#[must_use = "a handler returns it"]
pub struct Responded(());

pub(crate) async fn respond(
    link: Link<'_>,
    head: &Head,
    status: StatusCode,
    body: &[u8],
    headers: &impl AnswerHeaders,
) -> Result<Responded> {
    let decided = link.queue_head(head, status, Some(body.len() as u64), headers)?;
    let body = if decided.framing.sends_body() {
        body
    } else {
        &[]
    };
    if body.len() <= COPIED_MAX {
        link.exchange
            .output
            .borrow_mut()
            .bytes
            .extend_from_slice(body);
        link.exchange.answer.set(Answer::Complete);
        link.back_pressure().await?;
    } else {
        link.exchange.answer.set(Answer::Streaming);
        link.write_through(body).await?;
        link.exchange.answer.set(Answer::Complete);
    }
    Ok(Responded(()))
}

pub(crate) async fn start<'c>(
    link: Link<'c>,
    head: &Head,
    status: StatusCode,
    headers: &impl AnswerHeaders,
) -> Result<AnswerBody<'c>> {
    let framing = link.queue_head(head, status, None, headers)?.framing;
    link.exchange.answer.set(Answer::Streaming);
    let left = match framing {
        AnswerFraming::Sized(length) => Some(length),
        _ => None,
    };
    link.back_pressure().await?;
    Ok(AnswerBody {
        link,
        framing,
        left,
    })
}

pub(crate) fn abort(link: Link<'_>) -> Responded {
    link.exchange.answer.set(Answer::Streaming);
    link.exchange.persistence.set(Persistence::Close);
    Responded(())
}

/// The body of an answer that is being sent.
///
/// Made by [`Request::start`](crate::Request::start). What is written is queued, and goes out when
/// the handler waits or there is much of it; [`flush`](Self::flush) sends it now. A slow reader
/// makes `write` wait: no more than 64 KiB are queued.
///
/// # Cancel safety
///
/// None: a `write` or `flush` that is dropped may have sent a part. Drop the whole body then; the
/// connection is cut.
#[must_use = "an answer that is not finished cuts the connection"]
pub struct AnswerBody<'c> {
    link: Link<'c>,
    framing: AnswerFraming,
    /// What an announced length leaves to be written.
    left: Option<u64>,
}

impl AnswerBody<'_> {
    /// Sends a piece. Where the answer may have no body (to HEAD, 204, 304), it goes nowhere.
    ///
    /// # Errors
    ///
    /// When it is more than was announced; when the peer is gone, or takes nothing for too long.
    pub async fn write(&mut self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        self.count(data.len() as u64)?;
        match self.framing {
            AnswerFraming::Chunked if !data.is_empty() => self.write_chunk(data).await,
            AnswerFraming::Sized(_) | AnswerFraming::UntilClose => self.write_plain(data).await,
            _ => Ok(()),
        }
    }

    fn count(&mut self, bytes: u64) -> Result<(), InvalidAnswer> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes).ok_or(InvalidAnswer::Length)?;
        }
        Ok(())
    }

    async fn write_chunk(&self, data: &[u8]) -> Result<()> {
        chunked::push_size_line(
            &mut self.link.exchange.output.borrow_mut().bytes,
            data.len(),
        );
        self.write_plain(data).await?;
        self.link
            .exchange
            .output
            .borrow_mut()
            .bytes
            .extend_from_slice(chunked::CHUNK_END);
        Ok(())
    }

    async fn write_plain(&self, data: &[u8]) -> Result<()> {
        if data.len() > COPIED_MAX {
            return self.link.write_through(data).await;
        }
        self.link
            .exchange
            .output
            .borrow_mut()
            .bytes
            .extend_from_slice(data);
        self.link.back_pressure().await
    }

    /// Sends what is queued.
    ///
    /// # Errors
    ///
    /// When the peer is gone, or takes nothing for too long.
    pub async fn flush(&mut self) -> Result<()> {
        self.link.flush().await
    }

    /// Ends the answer.
    ///
    /// # Errors
    ///
    /// When less was written than announced: then the connection is cut.
    pub async fn finish(self) -> Result<Responded> {
        self.finish_with_trailers(()).await
    }

    /// Ends the answer with trailer fields, which go out where the answer is chunked and are
    /// dropped where it is not.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish), and when a field may not be in a trailer (RFC 9110, 6.5.1).
    pub async fn finish_with_trailers(self, trailers: impl AnswerHeaders) -> Result<Responded> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(InvalidAnswer::Length.into());
        }
        if self.framing == AnswerFraming::Chunked {
            chunked::push_last_chunk(&mut self.link.exchange.output.borrow_mut().bytes, &trailers)?;
        }
        self.link.exchange.answer.set(Answer::Complete);
        self.link.back_pressure().await?;
        Ok(Responded(()))
    }
}

impl fmt::Debug for AnswerBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
