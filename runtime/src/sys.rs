//! The system calls that differ between systems: Linux.
//!
//! # How it works
//!
//! Linux sets the flags of a new descriptor in the call that opens it.
//!
//! # Invariants
//!
//! - Always: a new descriptor is non-blocking and close-on-exec.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net as unix;
use std::process::Child;

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use socket2::{Domain, Protocol, Socket, Type};

/// Opens a socket.
pub(crate) fn open(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    // No thread can fork before the flags are set, because the call sets them.
    Socket::new(domain, kind.nonblocking().cloexec(), protocol)
}

/// Converts the address of a Unix socket. `None` is a socket without a name.
pub(crate) fn unix_address(address: Option<SocketAddrAny>) -> io::Result<unix::SocketAddr> {
    let Some(address) = address else {
        return unix::SocketAddr::from_pathname("");
    };
    let address = SocketAddrUnix::try_from(address)?;
    match (address.path_bytes(), address.abstract_name()) {
        (Some(path), _) => unix::SocketAddr::from_pathname(OsStr::from_bytes(path)),
        (None, Some(name)) => unix::SocketAddr::from_abstract_name(name),
        (None, None) => unix::SocketAddr::from_pathname(""),
    }
}

/// Opens a descriptor that is readable when this child has ended (`pidfd_open(2)`, Linux 5.3). It must not be
/// reaped yet, so that its number is not that of another process.
pub(crate) fn open_pidfd(child: &Child) -> io::Result<OwnedFd> {
    // The descriptor is close-on-exec, and it is only waited for, so it may be blocking.
    Ok(pidfd_open(Pid::from_child(child), PidfdFlags::empty())?)
}
