//! The entry of a stream that has changed its protocol.
//!
//! # How it works
//!
//! The stream has an entry of its own in the [connections](crate::shared::connections), because the entry of its HTTP
//! connection ends with that. A protocol of this crate [watches](UpgradedEntry::watch) the entry: the table then wakes
//! its task at a deadline, when the server begins to end, and when the server cuts its connections. So a waiting stream
//! needs no timer and no waiter of its own.
//!
//! # Invariants
//!
//! - Always: the entry exists for as long as this value.

use std::rc::Rc;
#[cfg(feature = "websocket")]
use std::task::Waker;

#[cfg(feature = "websocket")]
use waterwheel_runtime::time::Instant;

use crate::shared::ServerState;
use crate::shared::connections::ConnectionId;

/// Ties a stream to its server. Its drop removes the entry.
pub(crate) struct UpgradedEntry {
    server: Rc<ServerState>,
    id: ConnectionId,
}

impl UpgradedEntry {
    /// Adds an entry, and moves the permit of an HTTP connection there.
    pub(crate) fn new(server: &Rc<ServerState>, connection: ConnectionId) -> Self {
        Self {
            server: server.clone(),
            id: server.connections.upgrade(connection),
        }
    }
}

/// The view of a protocol of this crate.
#[cfg(feature = "websocket")]
impl UpgradedEntry {
    /// Returns the server.
    pub(crate) fn server(&self) -> &ServerState {
        &self.server
    }

    /// Makes the server wake a task at this time, up to 25 ms late, and when it ends.
    pub(crate) fn watch(&self, due: Instant, waker: &Waker) {
        self.server.connections.watch(self.id, due, waker);
        // Without a deadline, the reaper need not run for this entry.
        if due < Instant::FAR_FUTURE {
            self.server.reaper.look_at(due);
        }
    }

    /// Makes the server wake a task when it ends, and at the time of the last [`watch`](Self::watch).
    pub(crate) fn reach(&self, waker: &Waker) {
        self.server.connections.reach(self.id, waker);
    }

    /// Returns true if the server wakes this task.
    pub(crate) fn is_watched_by(&self, waker: &Waker) -> bool {
        // Two pointers are compared, which costs less than a waker for each reader.
        self.server.connections.is_reached(self.id, waker)
    }

    /// Wakes the watching task.
    pub(crate) fn wake(&self) {
        // Readers and senders in other tasks call this, because the watching task writes for them.
        self.server.connections.wake_upgraded(self.id);
    }

    /// Returns true if the server shuts down.
    pub(crate) fn is_ending(&self) -> bool {
        // A look at each poll is enough, because the table wakes the task at the change.
        self.server.ending.is_set()
    }

    /// Returns true if the server cuts its connections.
    pub(crate) fn is_cut(&self) -> bool {
        self.server.cutting.is_set()
    }
}

impl Drop for UpgradedEntry {
    fn drop(&mut self) {
        // A shutdown waits for this, and not for the end of the task that had the stream.
        self.server.connections.remove(self.id);
    }
}
