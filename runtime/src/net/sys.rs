//! The system calls that differ between systems: Linux.
//!
//! # How it works
//!
//! Linux sets the flags of a new descriptor in the call that opens it.
//!
//! # Invariants
//!
//! - Always: a new descriptor is non-blocking and close-on-exec.

use std::io;

use socket2::{Domain, Protocol, Socket, Type};

/// Opens a socket.
pub(crate) fn open(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    // No thread can fork before the flags are set, because the call sets them.
    Socket::new(domain, kind.nonblocking().cloexec(), protocol)
}
