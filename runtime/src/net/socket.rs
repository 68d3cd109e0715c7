//! The common part of all sockets: a descriptor, and its registration with a reactor.
//!
//! # How it works
//!
//! A [`Socket`] is plain data. A program can make it outside a runtime and move it to another thread. It
//! registers with the runtime in which it first has to wait. An operation that succeeds at once needs no
//! registration. So a connection that never has to wait costs no `epoll_ctl`.
//!
//! ```text
//!            tried: done                    tried: WouldBlock, or asked to wait
//!  unregistered ────────► unregistered      unregistered ────────────────► registered
//! ```
//!
//! Registering reports readiness that already exists. So no event is lost between the try and the wait.
//!
//! A socket has a copy of its readiness, so that an operation that can succeed does not ask the reactor first.
//! `source` lists the flags. A task that has asked in this poll and has read everything does not ask again;
//! `current_task` lists the steps.
//!
//! # State
//!
//! | state | place | set when | cleared when | read by |
//! |---|---|---|---|---|
//! | `guess` | socket | made: `UNTRIED`, or empty by `new_unready`; a peek sees bytes | short transfer, `WouldBlock`: that direction; registered: all | `must_wait` of an unregistered socket |
//! | `known` | socket | registered: `guess` moves here; the socket asks: the news is added; a peek sees bytes | short transfer: `READABLE` or `WRITABLE`; `WouldBlock`: all flags of the direction; registered by `poll_event`: all | `must_wait`, `waits_already` |
//! | `news` | source | an event comes | the socket asks: all | `ask_as`, `ask`, `take_news` |
//! | `reader` | source | a task calls `ask_as`, also if the answer is `Ready` | an event makes reading ready; the task has ended and another one asks; the socket closes | `deliver` |
//! | `asked` | thread | `ask_as` has made this task the reader | the next poll begins; a socket registers | `waits_already` |
//!
//! An event changes only `news` and `reader`. `known` changes when the woken task asks.
//!
//! # The order of a read
//!
//! 1. If the task has asked this socket in this poll and `known` is not ready, it waits (`waits_already`).
//! 2. If `known` is ready, the read is tried.
//! 3. If the socket is unregistered and `guess` is ready, the read is tried. If `guess` is not ready, the
//!    socket registers, and step 4 follows without a try.
//! 4. The socket asks the reactor: a poll function with the task's own waker calls `ask_as`, all others call
//!    `ask`. If the news makes the socket ready, the read is tried. If not, the task waits.
//!
//! A try that is interrupted or returns `WouldBlock` goes back to step 2. Before that, `WouldBlock` registers
//! the socket if needed, and clears the direction. Any other error leaves all state as it is.
//!
//! | function | registers when |
//! |---|---|
//! | `must_wait` | the guess is not ready: after a short transfer, after a `try_` call that has met `WouldBlock`, or made by `new_unready` |
//! | `poll_io`, `perform` | the first try has returned `WouldBlock` |
//! | `poll_ready`, `ready` | before the try |
//! | `poll_event`, `event` | before the wait; the guess is discarded, because no try would correct it |
//! | `try_io` | never |
//!
//! A write takes steps 2 to 4, always with `ask`.
//!
//! *Case A: bytes are there at the first read.* The read is tried, because the guess is ready. It is short, and
//! clears the guess. So the second read registers without a try, asks, and waits.
//!
//! *Case B: the first read finds no bytes:*
//!
//! ```text
//!  task (poll_read)       socket                          reactor                      kernel
//!    │ first poll            │ guess: UNTRIED, so it tries    │                           │
//!    ├──────────────────────►├── recv ────────────────────────┼──────────────────────────►│
//!    │                       │◄───────────────────────────────┼────────────── WouldBlock ─┤
//!    │                       ├── register ───────────────────►├── epoll_ctl ─────────────►│
//!    │                       │ known = guess, then cleared    │                           │
//!    │                       ├── ask ────────────────────────►│ reader = this task        │
//!    │◄──────────── Pending ─┤◄─────────── no news: Waits ────┤ (a)                       │
//!    ┊                       ┊                                │                           ┊
//!    │                       │                                │◄──────── event: readable ─┤
//!    │◄── id in front of the local queue ─────────────────────┤ news = READABLE           │
//!    │ next poll             │ known: not ready               │                           │
//!    ├──────────────────────►├── ask ────────────────────────►│ reader = this task        │
//!    │                       │◄─────────── news: Ready ───────┤ (a)                       │
//!    │                       ├── recv ────────────────────────┼──────────────────────────►│
//!    │◄────────────── bytes ─┤ short read: known is cleared   │                           │
//!    ├── read again ────────►│ (b)                            │                           │
//!    │◄──────────── Pending ─┤ so it waits without asking     │                           │
//! ```
//!
//! At (a), `current_task::set_asked` stores this source for the rest of the poll. At (b),
//! `current_task::has_asked` finds this source, so the task is still its reader and there is no news.
//!
//! Each operation has two forms, because a future can be dropped, and a poll function can only stop being
//! called. [`poll_io`](Socket::poll_io) is a poll function, and the source remembers its waiter.
//! [`perform`](Socket::perform) is a future and owns a [`WaiterPlace`], which its drop frees. The future of
//! `AsyncReadExt::read` calls a poll function, so it counts as one.
//!
//! # Two tasks, other threads, and the close
//!
//! - *Two tasks read.* The first one is the reader. `ask_as` refuses the second one, which then calls `ask` and
//!   is remembered. An event wakes both. The first to ask moves the news into `known`, where both find it. If
//!   that task reads everything, the other one waits again.
//! - *A thread outside the runtime of the socket* may call `try_io`, and other operations while `known` is
//!   ready. If such an operation has to wait, it panics (`misplaced`).
//! - *The close.* First the descriptor closes, which removes it from epoll. Then the source is removed, and all
//!   its waiters are woken. On another thread, a message to the runtime does the second step. A late event finds
//!   no source, because its token has the old generation.
//!
//! # Invariants
//!
//! - Always: only `WouldBlock`, a short read and a short write clear readiness. So an `accept` that fails with
//!   EMFILE leaves the listener ready. This matters because the kernel reports no further edge for the
//!   connections that are in the queue already.
//! - Always: a descriptor that leaves the runtime on any thread is removed from epoll.
//! - Always: only the thread of its runtime stores readiness into a registered socket. A thread outside may call
//!   the operations, but it learns no readiness from them, and a wait there panics.
//! - Never: `epoll_ctl` more than once in a socket's life, unless it leaves the runtime.

use std::any::type_name;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use crate::budget;
use crate::causes::Call;
use crate::context;
use crate::current_task::{self, Registered};
use crate::descriptors;
use crate::directory::{deregister_from, send_to};
use crate::executor::Executor;
use crate::local_queue::{self, RuntimeId, TaskId};
use crate::nodes;
use crate::panics;
use crate::points;
use crate::reactor::{Answer, SourceId, Wanted};
use crate::remote::Message;
use crate::source::{Direction, Interest, Known, Readiness, SocketWaiter, Source, WaiterKey};
use crate::sys;

/// A non-blocking descriptor that can be waited for.
pub(crate) struct Socket<S> {
    // The order of the fields matters: `io` is closed before the registration drops. That drop wakes the tasks
    // that wait for a free descriptor, so the descriptor must be free.
    io: S,
    registration: Registration<S>,
}

/// The state of the edge of a direction after an operation.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The direction may still be ready.
    Kept,
    /// The direction is ready again only after the next event.
    UsedUp,
}

impl Edge {
    /// Returns the edge after a transfer. A short read has emptied the kernel's buffer, and a short write has
    /// filled it.
    pub(crate) fn after(moved: usize, asked: usize) -> Self {
        if moved < asked {
            Self::UsedUp
        } else {
            Self::Kept
        }
    }
}

/// The place for a waiter: a future's own. `None` is the list of remembered waiters.
type At<'a> = Option<&'a mut Option<WaiterKey>>;

impl<S: AsFd> Socket<S> {
    /// Makes a socket of a non-blocking descriptor.
    pub(crate) fn new(io: S) -> Self {
        Self {
            registration: Registration::new(),
            io,
        }
    }

    /// Makes a socket whose operations wait for an event first, because a try would report a wrong end. A named
    /// pipe without a writer is one.
    pub(crate) fn new_unready(io: S) -> Self {
        let socket = Self::new(io);
        socket.registration.guess.set(Readiness::default());
        socket
    }

    pub(crate) fn io(&self) -> &S {
        &self.io
    }

    /// Deregisters the descriptor and returns it.
    pub(crate) fn into_io(self) -> S {
        self.deregister();
        self.io
    }

    /// Deregisters a descriptor that may stay open when this socket drops.
    pub(crate) fn deregister(&self) {
        self.registration.undo(&self.io);
    }

    /// Calls `operation` when its direction is ready. Spends `cost` units of the budget.
    pub(crate) fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        cost: u32,
        operation: impl FnMut(&S) -> io::Result<(T, Edge)>,
    ) -> Poll<io::Result<T>> {
        self.poll_io_at(cx, interest, None, cost, operation)
    }

    /// The future of [`poll_io`](Self::poll_io).
    pub(crate) async fn perform<T>(
        &self,
        interest: Interest,
        cost: u32,
        mut operation: impl FnMut(&S) -> io::Result<(T, Edge)>,
    ) -> io::Result<T> {
        let mut place = WaiterPlace::new(&self.registration);
        poll_fn(|cx| self.poll_io_at(cx, interest, Some(&mut place.key), cost, &mut operation))
            .await
    }

    /// Both forms of an operation.
    #[inline]
    fn poll_io_at<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut at: At<'_>,
        cost: u32,
        mut operation: impl FnMut(&S) -> io::Result<(T, Edge)>,
    ) -> Poll<io::Result<T>> {
        std::task::ready!(budget::poll_spend(cx, cost));
        loop {
            let place = at.as_deref_mut();
            if self.registration.must_wait(&self.io, interest, place, cx)? {
                return nodes::waits_for_socket(cx, || label_of::<S>(interest), &self.io);
            }
            match operation(&self.io) {
                Ok((value, edge)) => {
                    if edge == Edge::UsedUp {
                        self.registration.clear(interest.direction());
                    }
                    return Poll::Ready(Ok(value));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The first `WouldBlock` registers the socket. Bytes that arrive between the call and the
                    // registering are reported as an event, so the clearing loses no readiness.
                    self.registration.ensure(&self.io)?;
                    // Outside the runtime, the readiness stays, and the loop would never end.
                    if !self.registration.block(interest.direction()) {
                        self.registration.misplaced();
                    }
                    nodes::tried(&self.io);
                }
                // A signal has interrupted the call before it had an effect (`signal(7)`), so it is repeated.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Readiness stays, because the error may concern only this call.
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Like [`poll_io`](Self::poll_io), for operations that return a number of bytes. The bytes cost budget,
    /// too.
    pub(crate) fn poll_move(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<(usize, Edge)>,
    ) -> Poll<io::Result<usize>> {
        // Two ways, so that the result of the usual one stays in registers. // LOG S6
        if points::is_watched() {
            return self.poll_reported(cx, direction, operation);
        }
        self.poll_bytes(cx, direction, operation)
    }

    #[cold]
    fn poll_reported(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<(usize, Edge)>,
    ) -> Poll<io::Result<usize>> {
        // The early end of `poll_read`, with its report.
        let can_read = self.registration.known.get().satisfies(Interest::Read);
        let is_read = direction == Direction::Read;
        if is_read && !can_read && self.registration.has_asked(cx.waker()) {
            nodes::tried(&self.io);
            return nodes::waits_for_socket(cx, || label_of::<S>(Interest::Read), &self.io);
        }
        self.poll_bytes(cx, direction, |io| reported(direction, io, operation(io)))
    }

    fn poll_bytes(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<(usize, Edge)>,
    ) -> Poll<io::Result<usize>> {
        let moved = std::task::ready!(self.poll_io(cx, direction.into(), 1, operation));
        if let Ok(bytes) = &moved {
            budget::spend_bytes(*bytes);
        }
        Poll::Ready(moved)
    }

    /// The future of [`poll_move`](Self::poll_move).
    pub(crate) async fn move_bytes(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<(usize, Edge)>,
    ) -> io::Result<usize> {
        let operation = |io: &S| reported(direction, io, operation(io));
        let moved = self.perform(direction.into(), 1, operation).await;
        if let Ok(bytes) = &moved {
            budget::spend_bytes(*bytes);
        }
        moved
    }

    /// Calls `operation` now, without waiting. [`WouldBlock`](io::ErrorKind::WouldBlock) clears the direction.
    pub(crate) fn try_io<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<(T, Edge)>,
    ) -> io::Result<T> {
        loop {
            match operation(&self.io) {
                Ok((value, edge)) => {
                    if edge == Edge::UsedUp {
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

    /// Stores that the kernel has just shown this direction to be ready.
    pub(crate) fn note_ready(&self, direction: Direction) {
        self.registration.note(|known| known.ready(direction));
    }

    /// Waits until the kernel reports a direction as ready, without moving bytes. Fails if epoll refuses the
    /// descriptor.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<()>> {
        // Registered before the try, so that a descriptor that epoll refuses fails even if it is ready.
        self.registration.ensure(&self.io)?;
        self.poll_io(cx, direction.into(), 1, |io| is_ready(io, direction))
    }

    /// The future of [`poll_ready`](Self::poll_ready).
    pub(crate) async fn ready(&self, direction: Direction) -> io::Result<()> {
        self.registration.ensure(&self.io)?;
        self.perform(direction.into(), 1, |io| is_ready(io, direction))
            .await
    }

    /// Waits until the reactor has reported `interest`.
    pub(crate) fn poll_event(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<()>> {
        self.poll_event_at(cx, interest, None)
    }

    /// The future of [`poll_event`](Self::poll_event).
    pub(crate) async fn event(&self, interest: Interest) -> io::Result<()> {
        let mut place = WaiterPlace::new(&self.registration);
        poll_fn(|cx| self.poll_event_at(cx, interest, Some(&mut place.key))).await
    }

    /// Both forms of the wait for an event.
    fn poll_event_at(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        at: At<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(budget::poll_spend(cx, 1));
        if self.registration.ensure(&self.io)? {
            // `UNTRIED` was a guess, and no operation follows that would prove it wrong. Registering reports
            // the readiness that exists.
            let watched = points::if_watched(Readiness::WATCHED);
            self.registration.known.set(watched);
        }
        if self.registration.must_wait(&self.io, interest, at, cx)? {
            return nodes::waits_for_socket(cx, || label_of::<S>(interest), &self.io);
        }
        Poll::Ready(Ok(()))
    }

    /// Returns true if the reactor has reported `interest`. This neither waits nor asks the kernel. Returns
    /// false if the socket is not registered.
    pub(crate) fn is_ready(&self, interest: Interest) -> bool {
        self.registration.is_ready(interest)
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Direction::Write, |io| {
            write(io, bytes, SendFlags::empty())
        })
    }

    /// Like [`poll_write`](Self::poll_write), for the last bytes before the end of the stream.
    pub(crate) fn poll_write_last(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Direction::Write, |io| write(io, bytes, sys::LAST))
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_io(Direction::Write, |io| {
            reported(Direction::Write, io, write(io, bytes, SendFlags::empty()))
        })
    }

    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Direction::Write, |io| write_slices(io, slices))
    }
}

/// Returns the name of a wait for a socket of this kind.
fn label_of<S>(interest: Interest) -> &'static str {
    let kind = type_name::<S>();
    match interest {
        Interest::Read if kind.contains("Listener") => "accept",
        Interest::Read if kind.contains("Udp") || kind.contains("Datagram") => "receive",
        Interest::Write if kind.contains("Udp") || kind.contains("Datagram") => "send",
        Interest::Read => "read",
        Interest::Write => "write",
        Interest::ReadClosed => "end of the peer's stream",
        Interest::Closed => "end of the connection",
    }
}

/// A kind of connected socket.
#[doc(hidden)]
pub trait Receive: AsFd {
    /// Calls the system call that reads. Returns the number of bytes, and the state of the edge.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Edge)>;

    /// Like [`receive`](Self::receive), into memory that need not be initialized.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    fn receive_uninit<'a>(&self, buffer: &'a mut [MaybeUninit<u8>])
    -> io::Result<(&'a [u8], Edge)>;
}

impl<S: Receive> Socket<S> {
    #[inline]
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // A task usually reads again after a short read. This check ends that read before the budget and before
        // any call. // LOG R5
        let known = &self.registration.known;
        if self.registration.has_asked(cx.waker()) && known.get().waits_quietly() {
            return Poll::Pending;
        }
        self.read_or_wait(cx, buffer)
    }

    /// The rest of [`poll_read`](Self::poll_read), out of line so that the check above is inlined.
    #[inline(never)] // LOG R5
    fn read_or_wait(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_move(cx, Direction::Read, |io| io.receive(buffer))
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_io(Direction::Read, |io| {
            reported(Direction::Read, io, io.receive(buffer))
        })
    }
}

/// Reports a call that moves bytes, and returns its result.
#[inline]
fn reported(
    direction: Direction,
    io: &impl AsFd,
    moved: io::Result<(usize, Edge)>,
) -> io::Result<(usize, Edge)> {
    let is_read = direction == Direction::Read;
    let call = if is_read { Call::Read } else { Call::Write };
    points::call(call, io, &moved, |(bytes, _)| *bytes);
    moved
}

/// Calls `send(2)` without the C library's function around it (LOG R7). If the peer is gone, this returns an
/// error and raises no signal.
fn write(io: &impl AsFd, bytes: &[u8], flags: SendFlags) -> io::Result<(usize, Edge)> {
    let moved = send(io, bytes, flags | sys::NO_SIGNAL)?;
    Ok((moved, Edge::after(moved, bytes.len())))
}

/// The slices of one call at most (`UIO_MAXIOV`, `writev(2)`). The kernel refuses a call with more.
const SLICES_MAX: usize = 1024;

/// Calls `sendmsg(2)`, because `writev(2)` has no flag against the signal.
fn write_slices(io: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<(usize, Edge)> {
    // A shorter list is a short write, and the caller writes the rest as after any other.
    let slices = &slices[..slices.len().min(SLICES_MAX)];
    let asked = slices.iter().map(|slice| slice.len()).sum();
    let nothing = &mut SendAncillaryBuffer::default();
    let moved = sendmsg(io, slices, nothing, sys::NO_SIGNAL)?;
    Ok((moved, Edge::after(moved, asked)))
}

/// Asks the kernel if a direction is ready (`poll(2)`). Returns `WouldBlock` if it is not.
///
/// If the kernel's buffer is full, this call makes the kernel report new room later, as a failed write does.
pub(crate) fn is_ready(io: &impl AsFd, direction: Direction) -> io::Result<((), Edge)> {
    let wanted = match direction {
        Direction::Read => sys::POLL_READ,
        Direction::Write => PollFlags::OUT,
    };
    match poll(&mut [PollFd::new(io, wanted)], Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(((), Edge::Kept)),
    }
}

/// The mark of a socket that has no runtime. No runtime has this id, and no thread is inside one with it.
const NO_RUNTIME: u32 = u32::MAX;

/// The registration of a socket with a runtime, and the socket's own copy of its readiness.
///
/// Its fields are atomic, so that a future that borrows a socket is `Send`. No two threads have to agree on
/// them: after the socket has registered, only the thread of its runtime stores into them.
struct Registration<S> {
    /// The id of the runtime. [`NO_RUNTIME`] until the socket first has to wait.
    runtime: AtomicU32,
    /// The source in the reactor of that runtime.
    source: AtomicU32,
    /// The socket's copy of its readiness. Without flags until the socket registers.
    known: Known,
    /// The directions whose operation is tried before the socket registers. Any thread may store into it. The
    /// registering moves it into `known`, so a store that comes later has no effect.
    guess: Known,
    of: PhantomData<fn(S)>,
}

impl<S> Registration<S> {
    fn new() -> Self {
        descriptors::opened();
        Self {
            runtime: AtomicU32::new(NO_RUNTIME),
            source: AtomicU32::new(0),
            known: Known::new(Readiness::default()),
            guess: Known::new(Readiness::UNTRIED),
            of: PhantomData,
        }
    }

    /// Returns the source and its runtime. Returns `None` until the socket first has to wait.
    #[inline]
    fn place(&self) -> Option<Registered> {
        let runtime = self.runtime.load(Relaxed);
        if runtime == NO_RUNTIME {
            return None;
        }
        Some(Registered {
            runtime: RuntimeId::from_raw(runtime)?,
            source: SourceId::from_raw(self.source.load(Relaxed)),
        })
    }

    /// Registers the socket if it is not registered. Returns true if it was not.
    #[inline]
    fn ensure(&self, io: &impl AsFd) -> io::Result<bool> {
        if self.runtime.load(Relaxed) != NO_RUNTIME {
            return Ok(false);
        }
        self.register(io.as_fd())?;
        Ok(true)
    }

    #[cold]
    fn register(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        nodes::registered(&fd);
        context::with(type_name::<S>(), "polled", |executor| {
            // Another thread may try the same. The first one takes the socket, and the wait of the other one
            // panics.
            let own = executor.id().number();
            let before = self
                .runtime
                .compare_exchange(NO_RUNTIME, own, Relaxed, Relaxed);
            if before.is_err() {
                self.misplaced();
            }
            let registered = executor.reactor().register(fd);
            match &registered {
                Ok(source) => {
                    self.source.store(source.as_raw(), Relaxed);
                    // A guess stays good: a wrong one costs a call that returns `WouldBlock`.
                    let watched = points::if_watched(Readiness::WATCHED);
                    self.known.set(self.guess.get().and(watched));
                    self.guess.set(Readiness::default());
                }
                Err(_) => self.runtime.store(NO_RUNTIME, Relaxed),
            }
            registered.map(drop)
        })?;
        // A socket that the task has asked in this poll may be closed now, and this one may have its id. So the
        // stored id does not mean that the task has asked this socket.
        current_task::set_asked(None);
        Ok(())
    }

    /// Returns true if the task must wait, and false if the socket is ready, according to its own copy or
    /// the reactor's news. Registers the socket first if needed; registering reports readiness that already
    /// exists.
    #[inline]
    fn must_wait(
        &self,
        io: &impl AsFd,
        interest: Interest,
        at: At<'_>,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        // The usual case under load: the copy is "ready", and the socket does not ask the reactor.
        if self.known.get().satisfies(interest) {
            return Ok(false);
        }
        if self.runtime.load(Relaxed) == NO_RUNTIME {
            if self.guess.get().satisfies(interest) {
                return Ok(false);
            }
            self.register(io.as_fd())?;
        }
        // A poll function that reads with the task's own waker: the reactor keeps the id. All other waits
        // store a waiter. `current_task` explains the two cases.
        if interest == Interest::Read
            && at.is_none()
            && let Some(task) = current_task::task(cx.waker())
        {
            return Ok(self.ask_as(task, cx.waker()));
        }
        Ok(self.ask_or_wait(interest, at, cx.waker()))
    }

    /// Returns true if the task has asked in this poll. Then there is no news, because events are delivered only
    /// between polls, and the next event wakes the task.
    #[inline]
    fn has_asked(&self, waker: &Waker) -> bool {
        current_task::has_asked(self.runtime.load(Relaxed), self.source.load(Relaxed))
            && current_task::task(waker).is_some()
    }

    /// Asks the reactor for a task that wants to read. Returns true if the task must wait.
    #[inline(never)] // LOG R3
    fn ask_as(&self, task: TaskId, waker: &Waker) -> bool {
        let place = self.place();
        let asked = place.and_then(|place| {
            inside(place, |executor| {
                executor.reactor().ask_as(place.source, &self.known, task)
            })
        });
        let asked = asked.unwrap_or_else(|| self.misplaced());
        if matches!(asked, Answer::MustWait) {
            return self.ask_beside_another(task, waker);
        }
        current_task::set_asked(place);
        // A `bool`, not an enum in memory. // LOG R6
        matches!(asked, Answer::Waits)
    }

    /// Asks although another task is the reader. If that task has ended, takes its place: a socket that changes hands
    /// would otherwise keep a list of waiters.
    #[cold]
    fn ask_beside_another(&self, task: TaskId, waker: &Waker) -> bool {
        let is_free = self.here(|executor, source| {
            let is_alive = |task| executor.is_alive(task);
            executor.reactor().forget_reader(source, is_alive)
        });
        if is_free == Some(true) {
            return self.ask_as(task, waker);
        }
        self.ask_or_wait(Interest::Read, None, waker)
    }

    /// Asks the reactor, and stores a waiter if needed. Returns true if the task must wait.
    #[inline(never)]
    fn ask_or_wait(&self, interest: Interest, at: At<'_>, waker: &Waker) -> bool {
        let (task, foreign) = current_task::waiting(waker);
        let wanted = Wanted {
            interest,
            place: at.as_deref().copied().flatten(),
            task,
            foreign,
        };
        let asked =
            self.here(|executor, source| executor.reactor().ask(source, &self.known, wanted));
        match asked.unwrap_or_else(|| self.misplaced()) {
            Answer::Ready => false,
            Answer::Waits => true,
            Answer::MustWait => {
                // The clone may be user code, so it happens here, while no field of the reactor is borrowed.
                // No event can come between the answer and the wait, because this thread delivers the events.
                let waiter = SocketWaiter::new(interest, task, foreign.cloned());
                self.wait(at, waiter);
                true
            }
        }
    }

    /// Stores a waiter, and drops the wakers of those that it replaces.
    fn wait(&self, at: At<'_>, waiter: SocketWaiter) {
        let replaced = self.here(|executor, source| match at {
            None => {
                let is_alive = |task| executor.is_alive(task);
                executor.reactor().remember(source, waiter, is_alive)
            }
            Some(place) => {
                let (key, before) = executor.reactor().place(source, *place, waiter);
                *place = Some(key);
                before.into_iter().collect()
            }
        });
        let wakers = replaced
            .into_iter()
            .flatten()
            .filter_map(SocketWaiter::into_waker);
        wakers.for_each(panics::discard);
    }

    /// Reports a socket that has to wait outside its runtime.
    ///
    /// # Panics
    ///
    /// Always panics.
    #[cold]
    fn misplaced(&self) -> ! {
        context::with(type_name::<S>(), "polled", |executor| {
            if let Some(place) = self.place() {
                executor.expect_own(place.runtime, type_name::<S>(), "polled");
            }
        });
        unreachable!("a socket that waits is registered with the runtime it is in")
    }

    /// Returns true if the reactor has reported `interest`.
    fn is_ready(&self, interest: Interest) -> bool {
        // Without a registration, the copy has no flags.
        if let Some(news) = self.here(|executor, source| executor.reactor().take_news(source)) {
            self.known.set(self.known.get().and(news));
        }
        self.known.get().satisfies(interest)
    }

    /// Stores the readiness that an operation has shown. This has no effect on a thread outside the socket's
    /// runtime, because its store could undo one of the runtime's thread.
    #[inline]
    fn note(&self, change: impl Fn(Readiness) -> Readiness) {
        let runtime = self.runtime.load(Relaxed);
        // The usual case costs one comparison. Outside a runtime, the thread's number is zero.
        if runtime == local_queue::runtime().map_or(0, RuntimeId::number) {
            self.known.set(change(self.known.get()));
        } else if runtime == NO_RUNTIME {
            self.guess.set(change(self.guess.get()));
        }
    }

    /// Clears a direction whose edge is used up.
    #[inline]
    fn clear(&self, direction: Direction) {
        self.note(|known| known.cleared(direction));
    }

    /// Clears a direction for which the kernel has returned `WouldBlock`. Returns false outside the socket's
    /// runtime.
    #[cold] // A socket that remembers its readiness rarely meets `WouldBlock` after its first wait.
    fn block(&self, direction: Direction) -> bool {
        if self.place().is_none() {
            self.guess.set(self.guess.get().blocked(direction));
        }
        let here = self.here(|_, _| self.known.set(self.known.get().blocked(direction)));
        here.is_some()
    }

    /// Calls `f` if this thread is inside the runtime of the registration. `f` must not call user code.
    fn here<T>(&self, f: impl FnOnce(&Executor, SourceId) -> T) -> Option<T> {
        let place = self.place()?;
        inside(place, |executor| f(executor, place.source))
    }

    /// Deregisters a descriptor that may stay open, which closing this one would not do.
    fn undo(&self, io: &impl AsFd) {
        let Some(place) = self.place() else {
            return;
        };
        // On another thread, the directory finds the epoll instance. A message would come too late: the caller
        // may register the descriptor with another runtime at once.
        let fd = io.as_fd();
        let undone = self
            .here(|executor, _| executor.reactor().deregister(fd))
            .unwrap_or_else(|| deregister_from(place.runtime, fd));
        // This fails only if foreign code has closed the descriptor. Then the kernel has removed it from epoll.
        drop(undone);
    }
}

impl<S> Drop for Registration<S> {
    fn drop(&mut self) {
        descriptors::closed();
        let Some(place) = self.place() else {
            return;
        };
        match self.here(|executor, source| executor.reactor().forget(source)) {
            // The tasks that still wait are woken, so that none of them waits for ever.
            Some(source) => wake_all(source),
            None => send_to(
                place.runtime,
                Message::Run(Box::new(move || forgotten_elsewhere(place.source))),
            ),
        }
    }
}

/// Calls `f` if this thread is inside the runtime of a registration. `f` must not call user code.
fn inside<T>(place: Registered, f: impl FnOnce(&Executor) -> T) -> Option<T> {
    context::with_borrowed(|executor| (executor.id() == place.runtime).then(|| f(executor)))?
}

/// Completes the drop of a socket on another thread. It runs in the socket's runtime.
fn forgotten_elsewhere(source: SourceId) {
    if let Some(source) = context::with_borrowed(|executor| executor.reactor().forget(source)) {
        wake_all(source);
    }
    descriptors::notify_freed();
}

/// Wakes all tasks that wait for a socket that is gone.
fn wake_all(source: Option<Source>) {
    let Some(source) = source else {
        return;
    };
    let mut wakers = Vec::new();
    context::with_borrowed(|executor| {
        source.wake_all(&mut wakers, |task| executor.wake_task(task));
    });
    panics::wake_all(wakers);
}

/// The place of a future among the waiters of a socket. Dropping this frees the place.
struct WaiterPlace<'a, S> {
    registration: &'a Registration<S>,
    /// The place in the source. `None` until the future has to wait.
    key: Option<WaiterKey>,
}

impl<'a, S> WaiterPlace<'a, S> {
    fn new(registration: &'a Registration<S>) -> Self {
        Self {
            registration,
            key: None,
        }
    }
}

impl<S> Drop for WaiterPlace<'_, S> {
    fn drop(&mut self) {
        let (Some(key), Some(place)) = (self.key, self.registration.place()) else {
            return;
        };
        // The socket may be registered with a runtime that this thread is not inside. Then a message frees the
        // place, because only the runtime's own thread touches its sources.
        let left = self
            .registration
            .here(|executor, source| executor.reactor().leave(source, key));
        match left {
            Some(waiter) => panics::discard(waiter),
            None => send_to(
                place.runtime,
                Message::Run(Box::new(move || left_elsewhere(place.source, key))),
            ),
        }
    }
}

/// Completes the drop of a future outside the runtime. It runs in the runtime.
fn left_elsewhere(source: SourceId, key: WaiterKey) {
    panics::discard(context::with_borrowed(|executor| {
        executor.reactor().leave(source, key)
    }));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::task::{Context, Waker};
    use std::thread;

    use super::Socket;
    use crate::context;
    use crate::runtime::Runtime;
    use crate::source::{Direction, Interest};

    fn sources() -> usize {
        context::with_borrowed(|executor| executor.reactor().sources_len()).unwrap()
    }

    fn begin_to_wait<S: std::os::fd::AsFd>(socket: &Socket<S>) {
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(socket.poll_ready(cx, Direction::Read).is_pending());
        assert!(socket.poll_event(cx, Interest::Closed).is_pending());
    }

    #[test]
    fn a_socket_that_leaves_on_any_thread_leaves_no_source() {
        let runtime = Runtime::new().unwrap();
        let (mut stream, _peer) = UnixStream::pair().unwrap();
        for _ in 0..3 {
            let socket = Socket::new(stream);
            runtime.block_on(async { begin_to_wait(&socket) });
            stream = thread::spawn(move || socket.into_io()).join().unwrap();
            let socket = Socket::new(stream);
            runtime.block_on(async { begin_to_wait(&socket) });
            stream = socket.into_io();
            stream = runtime.block_on(async {
                let socket = Socket::new(stream);
                begin_to_wait(&socket);
                socket.into_io()
            });
            runtime.poll();
            runtime.block_on(async { assert_eq!(sources(), 0) });
        }
    }
}
