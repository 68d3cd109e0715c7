//! A runtime, as a program sees it.

use std::future::Future;
use std::rc::Rc;

use crate::context::Inside;
use crate::executor::Executor;

/// An executor that may run several futures, one after the other. The tasks live as long as it.
pub struct Runtime {
    executor: Rc<Executor>,
}

impl Runtime {
    /// Makes a runtime for this thread.
    #[expect(clippy::new_without_default, reason = "a later stage may fail here")]
    pub fn new() -> Self {
        Self {
            executor: Executor::new(),
        }
    }

    /// Runs `future` to its end, and the spawned tasks beside it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _inside = Inside::enter(&self.executor);
        self.executor.block_on(future)
    }
}

/// Runs `future` on a new runtime. Tasks that have not ended when `future` ends are dropped.
pub fn block_on<F: Future>(future: F) -> F::Output {
    Runtime::new().block_on(future)
}
