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
//! the caches, with the working set that it lends to each, and an idle connection has none.
//!
//! # Invariants
//!
//! - Always: a burst that rests holds no connection.
//! - Never: a connection in two hands; the desk is empty while it is served.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use crate::connection::Connection;
use crate::exchange::handler::Handler;
use crate::shared::ServerState;
use crate::shared::connections::ConnectionId;
use crate::shared::stop::Stage;
use crate::transport::io::Io;

/// A connection, and who answers its requests.
pub(crate) struct Served<T: Io, H> {
    /// In a box, since it changes hands four times whenever it is served.
    pub(crate) connection: Box<Connection<T>>,
    pub(crate) handler: H,
}

/// Where a connection lies: empty, while it is elsewhere.
pub(crate) type Seat<T, H> = Option<Served<T, H>>;

/// Serves one connection after the other.
pub(crate) struct Burst<T: Io, H> {
    desk: Rc<Desk<T, H>>,
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// Whose connections it serves; weak, since it rests there.
    shared: Weak<ServerState>,
    /// The record of the one that it serves.
    id: ConnectionId,
}

/// Where a connection changes hands.
struct Desk<T: Io, H> {
    seat: Cell<Seat<T, H>>,
    is_serving: Cell<bool>,
}

impl<T: Io, H> Desk<T, H> {
    fn poll_take(&self) -> Poll<Taken<'_, T, H>> {
        if !self.is_serving.get() {
            return Poll::Pending; // nobody has come since
        }
        let seat = self.seat.take();
        Poll::Ready(Taken { seat, desk: self })
    }
}

/// What is being served. It goes back to its desk when it has come to rest, or if its handler panics;
/// at its end, nothing does.
struct Taken<'d, T: Io, H> {
    seat: Seat<T, H>,
    desk: &'d Desk<T, H>,
}

impl<T: Io, H> Drop for Taken<'_, T, H> {
    fn drop(&mut self) {
        self.desk.seat.set(self.seat.take());
        self.desk.is_serving.set(false);
    }
}

impl<T: Io, H: Handler> Burst<T, H> {
    /// Takes a connection from its seat.
    #[inline]
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    pub(crate) fn begin(served: Served<T, H>) -> Box<Self> {
        let (shared, id) = served.connection.place();
        let mut burst: Box<Self> = shared
            .spare_bursts
            .take()
            .unwrap_or_else(|| Self::new(shared, id));
        burst.id = id;
        burst.desk.is_serving.set(true);
        burst.desk.seat.set(Some(served));
        burst
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    fn new(shared: &Rc<ServerState>, id: ConnectionId) -> Box<Self> {
        let desk = Rc::new(Desk {
            seat: Cell::new(None),
            is_serving: Cell::new(false),
        });
        Box::new(Self {
            future: Box::pin(serve_all(desk.clone())),
            desk,
            shared: Rc::downgrade(shared),
            id,
        })
    }

    /// Serves; ready when there is nothing more to serve, or the connection is over.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // It never ends.
        while let Err(payload) =
            catch_unwind(AssertUnwindSafe(|| _ = self.future.as_mut().poll(cx)))
        {
            self.take_panic(payload);
        }
        if self.desk.is_serving.get() {
            self.reach(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The future has ended in a panic; the connection has come back, and is to be served on by another.
    #[cold]
    fn take_panic(&mut self, payload: Box<dyn Any + Send>) {
        let seat = self.desk.seat.take();
        match &seat {
            Some(served) => served.connection.take_panic(payload),
            None => resume_unwind(payload),
        }
        self.future = Box::pin(serve_all(self.desk.clone()));
        self.desk.is_serving.set(true);
        self.desk.seat.set(seat);
    }

    /// Whatever it waits for, the server can reach it.
    #[inline(never)]
    fn reach(&self, cx: &mut Context<'_>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.connections.reach(self.id, cx.waker());
        }
    }

    /// Whether the server cuts what is under way.
    pub(crate) fn is_cut(&self) -> bool {
        let shared = self.shared.upgrade();
        shared.is_none_or(|shared| shared.stage.get() == Stage::Cutting)
    }

    /// Rests, and gives the connection back, unless it is over.
    #[inline]
    pub(crate) fn end(self: Box<Self>) -> Seat<T, H> {
        let seat = self.desk.seat.take();
        match &seat {
            Some(served) => served.connection.place().0.spare_bursts.put(self),
            None => self.end_over(),
        }
        seat
    }

    /// Rests without a connection that could say where.
    #[cold]
    fn end_over(self: Box<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.spare_bursts.put(self);
        }
    }
}

async fn serve_all<T: Io, H: Handler>(desk: Rc<Desk<T, H>>) {
    let mut spare = None;
    loop {
        let mut taken = poll_fn(|_| desk.poll_take()).await;
        let Some(served) = &mut taken.seat else {
            continue;
        };
        let connection = &mut served.connection;
        connection.borrow_buffers(&mut spare);
        if connection.serve_ready(&served.handler).await.is_continue() {
            spare = connection.prepare_to_wait().or(spare);
        } else {
            taken.seat = None;
        }
    }
}
