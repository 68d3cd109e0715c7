//! The body of an answer that is sent piece by piece.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::StatusCode;
use waterwheel_runtime::budget::{self, BUDGET};

use crate::buffers::AnswerState;
use crate::error::{Error, InvalidAnswer, Result, of_peer};
use crate::exchange::answer_coder::BodyEncoder;
use crate::exchange::handle::{COPIED_MAX, Exchange};
use crate::exchange::handler::Responded;
use crate::headers::AnswerHeaders;
use crate::proto::chunked;
use crate::proto::framing::AnswerFraming;

/// The body of an answer that is being sent.
///
/// [`Request::start`](crate::Request::start) returns it. `write` queues its bytes. They are sent when the
/// handler waits or when many are queued. [`flush`](Self::flush) sends them at once. If the client reads
/// slowly, `write` waits: at most 64 KiB are queued. If middleware compresses the answer, the encoder keeps some bytes
/// back until `flush`.
///
/// # Cancel safety
///
/// Not cancel safe: a `write` that is dropped, or that has failed, may have sent a part of its bytes. Each
/// later call is an error, and so is [`finish`](Self::finish). Return the error, and the server cuts the
/// connection. A `flush` may be dropped and called again.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{AnswerBody, Request, Result, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// async fn count(body: &mut AnswerBody<'_>) -> Result<()> {
///     if !body.is_sent() {
///         return Ok(()); // to HEAD: the client would not receive the numbers
///     }
///     for number in 0..3 {
///         body.write(format!("{number}\n")).await?;
///     }
///     body.flush().await // the client has them now
/// }
///
/// let numbers = async |request: Request<'_>| {
///     let mut body = request.start(StatusCode::OK, [("trailer", "x-sum")]).await?;
///     count(&mut body).await?;
///     body.finish_with_trailers([("x-sum", "3")]).await
/// };
/// let answer = block_on(async { TestClient::new(numbers).get("/").await });
/// assert_eq!((answer.text().as_str(), &answer.trailers["x-sum"]), ("0\n1\n2\n", &"3".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an answer that is not finished cuts the connection"]
pub struct AnswerBody<'c> {
    pub(crate) exchange: Exchange<'c>,
    framing: AnswerFraming,
    status: StatusCode,
    /// The number of bytes of the announced length that are not written yet.
    left: Option<u64>,
    sent: u64,
    last: Piece,
    /// Codes the bytes of the handler. `None` if they are sent as they are.
    encoder: Option<Box<dyn BodyEncoder>>,
    /// True if the encoder may keep bytes back, because it has had some since its last flush.
    keeps_back: bool,
}

/// So many bytes are coded before other tasks run. Compression of so many takes up to a millisecond.
const CODED_AT_ONCE: usize = 32 * 1024;

/// Spends the share of the task's budget that the coding of so many bytes costs.
pub(super) async fn spend_on_coding(bytes: usize) {
    // At least one unit, because an encoder may make so few bytes of many pieces that no write is due for long.
    let units = bytes.div_ceil(CODED_AT_ONCE / BUDGET as usize).max(1);
    let cost = u32::try_from(units).unwrap_or(u32::MAX);
    poll_fn(|cx| budget::poll_spend(cx, cost)).await;
}

/// The state of the last piece.
#[derive(Clone, Copy)]
enum Piece {
    /// The piece is queued or sent completely. Also the state before the first piece.
    Whole,
    /// The piece is being sent, or its `write` was dropped.
    Begun,
    /// The source of the piece failed with this kind of error.
    Failed(io::ErrorKind),
    /// The connection to the client failed with this kind of error.
    Lost(io::ErrorKind),
}

impl Piece {
    /// The error of each call behind a piece that is not whole. It has the kind of the error that stopped the
    /// piece.
    #[cold]
    fn error(self) -> Error {
        // The kind of the first error stays, because a handler decides by it whether its client is gone.
        let torn = InvalidAnswer::Torn;
        match self {
            Self::Whole | Self::Begun => torn.into(),
            Self::Failed(kind) => io::Error::new(kind, torn).into(),
            Self::Lost(kind) => of_peer(io::Error::new(kind, torn)).into(),
        }
    }
}

impl<'c> AnswerBody<'c> {
    pub(crate) fn new(exchange: Exchange<'c>, status: StatusCode, framing: AnswerFraming) -> Self {
        let left = match framing {
            AnswerFraming::Sized(length) => Some(length),
            _ => None,
        };
        Self {
            exchange,
            framing,
            status,
            left,
            sent: 0,
            last: Piece::Whole,
            encoder: None,
            keeps_back: false,
        }
    }

    /// Makes each piece pass through `encoder`. `length` is the number of bytes that the handler has announced.
    pub(super) fn coded(mut self, encoder: Box<dyn BodyEncoder>, length: Option<u64>) -> Self {
        self.encoder = Some(encoder);
        self.left = length.filter(|_| self.is_sent());
        self
    }

    pub(super) fn is_coded(&self) -> bool {
        self.encoder.is_some()
    }

    /// Sends a piece. Drops it if the answer may have no body (to HEAD, 204, 304).
    ///
    /// # Errors
    ///
    /// If the piece exceeds the announced length. If the peer is gone, or accepts no byte for too long. If an
    /// earlier piece has failed or was dropped before its end.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: see [`AnswerBody`].
    pub async fn write(&mut self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        self.begin_piece(data.len() as u64)?;
        if self.is_coded() {
            let outcome = self.write_coded(data).await;
            return self.end_piece(outcome);
        }
        // The framing was decided with the head. A chunk of length 0 would end the body, so an empty piece is
        // no chunk.
        let outcome = match self.framing {
            AnswerFraming::Chunked if !data.is_empty() => {
                // The size line and the end are only queued, so one write sends them together with the data.
                self.begin_chunk(data.len() as u64);
                let written = self.write_plain(data).await;
                if written.is_ok() {
                    self.end_chunk();
                }
                written
            }
            AnswerFraming::Sized(_) | AnswerFraming::UntilClose => self.write_plain(data).await,
            _ => Ok(()),
        };
        self.end_piece(outcome)
    }

    /// Sends the bytes that the encoder makes of `data`. In a box, because few answers are coded, and the future of each
    /// `write` would carry the room for this one.
    #[cold]
    fn write_coded<'a>(
        &'a mut self,
        data: &'a [u8],
    ) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>> {
        Box::pin(async move {
            for piece in data.chunks(CODED_AT_ONCE) {
                spend_on_coding(piece.len()).await;
                self.keeps_back = true;
                self.queue_coded(|encoder, coded| encoder.encode(piece, coded))?;
                self.exchange.back_pressure().await?;
            }
            Ok(())
        })
    }

    /// Queues the bytes that the encoder appends. Does not wait, so that it cannot be dropped in between.
    #[cold]
    fn queue_coded(
        &mut self,
        encode: impl FnOnce(&mut dyn BodyEncoder, &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<()> {
        let Some(encoder) = self.encoder.as_mut().filter(|_| self.framing.sends_body()) else {
            return Ok(());
        };
        let mut coded = Vec::new();
        encode(&mut **encoder, &mut coded)?;
        self.sent += coded.len() as u64;
        let is_chunked = self.framing == AnswerFraming::Chunked && !coded.is_empty();
        if is_chunked {
            self.begin_chunk(coded.len() as u64);
        }
        self.exchange
            .queue_with(|queue| queue.extend_from_slice(&coded));
        if is_chunked {
            self.end_chunk();
        }
        Ok(())
    }

    /// Returns true if written bytes are sent. Returns false for answers without a body (to HEAD, 204, 304).
    /// Then the handler need not make the bytes.
    pub fn is_sent(&self) -> bool {
        self.framing.sends_body()
    }

    #[inline]
    fn begin_piece(&mut self, bytes: u64) -> Result<()> {
        self.expect_whole()?;
        self.count(bytes)?;
        // The piece counts as begun until `end_piece`. So a dropped `write` leaves that state behind, and no
        // later call can hide the gap.
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
        // After an error of another type the piece stays begun, so each later call fails, too.
        if let Some(io) = error.downcast_ref::<io::Error>() {
            self.last = if error.is_disconnect() {
                Piece::Lost(io.kind())
            } else {
                Piece::Failed(io.kind())
            };
        }
    }

    /// Returns an error if the last piece is incomplete, because the client would take the next bytes for its
    /// rest.
    #[inline]
    fn expect_whole(&self) -> Result<()> {
        match self.last {
            Piece::Whole => Ok(()),
            torn => Err(torn.error()),
        }
    }

    fn count(&mut self, bytes: u64) -> Result<(), InvalidAnswer> {
        // Checked before a byte leaves: bytes above the announced length would look like the next answer.
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes).ok_or(InvalidAnswer::Length)?;
        }
        // Of a coded body, the bytes behind the encoder are counted.
        if self.is_sent() && !self.is_coded() {
            self.sent += bytes;
        }
        Ok(())
    }

    fn begin_chunk(&self, size: u64) {
        self.exchange
            .queue_with(|queue| chunked::push_size_line(queue, size));
    }

    fn end_chunk(&self) {
        self.exchange
            .queue_with(|queue| queue.extend_from_slice(chunked::CHUNK_END));
    }

    /// Sends `count` bytes by calling `send`, which writes them to the stream itself.
    pub(crate) async fn write_by(
        &mut self,
        count: u64,
        send: impl AsyncFnOnce(Exchange<'c>) -> Result<()>,
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
        send: impl AsyncFnOnce(Exchange<'c>) -> Result<()>,
    ) -> Result<()> {
        let chunked = self.framing == AnswerFraming::Chunked;
        if chunked {
            self.begin_chunk(count);
        }
        // `send` writes to the stream itself, and it flushes the queue first, so the size line stays in
        // front.
        send(self.exchange).await?;
        if chunked {
            self.end_chunk();
        }
        Ok(())
    }

    async fn write_plain(&self, data: &[u8]) -> Result<()> {
        // A large piece goes out from the handler's memory. A small one is copied, so that several leave in
        // one write.
        if data.len() > COPIED_MAX {
            return self.exchange.write_through(data).await;
        }
        self.exchange
            .queue_with(|queue| queue.extend_from_slice(data));
        self.exchange.back_pressure().await
    }

    /// Sends the queued bytes, and those that an encoder keeps back.
    ///
    /// # Errors
    ///
    /// If the peer is gone, or accepts no byte for too long. If an earlier piece has failed, or the encoder fails.
    ///
    /// # Cancel safety
    ///
    /// Safe: unsent bytes stay queued.
    pub async fn flush(&mut self) -> Result<()> {
        if self.is_coded() {
            self.expect_whole()?;
            self.flush_encoder()?;
        }
        self.exchange.flush().await
    }

    /// Queues the bytes that the encoder has kept back.
    #[cold]
    fn flush_encoder(&mut self) -> Result<()> {
        // A second flush in a row would only add an empty block.
        if !mem::take(&mut self.keeps_back) {
            return Ok(());
        }
        // As a piece: after a failure, the end must not make the body look whole.
        self.last = Piece::Begun;
        let flushed = self.queue_coded(|encoder, coded| encoder.flush(coded));
        self.end_piece(flushed)
    }

    /// Waits for the next piece of a source. While the source waits, the client has all bytes so far.
    pub(super) async fn next_of<T>(
        &mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T> {
        poll_fn(|cx| {
            let polled = poll(cx);
            if polled.is_pending() && self.keeps_back {
                self.flush_encoder()?;
            }
            polled.map(Ok)
        })
        .await
    }

    /// Completes when the client has closed its write half or has left. A browser does both at once. Another
    /// client may close its write half and still read.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    /// use waterwheel::runtime::{race, time::sleep};
    ///
    /// /// Sends the time until the browser leaves.
    /// async fn clock(request: Request<'_>) -> Result<Responded> {
    ///     let mut body = request.start(StatusCode::OK, ()).await?;
    ///     loop {
    ///         body.write("tick\n").await?;
    ///         body.flush().await?;
    ///         let tick = async { sleep(Duration::from_secs(1)).await; true };
    ///         let left = async { body.half_closed().await; false };
    ///         if !race(tick, left).await {
    ///             return body.finish().await;
    ///         }
    ///     }
    /// }
    /// # drop(waterwheel::http::shared(clock));
    /// ```
    pub async fn half_closed(&self) {
        poll_fn(|cx| self.exchange.io().poll_read_closed(cx)).await;
    }

    /// Completes when the client has left, as [`Request::disconnected`](crate::Request::disconnected).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    /// use waterwheel::runtime::race;
    ///
    /// async fn news(request: Request<'_>) -> Result<Responded> {
    ///     let mut body = request.start(StatusCode::OK, ()).await?;
    ///     body.write("nothing yet\n").await?;
    ///     body.flush().await?;
    ///     let news = async {
    ///         std::future::pending::<()>().await; // they may take hours
    ///         Ok("news\n")
    ///     };
    ///     let left = async {
    ///         body.disconnected().await;
    ///         Err("the client has left")
    ///     };
    ///     let text = race(news, left).await?;
    ///     body.write(text).await?;
    ///     body.finish().await
    /// }
    /// # drop(waterwheel::http::shared(news));
    /// ```
    pub async fn disconnected(&self) {
        poll_fn(|cx| self.exchange.poll_gone(cx)).await;
    }

    /// Ends the answer.
    ///
    /// # Errors
    ///
    /// If the handler wrote fewer bytes than announced, or if a piece has failed or was dropped. Then the
    /// server cuts the connection. If the peer is gone, or accepts no byte for too long.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the server sends a complete answer, but the [`Responded`] is lost. Return an error
    /// then. The connection closes after the answer.
    pub async fn finish(self) -> Result<Responded> {
        self.finish_with_trailers(()).await
    }

    /// Ends the answer with trailer fields. A chunked answer sends them. Any other answer drops them.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish), or if a field is not allowed in a trailer (RFC 9110, 6.5.1).
    ///
    /// # Cancel safety
    ///
    /// As [`finish`](Self::finish).
    pub async fn finish_with_trailers(mut self, trailers: impl AnswerHeaders) -> Result<Responded> {
        // A body that is short or torn must not get an end, because the client would take it for whole.
        self.expect_whole()?;
        if self.left.is_some_and(|left| left > 0) {
            return Err(InvalidAnswer::Length.into());
        }
        if self.is_coded() {
            self.queue_coded(|encoder, coded| encoder.finish(coded))?;
        }
        if self.framing == AnswerFraming::Chunked {
            self.exchange
                .queue_with(|queue| chunked::push_last_chunk(queue, &trailers))?;
        }
        // Complete before the wait: if this future is dropped there, the queue still has the whole answer.
        self.exchange.set_answer(AnswerState::Complete);
        self.exchange.back_pressure().await?;
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
