//! What a connection speaks over: TCP, or anything else that reads and writes.
//!
//! # Invariants
//!
//! - Always: through a shared reference, so that an answer can be written while a body is read.

use std::any::Any;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use waterwheel_runtime::net;

/// A byte stream under a connection.
///
/// Implemented for the runtime's streams; implement it for your own transport to have
/// [`Server::connection`](crate::Server::connection) speak HTTP over it.
///
/// What is not ready wakes the task that asked last, as any leaf future does. One task may wait for
/// several things at once, to read, to write and for either end: each has a waker of its own. An error
/// of reading or writing ends the connection.
pub trait Io: Any {
    /// Reads; 0 is the end of the stream.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes from several slices, as much as there is room for.
    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Writes one slice.
    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &[IoSlice::new(bytes)])
    }

    /// Writes what is followed by the end of the writing direction, or of the connection, and may
    /// go out together with that.
    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_one(cx, bytes)
    }

    /// Ends the writing direction.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    fn end_writing(&self) -> io::Result<()>;

    /// Lets the connection end in a reset when this is dropped: what the peer has not taken by then
    /// is not kept for it. Nothing, where a transport knows of no such end.
    fn reset_on_drop(&self) {}

    /// Whether a byte waits to be read right now.
    fn has_input(&self) -> bool;

    /// Waits until the peer is gone: a reset or a hang-up, not a mere end of its direction.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Waits until the peer has ended its direction, or is gone. A transport that cannot tell waits
    /// until it is gone.
    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_closed(cx)
    }

    /// Sends up to `count` bytes of a file from `offset`, which moves along, without copying them
    /// through this process; 0 is the end of the file.
    ///
    /// `None` from a transport that cannot: then the file is read and written.
    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        let _ = (cx, file, offset, count);
        None
    }
}

impl<S: net::Connected + Unpin + 'static> Io for net::Stream<S> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, slices)
    }

    fn poll_write_one(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, bytes)
    }

    fn poll_write_last(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write_last(self, cx, bytes)
    }

    fn end_writing(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn reset_on_drop(&self) {
        // Fails only on a connection that is gone already.
        drop(Self::reset_on_drop(self));
    }

    fn has_input(&self) -> bool {
        matches!(self.try_peek(&mut [0]), Ok(1..))
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_closed(self, cx)
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll_read_closed(self, cx)
    }

    fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        Some(Self::poll_send_file(self, cx, file, offset, count))
    }
}
