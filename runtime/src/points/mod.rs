//! The points at which the runtime reports what it does.
//!
//! # How it works
//!
//! With the feature `inspect`, the points are those of `reported`. A thread-local switch is on while the thread is inside
//! a runtime that reports. A point is one predictable branch on that switch, and the rest is out of line. Without the
//! feature, the points are the empty ones of `absent`.
//!
//! ```text
//!  executor, task_table, waker, socket … ── a point ──► off: go on
//!                                              └──────► on:  Reporter, which `inspect` implements
//! ```
//!
//! The core knows only the trait, so it can be read without `inspect`.
//!
//! The cause of a wake is exact, because the present activity of the thread is stored: it polls a task, ends a task,
//! delivers the events of a descriptor, fires timers, or reads the messages of other threads.
//!
//! # Invariants
//!
//! - Always: a build without the feature has no instruction of this module.
//! - Never: a condition on the feature in a file that calls a point.

#[cfg(not(feature = "inspect"))]
mod absent;
#[cfg(feature = "inspect")]
mod reported;

// `absent` has each name that a build without the feature calls, so no caller has a condition of its own.
#[cfg(not(feature = "inspect"))]
pub(crate) use absent::*;
#[cfg(feature = "inspect")]
pub(crate) use reported::*;
