//! A runtime, as a program sees it.

use std::future::Future;
use std::io;
use std::rc::Rc;

use crate::context::Inside;
use crate::executor::Executor;

/// An executor that may run several futures, one after the other. The tasks live as long as it.
pub struct Runtime {
    executor: Rc<Executor>,
}

impl Runtime {
    /// Makes a runtime for this thread.
    ///
    /// # Errors
    ///
    /// Fails if the process has too few file descriptors left: epoll and its eventfd take two.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            executor: Executor::new()?,
        })
    }

    /// Runs `future` to its end, and the spawned tasks beside it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _inside = Inside::enter(&self.executor);
        self.executor.block_on(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Inside the runtime, so that the sleeps and sockets of the tasks find it when they drop.
        let _inside = Inside::enter(&self.executor);
        self.executor.shut_down();
    }
}

/// Runs `future` on a new runtime. Tasks that have not ended when `future` ends are dropped.
///
/// # Panics
///
/// Panics if the runtime cannot be made; see [`Runtime::new`].
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Runtime::new().expect("there are descriptors left for a runtime");
    runtime.block_on(future)
}
