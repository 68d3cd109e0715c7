//! Containment of panics in foreign code: in wakers, destructors and closures of users.
//!
//! # How it works
//!
//! The runtime calls foreign code in places where a panic would skip the rest of a list of wakers, or lose a
//! task's slot or a thread of the pool. In these places the runtime calls it through this module, which
//! catches the panic. The panic is not silent, because the panic hook has printed it before.
//!
//! # Invariants
//!
//! - Always: the runtime continues after the call that panicked.
//! - Never: a panic payload dropped here. Its destructor is also foreign code and may panic again.

use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

thread_local! {
    /// The number of tasks of this thread that have panicked.
    static OF_TASKS: Cell<u64> = const { Cell::new(0) };
}

/// Returns the number of tasks of this thread that have panicked, for the hook.
pub(crate) fn of_tasks() -> u64 {
    OF_TASKS.get()
}

/// Counts a task that has panicked.
#[cold]
pub(crate) fn count_task() {
    OF_TASKS.set(OF_TASKS.get() + 1);
}

/// Calls `f`. Returns `None` if it panics.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Option<T> {
    // Unwind safe: the caller never sees a value of the user that the panic has left half changed. The payload
    // leaks, because the drop of it could panic in a place that cannot bear it.
    catch_unwind(AssertUnwindSafe(f)).map_err(mem::forget).ok()
}

/// Drops a value of a user, and contains a panic of its destructor.
pub(crate) fn discard<T>(value: T) {
    contain(|| drop(value));
}

/// Wakes a waker that may be foreign, and contains its panic.
pub(crate) fn wake(waker: Waker) {
    contain(|| waker.wake());
}

/// Wakes all wakers, also if some of them panic.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(wake);
}
