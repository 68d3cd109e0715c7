//! The body of a request: read piece by piece, or whole with a limit.

use std::fmt;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_io::AsyncRead;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use waterwheel_runtime::spawn_blocking;

use crate::error::{Error, Refusal, Result, of_peer};
use crate::exchange::handle::Exchange;

/// The body of a request.
///
/// There are several ways to read it, and they share one position: whole ([`bytes`](Self::bytes)), into a
/// file ([`to_file`](Self::to_file)), piece by piece ([`next`](Self::next), or as a `futures` `Stream`, or as
/// an `http_body::Body`), or into a buffer (`futures-io`'s `AsyncRead`).
///
/// The server reads from the network only when the handler reads. So a slow handler slows its client down. A
/// client that waits for `100 Continue` receives it with the first read. The server's limit on the length of
/// a body applies to each way of reading, and to each framing.
///
/// # Cancel safety
///
/// `next` and `AsyncRead` are safe: they take bytes only when they return them. `bytes` and `to_file` are
/// not: the bytes that they have read are lost.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let count = async |request: Request<'_>| {
///     let mut body = request.body();
///     assert_eq!(body.left(), Some(5)); // announced
///     let mut bytes = 0;
///     while let Some(piece) = body.next().await? {
///         bytes += piece.len();
///     }
///     assert!(body.trailers().is_none()); // only a chunked body has some
///     request.respond(StatusCode::OK, bytes.to_string(), ()).await
/// };
/// assert_eq!(block_on(async { TestClient::new(count).post("/", "water").await.text() }), "5");
/// ```
pub struct Body<'c> {
    exchange: Exchange<'c>,
}

impl<'c> Body<'c> {
    pub(crate) fn new(exchange: Exchange<'c>) -> Self {
        Self { exchange }
    }

    /// Returns how many bytes are still to come, or `None` if the client has not announced a length.
    pub fn left(&self) -> Option<u64> {
        self.exchange.body_left()
    }

    /// Reads the whole body into memory.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the body is longer than `bytes_max`, malformed, cut short or too slow. Return it from
    /// the handler, and the client receives its status.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the bytes that were read are lost, and another call returns the rest.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::{Request, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let short = async |request: Request<'_>| {
    ///     let bytes = request.body().bytes(3).await?; // 413 if there are more
    ///     request.respond(StatusCode::OK, bytes, ()).await
    /// };
    /// block_on(async {
    ///     assert_eq!(TestClient::new(short).post("/", "rye").await.text(), "rye");
    /// });
    /// ```
    pub async fn bytes(mut self, bytes_max: u64) -> Result<Vec<u8>> {
        // An announced length is refused before any byte is read, so that the client may stop sending.
        if self.left().is_some_and(|left| left > bytes_max) {
            return Err(Refusal::BodyTooLarge.into());
        }
        let mut all = Vec::new();
        let mut filled = 0;
        loop {
            if filled == all.len() {
                // The known end needs no further read, and no room for one.
                if self.left() == Some(0) {
                    return Ok(all);
                }
                all.resize(filled + self.room(filled, bytes_max), 0);
            }
            let count = poll_fn(|cx| self.poll_read_to(cx, &mut all[filled..])).await?;
            filled += count;
            if count == 0 {
                all.truncate(filled);
                return Ok(all);
            }
            // Checked after each read, because a chunked body announces no length.
            if filled as u64 > bytes_max {
                return Err(Refusal::BodyTooLarge.into());
            }
        }
    }

    /// Returns how much more room to make: the rest of the body if it is known, but at most as much as has
    /// arrived. So a client that announces a length must also send the bytes before they cost memory.
    fn room(&self, filled: usize, bytes_max: u64) -> usize {
        const FIRST_BYTES: usize = 16 * 1024;
        let wanted = self
            .left()
            .unwrap_or(bytes_max.saturating_add(1) - (filled as u64).min(bytes_max));
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        wanted.clamp(1, filled.max(FIRST_BYTES))
    }

    /// Returns the next piece, or `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// Safe: a piece is returned whole, or stays for the next call.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// Writes the whole body into a file, from the file's position. Returns the number of bytes. Another
    /// thread writes the file.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and the errors of `write(2)`. The bytes read before the error are in the
    /// file.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part of the body is in the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// /// Keeps what a client uploads, up to a gigabyte.
    /// async fn keep(request: Request<'_>) -> Result<Responded> {
    ///     let file = std::fs::File::create_new("upload.part")?;
    ///     let bytes = request.body().to_file(file, 1 << 30).await?;
    ///     std::fs::rename("upload.part", "upload")?; // whole files only
    ///     request.respond(StatusCode::CREATED, format!("{bytes} bytes\n"), ()).await
    /// }
    /// # drop(waterwheel::http::shared(keep));
    /// ```
    pub async fn to_file(mut self, file: File, bytes_max: u64) -> Result<u64> {
        if self.left().is_some_and(|left| left > bytes_max) {
            return Err(Refusal::BodyTooLarge.into());
        }
        let mut file = file;
        // One buffer goes to the other thread and comes back, so that a large body takes the memory of one
        // piece.
        let mut piece = vec![0; SAVED_BYTES];
        let mut total = 0;
        loop {
            let mut filled = 0;
            let mut over = false;
            while filled < piece.len() && !over {
                let count = poll_fn(|cx| self.poll_read_to(cx, &mut piece[filled..])).await?;
                filled += count;
                over = count == 0;
            }
            total += filled as u64;
            // Checked before the write: bytes above the limit do not reach the disk.
            if total > bytes_max {
                return Err(Refusal::BodyTooLarge.into());
            }
            (file, piece) = spawn_blocking(move || {
                file.write_all(&piece[..filled])?;
                io::Result::Ok((file, piece))
            })
            .await??;
            if over {
                return Ok(total);
            }
        }
    }

    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        // The exchange knows where the bytes are: after the head, or in the read buffer. Both are copied once.
        let mut piece = Bytes::new();
        let mut sink = |data: &[u8]| {
            if !data.is_empty() {
                piece = Bytes::copy_from_slice(data);
            }
        };
        // A sink, and not a returned slice: a slice would keep the cell borrowed while the stream is polled.
        let more = ready!(self.exchange.poll_take(cx, &mut sink))?;
        Poll::Ready(Ok(more.then_some(piece)))
    }

    fn poll_read_to(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize>> {
        self.exchange.poll_read_body(cx, buffer)
    }

    /// Returns the fields after a chunked body that has been read to its end. They are not headers. A
    /// recipient uses only those that it knows to be harmless (RFC 9110, 6.5.1).
    pub fn trailers(&self) -> Option<HeaderMap> {
        self.exchange.trailers()
    }
}

/// The number of bytes that are collected for one write into a file.
const SAVED_BYTES: usize = 128 * 1024;

/// Reads and discards the rest of a body, up to the limit. Returns false if there is more, or if the body is
/// malformed. Then the start of the next request is unknown.
pub(crate) async fn drain(exchange: Exchange<'_>) -> bool {
    let mut allowance = Some(exchange.limits().drain_bytes_max);
    loop {
        // A body that is read to its end has no cost here, and that is the usual case.
        if exchange.is_read() {
            return true;
        }
        // An allowance of 0 does not end this: the last chunk and the trailers may still be missing.
        let persists = exchange.persists();
        let Some(left) = allowance.filter(|_| persists) else {
            return false;
        };
        let mut count = 0;
        let mut sink = |data: &[u8]| count += data.len() as u64;
        if poll_fn(|cx| exchange.poll_take(cx, &mut sink))
            .await
            .is_err()
        {
            return false;
        }
        allowance = left.checked_sub(count);
    }
}

/// The view of `http-body`: data, then the trailers if there are any.
impl http_body::Body for Body<'_> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // The trailers follow the data as one more frame, and only once.
        match ready!(self.poll_piece(cx)) {
            Ok(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            Ok(None) => {
                let trailers = self.exchange.take_trailers();
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(error) => Poll::Ready(Some(Err(into_io(&error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left() == Some(0) && self.trailers().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Stream for Body<'_> {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_piece(cx).map(Result::transpose)
    }
}

impl AsyncRead for Body<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // A read into an empty buffer returns 0, which must not be mistaken for the end of the body.
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_read_to(cx, buffer)
            .map_err(|error| into_io(&error))
    }
}

/// Converts to an `io::Error` from which [`Error`] finds the cause again.
fn into_io(error: &Error) -> io::Error {
    // A refusal stays inside, so that `?` in a handler still answers with its status.
    match (error.refusal(), error.downcast_ref::<io::Error>()) {
        (Some(refusal), _) => io::Error::new(io::ErrorKind::InvalidData, refusal),
        // The mark as the peer's error stays too. Otherwise the loss of a client would be logged as ours.
        (None, Some(of_connection)) => {
            of_peer(io::Error::new(of_connection.kind(), error.to_string()))
        }
        (None, None) => io::Error::other(error.to_string()),
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}
