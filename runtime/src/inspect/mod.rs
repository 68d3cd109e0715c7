//! Watches a runtime at work: its events, for tests, for a page, and for tools. (Feature `inspect`.)
//!
//! A runtime that is made with [`RuntimeBuilder::inspect`](crate::RuntimeBuilder::inspect) writes an event for each
//! spawn, wake, poll, wait, system call of a socket, timer and blocking job into a ring of fixed size. The cause of each
//! wake is exact. Any thread can read the ring at any time, also while a task holds the runtime's thread.
//!
//! | to | use |
//! |---|---|
//! | check in a test that no poll is long, or that a task is woken seldom | [`Trace::assert_polls_shorter_than`], [`Trace::assert_wakes_at_most`] |
//! | see all that has happened | [`Recorder::trace`], [`Trace::to_json`] |
//! | follow what happens | [`Recorder::subscribe`] |
//! | stop the runtime and let it take single steps | [`Recorder::control`], [`Control`] |
//!
//! # Cost
//!
//! A build without the feature has no code of this module. In a build with the feature, a runtime that does not record
//! spends one predictable branch at each point.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use waterwheel::runtime::{Runtime, inspect, spawn, time::sleep};
//!
//! let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
//! let trace = runtime.block_on(async {
//!     spawn(sleep(Duration::from_millis(1))).await.unwrap();
//!     inspect::recorder().unwrap().trace()
//! });
//! trace.assert_polls_shorter_than(Duration::from_secs(1));
//! for event in trace.events() {
//!     println!("{:?} {:?}", event.at, event.kind);
//! }
//! # std::io::Result::Ok(())
//! ```

mod control;
mod event;
mod facts;
mod gate;
mod json;
mod options;
mod recorder;
mod ring;
mod shared;
mod trace;
mod writer;

pub use control::{Control, ControlState};
pub use event::{CancelCause, Event, EventKind, SyscallOp, SyscallResult, TaskOutcome, WakeCause};
pub use options::Options;
pub use recorder::{Events, Recorder, cancelled, recorder};
pub use trace::{PollSpan, Trace, TracedTask};
