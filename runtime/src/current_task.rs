//! The task that is being polled: a leaf can keep its id instead of a clone of its waker.
//!
//! # How it works
//!
//! A leaf receives only a `Waker`. The executor stores the address of the waker that it has made for this
//! poll, and the id of the task. If a leaf's waker has that address, the leaf belongs to that task. Then
//! the id serves as well as a clone of the waker. Keeping the id costs no atomic exchange and runs no foreign
//! code, and the id has no effect after the task has ended. A leaf keeps a clone of any other waker (that of
//! `block_on`, or a combinator's own), together with the task in which it was used.
//!
//! # How a read waits without a waker
//!
//! *Case A: the task's own waker.* A task awaits `stream.read(…)`, or calls `poll_read`:
//!
//! | step | file | function |
//! |---|---|---|
//! | 1. The executor polls the task, and stores its id and the address of its waker. | `task_table`, `current_task` | `run`, [`during`] |
//! | 2. The read knows of no bytes. The socket compares the address, and gets the id. | `net/registration`, `current_task` | `must_wait`, [`task`] |
//! | 3. The socket asks the reactor for news. The reactor stores the id as the reader. | `net/registration`, `reactor`, `source` | `ask_as`, `set_reader` |
//! | 4. There is no news. The socket is stored here as the one that the task has asked. | `current_task` | [`set_asked`] |
//! | 5. The task returns `Pending`. The executor waits in epoll. | `executor`, `reactor` | `park` |
//! | 6. An event comes. The source takes out the id, and the executor queues it. | `source`, `executor`, `local_queue` | `deliver`, `push_first` |
//! | 7. The next turn polls the task, as in step 1. The read takes the news and calls `recv`. | `net/socket` | `poll_read` |
//! | 8. The task reads again. The socket is the one that it has asked, and no event can have come. So it waits without asking. | `net/registration`, `current_task` | `waits_unseen`, [`asked`] |
//!
//! No waker was cloned, called through its vtable or dropped.
//!
//! *Case B: another waker.* The read stands inside a combinator that makes wakers of its own, or in the future
//! of `block_on`. The address differs, so [`task`] returns `None` in step 2. Step 3 is then `ask`. It stores
//! a clone of the waker as a remembered waiter, beside the id of the task if there is one: when the list is
//! full, the waiters of ended tasks are removed. In step 6, the source moves the waker into the list of due wakers, and
//! the executor wakes it at the end of the turn.
//!
//! # Invariants
//!
//! - Always: the address is null outside a poll. Within a poll it is that of a living waker.
//! - Always: the source that was asked last wakes this task at its next event. It has had no event since the
//!   task asked, because events are delivered only between polls.

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
    /// The address of the waker of this poll. It is only compared, and never read through.
    waker: Cell<*const Waker>,
    task: Cell<TaskId>,
    /// The source that the task has asked last in this poll.
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

/// Runs one poll of a task with this waker. `poll` must not panic, because the address would stay.
#[inline]
pub(crate) fn during<T>(task: TaskId, waker: &Waker, poll: impl FnOnce() -> T) -> T {
    CURRENT.with(|current| {
        current.waker.set(waker);
        current.task.set(task);
        current.asked.set(None);
        // No guard clears the address in case of a panic: the trait `Run` contains the panics of futures.
        let result = poll();
        current.waker.set(ptr::null());
        result
    })
}

/// Forgets the poll, because the thread enters a runtime inside it. Returns the argument for [`resume`].
pub(crate) fn suspend() -> *const Waker {
    // Otherwise a leaf of the inner runtime whose waker has this address would be taken for the outer task.
    // The id stays stored: inside a poll, a thread enters a runtime only to spawn or to end tasks, not to poll.
    CURRENT.with(|current| current.waker.replace(ptr::null()))
}

/// Restores a poll that was suspended.
pub(crate) fn resume(waker: *const Waker) {
    CURRENT.with(|current| current.waker.set(waker));
}

/// Returns the task that is being polled, if `waker` is its own.
#[inline]
pub(crate) fn task(waker: &Waker) -> Option<TaskId> {
    CURRENT.with(|current| ptr::eq(current.waker.get(), waker).then(|| current.task.get()))
}

/// Returns the task that is being polled.
pub(crate) fn current() -> Option<TaskId> {
    CURRENT.with(|current| (!current.waker.get().is_null()).then(|| current.task.get()))
}

/// Returns the task that is being polled, if there is one, and `waker` if it is not that task's own.
#[inline]
pub(crate) fn waiting(waker: &Waker) -> (Option<TaskId>, Option<&Waker>) {
    CURRENT.with(|current| {
        let polled_with = current.waker.get();
        let task = (!polled_with.is_null()).then(|| current.task.get());
        (task, (!ptr::eq(polled_with, waker)).then_some(waker))
    })
}

/// Returns the source that this task has asked last in this poll. Its next event wakes the task.
#[inline]
pub(crate) fn asked() -> Option<Registered> {
    CURRENT.with(|current| current.asked.get())
}

/// Stores the source that this task has asked. `None` means that no source is known.
#[inline]
pub(crate) fn set_asked(place: Option<Registered>) {
    CURRENT.with(|current| current.asked.set(place));
}
