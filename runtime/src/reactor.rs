//! Turns readiness into wakers: mio's poll, and a slab of [`Source`]s.
//!
//! # How it works
//!
//! A socket registers once, for both directions, edge-triggered, and never touches `epoll_ctl`
//! again: closing it is enough. Its token is the slab's index and a generation, so an event that
//! was already on its way when the socket went finds nobody.
//!
//! [`Reactor::park`] is the only place that waits. It *collects* the wakers of whatever became
//! ready; who called it wakes them, once nothing here is borrowed any more.
//!
//! # Invariants
//!
//! - Never: user code run while anything here is borrowed. The reactor knows nothing about tasks.
//! - Never: an allocation per event; the list of wakers is the caller's and is used again.

use std::cell::{Cell, RefCell};
use std::io;
use std::task::Waker;
use std::time::Duration;

use mio::{Events, Poll, Registry, Token};
use slab::Slab;

use crate::source::{Direction, Interest, Source};

/// Events taken from the kernel in one go. More than that wait for the next turn.
const EVENTS_MAX: usize = 1024;

/// The token of the waker that other threads unpark us with.
const UNPARK: Token = Token(usize::MAX);

/// Which source, of which tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SourceId {
    fn token(self) -> Token {
        Token((self.generation as usize) << 32 | self.index as usize)
    }

    fn of(token: Token) -> Self {
        Self {
            index: u32::try_from(token.0 & 0xffff_ffff).unwrap_or(u32::MAX),
            generation: u32::try_from(token.0 >> 32).unwrap_or(u32::MAX),
        }
    }
}

const _: () = assert!(
    usize::BITS >= 64,
    "a token holds an index and a generation of 32 bits each"
);

pub(crate) struct Reactor {
    poll: RefCell<Poll>,
    events: RefCell<Events>,
    sources: RefCell<Slab<Source>>,
    registered: Cell<u32>,
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
            registered: Cell::new(0),
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
        let id = SourceId {
            index: u32::try_from(entry.key())
                .expect("descriptors are fewer than two thousand million"),
            generation: self.registered.get(),
        };
        register(self.poll.borrow().registry(), id.token())?;
        self.registered.set(id.generation.wrapping_add(1));
        entry.insert(Source::new(id.generation));
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
    pub(crate) fn forget(&self, id: SourceId) -> Option<impl Iterator<Item = Waker> + use<>> {
        let mut sources = self.sources.borrow_mut();
        let index = id.index as usize;
        let current = sources.get(index)?.generation == id.generation;
        current.then(|| sources.remove(index).into_waiters())
    }

    /// Whether `interest` holds; if not, leaves the waker with the source.
    pub(crate) fn is_ready_or_wait(&self, id: SourceId, interest: Interest, waker: &Waker) -> bool {
        {
            let sources = self.sources.borrow();
            let Some(source) = current(&sources, id) else {
                return true;
            };
            if source.is_ready(interest) {
                return true;
            }
            if source.has_waiter(interest, waker) {
                return false;
            }
        }
        // Cloning and dropping wakers is user code: not while the slab is borrowed.
        let waker = waker.clone();
        let replaced = self.sources.borrow_mut()[id.index as usize].wait(interest, waker);
        drop(replaced);
        false
    }

    pub(crate) fn is_ready(&self, id: SourceId, interest: Interest) -> bool {
        let sources = self.sources.borrow();
        current(&sources, id).is_none_or(|source| source.is_ready(interest))
    }

    /// The edge of this direction is used up.
    pub(crate) fn clear(&self, id: SourceId, direction: Direction) {
        self.change(id, |source| source.clear(direction));
    }

    /// This direction would block.
    pub(crate) fn block(&self, id: SourceId, direction: Direction) {
        self.change(id, |source| source.block(direction));
    }

    fn change(&self, id: SourceId, change: impl FnOnce(&mut Source)) {
        if let Some(source) = self.sources.borrow_mut().get_mut(id.index as usize)
            && source.generation == id.generation
        {
            change(source);
        }
    }

    /// Waits until something is ready, the time is over, or another thread unparks us; moves the
    /// wakers of all that is ready into `due`, and says how many events there were.
    ///
    /// # Errors
    ///
    /// What epoll says, except for an interrupted wait, which counts as one without events.
    pub(crate) fn park(
        &self,
        timeout: Option<Duration>,
        due: &mut Vec<Waker>,
    ) -> io::Result<usize> {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            other => other?,
        }
        let mut sources = self.sources.borrow_mut();
        let mut delivered = 0;
        for event in events.iter().filter(|event| event.token() != UNPARK) {
            delivered += 1;
            let id = SourceId::of(event.token());
            if let Some(source) = sources.get_mut(id.index as usize)
                && source.generation == id.generation
            {
                source.deliver(event, due);
            }
        }
        Ok(delivered)
    }
}

fn current(sources: &Slab<Source>, id: SourceId) -> Option<&Source> {
    let source = sources.get(id.index as usize)?;
    (source.generation == id.generation).then_some(source)
}
