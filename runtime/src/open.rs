//! Opens runtimes: the last step of each way to one.
//!
//! # How it works
//!
//! With the feature `inspect`, the variable `WATERWHEEL_TRACE` of the environment lets each runtime record, also one
//! that [`block_on`](fn@crate::block_on) makes. So this file stands above all that it may turn on.
//!
//! # Invariants
//!
//! - Always: a builder without a call makes the same runtime as [`Runtime::new`].

use std::io;

use crate::runtime::Runtime;
use crate::runtime_builder::RuntimeBuilder;

impl Runtime {
    /// Opens a runtime: an epoll instance with two descriptors (the second one is for sockets that leave
    /// on another thread) and an eventfd.
    ///
    /// # Errors
    ///
    /// Fails if the process does not have three descriptors left.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }
}

impl RuntimeBuilder {
    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Runtime::new`].
    pub fn build(self) -> io::Result<Runtime> {
        Runtime::with(with_environment(self).settings)
    }
}

#[cfg(feature = "inspect")]
fn with_environment(builder: RuntimeBuilder) -> RuntimeBuilder {
    match crate::inspect::options::from_environment() {
        Some(options) if builder.settings.reports.is_none() => builder.inspect(options),
        _ => builder,
    }
}

#[cfg(not(feature = "inspect"))]
fn with_environment(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder
}
