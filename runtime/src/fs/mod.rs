//! Files and folders, on the blocking pool.
//!
//! # How it works
//!
//! The kernel has no readiness for files: a read of a file that is not in memory blocks. So each function of
//! this module is one job of the pool, and has the name of its counterpart in [`std::fs`]. A [`File`] has one job
//! for each piece of up to 128 KiB. A job costs about 10 µs, so a function that does much at once
//! ([`read()`], [`write()`]) is cheaper than many small calls.
//!
//! If a future is dropped, a job that has not begun is cancelled, and one that runs is completed. So after a
//! dropped [`rename`], the file has either name.
//!
//! # Invariants
//!
//! - Never: a call on the runtime's own thread that waits for a disk. The exception is the close of a file.

mod file;
mod read_dir;
mod whole;

pub use file::File;
pub use read_dir::{ReadDir, read_dir};
pub use whole::{
    canonicalize, copy, create_dir, create_dir_all, metadata, read, read_to_string, remove_dir,
    remove_dir_all, remove_file, rename, symlink_metadata, write,
};
