//! Bytes from one place to another: [`copy()`], [`copy_bidirectional`] and [`pipe()`].
//!
//! # How it works
//!
//! The readers and writers are those of `futures-io`, of any crate. The extension traits with `read_exact`,
//! `lines` and so on are those of `futures-lite` or `futures-util`.

mod copy;
mod pipe;

pub use copy::{copy, copy_bidirectional};
pub use pipe::{PipeReader, PipeWriter, pipe};
