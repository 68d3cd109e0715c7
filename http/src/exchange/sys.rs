//! The system call of this layer that only Linux has: a read of a file that never waits for a disk.
//!
//! # How it works
//!
//! On Linux, `preadv2(2)` with `RWF_NOWAIT` reads only bytes that are in memory. On other systems, no call reports
//! if bytes are in memory. So this returns there that they are not, and a thread of the pool reads each file.
//!
//! # Invariants
//!
//! - Never: a wait for a disk on the runtime's thread.

#[cfg(target_os = "linux")]
pub(super) use linux::read_cached;
#[cfg(not(target_os = "linux"))]
pub(super) use other::read_cached;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::IoSliceMut;

    use rustix::io::{ReadWriteFlags, Result, preadv2};

    /// Reads bytes of a file that are in memory. Returns `EAGAIN` or a short count for bytes that are not, and
    /// another error if the file system does not report this.
    pub(in crate::exchange) fn read_cached(
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> Result<usize> {
        let mut buffers = [IoSliceMut::new(buffer)];
        preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT)
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::fs::File;

    use rustix::io::{Errno, Result};

    /// Returns `EAGAIN`: the bytes may not be in memory.
    pub(in crate::exchange) fn read_cached(_: &File, _: &mut [u8], _: u64) -> Result<usize> {
        Err(Errno::AGAIN)
    }
}
