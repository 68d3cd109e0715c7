//! Tasks that end before a block does.
//!
//! # How it works
//!
//! A [`Scope`] has the abort handles of its tasks, and an [`EndList`]. When the block is ready, the scope aborts the
//! tasks that are left, and waits until their futures are dropped.
//!
//! # Invariants
//!
//! - Always: when [`scope`] returns, no future of its tasks exists.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::task::Poll;

use slab::Slab;

use crate::causes::Reason;
use crate::context;
use crate::join_handle::JoinHandle;
use crate::nodes::{self, Origin, Subject};
use crate::task::abort_handle::AbortHandle;
use crate::task::end_list::EndList;
use crate::watch::Place;

/// Calls `block` with a [`Scope`], and returns its value after all tasks of the scope have ended.
///
/// Tasks that still run when the block is ready are aborted. To let them end by themselves, await their handles in
/// the block. A task that panics does not end the scope: its handle returns the panic.
///
/// # Panics
///
/// Panics outside a runtime if the block spawns a task. If the block panics, the tasks are aborted, but their
/// ends are not awaited.
///
/// # Cancel safety
///
/// Dropping it aborts all tasks of the scope, but cannot wait for their ends. They end in the next turn.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use waterwheel::runtime::{block_on, task, time::sleep};
///
/// block_on(async {
///     let beats = Rc::new(Cell::new(0));
///     let answer = task::scope(async |scope| {
///         let beats = beats.clone();
///         scope.spawn(async move {
///             loop {
///                 beats.set(beats.get() + 1);
///                 sleep(Duration::from_millis(1)).await;
///             }
///         });
///         let answer = scope.spawn(async { 42 });
///         answer.await.unwrap()
///     })
///     .await;
///     assert_eq!(answer, 42);
///     assert_eq!(Rc::strong_count(&beats), 1); // the heartbeat has ended
/// });
/// ```
pub async fn scope<T>(block: impl AsyncFnOnce(&Scope) -> T) -> T {
    let scope = Scope {
        tasks: RefCell::default(),
        ends: EndList::default(),
    };
    let value = block(&scope).await;
    scope.end_all(Reason::Drop, None);
    poll_fn(|cx| {
        scope.ends.register(cx.waker());
        // Checked after the waker is there, so that no end in between is missed.
        if scope.is_empty() {
            return Poll::Ready(());
        }
        nodes::waits(cx, Origin::unknown("end of scope"), || {
            Subject::Futures(scope.len())
        })
    })
    .await;
    value
}

/// The tasks of a [`scope`].
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{block_on, task::{self, Scope}, yield_now};
///
/// async fn work(scope: &Scope) -> usize {
///     assert!(scope.is_empty());
///     scope.spawn(pending::<()>()).detach();
///     scope.spawn(async { "ends by itself" }).detach();
///     yield_now().await;
///     let running = scope.len();
///     scope.abort_all();
///     running
/// }
///
/// assert_eq!(block_on(task::scope(work)), 1);
/// ```
pub struct Scope {
    tasks: RefCell<Slab<AbortHandle>>,
    ends: EndList,
}

impl Scope {
    /// Spawns a task that ends before the scope does.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        // Otherwise a scope that runs for long would keep a handle for each task that it has ever had.
        self.forget_ended();
        let place = Place::here();
        // As in `JoinSet::spawn`, the guard is made inside a runtime.
        context::with("a task", "spawned", |executor| {
            let key = self.tasks.borrow().vacant_key();
            let handle = executor.spawn(self.ends.watch(key, future), place);
            self.tasks.borrow_mut().insert(handle.abort_handle());
            handle
        })
    }

    /// Returns the number of tasks that have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.forget_ended();
        self.tasks.borrow().len()
    }

    /// Returns true if all tasks have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Aborts the tasks that have not ended.
    #[track_caller]
    pub fn abort_all(&self) {
        self.end_all(Reason::Abort, Some(Place::here()));
    }

    fn end_all(&self, reason: Reason, place: Option<Place>) {
        self.forget_ended();
        // An abort marks and queues the task, and drops no future. So no foreign code runs inside the borrow.
        for (_, task) in &*self.tasks.borrow() {
            task.end(reason, place);
        }
    }

    fn forget_ended(&self) {
        while let Some(key) = self.ends.pop() {
            // A runtime that ends drops a future within `spawn`, before the task is in the table.
            self.tasks.borrow_mut().try_remove(key);
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.ends.forget_waiter();
        self.end_all(Reason::Drop, None);
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
