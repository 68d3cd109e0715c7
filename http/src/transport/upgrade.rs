//! The stream of a connection that changes to another protocol.
//!
//! # How it works
//!
//! ```text
//!  handler: request.upgrade("chat", ()) ──► (Responded, Upgrade)     the answer is queued
//!                              │                        │
//!                        returns to             stays with the handler, or with
//!                        the connection         a task that it has spawned
//!                              ▼                        │
//!  connection: writes the answer, passes its stream ───►│
//!              and ends                                 ▼
//!                                                  Upgraded, owned
//! ```
//!
//! # Invariants
//!
//! - Always: the stream returns first the bytes that the client has sent after its request.
//! - Never: the end of the connection closes the stream.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};

use crate::transport::io::Io;
use crate::transport::shutdown_signal::ShutdownSignal;

/// A future of the connection's stream. It completes after the answer has been sent.
///
/// [`Request::upgrade`](crate::Request::upgrade) and [`Request::tunnel`](crate::Request::tunnel) return it.
/// It borrows nothing from the request. Move it into a task of its own, and return the
/// [`Responded`](crate::Responded) from the handler. A handler that awaits it waits for itself.
///
/// # Errors
///
/// `ConnectionAborted` if the connection has ended before it could pass its stream on.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::http::{Request, Responded, Result, Upgrade};
/// use waterwheel::runtime::spawn;
///
/// async fn talk(upgrade: Upgrade) -> std::io::Result<()> {
///     let mut stream = upgrade.await?; // after the 101 has been sent
///     stream.write_all(b"good morning\n").await?;
///     stream.close().await
/// }
///
/// async fn chat(request: Request<'_>) -> Result<Responded> {
///     let (responded, upgrade) = request.upgrade("chat", ()).await?;
///     spawn(talk(upgrade)).detach();
///     Ok(responded)
/// }
/// # drop(waterwheel::http::shared(chat));
/// ```
#[derive(Debug)]
#[must_use = "dropping it closes the stream"]
pub struct Upgrade(Rc<RefCell<UpgradeSlot>>);

/// The connection's half of an [`Upgrade`].
#[derive(Debug)]
pub(crate) struct Promise(Rc<RefCell<UpgradeSlot>>);

#[derive(Debug)]
enum UpgradeSlot {
    Promised(Option<Waker>),
    Given(Upgraded),
    /// The stream has been taken, or the connection has ended without passing it on.
    Empty,
}

pub(crate) fn promise() -> (Promise, Upgrade) {
    let slot = Rc::new(RefCell::new(UpgradeSlot::Promised(None)));
    (Promise(slot.clone()), Upgrade(slot))
}

impl Promise {
    pub(crate) fn keep(self, stream: Upgraded) {
        self.settle(UpgradeSlot::Given(stream));
    }

    fn settle(&self, with: UpgradeSlot) {
        let before = mem::replace(&mut *self.0.borrow_mut(), with);
        // The borrow has ended, because the woken code may poll the future at once.
        if let UpgradeSlot::Promised(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        // Kept promises are not broken by the drop: the slot has the stream by then.
        let broken = matches!(*self.0.borrow(), UpgradeSlot::Promised(_));
        if broken {
            self.settle(UpgradeSlot::Empty);
        }
    }
}

impl Future for Upgrade {
    type Output = io::Result<Upgraded>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The slot is empty while a waker is cloned, because a foreign waker may call this again.
        let slot = mem::replace(&mut *self.0.borrow_mut(), UpgradeSlot::Empty);
        match slot {
            UpgradeSlot::Given(stream) => Poll::Ready(Ok(stream)),
            UpgradeSlot::Promised(old) => {
                let waker = match old {
                    Some(old) if old.will_wake(cx.waker()) => old,
                    _ => cx.waker().clone(),
                };
                *self.0.borrow_mut() = UpgradeSlot::Promised(Some(waker));
                Poll::Pending
            }
            UpgradeSlot::Empty => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection ended before it was handed over",
            ))),
        }
    }
}

/// The stream of a connection that has changed its protocol.
///
/// The deadlines of the server no longer apply to it. It still counts as an open connection until it is dropped.
///
/// A shutdown waits for it within its grace, so a stream that never ends by itself should wait for the
/// [`shutdown_signal`](Self::shutdown_signal). When the grace is over, the server cuts it: each read and each write
/// then returns `ConnectionAborted`, also one that waits. The [`Report`](crate::Report) has the numbers of both.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncReadExt;
/// use waterwheel::http::{Stream, Upgraded};
///
/// async fn talk(mut stream: Upgraded) -> std::io::Result<()> {
///     println!("{:?} speaks another protocol now", stream.peer_address());
///     let mut greeting = [0; 5];
///     stream.read_exact(&mut greeting).await?;
///
///     // For a library that takes the socket itself.
///     match stream.downcast::<Stream>() {
///         Ok((socket, read)) => println!("{socket:?}, and {} bytes before it", read.len()),
///         Err(stream) => println!("another transport: {stream:?}"),
///     }
///     Ok(())
/// }
/// ```
pub struct Upgraded {
    io: Box<dyn Io>,
    /// The bytes that were read after the request, and how many of these the stream has returned.
    read: Vec<u8>,
    given: usize,
    peer: Option<SocketAddr>,
    // In a box, because this type is moved by value more often than it is read.
    ties: Box<Ties>,
}

struct Ties {
    ending: ShutdownSignal,
    /// One for each direction, because two tasks may wait.
    read_cut: Cut,
    write_cut: Cut,
    /// The entry in the server's table, which ends with this.
    #[cfg_attr(
        not(feature = "websocket"),
        expect(dead_code, reason = "only its drop matters then")
    )]
    entry: Box<dyn Any>,
}

/// The ties of a stream to its server.
pub(crate) struct OfServer {
    /// Ends with the stream.
    pub(crate) entry: Box<dyn Any>,
    pub(crate) ending: ShutdownSignal,
    pub(crate) cutting: ShutdownSignal,
}

/// Ends the waits of one direction when the server cuts its connections.
struct Cut {
    cutting: ShutdownSignal,
    /// Made at the first wait.
    wait: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Cut {
    fn new(cutting: ShutdownSignal) -> Self {
        Self {
            cutting,
            wait: None,
        }
    }

    /// Does what `poll` does, unless the stream has been cut. If it must wait, a cut ends the wait.
    fn or_cut<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.cutting.is_set() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has shut down",
            )));
        }
        let polled = poll(cx);
        if polled.is_pending() {
            let cutting = &self.cutting;
            // Made at the first wait. It registers the task, which a shutdown must wake.
            let wait = self.wait.get_or_insert_with(|| {
                let cutting = cutting.clone();
                Box::pin(async move { cutting.wait().await })
            });
            // Never ready here: the signal was not set above, and only this thread sets it.
            let _registered = wait.as_mut().poll(cx);
        }
        polled
    }
}

impl Upgraded {
    pub(crate) fn new(
        io: Box<dyn Io>,
        read: Vec<u8>,
        peer: Option<SocketAddr>,
        server: OfServer,
    ) -> Self {
        Self {
            io,
            read,
            given: 0,
            peer,
            ties: Box::new(Ties {
                ending: server.ending,
                read_cut: Cut::new(server.cutting.clone()),
                write_cut: Cut::new(server.cutting),
                entry: server.entry,
            }),
        }
    }

    /// Returns the transport, the bytes that were read from it, and the entry. Of these, a protocol of this crate builds
    /// a smaller stream.
    #[cfg(feature = "websocket")]
    pub(crate) fn into_parts(mut self) -> (Box<dyn Io>, Vec<u8>, Box<dyn Any>) {
        // The waits of the ties are dropped here. They take more memory than all the rest of a small stream.
        self.read.drain(..self.given);
        (self.io, self.read, self.ties.entry)
    }

    /// Returns the signal that the server shuts down. It borrows nothing, so a task can wait for it beside a read.
    ///
    /// # Examples
    ///
    /// An echo that says goodbye:
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    /// use waterwheel::http::Upgraded;
    /// use waterwheel::runtime::race;
    ///
    /// async fn echo(mut stream: Upgraded) -> std::io::Result<()> {
    ///     let shutdown = stream.shutdown_signal();
    ///     let mut bytes = [0; 1024];
    ///     loop {
    ///         let ended = async {
    ///             shutdown.wait().await;
    ///             Ok(0)
    ///         };
    ///         match race(stream.read(&mut bytes), ended).await? {
    ///             0 => break, // the client or the server ends
    ///             count => stream.write_all(&bytes[..count]).await?,
    ///         }
    ///     }
    ///     stream.write_all(b"goodbye\n").await?;
    ///     stream.close().await
    /// }
    /// # drop(echo);
    /// ```
    pub fn shutdown_signal(&self) -> ShutdownSignal {
        self.ties.ending.clone()
    }

    /// Returns the client's address, if the transport has addresses.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the transport if it is a `T`, and the bytes that were read from it and not returned yet.
    ///
    /// The transport is a [`Stream`](crate::Stream), or the type that the hook of
    /// [`Builder::transport`](crate::Builder::transport) returns.
    ///
    /// The server no longer counts the connection, and a shutdown does not wait for it.
    ///
    /// # Errors
    ///
    /// Returns this stream unchanged if the transport is not a `T`.
    pub fn downcast<T: Io>(self) -> Result<(T, Vec<u8>), Self> {
        // The type is checked by reference first, so that a mismatch can return the stream unchanged.
        let io: &dyn Any = &*self.io;
        if !io.is::<T>() {
            return Err(self);
        }
        let Self {
            io,
            mut read,
            given,
            peer,
            ..
        } = self;
        let io: Box<dyn Any> = io;
        match io.downcast::<T>() {
            Ok(io) => {
                read.drain(..given);
                Ok((*io, read))
            }
            // `is` has checked the type above.
            Err(_) => unreachable!("the transport of {peer:?} has changed its type"),
        }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // The bytes of the request's buffer come first. Then the transport is read without a copy in between.
        if self.given == self.read.len() {
            let Self { io, ties, .. } = &mut *self;
            return ties.read_cut.or_cut(cx, |cx| io.poll_read(cx, buffer));
        }
        let here = &self.read[self.given..];
        let count = here.len().min(buffer.len());
        buffer[..count].copy_from_slice(&here[..count]);
        self.given += count;
        if self.given == self.read.len() {
            // Frees the buffer of the request, which may be large, before the new protocol goes on for long.
            (self.read, self.given) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, ties, .. } = &mut *self;
        ties.write_cut.or_cut(cx, |cx| io.poll_write_one(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { io, ties, .. } = &mut *self;
        ties.write_cut.or_cut(cx, |cx| io.poll_write(cx, slices))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, ties, .. } = &mut *self;
        ties.write_cut.or_cut(cx, |cx| io.poll_flush(cx))
    }

    /// Flushes the written bytes, and closes the write half.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, ties, .. } = &mut *self;
        ties.write_cut.or_cut(cx, |cx| io.poll_end(cx))
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
