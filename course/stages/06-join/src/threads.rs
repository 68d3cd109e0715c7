//! Two functions at once, on two threads.

use std::thread;

/// Runs both functions at once, and returns both values. This thread runs the first one.
///
/// This is not a future: the calling thread is busy until both have ended.
pub fn on_threads<A, B: Send>(
    first: impl FnOnce() -> A,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    // TODO 3: Use `thread::scope`: spawn `second` in the scope, call `first` here, and then join the thread. (`join` returns
    // an error if the thread has panicked. `expect` is enough here.)
    todo!("TODO 3")
}
