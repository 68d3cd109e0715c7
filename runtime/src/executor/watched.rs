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
//! | after a wait | [`Executor::deliver_reported`] |
//! | the wakes at the end of a turn | [`Executor::wake_reported`] |
//!
//! # Invariants
//!
//! - Always: the order of polls, deliveries and wakes is that of a runtime that is not watched.

use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Executor, Wait};
use crate::hooks;
use crate::instant::Instant;
use crate::local_queue::{self, TaskId};
use crate::panics;
use crate::points;

/// The longest wait of one step, if the runtime takes single steps and no task is ready.
const STEP_WAIT_MAX: Duration = Duration::from_millis(100);

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
        hooks.after_wait();
        let is_task = task != TaskId::ROOT;
        if is_task && !self.is_alive(task) {
            return self.poll_once(task, root);
        }
        self.timers.fall_behind(points::stop_before_poll(task));
        // The future of `block_on` is not a task.
        if !is_task || !hooks.know_tasks() {
            return self.poll_reported(task, root);
        }
        // Made before the poll, because the task may end in it.
        let info = self.info(task);
        hooks::call(hooks.before_poll.as_ref(), &info);
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
            let poll = self.poll_once(task, root);
            let is_alive = task == TaskId::ROOT || self.is_alive(task);
            (poll, poll.is_ready() || !is_alive)
        })
    }

    /// Calls the hook of the user and reports the wait, if the thread is about to wait. Returns the wait, which is a
    /// short one if the runtime takes single steps.
    #[cold]
    pub(super) fn before_wait(&self, wait: Wait, had_mail: bool) -> Wait {
        let Some(hooks) = &self.hooks else {
            return wait;
        };
        hooks.after_wait();
        if matches!(wait, Wait::No) || local_queue::any_ready() {
            return wait;
        }
        self.timers.fall_behind(points::stop_before_wait());
        hooks.before_wait();
        let wait = if points::takes_steps() {
            Wait::Until(Instant::real() + STEP_WAIT_MAX)
        } else {
            wait
        };
        if points::is_on() {
            let timeout = self.timeout(wait, had_mail);
            if timeout != Some(Duration::ZERO) {
                points::parks(timeout);
            }
        }
        wait
    }

    /// Delivers the events of a wait, and reports them.
    #[cold]
    pub(super) fn deliver_reported(&self, due: &mut Vec<Waker>) -> usize {
        points::unparked(self.reactor.events_len());
        let tasks = self.tasks.borrow();
        let events = local_queue::push_first(|ready| {
            let queue = |task| {
                if tasks.mark_queued(task) {
                    points::wake(task);
                    ready.push(task);
                }
            };
            self.reactor.deliver(due, points::io_ready, queue)
        });
        points::delivered(due.len());
        events
    }

    /// Wakes the wakers that a turn has collected, each with its cause.
    #[cold]
    pub(super) fn wake_reported(&self, due: &mut Vec<Waker>) {
        let lag = |tick| self.timers.nanos_since_tick(tick);
        let mut wakers = due.drain(..);
        points::wake_due(wakers.len(), lag, || {
            if let Some(waker) = wakers.next() {
                panics::wake(waker);
            }
        });
    }
}
