//! CPU time and limits, from the operating system.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::time::Duration;

/// CPU time that these processes have used until now, all their threads and those that ended, to the nanosecond.
///
/// # Errors
/// If one of them is gone.
pub(crate) fn used_by(pids: &[i32]) -> nix::Result<Duration> {
    pids.iter()
        .map(|&pid| clock_getcpuclockid(Pid::from_raw(pid)).and_then(read))
        .sum()
}

/// CPU time of this process.
///
/// # Errors
/// None that are known.
pub(crate) fn used_here() -> nix::Result<Duration> {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: ClockId) -> nix::Result<Duration> {
    clock_gettime(clock).map(Duration::from)
}

/// Lifts the soft limit of descriptors to the hard one.
///
/// # Errors
/// If the limits cannot be read or set.
pub(crate) fn raise_descriptor_limit() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}
