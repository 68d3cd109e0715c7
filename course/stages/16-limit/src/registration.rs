//! The link between a socket and the reactor.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;

use crate::context;
use crate::reactor::SourceId;
use crate::source::Direction;

/// A socket's place in the reactor of the runtime that this thread is inside.
#[derive(Debug)]
pub struct Registration {
    id: SourceId,
}

impl Registration {
    /// Registers a socket. It must be non-blocking.
    ///
    /// # Errors
    ///
    /// Returns the error of `epoll_ctl(2)`.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    pub fn new(socket: &impl AsFd) -> io::Result<Self> {
        let id = context::with(|executor| executor.reactor().register(socket.as_fd()))?;
        Ok(Self { id })
    }

    /// Waits until an operation in this direction should be tried. The operation may still return `WouldBlock`.
    pub async fn ready(&self, direction: Direction) {
        poll_fn(|cx| {
            context::with(|executor| executor.reactor().poll_ready(self.id, direction, cx))
        })
        .await;
    }

    /// Notes that an operation has returned `WouldBlock`. From now on, [`ready`](Self::ready) waits for an event.
    pub fn clear(&self, direction: Direction) {
        context::with(|executor| executor.reactor().clear(self.id, direction));
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        context::try_with(|executor| {
            executor.reactor().forget(self.id);
            executor.freed().notify_all();
        });
    }
}
