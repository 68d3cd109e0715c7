//! The two halves of a stream.
//!
//! # How it works
//!
//! A reference to a stream reads and writes. A half is such a reference that does only one of the two.
//!
//! # Invariants
//!
//! - Never: a lock or an allocation.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::stream::{Connected, Stream};

impl<S: Connected> Stream<S> {
    /// Splits the stream into a half that reads and a half that writes. Both can be used at the same time.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    /// use waterwheel::runtime::{block_on, join, net::UnixStream};
    ///
    /// let (near, far) = std::os::unix::net::UnixStream::pair()?;
    /// block_on(async {
    ///     let (mut near, far) = (UnixStream::from_std(near)?, UnixStream::from_std(far)?);
    ///     far.try_write(b"echo")?;
    ///     let (mut reader, mut writer) = near.split();
    ///     let mut received = [0; 4];
    ///     let (read, written) = join(reader.read_exact(&mut received), writer.write_all(b"call")).await;
    ///     read.and(written)
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
        (ReadHalf(self), WriteHalf(self))
    }
}

/// The half of a [`Stream`] that reads. It borrows the stream.
///
/// If two tasks must own the stream together, use [`Stream::into_split`], or put the stream into an `Rc`, because
/// a reference to a stream reads and writes.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::net::{ReadHalf, UnixStream, WriteHalf};
/// use waterwheel::runtime::{block_on, join};
///
/// type Socket = std::os::unix::net::UnixStream;
///
/// async fn ask(mut writer: WriteHalf<'_, Socket>) -> std::io::Result<()> {
///     writer.write_all(b"water?").await?;
///     writer.close().await // sends FIN, and the other half reads on
/// }
///
/// async fn hear(mut reader: ReadHalf<'_, Socket>) -> std::io::Result<String> {
///     let mut answer = String::new();
///     reader.read_to_string(&mut answer).await?;
///     Ok(answer)
/// }
///
/// let (near, far) = Socket::pair()?;
/// block_on(async {
///     let (mut near, mut far) = (UnixStream::from_std(near)?, UnixStream::from_std(far)?);
///     far.write_all(b"water!").await?;
///     far.close().await?;
///     let (reader, writer) = near.split();
///     let (answer, asked) = join(hear(reader), ask(writer)).await;
///     assert_eq!((answer?.as_str(), asked?), ("water!", ()));
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct ReadHalf<'a, S: AsFd>(&'a Stream<S>);

/// The half of a [`Stream`] that writes; see [`ReadHalf`].
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::runtime::{block_on, net::{UnixStream, WriteHalf}};
///
/// async fn greet(mut writer: WriteHalf<'_, std::os::unix::net::UnixStream>) -> std::io::Result<()> {
///     writer.write_all(b"hello").await
/// }
///
/// let (near, far) = std::os::unix::net::UnixStream::pair()?;
/// block_on(async { greet(UnixStream::from_std(near)?.split().1).await })?;
/// assert_eq!(std::io::read_to_string(far)?, "hello");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct WriteHalf<'a, S: AsFd>(&'a Stream<S>);

impl<S: Connected> AsyncRead for ReadHalf<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read_vectored(cx, buffers)
    }
}

impl<S: Connected> AsyncWrite for WriteHalf<'_, S> {
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

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel has all bytes that were written.
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
