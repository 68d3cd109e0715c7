//! A listening socket whose connections need no further option.

use crate::options::Options;
use nix::libc; // the macro names it
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetUsize;
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::SocketFlags;
use std::io;
use std::net::TcpListener;

/// The longest queue of connections not yet accepted; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// Seconds for which a connection that says nothing is kept back, if it is.
const DEFER_SECONDS: usize = 1;

/// `TCP_DEFER_ACCEPT` (`tcp(7)`).
#[derive(Clone, Copy)]
struct DeferAccept;

nix::setsockopt_impl!(
    DeferAccept,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    usize,
    SetUsize
);

/// Listens, non-blocking; accepted connections inherit `TCP_NODELAY`.
///
/// # Errors
/// Whatever bind, listen or setsockopt say.
pub(crate) fn bind(options: &Options) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(&options.address)?;
    rustix::net::listen(&listener, BACKLOG)?; // once more: std's backlog is 128
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    if options.defers {
        setsockopt(&listener, DeferAccept, &DEFER_SECONDS)?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The next connection, non-blocking from birth (`accept4`), or `None` if no one waits.
///
/// # Errors
/// Whatever accept says, but for connections that died in the queue, which are passed over.
pub(crate) fn accept(listener: impl AsFd) -> io::Result<Option<OwnedFd>> {
    loop {
        match rustix::net::accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(descriptor) => return Ok(Some(descriptor)),
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
