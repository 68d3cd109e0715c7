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
/// The limits and deadlines of the server no longer apply to it.
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
}

impl Upgraded {
    pub(crate) fn new(io: Box<dyn Io>, read: Vec<u8>, peer: Option<SocketAddr>) -> Self {
        Self {
            io,
            read,
            given: 0,
            peer,
        }
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
        let here = &self.read[self.given..];
        // The bytes of the request's buffer come first. Then the transport is read without a copy in between.
        if here.is_empty() {
            return self.io.poll_read(cx, buffer);
        }
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

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
