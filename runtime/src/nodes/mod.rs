//! The reasons for which a task waits: each future of this crate records itself while it is polled.
//!
//! # How it works
//!
//! With the feature `inspect`, the points are those of `recorded`. Each is one check of a thread-local flag, which is
//! true during the polls of a runtime that is inspected. Without the feature, they are the empty ones of `absent`.
//!
//! | call | by |
//! |---|---|
//! | [`begin_poll`] | the executor, before each poll |
//! | [`enter`] | a future with futures inside, around the poll of them |
//! | [`EnteredReason`] | the same, where the poll is not a closure |
//! | [`enter_part`], [`part_waits`] | a part with a name on a hot path: it is over unless it was left as one that waits |
//! | [`waits`], [`waits_for_socket`] | a leaf that returns `Pending` |
//! | [`tried`] | a socket that is not ready any more, so that its wait begins now |
//! | [`Tracker`] | the table of tasks, when a task is spawned and when it has ended |
//! | [`Origin`] | a function that makes a future: its label, and the caller's line |
//! | [`Held`] | a permit, and the ends of a channel: the task that has it, or has used it last |
//! | [`JobMark`] | a blocking job, from the queue to its end |
//!
//! # Invariants
//!
//! - Always: a call is a load and a branch if no runtime of this thread is inspected.
//! - Never: a larger future without the feature.

#[cfg(not(feature = "inspect"))]
mod absent;
#[cfg(feature = "inspect")]
mod recorded;
pub(crate) mod subject;

// `absent` has each name that a build without the feature calls, so no caller has a condition of its own.
#[cfg(not(feature = "inspect"))]
pub(crate) use absent::*;
#[cfg(feature = "inspect")]
pub(crate) use recorded::*;
pub(crate) use subject::{Subject, address};
