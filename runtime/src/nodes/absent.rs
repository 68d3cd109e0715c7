//! The points of a build without the feature `inspect`: they are empty.
#![expect(
    clippy::unused_self,
    reason = "each has the signature of the point in `recorded`"
)]

use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::subject::{Site, Subject};
use crate::instant::Clock;
use crate::local_queue::{RuntimeId, TaskId};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin;

#[cfg(any(debug_assertions, feature = "watch"))]
pub(crate) fn are_recorded() -> bool {
    false
}

impl Origin {
    pub(crate) fn here(_: &'static str) -> Self {
        Self
    }

    pub(crate) fn unknown(_: &'static str) -> Self {
        Self
    }

    pub(crate) fn site(self) -> Site {
        None
    }
}

#[inline]
pub(crate) fn enter<'a, T>(
    cx: &mut Context<'a>,
    _: Origin,
    _: impl FnOnce() -> Subject,
    poll: impl FnOnce(&mut Context<'a>) -> Poll<T>,
) -> Poll<T> {
    poll(cx)
}

#[inline]
pub(crate) fn waits<T>(_: &Context<'_>, _: Origin, _: impl FnOnce() -> Subject) -> Poll<T> {
    Poll::Pending
}

#[inline]
pub(crate) fn waits_for_socket<T, S: AsFd>(
    _: &Context<'_>,
    _: impl FnOnce() -> &'static str,
    _: &S,
) -> Poll<T> {
    Poll::Pending
}

#[inline]
pub(crate) fn tried<S: AsFd>(_: &S) {}

#[inline]
pub(crate) fn completed(_: Origin) {}

#[inline]
pub(crate) fn registered<S: AsFd>(_: &S) {}

// A guard, not a closure: the executor has two polls, and each would call the closure. // LOG S4
#[inline]
pub(crate) fn begin_poll(_: &Tracker, _: TaskId, _: &Clock) -> PollGuard {
    PollGuard
}

/// The guard of a poll that is not watched.
pub(crate) struct PollGuard;

#[derive(Clone, Default)]
pub(crate) struct Tracker;

impl Tracker {
    pub(crate) fn is_on(&self) -> bool {
        false
    }

    pub(crate) fn opened(&self, _: RuntimeId) {}

    pub(crate) fn spawned<W>(&self, _: TaskId, _: Site, _: usize, _: &Arc<W>) {}

    pub(crate) fn ended(&self, _: TaskId) {}

    pub(crate) fn named(&self, _: TaskId, _: &Arc<str>) {}

    pub(crate) fn closing(&self) {}
}

#[derive(Debug, Default)]
pub(crate) struct Held;

impl Held {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn by_this_task<T>(_: &T) -> Self {
        Self
    }

    pub(crate) fn by_any_task<T>(_: &T) -> Self {
        Self
    }

    pub(crate) fn renew<T>(&mut self, _: &T) {}
}

pub(crate) struct JobMark;

impl JobMark {
    pub(crate) fn queued<T>(_: &Tracker, _: &T, _: Origin) -> Self {
        Self
    }

    pub(crate) fn begin(&self) {}
}
