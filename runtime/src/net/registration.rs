//! The registration of a socket with a reactor, and the socket's own copy of its readiness.
//!
//! # How it works
//!
//! A [`Registration`] answers one question before each try of an operation: must the task wait
//! ([`must_wait`](Registration::must_wait))? If it must, the task is stored as a waiter. After the try, the socket
//! stores here what the try has shown ([`clear`](Registration::clear), [`block`](Registration::block),
//! [`note`](Registration::note)).
//!
//! The socket registers when it first has to wait. An operation that succeeds at once needs no registration. So a
//! connection that never has to wait costs no `epoll_ctl`.
//!
//! ```text
//!            tried: done                    tried: WouldBlock, or asked to wait
//!  unregistered ────────► unregistered      unregistered ────────────────► registered
//! ```
//!
//! Registering reports readiness that already exists. So no event is lost between the try and the wait.
//!
//! The copy of the readiness is here so that an operation that can succeed does not ask the reactor first.
//! `source` lists the flags. A task that has asked in this poll and has read everything does not ask again;
//! `current_task` lists the steps.
//!
//! # State
//!
//! | state | place | set when | cleared when | read by |
//! |---|---|---|---|---|
//! | `guess` | socket | made: `UNTRIED`, or empty by `new_unready`; a peek sees bytes | short transfer, `WouldBlock`: that direction; registered: all | `must_wait` of an unregistered socket |
//! | `known` | socket | registered: `guess` moves here; the socket asks: the news is added; a peek sees bytes | short transfer: `READABLE` or `WRITABLE`; `WouldBlock`: all flags of the direction; registered by `poll_event`: all | `must_wait`, `waits_already`, `waits_unseen` |
//! | `news` | source | an event comes | the socket asks: all | `ask_as`, `ask`, `take_news` |
//! | `reader` | source | a task calls `ask_as`, also if the answer is `Ready` | an event makes reading ready; the task has ended and another one asks; the socket closes | `deliver` |
//! | `asked` | thread | `ask_as` has made this task the reader | the next poll begins; a socket registers | `waits_already`, `waits_unseen` |
//!
//! An event changes only `news` and `reader`. `known` changes when the woken task asks.
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
//! - Always: a descriptor that leaves the runtime on any thread is removed from epoll.
//! - Always: only the thread of its runtime stores readiness into a registered socket. A thread outside may call
//!   the operations, but it learns no readiness from them, and a wait there panics.
//! - Never: `epoll_ctl` more than once in a socket's life, unless it leaves the runtime.

use std::any::type_name;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};

use crate::context;
use crate::current_task::{self, Registered};
use crate::descriptors;
use crate::directory::{deregister_from, run_in};
use crate::executor::Executor;
use crate::local_queue::{self, RuntimeId, TaskId};
use crate::nodes;
use crate::panics;
use crate::points;
use crate::reactor::{Answer, SourceId, Wanted};
use crate::source::{Direction, Interest, Known, Readiness, SocketWaiter, Source, WaiterKey};

/// The place for a waiter: a future's own. `None` is the list of remembered waiters.
pub(super) type At<'a> = Option<&'a mut Option<WaiterKey>>;

/// The mark of a socket that has no runtime. No runtime has this id, and no thread is inside one with it.
const NO_RUNTIME: u32 = u32::MAX;

/// The registration of a socket with a runtime, and the socket's own copy of its readiness.
///
/// Its fields are atomic, so that a future that borrows a socket is `Send`. No two threads have to agree on
/// them: after the socket has registered, only the thread of its runtime stores into them.
pub(super) struct Registration<S> {
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
    /// Makes a registration of a socket that is not registered. `guess` is the readiness until then.
    pub(super) fn new(guess: Readiness) -> Self {
        descriptors::opened();
        Self {
            runtime: AtomicU32::new(NO_RUNTIME),
            source: AtomicU32::new(0),
            known: Known::new(Readiness::default()),
            guess: Known::new(guess),
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
    pub(super) fn ensure(&self, io: &impl AsFd) -> io::Result<bool> {
        if self.runtime.load(Relaxed) != NO_RUNTIME {
            return Ok(false);
        }
        self.register(io.as_fd())?;
        Ok(true)
    }

    /// Like [`ensure`](Self::ensure), for a wait without an operation.
    pub(super) fn ensure_without_guess(&self, io: &impl AsFd) -> io::Result<()> {
        if self.ensure(io)? {
            // No operation follows that would prove the guess wrong. Registering reports the readiness that exists.
            self.known.set(points::if_watched(Readiness::WATCHED));
        }
        Ok(())
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
    pub(super) fn must_wait(
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

    /// Returns true if the task has asked in this poll and has read everything. Then there is no news, because
    /// events are delivered only between polls, and the next event wakes the task.
    pub(super) fn waits_already(&self, waker: &Waker) -> bool {
        self.has_asked(waker) && !self.known.get().satisfies(Interest::Read)
    }

    /// The same, outside a runtime that is watched: then the wait needs no report, and the check is inlined.
    #[inline]
    pub(super) fn waits_unseen(&self, waker: &Waker) -> bool {
        self.has_asked(waker) && self.known.get().waits_unseen()
    }

    #[inline]
    fn has_asked(&self, waker: &Waker) -> bool {
        // By numbers, so that it is two comparisons. No runtime has the number zero. // LOG R5
        let asked = current_task::asked();
        asked.map_or(0, |asked| asked.runtime.number()) == self.runtime.load(Relaxed)
            && asked.is_some_and(|asked| asked.source.as_raw() == self.source.load(Relaxed))
            && current_task::task(waker).is_some()
    }

    /// Asks the reactor for a task that wants to read. Returns true if the task must wait.
    #[inline(never)] // LOG R3
    fn ask_as(&self, task: TaskId, waker: &Waker) -> bool {
        let place = self.place();
        let asked = place.and_then(|place| {
            context::within(place.runtime, |executor| {
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
    pub(super) fn misplaced(&self) -> ! {
        context::with(type_name::<S>(), "polled", |executor| {
            if let Some(place) = self.place() {
                executor.expect_own(place.runtime, type_name::<S>(), "polled");
            }
        });
        unreachable!("a socket that waits is registered with the runtime it is in")
    }

    /// Returns true if the reactor has reported `interest`.
    pub(super) fn is_ready(&self, interest: Interest) -> bool {
        // Without a registration, the copy has no flags.
        if let Some(news) = self.here(|executor, source| executor.reactor().take_news(source)) {
            self.known.set(self.known.get().and(news));
        }
        self.known.get().satisfies(interest)
    }

    /// Stores the readiness that an operation has shown. This has no effect on a thread outside the socket's
    /// runtime, because its store could undo one of the runtime's thread.
    #[inline]
    pub(super) fn note(&self, change: impl Fn(Readiness) -> Readiness) {
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
    pub(super) fn clear(&self, direction: Direction) {
        self.note(|known| known.cleared(direction));
    }

    /// Clears a direction for which the kernel has returned `WouldBlock`. Returns false outside the socket's
    /// runtime.
    #[cold] // A socket that remembers its readiness rarely meets `WouldBlock` after its first wait.
    pub(super) fn block(&self, direction: Direction) -> bool {
        if self.place().is_none() {
            self.guess.set(self.guess.get().blocked(direction));
        }
        let here = self.here(|_, _| self.known.set(self.known.get().blocked(direction)));
        here.is_some()
    }

    /// Calls `f` if this thread is inside the runtime of the registration. `f` must not call user code.
    fn here<T>(&self, f: impl FnOnce(&Executor, SourceId) -> T) -> Option<T> {
        let place = self.place()?;
        context::within(place.runtime, |executor| f(executor, place.source))
    }

    /// Deregisters a descriptor that may stay open, which closing this one would not do.
    pub(super) fn undo(&self, io: &impl AsFd) {
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
            Some(source) => source.into_iter().for_each(wake_all),
            None => run_in(place.runtime, move || forgotten_elsewhere(place.source)),
        }
    }
}

/// Completes the drop of a socket on another thread. It runs in the socket's runtime.
fn forgotten_elsewhere(source: SourceId) {
    let source = context::with_borrowed(|executor| executor.reactor().forget(source));
    source.flatten().into_iter().for_each(wake_all);
    descriptors::notify_freed();
}

/// Wakes all tasks that wait for a socket that is gone.
fn wake_all(source: Source) {
    let mut wakers = Vec::new();
    context::with_borrowed(|executor| {
        source.wake_all(&mut wakers, |task| executor.wake_task(task));
    });
    panics::wake_all(wakers);
}

/// The place of a future among the waiters of a socket. Dropping this frees the place.
pub(super) struct WaiterPlace<'a, S> {
    registration: &'a Registration<S>,
    /// The place in the source. `None` until the future has to wait.
    key: Option<WaiterKey>,
}

impl<'a, S> WaiterPlace<'a, S> {
    pub(super) fn new(registration: &'a Registration<S>) -> Self {
        Self {
            registration,
            key: None,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the form of `At`")]
    pub(super) fn at(&mut self) -> At<'_> {
        Some(&mut self.key)
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
            None => run_in(place.runtime, move || left_elsewhere(place.source, key)),
        }
    }
}

/// Completes the drop of a future outside the runtime. It runs in the runtime.
fn left_elsewhere(source: SourceId, key: WaiterKey) {
    panics::discard(context::with_borrowed(|executor| {
        executor.reactor().leave(source, key)
    }));
}
