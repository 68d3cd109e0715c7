//! The steps that a server takes if it has no room for another connection.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use waterwheel_runtime::time::{Instant, sleep, sleep_until};
use waterwheel_runtime::{descriptors, race, spawn, spawn_detached};

use super::Server;
use super::accept::CountGuard;
use crate::error::Refusal;
use crate::log;
use crate::shared::reasons;
use crate::transport::stream::Stream;

/// The pause between two checks for descriptors that other code has closed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The pause between two warnings.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// The time for one client to receive its 503 with the reserve, while others wait for it.
const TURN_AWAY_MAX: Duration = Duration::from_millis(250);

/// The number of clients that may receive "too many connections" at a time. It is small, so that they take no
/// room from other clients.
const TOLD_MAX: usize = 16;

/// Opens the reserve: a file that needs a descriptor and nothing else.
pub(super) fn open_reserve() -> io::Result<File> {
    File::open("/dev/null")
}

/// Sets the pressure of a wait for room. Its drop ends the pressure, however the wait ends.
struct Pressing<'a>(&'a Server);

impl Drop for Pressing<'_> {
    fn drop(&mut self) {
        // The next answers need not announce the end of their connections.
        self.0.shared.pressed.set(false);
    }
}

impl Server {
    /// Counts a task that waits for a connection, or for room for one.
    pub(super) fn waiting(&self) -> CountGuard<'_> {
        // Threads that wait in `Stopper::ready` learn that the server accepts.
        if self.stopping.serving() {
            self.shared.stage_changed.notify_all();
        }
        CountGuard::begin(self, &self.acceptors)
    }

    /// Returns true if the limit on connections allows another one. Connections that only wait for a refusal
    /// do not count.
    pub(super) fn has_place(&self) -> bool {
        let max = self.shared.limits.connections_max;
        // Refused connections are few and short. Counting them would let one address take the places of
        // others.
        max.is_none_or(|max| self.connections().saturating_sub(self.told.get()) < max)
    }

    /// Closes a connection whose address has too many. A task of its own answers the client first, if
    /// that takes no room from others.
    pub(super) fn turn_peer_away(&self, stream: Stream, peer: SocketAddr) {
        let refusal = self.on_peer_limit.refusal();
        // Without room, a silent close is better than a client that waits for room to be refused.
        let has_room = self.told.get() < TOLD_MAX && self.gate.is_open();
        let Some(refusal) = refusal.filter(|_| has_room) else {
            self.shared.counters.accepted.one();
            self.shared.counters.turned_away.one();
            log::turned_away(peer);
            return;
        };
        if let Some(connection) = self.connect_to_refuse(stream, Some(peer), None) {
            let told = Told::begin(self.told.clone());
            spawn_detached(async move {
                // The count ends with the task, however it ends.
                let _told = told;
                let refusal = connection.turn_away(refusal);
                reasons::named("refusal", race(refusal, sleep(TURN_AWAY_MAX))).await;
            });
        }
    }

    /// Waits until [`should_accept_request`](Self::should_accept_request) returns true. Completes at once if it
    /// does already.
    ///
    /// If clients wait and there is no room, asks connections to leave: first those that linger after their
    /// last answer, then idle ones, the longest idle first. Busy connections close after their next answer.
    /// Then waits until a descriptor is freed. While a client waits, it looks again after 100 ms, because other
    /// code may have freed one. It does not spin.
    ///
    /// After `accept` has failed for want of descriptors or memory, this waits until a descriptor is freed, or for
    /// 50 ms, then 100 ms and so on up to a second, with jitter.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn capacity(&self) {
        let _waiting = self.waiting();
        let _pressing = Pressing(self);
        while !self.should_accept_request() {
            self.make_room().await;
        }
    }

    /// Makes room once, and waits until there may be some.
    pub(super) async fn make_room(&self) {
        // Registered before all else, so that a descriptor freed meanwhile ends the wait.
        let freed = descriptors::freed();
        if self.connections() == 0 {
            // No connection can be closed to make room, so this may last, and no client would notice why.
            self.warn(0);
        }
        // While the gate is shut, the queue cannot be read, so no more than a wait is possible.
        if let Some(until) = self.gate.shut_until() {
            self.press();
            return race(freed, sleep_until(until)).await;
        }
        let wanted = async {
            // Connections are closed only if a client really waits for one.
            self.until_stage_changes(|cx| match self.listeners.poll_pending(cx) {
                // An empty queue at the end of the server is the end of the wait: no client will come.
                Poll::Pending if self.has_drained() => {
                    self.close();
                    Poll::Ready(())
                }
                waits => waits,
            })
            .await;
            if self.is_closed() {
                return;
            }
            // No idle connection is left. With a reserve, one waiting client at least learns that there is no
            // room.
            if self.press() == 0
                && let Some(reserve) = &self.reserve
            {
                self.turn_one_away(reserve).await;
            } else {
                sleep(LOOK_AGAIN).await;
            }
        };
        race(freed, wanted).await;
    }

    /// Asks a batch of idle connections to leave, because a client waits. Returns their number.
    fn press(&self) -> usize {
        self.shared.pressed.set(true);
        // An eighth: enough that the queue moves, and few enough that most idle clients keep their
        // connections.
        let batch = (self.shared.connections.len() / 8).max(5);
        let reclaimed = self
            .shared
            .connections
            .reclaim(batch, self.shared.stage.get());
        self.shared.counters.reclaimed.add(reclaimed);
        self.warn(reclaimed);
        reclaimed
    }

    /// Says that there is no room, unless this was said not long ago.
    #[cold]
    pub(super) fn warn(&self, reclaimed: usize) {
        let now = Instant::now();
        let said = self.warned.get();
        if said.is_some_and(|said| now - said < WARN_AGAIN) {
            return;
        }
        self.warned.set(Some(now));
        match self.connections() {
            connections if !self.has_place() => log::no_place(connections, reclaimed),
            0 => log::no_room_for_one(self.gate.assumed()),
            connections => log::no_descriptors(connections, reclaimed),
        }
    }

    /// Frees the reserve for one client, tells the client that there is no room, and opens the reserve again.
    async fn turn_one_away(&self, reserve: &RefCell<Option<File>>) {
        // From here on the reserve is free. The guard opens it again, also if this wait is dropped.
        let _given_up = GivenUp::begin(reserve);
        let accepted = race(
            async { Some(poll_fn(|cx| self.listeners.poll_accept(cx)).await) },
            // The client may have left the queue meanwhile, and then the accept would wait for another.
            async {
                sleep(LOOK_AGAIN).await;
                None
            },
        );
        match accepted.await {
            Some(Ok((stream, peer))) => {
                let Some(connection) = self.connect_to_refuse(stream, peer, None) else {
                    return;
                };
                // A task of its own, so that the client is told even if this wait is dropped.
                let refusal = connection.turn_away(Refusal::Unavailable);
                let refusal = race(refusal, sleep(TURN_AWAY_MAX));
                let told = spawn(reasons::named("refusal", refusal));
                drop(told.await);
            }
            // Other code has taken the descriptor first.
            Some(Err(error)) => drop(self.accept_failed(error)),
            None => {}
        }
    }
}

/// Counts one more client that receives a refusal, for as long as this lives.
struct Told(Rc<Cell<usize>>);

impl Told {
    fn begin(count: Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A reserve that is free for a client. Its drop opens the reserve again, if there is a descriptor.
struct GivenUp<'a>(&'a RefCell<Option<File>>);

impl<'a> GivenUp<'a> {
    fn begin(reserve: &'a RefCell<Option<File>>) -> Self {
        let file = reserve.take();
        drop(file);
        Self(reserve)
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Ok(file) = open_reserve() {
            // Other code may have taken the descriptor. Then the next client waits until one is freed.
            let before = self.0.replace(Some(file));
            drop(before);
        }
    }
}
