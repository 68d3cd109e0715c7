//! The system calls for files that only Linux has.
//!
//! # How it works
//!
//! | | Linux | macOS, FreeBSD |
//! |---|---|---|
//! | a file below a folder | `openat2(2)` checks the whole path | each name is opened by itself, and no link is followed |
//! | a file in the kernel's caches | a flag of that call | the pool opens each file |
//! | a folder on the way | needs the permission to search (`O_PATH`) | needs the permission to read |
//!
//! # Invariants
//!
//! - Never: a path that leaves the folder, on any system.

use std::path::Path;

#[cfg(target_os = "linux")]
pub(super) use linux::{PASS, open_below};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{PASS, open_below};

/// The sources that may be used to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The kernel's caches. The call fails with `EAGAIN` if they do not suffice.
    Memory,
    /// The disk or the network.
    Disk,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    use super::{Path, Reach};
    use crate::web::files::options::Symlinks;

    /// The flags for the folders on the way to a file.
    pub(in crate::web::files) const PASS: OFlags =
        OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);

    /// Opens a path below a folder. Returns `EAGAIN` if names are moved during the call, or if the kernel's caches
    /// do not suffice.
    pub(in crate::web::files) fn open_below(
        folder: BorrowedFd<'_>,
        path: &Path,
        flags: OFlags,
        symlinks: Symlinks,
        reach: Reach,
    ) -> Result<OwnedFd, Errno> {
        let resolve = match symlinks {
            Symlinks::Refuse => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::Within => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            Symlinks::Anywhere => ResolveFlags::NO_MAGICLINKS,
        };
        let resolve = match reach {
            Reach::Memory => resolve | ResolveFlags::CACHED,
            Reach::Disk => resolve,
        };
        openat2(folder, path, flags, Mode::empty(), resolve)
    }
}

// The tests on Linux check these flags, too.
#[cfg(any(test, not(target_os = "linux")))]
pub(super) mod other {
    use rustix::fs::OFlags;

    /// The flags for the folders on the way to a file. Not each system can open a folder without reading it.
    pub(in crate::web::files) const PASS: OFlags = OFlags::RDONLY
        .union(OFlags::CLOEXEC)
        .union(OFlags::DIRECTORY);

    /// Returns `ENOSYS`, so that each name of the path is opened by itself.
    #[cfg(not(target_os = "linux"))]
    pub(in crate::web::files) fn open_below(
        _: std::os::fd::BorrowedFd<'_>,
        _: &super::Path,
        _: OFlags,
        _: crate::web::files::options::Symlinks,
        _: super::Reach,
    ) -> Result<std::os::fd::OwnedFd, rustix::io::Errno> {
        Err(rustix::io::Errno::NOSYS)
    }
}
