//! Turns readiness into wakers: mio's poll, and a slab of [`Source`]s.
//!
//! # How it works
//!
//! A socket registers once, for both directions, edge-triggered, and never touches `epoll_ctl`
//! again: closing it is enough. Its source is its own for as long as it lives. The token is the
//! slab's index and a generation, so an event that was already on its way when the socket went
//! finds nobody.
//!
//! [`Reactor::park`] is the only place that waits. [`Reactor::deliver`] then names the tasks that
//! wait for whatever became ready, and *collects* the wakers of all others: the executor wakes those
//! once nothing is borrowed any more.
//!
//! # Invariants
//!
//! - Never: user code run while anything here is borrowed. The reactor knows nothing of tasks but
//!   their ids.
//! - Never: an allocation per event; the list of wakers is the caller's and is used again.

use std::cell::{Cell, RefCell};
use std::io;
use std::num::NonZeroU32;
use std::task::Waker;
use std::time::Duration;

use mio::{Events, Poll, Registry, Token};
use slab::Slab;

use crate::local_queue::TaskId;
use crate::source::{Interest, Readiness, Source};

/// Events taken from the kernel in one go. More than that wait for the next turn.
const EVENTS_MAX: usize = 1024;

/// The token of the waker that other threads unpark us with.
const UNPARK: Token = Token(usize::MAX);

/// Where a source is, for as long as its socket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId(u32);

impl SourceId {
    fn index(self) -> usize {
        self.0 as usize
    }

    /// What epoll reports: the generation too, since an event may outlive its socket.
    fn token(self, generation: NonZeroU32) -> Token {
        Token((generation.get() as usize) << 32 | self.index())
    }
}

const _: () = assert!(
    usize::BITS >= 64,
    "a token holds an index and a generation of 32 bits each"
);

/// What came of asking for news.
pub(crate) enum Asked {
    /// It is ready.
    Ready,
    /// It is not, and the waker is there already.
    Waits,
    /// It is not, and a waker is to be left.
    MustWait,
}

pub(crate) struct Reactor {
    poll: RefCell<Poll>,
    events: RefCell<Events>,
    sources: RefCell<Slab<Source>>,
    /// The newest generation.
    registered: Cell<NonZeroU32>,
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

    /// What other threads unpark this reactor with.
    pub(crate) fn unparker(&self) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.borrow().registry(), UNPARK)
    }

    /// Registers a socket; `register` hands its mio half to the registry.
    ///
    /// A socket that is ready already is reported by the next [`park`](Self::park).
    pub(crate) fn register(
        &self,
        register: impl FnOnce(&Registry, Token) -> io::Result<()>,
    ) -> io::Result<SourceId> {
        let mut sources = self.sources.borrow_mut();
        let entry = sources.vacant_entry();
        let index = u32::try_from(entry.key());
        let id = SourceId(index.expect("descriptors are fewer than four thousand million"));
        let generation = self.registered.get().checked_add(1);
        let generation = generation.unwrap_or(NonZeroU32::MIN);
        register(self.poll.borrow().registry(), id.token(generation))?;
        self.registered.set(generation);
        entry.insert(Source::new(generation));
        Ok(id)
    }

    /// Takes a socket out of the poll that will live on elsewhere.
    pub(crate) fn deregister(
        &self,
        deregister: impl FnOnce(&Registry) -> io::Result<()>,
    ) -> io::Result<()> {
        deregister(self.poll.borrow().registry())
    }

    /// Forgets a socket that is closed, or about to be. Whoever still waits is woken by the caller.
    pub(crate) fn forget(&self, id: SourceId) -> Option<Source> {
        self.sources.borrow_mut().try_remove(id.index())
    }

    /// As [`ask`](Self::ask), for a task that wants to read: it is woken by the next event, whether
    /// or not the answer is that reading is ready.
    #[inline]
    pub(crate) fn ask_as(&self, id: SourceId, known: &Cell<Readiness>, task: TaskId) -> Asked {
        let source = &mut self.sources.borrow_mut()[id.index()];
        source.set_reader(Some(task));
        let all = known.get().and(source.take_news());
        known.set(all);
        if all.satisfies(Interest::Read) {
            Asked::Ready
        } else {
            Asked::Waits
        }
    }

    /// Adds the news of a socket to what is known of it, and says whether it is ready now.
    pub(crate) fn ask(
        &self,
        id: SourceId,
        known: &Cell<Readiness>,
        interest: Interest,
        waker: &Waker,
    ) -> Asked {
        let source = &mut self.sources.borrow_mut()[id.index()];
        known.set(known.get().and(source.take_news()));
        if interest == Interest::Read {
            source.set_reader(None);
        }
        if known.get().satisfies(interest) {
            Asked::Ready
        } else if source.is_waited_for(interest, waker) {
            Asked::Waits
        } else {
            Asked::MustWait
        }
    }

    /// Leaves a waker; hands out the one whose place it takes.
    pub(crate) fn wait(&self, id: SourceId, interest: Interest, waker: Waker) -> Option<Waker> {
        self.sources.borrow_mut()[id.index()].wait(interest, waker)
    }

    pub(crate) fn take_news(&self, id: SourceId) -> Readiness {
        self.sources.borrow_mut()[id.index()].take_news()
    }

    /// Takes the wakers of all who wait for a socket, for the end of the runtime.
    pub(crate) fn clear(&self) -> Vec<Waker> {
        let mut sources = self.sources.borrow_mut();
        let sources = sources.iter_mut().map(|(_, source)| {
            let empty = Source::new(source.generation);
            std::mem::replace(source, empty)
        });
        sources.flat_map(Source::into_wakers).collect()
    }

    /// Waits until something is ready, the time is over, or another thread unparks us.
    ///
    /// # Errors
    ///
    /// What epoll says, except for an interrupted wait, which counts as one without events.
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

    /// Hands on what [`park`](Self::park) has found: the tasks that are ready to `ready`, the wakers
    /// of others into `due`. Says for how many sockets there were events.
    pub(crate) fn deliver(&self, due: &mut Vec<Waker>, mut ready: impl FnMut(TaskId)) -> usize {
        let events = self.events.borrow();
        let mut sources = self.sources.borrow_mut();
        let mut delivered = 0;
        for event in &*events {
            // Of a socket that has gone, or another thread's nudge: nobody's.
            let Some(source) = current(&mut sources, event.token()) else {
                continue;
            };
            delivered += 1;
            if let Some(reader) = source.deliver(event, due) {
                ready(reader);
            }
        }
        delivered
    }
}

/// The source of that token, unless it has gone.
fn current(sources: &mut Slab<Source>, token: Token) -> Option<&mut Source> {
    let generation = u32::try_from(token.0 >> 32).unwrap_or_default();
    let source = sources.get_mut(token.0 & 0xffff_ffff)?;
    (source.generation.get() == generation).then_some(source)
}
