//! What happens when there is no room for another connection.

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

use super::{CountGuard, Server};
use crate::error::Refusal;
use crate::transport::stream::Stream;

/// How often to look again for descriptors that others have closed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How often to say that there are none left.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// How long one client is given to take its 503 from the reserve, while others wait for it.
const TURN_AWAY_MAX: Duration = Duration::from_millis(250);

/// How many clients at once are answered that their address has too many connections. So few that they
/// take no room from the others.
const TOLD_MAX: usize = 16;

/// Something that needs a descriptor and nothing else.
pub(super) fn open_reserve() -> io::Result<File> {
    File::open("/dev/null")
}

/// Who waits for room, and presses for it: with the wait, whatever ends it, the pressure ends.
struct Pressing<'a>(&'a Server);

impl Drop for Pressing<'_> {
    fn drop(&mut self) {
        self.0.shared.pressed.set(false);
    }
}

impl Server {
    /// One more who waits for a connection, or for room for one.
    pub(super) fn waiting(&self) -> CountGuard<'_> {
        self.stopping.serving();
        CountGuard::begin(self, &self.acceptors)
    }

    /// Whether the number of its connections allows another. Connections that only wait for a refusal do
    /// not count.
    pub(super) fn has_place(&self) -> bool {
        let max = self.shared.limits.connections_max;
        max.is_none_or(|max| self.connections().saturating_sub(self.told.get()) < max)
    }

    /// Closes a connection whose address has too many. A task of its own answers the client first, if
    /// that takes no room from others.
    pub(super) fn turn_peer_away(&self, stream: Stream, peer: SocketAddr) {
        let refusal = self.on_peer_limit.refusal();
        let has_room = self.told.get() < TOLD_MAX && self.gate.is_open();
        let Some(refusal) = refusal.filter(|_| has_room) else {
            self.shared.counters.accepted.one();
            self.shared.counters.turned_away.one();
            return;
        };
        if let Some(connection) = self.connect_to_refuse(stream, Some(peer), None) {
            let told = Told::begin(self.told.clone());
            spawn_detached(async move {
                let _told = told;
                race(connection.turn_away(refusal), sleep(TURN_AWAY_MAX)).await;
            });
        }
    }

    /// Waits until [`should_accept_request`](Self::should_accept_request) holds.
    ///
    /// When clients wait and none can be accepted, connections are asked to leave: first those that
    /// linger behind their last answer, then idle ones, longest idle first. Those that are answered
    /// meanwhile are closed after their answers. Then it sleeps until a descriptor is freed: no spin,
    /// no fixed timer.
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

    /// One round of it.
    pub(super) async fn make_room(&self) {
        let freed = descriptors::freed();
        if let Some(until) = self.gate.shut_until() {
            self.press();
            return race(freed, sleep_until(until)).await;
        }
        let wanted = async {
            self.somebody_waits().await;
            if self.is_closed() {
                return;
            }
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

    /// Waits until somebody is in the queue. Nobody is, and the server ends: then it closes.
    async fn somebody_waits(&self) {
        self.until_stage_changes(|cx| match self.listeners.poll_pending(cx) {
            Poll::Pending if self.has_drained() => {
                self.close();
                Poll::Ready(())
            }
            waits => waits,
        })
        .await;
    }

    /// Somebody waits: asks a batch of idle connections to leave, and says how many.
    fn press(&self) -> usize {
        self.shared.pressed.set(true);
        let batch = (self.shared.connections.len() / 8).max(5);
        let reclaimed = self
            .shared
            .connections
            .reclaim(batch, self.shared.stage.get());
        self.shared.counters.reclaimed.add(reclaimed);
        let now = Instant::now();
        let said = self.warned.get();
        if said.is_none_or(|said| now - said >= WARN_AGAIN) {
            self.warned.set(Some(now));
            self.warn(reclaimed);
        }
        reclaimed
    }

    #[cold]
    fn warn(&self, reclaimed: usize) {
        let connections = self.connections();
        if !self.has_place() {
            tracing::warn!(
                connections,
                reclaimed,
                "as many connections as the server may have: idle ones are closed to let new ones in",
            );
            return;
        }
        let descriptors = self.descriptors();
        tracing::warn!(
            limit = descriptors.limit(),
            open = descriptors.open(),
            holders = %descriptors::holders(),
            connections,
            reclaimed,
            "out of file descriptors: idle connections are closed to let new ones in",
        );
    }

    /// Gives up the reserve for one client, tells it that there is no room, and takes the reserve
    /// back.
    async fn turn_one_away(&self, reserve: &RefCell<Option<File>>) {
        let _given_up = GivenUp::begin(reserve);
        let accepted = race(
            async { Some(poll_fn(|cx| self.listeners.poll_accept(cx)).await) },
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
                // A task of its own: the client is told, whatever ends this wait.
                let answer = connection.turn_away(Refusal::Unavailable);
                let told = spawn(race(answer, sleep(TURN_AWAY_MAX)));
                drop(told.await);
            }
            // Somebody else was quicker to take what was given up.
            Some(Err(error)) => drop(self.failed(error)),
            None => {}
        }
    }
}

/// Counts one more of the clients that are answered, for as long as this lives.
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

/// A reserve that is given up; with this it is taken back, if there is a descriptor for it.
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
            let before = self.0.replace(Some(file));
            drop(before);
        }
    }
}
