//! Keeps SIGPIPE away from a system call that has no flag against it.
//!
//! # How it works
//!
//! `sendfile(2)` raises the signal in the calling thread when the peer is gone. So the thread blocks it
//! around the call, and takes it before it opens up again. This holds whatever the process does with the
//! signal (its default ends the process), and changes nothing for anybody else: a library has no business
//! with the whole process's signals. It costs two system calls.
//!
//! `sigwait(3)` would wait for ever if there were no signal after all. So one is raised first: a signal
//! that is pending already is not made two.
//!
//! # Invariants
//!
//! - Always: the thread's mask is as it was before.

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use rustix::io::{Errno, Result};

/// Makes a system call during which SIGPIPE is blocked, and takes the signal that it has raised.
pub(super) fn while_calling<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    let pipe = SigSet::from(Signal::SIGPIPE);
    // Neither fails for a set that is valid (pthread_sigmask(3)).
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
