//! Turns readiness into wakes: mio's poll, and a slab of [`Source`]s.
//!
//! - Never: user code called while a field of the reactor is borrowed. It collects wakers, and the executor wakes them.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use slab::Slab;

use crate::source::{Direction, Readiness, Source};

/// The events that one call of `epoll_wait` returns at most. Further events wait for the next turn.
const EVENTS_MAX: usize = 1024;

/// The token of the eventfd by which other threads unpark the executor.
const UNPARK: Token = Token(usize::MAX);

/// The id of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId {
    index: u32,
    generation: u32,
}

const _: () = assert!(usize::BITS >= 64, "a token holds two numbers of 32 bits");

impl SourceId {
    /// The number that epoll returns with each event of the socket: the generation and the index.
    fn token(self) -> Token {
        Token((self.generation as usize) << 32 | self.index as usize)
    }
}

/// mio's poll, and the sources of all sockets that are registered with it.
pub struct Reactor {
    poll: RefCell<mio::Poll>,
    /// The memory for the events of one wait.
    events: RefCell<Events>,
    sources: RefCell<Slab<Source>>,
    /// The newest generation.
    registered: Cell<u32>,
}

impl Reactor {
    /// Opens an epoll instance.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: RefCell::new(mio::Poll::new()?),
            events: RefCell::new(Events::with_capacity(EVENTS_MAX)),
            sources: RefCell::default(),
            registered: Cell::new(0),
        })
    }

    /// Makes the eventfd by which other threads unpark this reactor.
    pub fn unparker(&self) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.borrow().registry(), UNPARK)
    }

    /// Registers a socket, once and for both directions.
    pub fn register(&self, fd: BorrowedFd<'_>) -> io::Result<SourceId> {
        let mut sources = self.sources.borrow_mut();
        // The entry is filled after the call to the kernel. So a failure leaves no source behind.
        let entry = sources.vacant_entry();
        let id = SourceId {
            index: u32::try_from(entry.key()).expect("there are fewer descriptors"),
            generation: self.registered.get().wrapping_add(1) & 0x7fff_ffff,
        };
        self.poll.borrow().registry().register(
            &mut SourceFd(&fd.as_raw_fd()),
            id.token(),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.registered.set(id.generation);
        entry.insert(Source::new(id.generation));
        Ok(id)
    }

    /// Returns `Ready` if an operation of this socket should be tried. Otherwise the next event wakes the task.
    pub fn poll_ready(&self, id: SourceId, direction: Direction, cx: &mut Context<'_>) -> Poll<()> {
        let (poll, replaced) = {
            let mut sources = self.sources.borrow_mut();
            sources[id.index as usize].poll_ready(direction, cx)
        };
        drop(replaced);
        poll
    }

    /// Notes that the kernel has returned `WouldBlock` to an operation of this socket.
    pub fn clear(&self, id: SourceId, direction: Direction) {
        self.sources.borrow_mut()[id.index as usize].clear(direction);
    }

    /// Removes the source of a socket that is closed, or is about to be.
    pub fn forget(&self, id: SourceId) {
        let source = self.sources.borrow_mut().try_remove(id.index as usize);
        // Dropped after the borrow, because the destructors of its wakers may be foreign code.
        drop(source);
    }

    /// Returns the number of registered sockets.
    pub fn len(&self) -> usize {
        self.sources.borrow().len()
    }

    /// Waits until an event comes, the timeout has passed, or another thread unparks this reactor.
    pub fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
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

    /// Delivers the events of the last [`park`](Self::park): moves the wakers of the tasks that they wake into `due`.
    pub fn deliver(&self, due: &mut Vec<Waker>) {
        let events = self.events.borrow();
        let mut sources = self.sources.borrow_mut();
        for event in &*events {
            let token = event.token().0;
            let (index, generation) = (token & 0xffff_ffff, token >> 32);
            if let Some(source) = sources.get_mut(index)
                && source.generation as usize == generation
            {
                source.add(Readiness::of(event), due);
            }
        }
    }
}
