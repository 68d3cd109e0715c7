//! One spawned future: where it lives, and what one poll of it can lead to.
//!
//! # How it works
//!
//! ```text
//!            spawn                 popped                 Pending
//!   (new) ─────────► 1 queued ─────────────► 2 running ─────────► 3 waiting
//!                       ▲                      │    │                │
//!                       └──── woken meanwhile ─┘    │                │
//!                       └──────────────── woken ────┼────────────────┘
//!                                                   ▼
//!                                 4 ended: value, panic, or aborted
//! ```
//!
//! 1. *Queued*: the id is in the run queue, the waker's flag is set, the future is in its slot.
//! 2. *Running*: future and waker have been **taken out** of the slot, and no table is borrowed:
//!    the future may spawn, wake, abort or drop whatever it likes.
//! 3. *Waiting*: the future is back in its slot; some leaf holds a clone of the waker, or the id.
//! 4. *Ended*: the slot is free, its next tenant gets another generation, and an id that is still
//!    in some queue finds nobody.
//!
//! # Invariants
//!
//! - Always: a panic ends in the task's [`Join`] cell, if it has one, also one from the future's
//!   destructor.
//! - Never: a borrow of [`Tasks`] while a future is polled or dropped.

use std::cell::RefCell;
use std::future::Future;
use std::mem;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use slab::Slab;

use crate::join::{Join, JoinError};
use crate::polled;
use crate::run_queue::{Remote, TaskId};
use crate::waker::TaskWaker;

type BoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// All tasks of a runtime.
pub(crate) struct Tasks {
    slots: Slab<Slot>,
    next_generation: NonZeroU32,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            slots: Slab::new(),
            next_generation: NonZeroU32::MIN,
        }
    }
}

struct Slot {
    /// Not zero, so that a free slot needs no word of its own to say so.
    generation: NonZeroU32,
    /// `None` while the task is running.
    tenant: Option<Tenant>,
}

struct Tenant {
    future: BoxFuture,
    waker: Arc<TaskWaker>,
}

impl Tasks {
    /// Takes in a future that is made once its waker is known; the caller queues the id.
    pub(crate) fn insert<F>(
        &mut self,
        remote: &Arc<Remote>,
        make: impl FnOnce(&Arc<TaskWaker>) -> F,
    ) -> TaskId
    where
        F: Future<Output = ()> + 'static,
    {
        let entry = self.slots.vacant_entry();
        let index = u32::try_from(entry.key()).expect("fewer than four thousand million tasks");
        let task = TaskId {
            index,
            generation: self.next_generation,
        };
        let generation = self.next_generation;
        self.next_generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let waker = TaskWaker::queued(task, remote.clone());
        let future = Box::pin(make(&waker));
        entry.insert(Slot {
            generation,
            tenant: Some(Tenant { future, waker }),
        });
        task
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Marks a task as queued; `true` if it was not, and the caller is to queue it. One that has
    /// ended is nothing.
    pub(crate) fn mark_queued(&self, task: TaskId) -> bool {
        let slot = self.slots.get(task.index as usize);
        let Some(slot) = slot.filter(|slot| slot.generation == task.generation) else {
            return false;
        };
        // While it runs, its flag is out of reach: it may be queued twice then.
        let tenant = slot.tenant.as_ref();
        tenant.is_none_or(|tenant| tenant.waker.mark_queued())
    }

    /// Whether a task has not ended.
    pub(crate) fn contains(&self, task: TaskId) -> bool {
        let slot = self.slots.get(task.index as usize);
        slot.is_some_and(|slot| slot.generation == task.generation)
    }

    fn check_out(&mut self, task: TaskId) -> Option<Tenant> {
        let slot = self.slots.get_mut(task.index as usize)?;
        if slot.generation != task.generation {
            return None;
        }
        slot.tenant.take()
    }

    /// Puts a task back; gives it back if the runtime was closed from within it.
    fn check_in(&mut self, task: TaskId, tenant: Tenant) -> Option<Tenant> {
        match self.slots.get_mut(task.index as usize) {
            Some(slot) if slot.tenant.is_none() => {
                slot.tenant = Some(tenant);
                None
            }
            _ => Some(tenant),
        }
    }
}

/// Ends all tasks there are, for the end of the runtime; `false` if there were none. Their
/// destructors may have spawned others meanwhile.
pub(crate) fn end_all(tasks: &RefCell<Tasks>) -> bool {
    let slots = mem::take(&mut tasks.borrow_mut().slots);
    let found = !slots.is_empty();
    let tenants = slots.into_iter().filter_map(|(_, slot)| slot.tenant);
    tenants.for_each(evict);
    found
}

/// Polls one task once. A stale id, or one whose task is running further up the stack, is nothing.
#[inline]
pub(crate) fn run(tasks: &RefCell<Tasks>, task: TaskId) {
    let Some(mut tenant) = tasks.borrow_mut().check_out(task) else {
        return;
    };
    tenant.waker.begin_poll();
    let waker = futures_task::waker_ref(&tenant.waker);
    let poll = polled::during(task, &waker, || {
        let cx = &mut Context::from_waker(&waker);
        tenant.future.as_mut().poll(cx)
    });
    if poll.is_pending() {
        let homeless = tasks.borrow_mut().check_in(task, tenant);
        homeless.into_iter().for_each(evict);
    } else {
        tasks.borrow_mut().slots.try_remove(task.index as usize);
        evict(tenant);
    }
}

/// Drops a task for good.
fn evict(tenant: Tenant) {
    tenant.waker.retire();
    discard(tenant);
}

/// Drops what is the user's. What its destructor panics with ends here.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // The payload is the user's too: its destructor may panic in its turn, so it gets none.
        mem::forget(payload);
    }
}

pin_project! {
    /// A future that runs for a [`Join`] cell: it never panics and leaves an outcome behind.
    pub(crate) struct Task<F: Future> {
        #[pin]
        stage: Stage<F>,
        // `None` once nobody holds the handle: a task that was let go needs no cell.
        join: Option<Rc<Join<F::Output>>>,
    }

    impl<F: Future> PinnedDrop for Task<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let panic_in_drop = end(this.stage.as_mut());
            if let Some(join) = this.join.take() && !join.is_finished() {
                join.finish(Err(panic_in_drop.unwrap_or_else(JoinError::cancelled)));
            }
        }
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Running { #[pin] future: F },
        Ended,
    }
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F, join: Rc<Join<F::Output>>) -> Self {
        Self {
            stage: Stage::Running { future },
            join: Some(join),
        }
    }
}

impl<F: Future> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let outcome = if this.join.as_ref().is_some_and(|join| join.is_aborting()) {
            Err(JoinError::cancelled())
        } else {
            match poll_once(this.stage.as_mut(), cx) {
                Ok(Poll::Pending) => {
                    // Dropped after the poll, when nothing of the task is on the stack.
                    drop(this.join.take_if(|join| is_let_go(join)));
                    return Poll::Pending;
                }
                Ok(Poll::Ready(value)) => Ok(value),
                Err(error) => Err(error),
            }
        };
        let outcome = match (outcome, end(this.stage)) {
            (Ok(value), Some(panic_in_drop)) => {
                discard(value);
                Err(panic_in_drop)
            }
            (outcome, panic_in_drop) => {
                discard(panic_in_drop);
                outcome
            }
        };
        // The cell goes with the task: what a value panics with that nobody wants ends in `evict`.
        if let Some(join) = this.join {
            join.finish(outcome);
        }
        Poll::Ready(())
    }
}

pin_project! {
    /// A future that runs for nobody: it never panics, and that is all.
    pub(crate) struct Detached<F> {
        #[pin]
        future: F,
    }
}

impl<F> Detached<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future<Output = ()>> Future for Detached<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let future = self.project().future;
        catch_unwind(AssertUnwindSafe(|| future.poll(cx))).unwrap_or_else(|payload| {
            discard(payload);
            Poll::Ready(())
        })
    }
}

/// Whether the handle is gone and has not asked for an abort on its way.
fn is_let_go<T>(join: &Rc<Join<T>>) -> bool {
    Rc::strong_count(join) == 1 && !join.is_aborting()
}

fn poll_once<F: Future>(
    stage: Pin<&mut Stage<F>>,
    cx: &mut Context<'_>,
) -> Result<Poll<F::Output>, JoinError> {
    let StageProjection::Running { future } = stage.project() else {
        return Err(JoinError::cancelled());
    };
    catch_unwind(AssertUnwindSafe(|| future.poll(cx))).map_err(JoinError::panicked)
}

/// Drops the future where it stands; gives the panic of its destructor, if there is one.
fn end<F>(mut stage: Pin<&mut Stage<F>>) -> Option<JoinError> {
    catch_unwind(AssertUnwindSafe(|| stage.set(Stage::Ended)))
        .err()
        .map(JoinError::panicked)
}
