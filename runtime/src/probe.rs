//! Asks the kernel for the open descriptors of this process: their number, their kinds, and the limit.
//!
//! # How it works
//!
//! Since Linux 6.2, the size of `/proc/self/fd` is the number of open descriptors (`proc_pid_fd(5)`). A probe
//! keeps a descriptor of this folder, and one `fstat` returns the size in 300 ns. Older kernels report a size
//! of zero. On these, the probe lists the folder, which needs a descriptor. If the process has no descriptor
//! left, its table is full, and the number is the limit.
//!
//! # Invariants
//!
//! - Always: each answer is measured. The probe stores only the way that works.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, fstat, open, readlinkat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::sys;

const FOLDER: &str = "/proc/self/fd";

/// The way to the number of descriptors that works on this kernel.
pub(crate) enum Probe {
    /// The size of this folder is the number. The probe's own descriptor counts, too.
    Size(OwnedFd),
    /// The kernel is older than 6.2, so the folder must be listed.
    Listing,
}

impl Probe {
    /// Opens the folder, and keeps its descriptor if the fast way works.
    ///
    /// # Errors
    ///
    /// Fails if there is no `/proc`.
    pub(crate) fn new() -> io::Result<Self> {
        match open(FOLDER, sys::FOLDER | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) if fstat(&folder)?.st_size > 0 => Ok(Self::Size(folder)),
            // Without a free descriptor, the listing still returns the right number: the limit.
            Ok(_) | Err(Errno::MFILE | Errno::NFILE) => Ok(Self::Listing),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the number of descriptors that are open now.
    ///
    /// # Errors
    ///
    /// Fails if `/proc` is gone.
    pub(crate) fn open_count(&self) -> io::Result<usize> {
        match self {
            Self::Size(folder) => Ok(usize::try_from(fstat(folder)?.st_size).unwrap_or(usize::MAX)),
            Self::Listing => listed(),
        }
    }
}

/// The highest descriptor that [`Probe::holders`] examines. If more are open, it counts only these.
const EXAMINED_MAX: usize = 65_536;

impl Probe {
    /// Counts the open descriptors by kind. It opens no descriptor if the fast way works.
    ///
    /// # Errors
    ///
    /// Fails if `/proc` is gone, or if listing it needs a descriptor and the process has none left.
    pub(crate) fn holders(&self) -> io::Result<Holders> {
        let mut holders = Holders::default();
        match self {
            Self::Size(folder) => {
                let open = self.open_count()?;
                // A listing would need a descriptor. The numbers are dense, because the kernel always assigns
                // the lowest free one. So the loop ends soon after the last open descriptor.
                for number in 0..EXAMINED_MAX {
                    if let Ok(target) = readlinkat(folder, number.to_string(), Vec::new()) {
                        holders.add(target.to_bytes());
                    }
                    if holders.total() >= open {
                        break;
                    }
                }
            }
            Self::Listing => {
                // The descriptor of the listing itself is counted among the files.
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
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::descriptors::{self, Holders};
///
/// let holders: Holders = descriptors::holders();
/// println!("{holders}"); // 3 sockets, 5 files, 0 pipes, 2 others
/// assert_eq!(holders.total(), holders.sockets + holders.files + holders.pipes + holders.others);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holders {
    /// Sockets of any family.
    pub sockets: usize,
    /// Files, folders and devices.
    pub files: usize,
    /// Pipes.
    pub pipes: usize,
    /// All other descriptors: epoll, eventfd, timers and so on.
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

/// Returns the number of descriptors that a listing of the folder shows.
fn listed() -> io::Result<usize> {
    match fs::read_dir(FOLDER) {
        // The listing has opened one of them itself.
        Ok(entries) => Ok(entries.count().saturating_sub(1)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE) => Ok(soft_limit()),
            _ => Err(error),
        },
    }
}

/// Returns the present soft limit. Returns `usize::MAX` if there is no limit.
pub(crate) fn soft_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
