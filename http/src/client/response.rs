//! An answer: its head, its body, and the end of the exchange.
//!
//! # How it works
//!
//! ```text
//!  the transport ──► input ──► head parser, then the body's framing ──► `data`, a range of the input
//! ```
//!
//! Each poll sends on first and reads then. A read that finds bytes for `data` returns them. The end of the body ends
//! the exchange: the pool takes the connection if the request has left as a whole and no byte is behind the answer.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_io::{AsyncBufRead, AsyncRead};
use http::{Method, StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};

use super::clock::ExchangeClock;
use super::error::{RequestError, RequestErrorKind};
use super::pool::{Link, Origin, put_back};
use super::request::OnInterim;
use super::stream::ClientStream;
use super::upload::Upload;
use super::{ClientShared, SPARES_MAX, Scratch};
use crate::error::Refusal;
use crate::headers::Headers;
use crate::proto::answer_head::AnswerParser;
use crate::proto::chunked::{Decoded, Decoder};
use crate::proto::framing::ContentFraming;
use crate::proto::request_head::RequestFields;

/// The first size of the input. A head of up to this size needs no second one.
const INPUT_BYTES: usize = 16 * 1024;

/// A reader's buffer of this size is read into directly.
const DIRECT_MIN: usize = 4096;

/// The most room that is made for bytes that have not arrived.
const ROOM_BYTES_MAX: u64 = 256 * 1024;

/// An answer, with the connection that it comes from. `'b` is the lifetime of a request's body that is streamed.
///
/// There are several ways to read the body, and they share one position: whole ([`bytes`](Self::bytes),
/// [`text`](Self::text), [`json`](Self::json)), piece by piece ([`chunk`](Self::chunk), or as an
/// `http_body::Body`), or as a reader (`AsyncRead` and `AsyncBufRead` of `futures-io`). Each is an error if the
/// connection ends within the body.
///
/// If the request is not sent as a whole yet, reading sends the rest of it. The end of a successful answer waits for
/// that. The end of any other answer cuts it.
///
/// When the body has been read to its end, the connection serves other requests. A response that is dropped before
/// closes its connection, unless the rest of the body has arrived already.
///
/// # Cancel safety
///
/// `chunk` and the readers are safe. `bytes`, `text` and `json` consume the response.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncReadExt;
/// use waterwheel::http::client::{Client, ClientResponse};
///
/// async fn save(client: &Client, file: &mut Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
///     let mut response: ClientResponse<'_> = client.get("http://example.org/large").send().await?;
///     println!("{:?} {} from {:?}", response.version(), response.status(), response.peer_address());
///     println!("{}: {:?} bytes", response.uri(), response.content_length());
///     while let Some(piece) = response.chunk().await? {
///         file.extend_from_slice(&piece);
///     }
///     println!("{:?}", response.trailers().and_then(|trailers| trailers.get("x-sum")));
///     Ok(())
/// }
/// # drop(save);
/// ```
#[must_use = "the body of an answer is read, or its connection closes"]
pub struct ClientResponse<'b> {
    shared: Rc<ClientShared>,
    origin: Origin,
    /// The connection, until the end of the exchange.
    link: Option<Link>,
    method: Method,
    uri: Uri,
    peer: Option<SocketAddr>,
    scratch: Scratch,
    /// The bytes of the input that are not used yet.
    filled: Range<usize>,
    upload: Upload<'b>,
    clock: ExchangeClock,
    framing: ContentFraming,
    decoder: Decoder,
    /// Bytes of the body that have arrived and were not returned yet, in the input.
    data: Range<usize>,
    /// True if the connection serves no other request.
    is_last: bool,
}

impl<'b> ClientResponse<'b> {
    pub(super) fn new(
        (shared, origin, link): (Rc<ClientShared>, Origin, Link),
        (method, uri): (Method, Uri),
        (mut scratch, upload, clock): (Scratch, Upload<'b>, ExchangeClock),
        is_last: bool,
    ) -> Self {
        // Filled with zeros once: later exchanges read over the bytes of earlier ones.
        if scratch.input.is_empty() {
            scratch.input.resize(INPUT_BYTES, 0);
        }
        Self {
            shared,
            origin,
            peer: link.peer,
            link: Some(link),
            method,
            uri,
            scratch,
            filled: 0..0,
            upload,
            clock,
            // Until the head is here: a `send` that is dropped must not return a connection that owes an answer.
            framing: ContentFraming::AtClose,
            decoder: Decoder::default(),
            data: 0..0,
            is_last,
        }
    }

    /// Ends the exchange, and returns its clock for the next one.
    pub(super) fn into_clock(mut self) -> ExchangeClock {
        std::mem::replace(&mut self.clock, ExchangeClock::new(None))
    }

    /// Sends the request until the final head of its answer is here.
    pub(super) async fn head(
        &mut self,
        mut on_interim: Option<&mut OnInterim<'b>>,
        fields: &RequestFields,
    ) -> Result<(), RequestError> {
        let mut parser = AnswerParser::default();
        // One byte of an answer shows that the server has seen the request, so it must not be sent again.
        let mut has_begun = false;
        let mut head_bytes = 0;
        loop {
            let read = poll_fn(|cx| self.poll_head(cx, &mut parser, &mut has_begun)).await;
            head_bytes += read.inspect_err(|_| self.link = None)?;
            // One limit for all heads of an answer, because a server could send interim ones without an end.
            if head_bytes > usize::from(self.shared.options.limits.head_bytes_max) {
                self.link = None;
                return Err(Refusal::HeadTooLarge.into());
            }
            let status = self.status();
            match status {
                StatusCode::CONTINUE => self.upload.proceed(),
                StatusCode::SWITCHING_PROTOCOLS if fields.offer(self.headers()) => break,
                // The bytes behind it have a meaning that this client does not know.
                StatusCode::SWITCHING_PROTOCOLS => {
                    self.link = None;
                    return Err(RequestError::new(RequestErrorKind::Upgrade));
                }
                _ if status.is_informational() => {
                    if let Some(see) = &mut on_interim {
                        see(status, self.scratch.head.headers());
                    }
                }
                _ => break,
            }
        }
        self.begin_body()
    }

    fn begin_body(&mut self) -> Result<(), RequestError> {
        let head = &self.scratch.head;
        self.framing = head
            .framing(&self.method)
            .inspect_err(|_| self.link = None)?;
        // The end of the connection is the end of such a body, so no answer can follow it.
        let is_shared = !matches!(
            self.framing,
            ContentFraming::AtClose | ContentFraming::Tunnel
        );
        self.is_last |= !is_shared || !head.persists();
        // The rest of the body would be read as bytes of the new protocol.
        if self.framing == ContentFraming::Tunnel && !self.upload.is_written() {
            self.link = None;
            return Err(RequestError::new(RequestErrorKind::Upgrade));
        }
        // The server has decided without the body. It may wait for it or not, so the connection ends.
        if self.upload.is_paused() {
            self.upload.abandon();
        }
        if self.framing == ContentFraming::None && self.upload.has_ended() {
            self.end(true);
        }
        Ok(())
    }

    /// Sends and receives until the next head is here. Returns its length.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        parser: &mut AnswerParser,
        has_begun: &mut bool,
    ) -> Poll<Result<usize, RequestError>> {
        // Sending comes first, and never keeps the answer from being read: a server that answers early may read no more.
        if let Poll::Ready(Err(error)) = self.poll_upload(cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            if !self.filled.is_empty() {
                let Scratch { head, input, .. } = &mut self.scratch;
                let bytes = &input[self.filled.clone()];
                if let Some(end) = parser.parse(bytes, head, &self.shared.options.limits)? {
                    self.filled.start += end;
                    self.clock.progress();
                    return Poll::Ready(Ok(end));
                }
            }
            let limit = self.shared.options.head_timeout;
            let read = ready!(self.poll_receive(cx, limit, RequestErrorKind::HeadTimeout));
            match read {
                Ok(0) if *has_begun => {
                    return Poll::Ready(Err(RequestError::new(RequestErrorKind::CutShort)));
                }
                Ok(0) => return Poll::Ready(Err(RequestError::new(RequestErrorKind::Closed))),
                Ok(_) => *has_begun = true,
                // A reset is the close of a server that had unread bytes. Many servers of TLS close without a
                // `close_notify`.
                Err(error)
                    if !*has_begun
                        && matches!(
                            error.kind(),
                            RequestErrorKind::Io | RequestErrorKind::CutShort
                        ) =>
                {
                    return Poll::Ready(Err(RequestError::of(RequestErrorKind::Closed, error)));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends on. Ready when no more bytes of the request will leave.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RequestError>> {
        let Some(link) = &self.link else {
            return Poll::Ready(Ok(()));
        };
        if self.upload.has_ended() {
            return Poll::Ready(Ok(()));
        }
        let mut moved = false;
        let polled = self.upload.poll(&*link.io, cx, &mut moved);
        if moved {
            self.clock.progress();
        }
        if let Poll::Ready(Err(_)) = polled {
            self.link = None;
        }
        polled
    }

    /// Reads bytes into the input. Returns 0 at the end. `kind` is the error if that takes longer than `limit`.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        limit: Duration,
        kind: RequestErrorKind,
    ) -> Poll<Result<usize, RequestError>> {
        self.make_room();
        let end = self.filled.end;
        let Some(link) = &self.link else {
            return Poll::Ready(Err(RequestError::new(RequestErrorKind::CutShort)));
        };
        let read = link.io.poll_read(cx, &mut self.scratch.input[end..]);
        let read = self.timed(read, cx, limit, kind);
        if let Poll::Ready(Ok(count)) = read {
            self.filled.end += count;
        }
        read
    }

    /// Adds the time limit to the result of a read.
    fn timed(
        &mut self,
        read: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
        limit: Duration,
        kind: RequestErrorKind,
    ) -> Poll<Result<usize, RequestError>> {
        match read {
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
            // TLS without its `close_notify`: an end that somebody between the two may have made.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Err(RequestError::of(RequestErrorKind::CutShort, error)))
            }
            Poll::Ready(Err(error)) => {
                Poll::Ready(Err(RequestError::of(RequestErrorKind::Io, error)))
            }
            Poll::Pending => {
                let error = ready!(self.clock.poll(cx, limit, kind));
                self.link = None;
                Poll::Ready(Err(error))
            }
        }
    }

    fn make_room(&mut self) {
        let input = &mut self.scratch.input;
        if self.filled.is_empty() {
            self.filled = 0..0;
        } else if self.filled.end == input.len() {
            // Only a long head comes here: a body is used up before the next read.
            if self.filled.start > 0 {
                input.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
            } else {
                input.resize(2 * input.len(), 0);
            }
        }
    }

    /// Finds the next bytes of the body in the input. Returns true if there are some, false at the end of the body, and
    /// `None` if more input is needed.
    fn decode(&mut self) -> Result<Option<bool>, RequestError> {
        let start = self.filled.start;
        match &mut self.framing {
            ContentFraming::None | ContentFraming::Tunnel => return Ok(Some(false)),
            // Before the decoder, because its end may need no more input.
            _ if self.filled.is_empty() => return Ok(None),
            ContentFraming::AtClose => self.data = self.filled.clone(),
            ContentFraming::Sized(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX);
                let here = here.min(self.filled.len());
                self.data = start..start + here;
                self.count_down(here as u64);
            }
            ContentFraming::Chunked => {
                let bytes = &self.scratch.input[self.filled.clone()];
                match self.decoder.decode(bytes, &self.shared.options.limits)? {
                    Decoded::Data(data) => self.data = start + data.start..start + data.end,
                    Decoded::Incomplete => {
                        self.filled.start = self.filled.end;
                        return Ok(None);
                    }
                    Decoded::End(count) => {
                        self.filled.start += count;
                        self.framing = ContentFraming::None;
                        return Ok(Some(false));
                    }
                }
            }
        }
        self.filled.start = self.data.end;
        Ok(Some(true))
    }

    /// Notes bytes of a sized body.
    fn count_down(&mut self, count: u64) {
        if let ContentFraming::Sized(left) = &mut self.framing {
            *left -= count;
            if *left == 0 {
                self.framing = ContentFraming::None;
            }
        }
    }

    /// Waits for bytes in `data`. Returns false at the end of the body.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, RequestError>> {
        if !self.data.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut fill = || {
            let sent = self.poll_upload(cx)?;
            loop {
                match self.decode()? {
                    Some(true) => return Poll::Ready(Ok(true)),
                    Some(false) => return self.poll_end(cx, sent.is_ready()),
                    None => {}
                }
                ready!(self.poll_more(cx, None))?;
            }
        };
        let filled: Result<bool, RequestError> = ready!(fill());
        Poll::Ready(filled.map_err(|error| {
            // After an error, the position in the stream is lost.
            self.link = None;
            error.at(&self.method, &self.uri)
        }))
    }

    /// Reads on within the body: into `buffer`, or into the input.
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        buffer: Option<&mut [u8]>,
    ) -> Poll<Result<usize, RequestError>> {
        let limit = self.shared.options.body_timeout;
        let kind = RequestErrorKind::BodyTimeout;
        let read = match (buffer, &self.link) {
            (Some(buffer), Some(link)) => {
                let read = link.io.poll_read(cx, buffer);
                self.timed(read, cx, limit, kind)
            }
            _ => self.poll_receive(cx, limit, kind),
        };
        let count = ready!(read)?;
        // Only here: the bytes of a head share one time, so that a server cannot extend it byte by byte.
        self.clock.progress();
        if count == 0 {
            // The end of the connection ends no body that announces another end (RFC 9112, 8).
            if self.framing != ContentFraming::AtClose {
                return Poll::Ready(Err(RequestError::new(RequestErrorKind::CutShort)));
            }
            self.framing = ContentFraming::None;
        }
        Poll::Ready(Ok(count))
    }

    /// Ends the exchange at the end of the body, or waits until the request has left.
    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        is_sent: bool,
    ) -> Poll<Result<bool, RequestError>> {
        // A server that streams its answer may have ended it before it has read all of a request that it accepts.
        let waits = !is_sent && self.link.is_some() && self.status().is_success();
        if waits && self.framing != ContentFraming::Tunnel {
            let limit = self.shared.options.body_timeout;
            let error = ready!(self.clock.poll(cx, limit, RequestErrorKind::BodyTimeout));
            return Poll::Ready(Err(error));
        }
        if self.framing != ContentFraming::Tunnel {
            self.end(true);
        }
        Poll::Ready(Ok(false))
    }

    /// Passes the connection on to the pool, or closes it.
    fn end(&mut self, may_spawn: bool) {
        let Some(link) = self.link.take() else {
            return;
        };
        // A byte behind the answer belongs to no request of ours.
        let is_clean = !self.is_last && self.upload.is_done() && self.filled.is_empty();
        if !is_clean {
            return;
        }
        let announced = self.scratch.head.keep_alive_seconds();
        put_back(&self.shared, &self.origin, link, announced, may_spawn);
    }

    /// Notes that `count` bytes of `data` were returned.
    fn use_up(&mut self, count: usize) {
        self.data.start += count;
        // The end of a sized body is known without a further read.
        let is_over = self.data.is_empty() && self.framing == ContentFraming::None;
        if is_over && self.upload.has_ended() {
            self.end(true);
        }
    }

    /// Reads bytes of the body into `buffer`. Returns 0 at the end.
    fn poll_read_to(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, RequestError>> {
        // Into the buffer itself, if it lies between two reads of the input.
        let room = match self.framing {
            ContentFraming::Sized(left) => usize::try_from(left).unwrap_or(usize::MAX),
            ContentFraming::AtClose => usize::MAX,
            _ => 0,
        };
        let room = room.min(buffer.len());
        let is_direct = room >= DIRECT_MIN && self.data.is_empty() && self.filled.is_empty();
        // A copy less for each byte of a large body.
        if is_direct {
            let sent = self.poll_upload(cx);
            let read = match sent {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => self.poll_more(cx, Some(&mut buffer[..room])),
            };
            let count = ready!(read).map_err(|error| {
                self.link = None;
                error.at(&self.method, &self.uri)
            })?;
            if count > 0 {
                self.count_down(count as u64);
                self.use_up(0);
                return Poll::Ready(Ok(count));
            }
        }
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(0));
        }
        let data = &self.scratch.input[self.data.clone()];
        let count = data.len().min(buffer.len());
        buffer[..count].copy_from_slice(&data[..count]);
        self.use_up(count);
        Poll::Ready(Ok(count))
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.scratch.head.status()
    }

    /// Returns the version of the answer: 1.0 or 1.1.
    #[must_use]
    pub fn version(&self) -> Version {
        self.scratch.head.version()
    }

    /// Returns the header fields, in the order of their arrival.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::ClientResponse;
    ///
    /// fn kind<'r>(response: &'r ClientResponse<'_>) -> Option<&'r str> {
    ///     response.headers().get("content-type")
    /// }
    /// # drop::<fn(&'static ClientResponse<'static>) -> _>(kind);
    /// ```
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        self.scratch.head.headers()
    }

    /// Returns the URI of the request. After redirects it is the last one.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the Content-Length, if the server has announced one. For HEAD and 304, it is that of GET.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.scratch.head.content_length()
    }

    /// Returns the server's address, if the transport has addresses.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Reads the next piece of the body. Returns `None` at its end.
    ///
    /// # Errors
    ///
    /// If the connection ends or fails within the body, if the body is malformed, or if no bytes come for too long.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RequestError> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, RequestError>> {
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(None));
        }
        // A copy, so that the input keeps its memory for the next read.
        let piece = Bytes::copy_from_slice(&self.scratch.input[self.data.clone()]);
        self.use_up(piece.len());
        Poll::Ready(Ok(Some(piece)))
    }

    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk), and if the body is longer than
    /// [`body_bytes_max`](super::ClientBuilder::body_bytes_max).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestError};
    ///
    /// async fn icon(client: &Client) -> Result<Vec<u8>, RequestError> {
    ///     client.get("http://example.org/favicon.ico").send().await?.bytes().await
    /// }
    /// # drop(icon);
    /// ```
    pub async fn bytes(mut self) -> Result<Vec<u8>, RequestError> {
        let bytes_max = self.shared.options.body_bytes_max;
        let too_large = |this: &Self| {
            RequestError::new(RequestErrorKind::BodyTooLarge).at(&this.method, &this.uri)
        };
        let mut all = Vec::new();
        let mut filled = 0;
        loop {
            let left = match self.framing {
                ContentFraming::Sized(left) => Some(left + self.data.len() as u64),
                _ => None,
            };
            // An announced length is refused before its bytes are read.
            if left.is_some_and(|left| left > bytes_max - filled as u64) {
                return Err(too_large(&self));
            }
            if filled == all.len() {
                // Not all that is announced: a server could announce more than this machine has.
                let room = left.unwrap_or(INPUT_BYTES as u64).min(ROOM_BYTES_MAX);
                all.resize(filled + usize::try_from(room).unwrap_or(INPUT_BYTES), 0);
            }
            let count = poll_fn(|cx| self.poll_read_to(cx, &mut all[filled..])).await?;
            filled += count;
            if filled as u64 > bytes_max {
                return Err(too_large(&self));
            }
            // The last byte of a sized body needs no further read, and no room for one.
            if count == 0 || (left == Some(count as u64) && self.link.is_none()) {
                all.truncate(filled);
                return Ok(all);
            }
        }
    }

    /// Reads the whole body as UTF-8.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and if the body is not UTF-8.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestError};
    ///
    /// async fn page(client: &Client) -> Result<String, RequestError> {
    ///     client.get("http://example.org/").send().await?.text().await
    /// }
    /// # drop(page);
    /// ```
    pub async fn text(self) -> Result<String, RequestError> {
        let place = (self.method.clone(), self.uri.clone());
        String::from_utf8(self.bytes().await?).map_err(|error| {
            RequestError::of(RequestErrorKind::Content, error).at(&place.0, &place.1)
        })
    }

    /// Reads the whole body as JSON, of any Content-Type and any status. With the feature `json`.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and if the body is not the JSON of a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestError};
    ///
    /// async fn numbers(client: &Client) -> Result<Vec<u32>, RequestError> {
    ///     client.get("http://example.org/numbers").send().await?.json().await
    /// }
    /// # drop(numbers);
    /// ```
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, RequestError> {
        let place = (self.method.clone(), self.uri.clone());
        serde_json::from_slice(&self.bytes().await?).map_err(|error| {
            RequestError::of(RequestErrorKind::Content, error).at(&place.0, &place.1)
        })
    }

    /// Returns the trailers, when a chunked body has been read to its end and has some.
    #[must_use]
    pub fn trailers(&self) -> Option<Headers<'_>> {
        let trailers = self.decoder.trailers();
        (self.decoder.is_done() && !trailers.is_empty()).then_some(trailers)
    }

    /// Returns the stream of the new protocol, after 101, or after a successful CONNECT.
    ///
    /// # Errors
    ///
    /// If the server has not changed the protocol: its status is another one.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Method;
    /// use waterwheel::http::client::{Client, ClientStream, RequestError};
    ///
    /// /// Opens a tunnel through a proxy.
    /// async fn tunnel(client: &Client) -> Result<ClientStream, RequestError> {
    ///     let connect = client.request(Method::CONNECT, "http://proxy.example:3128");
    ///     connect.target("example.org:443").send().await?.upgrade()
    /// }
    /// # drop(tunnel);
    /// ```
    pub fn upgrade(mut self) -> Result<ClientStream, RequestError> {
        let link = match self.framing {
            ContentFraming::Tunnel => self.link.take(),
            _ => None,
        };
        let Some(link) = link else {
            let error = RequestError::new(RequestErrorKind::Upgrade);
            return Err(error.at(&self.method, &self.uri));
        };
        // The server may have spoken right behind its head.
        let read = self.scratch.input[self.filled.clone()].to_vec();
        Ok(ClientStream::new(link.io, read, self.peer))
    }
}

impl AsyncRead for ClientResponse<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_to(cx, buffer).map_err(io::Error::other)
    }
}

impl AsyncBufRead for ClientResponse<'_> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_fill(cx)).map_err(io::Error::other)?;
        Poll::Ready(Ok(&this.scratch.input[this.data.clone()]))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.use_up(count);
    }
}

impl http_body::Body for ClientResponse<'_> {
    type Data = Bytes;
    type Error = RequestError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let piece = ready!(self.poll_chunk(cx))?;
        if let Some(piece) = piece {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let trailers = self.trailers().map(Headers::to_header_map);
        // They are returned once.
        self.decoder = Decoder::default();
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn size_hint(&self) -> SizeHint {
        let here = self.data.len() as u64;
        match self.framing {
            ContentFraming::Sized(left) => SizeHint::with_exact(left + here),
            ContentFraming::None | ContentFraming::Tunnel => SizeHint::with_exact(here),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for ClientResponse<'_> {
    fn drop(&mut self) {
        // The rest of the body may have arrived already. Then the connection can serve other requests.
        while self.link.is_some() && self.framing != ContentFraming::Tunnel {
            match self.decode() {
                Ok(Some(true)) => {}
                Ok(Some(false)) => {
                    self.data = 0..0;
                    self.end(false);
                    break;
                }
                Ok(None) | Err(_) => break,
            }
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.out = self.upload.take_out();
        let mut spares = self.shared.spares.borrow_mut();
        if spares.len() < SPARES_MAX {
            spares.push(scratch);
        }
    }
}

impl fmt::Debug for ClientResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientResponse")
            .field("status", &self.status())
            .field("headers", &self.headers())
            .finish_non_exhaustive()
    }
}
