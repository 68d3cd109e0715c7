//! The table of tasks: the slot of each task, its states, and one poll of it.
//!
//! # How it works
//!
//! ```text
//!            spawn                 popped                 Pending
//!   (new) ─────────► 1 queued ─────────────► 2 running ─────────► 3 waiting
//!                     ▲ ▲  │                   │    │                │
//!                     │ └──┼─ woken meanwhile ─┘    │                │
//!                     └────┼──── woken, or aborted ─┼────────────────┘
//!      popped, and aborted │                        │ Ready, or a panic
//!                          ▼                        ▼
//!                 4 ended: cancelled       4 ended: value or panic
//! ```
//!
//! | arrow | function |
//! |---|---|
//! | spawn | `insert`; the executor pushes the id |
//! | popped | [`run`], `check_out` |
//! | Pending | `check_in` |
//! | Ready, or a panic | [`end`] |
//! | popped, and aborted | [`cancel`] |
//! | woken | `TaskWaker::wake_by_ref`, or `mark_queued` for a task that is known by its id |
//! | aborted | [`handle::abort`]: it marks the task and wakes it |
//!
//! 1. *Queued*: the id is in the run queue, a flag of the waker is set, and the future is in its slot.
//! 2. *Running*: the future and the waker are **taken out** of the slot, and no table is borrowed. So the
//!    future may spawn, wake, abort or drop any task, also itself.
//! 3. *Waiting*: the future is back in its slot. A leaf holds a clone of the waker, or the id.
//! 4. *Ended*: the future is dropped. If a [`JoinHandle`](crate::JoinHandle) exists, the slot keeps the
//!    outcome for it. Otherwise the slot is free. The next task in this slot has another generation, so an
//!    old id that is still in a queue finds no task.
//!
//! No single field holds this state. *Queued* is a flag of the waker, *running* is `runnable == None`, and
//! [`Stage`] has the rest: alive, aborting, ended.
//!
//! The handle and the task share the slot. The outcome takes the place of the future in its box; see `joinable`.
//!
//! # Invariants
//!
//! - Always: foreign code that may panic is called through `joinable` or [`panics`], which contain the panic.
//! - Never: a borrow of [`Tasks`] while a future is polled or dropped, or a waker is woken or dropped.

use std::any::Any;
use std::cell::RefCell;
use std::mem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_task::ArcWake;
use slab::Slab;

use crate::causes::Reason;
use crate::current_task;
use crate::joinable::{BoxRun, OutcomeKind};
use crate::local_queue::TaskId;
use crate::nodes::Tracker;
use crate::panics;
use crate::points::{self, Reports};
use crate::remote::Remote;
use crate::task_names::{Id, Info, NamedTask, TaskNames};
use crate::waiter::Waiter;
use crate::waker::TaskWaker;
use crate::watch::Place;

/// All tasks of a runtime.
pub(crate) struct Tasks {
    slots: Slab<Slot>,
    /// The generation of the next task. No slot counts its own, so that the table can be freed.
    next_generation: NonZeroU32,
    /// The number of tasks that have not ended.
    alive: usize,
    /// True once the runtime ends. A task that is running at that time is not put back.
    closed: bool,
    /// The waiters that polled the handle of a task while that task was running. The place for a waiter is
    /// beside the future, so it was out of the slot at that time. Examples are a task that awaits its own
    /// handle, and a task that polls a handle inside a foreign executor's `block_on`.
    early_waiters: Vec<(TaskId, Waiter)>,
    /// Wakers of tasks that have ended, for the next tasks. // LOG R12
    spare_wakers: Vec<Arc<TaskWaker>>,
    /// The inbox that each new waker gets.
    remote: Arc<Remote>,
    names: TaskNames,
    /// Learns of each task, if the runtime is inspected.
    tracker: Tracker,
    /// Learns of aborts, which may come while no thread is inside the runtime.
    reports: Reports,
}

/// An empty table with room for more tasks than this is freed.
const SLOTS_KEPT: usize = 4096;

/// At most this many wakers are kept for the next tasks.
const SPARE_WAKERS_MAX: usize = 64;

/// The place of one task in the table.
struct Slot {
    /// Never zero, so that a vacant slot needs no word of its own as a mark.
    generation: NonZeroU32,
    stage: Stage,
    /// True while a [`JoinHandle`](crate::JoinHandle) exists.
    has_handle: bool,
    /// True if `names` has an entry, which is removed at the end of the task.
    has_name: bool,
    spawned_at: Place,
    /// `None` while the task is running.
    runnable: Option<Runnable>,
}

/// The progress of a task. It does not tell if the task is queued or running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Alive,
    /// The handle has aborted the task. The next turn drops the future instead of polling it.
    Aborting,
    /// The outcome is there.
    Ended {
        /// True if a task had to wait for the outcome. It then spends no budget.
        awaited: bool,
    },
}

/// The part of a task that is taken out of the slot for a poll.
struct Runnable {
    future: BoxRun,
    waker: Arc<TaskWaker>,
}

impl Tasks {
    pub(crate) fn new(remote: Arc<Remote>, tracker: Tracker, reports: Reports) -> Self {
        Self {
            slots: Slab::new(),
            next_generation: NonZeroU32::MIN,
            alive: 0,
            closed: false,
            early_waiters: Vec::new(),
            spare_wakers: Vec::new(),
            remote,
            names: TaskNames::default(),
            tracker,
            reports,
        }
    }

    /// Stores a future. `has_handle` is true for a joinable one, and false for a detached one. The caller queues the id.
    pub(crate) fn insert(&mut self, future: BoxRun, has_handle: bool, spawned_at: Place) -> TaskId {
        let entry = self.slots.vacant_entry();
        let index = u32::try_from(entry.key()).expect("fewer than four thousand million tasks");
        let generation = self.next_generation;
        let task = TaskId { index, generation };
        self.next_generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.alive += 1;
        // A waker of a task that has ended saves an allocation, and two atomic counts of `remote`. // LOG R12
        let spare = self.spare_wakers.pop();
        let waker = spare
            .and_then(|waker| waker.renew(task))
            .unwrap_or_else(|| TaskWaker::queued(task, self.remote.clone()));
        let bytes = size_of_val(&*future);
        self.tracker
            .spawned(task, spawned_at.location(), bytes, &waker);
        entry.insert(Slot {
            generation,
            stage: Stage::Alive,
            has_handle,
            has_name: false,
            spawned_at,
            runnable: Some(Runnable { future, waker }),
        });
        task
    }

    /// Returns the number of tasks that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.alive
    }

    /// Marks a task as queued. Returns true if it was not marked; then the caller must queue it. Has no effect
    /// on a task that has ended.
    pub(crate) fn mark_queued(&self, task: TaskId) -> bool {
        let Some(slot) = self.slot(task) else {
            return false;
        };
        // The flag of a running task is out of reach, so the task may be queued twice. The second poll is
        // needless but harmless.
        let runnable = slot.runnable.as_ref();
        runnable.is_none_or(|runnable| runnable.waker.mark_queued())
    }

    /// Removes the mark of a new task whose id goes through the inbox. The reader of the inbox marks it again.
    #[cold]
    pub(crate) fn unmark_queued(&self, task: TaskId) {
        let slot = self.slot(task);
        if let Some(runnable) = slot.and_then(|slot| slot.runnable.as_ref()) {
            runnable.waker.begin_poll();
        }
    }

    /// Returns true if a task has not ended.
    pub(crate) fn is_alive(&self, task: TaskId) -> bool {
        let slot = self.slot(task);
        slot.is_some_and(|slot| !matches!(slot.stage, Stage::Ended { .. }))
    }

    /// Returns the tasks that have not ended.
    pub(crate) fn alive(&self) -> Vec<Info> {
        let alive = self.ids().filter(|task| self.is_alive(*task));
        alive.map(|task| self.info(task)).collect()
    }

    /// Returns the ids of all tasks in the table. Some may have ended.
    fn ids(&self) -> impl Iterator<Item = TaskId> {
        self.slots.iter().map(|(index, slot)| TaskId {
            index: u32::try_from(index).expect("a slot's index was made from 32 bits"),
            generation: slot.generation,
        })
    }

    /// Returns the inbox of the runtime.
    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// Names a task that has not ended.
    pub(crate) fn name(&mut self, task: TaskId, named: NamedTask) {
        // A runtime that ends drops the future within `spawn`.
        if self.is_alive(task)
            && let Some(slot) = self.slot_mut(task)
        {
            slot.has_name = true;
            self.names.insert(task, named);
        }
    }

    /// Returns all that is known about a task.
    pub(crate) fn info(&self, task: TaskId) -> Info {
        let id = Id::of(self.remote.id(), task);
        Info::new(id, self.names.get(task), self.spawned_at(task))
    }

    /// Returns the place in the program that spawned a task.
    pub(crate) fn spawned_at(&self, task: TaskId) -> Option<Place> {
        self.slot(task).map(|slot| slot.spawned_at)
    }

    /// Returns the slot of a task, or `None` if the id is stale.
    fn slot(&self, task: TaskId) -> Option<&Slot> {
        let slot = self.slots.get(task.index as usize);
        slot.filter(|slot| slot.generation == task.generation)
    }

    fn slot_mut(&mut self, task: TaskId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(task.index as usize);
        slot.filter(|slot| slot.generation == task.generation)
    }

    /// Takes the future out. Returns `None` if the id is stale, if the task has ended, or if it is running
    /// further up the stack.
    #[inline]
    fn check_out(&mut self, task: TaskId) -> Option<(Runnable, Stage)> {
        let slot = self.slot_mut(task)?;
        if matches!(slot.stage, Stage::Ended { .. }) {
            return None;
        }
        Some((slot.runnable.take()?, slot.stage))
    }

    /// Puts back a future that is not ready. Returns it if the runtime has ended meanwhile, or if the slot is
    /// gone.
    #[inline]
    fn check_in(&mut self, task: TaskId, mut runnable: Runnable) -> Option<Runnable> {
        if !self.early_waiters.is_empty() {
            self.settle_early_waiter(task, &mut runnable);
        }
        // The generation need not be compared: the slot of a running task is not given to another one.
        match self.slots.get_mut(task.index as usize) {
            Some(slot) if !self.closed => {
                slot.runnable = Some(runnable);
                None
            }
            _ => Some(runnable),
        }
    }

    /// Moves the waiter that came while the task was running to its place.
    #[cold]
    fn settle_early_waiter(&mut self, task: TaskId, to: &mut Runnable) {
        let early = &mut self.early_waiters;
        if let Some(position) = early.iter().position(|(of, _)| *of == task)
            && let Some(waiter) = to.future.as_mut().waiter()
        {
            *waiter = Some(early.swap_remove(position).1);
        }
    }

    /// Keeps the outcome of a task that has ended, if a handle exists. Returns the waker that the caller must
    /// wake, or the remains of the task that the caller must drop. Both may run foreign code.
    fn end(
        &mut self,
        task: TaskId,
        mut ended: Runnable,
        outcome: OutcomeKind,
    ) -> (Option<Waker>, Option<BoxRun>) {
        self.alive -= 1;
        self.tracker.ended(task);
        ended.waker.retire();
        if outcome == OutcomeKind::Error {
            self.name_error(task, &mut ended);
        }
        if !self.early_waiters.is_empty() {
            self.settle_early_waiter(task, &mut ended);
        }
        // With a handle, the slot stays until the handle has taken the outcome or drops. Without one, no code
        // can ask for this task again, so the slot is free at once.
        match self.slot_mut(task) {
            Some(slot) if slot.has_handle => {
                let has_name = slot.has_name;
                let waiter = ended.future.as_mut().waiter().and_then(Option::take);
                let awaited = waiter.is_some();
                slot.stage = Stage::Ended { awaited };
                slot.runnable = Some(ended);
                if has_name {
                    self.names.remove(task);
                }
                (waiter.and_then(|waiter| self.wake_own(waiter)), None)
            }
            _ => {
                let slot = self.slots.try_remove(task.index as usize);
                if slot.is_some_and(|slot| slot.has_name) {
                    self.names.remove(task);
                }
                self.shrink_if_empty();
                (None, Some(self.reuse(ended)))
            }
        }
    }

    /// Adds the identity of the task to its error, if a handle can return it.
    #[cold]
    fn name_error(&self, task: TaskId, ended: &mut Runnable) {
        if self.slot(task).is_some_and(|slot| slot.has_handle) {
            ended.future.as_mut().name_error(self.info(task));
        }
    }

    /// Frees the memory of a large table when all tasks have ended. The generations continue, so that old ids
    /// find no task.
    fn shrink_if_empty(&mut self) {
        if self.slots.is_empty() && self.slots.capacity() > SLOTS_KEPT {
            self.slots = Slab::new();
        }
    }

    /// Frees the slot of a task that has ended. Returns its outcome, which is in the place of its future.
    fn remove(&mut self, task: TaskId) -> Option<BoxRun> {
        self.slot(task)?;
        let slot = self.slots.remove(task.index as usize);
        self.shrink_if_empty();
        slot.runnable.map(|ended| self.reuse(ended))
    }

    /// Keeps the waker for the next task if no clone of it exists. Returns the future or its outcome.
    fn reuse(&mut self, ended: Runnable) -> BoxRun {
        // A clone may appear only through another clone, so a count of 1 stays 1.
        let unshared = Arc::strong_count(&ended.waker) == 1;
        if unshared && self.spare_wakers.len() < SPARE_WAKERS_MAX {
            self.spare_wakers.push(ended.waker);
        }
        ended.future
    }

    /// Wakes a task of this runtime. Returns any other waker: waking it may run foreign code.
    fn wake_own(&self, waiter: Waiter) -> Option<Waker> {
        match waiter {
            // This pushes an id and calls no foreign code, so the table may stay borrowed. // LOG R11
            Waiter::Task(task) => {
                if self.mark_queued(task) {
                    self.remote.wake(task);
                }
                None
            }
            Waiter::Foreign(waker) => Some(waker),
        }
    }
}

/// Polls one task once. Has no effect if the id is stale, or if the task is running further up the stack.
// Always inline: the executor has two callers, and one of them, for hooks, is cold. // LOG R1
#[expect(
    clippy::inline_always,
    reason = "measured: 17 instructions for each poll"
)]
#[inline(always)]
pub(crate) fn run(tasks: &RefCell<Tasks>, task: TaskId) {
    let Some((mut runnable, stage)) = tasks.borrow_mut().check_out(task) else {
        return;
    };
    if stage == Stage::Aborting {
        return cancel(tasks, task, runnable);
    }
    // Before the poll: a wake during the poll then queues the task again.
    runnable.waker.begin_poll();
    let waker = futures_task::waker_ref(&runnable.waker);
    let future = runnable.future.as_mut();
    let poll = current_task::during(task, &waker, || {
        future.poll(&mut Context::from_waker(&waker))
    });
    if let Poll::Ready(outcome) = poll {
        points::ended(task, false);
        return end(tasks, task, runnable, outcome);
    }
    // The runtime may have ended while this future was out of its slot. Then its end is here.
    let refused = tasks.borrow_mut().check_in(task, runnable);
    if let Some(runnable) = refused {
        points::cancelled(task, Reason::Shutdown, None);
        cancel(tasks, task, runnable);
    }
}

/// Drops a future that is not ready, and ends its task.
#[cold]
fn cancel(tasks: &RefCell<Tasks>, task: TaskId, mut runnable: Runnable) {
    points::ended(task, true);
    runnable.future.as_mut().cancel();
    end(tasks, task, runnable, OutcomeKind::Error);
}

/// Ends a task: wakes the task that awaits it, or drops its remains.
fn end(tasks: &RefCell<Tasks>, task: TaskId, runnable: Runnable, outcome: OutcomeKind) {
    let rest = points::ending(task, || {
        let (waiter, rest) = tasks.borrow_mut().end(task, runnable, outcome);
        if let Some(waiter) = waiter {
            panics::wake(waiter);
        }
        rest
    });
    if let Some(rest) = rest {
        panics::discard(rest);
    }
}

/// Ends all tasks, because the runtime ends. Returns false if no task was alive. Destructors may spawn further
/// tasks meanwhile, so the caller repeats it.
pub(crate) fn end_all(tasks: &RefCell<Tasks>) -> bool {
    // A task that is running further up the stack has no future in its slot. The flag makes `check_in` return
    // its future, and `run` drops it there.
    tasks.borrow_mut().closed = true;
    // The ids are copied, because the destructors of futures may change the table.
    let all: Vec<_> = tasks.borrow().ids().collect();
    let mut found = false;
    for task in all {
        let checked_out = tasks.borrow_mut().check_out(task);
        if let Some((runnable, _)) = checked_out {
            found = true;
            points::cancelled(task, Reason::Shutdown, None);
            cancel(tasks, task, runnable);
        }
    }
    found
}

/// The operations of a [`JoinHandle`](crate::JoinHandle), which has only the id. Each may be called at any
/// time, also while the task is running, and after the runtime has ended.
pub(crate) mod handle {
    use super::{
        Any, ArcWake, Place, Reason, RefCell, Stage, TaskId, Tasks, Waiter, Waker, current_task,
        mem, panics,
    };

    /// The result of [`try_wait`].
    pub(crate) enum Progress {
        /// The task has ended. `awaited` is true if a task had to wait for the outcome.
        Ended { awaited: bool },
        /// The waiter is stored. The caller must drop the waiter that it has replaced.
        Waits(Option<Waiter>),
        /// The caller must call [`wait`] with a clone of the waker.
        MustWait,
    }

    /// Returns true if the task has ended. Its outcome may have been taken.
    pub(crate) fn is_finished(tasks: &RefCell<Tasks>, task: TaskId) -> bool {
        let stage = tasks.borrow().slot(task).map(|slot| slot.stage);
        matches!(stage, None | Some(Stage::Ended { .. }))
    }

    /// Returns the progress of the task. If it has not ended, stores the id of the task that is being polled as
    /// its waiter.
    pub(crate) fn try_wait(tasks: &RefCell<Tasks>, task: TaskId, waker: &Waker) -> Progress {
        let tasks = &mut *tasks.borrow_mut();
        // Only inside the runtime is an id the name of a task of this runtime.
        let within = tasks.remote.is_entered();
        let Some(slot) = tasks.slot_mut(task) else {
            return Progress::Ended { awaited: false };
        };
        if let Stage::Ended { awaited } = slot.stage {
            return Progress::Ended { awaited };
        }
        let runnable = slot.runnable.as_mut();
        let Some(place) = runnable.and_then(|runnable| runnable.future.as_mut().waiter()) else {
            return Progress::MustWait;
        };
        if place
            .as_ref()
            .is_some_and(|waiter| waiter.is(waker, within))
        {
            return Progress::Waits(None);
        }
        match current_task::task(waker) {
            Some(task) if within => Progress::Waits(place.replace(Waiter::Task(task))),
            _ => Progress::MustWait,
        }
    }

    /// Stores a waker that the end of the task wakes. Returns the waiter that it has replaced.
    ///
    /// # Errors
    ///
    /// Returns the waker if the task has ended.
    pub(crate) fn wait(
        tasks: &RefCell<Tasks>,
        task: TaskId,
        waker: Waker,
    ) -> Result<Option<Waiter>, Waker> {
        // `slot_mut` would borrow the whole table. The slot and the early waiters are needed at the same time.
        let tasks = &mut *tasks.borrow_mut();
        let early = &mut tasks.early_waiters;
        let Some(slot) = tasks.slots.get_mut(task.index as usize) else {
            return Err(waker);
        };
        if slot.generation != task.generation || matches!(slot.stage, Stage::Ended { .. }) {
            return Err(waker);
        }
        let waiter = Waiter::Foreign(waker);
        let runnable = slot.runnable.as_mut();
        if let Some(place) = runnable.and_then(|runnable| runnable.future.as_mut().waiter()) {
            return Ok(place.replace(waiter));
        }
        if let Some((_, place)) = early.iter_mut().find(|(of, _)| *of == task) {
            return Ok(Some(mem::replace(place, waiter)));
        }
        early.push((task, waiter));
        Ok(None)
    }

    /// Moves the outcome of a task that has ended into `to`, and frees its slot.
    pub(crate) fn take(tasks: &RefCell<Tasks>, task: TaskId, to: &mut dyn Any) {
        let ended = tasks.borrow_mut().remove(task);
        if let Some(mut ended) = ended {
            ended.as_mut().take_outcome(to);
        }
    }

    /// Aborts a task that has not ended: marks it and queues it. Its future is dropped instead of polled. `place`
    /// is that of the abort in the program.
    pub(crate) fn abort(
        tasks: &RefCell<Tasks>,
        task: TaskId,
        reason: Reason,
        place: Option<Place>,
    ) {
        let mut tasks = tasks.borrow_mut();
        let Some(slot) = tasks.slot_mut(task) else {
            return;
        };
        if slot.stage != Stage::Alive {
            return;
        }
        slot.stage = Stage::Aborting;
        let waker = slot.runnable.as_ref().map(|task| task.waker.clone());
        // Not a point: outside the runtime, the points are those of another runtime or of none.
        let place = place.and_then(Place::location);
        tasks.reports.cancelled(task, reason, place);
        // The wake runs no foreign code, because the waker is the runtime's own. A running task has no waker
        // in its slot. It is queued by its id, and finds the mark at its next poll.
        match waker {
            Some(waker) => ArcWake::wake_by_ref(&waker),
            None => tasks.remote.wake(task),
        }
    }

    /// Drops the outcome and the waiter, because the handle is gone.
    pub(crate) fn release(tasks: &RefCell<Tasks>, task: TaskId) {
        let (waiter, ended) = {
            let tasks = &mut *tasks.borrow_mut();
            let Some(slot) = tasks.slot_mut(task) else {
                return;
            };
            slot.has_handle = false;
            // Values are collected under the borrow and dropped after it, because their destructors are
            // foreign.
            let runnable = slot.runnable.as_mut();
            let waiter = runnable.and_then(|runnable| runnable.future.as_mut().waiter()?.take());
            let ended = matches!(slot.stage, Stage::Ended { .. });
            let mut early = tasks.early_waiters.extract_if(.., |(of, _)| *of == task);
            let waiter = waiter.or(early.next().map(|(_, waiter)| waiter));
            drop(early);
            let ended = if ended { tasks.remove(task) } else { None };
            (waiter, ended)
        };
        panics::discard(waiter);
        panics::discard(ended);
    }
}
