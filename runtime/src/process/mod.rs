//! Child processes: [`Command`] starts one, and a task waits for its end.
//!
//! # How it works
//!
//! [`Command`] is that of the standard library with other ends: its pipes are non-blocking, and a [`Child`] is
//! waited for through the reactor. On Linux, a descriptor of the child becomes readable at its end (a pidfd).
//! On other systems, SIGCHLD wakes all tasks that wait for a child, and each asks for its own.
//!
//! A process that has ended stays in the kernel's table until its parent asks for its exit status (a zombie). So a
//! [`Child`] that is dropped leaves an orphan, and a task of the runtime asks for its status. If the runtime ends
//! first, the next start of a process asks.
//!
//! # Invariants
//!
//! - Always: each child is asked for its status once it has ended, while a runtime runs or when the next child
//!   starts.
//! - Never: a wait for any child (`waitpid(-1)`). It would take the status of children of other code.
//! - Never: a signal to a process that was reaped. Its number may be that of another process.

mod child;
mod command;
mod exit;

pub use child::Child;
pub use command::Command;
