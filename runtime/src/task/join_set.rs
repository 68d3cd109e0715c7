//! Any number of tasks with values of one type, which are joined in the order of their ends.
//!
//! # How it works
//!
//! The set has the handles of its tasks, and an [`EndList`]. Each end adds a key to the list and wakes the task that
//! waits. So a join costs the same with ten tasks as with a million.
//!
//! # Invariants
//!
//! - Always: each task that is spawned into the set is joined once, or aborted with the set, or detached.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use slab::Slab;

use crate::budget::Waited;
use crate::causes::Reason;
use crate::context;
use crate::join_error::JoinError;
use crate::join_handle::JoinHandle;
use crate::nodes::{self, Origin, Subject};
use crate::task::abort_handle::AbortHandle;
use crate::task::end_list::EndList;
use crate::watch::Place;

/// A set of tasks, whose values are taken as the tasks end.
///
/// Dropping the set aborts all of its tasks. It also has no limit: use a [`Semaphore`](crate::sync::Semaphore), or
/// join one task before the next spawn, to bound the number of tasks.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, task::JoinSet, time::sleep};
///
/// block_on(async {
///     let mut set = JoinSet::new();
///     for millis in [20, 1, 10] {
///         set.spawn(async move {
///             sleep(Duration::from_millis(millis)).await;
///             millis
///         });
///     }
///     let mut order = Vec::new();
///     while let Some(ended) = set.join_next().await {
///         order.push(ended.unwrap());
///     }
///     assert_eq!(order, [1, 10, 20]);
/// });
/// ```
#[must_use = "dropping it aborts its tasks"]
pub struct JoinSet<T: 'static> {
    handles: Slab<JoinHandle<T>>,
    ends: EndList,
    waited: Waited,
}

impl<T> JoinSet<T> {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self {
            handles: Slab::new(),
            ends: EndList::default(),
            waited: Waited::default(),
        }
    }

    /// Returns the number of tasks that were spawned into the set and not joined, those that have ended included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Returns true if all tasks were joined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Spawns a task into the set.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let place = Place::here();
        // Outside a runtime this panics before there is a guard, whose drop would report an end.
        context::with("a task", "spawned", |executor| {
            let entry = self.handles.vacant_entry();
            let task = self.ends.watch(entry.key(), future);
            let handle = executor.spawn(task, place);
            let abort = handle.abort_handle();
            entry.insert(handle);
            abort
        })
    }

    /// Waits for the next task to end, and removes it from the set. Returns `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// The inner result is an error if the task has panicked or was aborted. The other tasks go on.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call returns a task that no call has returned.
    #[track_caller]
    pub fn join_next(&mut self) -> impl Future<Output = Option<Result<T, JoinError>>> {
        struct Wait<'a, T: 'static>(&'a mut JoinSet<T>);
        impl<T> Drop for Wait<'_, T> {
            fn drop(&mut self) {
                // A wait that was cancelled leaves no waker behind.
                self.0.ends.forget_waiter();
            }
        }
        let origin = Origin::here("join_next");
        async move {
            let wait = Wait(self);
            poll_fn(|cx| wait.0.poll_join_next_for(cx, origin)).await
        }
    }

    /// The poll function behind [`join_next`](Self::join_next). It wakes the task that has called it last.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    #[track_caller]
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_for(cx, Origin::here("join_next"))
    }

    fn poll_join_next_for(
        &mut self,
        cx: &mut Context<'_>,
        origin: Origin,
    ) -> Poll<Option<Result<T, JoinError>>> {
        if !self.handles.is_empty() && self.ends.is_empty() {
            self.ends.register(cx.waker());
            // The clone of the waker may be foreign code that ends a task.
            if self.ends.is_empty() {
                self.waited.begin();
                return nodes::waits(cx, origin, || Subject::Futures(self.handles.len()));
            }
        }
        // Before the task is taken: if the budget refuses, it stays.
        std::task::ready!(self.waited.poll_spend(cx));
        let Some(key) = self.ends.pop() else {
            return Poll::Ready(None);
        };
        // The outcome is stored right after the guard has dropped. A foreign waker may poll in between.
        let Poll::Ready(outcome) =
            crate::budget::outside(|| Pin::new(&mut self.handles[key]).poll(cx))
        else {
            self.ends.push_front(key);
            return Poll::Pending;
        };
        self.waited = Waited::default();
        nodes::completed(origin);
        self.handles.remove(key);
        Poll::Ready(Some(outcome))
    }

    /// Returns the next task that has ended already. Returns `None` if the set is empty or all of its tasks are
    /// running.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`join_next`](Self::join_next).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{pending, poll_fn};
    /// use waterwheel::runtime::{block_on, task::JoinSet, yield_now};
    ///
    /// block_on(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async { 1 });
    ///     set.spawn(async { 2 });
    ///     set.spawn(pending());
    ///     assert_eq!(set.len(), 3);
    ///     yield_now().await;
    ///     assert_eq!(set.try_join_next().unwrap().unwrap(), 1);
    ///     // In a future of one's own:
    ///     assert_eq!(poll_fn(|cx| set.poll_join_next(cx)).await.unwrap().unwrap(), 2);
    ///     assert!(set.try_join_next().is_none()); // the third task still runs
    ///     set.shutdown().await;
    ///     assert!(set.is_empty());
    /// });
    /// ```
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        // The check comes first, so that the waker without an effect does not replace that of a task that waits.
        if self.ends.is_empty() {
            return None;
        }
        // Outside the budget: a refusal would look like a set in which no task has ended.
        match crate::budget::outside(|| self.poll_join_next(&mut cx)) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => None,
        }
    }

    /// Waits for all tasks, and returns their values in the order of their ends.
    ///
    /// # Panics
    ///
    /// Continues the panic of a task that has panicked, and panics if a task was aborted. The tasks that are left are
    /// aborted then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it aborts all tasks. The values of those that have ended are lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, task::JoinSet};
    ///
    /// block_on(async {
    ///     let mut set = JoinSet::new();
    ///     for number in 1..=3 {
    ///         set.spawn(async move { number * number });
    ///     }
    ///     assert_eq!(set.join_all().await, [1, 4, 9]);
    /// });
    /// ```
    pub async fn join_all(mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        while let Some(ended) = self.join_next().await {
            match ended.map_err(JoinError::try_into_panic) {
                Ok(value) => values.push(value),
                Err(Ok(panic)) => std::panic::resume_unwind(panic),
                Err(Err(error)) => panic!("a task of the set has no value: {error}"),
            }
        }
        values
    }

    /// Aborts all tasks. They stay in the set until they are joined.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    /// use waterwheel::runtime::{block_on, task::JoinSet};
    ///
    /// block_on(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(pending::<()>());
    ///     set.abort_all();
    ///     assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    /// });
    /// ```
    #[track_caller]
    pub fn abort_all(&self) {
        for (_, handle) in &self.handles {
            handle.abort();
        }
    }

    /// Aborts all tasks, and waits until their futures are dropped.
    ///
    /// # Cancel safety
    ///
    /// Safe: all tasks are aborted in the first poll. The next call waits for the rest.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Lets all tasks run on without the set, which is then empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use waterwheel::runtime::{block_on, task::JoinSet, yield_now};
    ///
    /// block_on(async {
    ///     let done = Rc::new(Cell::new(false));
    ///     let mut set = JoinSet::new();
    ///     set.spawn({
    ///         let done = done.clone();
    ///         async move { done.set(true) }
    ///     });
    ///     set.detach_all();
    ///     drop(set); // aborts no task, because the set is empty
    ///     yield_now().await;
    ///     assert!(done.get());
    /// });
    /// ```
    pub fn detach_all(&mut self) {
        self.handles.clear();
        // The keys of these tasks must not come into the list of the next ones.
        self.ends = EndList::default();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        // The drop of a handle only detaches its task.
        for (_, handle) in &self.handles {
            handle.end(Reason::Drop, None);
        }
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
