//! The two halves of a stream that own it together.
//!
//! # How it works
//!
//! The halves share the stream in an `Arc`. A reference to a stream reads and writes, so no lock is needed.
//!
//! # Invariants
//!
//! - Always: the drop of the half that writes is the end for the peer, but for a half that is reunited or
//!   forgotten.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::stream::{Connected, Stream};

/// The split into owned halves.
impl<S: Connected> Stream<S> {
    /// Splits the stream into two halves that own it together. They can be moved into two tasks, and be sent to
    /// another thread.
    ///
    /// Dropping the half that writes closes that direction (sends FIN). The connection is closed when both are
    /// dropped. Any other method of the stream is called through [`AsRef`].
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    /// use waterwheel::runtime::net::UnixStream;
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// # let (ours, peer) = std::os::unix::net::UnixStream::pair()?;
    /// # let (ours, peer) = (UnixStream::from_std(ours)?, UnixStream::from_std(peer)?);
    /// block_on(async {
    ///     let (mut reading, mut writing) = ours.into_split();
    ///     let write = spawn(async move { writing.write_all(b"water").await });
    ///     let mut received = Vec::new();
    ///     let mut peer = peer;
    ///     peer.read_to_end(&mut received).await?; // the drop of `writing` is the end
    ///     assert_eq!(received, b"water");
    ///     write.await.unwrap()?;
    ///     peer.write_all(b"back").await?;
    ///     drop(peer);
    ///     assert_eq!(reading.read_to_end(&mut received).await?, 4);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        // An `Arc`, so that each half can be sent to another thread. It is cloned only here.
        let stream = Arc::new(self);
        (
            OwnedReadHalf {
                stream: stream.clone(),
            },
            OwnedWriteHalf {
                stream,
                closes: true,
            },
        )
    }
}

/// The half of a [`Stream`] that reads, and owns the stream together with the other half; see
/// [`Stream::into_split`].
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::net::UnixStream;
///
/// let (near, _far) = std::os::unix::net::UnixStream::pair()?;
/// let (reading, writing) = UnixStream::from_std(near)?.into_split();
/// let whole = reading.reunite(writing).expect("they belong together");
/// # drop(whole);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct OwnedReadHalf<S: Connected> {
    stream: Arc<Stream<S>>,
}

/// The half of a [`Stream`] that writes, and owns the stream together with the other half; see
/// [`Stream::into_split`]. Its drop closes the write half (sends FIN).
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use waterwheel::runtime::net::UnixStream;
///
/// let (near, mut far) = std::os::unix::net::UnixStream::pair()?;
/// let (reading, writing) = UnixStream::from_std(near)?.into_split();
/// writing.forget(); // sends no end
/// far.set_nonblocking(true)?;
/// assert!(far.read(&mut [0; 8]).is_err());
/// # drop(reading);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct OwnedWriteHalf<S: Connected> {
    stream: Arc<Stream<S>>,
    /// False if the drop leaves the direction open.
    closes: bool,
}

impl<S: Connected> OwnedReadHalf<S> {
    /// Returns the stream of two halves that belong together.
    ///
    /// # Errors
    ///
    /// Returns the halves if they belong to different streams.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the two halves are the only owners"
    )]
    pub fn reunite(
        self,
        mut writing: OwnedWriteHalf<S>,
    ) -> Result<Stream<S>, (Self, OwnedWriteHalf<S>)> {
        if !Arc::ptr_eq(&self.stream, &writing.stream) {
            return Err((self, writing));
        }
        // The stream is whole again, so this drop is not the end of its write half.
        writing.closes = false;
        drop(writing);
        // Each half has one of the two references, and no method clones one.
        Ok(Arc::into_inner(self.stream).expect("the halves are the only owners"))
    }
}

impl<S: Connected> OwnedWriteHalf<S> {
    /// Drops the half and leaves its direction open. The direction ends when the connection is closed.
    pub fn forget(mut self) {
        self.closes = false;
    }
}

impl<S: Connected> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.closes {
            // It fails only if the connection is gone. A drop cannot report that, and the next read does.
            drop(self.stream.shutdown(Shutdown::Write));
        }
    }
}

impl<S: Connected> AsRef<Stream<S>> for OwnedReadHalf<S> {
    fn as_ref(&self) -> &Stream<S> {
        &self.stream
    }
}

impl<S: Connected> AsRef<Stream<S>> for OwnedWriteHalf<S> {
    fn as_ref(&self) -> &Stream<S> {
        &self.stream
    }
}

impl<S: Connected> AsyncRead for OwnedReadHalf<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.stream).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.stream).poll_read_vectored(cx, buffers)
    }
}

impl<S: Connected> AsyncWrite for OwnedWriteHalf<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.stream).poll_close(cx)
    }
}
