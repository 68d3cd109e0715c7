//! A connection's task, and the workers that serve connections for such tasks.
//!
//! # How it works
//!
//! The future of an `async fn` has room for everything at its largest, the handler's future included. So the
//! future that serves is not part of the task. It lives in a [`Worker`], an allocation that serves one
//! connection after the other:
//!
//! ```text
//!  ConnectionTask            Slot                Worker's future
//!  Idle ── woken ────► (1) Offered ──────► (2) Taken: reads, runs handlers, writes
//!   ▲                                          │      │            │
//!   └──────────────── (3) Returned ◄───────────┘      │            └─ Pending: the task is Serving,
//!                              no more bytes       the end             and keeps the worker
//!                                                     │
//!  Over ◄──────────── (4) Empty ◄─────────────────────┘
//! ```
//!
//! 1. [`Worker::take_on`]: the task takes a spare worker of the server, and puts the connection into its slot.
//! 2. [`serve_all`]: the worker's future takes the connection out and serves it by plain calls, as long as bytes
//!    are there.
//! 3. The connection comes back by value, and the worker is spare again. This is mostly within one poll. An idle
//!    task has a connection and its handler, and no worker.
//! 4. If the connection is over, the slot stays empty.
//!
//! One worker mostly serves all connections of a turn. So its memory stays in the caches, with the buffers that
//! it lends to each (LOG 33).
//!
//! # Invariants
//!
//! - Always: a spare worker's slot is empty.
//! - Always: a connection is in one place: in its task, in a slot, or in a worker's future.
//! - Always: the connection of a handler that panics comes back to the slot.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use super::Connection;
use crate::exchange::handler::Handler;
use crate::shared::ServerState;
use crate::shared::connections::ConnectionId;
use crate::shared::stop::Stage;
use crate::transport::io::Io;

impl<T: Io> Connection<T> {
    /// Serves all requests of this connection, and closes it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts the connection where it is.
    pub fn serve<H: Handler>(self, handler: H) -> impl Future<Output = ()> {
        ConnectionTask::Idle(Served {
            connection: Box::new(self),
            handler,
        })
    }
}

/// A connection and the handler of its requests.
struct Served<T: Io, H> {
    /// In a box, because it changes hands four times whenever it is served.
    connection: Box<Connection<T>>,
    handler: H,
}

/// The future of [`Connection::serve`].
enum ConnectionTask<T: Io, H> {
    Idle(Served<T, H>),
    /// A handler, a write or a last read has to wait.
    Serving(Box<Worker<T, H>>),
    Over,
}

// The only pinned part is the worker's future, which has a box of its own.
impl<T: Io, H> Unpin for ConnectionTask<T, H> {}

impl<T: Io, H: Handler> Future for ConnectionTask<T, H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut worker = match mem::replace(&mut *self, Self::Over) {
                Self::Idle(served) if !served.connection.is_cut() => Worker::take_on(served),
                Self::Serving(worker) if !worker.is_cut() => worker,
                Self::Idle(_) | Self::Serving(_) | Self::Over => return Poll::Ready(()),
            };
            if worker.poll(cx).is_pending() {
                *self = Self::Serving(worker);
                return Poll::Pending;
            }
            let Some(mut served) = worker.hand_back() else {
                return Poll::Ready(());
            };
            let quiet = served.connection.poll_quiet(cx);
            *self = Self::Idle(served);
            if ready!(quiet).is_break() {
                *self = Self::Over;
                return Poll::Ready(());
            }
        }
    }
}

/// Hands a connection over between its task and a worker.
enum Slot<T: Io, H> {
    Empty,
    /// The task offers a connection.
    Offered(Served<T, H>),
    /// The worker's future has it.
    Taken,
    /// The worker's future is through with it, or its handler has panicked.
    Returned(Served<T, H>),
}

/// Serves one connection after the other.
struct Worker<T: Io, H> {
    slot: Rc<Cell<Slot<T, H>>>,
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// The server of its connections; weak, because spare workers belong to it.
    shared: Weak<ServerState>,
    /// The entry of the connection that it serves.
    id: ConnectionId,
}

impl<T: Io, H: Handler> Worker<T, H> {
    /// Puts a connection into the slot of a spare worker, or of a new one.
    #[inline]
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    fn take_on(served: Served<T, H>) -> Box<Self> {
        let (shared, id) = served.connection.place();
        let mut worker: Box<Self> = shared
            .spare_workers
            .take()
            .unwrap_or_else(|| Self::new(shared, id));
        worker.id = id;
        worker.slot.set(Slot::Offered(served));
        worker
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    fn new(shared: &Rc<ServerState>, id: ConnectionId) -> Box<Self> {
        let slot = Rc::new(Cell::new(Slot::Empty));
        Box::new(Self {
            future: Box::pin(serve_all(slot.clone())),
            slot,
            shared: Rc::downgrade(shared),
            id,
        })
    }

    /// Serves. Ready if there are no more bytes, or if the connection is over.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The future never ends, so its result says nothing: the slot does.
        while let Err(payload) =
            catch_unwind(AssertUnwindSafe(|| _ = self.future.as_mut().poll(cx)))
        {
            self.take_panic(payload);
        }
        let slot = self.slot.replace(Slot::Empty);
        let is_taken = matches!(slot, Slot::Taken);
        self.slot.set(slot);
        if is_taken {
            self.reach(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The future has ended in a panic. A new one serves the connection on.
    #[cold]
    fn take_panic(&mut self, payload: Box<dyn Any + Send>) {
        let Slot::Returned(served) = self.slot.replace(Slot::Empty) else {
            resume_unwind(payload);
        };
        served.connection.take_panic(payload);
        self.future = Box::pin(serve_all(self.slot.clone()));
        self.slot.set(Slot::Offered(served));
    }

    /// Notes the task in the server's table, so that the server can reach it while it waits.
    #[inline(never)]
    fn reach(&self, cx: &mut Context<'_>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.connections.reach(self.id, cx.waker());
        }
    }

    /// Returns true if the server cuts its connections, or is gone.
    fn is_cut(&self) -> bool {
        let shared = self.shared.upgrade();
        shared.is_none_or(|shared| shared.stage.get() == Stage::Cutting)
    }

    /// Becomes spare. Returns the connection, unless that is over.
    #[inline]
    fn hand_back(self: Box<Self>) -> Option<Served<T, H>> {
        let Slot::Returned(served) = self.slot.replace(Slot::Empty) else {
            // No connection is left that knows the server.
            if let Some(shared) = self.shared.upgrade() {
                shared.spare_workers.put(self);
            }
            return None;
        };
        served.connection.place().0.spare_workers.put(self);
        Some(served)
    }
}

/// The future of a worker: serves what its slot offers, and never ends.
async fn serve_all<T: Io, H: Handler>(slot: Rc<Cell<Slot<T, H>>>) {
    let mut spare = None;
    loop {
        let served = poll_fn(|_| match slot.replace(Slot::Taken) {
            Slot::Offered(served) => Poll::Ready(served),
            other => {
                slot.set(other);
                Poll::Pending // the next poll has an offer
            }
        });
        let mut taken = Taken {
            served: Some(served.await),
            slot: &slot,
        };
        let Some(Served {
            connection,
            handler,
        }) = &mut taken.served
        else {
            continue;
        };
        connection.borrow_work(&mut spare);
        if connection.serve_ready(handler).await.is_continue() {
            spare = connection.prepare_to_wait().or(spare);
        } else {
            taken.served = None;
        }
    }
}

/// Returns a connection to its slot, also if its handler panics. If the connection is over, the slot is empty.
struct Taken<'s, T: Io, H> {
    served: Option<Served<T, H>>,
    slot: &'s Cell<Slot<T, H>>,
}

impl<T: Io, H> Drop for Taken<'_, T, H> {
    fn drop(&mut self) {
        let slot = self.served.take().map_or(Slot::Empty, Slot::Returned);
        self.slot.set(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::transport::AcceptedStream;
    use crate::{Request, Responded, Result};

    #[test]
    fn an_idle_connection_stays_small() {
        let size = size_of::<Connection<AcceptedStream>>();
        assert!(size <= 72, "{size}");
    }

    #[test]
    fn an_idle_connection_does_not_carry_its_handler() {
        async fn large(request: Request<'_>) -> Result<Responded> {
            let ballast = [1_u8; 4096];
            std::future::ready(()).await;
            request
                .respond(crate::StatusCode::OK, &ballast[..], ())
                .await
        }
        fn size<H: Handler>(_: &H) -> usize {
            size_of::<ConnectionTask<AcceptedStream, H>>()
        }
        assert!(size(&large) <= 16, "{}", size(&large));
    }
}
