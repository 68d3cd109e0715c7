//! The runtime that this thread is inside.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use crate::executor::Executor;
use crate::join_handle::JoinHandle;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) };
}

/// Calls `f` with the executor that this thread is inside.
///
/// # Panics
///
/// Panics outside a runtime.
pub fn with<T>(f: impl FnOnce(&Executor) -> T) -> T {
    // A clone, so that the thread-local is not borrowed while `f` runs.
    let current = CURRENT.with(|current| current.borrow().clone());
    f(&current.expect("this works only inside a runtime: within block_on"))
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
}

impl Inside {
    pub fn enter(executor: &Rc<Executor>) -> Self {
        let outer = CURRENT.with(|current| current.replace(Some(executor.clone())));
        Self { outer }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let inner = CURRENT.with(|current| current.replace(self.outer.take()));
        drop(inner);
    }
}
