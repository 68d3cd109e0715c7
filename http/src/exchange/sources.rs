//! Bodies from other sources: streams, readers, files, bodies of other crates.
//!
//! Each of these is a loop around [`AnswerBody::write`]. Some end the answer, and some leave it open for
//! more. If the answer may have no body, the loop does not poll its source.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::pin::pin;

use bytes::Buf;
use futures_core::Stream;
use futures_io::AsyncRead;
use http::HeaderMap;
use rustix::io::Errno;
use waterwheel_runtime::spawn_blocking;

use crate::error::{Error, Result};
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::handle::{COPIED_MAX, Exchange};
use crate::exchange::handler::Responded;
use crate::exchange::sys::read_cached;

/// The number of bytes of a file that are sent before other tasks run.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// The number of bytes of a file that are in this process at once, if they are coded.
const CODED_WINDOW_BYTES: u64 = 128 * 1024;

/// The number of bytes of a reader that are read at once.
const PIECE_BYTES: usize = 16 * 1024;

impl AnswerBody<'_> {
    /// Sends all items of a stream, and ends the answer.
    ///
    /// # Errors
    ///
    /// The stream's first error, and those of [`write`](Self::write) and [`finish`](Self::finish). Then the
    /// server cuts the connection, so that the client does not take a part of the body for the whole.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the rest of the answer is lost. Return an error then. If a byte has been sent, the
    /// server cuts the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::stream;
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn lines(request: Request<'_>) -> Result<Responded> {
    ///     let lines = stream::iter(["one\n", "two\n"]).map(Ok::<_, std::io::Error>);
    ///     request.start(StatusCode::OK, ()).await?.send_stream(lines).await
    /// }
    /// # use futures_lite::StreamExt;
    /// ```
    pub async fn send_stream<D, E>(
        mut self,
        stream: impl Stream<Item = Result<D, E>>,
    ) -> Result<Responded>
    where
        D: AsRef<[u8]>,
        E: Into<Error>,
    {
        let mut stream = pin!(stream);
        // An answer to HEAD must not run the stream, which may never end.
        while self.is_sent()
            && let Some(piece) = self.next_of(|cx| stream.as_mut().poll_next(cx)).await?
        {
            self.write(piece.map_err(Into::into)?).await?;
        }
        self.finish().await
    }

    /// Sends all bytes of a reader, and ends the answer.
    ///
    /// # Errors
    ///
    /// As [`send_stream`](Self::send_stream).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the rest of the answer is lost. Return an error then. If a byte has been sent, the
    /// server cuts the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::{Request, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let send = async |request: Request<'_>| {
    ///     let reader = futures_lite::io::Cursor::new("from a reader");
    ///     request.start(StatusCode::OK, ()).await?.send_reader(reader).await
    /// };
    /// assert_eq!(block_on(async { TestClient::new(send).get("/").await.text() }), "from a reader");
    /// ```
    pub async fn send_reader(mut self, reader: impl AsyncRead) -> Result<Responded> {
        let mut reader = pin!(reader);
        let mut piece = vec![0; PIECE_BYTES];
        while self.is_sent() {
            let read = self.next_of(|cx| reader.as_mut().poll_read(cx, &mut piece));
            let count = read.await??;
            // An `AsyncRead` has no other sign of its end than 0 bytes.
            if count == 0 {
                break;
            }
            self.write(&piece[..count]).await?;
        }
        self.finish().await
    }

    /// Sends the body of another crate with its trailers, and ends the answer.
    ///
    /// # Errors
    ///
    /// As [`send_stream`](Self::send_stream).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the rest of the answer is lost. Return an error then. If a byte has been sent, the
    /// server cuts the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// /// Sends a request's body back, with its trailers.
    /// async fn echo(request: Request<'_>) -> Result<Responded> {
    ///     let body = request.body(); // an `http_body::Body`, as those of hyper are
    ///     request.start(StatusCode::OK, ()).await?.send_body(body).await
    /// }
    /// # drop(waterwheel::http::shared(echo));
    /// ```
    pub async fn send_body<B>(self, body: B) -> Result<Responded>
    where
        B: http_body::Body,
        B::Error: Into<Error>,
    {
        self.send_body_or(body, Into::into).await
    }

    /// As [`send_body`](Self::send_body), with a function that converts the errors of the body.
    pub(crate) async fn send_body_or<B: http_body::Body>(
        mut self,
        body: B,
        error: impl Fn(B::Error) -> Error,
    ) -> Result<Responded> {
        let mut body = pin!(body);
        let mut trailers = HeaderMap::new();
        while self.is_sent()
            && let Some(frame) = self.next_of(|cx| body.as_mut().poll_frame(cx)).await?
        {
            match frame.map_err(&error)?.into_data() {
                Ok(mut data) => {
                    // The data may be a list of parts: each is written from where it is, without a copy into one.
                    while data.has_remaining() {
                        let count = data.chunk().len();
                        self.write(data.chunk()).await?;
                        data.advance(count);
                    }
                }
                // http-body allows trailers only as the last frame, so they wait for the end of the loop.
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        self.finish_with_trailers(trailers).await
    }

    /// Sends a part of a file. Does not copy it through this process if the transport supports that
    /// (`sendfile(2)`). Another thread first reads the parts that are not in memory, so that a read from the
    /// disk does not delay other tasks.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file is too short, and those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: as [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn manual(request: Request<'_>) -> Result<Responded> {
    ///     let file = File::open("README.md")?;
    ///     let length = file.metadata()?.len();
    ///     let headers = [("content-length", length.to_string())];
    ///     let mut body = request.start(StatusCode::OK, headers).await?;
    ///     body.send_file(&file, 0..length).await?;
    ///     body.finish().await
    /// }
    /// ```
    pub async fn send_file(&mut self, file: &File, range: Range<u64>) -> Result<()> {
        if self.is_coded() {
            return Box::pin(self.send_file_coded(file, range)).await;
        }
        let count = range.end.saturating_sub(range.start);
        self.write_by(count, async move |exchange| {
            send_file(exchange, file, range).await
        })
        .await
    }

    /// Sends a part of a file whose bytes pass through an encoder.
    async fn send_file_coded(&mut self, file: &File, range: Range<u64>) -> Result<()> {
        let mut offset = range.start;
        while offset < range.end && self.is_sent() {
            let end = range.end.min(offset + CODED_WINDOW_BYTES);
            let data = read_elsewhere(file, offset..end, Keep::Everything).await?;
            self.write(&data).await?;
            offset = end;
        }
        Ok(())
    }
}

async fn send_file(exchange: Exchange<'_>, file: &File, range: Range<u64>) -> Result<()> {
    // A small file that is in memory leaves with its head, in one system call.
    if queue_small(exchange, file, &range) {
        return exchange.back_pressure().await;
    }
    // The head must be in the socket before `sendfile` writes to it directly.
    exchange.flush().await?;
    let mut offset = range.start;
    while offset < range.end {
        let end = range.end.min(offset + WINDOW_BYTES);
        // `sendfile` from a cold file blocks the thread, so another thread brings the window into memory
        // first.
        if !is_in_memory(file, offset..end) {
            read_elsewhere(file, offset..end, Keep::Nothing).await?;
        }
        send_window(exchange, file, &mut offset, end).await?;
    }
    Ok(())
}

/// Copies a small part of a file into the queue if it is in memory, so that it leaves together with the
/// queued bytes. Returns true if it did.
fn queue_small(exchange: Exchange<'_>, file: &File, range: &Range<u64>) -> bool {
    let count = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    if count > COPIED_MAX {
        return false;
    }
    exchange.queue_with(|queue| {
        let before = queue.len();
        queue.resize(before + count, 0);
        let read = read_cached(file, &mut queue[before..], range.start);
        let is_whole = read == Ok(count);
        if !is_whole {
            // A part of the file may be there. It is removed, because the slow path sends the range from its
            // start.
            queue.truncate(before);
        }
        is_whole
    })
}

/// Sends the file from `offset` to `end`, and moves `offset` along.
async fn send_window(
    exchange: Exchange<'_>,
    file: &File,
    offset: &mut u64,
    end: u64,
) -> Result<()> {
    while *offset < end {
        let count = usize::try_from(end - *offset).unwrap_or(usize::MAX);
        match exchange.send_file(file.as_fd(), offset, count).await {
            // The file has become shorter. The announced length can no longer be kept, so the answer is cut.
            Some(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(sent) => drop(sent?),
            // Not every transport can send files: TLS must encrypt the bytes.
            None => {
                let data = read_elsewhere(file, *offset..end, Keep::Everything).await?;
                exchange.write_through(&data).await?;
                *offset = end;
            }
        }
    }
    Ok(())
}

/// Returns true if a part of a file is in memory, judged by its first and last byte. Also returns true if the
/// file system does not report this.
fn is_in_memory(file: &File, range: Range<u64>) -> bool {
    // The first and the last byte stand for the window, because a check of each page costs too much.
    [range.start, range.end - 1]
        .into_iter()
        .all(|offset| read_cached(file, &mut [0], offset) != Err(Errno::AGAIN))
}

/// True if the bytes are kept after the read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Everything,
    /// The kernel has the bytes in memory after the read, and that is enough.
    Nothing,
}

/// Reads a part of a file on a thread of the pool.
async fn read_elsewhere(file: &File, range: Range<u64>, keep: Keep) -> Result<Vec<u8>> {
    // The job needs a file of its own: this one may be closed while the job runs.
    let file = file.try_clone()?;
    let data = spawn_blocking(move || {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut data = vec![0; length];
        file.read_exact_at(&mut data, range.start)?;
        // The read has filled the kernel's cache. The bytes themselves are not needed here.
        if keep == Keep::Nothing {
            data = Vec::new();
        }
        io::Result::Ok(data)
    });
    Ok(data.await??)
}
