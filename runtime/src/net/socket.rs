//! What all sockets have in common: a descriptor, and its registration with a reactor.
//!
//! # How it works
//!
//! A [`Socket`] is plain data. It can be made outside a runtime and moved to another thread; it
//! registers with the runtime it is first polled in, and only when it has to wait: an operation
//! that can be done at once needs no registration. A connection that is accepted, read, answered
//! and closed in one go never costs an `epoll_ctl`.
//!
//! ```text
//!            tried: done                    tried: WouldBlock, or asked to wait
//!  unregistered ────────► unregistered      unregistered ────────────────► registered
//! ```
//!
//! Registering reports what is ready already, so nothing is lost between the try and the wait.
//!
//! What a socket knows of its readiness stays with it, so that a read or a write that can be done
//! asks nobody; `source` tells how the two sides share that. A task that has asked, has read all there
//! was and reads again in the same poll asks nobody either (`polled`).
//!
//! # Invariants
//!
//! - Always: `WouldBlock`, a short read and a short write clear readiness; nothing else does. So
//!   an `accept` that fails with EMFILE leaves the listener ready: its edge is used up although
//!   the queue is full.
//! - Never: `epoll_ctl` more than once in a socket's life, unless it is handed out again.

use std::any::type_name;
use std::cell::Cell;
use std::io::{self, IoSlice, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::task::{Context, Poll, Waker};

use mio::unix::SourceFd;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::budget;
use crate::context;
use crate::descriptors;
use crate::executor::Executor;
use crate::local_queue::TaskId;
use crate::panics;
use crate::polled::{self, Place};
use crate::reactor::{Asked, SourceId};
use crate::remote::{Message, send_to};
use crate::source::{Direction, Interest, Readiness, Source};

/// A non-blocking descriptor that can be waited for.
pub(crate) struct Socket<S> {
    // In this order: first closed, then forgotten, so that whoever waits for a descriptor to be
    // freed is told once it is.
    io: S,
    registration: Registration<S>,
}

/// What an operation showed of its direction, beside its result.
pub(crate) enum Left {
    /// There may be more.
    Perhaps,
    /// It was short: the edge is used up.
    Nothing,
}

impl Left {
    /// A transfer of less than was asked for has emptied, or filled, the kernel's buffer.
    fn after(moved: usize, asked: usize) -> Self {
        if moved < asked {
            Self::Nothing
        } else {
            Self::Perhaps
        }
    }
}

impl<S: AsFd> Socket<S> {
    /// Takes a descriptor that is non-blocking already.
    pub(crate) fn new(io: S) -> Self {
        Self {
            registration: Registration::new(),
            io,
        }
    }

    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    /// Hands the descriptor out again, no longer registered.
    pub(crate) fn into_io(self) -> S {
        self.deregister();
        self.io
    }

    /// For a descriptor that will live on when this is dropped.
    pub(crate) fn deregister(&self) {
        self.registration.undo(&self.io);
    }

    /// Does `operation` as soon as its direction is ready; costs that much of the budget.
    pub(crate) fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        cost: u32,
        mut operation: impl FnMut(&S) -> io::Result<(T, Left)>,
    ) -> Poll<io::Result<T>> {
        std::task::ready!(budget::poll_spend(cx, cost));
        loop {
            if self.registration.must_wait(&self.io, interest, cx)? {
                return Poll::Pending;
            }
            match operation(&self.io) {
                Ok((value, left)) => {
                    if matches!(left, Left::Nothing) {
                        self.registration.clear(interest.direction());
                    }
                    return Poll::Ready(Ok(value));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.registration.ensure(&self.io)?;
                    self.registration.block(interest.direction());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// [`poll_io`](Self::poll_io) for what moves bytes, and says how many: they cost something too.
    pub(crate) fn poll_move(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<(usize, Left)>,
    ) -> Poll<io::Result<usize>> {
        let moved = std::task::ready!(self.poll_io(cx, direction.into(), 1, operation));
        if let Ok(bytes) = &moved {
            budget::spend_bytes(*bytes);
        }
        Poll::Ready(moved)
    }

    /// Does `operation` now; [`io::ErrorKind::WouldBlock`] clears the direction.
    pub(crate) fn try_io<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<(T, Left)>,
    ) -> io::Result<T> {
        loop {
            match operation(&self.io) {
                Ok((value, left)) => {
                    if matches!(left, Left::Nothing) {
                        self.registration.clear(direction);
                    }
                    return Ok(value);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        self.registration.block(direction);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The kernel has just said that this direction is ready.
    pub(crate) fn note_ready(&self, direction: Direction) {
        self.registration.note(direction);
    }

    /// Waits until `interest` holds, without doing anything.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(budget::poll_spend(cx, 1));
        if self.registration.ensure(&self.io)? {
            self.registration.known.set(Readiness::default());
        }
        if self.registration.must_wait(&self.io, interest, cx)? {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// What is known without waiting and without asking the kernel. Unregistered: nothing.
    pub(crate) fn is_ready(&self, interest: Interest) -> bool {
        self.registration.is_ready(interest)
    }

    #[inline]
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.registration.waits_already(cx.waker()) {
            return Poll::Pending;
        }
        self.read_or_wait(cx, buffer)
    }

    #[inline(never)]
    fn read_or_wait(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Direction::Read, |io| read(io, buffer))
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_io(Direction::Read, |io| read(io, buffer))
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Direction::Write, |io| {
            write(io, bytes, SendFlags::empty())
        })
    }

    /// As [`poll_write`](Self::poll_write), for what is followed by the end.
    pub(crate) fn poll_write_last(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Direction::Write, |io| write(io, bytes, SendFlags::MORE))
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_io(Direction::Write, |io| write(io, bytes, SendFlags::empty()))
    }
}

/// The system call itself (`recv(2)`), without the C library's bookkeeping around it.
fn read(io: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Left)> {
    let asked = buffer.len();
    let (moved, _) = recv(io, buffer, RecvFlags::empty())?;
    Ok((moved, Left::after(moved, asked)))
}

/// The system call itself (`send(2)`). A peer that is gone is an error, not a signal.
fn write(io: &impl AsFd, bytes: &[u8], flags: SendFlags) -> io::Result<(usize, Left)> {
    let moved = send(io, bytes, flags | SendFlags::NOSIGNAL)?;
    Ok((moved, Left::after(moved, bytes.len())))
}

impl<S: AsFd> Socket<S>
where
    for<'a> &'a S: Write,
{
    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let asked = slices.iter().map(|slice| slice.len()).sum();
        self.poll_move(cx, Direction::Write, |mut io| {
            let moved = io.write_vectored(slices)?;
            Ok((moved, Left::after(moved, asked)))
        })
    }
}

/// Which source of which runtime a socket is, once it is one, and what it knows of itself.
struct Registration<S> {
    place: Cell<Option<Place>>,
    /// For what it is ready, as far as it has asked.
    known: Cell<Readiness>,
    of: PhantomData<fn(S)>,
}

impl<S> Registration<S> {
    fn new() -> Self {
        descriptors::opened();
        Self {
            place: Cell::new(None),
            known: Cell::new(Readiness::UNTRIED),
            of: PhantomData,
        }
    }

    /// Registers if that has not been done; says whether it did.
    #[inline]
    fn ensure(&self, io: &impl AsFd) -> io::Result<bool> {
        if self.place.get().is_some() {
            return Ok(false);
        }
        self.register(io.as_fd())?;
        Ok(true)
    }

    #[cold]
    fn register(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        let place = context::with(type_name::<S>(), "polled", |executor| {
            let source = executor.reactor().register(|registry, token| {
                let interest = mio::Interest::READABLE | mio::Interest::WRITABLE;
                registry.register(&mut SourceFd(&fd), token, interest)
            })?;
            io::Result::Ok(Place {
                runtime: executor.id(),
                source,
            })
        })?;
        self.place.set(Some(place));
        // Not this source, if its place was another's.
        polled::set_asked(None);
        Ok(())
    }

    /// Whether a wait for `interest` has begun. Not when it holds, as far as is known, or as there
    /// are news of it. Who waits is registered first: that reports what is ready already.
    #[inline]
    fn must_wait(
        &self,
        io: &impl AsFd,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        if self.known.get().satisfies(interest) {
            return Ok(false);
        }
        self.ensure(io)?;
        if interest == Interest::Read
            && let Some(task) = polled::task(cx.waker())
        {
            return Ok(self.ask_as(task));
        }
        Ok(self.ask_or_wait(interest, cx.waker()))
    }

    /// Whether the task being polled has asked in this poll, and read all there was: there can be no
    /// news, and it will be woken.
    #[inline]
    fn waits_already(&self, waker: &Waker) -> bool {
        let place = self.place.get();
        place.is_some()
            && polled::asked() == place
            && polled::task(waker).is_some()
            && !self.known.get().satisfies(Interest::Read)
    }

    /// For the task being polled, which wants to read.
    #[inline(never)]
    fn ask_as(&self, task: TaskId) -> bool {
        let asked =
            self.here(|executor, source| executor.reactor().ask_as(source, &self.known, task));
        let asked = asked.unwrap_or_else(|| self.misplaced());
        polled::set_asked(self.place.get());
        matches!(asked, Asked::Waits)
    }

    #[inline(never)]
    fn ask_or_wait(&self, interest: Interest, waker: &Waker) -> bool {
        if interest == Interest::Read {
            // The task being polled is the reader no more.
            polled::set_asked(None);
        }
        let asked = self
            .here(|executor, source| executor.reactor().ask(source, &self.known, interest, waker));
        match asked.unwrap_or_else(|| self.misplaced()) {
            Asked::Ready => false,
            Asked::Waits => true,
            Asked::MustWait => {
                // Cloning and dropping wakers is user code: not while anything is borrowed.
                let waker = waker.clone();
                let replaced =
                    self.here(|executor, source| executor.reactor().wait(source, interest, waker));
                drop(replaced);
                true
            }
        }
    }

    /// # Panics
    ///
    /// Always: it has to wait, and is not where it can.
    #[cold]
    fn misplaced(&self) -> ! {
        context::with(type_name::<S>(), "polled", |executor| {
            if let Some(place) = self.place.get() {
                executor.expect_own(place.runtime, type_name::<S>(), "polled");
            }
        });
        unreachable!("a socket that waits is registered with the runtime it is in")
    }

    fn is_ready(&self, interest: Interest) -> bool {
        if let Some(news) = self.here(|executor, source| executor.reactor().take_news(source)) {
            self.known.set(self.known.get().and(news));
        }
        self.place.get().is_some() && self.known.get().satisfies(interest)
    }

    fn note(&self, direction: Direction) {
        self.known.set(self.known.get().ready(direction));
    }

    fn clear(&self, direction: Direction) {
        self.known.set(self.known.get().cleared(direction));
    }

    fn block(&self, direction: Direction) {
        self.known.set(self.known.get().blocked(direction));
    }

    /// Runs `f`, which calls nothing of a user's, if this thread is inside the runtime the socket is
    /// registered with.
    fn here<T>(&self, f: impl FnOnce(&Executor, SourceId) -> T) -> Option<T> {
        let place = self.place.get()?;
        context::look(|executor| {
            (executor.id() == place.runtime).then(|| f(executor, place.source))
        })?
    }

    /// Takes the descriptor out of epoll: closing will not, since it lives on.
    fn undo(&self, io: &impl AsFd) {
        let fd = io.as_fd().as_raw_fd();
        // What cannot be undone (from another thread) costs an event without a source, now and then.
        let undone = self.here(|executor, _| {
            executor
                .reactor()
                .deregister(|registry| registry.deregister(&mut SourceFd(&fd)))
        });
        drop(undone);
    }
}

impl<S> Drop for Registration<S> {
    fn drop(&mut self) {
        descriptors::closed();
        let Some(place) = self.place.get() else {
            return;
        };
        match self.here(|executor, source| executor.reactor().forget(source)) {
            Some(source) => wake_all(source),
            None => send_to(
                place.runtime,
                Message::Run(Box::new(move || forgotten_elsewhere(place.source))),
            ),
        }
    }
}

/// The rest of a drop on another thread, back home.
fn forgotten_elsewhere(source: SourceId) {
    if let Some(source) = context::look(|executor| executor.reactor().forget(source)) {
        wake_all(source);
    }
    descriptors::notify_freed();
}

fn wake_all(source: Option<Source>) {
    let Some(source) = source else {
        return;
    };
    if let Some(reader) = source.reader() {
        context::look(|executor| executor.wake_task(reader));
    }
    panics::wake_all(source.into_wakers());
}
