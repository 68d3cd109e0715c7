//! One exchange: a request leaves over a connection, and its answer arrives there.
//!
//! # How it works
//!
//! ```text
//!  the transport ──► input ──► head parser, then the body's framing ──► `data`, a range of the input
//! ```
//!
//! Each poll sends on first and reads then. A read that finds bytes for `data` returns them. The end of the body ends
//! the exchange: the pool takes the connection if the request has left as a whole and no byte is behind the answer.
//!
//! # Invariants
//!
//! - Always: an error closes the connection, because the position in its stream is lost.
//! - Never: a connection that owes an answer, or a part of one, goes to the pool.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri};

use super::clock::ExchangeClock;
use super::error::{RequestError, RequestErrorKind};
use super::pool::{Link, Origin, put_back};
use super::stream::ClientStream;
use super::upload::Upload;
use super::{ClientShared, SPARES_MAX, Scratch};
use crate::error::Refusal;
use crate::headers::Headers;
use crate::proto::answer_head::{AnswerHead, AnswerParser};
use crate::proto::chunked::{Decoded, Decoder};
use crate::proto::framing::ContentFraming;
use crate::proto::request_head::RequestFields;

/// The first size of the input. A head of up to this size needs no second one.
pub(super) const INPUT_BYTES: usize = 16 * 1024;

/// A reader's buffer of this size is read into directly.
const DIRECT_MIN: usize = 4096;

/// A function that sees interim answers.
pub(super) type OnInterim<'b> = Box<dyn FnMut(StatusCode, Headers<'_>) + 'b>;

/// A request under way, and its answer. `'b` is the lifetime of a request's body that is streamed.
pub(super) struct ClientExchange<'b> {
    pub(super) shared: Rc<ClientShared>,
    origin: Origin,
    /// The connection, until the end of the exchange.
    link: Option<Link>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) peer: Option<SocketAddr>,
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

/// The head.
impl<'b> ClientExchange<'b> {
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
        // The destructor of the exchange needs no time limit.
        std::mem::replace(&mut self.clock, ExchangeClock::new(None))
    }

    /// Returns the head of the answer.
    pub(super) fn head(&self) -> &AnswerHead {
        &self.scratch.head
    }

    /// Sends the request until the final head of its answer is here.
    pub(super) async fn receive_head(
        &mut self,
        on_interim: Option<&mut OnInterim<'b>>,
        fields: &RequestFields,
    ) -> Result<(), RequestError> {
        self.receive_heads(on_interim, fields).await?;
        self.begin_body()
    }

    /// Receives interim heads and the final one.
    async fn receive_heads(
        &mut self,
        mut on_interim: Option<&mut OnInterim<'b>>,
        fields: &RequestFields,
    ) -> Result<(), RequestError> {
        let mut parser = AnswerParser::default();
        // One byte of an answer shows that the server has seen the request, so it must not be sent again.
        let mut has_begun = false;
        let mut head_bytes = 0;
        loop {
            head_bytes += poll_fn(|cx| self.poll_head(cx, &mut parser, &mut has_begun)).await?;
            // One limit for all heads of an answer, because a server could send interim ones without an end.
            if head_bytes > usize::from(self.shared.options.limits.head_bytes_max) {
                return Err(Refusal::HeadTooLarge.into());
            }
            let head = &self.scratch.head;
            match head.status() {
                StatusCode::CONTINUE => self.upload.proceed(),
                StatusCode::SWITCHING_PROTOCOLS if fields.offer(head.headers()) => return Ok(()),
                // The bytes behind it have a meaning that this client does not know.
                StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(RequestError::new(RequestErrorKind::Upgrade));
                }
                status if status.is_informational() => {
                    if let Some(see) = &mut on_interim {
                        see(status, head.headers());
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn begin_body(&mut self) -> Result<(), RequestError> {
        let head = &self.scratch.head;
        let framing = head.framing(&self.method)?;
        // The rest of the body would be read as bytes of the new protocol.
        if framing == ContentFraming::Tunnel && !self.upload.is_written() {
            return Err(RequestError::new(RequestErrorKind::Upgrade));
        }
        // The end of the connection is the end of such a body, so no answer can follow it.
        let is_shared = !matches!(framing, ContentFraming::AtClose | ContentFraming::Tunnel);
        self.is_last |= !is_shared || !head.persists();
        // Set only now: until here it is `AtClose`, so that no error returns the connection to the pool.
        self.framing = framing;
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
}

/// The transport.
impl ClientExchange<'_> {
    /// Sends on. Ready when no more bytes of the request will leave.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RequestError>> {
        let Some(link) = &self.link else {
            return Poll::Ready(Ok(()));
        };
        let mut moved = false;
        let polled = self.upload.poll(&*link.io, cx, &mut moved);
        if moved {
            self.clock.progress();
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
        let Poll::Ready(read) = read else {
            return self.clock.poll(cx, limit, kind).map(Err);
        };
        Poll::Ready(read.map_err(|error| match error.kind() {
            // TLS without its `close_notify`: an end that somebody between the two may have made.
            io::ErrorKind::UnexpectedEof => RequestError::of(RequestErrorKind::CutShort, error),
            _ => RequestError::of(RequestErrorKind::Io, error),
        }))
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

    /// Closes the connection after an error. Returns the error with its place.
    fn fail(&mut self, error: RequestError) -> RequestError {
        self.link = None;
        self.at(error)
    }

    /// Adds the place of this exchange to an error.
    pub(super) fn at(&self, error: RequestError) -> RequestError {
        error.at(&self.method, &self.uri)
    }
}

/// The body.
impl ClientExchange<'_> {
    /// Finds the next bytes of the body in the input. Returns true if there are some, false at the end of the body, and
    /// `None` if more input is needed.
    fn decode(&mut self) -> Result<Option<bool>, RequestError> {
        let start = self.filled.start;
        match &mut self.framing {
            // There is no body, or its end was found before.
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
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, RequestError>> {
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
        Poll::Ready(filled.map_err(|error| self.fail(error)))
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
        // The connection waits for the caller who takes its stream.
        if self.framing == ContentFraming::Tunnel {
            return Poll::Ready(Ok(false));
        }
        // A server that streams its answer may have ended it before it has read all of a request that it accepts.
        if !is_sent && self.link.is_some() && self.scratch.head.status().is_success() {
            let limit = self.shared.options.body_timeout;
            return self
                .clock
                .poll(cx, limit, RequestErrorKind::BodyTimeout)
                .map(Err);
        }
        self.end(true);
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
    pub(super) fn use_up(&mut self, count: usize) {
        self.data.start += count;
        // The end of a sized body is known without a further read.
        let is_over = self.data.is_empty() && self.framing == ContentFraming::None;
        if is_over && self.upload.has_ended() {
            self.end(true);
        }
    }

    /// Returns the bytes of the body that are here.
    pub(super) fn data(&self) -> &[u8] {
        &self.scratch.input[self.data.clone()]
    }

    /// Reads bytes of the body into `buffer`. Returns 0 at the end.
    pub(super) fn poll_read_to(
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
            let read = match self.poll_upload(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => self.poll_more(cx, Some(&mut buffer[..room])),
            };
            let count = ready!(read).map_err(|error| self.fail(error))?;
            if count > 0 {
                self.count_down(count as u64);
                // No byte of `data` was used, but the body may be over.
                self.use_up(0);
                return Poll::Ready(Ok(count));
            }
        }
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(0));
        }
        let data = self.data();
        let count = data.len().min(buffer.len());
        buffer[..count].copy_from_slice(&data[..count]);
        self.use_up(count);
        Poll::Ready(Ok(count))
    }

    /// Returns the length of the rest of the body, if it is known.
    pub(super) fn left(&self) -> Option<u64> {
        let here = self.data.len() as u64;
        match self.framing {
            ContentFraming::Sized(left) => Some(left + here),
            ContentFraming::None | ContentFraming::Tunnel => Some(here),
            ContentFraming::AtClose | ContentFraming::Chunked => None,
        }
    }

    /// Returns true if the connection has left this exchange.
    pub(super) fn has_ended(&self) -> bool {
        self.link.is_none()
    }

    /// Returns the trailers, if a chunked body has been read to its end and has some.
    pub(super) fn trailers(&self) -> Option<Headers<'_>> {
        let trailers = self.decoder.trailers();
        (self.decoder.is_done() && !trailers.is_empty()).then_some(trailers)
    }

    /// Returns the trailers once.
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        let trailers = self.trailers().map(Headers::to_header_map);
        self.decoder = Decoder::default();
        trailers
    }

    /// Takes the stream of the new protocol, if the server has changed it.
    pub(super) fn take_stream(&mut self) -> Option<ClientStream> {
        if self.framing != ContentFraming::Tunnel {
            return None;
        }
        let link = self.link.take()?;
        // The server may have spoken right behind its head.
        let read = self.scratch.input[self.filled.clone()].to_vec();
        Some(ClientStream::new(link.io, read, self.peer))
    }
}

impl Drop for ClientExchange<'_> {
    fn drop(&mut self) {
        // The rest of the body may have arrived already. Then the connection can serve other requests.
        while self.link.is_some() && self.framing != ContentFraming::Tunnel {
            match self.decode() {
                Ok(Some(true)) => {}
                Ok(Some(false)) => self.end(false),
                Ok(None) | Err(_) => break,
            }
        }
        // The memory serves a later exchange.
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.out = self.upload.take_out();
        let mut spares = self.shared.spares.borrow_mut();
        if spares.len() < SPARES_MAX {
            spares.push(scratch);
        }
    }
}
