//! Which task is being polled, so that a leaf can wait as a task and not as a waker.
//!
//! # How it works
//!
//! A leaf is handed a `Waker` and nothing else. If that is the very object that the executor has
//! made for this poll, by its address, then whoever waits is the task being polled, and its id says
//! as much as a clone of the waker: it costs nothing to keep, runs no foreign code, and finds nobody
//! once the task has ended. Any other waker (the root's, a combinator's own) is kept as what it is.
//!
//! Events are collected between polls only. So what a task has asked the reactor once in a poll, it
//! need not ask again: the answer would be the same. The last source that was asked stands here.
//!
//! # Invariants
//!
//! - Always: the address is that of a waker that lives; outside a poll there is none.
//! - Always: the source asked last would wake this task, and has had no event since.

use std::cell::Cell;
use std::ptr;
use std::task::Waker;

use crate::reactor::SourceId;
use crate::run_queue::{RuntimeId, TaskId};

struct Polled {
    waker: Cell<*const Waker>,
    task: Cell<TaskId>,
    runtime: Cell<Option<RuntimeId>>,
    asked: Cell<Option<SourceId>>,
}

thread_local! {
    static POLLED: Polled = const {
        Polled {
            waker: Cell::new(ptr::null()),
            task: Cell::new(TaskId::ROOT),
            runtime: Cell::new(None),
            asked: Cell::new(None),
        }
    };
}

/// Runs one poll of a task, which is handed this waker. It must not panic.
pub(crate) fn during<T>(
    runtime: RuntimeId,
    task: TaskId,
    waker: &Waker,
    poll: impl FnOnce() -> T,
) -> T {
    POLLED.with(|polled| {
        polled.waker.set(waker);
        polled.task.set(task);
        polled.runtime.set(Some(runtime));
        polled.asked.set(None);
        let result = poll();
        polled.waker.set(ptr::null());
        result
    })
}

/// The task of that runtime which is being polled with this waker, if it is that.
pub(crate) fn task(runtime: RuntimeId, waker: &Waker) -> Option<TaskId> {
    POLLED.with(|polled| {
        let is_polled = ptr::eq(polled.waker.get(), waker) && polled.runtime.get() == Some(runtime);
        is_polled.then(|| polled.task.get())
    })
}

/// From here on this source would wake the task being polled for reading; `None`: it would not.
pub(crate) fn set_asked(source: Option<SourceId>) {
    POLLED.with(|polled| polled.asked.set(source));
}

/// Whether this task has asked this source in this poll, as the last of all, so that it waits for
/// reading already.
pub(crate) fn has_asked(runtime: RuntimeId, source: SourceId, waker: &Waker) -> bool {
    POLLED.with(|polled| {
        ptr::eq(polled.waker.get(), waker)
            && polled.asked.get() == Some(source)
            && polled.runtime.get() == Some(runtime)
    })
}
