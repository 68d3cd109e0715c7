//! Asks the kernel how many descriptors this process has open, of what kind, and how many it may have.
//!
//! # How it works
//!
//! Since Linux 6.2 the size of `/proc/self/fd` is the number of open descriptors, so a `fstat` on
//! a descriptor of that folder that is kept open tells it in 300 ns (`proc_pid_fd(5)`). Older
//! kernels report a size of zero. There the folder is listed, which needs a descriptor itself. If the
//! process has no descriptor left, the table is full, and the count is the limit.
//!
//! # Invariants
//!
//! - Always: a fresh answer. Only the way that works is remembered.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, fstat, open, readlinkat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

const FOLDER: &str = "/proc/self/fd";

/// The way that works here.
pub(crate) enum Probe {
    /// The folder's size is the count; the folder itself counts as one of them.
    Size(OwnedFd),
    /// The folder must be listed.
    Listing,
}

impl Probe {
    /// Opens what it needs: one descriptor where the fast way works.
    ///
    /// # Errors
    ///
    /// When there is no `/proc`.
    pub(crate) fn new() -> io::Result<Self> {
        match open(
            FOLDER,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(folder) if fstat(&folder)?.st_size > 0 => Ok(Self::Size(folder)),
            Ok(_) | Err(Errno::MFILE | Errno::NFILE) => Ok(Self::Listing),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the number of descriptors that are open now.
    ///
    /// # Errors
    ///
    /// When `/proc` is gone.
    pub(crate) fn open_count(&self) -> io::Result<usize> {
        match self {
            Self::Size(folder) => Ok(usize::try_from(fstat(folder)?.st_size).unwrap_or(usize::MAX)),
            Self::Listing => listed(),
        }
    }
}

/// The highest descriptor that [`Probe::holders`] looks at: with more open than this, a sample will do.
const LOOKED_AT_MAX: usize = 65_536;

impl Probe {
    /// Counts the open descriptors by kind. Needs no descriptor of its own if the fast way works.
    ///
    /// # Errors
    ///
    /// When `/proc` is gone, or there is no descriptor to list it with.
    pub(crate) fn holders(&self) -> io::Result<Holders> {
        let mut holders = Holders::default();
        match self {
            Self::Size(folder) => {
                let open = self.open_count()?;
                for number in 0..LOOKED_AT_MAX {
                    if let Ok(target) = readlinkat(folder, number.to_string(), Vec::new()) {
                        holders.add(target.to_bytes());
                    }
                    if holders.total() >= open {
                        break;
                    }
                }
            }
            Self::Listing => {
                for entry in fs::read_dir(FOLDER)? {
                    let target = fs::read_link(entry?.path())?;
                    holders.add(target.as_os_str().as_bytes());
                }
            }
        }
        Ok(holders)
    }
}

/// The numbers of open descriptors, by kind. See [`holders`](crate::descriptors::holders).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holders {
    /// Sockets of any family.
    pub sockets: usize,
    /// Files, folders and devices.
    pub files: usize,
    /// Pipes.
    pub pipes: usize,
    /// Descriptors without a name: epoll, eventfd, timers, and the like.
    pub others: usize,
}

impl Holders {
    /// Returns the sum of all kinds.
    #[must_use]
    pub fn total(self) -> usize {
        self.sockets + self.files + self.pipes + self.others
    }

    /// Counts one descriptor by the target of its link (`proc_pid_fd(5)`).
    fn add(&mut self, target: &[u8]) {
        let kind = match target {
            [b'/', ..] => &mut self.files,
            _ if target.starts_with(b"socket:") => &mut self.sockets,
            _ if target.starts_with(b"pipe:") => &mut self.pipes,
            _ => &mut self.others,
        };
        *kind += 1;
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sockets,
            files,
            pipes,
            others,
        } = self;
        write!(
            f,
            "{sockets} sockets, {files} files, {pipes} pipes, {others} others"
        )
    }
}

fn listed() -> io::Result<usize> {
    match fs::read_dir(FOLDER) {
        // One of them is the listing's own.
        Ok(entries) => Ok(entries.count().saturating_sub(1)),
        Err(error) if is_full(&error) => Ok(soft_limit()),
        Err(error) => Err(error),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// Returns the soft limit as it is now; `usize::MAX` if there is no limit.
pub(crate) fn soft_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
