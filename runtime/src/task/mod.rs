//! Tasks: sets, scopes, names, locals, and handles for other threads.
//!
//! [`spawn`] and [`JoinHandle`] are enough for most programs.
//!
//! | to | use |
//! |---|---|
//! | run a future beside this one | [`spawn`], [`spawn_detached`] |
//! | run many, and take their values as they come | [`JoinSet`] |
//! | run several that must not outlive a block | [`scope`](fn@scope) |
//! | give a task a name | [`Builder`] |
//! | end a task from any thread | [`JoinHandle::abort_handle`], [`AbortHandle`] |
//! | run a task from another thread, and await its value there | [`Handle::spawn_with`](crate::Handle::spawn_with) |
//! | have a value in a task without passing it along | [`TaskLocal`] |
//! | know which task this is | [`id`] |
//! | ask a task to end, so that it can clean up | [`CancellationToken`](crate::sync::CancellationToken) |
//! | run a future without pauses | [`unconstrained`] |
//! | let others run | [`yield_now`] |
//!
//! # Which one ends a task
//!
//! | | the task | its future is dropped |
//! |---|---|---|
//! | [`JoinHandle`] dropped | runs on | at its end |
//! | [`JoinHandle::abort`], [`AbortHandle::abort`] | ends at its present await | in the next turn |
//! | [`JoinSet`] dropped, [`JoinSet::abort_all`] | ends at its present await | in the next turn |
//! | [`scope`](fn@scope) returns | ends at its present await | before the scope returns |
//! | the runtime ends | ends at its present await | before the runtime's drop returns |

mod abort_handle;
mod builder;
mod end_list;
mod join_set;
mod local;
mod remote_handle;
mod scope;

pub use crate::budget::{Unconstrained, unconstrained};
pub use crate::context::{spawn, spawn_detached};
pub use crate::join_error::JoinError;
pub use crate::join_handle::JoinHandle;
pub use crate::task_names::{Id, Info};
pub use crate::yield_now::{YieldNow, yield_now};
pub use abort_handle::{AbortHandle, id};
pub use builder::Builder;
pub use join_set::JoinSet;
pub use local::{Provided, TaskLocal};
pub use remote_handle::RemoteHandle;
pub use scope::{Scope, scope};
