//! Claims about each asynchronous operation that is dropped at any of its awaits: it loses no value, keeps no permit, and
//! leaves no waker.
//!
//! | file | operations |
//! |---|---|
//! | `wakers.rs` | all that can wait: no waker is left |
//! | `sync.rs` | notifications, permits, locks, channels, tokens |
//! | `tasks.rs` | handles, sets, scopes, blocking jobs |
//! | `together.rs` | `select`, `race`, `join` and their further forms |
//! | `streams.rs` | sockets, pipes, `copy` |
//! | `outside.rs` | files, processes, signals |
//! | `timers.rs` | sleeps, timeouts, intervals |

mod outside;
mod streams;
mod sync;
mod tasks;
mod timers;
mod together;
mod wakers;
