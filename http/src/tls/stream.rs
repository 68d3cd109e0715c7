//! A TLS connection over another transport, for a server and for a client.
//!
//! # How it works
//!
//! ```text
//!   poll_read  ◄── Session ◄── bytes that the transport below has
//!   poll_write ──► Session     the records wait there
//!   poll_flush, poll_end, poll_read: Session ──► the transport below
//! ```
//!
//! A write encrypts at once and holds the records back, so that the bytes of several writes leave in one. A read that
//! must wait sends the held records, too, because rustls may have made some of them by itself: session tickets, an
//! alert, an answer to a key update.
//!
//! Two tasks may wait to write: the one that writes, and the one whose read sends. The transport below remembers one
//! waker for both. So a read registers the waker of the waiting writer, if there is one, and wakes the writer when
//! all records have left.
//!
//! # Invariants
//!
//! - Always: an error is kept, and each later call returns it again. After an error of a client's write, its reads go
//!   on.
//! - Always: an end of the stream below without a `close_notify` is an error (RFC 8446, 6.1).
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
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ProtocolVersion, ServerConfig};

use crate::tls::info::TlsInfo;
use crate::tls::seen_name::SeenName;
use crate::tls::session::{Progress, Session, Side};
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
/// [`Builder::tls`](crate::Builder::tls) makes one for each connection of a server. The client makes one for each
/// connection to an https URI.
///
/// - A written byte leaves on a flush, at the end, and when 64 KiB are held back.
/// - The end of the write half sends a `close_notify`, and then ends the stream below.
/// - The end of the stream below without a `close_notify` of the peer is the error `UnexpectedEof`, because
///   somebody between the two may have cut it (RFC 8446, 6.1).
/// - An error is final. After an error of a client's write, its reads go on, because the server may have answered
///   before it closed.
/// - A connection without unread and unsent bytes has no buffer.
///
/// # Cancel safety
///
/// Safe: a dropped read, write or flush has either been done or has had no effect.
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
    /// The first error of a client's write. Reads go on, because the server may have answered before it closed.
    write_fault: Cell<Option<ErrorKind>>,
    has_ended: Cell<bool>,
    /// The task whose write, flush or end waits. A read that sends leaves it registered below.
    writer: Cell<Option<Waker>>,
    /// True if a read has sent records that the transport below has not flushed.
    is_flush_due: Cell<bool>,
    /// The task that waits for the end of the peer. A read may meet that end first.
    watcher: Cell<Option<Waker>>,
    server_name: SeenName,
    /// The facts, if the server does not keep them.
    info: Option<Box<TransportInfo>>,
}

impl<T: Io> TlsStream<T> {
    /// Makes a server's connection whose handshake has not begun.
    pub(super) fn to_client(io: T, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let (config, server_name) = SeenName::of_handshake(config);
        let tls = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::with(io, Side::Server(tls), server_name))
    }

    /// Makes a client's connection whose handshake has not begun.
    #[cfg_attr(not(feature = "client"), expect(dead_code, reason = "for the client"))]
    pub(crate) fn to_server(
        io: T,
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        let tls = UnbufferedClientConnection::new(config.clone(), name)?;
        Ok(Self::with(io, Side::Client(tls), SeenName::default()))
    }

    fn with(io: T, side: Side, server_name: SeenName) -> Self {
        Self {
            server_name,
            io,
            session: RefCell::new(Session::new(side)),
            fault: OnceCell::new(),
            write_fault: Cell::new(None),
            has_ended: Cell::new(false),
            writer: Cell::new(None),
            is_flush_due: Cell::new(false),
            watcher: Cell::new(None),
            info: None,
        }
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
        TlsInfo::new(self.session.borrow().common_state(), self.server_name.get())
    }

    /// Takes in bytes that were read from the transport below before the handshake.
    pub(super) fn receive(&self, bytes: &[u8]) -> io::Result<()> {
        let received = self.session.borrow_mut().receive(bytes);
        received.map_err(|error| self.fail(io::Error::new(ErrorKind::InvalidData, error)))
    }

    /// Does the handshake. When this is ready, the peer has been sent all that it waits for.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.check()?;
            let progress = self.with_session(|session| session.read(&mut []))?;
            let session = self.session.borrow();
            let state = session.common_state();
            let is_over = !state.is_handshaking();
            // No client waits for the tickets of TLS 1.3. They leave with the first answer.
            let has_only_tickets =
                !session.is_client() && state.protocol_version() == Some(ProtocolVersion::TLSv1_3);
            drop(session);
            if is_over && has_only_tickets {
                return Poll::Ready(Ok(()));
            }
            if progress == Progress::PeerClosed && !is_over {
                return Poll::Ready(Err(self.fail(ErrorKind::UnexpectedEof.into())));
            }
            // Also at the end: one side has the last message, and the other waits for it.
            ready!(self.poll_send_and_flush(cx))?;
            if is_over {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_receive(cx, &mut [0; READ_BYTES_MIN]))?;
        }
    }

    /// Sends the records that are left after an error, which are the alert for the peer.
    pub(super) fn poll_dismiss(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.io.poll_end(cx)
    }

    /// Does as much of [`poll_dismiss`](Self::poll_dismiss) as the transport below accepts now.
    #[cfg_attr(not(feature = "client"), expect(dead_code, reason = "for the client"))]
    pub(crate) fn dismiss_without_waiting(&self, cx: &mut Context<'_>) {
        // The handshake has failed already, so an error here has no further effect.
        drop(self.poll_dismiss(cx));
        // The rest of the server's flight may have arrived behind the message that has failed.
        self.discard_rest(cx);
    }

    /// Keeps the first error, and wakes the tasks that wait for the peer.
    fn fail(&self, error: io::Error) -> io::Error {
        _ = self.fault.set((error.kind(), error.to_string()));
        for waiting in [&self.writer, &self.watcher] {
            waiting.take().into_iter().for_each(Waker::wake);
        }
        error
    }

    /// Keeps the first error of a write. A client's reads go on.
    fn fail_writing(&self, error: io::Error) -> io::Error {
        if !self.session.borrow().is_client() {
            return self.fail(error);
        }
        // As over TCP: the server may have refused the request with an answer, and closed.
        let first = self.write_fault.get().unwrap_or(error.kind());
        self.write_fault.set(Some(first));
        error
    }

    /// Returns the error that has ended this connection.
    fn check(&self) -> io::Result<()> {
        match self.fault.get() {
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }

    /// Returns the error that has ended this connection, or its write half.
    fn check_writing(&self) -> io::Result<()> {
        self.check()?;
        self.write_fault
            .get()
            .map_or(Ok(()), |kind| Err(kind.into()))
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
            let text = "the peer has ended the stream without a close_notify";
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

    /// Discards bytes that no read will see, such as those behind the peer's `close_notify`. A socket that closes with
    /// unread bytes resets its connection, and the peer would lose the last bytes of this side.
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
            let mut output = mem::take(self.session.borrow_mut().output_mut());
            if output.rest().len() <= rest {
                *self.session.borrow_mut().output_mut() = output;
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
            *self.session.borrow_mut().output_mut() = output;
            match ready!(written) {
                Ok(0) => return Poll::Ready(Err(self.fail_writing(ErrorKind::WriteZero.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.fail_writing(error))),
            }
        }
    }

    /// Sends the records that rustls has made by itself, as far as the transport accepts them now.
    fn send_without_waiting(&self, cx: &mut Context<'_>) {
        if self.session.borrow().output().is_empty() && !self.is_flush_due.get() {
            return;
        }
        // A task that waits to write stays registered below. It sends all records when it is woken.
        let writer = self.writer.take();
        let waker = writer.as_ref().unwrap_or_else(|| cx.waker()).clone();
        let cx = &mut Context::from_waker(&waker);
        self.is_flush_due.set(true);
        // An error is kept, so the next call returns it.
        if self.poll_send_and_flush(cx).is_pending() {
            self.writer.set(writer);
        } else {
            // Ready, so the transport below may have forgotten the waker.
            writer.into_iter().for_each(Waker::wake);
        }
    }

    /// Sends all records, and flushes the transport below.
    fn poll_send_and_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        let flushed = ready!(self.io.poll_flush(cx));
        self.is_flush_due.set(false);
        Poll::Ready(flushed.map_err(|error| self.fail_writing(error)))
    }

    /// Does what `poll` does, and stores the waker if it must wait.
    fn as_writer<V>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<V>>,
    ) -> Poll<io::Result<V>> {
        let poll = poll(cx);
        // Kept here too, because a read registers one waker below for all that wait there.
        let writer = poll.is_pending().then(|| cx.waker().clone());
        drop(self.writer.replace(writer));
        poll
    }

    fn poll_write_held(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_writing()?;
        if self.has_ended.get() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        // Room for a whole record, so that a slow peer does not make the records small.
        ready!(self.poll_send_until(cx, HELD_BYTES_MAX - RECORD_BYTES_MAX, false))?;
        let room = HELD_BYTES_MAX - self.session.borrow().output().rest().len();
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
            self.check_writing()?;
            self.poll_send_and_flush(cx)
        })
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_writer(cx, |cx| {
            self.check_writing()?;
            if !self.has_ended.replace(true) {
                self.with_session(Session::close)?;
            }
            // The last bytes, the `close_notify` and the FIN leave in one segment.
            ready!(self.poll_send_until(cx, 0, true))?;
            if self.session.borrow().peer_has_closed() {
                self.discard_rest(cx);
            }
            self.io
                .poll_end(cx)
                .map_err(|error| self.fail_writing(error))
        })
    }

    fn held_bytes(&self) -> usize {
        self.session.borrow().output().rest().len() + self.io.held_bytes()
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
