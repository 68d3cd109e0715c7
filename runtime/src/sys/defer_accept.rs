//! `TCP_DEFER_ACCEPT`: the one socket option that neither socket2 nor rustix offers.
//!
//! # How it works
//!
//! nix has a macro that defines a socket option and makes the system call.
//!
//! # Invariants
//!
//! - Always: a time above zero is at least one second, because zero turns the option off.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::libc; // the macro names it
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetUsize;

/// `TCP_DEFER_ACCEPT` (`tcp(7)`), in seconds.
#[derive(Clone, Copy, Debug)]
struct DeferAccept;

nix::setsockopt_impl!(
    DeferAccept,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    usize,
    SetUsize
);

/// The longest time that is passed to the kernel. The kernel's own maximum is far lower, because it counts
/// retransmissions.
const SECONDS_MAX: u64 = 3600;

/// Makes a listener hold back connections without data for this time, rounded up to seconds.
pub(crate) fn set(listener: &impl AsFd, wait: Duration) -> io::Result<()> {
    let rounded = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = usize::try_from(rounded.min(SECONDS_MAX)).unwrap_or(usize::MAX);
    Ok(setsockopt(listener, DeferAccept, &seconds)?)
}
