//! The stream of a connection that has changed its protocol.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::transport::io::Io;

/// The stream of another protocol, after 101 or after a successful CONNECT.
///
/// [`ClientResponse::upgrade`](super::ClientResponse::upgrade) returns it. It first returns the bytes that the server
/// has sent right behind its answer. No time limit of the client applies to it.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncReadExt;
/// use waterwheel::http::client::{Client, ClientStream};
///
/// async fn chat(client: &Client) -> Result<ClientStream, Box<dyn std::error::Error>> {
///     let request = client.get("http://chat.example.org/").header("upgrade", "chat");
///     let mut stream = request.send().await?.upgrade()?;
///     let mut greeting = [0; 5];
///     stream.read_exact(&mut greeting).await?;
///     println!("{:?} says {greeting:?}", stream.peer_address());
///     let (_transport, _read_before) = stream.into_parts(); // for a library that takes the transport
///     # Err("not run".into())
/// }
/// # drop(chat);
/// ```
pub struct ClientStream {
    io: Box<dyn Io>,
    read: Vec<u8>,
    used: usize,
    peer: Option<SocketAddr>,
}

impl ClientStream {
    pub(super) fn new(io: Box<dyn Io>, read: Vec<u8>, peer: Option<SocketAddr>) -> Self {
        Self {
            io,
            read,
            used: 0,
            peer,
        }
    }

    /// Returns the server's address, if the transport has addresses.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the transport, and the bytes that were read from it and not returned yet.
    #[must_use]
    pub fn into_parts(mut self) -> (Box<dyn Io>, Vec<u8>) {
        self.read.drain(..self.used);
        (self.io, self.read)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let rest = &self.read[self.used..];
        if rest.is_empty() {
            return self.io.poll_read(cx, buffer);
        }
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.used += count;
        if self.used == self.read.len() {
            // The buffer may be large, and the new protocol may go on for long.
            (self.read, self.used) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_write_one(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_write(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_flush(cx)
    }

    /// Flushes the written bytes, and closes the write half.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_end(cx)
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
