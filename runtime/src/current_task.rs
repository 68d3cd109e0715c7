//! The task that is being polled, so that a leaf can keep its id instead of a clone of its waker.
//!
//! # How it works
//!
//! A leaf receives only a `Waker`. If its address is that of the waker that the executor has made for
//! this poll, the task being polled is the one that waits. Then its id is as good as a clone of the
//! waker: the id costs no atomic exchange to keep, runs no foreign code, and has no effect once the task
//! has ended. Any other waker (the root's, a combinator's own) is kept as it is, beside the task that it
//! was used in.
//!
//! Events are collected between polls only. So a task that has asked the reactor once in a poll need
//! not ask again: the answer would be the same. The last source that was asked is stored here.
//!
//! # Invariants
//!
//! - Always: the address is that of a waker that lives; outside a poll it is null.
//! - Always: the source that was asked last would wake this task, and has had no event since.

use std::cell::Cell;
use std::ptr;
use std::task::Waker;

use crate::local_queue::{RuntimeId, TaskId};
use crate::reactor::SourceId;

/// The source of a socket, and the runtime that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) runtime: RuntimeId,
    pub(crate) source: SourceId,
}

struct Current {
    waker: Cell<*const Waker>,
    task: Cell<TaskId>,
    asked: Cell<Option<Registered>>,
}

thread_local! {
    static CURRENT: Current = const {
        Current {
            waker: Cell::new(ptr::null()),
            task: Cell::new(TaskId::ROOT),
            asked: Cell::new(None),
        }
    };
}

/// Runs one poll of a task, with this waker. `poll` must not panic: the address would outlive the waker.
#[inline]
pub(crate) fn during<T>(task: TaskId, waker: &Waker, poll: impl FnOnce() -> T) -> T {
    CURRENT.with(|current| {
        current.waker.set(waker);
        current.task.set(task);
        current.asked.set(None);
        let result = poll();
        current.waker.set(ptr::null());
        result
    })
}

/// Forgets the poll, because this thread enters a runtime in which no task is being polled yet. Returns
/// the argument of [`resume`].
pub(crate) fn suspend() -> *const Waker {
    CURRENT.with(|current| current.waker.replace(ptr::null()))
}

/// Goes on with a poll that was suspended.
pub(crate) fn resume(waker: *const Waker) {
    CURRENT.with(|current| current.waker.set(waker));
}

/// Returns the task being polled if this is the waker of its poll.
#[inline]
pub(crate) fn task(waker: &Waker) -> Option<TaskId> {
    CURRENT.with(|current| ptr::eq(current.waker.get(), waker).then(|| current.task.get()))
}

/// Returns the task being polled, if there is one, and the waker if it is not that task's own.
#[inline]
pub(crate) fn waiting(waker: &Waker) -> (Option<TaskId>, Option<&Waker>) {
    CURRENT.with(|current| {
        let polled_with = current.waker.get();
        let task = (!polled_with.is_null()).then(|| current.task.get());
        (task, (!ptr::eq(polled_with, waker)).then_some(waker))
    })
}

/// Returns the source that the task being polled has asked last. It would wake this task for reading.
#[inline]
pub(crate) fn asked() -> Option<Registered> {
    CURRENT.with(|current| current.asked.get())
}

/// `None`: no source is known that would wake the task.
#[inline]
pub(crate) fn set_asked(place: Option<Registered>) {
    CURRENT.with(|current| current.asked.set(place));
}
