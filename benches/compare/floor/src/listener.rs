//! A listening socket whose connections need no further option.

use crate::options::Options;
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::SocketFlags;
use std::io;
use std::net::TcpListener;

/// Listens, non-blocking; accepted connections inherit `TCP_NODELAY`.
///
/// # Errors
/// Whatever bind, listen or setsockopt say.
pub(crate) fn bind(options: &Options) -> io::Result<TcpListener> {
    let listener = if options.defers {
        listener::bind_deferred(&options.address)?
    } else {
        listener::bind(&options.address)?
    };
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
