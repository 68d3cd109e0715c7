//! The words for what the runtime reports: reasons and system calls.
//!
//! # How it works
//!
//! The points of the runtime ([`points`](crate::points)) name what happens in these words. They have no code, so they
//! are there in each build.
//!
//! # Invariants
//!
//! - Always: a number that an event stores stands here, beside its word.
#![cfg_attr(
    not(feature = "inspect"),
    allow(dead_code, reason = "only a build that records reads all of them")
)]

use std::io;

use rustix::io::Errno;

/// The reason for the end of a future that was not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    Abort = 0,
    RaceLost = 1,
    Timeout = 2,
    ClientGone = 3,
    Shutdown = 4,
    Drop = 5,
}

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Call {
    Read = 0,
    Write = 1,
    Accept = 2,
    Connect = 3,
    EpollWait = 4,
}

/// The directions in which an event has made a descriptor ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has closed its write half, or the connection is gone.
    pub(crate) closed: bool,
}

/// An error of a system call.
pub(crate) trait CallError {
    /// Returns true if the call would have had to wait: `EAGAIN`, or `EINPROGRESS` of `connect(2)`.
    fn would_block(&self) -> bool;
}

impl CallError for io::Error {
    fn would_block(&self) -> bool {
        let in_progress = Some(Errno::INPROGRESS.raw_os_error());
        self.kind() == io::ErrorKind::WouldBlock || self.raw_os_error() == in_progress
    }
}

impl CallError for Errno {
    fn would_block(&self) -> bool {
        matches!(*self, Self::WOULDBLOCK | Self::INPROGRESS)
    }
}
