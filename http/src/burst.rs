//! A burst: what serves connections while there is something to serve.
//!
//! # How it works
//!
//! An `async fn` stores everything at its largest, handler and all. So what serves a connection is
//! not part of it, but an allocation of its own that serves one connection after the other: a future
//! that never ends, and rests in between.
//!
//! ```text
//!           begin                            poll
//!  a connection ──► desk ──taken──► served ──quiet──► desk ──► the connection, to wait
//!                    ▲                │  │
//!                  rests ◄────────────┘  └── Pending: the handler, or a write, has to wait
//!                          over
//! ```
//!
//! Mostly nothing has to wait, and one burst serves all connections of a turn: its memory stays in
//! the caches, and an idle connection has none.
//!
//! # Invariants
//!
//! - Always: a burst that rests holds no connection.
//! - Never: a connection in two hands; the desk is empty while it is served.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::connection::Connection;
use crate::handler::Handler;
use crate::io::Io;
use crate::register::Key;
use crate::shared::Shared;

/// A connection, and who answers its requests.
pub(crate) struct Served<T: Io, H> {
    pub(crate) connection: Connection<T>,
    pub(crate) handler: H,
}

/// Where a connection lies: empty, while it is elsewhere.
pub(crate) type Seat<T, H> = Option<Served<T, H>>;

/// Serves one connection after the other.
pub(crate) struct Burst<T: Io, H> {
    desk: Rc<Desk<T, H>>,
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// Where the connection that it serves stands with its server.
    place: Option<(Rc<Shared>, Key)>,
}

/// Where a connection changes hands.
struct Desk<T: Io, H> {
    seat: RefCell<Seat<T, H>>,
    is_serving: Cell<bool>,
}

impl<T: Io, H> Desk<T, H> {
    fn poll_begin(&self) -> Poll<()> {
        if self.is_serving.get() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl<T: Io, H: Handler> Burst<T, H> {
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    fn new() -> Box<Self> {
        let desk = Rc::new(Desk {
            seat: RefCell::new(None),
            is_serving: Cell::new(false),
        });
        Box::new(Self {
            future: Box::pin(serve_all(desk.clone())),
            desk,
            place: None,
        })
    }

    /// Takes a connection from its seat.
    #[inline]
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    pub(crate) fn begin(shared: Rc<Shared>, key: Key, seat: &mut Seat<T, H>) -> Box<Self> {
        let mut burst: Box<Self> = shared.spare_bursts.take().unwrap_or_else(Self::new);
        burst.desk.is_serving.set(true);
        mem::swap(&mut *burst.desk.seat.borrow_mut(), seat);
        burst.place = Some((shared, key));
        burst
    }

    /// Serves; ready when there is nothing more to serve, or the connection is over.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // It never ends.
        _ = self.future.as_mut().poll(cx);
        if !self.desk.is_serving.get() {
            return Poll::Ready(());
        }
        if let Some((shared, key)) = &self.place {
            // Whatever it waits for, the server can reach it.
            shared.register.reach(*key, cx.waker());
        }
        Poll::Pending
    }

    /// Gives the connection back, unless it is over.
    #[inline]
    pub(crate) fn end(mut self: Box<Self>, seat: &mut Seat<T, H>) {
        mem::swap(&mut *self.desk.seat.borrow_mut(), seat);
        if let Some((shared, _)) = self.place.take() {
            shared.spare_bursts.put(self);
        }
    }

    pub(crate) fn place(&self) -> Option<(&Rc<Shared>, Key)> {
        self.place.as_ref().map(|(shared, key)| (shared, *key))
    }
}

async fn serve_all<T: Io, H: Handler>(desk: Rc<Desk<T, H>>) {
    let mut served: Seat<T, H> = None;
    loop {
        poll_fn(|_| desk.poll_begin()).await;
        mem::swap(&mut *desk.seat.borrow_mut(), &mut served);
        if let Some(Served {
            connection,
            handler,
        }) = &mut served
        {
            if connection.burst(handler).await.is_continue() {
                mem::swap(&mut *desk.seat.borrow_mut(), &mut served);
            } else {
                served = None;
            }
        }
        desk.is_serving.set(false);
    }
}
