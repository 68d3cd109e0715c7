//! A TLS connection over another transport.
//!
//! # How it works
//!
//! ```text
//!   poll_read  ◄── Session ◄── bytes that the transport below has
//!   poll_write ──► Session     the records wait there
//!   poll_flush, poll_end, poll_read: Session ──► the transport below
//! ```
//!
//! A write encrypts at once and holds the records back, so that an answer of several writes leaves in one. A read
//! that must wait sends them too, because rustls may have made some by itself: session tickets, an alert.
//!
//! # Invariants
//!
//! - Always: an error is kept, and each later call returns it again.
//! - Never: the session is borrowed during a call of the transport below.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_io::{AsyncRead, AsyncWrite};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;

use crate::tls::info::TlsInfo;
use crate::tls::seen_name::SeenName;
use crate::tls::session::{Progress, Session};
use crate::transport::io::Io;
use crate::transport::stream::Stream;
use crate::transport::transport_info::TransportInfo;

/// The most content of one record (RFC 8446, 5.1).
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// Records that are held back before a write has to send some.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// A reader's buffer below this size would need many reads for one record.
const READ_BYTES_MIN: usize = 4096;

/// How many pieces the end discards, so that a flood of bytes does not hold it up.
const DISCARDED_PIECES_MAX: usize = 16;

/// A TLS connection over a stream, or over another [`Io`].
///
/// [`TlsAcceptor::accept`](super::TlsAcceptor::accept) returns it after the handshake.
/// [`Builder::tls`](crate::Builder::tls) makes one for each connection of a server.
///
/// - A written byte leaves on a flush, at the end, and when 64 KiB are held back.
/// - The end of the write half sends a `close_notify`, and then ends the stream below.
/// - The end of the stream below without a `close_notify` of the client is the error `UnexpectedEof`, because
///   somebody between the two may have cut it (RFC 8446, 6.1).
/// - A connection without unread and unsent bytes has no buffer.
///
/// # Cancel safety
///
/// A read, a write and a flush that is dropped has no effect, or is done.
///
/// # Examples
///
/// ```
/// use waterwheel::http::tls::TlsStream;
/// use waterwheel::http::Upgraded;
///
/// // A library that takes the transport of an upgraded connection.
/// fn take(stream: Upgraded) {
///     if let Ok((stream, read)) = stream.downcast::<TlsStream>() {
///         println!("{} over {}, and {} bytes before it", stream.tls_info(), "TCP", read.len());
///     }
/// }
/// # drop(take as fn(_));
/// ```
pub struct TlsStream<T: Io = Stream> {
    io: T,
    session: RefCell<Session>,
    /// The first error. It is final.
    fault: OnceCell<(ErrorKind, String)>,
    has_ended: Cell<bool>,
    /// The task whose write, flush or end waits. A read that sends leaves it registered below.
    writer: Cell<Option<Waker>>,
    /// True if a read has sent records that the transport below has not flushed.
    is_flush_due: Cell<bool>,
    /// The task that waits for the end of the client. A read may meet that end first.
    watcher: Cell<Option<Waker>>,
    server_name: SeenName,
    /// The facts, if the server does not keep them.
    info: Option<Box<TransportInfo>>,
}

impl<T: Io> TlsStream<T> {
    /// Makes a connection whose handshake has not begun.
    pub(super) fn new(io: T, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let (config, server_name) = SeenName::of_handshake(config);
        let tls = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self {
            server_name,
            io,
            session: RefCell::new(Session::new(tls)),
            fault: OnceCell::new(),
            has_ended: Cell::new(false),
            writer: Cell::new(None),
            is_flush_due: Cell::new(false),
            watcher: Cell::new(None),
            info: None,
        })
    }

    pub(super) fn set_info(&mut self, info: TransportInfo) {
        self.info = Some(Box::new(info));
    }

    /// Returns the stream below. Its bytes are records.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Stream;
    /// use waterwheel::http::tls::TlsStream;
    ///
    /// fn nodelay(stream: &TlsStream) -> std::io::Result<()> {
    ///     match stream.get_ref() {
    ///         Stream::Tcp(stream) => stream.set_nodelay(true),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// # drop(nodelay as fn(&_) -> _);
    /// ```
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Returns the results of the handshake.
    pub fn tls_info(&self) -> TlsInfo {
        TlsInfo::new(&self.session.borrow().tls, self.server_name.get())
    }

    /// Takes in bytes that were read from the transport below before the handshake.
    pub(super) fn receive(&self, bytes: &[u8]) -> io::Result<()> {
        let received = self.session.borrow_mut().receive(bytes);
        received.map_err(|error| self.fail(io::Error::new(ErrorKind::InvalidData, error)))
    }

    /// Does the handshake. The client has its last message when this is ready, but maybe not its tickets.
    pub(super) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.check()?;
            let progress = self.with_session(|session| session.read(&mut []))?;
            if !self.session.borrow().is_handshaking() {
                // TLS 1.2 ends with a message of ours, and the client waits for it (RFC 5246, 7.3). The tickets of
                // TLS 1.3 leave with the first answer.
                if self.tls_info().protocol() == "TLSv1.2" {
                    ready!(self.poll_send(cx))?;
                    ready!(self.poll_flush_below(cx))?;
                }
                return Poll::Ready(Ok(()));
            }
            if progress == Progress::PeerClosed {
                return Poll::Ready(Err(self.fail(ErrorKind::UnexpectedEof.into())));
            }
            ready!(self.poll_send(cx))?;
            ready!(self.poll_flush_below(cx))?;
            ready!(self.poll_receive(cx, &mut [0; READ_BYTES_MIN]))?;
        }
    }

    /// Sends the records that are left after an error, which are the alert for the client.
    pub(super) fn poll_dismiss(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.io.poll_end(cx)
    }

    /// Keeps the first error, and wakes the tasks that wait for the client.
    fn fail(&self, error: io::Error) -> io::Error {
        _ = self.fault.set((error.kind(), error.to_string()));
        for waiting in [&self.writer, &self.watcher] {
            waiting.take().into_iter().for_each(Waker::wake);
        }
        error
    }

    /// Returns the error that has ended this connection.
    fn check(&self) -> io::Result<()> {
        match self.fault.get() {
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }

    fn with_session<V>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<V, rustls::Error>,
    ) -> io::Result<V> {
        let done = work(&mut self.session.borrow_mut());
        done.map_err(|error| self.fail(io::Error::new(ErrorKind::InvalidData, error)))
    }

    /// Reads records into the session, through `space`.
    fn poll_receive(&self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<()>> {
        let count = ready!(self.io.poll_read(cx, space)).map_err(|error| self.fail(error))?;
        if count == 0 {
            let text = "the client has ended the stream without a close_notify";
            return Poll::Ready(Err(
                self.fail(io::Error::new(ErrorKind::UnexpectedEof, text))
            ));
        }
        Poll::Ready(self.receive(&space[..count]))
    }

    /// As [`poll_receive`](Self::poll_receive), for a reader whose buffer is small.
    #[inline(never)] // the space is large for a stack frame
    fn poll_receive_aside(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_receive(cx, &mut [0; READ_BYTES_MIN])
    }

    /// Discards bytes behind the `close_notify` of the client, such as a second one. A socket that closes with unread
    /// bytes resets its connection, and the client would lose the end of the last answer.
    #[cold]
    #[inline(never)] // the space is large for a stack frame
    fn discard_rest(&self, cx: &mut Context<'_>) {
        let mut space = [0; READ_BYTES_MIN];
        for _ in 0..DISCARDED_PIECES_MAX {
            // An error is the end of these bytes, too. The next write meets it again.
            let Poll::Ready(Ok(1..)) = self.io.poll_read(cx, &mut space) else {
                return;
            };
        }
    }

    /// Sends records until none is left.
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send_until(cx, 0, false)
    }

    /// Sends records until at most `rest` bytes are left.
    fn poll_send_until(
        &self,
        cx: &mut Context<'_>,
        rest: usize,
        is_last: bool,
    ) -> Poll<io::Result<()>> {
        loop {
            // Taken out, because the transport below may clone a foreign waker, which may call this again.
            let mut output = mem::take(&mut self.session.borrow_mut().output);
            if output.rest().len() <= rest {
                self.session.borrow_mut().output = output;
                return Poll::Ready(Ok(()));
            }
            let written = if is_last {
                self.io.poll_write_last(cx, output.rest())
            } else {
                self.io.poll_write_one(cx, output.rest())
            };
            if let Poll::Ready(Ok(count)) = written {
                output.use_up(count);
            }
            self.session.borrow_mut().output = output;
            match ready!(written) {
                Ok(0) => return Poll::Ready(Err(self.fail(ErrorKind::WriteZero.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
    }

    /// Sends the records that rustls has made by itself, as far as the transport accepts them now.
    fn send_without_waiting(&self, cx: &mut Context<'_>) {
        if self.session.borrow().output.is_empty() && !self.is_flush_due.get() {
            return;
        }
        // A task that waits to write stays registered below. It sends all records when it is woken.
        let writer = self.writer.take();
        let waker = writer.as_ref().unwrap_or_else(|| cx.waker()).clone();
        let cx = &mut Context::from_waker(&waker);
        self.is_flush_due.set(true);
        // An error is kept, so the next call returns it.
        if self.poll_send(cx).is_pending() || self.poll_flush_below(cx).is_pending() {
            self.writer.set(writer);
        } else {
            // Ready, so the transport below may have forgotten the waker.
            writer.into_iter().for_each(Waker::wake);
        }
    }

    fn poll_flush_below(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.io.poll_flush(cx));
        self.is_flush_due.set(false);
        Poll::Ready(flushed.map_err(|error| self.fail(error)))
    }

    /// Does what `poll` does, and stores the waker if it must wait.
    fn as_writer<V>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<V>>,
    ) -> Poll<io::Result<V>> {
        let poll = poll(cx);
        let writer = poll.is_pending().then(|| cx.waker().clone());
        drop(self.writer.replace(writer));
        poll
    }

    fn poll_write_held(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.has_ended.get() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        // Room for a whole record, so that a slow client does not make the records small.
        ready!(self.poll_send_until(cx, HELD_BYTES_MAX - RECORD_BYTES_MAX, false))?;
        let room = HELD_BYTES_MAX - self.session.borrow().output.rest().len();
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let Some(first) = filled.next() else {
            return Poll::Ready(Ok(0));
        };
        let gathered;
        let bytes = match filled.next() {
            Some(second) if first.len() < RECORD_BYTES_MAX => {
                // A head and its body share a record.
                let mut record =
                    Vec::with_capacity(RECORD_BYTES_MAX.min(first.len() + second.len()));
                for slice in [first, second].into_iter().chain(filled) {
                    let count = slice.len().min(RECORD_BYTES_MAX - record.len());
                    record.extend_from_slice(&slice[..count]);
                }
                gathered = record;
                &gathered[..]
            }
            _ => &first[..first.len().min(room)],
        };
        self.with_session(|session| session.write(bytes))?;
        Poll::Ready(Ok(bytes.len()))
    }
}

impl<T: Io> Io for TlsStream<T> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            self.check()?;
            match self.with_session(|session| session.read(buffer)) {
                Ok(Progress::Received(count)) => return Poll::Ready(Ok(count)),
                Ok(Progress::PeerClosed) => {
                    self.watcher.take().into_iter().for_each(Waker::wake);
                    return Poll::Ready(Ok(0));
                }
                Ok(Progress::Blocked | Progress::Sent) => {}
                Err(error) => {
                    self.send_without_waiting(cx); // the alert
                    return Poll::Ready(Err(error));
                }
            }
            let received = if buffer.len() < READ_BYTES_MIN {
                self.poll_receive_aside(cx)
            } else {
                self.poll_receive(cx, buffer)
            };
            // Before the wait and not before the read: the tickets leave with an answer, if there is a request.
            if received.is_pending() {
                self.send_without_waiting(cx);
            }
            ready!(received)?;
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = self.as_writer(cx, |cx| self.poll_write_held(cx, slices));
        if let Poll::Ready(Err(_)) = written {
            self.send_without_waiting(cx); // the alert, if there is one
        }
        written
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_writer(cx, |cx| {
            self.check()?;
            ready!(self.poll_send(cx))?;
            self.poll_flush_below(cx)
        })
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_writer(cx, |cx| {
            self.check()?;
            if !self.has_ended.replace(true) {
                self.with_session(Session::close)?;
            }
            // The last bytes, the `close_notify` and the FIN leave in one segment.
            ready!(self.poll_send_until(cx, 0, true))?;
            if self.session.borrow().peer_has_closed() {
                self.discard_rest(cx);
            }
            self.io.poll_end(cx).map_err(|error| self.fail(error))
        })
    }

    fn held_bytes(&self) -> usize {
        self.session.borrow().output.rest().len() + self.io.held_bytes()
    }

    fn reset_on_drop(&self) {
        self.io.reset_on_drop();
    }

    fn has_input(&self) -> bool {
        let session = self.session.borrow();
        self.fault.get().is_none()
            && !session.peer_has_closed()
            && (session.has_input() || self.io.has_input())
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.fault.get().is_some() {
            return Poll::Ready(());
        }
        self.io.poll_closed(cx)
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.fault.get().is_some() || self.session.borrow().peer_has_closed() {
            return Poll::Ready(());
        }
        let closed = self.io.poll_read_closed(cx);
        let watcher = closed.is_pending().then(|| cx.waker().clone());
        drop(self.watcher.replace(watcher));
        closed
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.io.local_address()
    }

    fn info(&self) -> Option<&TransportInfo> {
        self.info.as_deref()
    }
}

impl<T: Io> AsyncRead for TlsStream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Io::poll_read(&*self, cx, buffer)
    }
}

impl<T: Io> AsyncWrite for TlsStream<T> {
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

impl<T: Io> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("info", &self.tls_info())
            .finish_non_exhaustive()
    }
}
