//! The runtime that this thread is inside.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use crate::budget;
use crate::executor::Executor;
use crate::join_handle::JoinHandle;
use crate::local_queue::Entered;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) };
}

/// Calls `f` with the executor that this thread is inside. Returns `None` outside a runtime.
pub fn try_with<T>(f: impl FnOnce(&Executor) -> T) -> Option<T> {
    // A clone, so that the thread-local is not borrowed while `f` runs.
    let current = CURRENT.with(|current| current.borrow().clone());
    current.map(|executor| f(&executor))
}

/// Calls `f` with the executor that this thread is inside.
///
/// # Panics
///
/// Panics outside a runtime.
pub fn with<T>(f: impl FnOnce(&Executor) -> T) -> T {
    try_with(f).expect("this works only inside a runtime: within block_on")
}

/// The things that a runtime stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The tasks that have not ended.
    pub tasks: usize,
    /// The armed timers.
    pub timers: usize,
    /// The registered sockets.
    pub sources: usize,
    /// The turns that it has taken.
    pub turns: u64,
    /// The messages that it has received from other threads.
    pub messages: u64,
}

/// Counts the things that the runtime of this thread stores.
///
/// # Panics
///
/// Panics outside a runtime.
pub fn counts() -> Counts {
    with(Executor::counts)
}

/// Spawns a task that runs beside the current one.
///
/// # Panics
///
/// Panics outside a runtime.
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    with(|executor| executor.spawn(future))
}

/// A guard that keeps this thread inside a runtime.
pub struct Inside {
    outer: Option<Rc<Executor>>,
    _queue: Entered,
}

impl Inside {
    pub fn enter(executor: &Rc<Executor>) -> Self {
        let queue = executor.queue().enter();
        let outer = CURRENT.with(|current| current.replace(Some(executor.clone())));
        Self {
            outer,
            _queue: queue,
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        budget::remove_limit();
        let inner = CURRENT.with(|current| current.replace(self.outer.take()));
        drop(inner);
    }
}
