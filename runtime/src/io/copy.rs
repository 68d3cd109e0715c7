//! Copies all bytes of a reader into a writer, and of two streams into each other.
//!
//! # How it works
//!
//! ```text
//!            ┌────────────────────────── all written ───────────────────┐
//!            ▼                                                          │
//!  read into the buffer ── bytes ──► write the buffer ──────────────────┘
//!    │    └── no bytes yet ──► flush, and wait for bytes
//!    └── end ──► close the writer ──► done
//! ```
//!
//! The flush before a wait matters: a writer with a buffer (TLS) may hold a question, and the reader waits for
//! its answer.
//!
//! # Invariants
//!
//! - Always: the writer is closed after the end of the reader. A TCP stream sends FIN and can still be read.
//! - Never: a direction that waits for the other one.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use crate::budget::{self, Shares};

/// The bytes that one read takes at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// Copies bytes until the end of the reader, and flushes the writer. Returns the number of bytes.
///
/// The writer is not closed. Pass `&mut reader` and `&mut writer` to use them after the copy.
///
/// # Errors
///
/// Returns the first error of the reader or the writer. It returns `WriteZero` if the writer takes no more
/// bytes. Bytes that were read and not written are lost.
///
/// # Cancel safety
///
/// Not safe: up to 16 KiB that were read and not written are lost.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, io::copy};
///
/// let mut writer = Vec::new();
/// let bytes = block_on(copy(&b"water"[..], &mut writer))?;
/// assert_eq!((bytes, &*writer), (5, &b"water"[..]));
/// # std::io::Result::Ok(())
/// ```
pub async fn copy(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) -> io::Result<u64> {
    let mut transfer = Transfer::new(false);
    poll_fn(|cx| transfer.poll(cx, Pin::new(&mut reader), Pin::new(&mut writer))).await
}

/// Copies the bytes of each stream into the other one, until both have ended. Returns the number of bytes from
/// `a` to `b`, and from `b` to `a`.
///
/// When one stream ends, the write half of the other one is closed (FIN), and the copy in the opposite direction
/// continues. So a client that has sent its request and closed its write half still receives the answer. There
/// is no limit on the time; see the example `tcp_proxy` for one.
///
/// # Errors
///
/// Returns the first error of either direction. The other direction ends, too.
///
/// # Cancel safety
///
/// Not safe: up to 16 KiB of each direction are lost.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::net::UnixStream;
/// use waterwheel::runtime::{block_on, io::copy_bidirectional, spawn};
/// # fn pair() -> (UnixStream, UnixStream) {
/// #     let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
/// #     (UnixStream::from_std(a).unwrap(), UnixStream::from_std(b).unwrap())
/// # }
///
/// block_on(async {
///     let ((mut client, from_client), (to_server, mut server)) = (pair(), pair());
///     let proxy = spawn(copy_bidirectional(from_client, to_server));
///     client.write_all(b"question").await?;
///     client.close().await?; // the client can still read
///     let mut question = String::new();
///     server.read_to_string(&mut question).await?;
///     server.write_all(b"answer").await?;
///     server.close().await?;
///     let mut answer = String::new();
///     client.read_to_string(&mut answer).await?;
///     assert_eq!((&*question, &*answer), ("question", "answer"));
///     assert_eq!(proxy.await.unwrap()?, (8, 6));
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub async fn copy_bidirectional<A, B>(mut a: A, mut b: B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Transfer::new(true), Transfer::new(true));
    poll_fn(|cx| {
        // Each direction has a share of the budget, so a busy one does not stop the other one.
        let mut shares = Shares::of(2);
        let there = shares.poll(|| there.poll(cx, Pin::new(&mut a), Pin::new(&mut b)))?;
        let back = shares.poll(|| back.poll(cx, Pin::new(&mut b), Pin::new(&mut a)))?;
        match (there, back) {
            (Poll::Ready(there), Poll::Ready(back)) => Poll::Ready(Ok((there, back))),
            _ => Poll::Pending,
        }
    })
    .await
}

/// One direction of a copy.
struct Transfer {
    buffer: Box<[u8]>,
    /// The bytes of the buffer that are not written yet.
    unwritten: std::ops::Range<usize>,
    /// The number of bytes that were written.
    copied: u64,
    step: Step,
    /// True if the end of the reader closes the writer.
    closes: bool,
}

/// The progress of one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Bytes are copied, and the writer has none that it must flush.
    Copy,
    /// Bytes are copied, and the writer may hold some back.
    CopyUnflushed,
    /// The reader has ended.
    End,
    /// The writer was flushed or closed after the end.
    Done,
}

impl Transfer {
    fn new(closes: bool) -> Self {
        Self {
            // On the heap, so that the future is small and cheap to move.
            buffer: vec![0; BUFFER_BYTES].into(),
            unwritten: 0..0,
            copied: 0,
            step: Step::Copy,
            closes,
        }
    }

    /// Copies until a wait. Completes with the number of bytes, also if it is polled again.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut impl AsyncRead>,
        mut writer: Pin<&mut impl AsyncWrite>,
    ) -> Poll<io::Result<u64>> {
        while self.step != Step::Done {
            // A reader in memory is always ready, and spends no budget of its own.
            ready!(budget::poll_spend(cx, 1));
            // Written bytes come before read ones, so one buffer is enough and a slow writer holds the reader
            // back.
            if !self.unwritten.is_empty() {
                let rest = &self.buffer[self.unwritten.clone()];
                let written = ready!(writer.as_mut().poll_write(cx, rest))?;
                if written == 0 {
                    // Another try would never end.
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.unwritten.start += written;
                self.copied += written as u64;
                self.step = Step::CopyUnflushed;
            } else if self.step == Step::End {
                let ended = if self.closes {
                    writer.as_mut().poll_close(cx)
                } else {
                    writer.as_mut().poll_flush(cx)
                };
                ready!(ended)?;
                self.step = Step::Done;
            } else {
                match reader.as_mut().poll_read(cx, &mut self.buffer)? {
                    Poll::Ready(0) => self.step = Step::End,
                    Poll::Ready(bytes) => self.unwritten = 0..bytes,
                    Poll::Pending => {
                        // Both wait: the reader wakes the task, and so does a flush that is not complete.
                        if self.step == Step::CopyUnflushed && writer.poll_flush(cx)?.is_ready() {
                            self.step = Step::Copy;
                        }
                        return Poll::Pending;
                    }
                }
            }
        }
        Poll::Ready(Ok(self.copied))
    }
}
