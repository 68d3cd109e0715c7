//! Bytes from one place to another: [`copy()`], [`copy_bidirectional`], [`pipe()`], and the
//! standard streams.
//!
//! # How it works
//!
//! The readers and writers are those of `futures-io`, of any crate. The extension traits with `read_exact`,
//! `lines` and so on are those of `futures-lite` or `futures-util`.

mod copy;
pub(crate) mod on_pool;
mod pipe;
mod stdio;

pub use copy::{copy, copy_bidirectional};
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
