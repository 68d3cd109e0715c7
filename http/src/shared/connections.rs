//! The table of a server's connections: the phase of each, and how to reach it.
//!
//! # How it works
//!
//! A slab holds one small entry per connection. The connection itself holds only the entry's
//! [`ConnectionId`]. The entry has the [`Phase`] of the connection; there is no copy of it elsewhere.
//!
//! ```text
//!                 ┌──── a head that arrives whole ────┐
//!                 │                                   ▼
//!  Handshake ──► New ──► ReadingHead ───────────► Handling ──► Closing ──► Lingering
//!                          ▲   └─► HeadOverdue ─┐   ▲  │          ▲
//!                          │                    └───┼──┼──────────┘
//!                          └────────── Idle ────────┘  │
//!                                       ▲              │
//!                                       └──────────────┘ no more bytes
//! ```
//!
//! Most heads arrive whole. So the usual connection goes from `New` to `Handling`, and then between `Idle` and
//! `Handling`. While the server ends, `Promised` takes the place of `Idle`. The entry can be removed in every phase,
//! because the connection can be dropped in every phase.
//!
//! | arrow | function |
//! |---|---|
//! | `Handshake` → `New` | [`opened`](Connections::opened) |
//! | `New`, `Idle`, `Promised` → `ReadingHead` | [`wait_within_head`](Connections::wait_within_head) |
//! | any → `Handling` | [`begin_request`](Connections::begin_request) |
//! | `Handling`, `ReadingHead` → `Idle`, or `Promised` while the server ends | [`wait`](Connections::wait) |
//! | `ReadingHead` → `HeadOverdue` | [`head_overdue`](Connections::head_overdue) |
//! | any → `Closing` | [`close`](Connections::close), [`turn_away`](Connections::turn_away) |
//! | `Closing` → `Lingering` | [`linger`](Connections::linger) |
//! | `Handling` → `Upgraded`, in an entry of its own | [`upgrade`](Connections::upgrade) |
//!
//! The server closes connections from outside, for room or at its end: it marks their entries and wakes
//! their tasks. Each connection then decides what to finish first. One timer watches all deadlines of the
//! table: the [reaper](crate::shared::reaper).
//!
//! # Invariants
//!
//! - Always: an entry exists for as long as its connection.
//! - Never: a waker is woken or dropped while the slab is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use waterwheel_runtime::Notify;
use waterwheel_runtime::time::Instant;

use crate::limits::Limits;
use crate::shared::peers::PeerPermit;
use crate::shared::stop::Stage;

/// The time for which a connection without a request must be silent before the server closes it for room or at its
/// end. A request may be on its way.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// The time for which a connection may shake hands before it gives way to waiting clients: two or three round trips
/// of a distant client.
pub(crate) const HANDSHAKE_MOMENT: Duration = Duration::from_millis(500);

/// The longest pause between two bytes of a connection that lingers while the server ends.
const LAST_STALL_MAX: Duration = Duration::from_secs(1);

/// Names one connection of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionId(u32);

impl ConnectionId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// The activity of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The transport shakes hands, which has a deadline of its own.
    Handshake,
    /// The connection waits for its first request.
    New,
    /// A part of a head has arrived.
    ReadingHead,
    /// The rest of a head has not arrived in time. The connection answers with 408 next.
    HeadOverdue,
    /// A request has begun. After its answer, the phase stays while more bytes are ready to be read.
    Handling,
    /// The connection waits for the next request.
    Idle,
    /// The connection waits for the next request while the server ends. The last answer has promised that the
    /// connection stays, so that request may be on its way.
    Promised,
    /// The last answer is being sent, which has a deadline of its own.
    Closing,
    /// The last answer and the end are sent. Bytes that arrive are discarded.
    Lingering(GivesWay),
    /// The stream has changed its protocol, and its owner is a task of the user.
    Upgraded,
}

impl Phase {
    /// Returns true if a connection in this phase becomes idle when it waits for its next request.
    fn becomes_idle(self) -> bool {
        matches!(
            self,
            Self::ReadingHead | Self::HeadOverdue | Self::Handling | Self::Closing
        )
    }
}

/// The time at which a connection that lingers after its last answer gives way to another one. Bytes that arrive after the
/// close make the kernel send a reset, and the client loses the part of the answer that it has not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GivesWay {
    /// The client sends no more, and a small answer has arrived.
    AtOnce,
    /// The client may send more after its body. It has read a small answer by then.
    AfterMoment,
    /// The client may pause before it reads more of a large answer.
    AfterPause,
}

impl GivesWay {
    /// Returns the time for which the client must be silent.
    fn silence(self) -> Duration {
        match self {
            Self::AtOnce => Duration::ZERO,
            Self::AfterMoment => Duration::from_millis(250),
            Self::AfterPause => Duration::from_secs(2),
        }
    }
}

pub(crate) struct Connections {
    entries: RefCell<Slab<ConnectionEntry>>,
    /// The permits of the connections whose peers are counted. Most servers do not count, so the permits are
    /// not in the entries.
    permits: RefCell<HashMap<u32, PeerPermit>>,
    /// The last point in time at which each lingering connection closes.
    lingering: RefCell<HashMap<u32, Instant>>,
    /// The limits on waits, from [`Limits`].
    head_max: Duration,
    idle_max: Duration,
    linger_max: Duration,
    linger_stall_max: Duration,
    /// True from the begin of the server's end on.
    is_ending: Cell<bool>,
    /// The number of tasks that wait in [`Connections::settled`].
    watchers: Cell<usize>,
    changed: Notify,
}

struct ConnectionEntry {
    phase: Phase,
    /// True if the connection must close as soon as no request is under way.
    is_leaving: bool,
    /// True if the connection has a permit in [`Connections::permits`].
    has_permit: bool,
    /// True if the connection is only answered with a refusal. The server counts it as turned away.
    is_refused: bool,
    /// The number of requests that have begun, saturating. It is here because the entry has free bytes, and
    /// an idle connection must not grow.
    requests: u32,
    /// The start of the phase.
    since: Instant,
    waker: Option<Waker>,
}

// Each idle connection has one. // LOG W7
const _: () = assert!(size_of::<ConnectionEntry>() == 32);

/// The result for a connection that begins to wait.
pub(crate) struct Wait {
    /// True if the connection must leave.
    pub(crate) is_leaving: bool,
    /// The end of the time that the connection may wait.
    pub(crate) due: Instant,
    /// True if the table has the waker of the waiting task.
    pub(crate) is_reached: bool,
}

/// Connections that have waited too long.
pub(crate) struct Reaped {
    pub(crate) due: Vec<Waker>,
    /// The next point in time at which a connection has waited too long.
    pub(crate) next: Option<Instant>,
}

/// The numbers of connections by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// The transport shakes hands.
    pub(crate) handshakes: usize,
    /// No request has arrived yet.
    pub(crate) new: usize,
    /// A request is under way.
    pub(crate) busy: usize,
    /// Between two requests.
    pub(crate) idle: usize,
    /// After the last answer.
    pub(crate) lingering: usize,
    /// After a change of the protocol.
    pub(crate) upgraded: usize,
}

/// The life of an entry.
impl Connections {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            entries: RefCell::default(),
            permits: RefCell::default(),
            lingering: RefCell::default(),
            head_max: limits.head_duration_max,
            idle_max: limits.idle_duration_max,
            linger_max: limits.linger_duration_max,
            linger_stall_max: limits.linger_stall_duration_max,
            is_ending: Cell::new(false),
            watchers: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// Adds a connection in the phase `New` or `Handshake`.
    ///
    /// # Panics
    ///
    /// Beyond four thousand million connections.
    #[inline]
    pub(crate) fn add(&self, phase: Phase, permit: Option<PeerPermit>) -> ConnectionId {
        let index = self.entries.borrow_mut().insert(ConnectionEntry {
            phase,
            is_leaving: false,
            has_permit: permit.is_some(),
            is_refused: false,
            requests: 0,
            // The clock of the turn needs no system call, and a deadline of seconds does not need more.
            since: Instant::of_turn(),
            waker: None,
        });
        // Four bytes, because each idle connection keeps this id.
        let index = u32::try_from(index).expect("descriptors are fewer than two thousand million");
        if let Some(permit) = permit {
            self.permits.borrow_mut().insert(index, permit);
        }
        ConnectionId(index)
    }

    #[inline]
    pub(crate) fn remove(&self, id: ConnectionId) {
        // Most entries are not in the other tables, so the entry itself tells whether to look there.
        let entry = self.entries.borrow_mut().try_remove(id.index());
        if let Some(entry) = entry {
            if entry.has_permit {
                self.permits.borrow_mut().remove(&id.0);
            }
            if matches!(entry.phase, Phase::Lingering(_)) {
                self.lingering.borrow_mut().remove(&id.0);
            }
        }
        self.notify();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    #[inline]
    pub(crate) fn phase(&self, id: ConnectionId) -> Phase {
        self.entries.borrow()[id.index()].phase
    }

    /// Returns the phase of a connection that is about to wait: see [`wait`](Self::wait) and
    /// [`wait_within_head`](Self::wait_within_head).
    pub(crate) fn phase_of_wait(&self, id: ConnectionId, is_within_head: bool) -> Phase {
        match self.phase(id) {
            _ if is_within_head => Phase::ReadingHead,
            phase if phase.becomes_idle() => Phase::Idle,
            phase => phase,
        }
    }

    /// Returns true if the connection has become idle while the server ends.
    pub(crate) fn has_promised(&self, id: ConnectionId) -> bool {
        self.phase(id) == Phase::Promised
    }

    /// Returns the number of requests that have begun on a connection.
    pub(crate) fn requests(&self, id: ConnectionId) -> u32 {
        self.entries.borrow()[id.index()].requests
    }
}

/// The arrows of the diagram.
impl Connections {
    /// Notes that the handshake is over. The time for the first head begins.
    pub(crate) fn opened(&self, id: ConnectionId) {
        {
            let entry = &mut self.entries.borrow_mut()[id.index()];
            if entry.phase == Phase::Handshake {
                entry.enter(Phase::New, Instant::of_turn());
            }
        }
        self.notify();
    }

    /// Notes that a request has begun. Returns true if it must be the last one of its connection.
    #[inline]
    pub(crate) fn begin_request(&self, id: ConnectionId, requests_max: Option<u64>) -> bool {
        let entry = &mut self.entries.borrow_mut()[id.index()];
        // No clock is read here, because no deadline counts from the start of a request.
        entry.phase = Phase::Handling;
        // A connection may live for weeks, so the count must not wrap.
        entry.requests = entry.requests.saturating_add(1);
        // Decided with the head, so that the answer can announce the end of the connection (LOG 37).
        entry.is_leaving || requests_max.is_some_and(|max| u64::from(entry.requests) >= max)
    }

    /// Notes that a connection waits for a request of which no byte has arrived.
    #[inline]
    pub(crate) fn wait(&self, id: ConnectionId, now: Instant, waker: &Waker) -> Wait {
        let (becomes_idle, wait) = {
            let entry = &mut self.entries.borrow_mut()[id.index()];
            // A connection that was idle before keeps its time: a wake without bytes must not extend it.
            let becomes_idle = entry.phase.becomes_idle();
            if becomes_idle && !self.is_ending.get() {
                entry.enter(Phase::Idle, now);
                // The usual way asks for no phase again. // LOG W7
                (becomes_idle, entry.wait(self.idle_max, waker))
            } else {
                if becomes_idle {
                    entry.enter(Phase::Promised, now);
                }
                (becomes_idle, entry.wait(self.patience(entry.phase), waker))
            }
        };
        // After the borrow, because a notified task may read the table.
        if becomes_idle {
            self.notify();
        }
        wait
    }

    /// Notes that a connection waits for the rest of a head. The time for that counts from the first byte.
    pub(crate) fn wait_within_head(&self, id: ConnectionId, now: Instant, waker: &Waker) -> Wait {
        let entry = &mut self.entries.borrow_mut()[id.index()];
        // Only the first byte begins the phase: a byte now and then must not extend the time.
        if entry.phase != Phase::ReadingHead {
            entry.enter(Phase::ReadingHead, now);
        }
        entry.wait(self.head_max, waker)
    }

    /// Notes that the rest of a head has not arrived in time.
    pub(crate) fn head_overdue(&self, id: ConnectionId) {
        self.entries.borrow_mut()[id.index()].phase = Phase::HeadOverdue;
    }

    /// Notes that the last answer is being sent.
    pub(crate) fn close(&self, id: ConnectionId) {
        let entry = &mut self.entries.borrow_mut()[id.index()];
        // Lingering comes after closing. A late call must not take the connection back.
        if !matches!(entry.phase, Phase::Lingering(_)) {
            entry.phase = Phase::Closing;
        }
    }

    /// Notes that a connection gets a refusal, and that no request is read. A shutdown waits for the answer.
    pub(crate) fn turn_away(&self, id: ConnectionId) {
        let entry = &mut self.entries.borrow_mut()[id.index()];
        entry.phase = Phase::Closing;
        entry.is_refused = true;
    }

    /// Adds an entry for the stream of a connection that changes its protocol, and moves the permit there. The old
    /// entry ends with its connection, which the caller may keep.
    pub(crate) fn upgrade(&self, id: ConnectionId) -> ConnectionId {
        // The permit goes along: a peer must not get more connections by an upgrade.
        self.entries.borrow_mut()[id.index()].has_permit = false;
        let permit = self.permits.borrow_mut().remove(&id.0);
        self.add(Phase::Upgraded, permit)
    }

    /// Notes that the last answer and the end are sent.
    pub(crate) fn linger(&self, id: ConnectionId, gives_way: GivesWay) {
        let now = Instant::of_turn();
        // The whole time counts from here. The pause in `since` begins again with each byte.
        let until = now + self.linger_max;
        self.lingering.borrow_mut().insert(id.0, until);
        self.entries.borrow_mut()[id.index()].enter(Phase::Lingering(gives_way), now);
        self.notify();
    }
}

/// Lingering, and the time for it.
impl Connections {
    /// Notes that bytes have arrived and were discarded. A connection that was asked to leave because it
    /// seemed silent stays: more bytes may follow, and the kernel would answer them with a reset.
    pub(crate) fn linger_on(&self, id: ConnectionId) {
        let entry = &mut self.entries.borrow_mut()[id.index()];
        if let Phase::Lingering(gives_way) = entry.phase {
            // The client has sent more than expected, so it needs at least the longer silence.
            let gives_way = gives_way.max(GivesWay::AfterMoment);
            entry.is_leaving = false;
            entry.enter(Phase::Lingering(gives_way), Instant::of_turn());
        }
    }

    /// Returns until when a silent connection lingers. Returns `None` if it must leave, or if it may leave
    /// and another client waits for its place.
    pub(crate) fn lingers_until(
        &self,
        id: ConnectionId,
        stage: Stage,
        is_pressed: bool,
    ) -> Option<Instant> {
        let entry = &self.entries.borrow()[id.index()];
        let is_asked = entry.is_leaving || stage == Stage::Cutting;
        // Only this kind loses no byte by leaving at once.
        if is_asked || (is_pressed && entry.phase == Phase::Lingering(GivesWay::AtOnce)) {
            return None;
        }
        let stall_max = match stage {
            Stage::Open => self.linger_stall_max,
            Stage::Draining | Stage::Cutting => self.linger_stall_max.min(LAST_STALL_MAX),
        };
        // Whichever is earlier: the pause between two bytes, or the whole time.
        let stalled = entry.since + stall_max;
        let until = self.lingering.borrow().get(&id.0).copied();
        Some(until.map_or(stalled, |until| until.min(stalled)))
    }

    /// Returns how long a connection may be in this phase, or the maximum if the reaper does not watch it.
    fn patience(&self, phase: Phase) -> Duration {
        match phase {
            Phase::New | Phase::ReadingHead => self.head_max,
            Phase::Idle => self.idle_max,
            Phase::Promised => self.idle_max.min(MOMENT),
            // `since` is the deadline itself: see `watch`.
            Phase::Upgraded => Duration::ZERO,
            // These phases have a timer of their own, or the deadline of the step that they wait for.
            Phase::Handshake
            | Phase::HeadOverdue
            | Phase::Handling
            | Phase::Closing
            | Phase::Lingering(_) => Duration::MAX,
        }
    }

    /// Takes the wakers of the connections that have waited too long. The caller wakes them when no borrow is alive.
    pub(crate) fn reap(&self, now: Instant) -> Reaped {
        let mut reaped = Reaped {
            due: Vec::new(),
            next: None,
        };
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            let patience = self.patience(entry.phase);
            // Such a phase has no deadline here.
            if patience == Duration::MAX {
                continue;
            }
            let due = entry.since + patience;
            if due <= now {
                reaped.due.extend(entry.waker.take());
            } else {
                reaped.next = Some(reaped.next.map_or(due, |next| next.min(due)));
            }
        }
        reaped
    }
}

/// Reaching connections from outside.
impl Connections {
    /// Stores the waker that wakes the task of a connection.
    pub(crate) fn reach(&self, id: ConnectionId, waker: &Waker) {
        if !self.is_reached(id, waker) {
            // The clone comes before the borrow, because a foreign waker may run user code in it, too.
            let waker = waker.clone();
            let old = self.entries.borrow_mut()[id.index()].waker.replace(waker);
            drop(old); // a foreign waker may run user code, so not while the slab is borrowed
        }
    }

    /// Returns true if the entry has the waker of this task.
    pub(crate) fn is_reached(&self, id: ConnectionId, waker: &Waker) -> bool {
        self.entries.borrow()[id.index()].is_reached_by(waker)
    }

    /// Asks up to `count` connections without a request to leave, and returns their number. All are of one
    /// kind, the first that exists: lingering ones, ones on which no request has arrived (while the server
    /// ends), idle ones. The longest in their phase leave first.
    pub(crate) fn reclaim(&self, count: usize, stage: Stage) -> usize {
        let mut may_leave = self.those_that_may_leave(stage);
        // One kind at a time: lingering connections have no request to lose, idle ones may have one on its
        // way.
        let first = may_leave.iter().map(|(rank, _, _)| *rank).min();
        may_leave.retain(|(rank, _, _)| Some(*rank) == first);
        let count = count.min(may_leave.len());
        if count == 0 {
            return 0;
        }
        // Only the longest ones are needed, so this selects them without a sort of all.
        may_leave.select_nth_unstable(count - 1);
        may_leave[..count]
            .iter()
            .for_each(|(_, _, index)| self.dismiss(*index));
        count
    }

    /// Returns the connections that may leave, each with its rank, the start of its phase, and its index.
    fn those_that_may_leave(&self, stage: Stage) -> Vec<(u8, Instant, usize)> {
        let now = Instant::of_turn();
        let entries = self.entries.borrow();
        // While the server is open, new connections stay: their first request is about to arrive.
        let ranked = entries.iter().filter_map(|(index, entry)| {
            let silence = now - entry.since;
            let rank = match entry.phase {
                Phase::Lingering(gives_way) if silence >= gives_way.silence() => 0,
                Phase::Handshake if stage != Stage::Open && silence >= HANDSHAKE_MOMENT => 1,
                Phase::New if stage != Stage::Open && silence >= MOMENT => 1,
                Phase::Idle | Phase::Promised => 2,
                _ => return None,
            };
            // An entry that was asked before is on its way, and would count twice.
            (!entry.is_leaving).then_some((rank, entry.since, index))
        });
        ranked.collect()
    }

    /// Asks the connections that wait for a request to leave, except promised ones, which have a moment of their own.
    pub(crate) fn dismiss_quiet(&self) {
        let is_quiet = |phase| matches!(phase, Phase::New | Phase::Idle);
        self.dismiss_those(|entry| is_quiet(entry.phase));
    }

    /// Asks the connections that shake hands to leave.
    pub(crate) fn dismiss_handshakes(&self) {
        self.dismiss_those(|entry| entry.phase == Phase::Handshake);
    }

    /// Asks all connections to leave. Returns their number, without those whose last answer is sent and those that
    /// are turned away.
    pub(crate) fn dismiss_all(&self) -> usize {
        // Their clients have all of their answers, or get a refusal. A report must not count them as cut.
        let is_cut = |entry: &ConnectionEntry| {
            !matches!(entry.phase, Phase::Lingering(_)) && !entry.is_refused
        };
        // Counted before the wakes, because a woken connection may end at once.
        let cut = self.indices(is_cut).len();
        self.dismiss_those(|_| true);
        cut
    }

    /// Begins the end of the server. Wakes the lingering connections, because they have less time from now on, and the
    /// upgraded ones, because they may say goodbye.
    pub(crate) fn begin_end(&self) {
        self.is_ending.set(true);
        let hurries = |phase| matches!(phase, Phase::Lingering(_) | Phase::Upgraded);
        for index in self.indices(|entry| hurries(entry.phase)) {
            self.wake(index);
        }
    }

    fn dismiss_those(&self, which: impl Fn(&ConnectionEntry) -> bool) {
        // The indices are a copy, because a woken task may change the table.
        let indices = self.indices(which);
        indices.into_iter().for_each(|index| self.dismiss(index));
    }

    fn indices(&self, which: impl Fn(&ConnectionEntry) -> bool) -> Vec<usize> {
        let entries = self.entries.borrow();
        let chosen = entries.iter().filter(|(_, entry)| which(entry));
        chosen.map(|(index, _)| index).collect()
    }

    fn dismiss(&self, index: usize) {
        // A connection that was woken before may have ended this one.
        if let Some(entry) = self.entries.borrow_mut().get_mut(index) {
            entry.is_leaving = true;
        }
        self.wake(index);
    }

    fn wake(&self, index: usize) {
        let waker = {
            let mut entries = self.entries.borrow_mut();
            let entry = entries.get_mut(index);
            entry.and_then(|entry| entry.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Upgraded connections whose protocol is one of this crate.
#[cfg(feature = "websocket")]
impl Connections {
    /// Stores the waker of an upgraded connection, and the time at which the reaper wakes it. A connection that is not
    /// watched has no waker, so the reaper passes over it.
    pub(crate) fn watch(&self, id: ConnectionId, due: Instant, waker: &Waker) {
        // The deadline stands in the place of a begin, so that the entry does not grow.
        self.entries.borrow_mut()[id.index()].since = due;
        self.reach(id, waker);
    }

    /// Wakes the task of an upgraded connection.
    pub(crate) fn wake_upgraded(&self, id: ConnectionId) {
        self.wake(id.index());
    }
}

/// Counting.
impl Connections {
    pub(crate) fn census(&self) -> Census {
        let mut census = Census::default();
        for (_, entry) in self.entries.borrow().iter() {
            match entry.phase {
                Phase::Handshake => census.handshakes += 1,
                Phase::New => census.new += 1,
                Phase::Idle | Phase::Promised => census.idle += 1,
                Phase::Lingering(_) => census.lingering += 1,
                Phase::Upgraded => census.upgraded += 1,
                Phase::ReadingHead | Phase::HeadOverdue | Phase::Handling | Phase::Closing => {
                    census.busy += 1;
                }
            }
        }
        census
    }

    /// Returns how many connections are only answered with a refusal.
    pub(crate) fn refused(&self) -> usize {
        self.indices(|entry| entry.is_refused).len()
    }

    /// Waits until the numbers of connections are as `wanted`. Requests pay for this only while a task waits
    /// here.
    pub(crate) async fn settled(&self, wanted: impl Fn(Census) -> bool) {
        self.watchers.set(self.watchers.get() + 1);
        let _watching = Watching(&self.watchers);
        loop {
            // Registers before the check, so that a change between the check and the wait is not lost.
            let changed = self.changed.notified();
            if wanted(self.census()) {
                return;
            }
            changed.await;
        }
    }

    fn notify(&self) {
        if self.watchers.get() > 0 {
            self.changed.notify_all();
        }
    }
}

impl ConnectionEntry {
    fn enter(&mut self, phase: Phase, now: Instant) {
        (self.phase, self.since) = (phase, now);
    }

    #[inline]
    fn wait(&self, patience: Duration, waker: &Waker) -> Wait {
        Wait {
            is_leaving: self.is_leaving,
            due: self.since + patience,
            is_reached: self.is_reached_by(waker),
        }
    }

    #[inline]
    fn is_reached_by(&self, waker: &Waker) -> bool {
        // Compared, because the same task waits here again and again, and a clone costs a call through its vtable.
        let known = self.waker.as_ref();
        known.is_some_and(|known| known.will_wake(waker))
    }
}

/// A counted watcher. The drop counts it no longer.
struct Watching<'a>(&'a Cell<usize>);

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use waterwheel_runtime::{block_on, time};

    use super::*;

    #[test]
    fn bytes_that_come_behind_a_last_answer_withdraw_the_request_to_leave() {
        block_on(async {
            time::pause();
            let connections = Connections::new(&Limits::default());
            let id = connections.add(Phase::New, None);
            connections.linger(id, GivesWay::AfterPause);
            time::advance(GivesWay::AfterPause.silence()).await;
            assert_eq!(connections.reclaim(1, Stage::Open), 1);
            assert_eq!(connections.lingers_until(id, Stage::Open, true), None);
            connections.linger_on(id);
            let until = connections.lingers_until(id, Stage::Open, true);
            assert!(until.is_some_and(|until| until > Instant::of_turn()));
            // Silent again.
            time::advance(GivesWay::AfterPause.silence()).await;
            assert_eq!(connections.reclaim(1, Stage::Open), 1);
            // A server that cuts waits for no bytes.
            connections.linger_on(id);
            assert_eq!(connections.lingers_until(id, Stage::Cutting, false), None);
        });
    }
}
