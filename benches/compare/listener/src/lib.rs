//! The listening socket of the floor, and of every server that takes one made elsewhere: so none of them
//! lacks an option that another has.

use nix::libc; // the macro names it
use nix::sys::socket::sockopt::{SetUsize, TcpNoDelay};
use nix::sys::socket::{Backlog, listen, setsockopt};
use std::io;
use std::net::{TcpListener, ToSocketAddrs};

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

/// Listens; accepted connections inherit `TCP_NODELAY`, so that it costs none of them a call.
///
/// # Errors
/// Whatever bind, listen or setsockopt say.
pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listen(&listener, Backlog::new(BACKLOG)?)?; // once more: std's backlog is 128
    setsockopt(&listener, TcpNoDelay, &true)?;
    Ok(listener)
}

/// The same, and a connection is kept back until its first bytes are here.
///
/// # Errors
/// As [`bind`].
pub fn bind_deferred(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let listener = bind(address)?;
    setsockopt(&listener, DeferAccept, &DEFER_SECONDS)?;
    Ok(listener)
}
