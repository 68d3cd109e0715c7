//! All connections of a server: who waits for what, since when, and how to reach them.
//!
//! # How it works
//!
//! One small record for each connection, in a slab. The connection itself holds only the key. A
//! request costs two stores: busy when it begins, idle when it has been answered. To close
//! connections from outside (for room, or for the end), their records are marked and their tasks
//! woken; what to do about it is the connection's own business. How long each may wait is known here
//! as well, so that one timer does for all: [`sweep`](crate::shared::sweep).
//!
//! # Invariants
//!
//! - Always: a record for as long as its connection lives.
//! - Never: a waker woken or dropped while the slab is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use waterwheel_runtime::Notify;
use waterwheel_runtime::time::Instant;

use crate::limits::Limits;
use crate::shared::peers::Guest;
use crate::shared::stop::Stage;

/// How long a connection without a request must have been silent before it gives way, or closes when the
/// server ends: a request may be on its way.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// How long a connection may shake hands before it gives way to clients that wait: two or three round trips
/// of a distant client.
pub(crate) const HANDSHAKE_MOMENT: Duration = Duration::from_millis(500);

/// When a connection that lingers behind its last answer gives way to another one. Bytes that come after the
/// close turn it into a reset, which costs what the client has not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GivesWay {
    /// The client sends no more, and a small answer has arrived.
    AtOnce,
    /// The client may send more behind its body; a small answer is read by then.
    AfterMoment,
    /// The client may pause before it reads on.
    AfterPause,
}

impl GivesWay {
    /// The silence that is waited for.
    fn silence(self) -> Duration {
        match self {
            Self::AtOnce => Duration::ZERO,
            Self::AfterMoment => Duration::from_millis(250),
            Self::AfterPause => Duration::from_secs(2),
        }
    }
}

/// The longest pause between two bytes of a connection that lingers while the server ends.
const LAST_STALL_MAX: Duration = Duration::from_secs(1);

/// Which connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(u32);

impl Key {
    fn index(self) -> usize {
        self.0 as usize
    }
}

pub(crate) struct Register {
    records: RefCell<Slab<Record>>,
    /// The places of some among those of their peers, where these are counted.
    guests: RefCell<HashMap<u32, Guest>>,
    /// When each connection that lingers closes at the latest.
    lingering: RefCell<HashMap<u32, Instant>>,
    /// How long each may wait.
    head_max: Duration,
    idle_max: Duration,
    linger_max: Duration,
    linger_stall_max: Duration,
    /// How many wait for [`Register::settled`].
    watchers: Cell<usize>,
    changed: Notify,
}

struct Record {
    state: State,
    /// Asked to close as soon as nothing is under way.
    leaving: bool,
    /// Whether its peer's connections are counted.
    is_guest: bool,
    /// Whether it is only answered with a refusal. The server counts such a connection as turned away.
    is_refused: bool,
    /// When it gives way, if it lingers.
    gives_way: GivesWay,
    /// How many requests have begun; saturates. It stands here because a record has the room, and an
    /// idle connection should not grow.
    requests: u32,
    /// When the state began.
    since: Instant,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its transport shakes hands, which has a deadline of its own.
    Handshake,
    /// No request has come yet.
    New,
    /// A part of a head has come.
    Head,
    /// A request has begun, and has not been answered to the end.
    Busy,
    /// Answered, and nothing has come since.
    Idle,
    /// Answered for the last time. The end is sent, and bytes that come are discarded.
    Lingering,
}

/// What a connection that begins to wait has to know.
pub(crate) struct Wait {
    /// Whether it is to leave.
    pub(crate) leaving: bool,
    /// When it has waited long enough.
    pub(crate) due: Instant,
    /// Whether the server can reach whoever waits.
    pub(crate) is_reached: bool,
}

/// What a look through the records has found.
pub(crate) struct Swept {
    /// Those who have waited long enough.
    pub(crate) due: Vec<Waker>,
    /// When the next one will have.
    pub(crate) next: Option<Instant>,
}

/// How many connections are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// The transport shakes hands.
    pub(crate) handshakes: usize,
    /// No request has come yet.
    pub(crate) new: usize,
    /// A request is under way.
    pub(crate) busy: usize,
    /// Between two requests.
    pub(crate) idle: usize,
    /// Behind the last answer.
    pub(crate) lingering: usize,
}

impl Register {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            records: RefCell::default(),
            guests: RefCell::default(),
            lingering: RefCell::default(),
            head_max: limits.head_duration_max,
            idle_max: limits.idle_duration_max,
            linger_max: limits.linger_duration_max,
            linger_stall_max: limits.linger_stall_duration_max,
            watchers: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// # Panics
    ///
    /// Beyond four thousand million connections.
    pub(crate) fn add(&self, guest: Option<Guest>) -> Key {
        let key = self.records.borrow_mut().insert(Record {
            state: State::New,
            leaving: false,
            is_guest: guest.is_some(),
            is_refused: false,
            gives_way: GivesWay::AfterPause,
            requests: 0,
            since: Instant::of_turn(),
            waker: None,
        });
        let key = u32::try_from(key).expect("descriptors are fewer than two thousand million");
        if let Some(guest) = guest {
            self.guests.borrow_mut().insert(key, guest);
        }
        Key(key)
    }

    pub(crate) fn remove(&self, key: Key) {
        let record = self.records.borrow_mut().try_remove(key.index());
        if let Some(record) = record {
            if record.is_guest {
                self.guests.borrow_mut().remove(&key.0);
            }
            if record.state == State::Lingering {
                self.lingering.borrow_mut().remove(&key.0);
            }
        }
        self.notify();
    }

    pub(crate) fn len(&self) -> usize {
        self.records.borrow().len()
    }

    /// Notes that its transport begins with a handshake.
    pub(crate) fn shakes_hands(&self, key: Key) {
        self.records.borrow_mut()[key.index()].state = State::Handshake;
    }

    /// Notes that the handshake is over. The time for the first head begins.
    pub(crate) fn opened(&self, key: Key) {
        {
            let record = &mut self.records.borrow_mut()[key.index()];
            if record.state == State::Handshake {
                record.enter(State::New, Instant::of_turn());
            }
        }
        self.notify();
    }

    /// Notes that a request has begun. Returns whether it has to be the last one, and the number of
    /// requests of this connection.
    #[inline]
    pub(crate) fn busy(&self, key: Key) -> (bool, u32) {
        let record = &mut self.records.borrow_mut()[key.index()];
        record.state = State::Busy;
        record.requests = record.requests.saturating_add(1);
        (record.leaving, record.requests)
    }

    /// Notes that it gets a refusal and no request is read. A shutdown waits for the answer.
    pub(crate) fn turned_away(&self, key: Key) {
        self.busy(key);
        self.records.borrow_mut()[key.index()].is_refused = true;
    }

    /// How many requests have begun on a connection.
    pub(crate) fn requests(&self, key: Key) -> u32 {
        self.records.borrow()[key.index()].requests
    }

    /// Nothing is under way: waits for a request.
    #[inline]
    pub(crate) fn wait(&self, key: Key, now: Instant, waker: &Waker) -> Wait {
        let (settles, wait) = {
            let record = &mut self.records.borrow_mut()[key.index()];
            let settles = record.is_under_way();
            if settles {
                record.enter(State::Idle, now);
            }
            let patience = self.patience(record.state);
            (settles, record.wait(patience, waker))
        };
        if settles {
            self.notify();
        }
        wait
    }

    /// Nothing is under way but a head, whose rest has to come in time: counted from its first byte.
    pub(crate) fn wait_within_head(&self, key: Key, now: Instant, waker: &Waker) -> Wait {
        let record = &mut self.records.borrow_mut()[key.index()];
        if record.state != State::Head {
            record.enter(State::Head, now);
        }
        record.wait(self.head_max, waker)
    }

    /// Notes that its last answer is being sent, which has a deadline of its own.
    pub(crate) fn closes(&self, key: Key) {
        let record = &mut self.records.borrow_mut()[key.index()];
        if record.state != State::Lingering {
            record.state = State::Busy;
        }
    }

    /// Notes that its last answer and its end are sent.
    pub(crate) fn lingers(&self, key: Key, gives_way: GivesWay) {
        let now = Instant::of_turn();
        let until = now + self.linger_max;
        self.lingering.borrow_mut().insert(key.0, until);
        {
            let record = &mut self.records.borrow_mut()[key.index()];
            record.enter(State::Lingering, now);
            record.gives_way = gives_way;
        }
        self.notify();
    }

    /// Notes that bytes have come and were discarded. A connection that was asked to leave because it
    /// seemed silent stays: more bytes may follow, and a close would answer them with a reset.
    pub(crate) fn lingers_on(&self, key: Key) {
        let record = &mut self.records.borrow_mut()[key.index()];
        record.leaving = false;
        record.since = Instant::of_turn();
        record.gives_way = record.gives_way.max(GivesWay::AfterMoment);
    }

    /// Returns until when it lingers if it stays silent. Returns `None` if it has to leave, or if it may
    /// and another one waits for its place.
    pub(crate) fn lingers_until(
        &self,
        key: Key,
        stage: Stage,
        is_pressed: bool,
    ) -> Option<Instant> {
        let record = &self.records.borrow()[key.index()];
        let is_asked = record.leaving || stage == Stage::Cutting;
        if is_asked || (is_pressed && record.gives_way == GivesWay::AtOnce) {
            return None;
        }
        let stall_max = match stage {
            Stage::Open => self.linger_stall_max,
            Stage::Draining | Stage::Cutting => self.linger_stall_max.min(LAST_STALL_MAX),
        };
        let stalled = record.since + stall_max;
        let until = self.lingering.borrow().get(&key.0).copied();
        Some(until.map_or(stalled, |until| until.min(stalled)))
    }

    /// How long a connection may be in this state; a handler has a deadline of its own.
    fn patience(&self, state: State) -> Duration {
        match state {
            State::New | State::Head => self.head_max,
            State::Idle => self.idle_max,
            State::Handshake | State::Busy | State::Lingering => Duration::MAX,
        }
    }

    /// Looks who has waited long enough.
    pub(crate) fn sweep(&self, now: Instant) -> Swept {
        let mut swept = Swept {
            due: Vec::new(),
            next: None,
        };
        for (_, record) in self.records.borrow_mut().iter_mut() {
            if matches!(
                record.state,
                State::Handshake | State::Busy | State::Lingering
            ) {
                continue; // these have deadlines of their own
            }
            let due = record.since + self.patience(record.state);
            if due <= now {
                swept.due.extend(record.waker.take());
            } else {
                swept.next = Some(swept.next.map_or(due, |next| next.min(due)));
            }
        }
        swept
    }

    /// This task is to be woken when something is wanted of the connection.
    pub(crate) fn reach(&self, key: Key, waker: &Waker) {
        let known = self.records.borrow()[key.index()].is_reached_by(waker);
        if !known {
            let waker = waker.clone();
            let old = self.records.borrow_mut()[key.index()].waker.replace(waker);
            drop(old);
        }
    }

    /// Asks up to `count` connections to leave that have no request under way, and returns how many
    /// these are. All are of one kind, the first of which there are any: those that linger, those on
    /// which no request has come (while the server ends), those that are idle. The longest in that
    /// state come first.
    pub(crate) fn reclaim(&self, count: usize, stage: Stage) -> usize {
        let mut may_leave = self.those_that_may_leave(stage);
        let first = may_leave.iter().map(|(rank, _, _)| *rank).min();
        may_leave.retain(|(rank, _, _)| Some(*rank) == first);
        let count = count.min(may_leave.len());
        if count == 0 {
            return 0;
        }
        may_leave.select_nth_unstable(count - 1);
        may_leave[..count]
            .iter()
            .for_each(|(_, _, key)| self.dismiss(*key));
        count
    }

    /// Each with its rank, since when it is as it is, and its key.
    fn those_that_may_leave(&self, stage: Stage) -> Vec<(u8, Instant, usize)> {
        let now = Instant::of_turn();
        let records = self.records.borrow();
        let ranked = records.iter().filter_map(|(key, record)| {
            let silence = now - record.since;
            let rank = match record.state {
                State::Lingering if silence >= record.gives_way.silence() => 0,
                State::Handshake if stage != Stage::Open && silence >= HANDSHAKE_MOMENT => 1,
                State::New if stage != Stage::Open && silence >= MOMENT => 1,
                State::Idle => 2,
                _ => return None,
            };
            (!record.leaving).then_some((rank, record.since, key))
        });
        ranked.collect()
    }

    /// Asks all to leave that wait for a request.
    pub(crate) fn dismiss_quiet(&self) {
        let quiet = self.keys(|record| matches!(record.state, State::New | State::Idle));
        quiet.into_iter().for_each(|key| self.dismiss(key));
    }

    /// Asks all to leave that shake hands.
    pub(crate) fn dismiss_handshakes(&self) {
        let shaking = self.keys(|record| record.state == State::Handshake);
        shaking.into_iter().for_each(|key| self.dismiss(key));
    }

    /// Wakes those that linger: they have less time once the server ends.
    pub(crate) fn hurry(&self) {
        for key in self.keys(|record| record.state == State::Lingering) {
            self.wake(key);
        }
    }

    /// Asks all to leave; returns how many these are, without those whose last answer is sent and those
    /// that are turned away.
    pub(crate) fn dismiss_all(&self) -> usize {
        let cut = self.keys(|record| record.state != State::Lingering && !record.is_refused);
        let cut = cut.len();
        self.keys(|_| true)
            .into_iter()
            .for_each(|key| self.dismiss(key));
        cut
    }

    fn keys(&self, which: impl Fn(&Record) -> bool) -> Vec<usize> {
        let records = self.records.borrow();
        let keys = records.iter().filter(|(_, record)| which(record));
        keys.map(|(key, _)| key).collect()
    }

    fn dismiss(&self, key: usize) {
        // Gone already, if waking another has ended it.
        if let Some(record) = self.records.borrow_mut().get_mut(key) {
            record.leaving = true;
        }
        self.wake(key);
    }

    fn wake(&self, key: usize) {
        let waker = {
            let mut records = self.records.borrow_mut();
            let record = records.get_mut(key);
            record.and_then(|record| record.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn census(&self) -> Census {
        let mut census = Census::default();
        for (_, record) in self.records.borrow().iter() {
            match record.state {
                State::Handshake => census.handshakes += 1,
                State::New => census.new += 1,
                State::Head | State::Busy => census.busy += 1,
                State::Idle => census.idle += 1,
                State::Lingering => census.lingering += 1,
            }
        }
        census
    }

    /// Waits until the connections are as wanted. Costs a request nothing as long as nobody waits.
    pub(crate) async fn settled(&self, wanted: impl Fn(Census) -> bool) {
        let _watching = Watching::begin(&self.watchers);
        loop {
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

impl Record {
    fn enter(&mut self, state: State, now: Instant) {
        (self.state, self.since) = (state, now);
    }

    #[inline]
    fn wait(&self, patience: Duration, waker: &Waker) -> Wait {
        Wait {
            leaving: self.leaving,
            due: self.since + patience,
            is_reached: self.is_reached_by(waker),
        }
    }

    #[inline]
    fn is_reached_by(&self, waker: &Waker) -> bool {
        let known = self.waker.as_ref();
        known.is_some_and(|known| known.will_wake(waker))
    }

    fn is_under_way(&self) -> bool {
        matches!(self.state, State::Head | State::Busy)
    }
}

/// One more watcher, for as long as this lives.
struct Watching<'a>(&'a Cell<usize>);

impl<'a> Watching<'a> {
    fn begin(watchers: &'a Cell<usize>) -> Self {
        watchers.set(watchers.get() + 1);
        Self(watchers)
    }
}

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
            let register = Register::new(&Limits::default());
            let key = register.add(None);
            register.lingers(key, GivesWay::AfterPause);
            time::advance(GivesWay::AfterPause.silence()).await;
            assert_eq!(register.reclaim(1, Stage::Open), 1);
            assert_eq!(register.lingers_until(key, Stage::Open, true), None);
            register.lingers_on(key);
            let until = register.lingers_until(key, Stage::Open, true);
            assert!(until.is_some_and(|until| until > Instant::of_turn()));
            // Silent again.
            time::advance(GivesWay::AfterPause.silence()).await;
            assert_eq!(register.reclaim(1, Stage::Open), 1);
            // A server that cuts waits for no bytes.
            register.lingers_on(key);
            assert_eq!(register.lingers_until(key, Stage::Cutting, false), None);
        });
    }
}
