//! Turns readiness into wakers: mio's poll, and a slab of [`Source`]s.
//!
//! # How it works
//!
//! A socket registers once, for both directions and for urgent data, edge-triggered, and never touches
//! `epoll_ctl` again: closing it is enough. The source belongs to the socket for as long as that lives.
//! The token is the slab's index and a generation, so a late event of a socket that was closed finds no
//! source.
//!
//! [`Reactor::park`] is the only place that waits. [`Reactor::deliver`] then passes on the ids of the tasks
//! that wait for a socket that became ready, and *collects* the wakers of all others. The executor wakes
//! those later, when the reactor is not borrowed any more.
//!
//! A descriptor that stays open (`into_std`, a borrowed one) must be deregistered, and this may happen on
//! any thread. So each reactor has a second descriptor of its epoll instance in a list of the process,
//! [`REGISTRIES`]: `epoll_ctl(2)` may be called while another thread waits. The reactor opens it at its
//! start, because later the process may have no descriptor left.
//!
//! # Invariants
//!
//! - Never: user code run while anything here is borrowed or locked. Of tasks, the reactor knows only their
//!   ids.
//! - Never: an allocation per event; the list of wakers is the caller's and is used again.

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
use crate::source::{Interest, Readiness, SocketWaiter, Source, WaiterKey};
use crate::sync::Unpark;

/// Events taken from the kernel in one go. More than that wait for the next turn.
const EVENTS_MAX: usize = 1024;

/// The token of the waker with which other threads unpark the executor.
const UNPARK: Token = Token(usize::MAX);

/// The index of a source, valid for as long as its socket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(u32);

impl SourceId {
    fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the token that epoll reports. It has the generation too, because an event may outlive its
    /// socket.
    fn token(self, generation: NonZeroU32) -> Token {
        Token((generation.get() as usize) << 32 | self.index())
    }
}

const _: () = assert!(
    usize::BITS >= 64,
    "a token holds an index and a generation of 32 bits each"
);

/// The result of asking for news.
pub(crate) enum Answer {
    /// The socket is ready.
    Ready,
    /// It is not, and the task will be woken.
    Waits,
    /// It is not, and the caller must store a waiter.
    MustWait,
}

/// A wait, as a socket asks about it.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) interest: Interest,
    /// The future's place, if it has one; `None` for a poll function as well.
    pub(crate) place: Option<WaiterKey>,
    /// The task being polled.
    pub(crate) task: Option<TaskId>,
    /// The waker, if it is not that task's own.
    pub(crate) foreign: Option<&'a Waker>,
}

pub(crate) struct Reactor {
    poll: RefCell<Poll>,
    events: RefCell<Events>,
    sources: RefCell<Slab<Source>>,
    /// The newest generation.
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
    /// # Errors
    ///
    /// When the process has no descriptor left for epoll.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: RefCell::new(Poll::new()?),
            events: RefCell::new(Events::with_capacity(EVENTS_MAX)),
            sources: RefCell::default(),
            registered: Cell::new(NonZeroU32::MIN),
        })
    }

    /// Makes the waker with which other threads unpark this reactor.
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

    /// Registers a socket.
    ///
    /// A socket that is ready already is reported by the next [`park`](Self::park).
    pub(crate) fn register(&self, fd: BorrowedFd<'_>) -> io::Result<SourceId> {
        let mut sources = self.sources.borrow_mut();
        let entry = sources.vacant_entry();
        let index = u32::try_from(entry.key());
        let id = SourceId(index.expect("descriptors are fewer than four thousand million"));
        let generation = self.registered.get().checked_add(1);
        let generation = generation.unwrap_or(NonZeroU32::MIN);
        let interest = mio::Interest::READABLE | mio::Interest::WRITABLE | mio::Interest::PRIORITY;
        self.poll.borrow().registry().register(
            &mut SourceFd(&fd.as_raw_fd()),
            id.token(generation),
            interest,
        )?;
        self.registered.set(generation);
        entry.insert(Source::new(generation));
        Ok(id)
    }

    /// Deregisters a descriptor that stays open.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let poll = self.poll.borrow();
        poll.registry().deregister(&mut SourceFd(&fd.as_raw_fd()))
    }

    /// Removes the source of a socket that is closed, or about to be. The caller wakes its waiters.
    pub(crate) fn forget(&self, id: SourceId) -> Option<Source> {
        self.sources.borrow_mut().try_remove(id.index())
    }

    /// Adds the news of a socket to what is known of it, for the task being polled, which wants to read.
    /// The task will be woken for reading, also if reading is ready now; unless another task is the
    /// reader, and the answer is [`Answer::MustWait`].
    #[inline]
    pub(crate) fn ask_as(&self, id: SourceId, known: &Cell<Readiness>, task: TaskId) -> Answer {
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

    /// Frees the reader's place if that task has ended.
    #[cold]
    pub(crate) fn forget_reader(&self, id: SourceId, is_alive: impl Fn(TaskId) -> bool) {
        self.sources.borrow_mut()[id.index()].forget_reader(is_alive);
    }

    /// Adds the news of a socket to what is known of it.
    pub(crate) fn ask(&self, id: SourceId, known: &Cell<Readiness>, wanted: Wanted<'_>) -> Answer {
        let source = &mut self.sources.borrow_mut()[id.index()];
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

    /// Frees the place of a future that is dropped. Returns its waiter.
    pub(crate) fn leave(&self, id: SourceId, place: WaiterKey) -> Option<SocketWaiter> {
        self.sources.borrow_mut().get_mut(id.index())?.leave(place)
    }

    pub(crate) fn take_news(&self, id: SourceId) -> Readiness {
        self.sources.borrow_mut()[id.index()].take_news()
    }

    /// Takes the wakers of all waiters of all sockets, for the end of the runtime.
    pub(crate) fn clear(&self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for (_, source) in &mut *self.sources.borrow_mut() {
            let empty = Source::new(source.generation);
            std::mem::replace(source, empty).wake_all(&mut wakers, |_| ());
        }
        wakers
    }

    /// Waits until an event comes, the time is over, or another thread unparks this reactor.
    ///
    /// # Errors
    ///
    /// Those of epoll, except for an interrupted wait, which counts as one without events.
    pub(crate) fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            other => other,
        }
    }

    /// Passes on the events that [`park`](Self::park) has found: ready tasks to `ready`, the wakers of
    /// others into `due`. Returns the number of sockets that had events.
    pub(crate) fn deliver(&self, due: &mut Vec<Waker>, mut ready: impl FnMut(TaskId)) -> usize {
        let events = self.events.borrow();
        let mut sources = self.sources.borrow_mut();
        let mut delivered = 0;
        for event in &*events {
            // No source: the socket is gone, or another thread has unparked this reactor.
            let Some(source) = current(&mut sources, event.token()) else {
                continue;
            };
            delivered += 1;
            source.deliver(event, due, &mut ready);
        }
        delivered
    }

    #[cfg(test)]
    pub(crate) fn sources_len(&self) -> usize {
        self.sources.borrow().len()
    }
}

/// Returns the source of that token, unless it is gone.
fn current(sources: &mut Slab<Source>, token: Token) -> Option<&mut Source> {
    let generation = u32::try_from(token.0 >> 32).unwrap_or_default();
    let source = sources.get_mut(token.0 & 0xffff_ffff)?;
    (source.generation.get() == generation).then_some(source)
}
