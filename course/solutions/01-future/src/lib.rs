//! Stage 1: a future in memory.

pub mod countdown;
pub mod pinned;
pub mod poll_once;
pub mod size;
pub mod sum;
