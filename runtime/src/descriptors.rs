//! The number of open file descriptors, the limit, and a future that waits for a free one.
//!
//! # How it works
//!
//! The count is the process's, not the runtime's: files, pipes and the sockets of other threads
//! count like our own. Since Linux 6.2 the size of `/proc/self/fd` is the count (300 ns); on older
//! kernels the folder is listed. Without `/proc`, only the sockets of this crate are counted ([`held`]).
//! The crate is for Linux; there is no way of counting for other systems.
//!
//! A task that is out of descriptors waits for [`freed`]: each socket of this runtime that closes
//! completes it. The kernel reports no event when other code closes a descriptor, so look again from time
//! to time as well.
//!
//! # Invariants
//!
//! - Always: measured at each call. A caller may cache the result.
//! - Always: works on any thread at any time, also while the thread ends.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::context;
pub use crate::probe::Holders;
use crate::probe::{Probe, soft_limit};

thread_local! {
    /// The only thread-local of the crate with a destructor: it closes a descriptor.
    static PROBE: RefCell<Option<Probe>> = const { RefCell::new(None) };
}

/// The number of sockets that this crate's types hold, in all threads.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of descriptors that this process has open, of all kinds and all threads.
///
/// The first call on a thread opens one itself, and keeps it until the thread ends. A call while the
/// thread's locals are dropped closes it again.
///
/// # Errors
///
/// If there is no `/proc`. [`held`] works without it.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::descriptors;
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

/// Counts the open descriptors of this process by kind, for a log or a page of numbers. It looks at each
/// descriptor. All numbers are zero if there is no `/proc`.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::descriptors;
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

fn with_probe<T>(ask: impl Fn(&Probe) -> io::Result<T>) -> io::Result<T> {
    let asked = PROBE.try_with(|probe| match &mut *probe.borrow_mut() {
        Some(probe) => ask(probe),
        none => ask(none.insert(Probe::new()?)),
    });
    // The thread is ending, and its probe is gone: one for this call.
    asked.unwrap_or_else(|_| ask(&Probe::new()?))
}

/// Returns the number of descriptors that this process may have open: the soft limit (`getrlimit(2)`,
/// `RLIMIT_NOFILE`) as it is now; `usize::MAX` if there is no limit.
#[must_use]
pub fn limit() -> usize {
    soft_limit()
}

/// Returns the number of sockets that this crate's types hold, in all threads.
#[must_use]
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Completes when a socket of this thread's runtime is closed, after this call.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping it is harmless; a close that happens between this call and its first poll counts.
#[track_caller]
pub fn freed() -> impl Future<Output = ()> + use<> {
    let freed = context::with("descriptors::freed", "called", |executor| {
        executor.freed().clone()
    });
    let seen = freed.times();
    async move { freed.changed_since(seen).await }
}

pub(crate) fn opened() {
    HELD.fetch_add(1, Ordering::Relaxed);
}

/// A socket has been closed on this thread.
pub(crate) fn closed() {
    HELD.fetch_sub(1, Ordering::Relaxed);
    notify_freed();
}

/// Wakes the tasks that wait here for a socket to be closed.
pub(crate) fn notify_freed() {
    let waited_for = context::with_borrowed(|executor| {
        let freed = executor.freed();
        freed.count().then(|| freed.clone())
    });
    if let Some(freed) = waited_for.flatten() {
        freed.wake_all();
    }
}
