//! The request on its way: the head and the body, from their source to the transport.
//!
//! ```text
//!   source ──► out (head, size line) · data · tail ──one write──► the transport
//! ```

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_io::AsyncRead;
use http_body::{Body as HttpBody, Frame, SizeHint};
use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use super::error::{AnyError, RequestError, RequestErrorKind};
use crate::proto::chunked::{CHUNK_END, push_last_chunk, push_size_line};
use crate::proto::request_head::RequestFraming;
use crate::transport::io::Io;

/// A body up to this length is copied behind the head, so that both leave in one slice.
const COPIED_MAX: usize = 4096;

/// The bytes that one read of a source asks for.
const PIECE_BYTES: usize = 16 * 1024;

/// The body of a request.
pub(super) enum UploadSource<'b> {
    /// Known bytes, which can be sent again.
    Whole(Bytes),
    Frames(Frames<'b>),
}

type Frames<'b> = Pin<Box<dyn HttpBody<Data = Bytes, Error = AnyError> + 'b>>;

impl<'b> UploadSource<'b> {
    pub(super) fn of_body<B>(body: B) -> Self
    where
        B: HttpBody + 'b,
        B::Error: Into<AnyError>,
    {
        Self::Frames(Box::pin(AnyBody {
            body: Box::pin(body),
        }))
    }

    pub(super) fn of_reader(reader: impl AsyncRead + 'b, length: Option<u64>) -> Self {
        Self::Frames(Box::pin(ReaderBody {
            reader: Box::pin(reader),
            left: length,
            piece: Vec::new(),
        }))
    }

    /// Returns the framing of this body.
    pub(super) fn framing(&self) -> RequestFraming {
        match self {
            Self::Whole(bytes) if bytes.is_empty() => RequestFraming::None,
            Self::Whole(bytes) => RequestFraming::Sized(bytes.len() as u64),
            Self::Frames(body) => match body.size_hint().exact() {
                // A length of 0 may be announced on purpose. Only `is_end_stream` tells that there is no body.
                Some(0) if body.is_end_stream() => RequestFraming::None,
                Some(length) => RequestFraming::Sized(length),
                None => RequestFraming::Chunked,
            },
        }
    }
}

/// A body with its own error and data types.
struct AnyBody<B> {
    body: Pin<Box<B>>,
}

impl<B> HttpBody for AnyBody<B>
where
    B: HttpBody,
    B::Error: Into<AnyError>,
{
    type Data = Bytes;
    type Error = AnyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        let frame = ready!(self.body.as_mut().poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            // A copy only if the data is not `Bytes` already.
            Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A reader as a body.
struct ReaderBody<R> {
    reader: Pin<Box<R>>,
    /// The bytes of the announced length that are not read yet.
    left: Option<u64>,
    piece: Vec<u8>,
}

impl<R: AsyncRead> HttpBody for ReaderBody<R> {
    type Data = Bytes;
    type Error = AnyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnyError>>> {
        let this = &mut *self;
        // A reader with more bytes than announced is not read to its end: the rest may be another message.
        let room = this.left.map_or(PIECE_BYTES, |left| {
            usize::try_from(left)
                .unwrap_or(PIECE_BYTES)
                .min(PIECE_BYTES)
        });
        if room == 0 {
            return Poll::Ready(None);
        }
        this.piece.resize(room, 0);
        let count = ready!(this.reader.as_mut().poll_read(cx, &mut this.piece))?;
        if count == 0 {
            return Poll::Ready(None);
        }
        if let Some(left) = &mut this.left {
            *left -= count as u64;
        }
        let piece = Bytes::copy_from_slice(&this.piece[..count]);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The progress of a request.
pub(super) struct Upload<'b> {
    /// The head, or the size line of a chunk, of which `sent` bytes have left.
    out: Vec<u8>,
    sent: usize,
    data: Bytes,
    /// The end of a chunk.
    tail: &'static [u8],
    source: Option<Frames<'b>>,
    /// The rest of an announced length. `None` for chunks.
    left: Option<u64>,
    /// The time until which the body waits for 100.
    pause: Option<Sleep>,
    state: UploadState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UploadState {
    Sending,
    /// All bytes are with the transport, which may hold some back.
    Flushing,
    Done,
    /// The transport accepts no more bytes. An answer may still arrive.
    Lost,
}

impl<'b> Upload<'b> {
    /// Begins with `out`, which has the head.
    pub(super) fn new(
        out: Vec<u8>,
        source: UploadSource<'b>,
        framing: RequestFraming,
        pause: Option<Instant>,
    ) -> Self {
        let left = match framing {
            RequestFraming::None => Some(0),
            RequestFraming::Sized(length) => Some(length),
            RequestFraming::Chunked => None,
        };
        let mut upload = Self {
            out,
            sent: 0,
            data: Bytes::new(),
            tail: b"",
            source: None,
            left,
            pause: pause.filter(|_| left != Some(0)).map(sleep_until),
            state: UploadState::Sending,
        };
        match source {
            // One write of one slice for a small request. A paused body stays apart, because it may not be sent at all.
            UploadSource::Whole(bytes) if bytes.len() <= COPIED_MAX && upload.pause.is_none() => {
                upload.out.extend_from_slice(&bytes);
            }
            UploadSource::Whole(bytes) => upload.data = bytes,
            UploadSource::Frames(_) if left == Some(0) => {}
            UploadSource::Frames(frames) => upload.source = Some(frames),
        }
        upload
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == UploadState::Done
    }

    /// Returns true if no more bytes will leave.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, UploadState::Done | UploadState::Lost)
    }

    /// Returns true if the transport has accepted all bytes.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.state, UploadState::Flushing | UploadState::Done)
    }

    /// Ends the wait for 100.
    pub(super) fn proceed(&mut self) {
        self.pause = None;
    }

    /// Returns true if the body still waits for 100.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Leaves the rest of the body out. The server cannot find the end of the request then.
    pub(super) fn abandon(&mut self) {
        self.state = UploadState::Lost;
    }

    /// Takes the memory of `out` back.
    pub(super) fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Sends on. Ready when no more bytes will leave. Sets `moved` if the transport has accepted some.
    ///
    /// # Errors
    ///
    /// If the source fails. A failure of the transport is no error here, because the answer may have arrived before.
    pub(super) fn poll(
        &mut self,
        io: &dyn Io,
        cx: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<Result<(), RequestError>> {
        loop {
            match self.state {
                UploadState::Done | UploadState::Lost => return Poll::Ready(Ok(())),
                UploadState::Flushing => {
                    let flushed = ready!(io.poll_flush(cx));
                    self.state = flushed.map_or(UploadState::Lost, |()| UploadState::Done);
                    *moved = true;
                    continue;
                }
                UploadState::Sending => {}
            }
            // No error yet: a server that answers early and closes makes the next write fail.
            if ready!(self.poll_write(io, cx, moved)).is_err() {
                self.state = UploadState::Lost;
                continue;
            }
            if let Some(pause) = &mut self.pause {
                // The head must be there before the server can send 100.
                if io.poll_flush(cx).is_ready() && Pin::new(pause).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
                continue;
            }
            // All that was taken from the source has left, so the memory for the next piece is free.
            let Some(source) = &mut self.source else {
                self.state = UploadState::Flushing;
                continue;
            };
            let Poll::Ready(frame) = source.as_mut().poll_frame(cx) else {
                // The peer has all bytes so far while the source waits.
                if let Poll::Ready(Err(_)) = io.poll_flush(cx) {
                    self.state = UploadState::Lost;
                    continue;
                }
                return Poll::Pending;
            };
            self.push(frame)?;
        }
    }

    /// Takes the next frame of the source.
    fn push(&mut self, frame: Option<Result<Frame<Bytes>, AnyError>>) -> Result<(), RequestError> {
        let wrong = |text| RequestError::with(RequestErrorKind::Upload, text);
        let frame = frame
            .transpose()
            .map_err(|error| RequestError::of(RequestErrorKind::Upload, error))?;
        self.out.clear();
        self.sent = 0;
        let Some(frame) = frame else {
            return self.push_end(None);
        };
        match frame.into_data() {
            // An empty chunk would end the body.
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                if let Some(left) = &mut self.left {
                    let rest = left.checked_sub(data.len() as u64);
                    *left = rest.ok_or_else(|| wrong("it has more bytes than announced"))?;
                } else {
                    push_size_line(&mut self.out, data.len() as u64);
                    self.tail = CHUNK_END;
                }
                self.data = data;
                // The end of a known length needs no further look at the source.
                if self.left == Some(0) {
                    self.source = None;
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return self.push_end(Some(&trailers));
                }
            }
        }
        Ok(())
    }

    fn push_end(&mut self, trailers: Option<&http::HeaderMap>) -> Result<(), RequestError> {
        self.source = None;
        match (self.left, trailers) {
            // Trailers need chunks, and are left out of a known length (RFC 9110, 6.5.1).
            (Some(0), _) => {}
            // The server waits for the rest. Only the end of the connection tells it that none comes.
            (Some(_), _) => {
                let text = "it has fewer bytes than announced";
                return Err(RequestError::with(RequestErrorKind::Upload, text));
            }
            (None, trailers) => {
                let pushed = match trailers {
                    Some(trailers) => push_last_chunk(&mut self.out, trailers),
                    None => push_last_chunk(&mut self.out, &()),
                };
                pushed.map_err(|_| {
                    let text = "a trailer is not allowed, or is malformed";
                    RequestError::with(RequestErrorKind::Upload, text)
                })?;
            }
        }
        Ok(())
    }

    /// Writes `out`, `data` and `tail`.
    fn poll_write(
        &mut self,
        io: &dyn Io,
        cx: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            let out = &self.out[self.sent..];
            // The body of a paused request stays here.
            let is_paused = self.pause.is_some();
            let written = match (out.is_empty(), self.data.is_empty() || is_paused) {
                (true, true) if self.tail.is_empty() => return Poll::Ready(Ok(())),
                (false, true) if self.tail.is_empty() => io.poll_write_one(cx, out),
                (_, is_empty) => {
                    let data = if is_empty { &[][..] } else { &self.data[..] };
                    let slices = [out, data, self.tail].map(IoSlice::new);
                    io.poll_write(cx, &slices)
                }
            };
            let mut count = ready!(written)?;
            // Without progress this loop would not end.
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *moved = true;
            let of_out = count.min(out.len());
            self.sent += of_out;
            count -= of_out;
            let of_data = count.min(self.data.len());
            self.data.advance(of_data);
            self.tail = &self.tail[count - of_data..];
        }
    }
}
