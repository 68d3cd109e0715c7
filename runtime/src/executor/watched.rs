//! The turn of a runtime that is watched: with hooks of the user, or with reports.
//!
//! # How it works
//!
//! These functions are the slow forms of steps of [`Executor::turn`]. They are out of line, so a runtime that is not
//! watched pays for one branch in each of these steps.
//!
//! | step | function |
//! |---|---|
//! | a poll | [`Executor::poll_with_hooks`] |
//! | before a wait | [`Executor::before_wait`] |
//! | the wakes at the end of a turn | [`Executor::wake_reported`] |
//!
//! # Invariants
//!
//! - Always: the order of polls, deliveries and wakes is that of a runtime that is not watched.

use std::task::{Poll, Waker};

use super::{Executor, Wait};
use crate::hooks;
use crate::local_queue::{self, TaskId};
use crate::nodes;
use crate::panics;
use crate::points;

impl Executor {
    /// Polls one task, and calls the hooks of the user around the poll.
    #[cold]
    pub(super) fn poll_with_hooks(
        &self,
        task: TaskId,
        root: &mut dyn FnMut() -> Poll<()>,
    ) -> Poll<()> {
        let Some(hooks) = &self.hooks else {
            return Poll::Pending;
        };
        // The hook after a wait is called late, here, so that a turn needs no check for it.
        hooks.after_wait();
        let is_task = task != TaskId::ROOT;
        // A stale id is no poll, so neither a hook nor an event may show one.
        if is_task && !self.is_alive(task) {
            return self.poll_out_of_line(task, root);
        }
        self.timers.fall_behind(points::stop_before_poll(task));
        // The future of `block_on` is not a task.
        if !is_task || !hooks.know_tasks() {
            return self.poll_reported(task, root);
        }
        // Made before the poll, because the task may end in it.
        let info = self.info(task);
        hooks::call(hooks.before_poll.as_ref(), &info);
        // The table of tasks has caught the panic. Only the count tells that there was one.
        let panics_before = panics::of_tasks();
        let poll = self.poll_reported(task, root);
        if panics::of_tasks() != panics_before {
            hooks::call(hooks.on_panic.as_ref(), &info);
        }
        hooks::call(hooks.after_poll.as_ref(), &info);
        poll
    }

    /// Polls one task, and reports the poll.
    fn poll_reported(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        points::polled(task, || {
            let poll = {
                let _recorded = nodes::begin_poll(&self.tracker, task, self.timers.clock());
                let poll = self.poll_out_of_line(task, root);
                if poll.is_ready() {
                    // Within the poll, or a reader would see a task that waits for nothing.
                    self.tracker.ended(TaskId::ROOT);
                }
                poll
            };
            // A task that was aborted in its own poll has ended, although the poll returned `Pending`.
            let is_alive = task == TaskId::ROOT || self.is_alive(task);
            (poll, poll.is_ready() || !is_alive)
        })
    }

    /// The one copy of a poll for all callers here, so that the usual copy is compiled as if it were the only one.
    #[inline(never)] // LOG R1
    fn poll_out_of_line(&self, task: TaskId, root: &mut dyn FnMut() -> Poll<()>) -> Poll<()> {
        self.poll_once(task, root)
    }

    /// Stops before the wait, if the runtime takes single steps, and calls the hook of the user.
    #[cold]
    pub(super) fn before_wait(&self, wait: Wait) {
        let Some(hooks) = &self.hooks else { return };
        hooks.after_wait();
        if !matches!(wait, Wait::No) && !local_queue::any_ready() {
            self.timers.fall_behind(points::stop_before_wait());
            hooks.before_wait();
        }
    }

    /// Delivers the events, each with its report.
    #[cold]
    #[inline(never)]
    pub(super) fn deliver_reported(&self, due: &mut Vec<Waker>) -> usize {
        points::unparked(self.reactor.events_len());
        let events = self.deliver::<true>(due);
        points::delivered(due.len());
        events
    }

    /// Wakes the wakers that a turn has collected, each with its cause.
    #[cold]
    pub(super) fn wake_reported(&self, due: &mut Vec<Waker>) {
        let lag = |tick| self.timers.nanos_since_tick(tick);
        // Woken one by one, so that each wake stands behind the event that has caused it.
        let mut wakers = due.drain(..);
        points::wake_due(wakers.len(), lag, || {
            if let Some(waker) = wakers.next() {
                panics::wake(waker);
            }
        });
    }
}
