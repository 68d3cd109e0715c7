//! The listening socket of the floor, and of every server that takes a listener from its caller. So each of
//! them has the same socket options.

use nix::libc; // the macro names it
use nix::sys::socket::sockopt::{SetUsize, TcpNoDelay};
use nix::sys::socket::{Backlog, listen, setsockopt};
use std::io;
use std::net::{TcpListener, ToSocketAddrs};

/// The longest queue of connections before accept. The kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// Seconds for which the kernel keeps a silent connection back.
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

/// Listens. Accepted connections inherit `TCP_NODELAY`, which saves a call for each of them.
///
/// # Errors
/// Returns the error of bind, listen or setsockopt.
pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listen(&listener, Backlog::new(BACKLOG)?)?; // once more: std's backlog is 128
    setsockopt(&listener, TcpNoDelay, &true)?;
    Ok(listener)
}

/// Listens as [`bind`] does. The kernel keeps each connection back until its first bytes are here.
///
/// # Errors
/// Returns the error of bind, listen or setsockopt.
pub fn bind_deferred(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let listener = bind(address)?;
    setsockopt(&listener, DeferAccept, &DEFER_SECONDS)?;
    Ok(listener)
}
