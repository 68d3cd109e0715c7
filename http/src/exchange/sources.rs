//! Bodies from elsewhere: streams, readers, files, other crates' bodies.
//!
//! Each of these is a loop around [`AnswerBody::write`], and ends an answer or leaves it open for
//! more. An answer that may have no body takes nothing from its source.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::pin::pin;

use bytes::Buf;
use futures_core::Stream;
use futures_io::AsyncRead;
use http::HeaderMap;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use waterwheel_runtime::spawn_blocking;

use crate::error::{Error, Result};
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::link::{COPIED_MAX, Link};
use crate::exchange::responded::Responded;

/// How much of a file is sent before others have a turn.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// How much of a reader is read at once.
const PIECE_BYTES: usize = 16 * 1024;

impl AnswerBody<'_> {
    /// Sends all that a stream gives, and ends the answer.
    ///
    /// # Errors
    ///
    /// The stream's first error, and those of [`write`](Self::write) and [`finish`](Self::finish):
    /// then the connection is cut, so that nobody takes a part for the whole.
    ///
    /// # Cancel safety
    ///
    /// None: the rest of the answer is lost. Return an error then; once anything is out, the connection is cut.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::stream;
    /// use waterwheel_http::{Request, Responded, Result, StatusCode};
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
        while self.is_sent()
            && let Some(piece) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await
        {
            self.write(piece.map_err(Into::into)?).await?;
        }
        self.finish().await
    }

    /// Sends all that a reader gives, and ends the answer.
    ///
    /// # Errors
    ///
    /// As [`send_stream`](Self::send_stream).
    ///
    /// # Cancel safety
    ///
    /// None: the rest of the answer is lost. Return an error then; once anything is out, the connection is cut.
    pub async fn send_reader(mut self, reader: impl AsyncRead) -> Result<Responded> {
        let mut reader = pin!(reader);
        let mut piece = vec![0; PIECE_BYTES];
        while self.is_sent() {
            let count = poll_fn(|cx| reader.as_mut().poll_read(cx, &mut piece)).await?;
            if count == 0 {
                break;
            }
            self.write(&piece[..count]).await?;
        }
        self.finish().await
    }

    /// Sends another crate's body, trailers included, and ends the answer.
    ///
    /// # Errors
    ///
    /// As [`send_stream`](Self::send_stream).
    ///
    /// # Cancel safety
    ///
    /// None: the rest of the answer is lost. Return an error then; once anything is out, the connection is cut.
    pub async fn send_body<B>(mut self, body: B) -> Result<Responded>
    where
        B: http_body::Body,
        B::Error: Into<Error>,
    {
        let mut body = pin!(body);
        let mut trailers = HeaderMap::new();
        while self.is_sent()
            && let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await
        {
            match frame.map_err(Into::into)?.into_data() {
                Ok(mut data) => self.write_all_of(&mut data).await?,
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        self.finish_with_trailers(trailers).await
    }

    async fn write_all_of(&mut self, data: &mut impl Buf) -> Result<()> {
        while data.has_remaining() {
            let count = data.chunk().len();
            self.write(data.chunk()).await?;
            data.advance(count);
        }
        Ok(())
    }

    /// Sends a part of a file, without copying it through this process where the transport can
    /// (`sendfile(2)`). What is not in memory is read on another thread first, so a cold file does
    /// not hold up the others.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file is shorter; and those of [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// None: as [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use waterwheel_http::{Request, Responded, Result, StatusCode};
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
        let count = range.end.saturating_sub(range.start);
        self.write_by(count, async move |link| send_file(link, file, range).await)
            .await
    }
}

async fn send_file(link: Link<'_>, file: &File, range: Range<u64>) -> Result<()> {
    if queue_small(link, file, &range) {
        return link.back_pressure().await;
    }
    link.flush().await?;
    let mut offset = range.start;
    while offset < range.end {
        let end = range.end.min(offset + WINDOW_BYTES);
        if !is_in_memory(file, offset..end) {
            read_elsewhere(file, offset..end, Keep::Nothing).await?;
        }
        send_window(link, file, &mut offset, end).await?;
    }
    Ok(())
}

/// Copies what is small and in memory behind what is queued, so that both go out in one piece.
/// Says whether it did.
fn queue_small(link: Link<'_>, file: &File, range: &Range<u64>) -> bool {
    let count = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    if count > COPIED_MAX {
        return false;
    }
    let queued = &mut link.work.exchange.output.borrow_mut().bytes;
    let before = queued.len();
    queued.resize(before + count, 0);
    let mut buffers = [io::IoSliceMut::new(&mut queued[before..])];
    let read = preadv2(file, &mut buffers, range.start, ReadWriteFlags::NOWAIT);
    let is_whole = read == Ok(count);
    if !is_whole {
        queued.truncate(before);
    }
    is_whole
}

/// Sends from `offset`, which moves along, to `end`.
async fn send_window(link: Link<'_>, file: &File, offset: &mut u64, end: u64) -> Result<()> {
    while *offset < end {
        let count = usize::try_from(end - *offset).unwrap_or(usize::MAX);
        match link.send_file(file.as_fd(), offset, count).await {
            Some(Ok(0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(sent) => drop(sent?),
            None => {
                let data = read_elsewhere(file, *offset..end, Keep::Everything).await?;
                link.write_through(&data).await?;
                *offset = end;
            }
        }
    }
    Ok(())
}

/// Whether a part of a file is in memory, judged by its first and last byte. Where the file system
/// does not say, it counts as being there.
fn is_in_memory(file: &File, range: Range<u64>) -> bool {
    [range.start, range.end - 1].into_iter().all(|offset| {
        let mut byte = [0];
        let mut buffers = [io::IoSliceMut::new(&mut byte)];
        let read = preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT);
        read != Err(Errno::AGAIN)
    })
}

/// What to do with what has been read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Everything,
    /// It is in the kernel's memory now: that is enough.
    Nothing,
}

/// Reads a part of a file on a thread of the pool.
async fn read_elsewhere(file: &File, range: Range<u64>, keep: Keep) -> Result<Vec<u8>> {
    let file = file.try_clone()?;
    let data = spawn_blocking(move || {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut data = vec![0; length];
        file.read_exact_at(&mut data, range.start)?;
        if keep == Keep::Nothing {
            data = Vec::new();
        }
        io::Result::Ok(data)
    });
    Ok(data.await??)
}
