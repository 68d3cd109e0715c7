//! Keeps SIGPIPE away from a system call that has no flag against it.
//!
//! # How it works
//!
//! `sendfile(2)` raises the signal in the calling thread when the peer is gone. So the thread blocks the
//! signal around the call, and takes it before it restores its mask. This works for any disposition of the
//! signal (the default ends the process). It does not change the signals of other threads: a library must
//! leave those to the program. It costs two system calls.
//!
//! `sigwait(3)` would wait for ever if no signal were pending. So the signal is raised first; the kernel
//! merges it with one that is already pending.
//!
//! # Invariants
//!
//! - Always: the thread's mask is as it was before.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use rustix::io::{Errno, Result};

/// Makes a system call while SIGPIPE is blocked, and takes the signal that the call has raised.
pub(super) fn while_calling<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    let pipe = SigSet::from(Signal::SIGPIPE);
    // No change of the mask fails for a valid set (pthread_sigmask(3)).
    let before = pipe.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let called = call();
    if matches!(called, Err(Errno::PIPE)) && raise(Signal::SIGPIPE).is_ok() {
        _ = pipe.wait();
    }
    if let Ok(before) = before {
        _ = before.thread_set_mask();
    }
    called
}
