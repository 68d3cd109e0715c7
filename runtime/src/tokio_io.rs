//! tokio's traits for streams, in both directions. The feature `tokio-io` adds this module.
//!
//! # How it works
//!
//! [`ToTokio`] wraps a stream of `futures-io` (such as all of this crate) for a library that takes tokio's traits.
//! [`FromTokio`] wraps a stream with tokio's traits for a library that takes those of `futures-io`. Neither needs
//! a runtime of tokio, and neither copies.
//!
//! # Invariants
//!
//! - Never: bytes kept in a wrapper.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use tokio::io::{AsyncRead as TokioRead, AsyncWrite as TokioWrite, ReadBuf};

/// A stream of `futures-io` for libraries that take tokio's traits.
///
/// # Examples
///
/// ```
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::net::UnixStream;
/// use waterwheel::runtime::{block_on, tokio_io::ToTokio};
///
/// # let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
/// # let (ours, theirs) = (UnixStream::from_std(ours)?, UnixStream::from_std(theirs)?);
/// block_on(async {
///     let (mut ours, mut theirs) = (ToTokio::new(ours), ToTokio::new(theirs));
///     ours.write_u32(7).await?;
///     assert_eq!(theirs.read_u32().await?, 7);
///     assert!(!ours.get_ref().is_read_closed());
///     let ours: UnixStream = ours.into_inner();
///     # drop(ours);
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "compat")]
pub struct ToTokio<T>(T);

/// A stream with tokio's traits for libraries that take those of `futures-io`.
///
/// A stream of tokio's own runtime needs that runtime, wherever it is polled.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::{block_on, tokio_io::FromTokio};
///
/// block_on(async {
///     let (ours, theirs) = tokio::io::duplex(64);
///     let (mut ours, mut theirs) = (FromTokio::new(ours), FromTokio::new(theirs));
///     ours.write_all(b"water").await?;
///     ours.close().await?;
///     let mut text = String::new();
///     theirs.read_to_string(&mut text).await?;
///     assert_eq!(text, "water");
///     println!("{:?}, {:?}", ours.get_ref(), theirs.into_inner());
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "compat")]
pub struct FromTokio<T>(T);

impl<T> ToTokio<T> {
    /// Wraps a stream.
    pub fn new(stream: T) -> Self {
        Self(stream)
    }

    /// Returns the stream.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &T {
        &self.0
    }
}

impl<T> FromTokio<T> {
    /// Wraps a stream.
    pub fn new(stream: T) -> Self {
        Self(stream)
    }

    /// Returns the stream.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &T {
        &self.0
    }
}

impl<T: AsyncRead + Unpin> TokioRead for ToTokio<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // This clears memory only once: the buffer remembers it.
        let room = buffer.initialize_unfilled();
        let moved = ready!(Pin::new(&mut self.0).poll_read(cx, room))?;
        buffer.advance(moved);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> TokioWrite for ToTokio<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl<T: TokioRead + Unpin> AsyncRead for FromTokio<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // Initialized from the start, so that this costs no store.
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<T: TokioWrite + Unpin> AsyncWrite for FromTokio<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
