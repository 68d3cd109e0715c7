//! The runtime that this thread is inside, and the handle by which other threads reach a runtime.
//!
//! # How it works
//!
//! A thread enters a runtime for each call of [`Runtime`](crate::Runtime), and leaves it at the end of the
//! call. In between, `spawn`, sleeps and sockets find the executor in a thread-local. There are two ways to
//! it:
//!
//! | way | for | cost |
//! |---|---|---|
//! | [`with_borrowed`], [`within`] | code that calls no user code | a borrow |
//! | [`try_with`], [`with`] | code that may call user code, which may enter or leave a runtime | a clone of an `Rc` |
//!
//! # Invariants
//!
//! - Never: foreign code called while the thread-local is borrowed.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::budget;
use crate::current_task;
use crate::executor::Executor;
use crate::instant::Instant;
use crate::join_handle::JoinHandle;
use crate::local_queue::{Entered, RuntimeId};
use crate::points;
use crate::remote::Remote;
use crate::timers;
use crate::watch::Place;

thread_local! {
    // The `ManuallyDrop` removes the destructor, so that an access is a plain load. No destructor is needed: a
    // thread that has entered a runtime leaves it again, and then this is `None`. // LOG R1
    static CURRENT: ManuallyDrop<RefCell<Option<Rc<Executor>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Returns the executor that this thread is inside. Returns `None` outside a runtime.
fn current() -> Option<Rc<Executor>> {
    CURRENT.with(|current| current.borrow().clone())
}

/// Sets the executor that this thread is inside. Returns the one before.
fn replace(executor: Option<Rc<Executor>>) -> Option<Rc<Executor>> {
    CURRENT.with(|current| current.replace(executor))
}

/// Calls `f` with the executor that this thread is inside. Returns `None` outside a runtime.
pub(crate) fn try_with<T>(f: impl FnOnce(&Executor) -> T) -> Option<T> {
    current().as_deref().map(f)
}

/// Like [`try_with`], but borrows the thread-local instead of cloning the `Rc`. So `f` must not call user code,
/// which could enter or leave a runtime.
pub(crate) fn with_borrowed<T>(f: impl FnOnce(&Executor) -> T) -> Option<T> {
    CURRENT.with(|current| current.borrow().as_deref().map(f))
}

/// Like [`with_borrowed`], if this thread is inside the runtime with this id. Returns `None` in any other place.
pub(crate) fn within<T>(runtime: RuntimeId, f: impl FnOnce(&Executor) -> T) -> Option<T> {
    with_borrowed(|executor| (executor.id() == runtime).then(|| f(executor)))?
}

/// Like [`try_with`], for code that needs a runtime.
///
/// # Panics
///
/// Panics outside a runtime. The message names `what` and `operation`.
#[track_caller]
pub(crate) fn with<T>(what: &str, operation: &str, f: impl FnOnce(&Executor) -> T) -> T {
    f(&expect_current(what, operation))
}

/// Returns the executor that this thread is inside.
///
/// # Panics
///
/// Panics outside a runtime. The message names `what` and `operation`.
#[track_caller]
#[inline]
fn expect_current(what: &str, operation: &str) -> Rc<Executor> {
    let Some(executor) = current() else {
        outside(what, operation);
    };
    executor
}

/// Panics with a message that names our type.
#[cold]
#[track_caller]
fn outside(what: &str, operation: &str) -> ! {
    // A socket is named after its type of the standard library, and the user knows ours.
    let of_std = what.strip_prefix("std::");
    let what = match of_std.and_then(|name| name.rsplit("::").next()) {
        Some(name) => format!("a waterwheel::runtime::net::{name}"),
        None => what.to_owned(),
    };
    panic!(
        "{what} was {operation} outside a Waterwheel runtime: do it within `waterwheel::runtime::block_on` or \
         `Runtime::block_on`. Or is tokio's runtime meant? Its tasks do not run here, and ours do not run there"
    );
}

/// A guard that keeps this thread inside a runtime. When it drops, the thread is inside the runtime that it was
/// inside before, if there was one.
pub(crate) struct Inside {
    outer: Option<Rc<Executor>>,
    outer_turn: Option<Instant>,
    /// The poll in which the thread has entered this runtime; see [`current_task::suspend`].
    outer_poll: *const Waker,
    outer_budget: budget::Left,
    _queue: Entered,
    /// Restores the points of the outer runtime.
    _points: points::Switch,
}

impl Inside {
    pub(crate) fn enter(executor: &Rc<Executor>) -> Self {
        // Each thread-local of a runtime is saved here and restored in the drop, in the opposite order. // LOG S6
        let points = executor.reports().enter();
        let queue = executor.queue().enter();
        let outer = replace(Some(executor.clone()));
        let again = outer
            .as_ref()
            .is_some_and(|outer| Rc::ptr_eq(outer, executor));
        // Time may have passed outside since the last turn. A thread that enters its own runtime again is
        // still in that turn.
        let turn = if again {
            timers::of_turn()
        } else {
            Some(executor.timers().read_clock())
        };
        Self {
            outer,
            outer_turn: timers::enter(turn),
            outer_poll: current_task::suspend(),
            outer_budget: budget::replace(None),
            _queue: queue,
            _points: points,
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        budget::replace(Some(self.outer_budget));
        current_task::resume(self.outer_poll);
        timers::enter(self.outer_turn);
        // The drop of the executor may call user code, so it comes after the borrow in `replace`.
        let inner = replace(self.outer.take());
        drop(inner);
    }
}

/// Runs `future` as a task of its own, beside all other tasks on this thread.
///
/// The future need not be `Send`, because it never leaves this thread. It runs even if the handle is not
/// awaited. If it panics, the handle returns the panic, and the other tasks continue. A task that still runs
/// when [`block_on`](crate::block_on) returns is dropped.
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use waterwheel::runtime::{block_on, spawn};
///
/// block_on(async {
///     let count = Rc::new(Cell::new(0));
///     let tasks: Vec<_> = (0..3)
///         .map(|_| {
///             let count = count.clone();
///             spawn(async move { count.set(count.get() + 1) })
///         })
///         .collect();
///     for task in tasks {
///         task.await.unwrap();
///     }
///     assert_eq!(count.get(), 3);
/// });
/// ```
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    expect_current("a task", "spawned").spawn(future, Place::here())
}

/// Runs `future` as a task of its own without a handle. This costs less than [`spawn`] and
/// [`JoinHandle::detach`].
///
/// If the future panics, the panic hook prints the panic, the task ends, and the other tasks continue.
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use waterwheel::runtime::{block_on, spawn_detached, yield_now};
///
/// let seen = Rc::new(Cell::new(false));
/// block_on({
///     let seen = seen.clone();
///     async move {
///         spawn_detached(async move { seen.set(true) });
///         yield_now().await;
///     }
/// });
/// assert!(seen.get());
/// ```
#[track_caller]
pub fn spawn_detached<F: Future<Output = ()> + 'static>(future: F) {
    expect_current("a task", "spawned").spawn_detached(future, Place::here());
}

/// A handle by which other threads spawn tasks in a runtime and wake it.
///
/// It is `Send`, `Sync` and cheap to clone. It does not keep the runtime alive, but one descriptor (an
/// eventfd) stays open until the last handle is dropped.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
/// use waterwheel::runtime::{Handle, block_on, time::sleep};
///
/// block_on(async {
///     let (sender, receiver) = mpsc::channel();
///     let handle = Handle::current();
///     std::thread::spawn(move || {
///         // Only the closure is sent. It makes the future on the runtime's thread, so the future need
///         // not be `Send`.
///         handle.spawn_with(move || async move { sender.send(7).unwrap() }).unwrap();
///     });
///     while receiver.try_recv().is_err() {
///         sleep(std::time::Duration::from_millis(1)).await;
///     }
/// });
/// ```
#[derive(Clone)]
pub struct Handle {
    remote: Arc<Remote>,
}

impl Handle {
    /// Returns a handle to the runtime that this thread is inside.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        with("Handle::current", "called", Self::of)
    }

    pub(crate) fn of(executor: &Executor) -> Self {
        Self {
            remote: executor.remote().clone(),
        }
    }

    /// Returns the inbox of the runtime.
    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// Ends the wait of [`Runtime::poll_timeout`]. If the runtime does not wait now, its next wait ends at
    /// once. Several calls before that count as one.
    ///
    /// [`Runtime::poll_timeout`]: crate::Runtime::poll_timeout
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// let handle = runtime.handle();
    /// std::thread::spawn(move || handle.wake());
    /// runtime.poll_timeout(Duration::from_secs(60)); // returns when the thread calls `wake`
    /// # std::io::Result::Ok(())
    /// ```
    pub fn wake(&self) {
        self.remote.nudge();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("runtime", &self.remote.id())
            .finish()
    }
}

/// The runtime has ended.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Handle, RuntimeGone, block_on};
///
/// let handle = block_on(async { Handle::current() });
/// // The runtime has ended with `block_on`.
/// let gone: RuntimeGone = handle.spawn_with(|| async {}).unwrap_err();
/// assert_eq!(gone.to_string(), "the runtime has ended");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeGone(());

impl RuntimeGone {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for RuntimeGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime has ended")
    }
}

impl std::error::Error for RuntimeGone {}
