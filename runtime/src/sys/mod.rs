//! The system calls that differ between systems. All `cfg`s of the crate for systems stand here.
//!
//! # How it works
//!
//! `linux` has the calls as they should be. `other` has the same functions for macOS and FreeBSD, from portable
//! parts: more calls, and a few that report `Unsupported`.
//!
//! | | Linux | macOS, FreeBSD |
//! |---|---|---|
//! | open, accept | one call | further calls for the modes |
//! | no SIGPIPE | `MSG_NOSIGNAL` | the same; on macOS an option of the socket |
//! | a file to a socket | `sendfile` | read and send |
//! | the last bytes | with the FIN (`MSG_MORE`) | in a segment of their own |
//! | a datagram that was cut | its length (`MSG_TRUNC`) | a flag of `recvmsg` |
//! | urgent data | an event of its own | part of "readable" |
//! | the end of a child | pidfd | SIGCHLD |
//! | abstract names, `TCP_DEFER_ACCEPT` | yes | no |
//! | the number of open descriptors | `/proc` | only [`held`](crate::descriptors::held) |
//!
//! # Invariants
//!
//! - Always: a new descriptor is non-blocking and close-on-exec.

#[cfg(target_os = "linux")]
mod defer_accept;
#[cfg(target_os = "linux")]
mod linux;
mod no_signal;
#[cfg(not(target_os = "linux"))]
mod other;

// Both files export the same names, so no caller has a condition of its own.
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
pub(crate) use no_signal::while_calling;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::*;
