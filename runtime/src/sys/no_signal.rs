//! Keeps SIGPIPE away from a system call that has no flag against it.
//!
//! # How it works
//!
//! `sendfile(2)` raises SIGPIPE in the calling thread if the peer is gone. So the thread blocks the signal
//! before the call, and takes it before it restores its mask. This works whether the process handles the
//! signal, ignores it, or has the default, which ends the process. It does not change the signals of other
//! threads, which belong to the program. It costs two system calls.
//!
//! # Invariants
//!
//! - Always: after the call, the thread's mask is the one from before.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use rustix::io::{Errno, Result};

/// Makes a system call while SIGPIPE is blocked, and takes the signal that the call may raise.
pub(crate) fn while_calling<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    let pipe = SigSet::from(Signal::SIGPIPE);
    // Changing the mask fails only for an invalid set (`pthread_sigmask(3)`).
    let before = pipe.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let called = call();
    // `sigwait(3)` waits for ever if no signal is pending. So this raises the signal first. The kernel merges it
    // with one that is pending.
    if matches!(called, Err(Errno::PIPE)) && raise(Signal::SIGPIPE).is_ok() {
        _ = pipe.wait();
    }
    if let Ok(before) = before {
        _ = before.thread_set_mask();
    }
    called
}
