//! loom's models of what threads do to each other in this crate. `tests/loom/run` runs them.
//!
//! # How it works
//!
//! A model is a small program of one executor and one or two other threads. loom runs it in every order that
//! the threads can take. A wake that is lost leaves the executor asleep; loom then reports a deadlock, or
//! that the model has exceeded its branches. The data of the models is relaxed, so that only the code under
//! test orders it.
//!
//! The code under test is the crate's own: tasks, wakers, local queue, remote, pool and slot. Only the
//! executor is a small one, without reactor and timers.
//!
//! `tests/loom/breakages` holds mistakes, each with the names of the models that find it.
//!
//! # Invariants
//!
//! - Never: an assertion inside a task or a job, where a panic is caught.
//! - Never: a task spawned after another one has ended ([`sync`](crate::sync) says why).

mod blocking;
mod executor;
mod pool;
mod remote;
