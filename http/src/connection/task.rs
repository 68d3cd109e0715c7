//! The task of a connection that is served by a handler.
//!
//! # How it works
//!
//! An `async fn` always has its largest size, with its handler's future and all. So the part that serves a
//! connection is not in the task. It is a [`Worker`]: an allocation that serves one connection after the other,
//! with a future that never ends. A task that is woken takes a worker from the pool and puts its connection into
//! the worker's slot. When there is no more to do, the connection comes back, and the worker is free again.
//!
//! ```text
//!  task:    Idle ──woken: takes a worker──► Busy ──────────────► over
//!            ▲                               │
//!            └── the connection comes back ──┘
//!
//!  worker:  begin ──► slot ──► taken, served ──► slot ──► end
//!                               │        │
//!                               │        └── the connection is over: the slot stays empty
//!                               └── Pending: the handler or a write has to wait, and the task keeps the worker
//! ```
//!
//! In most polls no step has to wait. So one worker serves all connections of a turn: its memory stays in the
//! caches, with the buffers that it lends to each of them. An idle connection has neither (LOG 33, 49).
//!
//! # Invariants
//!
//! - Always: the slot of a free worker is empty.
//! - Never: a connection in two places. The slot is empty while its connection is served.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use crate::connection::Connection;
use crate::exchange::handler::Handler;
use crate::shared::ServerState;
use crate::shared::connections::{ConnectionId, Phase};
use crate::shared::reasons;
use crate::shared::stop::Stage;
use crate::transport::io::Io;

impl<T: Io> Connection<T> {
    /// Serves all requests of this connection, and closes it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts the connection where it is.
    pub fn serve<H: Handler>(self, handler: H) -> impl Future<Output = ()> {
        ConnectionTask::Idle(ServedConnection {
            connection: Box::new(self),
            handler,
        })
    }
}

/// A connection, and the handler that answers its requests.
struct ServedConnection<T: Io, H> {
    /// A box, because it is moved four times whenever it is served (LOG 49).
    connection: Box<Connection<T>>,
    handler: H,
}

/// The future of [`Connection::serve`].
enum ConnectionTask<T: Io, H> {
    /// The connection waits for bytes.
    Idle(ServedConnection<T, H>),
    /// The worker has the connection.
    Busy(Box<Worker<T, H>>),
    /// The connection is closed, also if the future is kept.
    Over,
}

// No part of it is pinned: the future of the worker has a box of its own.
impl<T: Io, H> Unpin for ConnectionTask<T, H> {}

impl<T: Io, H: Handler> Future for ConnectionTask<T, H> {
    type Output = ();

    /// Serves the connection until it has to wait or is over.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut worker = match mem::replace(&mut *self, Self::Over) {
                Self::Idle(served) => {
                    let (shared, _) = served.connection.place();
                    if shared.stage.get() == Stage::Cutting {
                        return Poll::Ready(());
                    }
                    Worker::begin(served)
                }
                Self::Busy(worker) => {
                    // The server cuts the requests that are under way, or is gone.
                    let shared = worker.slot.shared.upgrade();
                    if shared.is_none_or(|shared| shared.stage.get() == Stage::Cutting) {
                        return Poll::Ready(());
                    }
                    worker
                }
                Self::Over => return Poll::Ready(()),
            };
            // Only a worker that has to wait stays with the task. In all other cases it is free again within this poll.
            if worker.poll(cx).is_pending() {
                *self = Self::Busy(worker);
                return Poll::Pending;
            }
            let Some(mut served) = worker.end() else {
                return Poll::Ready(());
            };
            let waits = served.connection.poll_idle(cx);
            if waits.is_pending() {
                *self = Self::Idle(served);
                return Poll::Pending;
            }
            // The poll of the worker has shown it as a connection that waits, and it does not wait.
            reasons::take_back_connection();
            if let Poll::Ready(ControlFlow::Break(())) = waits {
                return Poll::Ready(());
            }
            *self = Self::Idle(served);
        }
    }
}

/// Serves one connection after the other.
struct Worker<T: Io, H> {
    slot: Rc<Slot<T, H>>,
    /// The future of [`serve_all`]. It never ends.
    future: Pin<Box<dyn Future<Output = ()>>>,
}

/// The place through which a worker's future receives its connection and returns it.
struct Slot<T: Io, H> {
    served: Cell<Option<ServedConnection<T, H>>>,
    /// True from the time at which a connection is put in until it has been served.
    is_busy: Cell<bool>,
    /// The server of its connections. Weak, because the server keeps the free workers.
    shared: Weak<ServerState>,
    /// The entry of the connection that is served.
    id: Cell<ConnectionId>,
}

impl<T: Io, H> Slot<T, H> {
    /// Returns the phase of the connection at the end of a poll. `None` if the connection is over.
    fn phase(&self) -> Option<Phase> {
        let shared = self.shared.upgrade()?;
        let connections = &shared.connections;
        if self.is_busy.get() {
            return Some(connections.phase(self.id.get()));
        }
        let served = self.served.take()?;
        let phase = connections.phase_of_wait(self.id.get(), served.connection.is_within_head());
        self.served.set(Some(served));
        Some(phase)
    }
}

impl<T: Io, H: Handler> Worker<T, H> {
    /// Takes a free worker, or makes one, and puts a connection into its slot.
    #[inline]
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    fn begin(served: ServedConnection<T, H>) -> Box<Self> {
        let (shared, id) = served.connection.place();
        let worker: Box<Self> = shared
            .spare_workers
            .take()
            .unwrap_or_else(|| Self::new(shared, id));
        worker.slot.id.set(id);
        worker.slot.is_busy.set(true);
        worker.slot.served.set(Some(served));
        worker
    }

    #[cold]
    #[expect(clippy::unnecessary_box_returns, reason = "it stays in that box")]
    fn new(shared: &Rc<ServerState>, id: ConnectionId) -> Box<Self> {
        let slot = Rc::new(Slot {
            served: Cell::new(None),
            is_busy: Cell::new(false),
            shared: Rc::downgrade(shared),
            id: Cell::new(id),
        });
        Box::new(Self {
            future: Self::future(slot.clone()),
            slot,
        })
    }

    /// Makes the future that serves each connection of the slot. Its polls are a part of the task, with the phase.
    fn future(slot: Rc<Slot<T, H>>) -> Pin<Box<dyn Future<Output = ()>>> {
        reasons::connection(serve_all(slot.clone()), move || slot.phase())
    }

    /// Serves the connection. Ready if there is no more to do, or if the connection is over.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A handler's polls have a `catch_unwind` of their own. This one is for a panic in its call, or in the
        // end of its future (LOG 51).
        while let Err(payload) =
            catch_unwind(AssertUnwindSafe(|| _ = self.future.as_mut().poll(cx)))
        {
            self.take_panic(payload);
        }
        if self.slot.is_busy.get() {
            self.reach(cx);
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Answers the request whose handler has panicked, and makes another future to serve the connection on. The
    /// first one has ended, and its guard has returned the connection to the slot.
    #[cold]
    fn take_panic(&mut self, payload: Box<dyn Any + Send>) {
        let served = self.slot.served.take();
        match &served {
            // Without a connection the panic is not a handler's, and must not be hidden.
            Some(served) => served.connection.take_panic(payload),
            None => resume_unwind(payload),
        }
        self.future = Self::future(self.slot.clone());
        self.slot.is_busy.set(true);
        self.slot.served.set(served);
    }

    /// Stores the waker in the table, so that the server can wake the task from any of its waits.
    #[inline(never)]
    fn reach(&self, cx: &mut Context<'_>) {
        if let Some(shared) = self.slot.shared.upgrade() {
            shared.connections.reach(self.slot.id.get(), cx.waker());
        }
    }

    /// Frees the worker, and returns the connection if it is not over.
    #[inline]
    fn end(self: Box<Self>) -> Option<ServedConnection<T, H>> {
        let served = self.slot.served.take();
        match &served {
            Some(served) => served.connection.place().0.spare_workers.put(self),
            None => self.end_over(),
        }
        served
    }

    /// Frees the worker. There is no connection that leads to the server, so the weak reference does.
    #[cold]
    fn end_over(self: Box<Self>) {
        if let Some(shared) = self.slot.shared.upgrade() {
            shared.spare_workers.put(self);
        }
    }
}

/// A connection that is being served. The drop returns it to the slot: when it has no more to do, and also when its
/// handler panics. A connection that is over is not returned.
struct Taken<'s, T: Io, H> {
    served: Option<ServedConnection<T, H>>,
    slot: &'s Slot<T, H>,
}

impl<T: Io, H> Drop for Taken<'_, T, H> {
    fn drop(&mut self) {
        self.slot.served.set(self.served.take());
        self.slot.is_busy.set(false);
    }
}

/// Serves each connection that is put into the slot, without end.
async fn serve_all<T: Io, H: Handler>(slot: Rc<Slot<T, H>>) {
    // The buffers of the last connection are lent to the next one, so a busy turn does not ask the pool (LOG 49).
    let mut spare = None;
    loop {
        let mut taken = poll_fn(|_| {
            if slot.is_busy.get() {
                Poll::Ready(Taken {
                    served: slot.served.take(),
                    slot: &slot,
                })
            } else {
                Poll::Pending // `Worker::poll` polls again when a connection is in the slot
            }
        })
        .await;
        let Some(served) = &mut taken.served else {
            continue;
        };
        let connection = &mut served.connection;
        connection.borrow_buffers(&mut spare);
        if connection.serve_ready(&served.handler).await.is_continue() {
            // A connection with a part of a head keeps its buffers. Then the worker's spare ones stay here.
            spare = connection.prepare_to_wait().or(spare);
        } else {
            taken.served = None;
        }
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
