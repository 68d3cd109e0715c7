//! Turns readiness into wakes: mio's poll, and a slab of [`Source`]s.
//!
//! # How it works
//!
//! A socket registers once: for both directions and for urgent data, edge-triggered. After that it makes no
//! further `epoll_ctl` call, because closing a descriptor also removes it from epoll. The socket owns its
//! source for as long as it lives. A token has the index in the slab and a generation, so a late event of a
//! socket that was closed finds no source.
//!
//! [`Reactor::park`] is the only place that waits. [`Reactor::deliver`] then passes on the ids of the tasks
//! whose sockets have events, and *collects* the wakers of all other waiters. The executor wakes these when
//! the reactor is no longer borrowed.
//!
//! A descriptor that stays open when it leaves the runtime (`into_std`, a borrowed one) must be deregistered,
//! on any thread. [`directory`](crate::directory) has an [`EpollHandle`] for this. The runtime opens it at its
//! start, because later the process may have no descriptor left.
//!
//! # Invariants
//!
//! - Never: user code called while a field of the reactor is borrowed. Of a task, the reactor knows only its
//!   id.
//! - Never: an allocation per event. The caller owns the list of wakers and uses it again.

use std::cell::{Cell, RefCell};
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::Waker;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Poll, Registry, Token};
use slab::Slab;

use crate::local_queue::TaskId;
use crate::points;
use crate::primitives::Unpark;
use crate::source::{Interest, Known, Readiness, SocketWaiter, Source, WaiterKey};

/// The events that one call of `epoll_wait` returns at most. Further events wait for the next turn.
const EVENTS_MAX: usize = 1024;

/// The events of a socket: all directions at once, and urgent data. Otherwise each change between reading and
/// writing would be a system call.
#[cfg(target_os = "linux")]
const EVENTS: mio::Interest = mio::Interest::READABLE
    .add(mio::Interest::WRITABLE)
    .add(mio::Interest::PRIORITY);

/// The same without urgent data, which kqueue reports as readable.
#[cfg(not(target_os = "linux"))]
const EVENTS: mio::Interest = mio::Interest::READABLE.add(mio::Interest::WRITABLE);

/// A full table of this many sources grows to the second number at once. The allocator maps a table of that size by
/// itself: its free part takes no memory, and its later growth leaves no hole behind. // LOG W4
const GROWTH: (usize, usize) = (1024, 8192);

/// The token of the eventfd by which other threads unpark the executor.
const UNPARK: Token = Token(usize::MAX);

/// The index of a source. Valid for as long as its socket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(u32);

impl SourceId {
    pub(crate) fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    pub(crate) fn as_raw(self) -> u32 {
        self.0
    }

    fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the token for epoll. It includes the generation, because an event may come after its socket was
    /// closed.
    fn token(self, generation: NonZeroU32) -> Token {
        Token((generation.get() as usize) << 32 | self.index())
    }
}

const _: () = assert!(
    usize::BITS >= 64,
    "a token holds an index and a generation of 32 bits each"
);

/// The reactor's answer to a socket that asks for news.
pub(crate) enum Answer {
    /// The socket is ready.
    Ready,
    /// The socket is not ready. The next event wakes the task.
    Waits,
    /// From [`Reactor::ask`]: the socket is not ready, and the caller must store a waiter. From
    /// [`Reactor::ask_as`]: another task is the reader, the news was not taken, and the caller must call `ask`.
    MustWait,
}

/// The condition that a task wants, and the ways to wake it.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) interest: Interest,
    /// The place of the future. `None` if it has none yet, and for a poll function.
    pub(crate) place: Option<WaiterKey>,
    /// The task being polled.
    pub(crate) task: Option<TaskId>,
    /// The waker of the poll, if it is not that task's own.
    pub(crate) foreign: Option<&'a Waker>,
}

/// mio's poll, and the sources of all sockets that are registered with it.
pub(crate) struct Reactor {
    poll: RefCell<Poll>,
    /// The memory for the events of one wait.
    events: RefCell<Events>,
    sources: RefCell<Slab<Source>>,
    /// The newest generation. Counted here, not in the slots, because a vacant slot stores no value.
    registered: Cell<NonZeroU32>,
}

/// A second descriptor of a reactor's epoll instance, which works on any thread.
pub(crate) struct EpollHandle(Registry);

impl EpollHandle {
    /// Deregisters a descriptor that stays open.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.0.deregister(&mut SourceFd(&fd.as_raw_fd()))
    }
}

impl Reactor {
    /// Opens an epoll instance.
    ///
    /// # Errors
    ///
    /// Fails if the process has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: RefCell::new(Poll::new()?),
            events: RefCell::new(Events::with_capacity(EVENTS_MAX)),
            sources: RefCell::default(),
            registered: Cell::new(NonZeroU32::MIN),
        })
    }

    /// Makes the eventfd by which other threads unpark this reactor.
    pub(crate) fn unparker(&self) -> io::Result<Unpark> {
        Unpark::new(self.poll.borrow().registry(), UNPARK)
    }

    /// Opens a second descriptor of the epoll instance, for [`directory`](crate::directory).
    ///
    /// # Errors
    ///
    /// Fails if the process has no descriptor left for it.
    pub(crate) fn epoll_handle(&self) -> io::Result<EpollHandle> {
        let registry = self.poll.borrow().registry().try_clone()?;
        Ok(EpollHandle(registry))
    }

    /// Registers a socket. If the socket is ready already, the next [`park`](Self::park) reports it.
    pub(crate) fn register(&self, fd: BorrowedFd<'_>) -> io::Result<SourceId> {
        // The entry is taken before the call to the kernel, and filled after it. So a failure leaves no source.
        let mut sources = self.sources.borrow_mut();
        let (full, next) = GROWTH;
        if sources.len() == sources.capacity() && (full..next).contains(&sources.len()) {
            let missing = next - sources.len();
            sources.reserve(missing);
        }
        let entry = sources.vacant_entry();
        let index = u32::try_from(entry.key());
        let id = SourceId(index.expect("descriptors are fewer than four thousand million"));
        let generation = self.registered.get().checked_add(1);
        let generation = generation.unwrap_or(NonZeroU32::MIN);
        self.poll.borrow().registry().register(
            &mut SourceFd(&fd.as_raw_fd()),
            id.token(generation),
            EVENTS,
        )?;
        self.registered.set(generation);
        points::registered(id.0, &fd);
        entry.insert(Source::new(generation));
        Ok(id)
    }

    /// Deregisters a descriptor that stays open.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let poll = self.poll.borrow();
        poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd()))
    }

    /// Removes the source of a socket that is closed, or is about to be. The caller wakes its waiters.
    pub(crate) fn forget(&self, id: SourceId) -> Option<Source> {
        self.sources.borrow_mut().try_remove(id.index())
    }

    /// Adds the news of a socket to its `known` readiness, for a task that wants to read.
    ///
    /// The task becomes the reader, also if reading is ready now: the next event wakes it. If another task is
    /// the reader, the answer is [`Answer::MustWait`].
    #[inline]
    pub(crate) fn ask_as(&self, id: SourceId, known: &Known, task: TaskId) -> Answer {
        // A function of its own for the most frequent question. `ask` answers all others. // LOG R3
        let source = &mut self.sources.borrow_mut()[id.index()];
        if !source.set_reader(task) {
            return Answer::MustWait;
        }
        let all = known.get().and(source.take_news());
        known.set(all);
        if all.satisfies(Interest::Read) {
            Answer::Ready
        } else {
            Answer::Waits
        }
    }

    /// Frees the place of the reader if that task has ended. Returns true if it has.
    #[cold]
    pub(crate) fn forget_reader(&self, id: SourceId, is_alive: impl Fn(TaskId) -> bool) -> bool {
        self.sources.borrow_mut()[id.index()].forget_reader(is_alive)
    }

    /// Adds the news of a socket to its `known` readiness, for any task and any interest.
    pub(crate) fn ask(&self, id: SourceId, known: &Known, wanted: Wanted<'_>) -> Answer {
        let source = &mut self.sources.borrow_mut()[id.index()];
        // The news is taken even if it does not help this task. Otherwise it would satisfy a later waiter at
        // once, although an operation has used it up.
        known.set(known.get().and(source.take_news()));
        let Wanted {
            interest,
            place,
            task,
            foreign,
        } = wanted;
        if known.get().satisfies(interest) {
            Answer::Ready
        } else if source.is_waited_for(interest, place, task, foreign) {
            Answer::Waits
        } else {
            Answer::MustWait
        }
    }

    /// Remembers the waiter of a poll function. Returns the waiters that are no longer remembered.
    pub(crate) fn remember(
        &self,
        id: SourceId,
        waiter: SocketWaiter,
        is_alive: impl Fn(TaskId) -> bool,
    ) -> Vec<SocketWaiter> {
        self.sources.borrow_mut()[id.index()].remember(waiter, is_alive)
    }

    /// Stores the waiter of a future. Returns its place, and the waiter that was there.
    pub(crate) fn place(
        &self,
        id: SourceId,
        place: Option<WaiterKey>,
        waiter: SocketWaiter,
    ) -> (WaiterKey, Option<SocketWaiter>) {
        self.sources.borrow_mut()[id.index()].place(place, waiter)
    }

    /// Frees the place of a dropped future. Returns its waiter.
    pub(crate) fn leave(&self, id: SourceId, place: WaiterKey) -> Option<SocketWaiter> {
        self.sources.borrow_mut().get_mut(id.index())?.leave(place)
    }

    /// Returns the news of a socket, and forgets them.
    pub(crate) fn take_news(&self, id: SourceId) -> Readiness {
        self.sources.borrow_mut()[id.index()].take_news()
    }

    /// Returns the wakers of all waiters of all sockets, because the runtime ends.
    pub(crate) fn clear(&self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        // The sources stay, because the sockets may outlive the runtime and still have their ids.
        for (_, source) in &mut *self.sources.borrow_mut() {
            let empty = Source::new(source.generation);
            std::mem::replace(source, empty).wake_all(&mut wakers, |_| ());
        }
        wakers
    }

    /// Waits until an event comes, the timeout has passed, or another thread unparks this reactor.
    ///
    /// # Errors
    ///
    /// Returns the errors of `epoll_wait(2)`. A wait that a signal interrupts is not an error: it has no
    /// events.
    pub(crate) fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                // The list still has the events of the wait before, and these were delivered.
                events.clear();
                Ok(())
            }
            other => other,
        }
    }

    /// Delivers the events of the last [`park`](Self::park): passes tasks to `ready`, and moves the wakers of
    /// other waiters into `due`. Returns the number of sockets that had events. Before each of them, it calls
    /// `seen` with the index of the source and the number of the wakers in `due`.
    pub(crate) fn deliver(
        &self,
        due: &mut Vec<Waker>,
        mut seen: impl FnMut(usize, Readiness, usize),
        mut ready: impl FnMut(TaskId),
    ) -> usize {
        let events = self.events.borrow();
        let mut sources = self.sources.borrow_mut();
        let mut delivered = 0;
        for event in &*events {
            // If no source is found, the socket is gone, or another thread has unparked this reactor. The
            // lookup comes first, because nearly all events are those of sockets. // LOG R8 On 64 bits, a
            // token has both numbers. The token of the eventfd has an index beyond any source.
            let token = event.token();
            let generation = u32::try_from(token.0 >> 32).unwrap_or_default();
            let Some(source) = sources
                .get_mut(token.0 & 0xffff_ffff)
                .filter(|source| source.generation.get() == generation)
            else {
                continue;
            };
            delivered += 1;
            seen(token.0 & 0xffff_ffff, Readiness::of(event), due.len());
            source.deliver(event, due, &mut ready);
        }
        delivered
    }

    /// Returns the number of events of the last [`park`](Self::park), for a report.
    pub(crate) fn events_len(&self) -> usize {
        self.events.borrow().iter().count()
    }

    #[cfg(test)]
    pub(crate) fn sources_len(&self) -> usize {
        self.sources.borrow().len()
    }
}
