//! Foreign code that panics: wakers, destructors and closures of users.
//!
//! # How it works
//!
//! The runtime calls foreign code in many places where a panic would do harm: it would skip the rest of a
//! list of wakers, or lose a task's slot or a thread of the pool. There this module contains the panic. The
//! panic hook has printed it by then, so it is not silent.
//!
//! # Invariants
//!
//! - Always: the call after the one that panicked is made.
//! - Never: a panic payload dropped. Its destructor is foreign code, too, and may panic again.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Calls `f`. Returns `None` if it panics.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).map_err(mem::forget).ok()
}

/// Drops a value that belongs to a user.
pub(crate) fn discard<T>(value: T) {
    contain(|| drop(value));
}

/// Wakes a waker that may be foreign.
pub(crate) fn wake(waker: Waker) {
    contain(|| waker.wake());
}

/// Wakes all of them, also if some of them panic.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(wake);
}
