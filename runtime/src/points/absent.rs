//! The points of a build without the feature `inspect`: they are empty.
#![expect(
    clippy::unused_self,
    reason = "each has the signature of the point in `reported`"
)]

use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::causes::{Call, CallError, Ready, Reason};
use crate::local_queue::{RuntimeId, TaskId};
use crate::nodes::subject::Site;

#[derive(Default)]
pub(crate) struct ReportWish;

#[derive(Clone, Default)]
pub(crate) struct Reports;

pub(crate) struct Switch;

impl Reports {
    pub(crate) fn open(_: ReportWish, _: bool, _: RuntimeId, _: impl Fn() + Send + Sync) -> Self {
        Self
    }

    pub(crate) fn are_on(&self) -> bool {
        false
    }

    pub(crate) fn root(&self, _: Site) {}
    pub(crate) fn spawned(&self, _: TaskId, _: Site, _: usize) {}
    pub(crate) fn cancelled(&self, _: TaskId, _: Reason, _: Site) {}

    pub(crate) fn enter(&self) -> Switch {
        Switch
    }
}

pub(crate) fn is_on() -> bool {
    false
}

pub(crate) fn is_watched() -> bool {
    false
}

pub(crate) fn if_watched<T: Default>(_: T) -> T {
    T::default()
}

pub(crate) fn named(_: TaskId, _: &Arc<str>) {}
pub(crate) fn wake(_: TaskId) {}
pub(crate) fn wake_is_sent(_: RuntimeId, _: TaskId) {}
pub(crate) fn cancelled(_: TaskId, _: Reason, _: Site) {}
pub(crate) fn raced<T>(poll: Poll<T>, _: Site) -> Poll<T> {
    poll
}

pub(crate) fn part_cancelled(_: Reason, _: Site) {}
pub(crate) fn ended(_: TaskId, _: bool) {}
pub(crate) fn registered(_: u32, _: &impl AsFd) {}
pub(crate) fn timer_is_due(_: impl FnOnce() -> u64) {}

pub(crate) fn parks(timeout: Option<Duration>) -> Option<Duration> {
    timeout
}

pub(crate) fn unparked(_: usize) {}
pub(crate) fn io_ready(_: usize, _: Ready, _: usize) {}
pub(crate) fn delivered(_: usize) {}
pub(crate) fn wake_due(_: usize, _: impl Fn(u64) -> u64, _: impl FnMut()) {}

pub(crate) fn call<T, E: CallError>(
    _: Call,
    _: &impl AsFd,
    _: &Result<T, E>,
    _: impl Fn(&T) -> usize,
) {
}

pub(crate) fn ending<T>(_: TaskId, wake: impl FnOnce() -> T) -> T {
    wake()
}

pub(crate) fn from_mail<T>(_: Option<TaskId>, read: impl FnOnce() -> T) -> T {
    read()
}

pub(crate) fn polled<T>(_: TaskId, poll: impl FnOnce() -> (T, bool)) -> T {
    poll().0
}

pub(crate) fn stop_before_poll(_: TaskId) -> Duration {
    Duration::ZERO
}

pub(crate) fn stop_before_wait() -> Duration {
    Duration::ZERO
}

pub(crate) fn job<A>(
    job: Box<dyn FnOnce(A) + Send>,
    _: fn(&A) -> bool,
) -> Box<dyn FnOnce(A) + Send> {
    job
}
