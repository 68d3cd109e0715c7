//! The body of an answer, sent as it is made.

use std::fmt;
use std::future::poll_fn;
use std::io;

use http::StatusCode;

use crate::buffers::state::AnswerState;
use crate::error::{Error, InvalidAnswer, Result, of_peer};
use crate::exchange::link::{COPIED_MAX, Link};
use crate::exchange::responded::Responded;
use crate::headers::AnswerHeaders;
use crate::proto::chunked;
use crate::proto::framing::AnswerFraming;

/// The body of an answer that is being sent.
///
/// Made by [`Request::start`](crate::Request::start). What is written is queued, and goes out when
/// the handler waits or there is much of it; [`flush`](Self::flush) sends it now. A slow reader
/// makes `write` wait: no more than 64 KiB are queued.
///
/// # Cancel safety
///
/// None: a `write` that is dropped, or has failed, may have sent a part. Whatever is called after that is an
/// error, [`finish`](Self::finish) too; return it, and the connection is cut. A `flush` may be dropped and
/// called again.
#[must_use = "an answer that is not finished cuts the connection"]
pub struct AnswerBody<'c> {
    pub(crate) link: Link<'c>,
    framing: AnswerFraming,
    status: StatusCode,
    /// What an announced length leaves to be written.
    left: Option<u64>,
    sent: u64,
    last: Piece,
}

/// How far the last piece came.
#[derive(Clone, Copy)]
enum Piece {
    /// All of it is queued or out, or there was none.
    Whole,
    /// Not to its end: it is being sent, or was given up.
    Begun,
    /// Not to its end: its source failed with this kind of error.
    Failed(io::ErrorKind),
    /// Not to its end: the connection to the client failed with this kind of error.
    Lost(io::ErrorKind),
}

impl<'c> AnswerBody<'c> {
    pub(crate) fn new(link: Link<'c>, status: StatusCode, framing: AnswerFraming) -> Self {
        let left = match framing {
            AnswerFraming::Sized(length) => Some(length),
            _ => None,
        };
        Self {
            link,
            framing,
            status,
            left,
            sent: 0,
            last: Piece::Whole,
        }
    }

    /// Sends a piece. Where the answer may have no body (to HEAD, 204, 304), it goes nowhere.
    ///
    /// # Errors
    ///
    /// When it is more than was announced; when the peer is gone, or takes nothing for too long; when
    /// a piece before it has failed, or was given up half-way.
    ///
    /// # Cancel safety
    ///
    /// None: see [`AnswerBody`].
    pub async fn write(&mut self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        self.begin_piece(data.len() as u64)?;
        let outcome = match self.framing {
            AnswerFraming::Chunked if !data.is_empty() => self.write_chunk(data).await,
            AnswerFraming::Sized(_) | AnswerFraming::UntilClose => self.write_plain(data).await,
            _ => Ok(()),
        };
        self.end_piece(outcome)
    }

    /// Whether what is written goes out. If not (in answer to HEAD, with 204 or 304), there is no
    /// need to make it.
    pub fn is_sent(&self) -> bool {
        self.framing.sends_body()
    }

    #[inline]
    fn begin_piece(&mut self, bytes: u64) -> Result<()> {
        self.expect_whole()?;
        self.count(bytes)?;
        self.last = Piece::Begun;
        Ok(())
    }

    #[inline]
    fn end_piece(&mut self, outcome: Result<()>) -> Result<()> {
        match &outcome {
            Ok(()) => self.last = Piece::Whole,
            Err(error) => self.note_failure(error),
        }
        outcome
    }

    #[cold]
    fn note_failure(&mut self, error: &Error) {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            self.last = if error.is_disconnect() {
                Piece::Lost(io.kind())
            } else {
                Piece::Failed(io.kind())
            };
        }
    }

    /// Refuses to go on behind a part of a piece, also to its end. The error has the kind of the one that
    /// stopped the piece.
    #[inline]
    fn expect_whole(&self) -> Result<()> {
        let torn = InvalidAnswer::Torn;
        match self.last {
            Piece::Whole => Ok(()),
            Piece::Begun => Err(torn.into()),
            Piece::Failed(kind) => Err(io::Error::new(kind, torn).into()),
            Piece::Lost(kind) => Err(of_peer(io::Error::new(kind, torn)).into()),
        }
    }

    fn count(&mut self, bytes: u64) -> Result<(), InvalidAnswer> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes).ok_or(InvalidAnswer::Length)?;
        }
        if self.is_sent() {
            self.sent += bytes;
        }
        Ok(())
    }

    async fn write_chunk(&self, data: &[u8]) -> Result<()> {
        self.begin_chunk(data.len() as u64);
        self.write_plain(data).await?;
        self.end_chunk();
        Ok(())
    }

    fn begin_chunk(&self, size: u64) {
        chunked::push_size_line(&mut self.link.work.exchange.output.borrow_mut().bytes, size);
    }

    fn end_chunk(&self) {
        let bytes = &mut self.link.work.exchange.output.borrow_mut().bytes;
        bytes.extend_from_slice(chunked::CHUNK_END);
    }

    /// Sends `count` bytes that `send` puts on the stream by itself, behind what is queued.
    pub(crate) async fn write_by(
        &mut self,
        count: u64,
        send: impl AsyncFnOnce(Link<'c>) -> Result<()>,
    ) -> Result<()> {
        self.begin_piece(count)?;
        let outcome = if count > 0 && self.is_sent() {
            self.send_piece(count, send).await
        } else {
            Ok(())
        };
        self.end_piece(outcome)
    }

    async fn send_piece(
        &self,
        count: u64,
        send: impl AsyncFnOnce(Link<'c>) -> Result<()>,
    ) -> Result<()> {
        let chunked = self.framing == AnswerFraming::Chunked;
        if chunked {
            self.begin_chunk(count);
        }
        send(self.link).await?;
        if chunked {
            self.end_chunk();
        }
        Ok(())
    }

    async fn write_plain(&self, data: &[u8]) -> Result<()> {
        if data.len() > COPIED_MAX {
            return self.link.write_through(data).await;
        }
        self.link
            .work
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
    ///
    /// # Cancel safety
    ///
    /// Safe: what is left stays queued.
    pub async fn flush(&mut self) -> Result<()> {
        self.link.flush().await
    }

    /// Completes when the client has ended its direction, or has left altogether. A browser does
    /// both at once; a client that only has no more to say may still listen.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn half_closed(&self) {
        poll_fn(|cx| self.link.io.poll_read_closed(cx)).await;
    }

    /// Ends the answer.
    ///
    /// # Errors
    ///
    /// When less was written than announced, or a piece has failed or was given up half-way: then the
    /// connection is cut. When the peer is gone, or takes nothing for too long.
    ///
    /// # Cancel safety
    ///
    /// None: an answer that could be finished goes out whole, but the [`Responded`] is lost. Return an error then,
    /// and the connection closes behind it.
    pub async fn finish(self) -> Result<Responded> {
        self.finish_with_trailers(()).await
    }

    /// Ends the answer with trailer fields, which go out where the answer is chunked and are
    /// dropped where it is not.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish), and when a field may not be in a trailer (RFC 9110, 6.5.1).
    ///
    /// # Cancel safety
    ///
    /// As [`finish`](Self::finish).
    pub async fn finish_with_trailers(self, trailers: impl AnswerHeaders) -> Result<Responded> {
        self.expect_whole()?;
        if self.left.is_some_and(|left| left > 0) {
            return Err(InvalidAnswer::Length.into());
        }
        if self.framing == AnswerFraming::Chunked {
            chunked::push_last_chunk(
                &mut self.link.work.exchange.output.borrow_mut().bytes,
                &trailers,
            )?;
        }
        self.link.work.exchange.answer.set(AnswerState::Complete);
        self.link.back_pressure().await?;
        Ok(Responded::new(self.status, self.sent))
    }
}

impl fmt::Debug for AnswerBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
