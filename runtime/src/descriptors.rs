//! The number of open file descriptors, the limit, and a future that waits for a free one.
//!
//! # How it works
//!
//! The number is that of the process, not of the runtime: it includes files, pipes and the sockets of other
//! threads. Since Linux 6.2, the size of `/proc/self/fd` is the number (300 ns). On older kernels, the folder
//! is listed. Without `/proc`, only [`held`] works, which counts the sockets of this crate. The crate is for
//! Linux and has no way of counting for other systems.
//!
//! A task that has no descriptor left awaits [`freed`]. It completes when a socket of this runtime closes. The
//! kernel reports no event when other code closes a descriptor, so the task should also ask again from time to
//! time.
//!
//! # Invariants
//!
//! - Always: each call measures. A caller may cache the result.
//! - Always: each call works on any thread at any time, also while the thread ends.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::{io, mem};

use crate::context;
use crate::directory::run_in;
use crate::local_queue::{self, RuntimeId};
use crate::nodes::{self, Origin, Subject};
use crate::notify::NotifyWaiter;
pub use crate::probe::Holders;
use crate::probe::{Probe, soft_limit};

thread_local! {
    /// The probe of this thread. It is the only thread-local of the crate with a destructor, which closes its
    /// descriptor.
    static PROBE: RefCell<Option<Probe>> = const { RefCell::new(None) };
}

/// The number of open sockets of this crate's types, in all threads.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of descriptors that this process has open, of all kinds and in all threads.
///
/// The first call on a thread opens a descriptor, and keeps it until the thread ends. A call while the locals
/// of the thread are dropped closes its descriptor again.
///
/// # Errors
///
/// Fails if there is no `/proc`. [`held`] works without it.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::descriptors;
///
/// let before = descriptors::open()?;
/// let file = std::fs::File::open("/dev/null")?;
/// assert!(descriptors::open()? > before);
/// # drop(file);
/// # std::io::Result::Ok(())
/// ```
pub fn open() -> io::Result<usize> {
    with_probe(Probe::open_count)
}

/// Counts the open descriptors of this process by kind, for a log or a page of metrics.
///
/// It makes a system call for each descriptor. All numbers are zero if there is no `/proc`.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::descriptors;
///
/// let before = descriptors::holders();
/// let file = std::fs::File::open("/dev/null")?;
/// assert!(descriptors::holders().files > before.files);
/// # drop(file);
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn holders() -> Holders {
    with_probe(Probe::holders).unwrap_or_default()
}

/// Calls `ask` with the probe of this thread.
fn with_probe<T>(ask: impl Fn(&Probe) -> io::Result<T>) -> io::Result<T> {
    let asked = PROBE.try_with(|probe| match &mut *probe.borrow_mut() {
        Some(probe) => ask(probe),
        none => ask(none.insert(Probe::new()?)),
    });
    // If the thread is ending, its probe is gone, and this call opens a probe of its own.
    asked.unwrap_or_else(|_| ask(&Probe::new()?))
}

/// Returns the number of descriptors that this process may have open: the present soft limit (`getrlimit(2)`,
/// `RLIMIT_NOFILE`). Returns `usize::MAX` if there is no limit.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::descriptors;
///
/// let free = descriptors::limit().saturating_sub(descriptors::open()?);
/// assert!(free > 0);
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn limit() -> usize {
    soft_limit()
}

/// Returns the number of open sockets of this crate's types, in all threads.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{descriptors, net::TcpListener};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// assert!(descriptors::held() >= 1); // other threads may hold more
/// # drop(listener);
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Completes when a socket of this thread's runtime closes after this call.
///
/// A close between this call and the first poll counts. The future is `Send`, and belongs to this runtime.
///
/// # Panics
///
/// Panics outside a runtime. The future panics if it is polled outside this runtime.
///
/// # Cancel safety
///
/// Safe.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, descriptors, net::TcpListener};
///
/// block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let freed = descriptors::freed();
///     drop(listener);
///     freed.await; // completes, because the listener has closed
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[track_caller]
pub fn freed() -> impl Future<Output = ()> + Send + use<> {
    let origin = Origin::here("free descriptor");
    context::with("descriptors::freed", "called", |executor| Freed {
        origin,
        runtime: executor.id(),
        // The count is read in the call, not in the first poll. So a close between the two is not missed.
        wait: NotifyWaiter::since(executor.freed().times()),
    })
}

/// The future of [`freed`]: plain data, like a sleep.
struct Freed {
    runtime: RuntimeId,
    wait: NotifyWaiter,
    origin: Origin,
}

impl Future for Freed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let freed = context::with("descriptors::freed", "polled", |executor| {
            executor.expect_own(self.runtime, "descriptors::freed", "polled");
            executor.freed().clone()
        });
        if self.wait.poll(&freed, cx).is_ready() {
            return Poll::Ready(());
        }
        nodes::waits(cx, self.origin, || Subject::None)
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        // Most of these futures are dropped without a wait.
        if !self.wait.is_waiting() {
            return;
        }
        let mut wait = mem::replace(&mut self.wait, NotifyWaiter::since(0));
        let mut leave = move || {
            if let Some(freed) = context::with_borrowed(|executor| executor.freed().clone()) {
                wait.leave(&freed);
            }
        };
        // The list of waiters belongs to the runtime's thread. On another thread, a message removes the waker.
        if local_queue::runtime() == Some(self.runtime) {
            leave();
        } else {
            run_in(self.runtime, leave);
        }
    }
}

/// Counts a socket that was opened.
pub(crate) fn opened() {
    // Relaxed: the number orders no other data.
    HELD.fetch_add(1, Ordering::Relaxed);
}

/// Counts a socket that was closed on this thread, and wakes the tasks that wait for that.
pub(crate) fn closed() {
    HELD.fetch_sub(1, Ordering::Relaxed);
    notify_freed();
}

/// Wakes the tasks of this thread's runtime that await [`freed`].
pub(crate) fn notify_freed() {
    let waited_for = context::with_borrowed(|executor| {
        let freed = executor.freed();
        freed.count().then(|| freed.clone())
    });
    // The wakers may be foreign, so they are woken while the context is not borrowed.
    if let Some(freed) = waited_for.flatten() {
        freed.wake_all();
    }
}
