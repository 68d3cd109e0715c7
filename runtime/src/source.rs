//! One socket's readiness, and the tasks that wait for it.
//!
//! # How it works
//!
//! mio is edge-triggered: it reports "readable" once, when data arrives, and not again while data is left. So
//! the runtime must *remember* readiness. It does so in two places:
//!
//! ```text
//!  event ──► news: here, in the reactor ── the socket asks ──► known: in the socket itself
//! ```
//!
//! - *Case A: the socket knows that it is ready.* It does not ask. The operation is only a system call.
//! - *Case B: an operation has used up what the socket knew.* The socket asks, and takes all the news. If the
//!   news makes it ready, the operation is tried. If not, the task waits, and the next event wakes it.
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
//! All flags but the first two are *sticky*: a short read or write does not clear them. A request and its FIN
//! in one segment are *one* event. If the short read of the request cleared all flags, the task would never
//! see the end of the stream. `URGENT` is sticky for a similar reason: the kernel ends a read at an urgent
//! byte (`tcp(7)`), so a read can be short although more bytes wait behind that byte.
//!
//! A connection never returns `WouldBlock` after its end. But other descriptors do: a datagram socket
//! continues after it has reported an error, and a named pipe when it gets a new writer. So `WouldBlock`
//! clears the sticky flags, too.
//!
//! News can be older than the operation that cleared a flag. Such news causes one needless try, and the try
//! clears the flag again. It never causes a wait that does not end.
//!
//! # Waiters
//!
//! Any number of tasks may wait for the same condition, and an event wakes all of them. A waiter is stored in
//! one of three places:
//!
//! | place | stores | removed when |
//! |---|---|---|
//! | `reader` | the first task that polls a read with its own waker | an event wakes it; or it has ended and another task asks |
//! | `remembered` | all other poll functions: each task once for each interest | an event wakes it; or the list is full and the task has ended |
//! | `owned` | futures, which can be dropped | the future is dropped |
//!
//! A waiting task is stored as its id: no waker is cloned, woken or dropped for it. A task becomes the reader
//! when it asks, even if the answer is "ready". So after it has read everything, it need not ask again in
//! the same poll (see `current_task`). The price is that an event may wake it once while it waits for another
//! condition.
//!
//! # Invariants
//!
//! - Always: a task that was told to wait is stored here before its poll ends.
//! - Always: the number of remembered waiters is bounded by the number of living tasks, not by the number of
//!   waits. (The bound for wakers of a combinator is the number of wakers that it has made in one task.)
//! - Never: a waker woken or dropped in this module. The functions return it to the caller.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use mio::event::Event;
use slab::Slab;

use crate::causes::Ready;
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
    /// The peer has closed its write half, or the connection is gone.
    ReadClosed,
    /// The connection is gone: a reset, a hang-up, an error.
    Closed,
}

impl Interest {
    /// Returns the direction whose operations use up the edge.
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

    /// The flag of a socket whose runtime is watched. No event and no operation changes it.
    pub(crate) const WATCHED: Self = Self(1 << 7);

    /// Returns the flags of an event.
    #[inline]
    pub(crate) fn of(event: &Event) -> Self {
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

    /// Returns the flags of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Sets the flag of this direction.
    pub(crate) fn ready(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 | READABLE,
            Direction::Write => self.0 | WRITABLE,
        })
    }

    /// Clears the flag of this direction, because its edge is used up. Sticky flags stay.
    pub(crate) fn cleared(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 & !READABLE,
            Direction::Write => self.0 & !WRITABLE,
        })
    }

    /// Clears the flag of this direction and its sticky flags, because the kernel has returned `WouldBlock`.
    pub(crate) fn blocked(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 & !READING,
            Direction::Write => self.0 & !WRITING,
        })
    }

    /// Returns true if a read has to wait, and the runtime is not watched.
    pub(crate) fn waits_unseen(self) -> bool {
        self.0 & (READING | Self::WATCHED.0) == 0
    }

    /// Returns true if a task with this interest need not wait.
    pub(crate) fn satisfies(self, interest: Interest) -> bool {
        // A read at the end of the stream returns at once, and so does a read of an error. So both count as
        // ready.
        let wanted = match interest {
            Interest::Read => READING,
            Interest::Write => WRITING,
            Interest::ReadClosed => READ_CLOSED | WRITE_CLOSED | ERROR,
            Interest::Closed => WRITE_CLOSED | ERROR,
        };
        self.0 & wanted != 0
    }
}

impl From<Readiness> for Ready {
    fn from(Readiness(flags): Readiness) -> Self {
        Self {
            readable: flags & (READABLE | URGENT) != 0,
            writable: flags & WRITABLE != 0,
            closed: flags & (READ_CLOSED | WRITE_CLOSED | ERROR) != 0,
        }
    }
}

/// A socket's own copy of its readiness.
///
/// It is atomic only so that a socket is `Sync`, and a future that borrows the socket is `Send`. One thread
/// stores into it. A relaxed load or store is the plain instruction.
#[derive(Debug)]
pub(crate) struct Known(AtomicU8);

impl Known {
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self(AtomicU8::new(readiness.0))
    }

    #[inline]
    pub(crate) fn get(&self) -> Readiness {
        Readiness(self.0.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn set(&self, readiness: Readiness) {
        self.0.store(readiness.0, Ordering::Relaxed);
    }
}

/// A place among the futures that wait for one source. The future keeps the place until it is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaiterKey {
    index: u32,
    /// The generation of the source. A key of a source that is gone must find no waiter of another one.
    generation: NonZeroU32,
}

/// A task that waits for a socket.
pub(crate) struct SocketWaiter {
    interest: Interest,
    /// The task that began the wait. `None` outside a task, and after the wake.
    task: Option<TaskId>,
    /// The waker to wake, if it is not the task's own: a combinator's, or that of `block_on`.
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

    /// Returns true if this is the wait of this task, or of this foreign waker.
    fn is_of(&self, interest: Interest, task: Option<TaskId>, foreign: Option<&Waker>) -> bool {
        self.interest == interest
            // A foreign waker is compared with wakers only: the same task may wait with its own and with
            // others.
            && match (&self.waker, foreign) {
                (Some(waker), Some(foreign)) => are_same(waker, foreign),
                (None, None) => task.is_some() && self.task == task,
                _ => false,
            }
    }

    /// Ends the wait: moves the waker into `due`, or passes the task to `ready`.
    fn wake_by(&mut self, due: &mut Vec<Waker>, ready: &mut impl FnMut(TaskId)) {
        // Both are taken out: the place of a future stays after this wake, and must not wake a second time.
        let task = self.task.take();
        if let Some(waker) = self.waker.take() {
            due.push(waker);
        } else if let Some(task) = task {
            ready(task);
        }
    }

    /// Returns the waker. The caller must drop it while the reactor is not borrowed.
    pub(crate) fn into_waker(self) -> Option<Waker> {
        self.waker
    }
}

/// Returns true if two wakers wake the same task.
///
/// `will_wake` alone is not enough. It compares the addresses of vtables, and a program may have several
/// copies of one vtable. Then each poll would add a waiter to the list.
fn are_same(one: &Waker, other: &Waker) -> bool {
    let have_same_data = one.data() == other.data() && !one.data().is_null();
    have_same_data || one.will_wake(other)
}

/// The reactor's part of one registered socket.
pub(crate) struct Source {
    /// Distinguishes the sockets that have this index one after the other.
    pub(crate) generation: NonZeroU32,
    /// The readiness that was reported after the socket last took the news.
    news: Readiness,
    /// A task that waits to read. Each connection has one, so it takes only 8 bytes here. // LOG R2
    reader: Option<TaskId>,
    /// All other waiters. Allocated for the first of them, because most sockets have only a reader.
    others: Option<Box<Waiters>>,
}

#[derive(Default)]
struct Waiters {
    /// The waiters of futures. A place stays after the wake, until its future is dropped.
    owned: Slab<SocketWaiter>,
    /// The waiters of poll functions. A task that stops calling a poll function leaves its waiter behind.
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

    /// Returns the news, and forgets them.
    pub(crate) fn take_news(&mut self) -> Readiness {
        std::mem::take(&mut self.news)
    }

    /// Makes a task the reader, which the next event wakes. Returns false if another task is the reader.
    #[inline]
    pub(crate) fn set_reader(&mut self, task: TaskId) -> bool {
        // The first reader keeps the place. If the second one took it, no event would wake the first one.
        if self.reader.is_some_and(|reader| reader != task) {
            return false;
        }
        self.reader = Some(task);
        true
    }

    /// Frees the place of the reader if that task has ended. Returns true if it has.
    #[cold]
    pub(crate) fn forget_reader(&mut self, is_alive: impl Fn(TaskId) -> bool) -> bool {
        self.reader.take_if(|reader| !is_alive(*reader)).is_some()
    }

    /// Returns true if this wait is stored: at its place, or among the remembered ones.
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

    /// Remembers the waiter of a poll function. If the list is full, removes the waiters of tasks that have
    /// ended, and returns them.
    pub(crate) fn remember(
        &mut self,
        waiter: SocketWaiter,
        is_alive: impl Fn(TaskId) -> bool,
    ) -> Vec<SocketWaiter> {
        let list = &mut self.others.get_or_insert_default().remembered;
        let mut ended = Vec::new();
        // Checking all waiters costs as much as there are. Doing it only when the list is full, and then
        // doubling the list, makes the cost per waiter constant.
        if list.len() == list.capacity() {
            let has_ended =
                |waiter: &mut SocketWaiter| waiter.task.is_some_and(|task| !is_alive(task));
            ended.extend(list.extract_if(.., has_ended));
            if list.len() > list.capacity() / 2 {
                list.reserve(list.len());
            }
        }
        list.push(waiter);
        ended
    }

    /// Stores the waiter of a future: at the place that the future has, or at a new one. Returns the place, and
    /// the waiter that was there.
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

    /// Frees the place of a dropped future. Returns its waiter.
    pub(crate) fn leave(&mut self, place: WaiterKey) -> Option<SocketWaiter> {
        if place.generation != self.generation {
            // The socket was closed before its future was dropped, and another socket has its index now.
            return None;
        }
        let owned = &mut self.others.as_mut()?.owned;
        // `Slab` never shrinks by itself, so a burst of futures would leave its memory with the socket.
        let waiter = owned.try_remove(place.index as usize);
        if owned.is_empty() && owned.capacity() > OWNED_KEPT {
            *owned = Slab::new();
        }
        waiter
    }

    /// Adds an event to the news. Passes the tasks that it wakes to `ready`, and moves the other wakers into
    /// `due`.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        event: &Event,
        due: &mut Vec<Waker>,
        ready: &mut impl FnMut(TaskId),
    ) {
        self.add(Readiness::of(event), due, ready);
    }

    /// The same as [`deliver`](Self::deliver), for flags. The tests call it, because only mio makes events.
    fn add(&mut self, more: Readiness, due: &mut Vec<Waker>, ready: &mut impl FnMut(TaskId)) {
        let news = self.news.and(more);
        self.news = news;
        // The reader first: for nearly all events it is the only waiter. // LOG R2
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

    /// Ends all waits, because the socket is gone: passes all tasks to `ready` and moves all wakers into `due`.
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

    /// Delivers these flags. Returns the tasks that are woken, and the number of wakers.
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
    fn a_sticky_flag_stays_after_a_short_read() {
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
    fn news_are_taken_once_and_wake_all_waiters_with_that_interest() {
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
    fn a_second_reader_does_not_replace_the_first_one_while_that_task_lives() {
        let mut source = source();
        assert!(source.set_reader(task(1)));
        assert!(!source.set_reader(task(2)));
        assert!(!source.forget_reader(|_| true));
        assert!(!source.set_reader(task(2)));
        assert!(source.forget_reader(|reader| reader != task(1)));
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
    fn waiters_of_ended_tasks_are_removed() {
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
    fn the_cost_of_checking_the_list_is_constant_per_waiter() {
        let mut source = source();
        let checks = std::cell::Cell::new(0);
        for index in 0..10_000 {
            let lives = |_| {
                checks.set(checks.get() + 1);
                true
            };
            source.remember(of_task(READ, index), lives);
        }
        assert!(checks.get() < 20_000, "{}", checks.get());
    }

    #[test]
    fn a_future_keeps_its_place_after_a_wake_and_frees_it_when_it_drops() {
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
    fn a_stale_key_removes_no_waiter_of_another_source() {
        let mut before = source();
        let (late, _) = before.place(None, of_task(READ, 1));
        let mut source = Source::new(NonZeroU32::MAX);
        let (key, _) = source.place(None, of_task(READ, 2));
        assert_eq!(late.index, key.index);
        assert!(source.leave(late).is_none());
        assert!(source.leave(key).is_some());
    }

    #[test]
    fn the_memory_of_many_dropped_futures_is_freed() {
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
