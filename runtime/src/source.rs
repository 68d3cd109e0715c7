//! One socket's readiness, and the tasks that wait for it.
//!
//! # How it works
//!
//! mio reports edges: it reports "readable" once, when data arrives, and not again while data is left. So
//! readiness is *remembered*, in two places:
//!
//! ```text
//!  event ──► news, here in the reactor ──asked for──► known, in the socket itself
//! ```
//!
//! A socket that knows that it is ready does not ask: its operation is only a system call. When that
//! knowledge is used up, the socket asks and takes all the news. The task waits if they do not make the
//! socket ready for its operation.
//!
//! | flag | set by | cleared by | makes ready |
//! |---|---|---|---|
//! | `READABLE` | event | short read, `WouldBlock` of a read | reading |
//! | `WRITABLE` | event | short write, `WouldBlock` of a write | writing |
//! | `URGENT` | event (urgent data) | `WouldBlock` of a read | reading |
//! | `READ_CLOSED` | event (FIN, reset) | `WouldBlock` of a read | reading |
//! | `WRITE_CLOSED` | event (reset, hang-up) | `WouldBlock` of a write | writing |
//! | `READ_ERROR` | event | `WouldBlock` of a read | reading |
//! | `WRITE_ERROR` | event | `WouldBlock` of a write | writing |
//!
//! All but the first two are sticky: a short read does not clear them. A request and its FIN in one
//! segment are *one* event; if the short read of the request cleared everything, the end of the stream
//! would never be seen. The kernel ends a read at an urgent byte (`tcp(7)`), so a read of a stream that
//! has one can be short although more bytes wait behind it.
//!
//! A connection never answers `WouldBlock` after its end. But other descriptors do: a datagram socket
//! continues after it has reported an error, and a named pipe when it has a new writer. So `WouldBlock`
//! clears the sticky flags too.
//!
//! News can be older than the operation that cleared the flag. Such news cause one needless try, which
//! clears the flag again. They never cause a wait that does not end.
//!
//! # Waiters
//!
//! Any number of tasks may wait for the same thing; an event wakes all of them. There are three places:
//!
//! | place | for | left when |
//! |---|---|---|
//! | `reader` | the first task that polls a read with its own waker | an event wakes it |
//! | `remembered` | all other poll functions: each task once for each interest | an event wakes it, or the list would grow and the task has ended |
//! | `owned` | futures, which can be dropped | the future is dropped |
//!
//! A task is kept as its id: no waker is cloned, woken or dropped for it. A reader is entered when it
//! asks, also if the answer is "ready". So it need not ask again in the same poll when it has read
//! everything (`polled`). The price is that an event may wake it once while it does something else.
//!
//! # Invariants
//!
//! - Always: a task that was told "not ready" is stored here before its poll ends.
//! - Always: the number of remembered waiters is bounded by the tasks that live (for wakers of a
//!   combinator: by the wakers that it has made in one task), not by the number of waits.
//! - Never: a waker woken or dropped in this module. They are returned.

use std::num::NonZeroU32;
use std::task::Waker;

use mio::event::Event;
use slab::Slab;

use crate::local_queue::TaskId;

/// The two directions in which a socket can be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// A condition that a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Reading is ready.
    Read,
    /// Writing is ready.
    Write,
    /// The peer has ended its direction, or all of the connection.
    ReadClosed,
    /// The connection is gone: a reset, a hang-up, an error.
    Closed,
}

impl Interest {
    /// Returns the direction whose operations use the edge up.
    pub(crate) fn direction(self) -> Direction {
        match self {
            Self::Write => Direction::Write,
            Self::Read | Self::ReadClosed | Self::Closed => Direction::Read,
        }
    }
}

impl From<Direction> for Interest {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Read => Self::Read,
            Direction::Write => Self::Write,
        }
    }
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const READ_CLOSED: u8 = 1 << 2;
const WRITE_CLOSED: u8 = 1 << 3;
const READ_ERROR: u8 = 1 << 4;
const WRITE_ERROR: u8 = 1 << 5;
const URGENT: u8 = 1 << 6;
const ERROR: u8 = READ_ERROR | WRITE_ERROR;

const READING: u8 = READABLE | URGENT | READ_CLOSED | READ_ERROR;
const WRITING: u8 = WRITABLE | WRITE_CLOSED | WRITE_ERROR;

/// The directions in which a socket is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness(u8);

impl Readiness {
    /// The readiness of a socket that has not been registered: its operation is tried first.
    pub(crate) const UNTRIED: Self = Self(READABLE | WRITABLE);

    fn of(event: &Event) -> Self {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        Self(
            flag(event.is_readable(), READABLE)
                | flag(event.is_writable(), WRITABLE)
                | flag(event.is_priority(), URGENT)
                | flag(event.is_read_closed(), READ_CLOSED)
                | flag(event.is_write_closed(), WRITE_CLOSED)
                | flag(event.is_error(), ERROR),
        )
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Adds that this direction is ready.
    pub(crate) fn ready(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 | READABLE,
            Direction::Write => self.0 | WRITABLE,
        })
    }

    /// Clears this direction, because its edge is used up. Sticky flags stay.
    pub(crate) fn cleared(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 & !READABLE,
            Direction::Write => self.0 & !WRITABLE,
        })
    }

    /// Clears this direction and its sticky flags, because the kernel has reported `WouldBlock`.
    pub(crate) fn blocked(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 & !READING,
            Direction::Write => self.0 & !WRITING,
        })
    }

    pub(crate) fn satisfies(self, interest: Interest) -> bool {
        let wanted = match interest {
            Interest::Read => READING,
            Interest::Write => WRITING,
            Interest::ReadClosed => READ_CLOSED | WRITE_CLOSED | ERROR,
            Interest::Closed => WRITE_CLOSED | ERROR,
        };
        self.0 & wanted != 0
    }
}

/// A place among the futures that wait for one source. It belongs to its future until that is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaiterKey {
    index: u32,
    /// The generation of the source, so that a late key finds no other source.
    generation: NonZeroU32,
}

/// A task that waits for a socket.
pub(crate) struct SocketWaiter {
    interest: Interest,
    /// The task being polled when the wait began; `None` outside of tasks, and after the wake.
    task: Option<TaskId>,
    /// The waker of the wait, if it is not the task's own.
    waker: Option<Waker>,
}

impl SocketWaiter {
    pub(crate) fn new(interest: Interest, task: Option<TaskId>, waker: Option<Waker>) -> Self {
        Self {
            interest,
            task,
            waker,
        }
    }

    /// Returns true if this is the same wait as that of a task, or of a foreign waker in it.
    fn is_of(&self, interest: Interest, task: Option<TaskId>, foreign: Option<&Waker>) -> bool {
        self.interest == interest
            && match (&self.waker, foreign) {
                (Some(waker), Some(foreign)) => are_same(waker, foreign),
                (None, None) => task.is_some() && self.task == task,
                _ => false,
            }
    }

    /// Moves its waker into `due`, or passes its task to `ready`. Then the wait is over.
    fn wake_by(&mut self, due: &mut Vec<Waker>, ready: &mut impl FnMut(TaskId)) {
        let task = self.task.take();
        if let Some(waker) = self.waker.take() {
            due.push(waker);
        } else if let Some(task) = task {
            ready(task);
        }
    }

    /// Returns its waker, which the caller must drop when the reactor is not borrowed.
    pub(crate) fn into_waker(self) -> Option<Waker> {
        self.waker
    }
}

/// Returns true if two wakers wake the same task. `will_wake` alone is not enough: it compares the addresses
/// of vtables, and a program may have several copies of one. Then a list would grow with each poll.
fn are_same(one: &Waker, other: &Waker) -> bool {
    let have_same_data = one.data() == other.data() && !one.data().is_null();
    have_same_data || one.will_wake(other)
}

/// The part of one registered socket that the reactor keeps.
pub(crate) struct Source {
    /// Tells apart the sockets that have had this place one after the other.
    pub(crate) generation: NonZeroU32,
    /// The readiness that was reported after the socket last asked.
    news: Readiness,
    /// A task that waits to read, kept in 8 bytes: every connection has one. LOG R2
    reader: Option<TaskId>,
    /// All other waiters; allocated for the first of them.
    others: Option<Box<Waiters>>,
}

#[derive(Default)]
struct Waiters {
    /// The waiters of futures. A place outlives the wake, until its future is dropped.
    owned: Slab<SocketWaiter>,
    /// The waiters of poll functions. No event reports that a task stops calling one.
    remembered: Vec<SocketWaiter>,
}

/// A list of owned waiters with room for more than this is freed when it is empty.
const OWNED_KEPT: usize = 16;

impl Source {
    pub(crate) fn new(generation: NonZeroU32) -> Self {
        Self {
            generation,
            news: Readiness::default(),
            reader: None,
            others: None,
        }
    }

    pub(crate) fn take_news(&mut self) -> Readiness {
        std::mem::take(&mut self.news)
    }

    /// Makes a task the reader, which an event wakes. Returns false if another task is the reader already.
    #[inline]
    pub(crate) fn set_reader(&mut self, task: TaskId) -> bool {
        if self.reader.is_some_and(|reader| reader != task) {
            return false;
        }
        self.reader = Some(task);
        true
    }

    /// Frees the reader's place if that task has ended.
    #[cold]
    pub(crate) fn forget_reader(&mut self, is_alive: impl Fn(TaskId) -> bool) {
        self.reader.take_if(|reader| !is_alive(*reader));
    }

    /// Returns true if this wait is stored already: at that place, or as a remembered one.
    pub(crate) fn is_waited_for(
        &self,
        interest: Interest,
        place: Option<WaiterKey>,
        task: Option<TaskId>,
        foreign: Option<&Waker>,
    ) -> bool {
        let is_it = |waiter: &SocketWaiter| waiter.is_of(interest, task, foreign);
        self.others.as_ref().is_some_and(|others| match place {
            Some(key) => others.owned.get(key.index as usize).is_some_and(is_it),
            None => others.remembered.iter().any(is_it),
        })
    }

    /// Remembers the waiter of a poll function. Returns those whose tasks have ended, if the list would
    /// have grown for them.
    pub(crate) fn remember(
        &mut self,
        waiter: SocketWaiter,
        is_alive: impl Fn(TaskId) -> bool,
    ) -> Vec<SocketWaiter> {
        let list = &mut self.others.get_or_insert_default().remembered;
        let mut ended = Vec::new();
        if list.len() == list.capacity() {
            let has_ended =
                |waiter: &mut SocketWaiter| waiter.task.is_some_and(|task| !is_alive(task));
            ended.extend(list.extract_if(.., has_ended));
            if list.len() > list.capacity() / 2 {
                // So the next look at all of them comes after as many new ones.
                list.reserve(list.len());
            }
        }
        list.push(waiter);
        ended
    }

    /// Stores the waiter of a future, at its place if it has one. Returns the place, and the waiter that
    /// was there.
    pub(crate) fn place(
        &mut self,
        place: Option<WaiterKey>,
        waiter: SocketWaiter,
    ) -> (WaiterKey, Option<SocketWaiter>) {
        let owned = &mut self.others.get_or_insert_default().owned;
        if let Some(key) = place
            && let Some(before) = owned.get_mut(key.index as usize)
        {
            return (key, Some(std::mem::replace(before, waiter)));
        }
        let index = u32::try_from(owned.insert(waiter));
        let key = WaiterKey {
            index: index.expect("futures are fewer than four thousand million"),
            generation: self.generation,
        };
        (key, None)
    }

    /// Frees the place of a future that is dropped. Returns its waiter.
    pub(crate) fn leave(&mut self, place: WaiterKey) -> Option<SocketWaiter> {
        if place.generation != self.generation {
            return None;
        }
        let owned = &mut self.others.as_mut()?.owned;
        let waiter = owned.try_remove(place.index as usize);
        if owned.is_empty() && owned.capacity() > OWNED_KEPT {
            *owned = Slab::new();
        }
        waiter
    }

    /// Adds an event to the news. Passes the tasks that it makes ready to `ready`, and moves the wakers of
    /// others into `due`.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        event: &Event,
        due: &mut Vec<Waker>,
        ready: &mut impl FnMut(TaskId),
    ) {
        self.add(Readiness::of(event), due, ready);
    }

    fn add(&mut self, more: Readiness, due: &mut Vec<Waker>, ready: &mut impl FnMut(TaskId)) {
        let news = self.news.and(more);
        self.news = news;
        if let Some(reader) = self.reader.take_if(|_| news.satisfies(Interest::Read)) {
            ready(reader);
        }
        if let Some(others) = &mut self.others {
            let owned = others.owned.iter_mut().map(|(_, waiter)| waiter);
            owned
                .filter(|waiter| news.satisfies(waiter.interest))
                .for_each(|waiter| waiter.wake_by(due, ready));
            let remembered = &mut others.remembered;
            remembered
                .extract_if(.., |waiter| news.satisfies(waiter.interest))
                .for_each(|mut waiter| waiter.wake_by(due, ready));
        }
    }

    /// Passes all tasks to `ready` and moves all wakers into `due`, for the end of the source.
    pub(crate) fn wake_all(mut self, due: &mut Vec<Waker>, mut ready: impl FnMut(TaskId)) {
        self.reader.into_iter().for_each(&mut ready);
        if let Some(others) = &mut self.others {
            let owned = others.owned.iter_mut().map(|(_, waiter)| waiter);
            owned
                .chain(&mut others.remembered)
                .for_each(|waiter| waiter.wake_by(due, &mut ready));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    const READ: Interest = Interest::Read;
    const WRITE: Interest = Interest::Write;

    fn task(index: u32) -> TaskId {
        TaskId {
            index,
            generation: NonZeroU32::MIN,
        }
    }

    fn source() -> Source {
        Source::new(NonZeroU32::MIN)
    }

    /// Delivers; returns the tasks that are woken, and how many wakers are.
    fn add(source: &mut Source, more: u8) -> (Vec<TaskId>, usize) {
        let (mut tasks, mut due) = (Vec::new(), Vec::new());
        source.add(Readiness(more), &mut due, &mut |task| tasks.push(task));
        (tasks, due.len())
    }

    fn of_task(interest: Interest, index: u32) -> SocketWaiter {
        SocketWaiter::new(interest, Some(task(index)), None)
    }

    fn of_waker(interest: Interest) -> SocketWaiter {
        SocketWaiter::new(interest, None, Some(Waker::noop().clone()))
    }

    #[test]
    fn what_is_sticky_outlives_a_short_read() {
        for sticky in [READ_CLOSED, URGENT] {
            let known = Readiness(READABLE | sticky).cleared(Direction::Read);
            assert!(known.satisfies(READ));
            assert_eq!(known.satisfies(Interest::ReadClosed), sticky == READ_CLOSED);
            assert!(!known.satisfies(Interest::Closed));
            assert!(!known.blocked(Direction::Read).satisfies(READ));
        }
    }

    #[test]
    fn a_direction_that_is_used_up_is_not_ready() {
        let known = Readiness(READABLE | WRITABLE).cleared(Direction::Read);
        assert!(!known.satisfies(READ));
        assert!(known.satisfies(WRITE));
    }

    #[test]
    fn news_are_taken_once_and_wake_all_whom_they_concern() {
        let mut source = source();
        for interest in [READ, WRITE, Interest::Closed, WRITE] {
            source.remember(of_waker(interest), |_| true);
        }
        source.remember(of_task(READ, 1), |_| true);
        assert_eq!(add(&mut source, READABLE), (vec![task(1)], 1));
        assert_eq!(add(&mut source, WRITABLE), (vec![], 2));
        assert_eq!(add(&mut source, READABLE | WRITABLE), (vec![], 0));
        assert_eq!(source.take_news(), Readiness(READABLE | WRITABLE));
        assert_eq!(source.take_news(), Readiness::default());
        let mut due = Vec::new();
        source.wake_all(&mut due, |_| panic!("a task was woken before"));
        assert_eq!(due.len(), 1);
    }

    #[test]
    fn a_reader_that_was_woken_is_not_woken_again_until_it_waits() {
        let mut source = source();
        for _ in 0..2 {
            assert!(source.set_reader(task(1)));
            assert_eq!(add(&mut source, WRITABLE), (vec![], 0));
            assert_eq!(add(&mut source, READABLE), (vec![task(1)], 0));
            assert_eq!(add(&mut source, READABLE), (vec![], 0));
            source.take_news();
        }
    }

    #[test]
    fn a_second_reader_does_not_take_the_first_ones_place_while_that_lives() {
        let mut source = source();
        assert!(source.set_reader(task(1)));
        assert!(!source.set_reader(task(2)));
        source.forget_reader(|_| true);
        assert!(!source.set_reader(task(2)));
        source.forget_reader(|reader| reader != task(1));
        assert!(source.set_reader(task(2)));
        assert_eq!(add(&mut source, READABLE), (vec![task(2)], 0));
    }

    #[test]
    fn a_task_that_asks_again_is_remembered_once() {
        let mut source = source();
        let waits = |source: &Source, index| {
            source.is_waited_for(Interest::Closed, None, Some(task(index)), None)
        };
        assert!(!waits(&source, 1));
        source.remember(of_task(Interest::Closed, 1), |_| true);
        assert!(waits(&source, 1));
        assert!(!waits(&source, 2));
        let foreign = Waker::from(std::sync::Arc::new(Silent));
        let waits =
            |source: &Source| source.is_waited_for(WRITE, None, Some(task(1)), Some(&foreign));
        assert!(!waits(&source));
        let waiter = SocketWaiter::new(WRITE, Some(task(1)), Some(foreign.clone()));
        source.remember(waiter, |_| true);
        assert!(waits(&source));
    }

    struct Silent;

    impl std::task::Wake for Silent {
        fn wake(self: std::sync::Arc<Self>) {}
    }

    #[test]
    fn tasks_that_have_ended_are_not_remembered_for_ever() {
        let mut source = source();
        for index in 0..20_000 {
            // Ten tasks live at a time.
            let lives = |task: TaskId| task.index + 10 >= index;
            source.remember(of_task(Interest::Closed, index), lives);
            let others = source.others.as_ref().unwrap();
            assert!(others.remembered.capacity() <= 64);
        }
        let (woken, _) = add(&mut source, WRITE_CLOSED);
        for index in 19_990..20_000 {
            assert!(woken.contains(&task(index)));
        }
    }

    #[test]
    fn a_list_is_looked_through_seldom() {
        let mut source = source();
        let looks = std::cell::Cell::new(0);
        for index in 0..10_000 {
            let lives = |_| {
                looks.set(looks.get() + 1);
                true
            };
            source.remember(of_task(READ, index), lives);
        }
        assert!(looks.get() < 20_000, "{}", looks.get());
    }

    #[test]
    fn a_future_keeps_its_place_over_a_wake_and_gives_it_back() {
        let mut source = source();
        let (first, before) = source.place(None, of_task(READ, 1));
        assert!(before.is_none());
        let (second, _) = source.place(None, of_waker(READ));
        assert_eq!(add(&mut source, READABLE), (vec![task(1)], 1));
        assert_eq!(add(&mut source, READABLE), (vec![], 0));
        let (again, _) = source.place(Some(first), of_task(READ, 2));
        assert_eq!(again.index, first.index);
        assert!(source.is_waited_for(READ, Some(first), Some(task(2)), None));
        assert!(!source.is_waited_for(READ, Some(second), Some(task(2)), None));
        assert_eq!(add(&mut source, READABLE), (vec![task(2)], 0));
        for key in [first, second] {
            assert!(source.leave(key).is_some());
            assert!(source.leave(key).is_none());
        }
        assert!(source.others.unwrap().owned.is_empty());
    }

    #[test]
    fn a_key_that_comes_late_takes_nobody_elses_place() {
        let mut before = source();
        let (late, _) = before.place(None, of_task(READ, 1));
        let mut source = Source::new(NonZeroU32::MAX);
        let (key, _) = source.place(None, of_task(READ, 2));
        assert_eq!(late.index, key.index);
        assert!(source.leave(late).is_none());
        assert!(source.leave(key).is_some());
    }

    #[test]
    fn many_futures_that_have_gone_keep_no_memory() {
        let mut source = source();
        let keys: Vec<_> = (0..1000)
            .map(|index| source.place(None, of_task(READ, index)).0)
            .collect();
        for key in keys {
            source.leave(key);
        }
        assert_eq!(source.others.unwrap().owned.capacity(), 0);
    }

    #[test]
    fn a_source_stays_small() {
        assert!(size_of::<Source>() <= 24, "{}", size_of::<Source>());
        assert_eq!(size_of::<Option<Source>>(), size_of::<Source>());
        assert!(
            size_of::<SocketWaiter>() <= 32,
            "{}",
            size_of::<SocketWaiter>()
        );
    }
}
