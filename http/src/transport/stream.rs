//! The sockets that a server accepts: a TCP or a Unix stream, as one type.
//!
//! # Invariants
//!
//! - Never: a box or a vtable. A branch chooses between the two families.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use waterwheel_runtime::net::{TcpStream, UnixStream};

use crate::transport::io::Io;

/// A client's stream, of either family.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Server, Stream, TransportInfo};
///
/// let server = Server::builder()
///     .transport(async |stream: Stream, _: &mut TransportInfo| {
///         match &stream {
///             Stream::Tcp(stream) => println!("TCP from {:?}", stream.peer_address()),
///             _ => println!("a client of this machine, {:?}", stream.peer_address()),
///         }
///         Ok(stream)
///     })
///     .bind("127.0.0.1:0")?;
/// # drop(server);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// A TCP stream.
    Tcp(TcpStream),
    /// A stream of a Unix socket.
    Unix(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl Stream {
    /// Returns the address of the other end, if it has one.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_address().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// Makes the same call on the stream of either family.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

#[cfg(any(feature = "client", feature = "client-address"))]
impl Stream {
    /// Waits until there are bytes to read, or the end.
    #[cfg(feature = "client-address")]
    pub(crate) async fn readable(&self) -> io::Result<()> {
        either!(self, stream => stream.readable().await)
    }

    /// Copies bytes that have arrived, and leaves them to the next read.
    pub(crate) fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_peek(buffer))
    }

    /// Reads bytes that have arrived.
    #[cfg(feature = "client-address")]
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_read(buffer))
    }
}

impl Io for Stream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_read(stream, cx, buffer))
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_write(stream, cx, slices))
    }

    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_write_one(stream, cx, bytes))
    }

    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Io::poll_write_last(stream, cx, bytes))
    }

    #[inline]
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Io::poll_flush(stream, cx))
    }

    #[inline]
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Io::poll_end(stream, cx))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        match self {
            // Asked at each call, because a server for all addresses has one per connection.
            Self::Tcp(stream) => stream.local_address().ok(),
            Self::Unix(_) => None,
        }
    }

    fn reset_on_drop(&self) {
        either!(self, stream => Io::reset_on_drop(stream));
    }

    fn has_input(&self) -> bool {
        either!(self, stream => Io::has_input(stream))
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, stream => Io::poll_closed(stream, cx))
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, stream => Io::poll_read_closed(stream, cx))
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        either!(self, stream => Io::poll_send_file(stream, cx, file, offset, count))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Io::poll_read(&*self, cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_one(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Io::poll_write(&*self, cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(&*self, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}
