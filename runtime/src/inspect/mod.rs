//! Watch the runtime run: which tasks there are, why each of them waits, and what is wrong.
//!
//! A runtime is inspected if its builder was told so. There are two calls, because the second one costs more:
//!
//! | call | keeps | and has |
//! |---|---|---|
//! | [`RuntimeBuilder::explain`](crate::RuntimeBuilder::explain) | the present: why each task waits | [`dump()`], the watchdog, SIGUSR1 |
//! | [`RuntimeBuilder::inspect`](crate::RuntimeBuilder::inspect) | that, and the past: each event | all of this module |
//!
//! `inspect` includes `explain` with its defaults. Call both, in any order, to change these.
//!
//! A runtime that was made with [`RuntimeBuilder::explain`](crate::RuntimeBuilder::explain) records each future of this
//! crate while it is polled. A [`dump()`] shows the futures *within* each task:
//!
//! ```text
//! runtime 1 after 12.3 s: 10,001 tasks in 2 groups
//! root has been running for 24 µs at src/main.rs:8:5
//! 10000 tasks `worker`, spawned at src/main.rs:12:5, waiting for 1.8 s to 1.81 s, 512 bytes each: 1.0.1, 1.1.2, …
//!     import > timeout(5 s, 3.2 s left) > race > [read fd 12 of 127.0.0.1:4711, sleep(200 ms left)]
//!     at: import src/main.rs:12:11; timeout src/main.rs:20:9; race src/main.rs:21:5; sleep src/main.rs:21:30
//! ```
//!
//! A future of another library records nothing. It is shown as "a waker of another library".
//!
//! A dump also has [findings](Finding): tasks that no event can wake, tasks that wait for each other, a poll that holds
//! the thread.
//!
//! A runtime that was made with [`RuntimeBuilder::inspect`](crate::RuntimeBuilder::inspect) writes an event for each
//! spawn, wake, poll, wait, system call of a socket, timer and blocking job into a ring of fixed size. The cause of each
//! wake is exact. Any thread can read the ring at any time, also while a task holds the runtime's thread.
//!
//! | to | use |
//! |---|---|
//! | check in a test that no poll is long, or that a task is woken seldom | [`Trace::assert_polls_shorter_than`], [`Trace::assert_wakes_at_most`] |
//! | see all that has happened | [`Recorder::trace`], [`Trace::to_json`] |
//! | follow what happens | [`Recorder::subscribe`] |
//! | write the events out when a task panics or a request is slow | [`Flight`], [`trigger`] |
//! | open a trace in Perfetto | [`Trace::to_trace_events`], or the variable `WATERWHEEL_TRACE`; see [`Options`] |
//! | stop the runtime and let it take single steps | [`Recorder::control`], [`Control`] |
//!
//! # What it costs
//!
//! A build without the feature `inspect` has no code of this module. With the feature, a runtime that neither records
//! nor explains spends a load and a branch at each point. `benches/costs --inspect` counts the instructions of a server
//! for a plaintext request: 1,477 instead of 1,471 alone, and 548 instead of 547 for each of sixteen in one write.
//! `benches/micro/check --inspect` counts them without sockets: 0.4 % more for a request, 2 % for a connection with one
//! request, 4 % for a wake and its poll, and 6 % for a spawn and its join.
//!
//! `cargo bench --bench inspect` measures a runtime that records. Writing an event takes 20 to 30 ns. The reasons of
//! `explain` take 40 to 75 ns more for each event, because each poll takes two locks, which no other thread holds but
//! for the time of a copy. A dump of 10,000 equal tasks takes 2 ms, and one of 10,000 tasks with different names takes
//! 11 ms (the median of 51 dumps).

mod control;
mod dump;
mod event;
mod explain;
mod export;
mod facts;
mod findings;
mod flight;
mod gate;
mod grouping;
mod json;
mod named;
pub(crate) mod options;
mod player;
mod recorder;
mod ring;
mod shared;
mod trace;
mod tree;
mod watchdog;
mod writer;

pub use control::{Control, ControlState};
pub use dump::{Dump, Group};
pub use event::{CancelCause, Event, EventKind, SyscallOp, SyscallResult, TaskOutcome, WakeCause};
pub use explain::{Dumper, Explain, dump, dumper};
pub use findings::Finding;
pub use flight::Flight;
pub use named::{Named, NamedPart, named, poll_in_phase, poll_named, records_parts};
pub use options::Options;
pub use player::{PLAYER, player};
pub use recorder::{Events, Recorder, cancelled, recorder, recorders, trigger};
pub use trace::{PollSpan, Trace, TracedTask};
pub use tree::Tree;
