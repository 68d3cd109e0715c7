//! The tasks of a group that have ended, in the order of their ends.
//!
//! # How it works
//!
//! The future of each task of the group is [`Watched`]: an [`EndGuard`] drops right after it, whether the task has
//! ended with a value, a panic or an abort. The guard then adds the key of its task to the list and wakes the task
//! that waits for the group. So the group finds an ended task without looking at the others.
//!
//! # Invariants
//!
//! - Always: a key is added once, and not before the future of its task is dropped.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use crate::waker_slot::WakerSlot;

/// The ends of the tasks of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndList {
    list: Rc<Ends>,
}

#[derive(Debug, Default)]
struct Ends {
    keys: RefCell<VecDeque<usize>>,
    waiter: WakerSlot,
}

impl EndList {
    /// Watches the future of the task with this key.
    pub(crate) fn watch<F: Future>(&self, key: usize, future: F) -> Watched<F> {
        let list = self.list.clone();
        Watched {
            future,
            _guard: EndGuard { list, key },
        }
    }

    /// Takes the key of the task that has ended first.
    pub(crate) fn pop(&self) -> Option<usize> {
        self.list.keys.borrow_mut().pop_front()
    }

    /// Puts a key back in front, because its task could not be taken.
    pub(crate) fn push_front(&self, key: usize) {
        self.list.keys.borrow_mut().push_front(key);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.keys.borrow().is_empty()
    }

    /// Stores the waker of the task that waits for the next end. The caller checks the list again after this.
    pub(crate) fn register(&self, waker: &Waker) {
        self.list.waiter.register(waker);
    }

    /// Forgets the task that waits.
    pub(crate) fn forget_waiter(&self) {
        self.list.waiter.clear();
    }
}

pin_project! {
    /// A future whose end is reported. It is no async block, which drops what it has captured in another order if it
    /// was never polled.
    pub(crate) struct Watched<F> {
        #[pin]
        future: F,
        // Fields drop in their order, so the future is gone when its end is reported.
        _guard: EndGuard,
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Reports the end of a task when it drops.
#[derive(Debug)]
struct EndGuard {
    list: Rc<Ends>,
    key: usize,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        // The key is in the list before the wake, because a foreign waker may poll the group at once.
        self.list.keys.borrow_mut().push_back(self.key);
        self.list.waiter.wake();
    }
}
