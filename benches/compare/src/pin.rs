//! Which core a child runs on: the parent goes there, starts it, and goes back.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::io;
use std::process::{Child, Command};

/// Starts the command on one core; on a machine without that core, wherever it likes.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn spawn_on(core: usize, command: &mut Command) -> io::Result<Child> {
    let here = Pid::from_raw(0);
    let before = sched_getaffinity(here)?;
    let mut there = CpuSet::new();
    there.set(core)?;
    let pinned = sched_setaffinity(here, &there).is_ok();
    let child = command.spawn();
    if pinned {
        sched_setaffinity(here, &before)?;
    }
    child
}
