//! The operations of all sockets: each tries its system call, and waits when the kernel is not ready.
//!
//! # How it works
//!
//! A [`Socket`] is plain data: a descriptor and its [`Registration`]. A program can make it outside a runtime and
//! move it to another thread. It registers with the runtime in which it first has to wait.
//!
//! Each operation has two forms, because a future can be dropped, and a poll function can only stop being
//! called. [`poll_io`](Socket::poll_io) is a poll function, and the source remembers its waiter.
//! [`perform`](Socket::perform) is a future and owns a [`WaiterPlace`], which its drop frees. The future of
//! `AsyncReadExt::read` calls a poll function, so it counts as one.
//!
//! # The order of a read
//!
//! 1. If the task has asked this socket in this poll and `known` is not ready, it waits (`waits_unseen`).
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
//! `current_task::asked` returns this source, so the task is still its reader and there is no news.
//!
//! # Invariants
//!
//! - Always: only `WouldBlock`, a short read and a short write clear readiness. So an `accept` that fails with
//!   EMFILE leaves the listener ready. This matters because the kernel reports no further edge for the
//!   connections that are in the queue already.

use std::any::type_name;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use super::registration::{At, Registration, WaiterPlace};
use crate::budget;
use crate::causes::Call;
use crate::nodes;
use crate::points;
use crate::source::{Direction, Interest, Readiness};
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

impl<S: AsFd> Socket<S> {
    /// Makes a socket of a non-blocking descriptor.
    pub(crate) fn new(io: S) -> Self {
        Self {
            registration: Registration::new(Readiness::UNTRIED),
            io,
        }
    }

    /// Makes a socket whose operations wait for an event first, because a try would report a wrong end. A named
    /// pipe without a writer is one.
    pub(crate) fn new_unready(io: S) -> Self {
        Self {
            registration: Registration::new(Readiness::default()),
            io,
        }
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
        poll_fn(|cx| self.poll_io_at(cx, interest, place.at(), cost, &mut operation)).await
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
        if direction == Direction::Read && self.registration.waits_already(cx.waker()) {
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
        poll_fn(|cx| self.poll_event_at(cx, interest, place.at())).await
    }

    /// Both forms of the wait for an event.
    fn poll_event_at(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        at: At<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(budget::poll_spend(cx, 1));
        self.registration.ensure_without_guess(&self.io)?;
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
        if self.registration.waits_unseen(cx.waker()) {
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
