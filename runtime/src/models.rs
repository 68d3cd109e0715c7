//! loom's models of the places where threads meet in this crate. `tests/runtime/loom/run` runs them.
//!
//! # How it works
//!
//! A model is a small program with one executor and one or two other threads. loom runs it in every order that
//! the threads can take. If a wake is lost, the executor waits for ever, and loom reports a deadlock or too
//! many branches. The models access their own data with relaxed orderings, so that only the code under test
//! orders them.
//!
//! The code under test is that of the crate: tasks, wakers, local queue, remote, pool and job slot. Only the
//! executor is a small one, without a reactor and timers.
//!
//! `tests/runtime/loom/breakages` has mistakes as patches, each with the names of the models that find it.
//!
//! # Invariants
//!
//! - Never: an assertion inside a task or a job, where a panic is caught.
//! - Never: a task spawned after another one has ended (for the reason, see [`primitives`](crate::primitives)).

mod blocking;
mod executor;
mod pool;
mod remote;
