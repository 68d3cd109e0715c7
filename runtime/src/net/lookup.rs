//! Resolves names to addresses.
//!
//! # How it works
//!
//! The C library resolves names and blocks meanwhile, so this happens on a thread of the pool.
//!
//! # Invariants
//!
//! - Never: a job of the pool for an address that needs no resolving.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::vec;

use crate::blocking::spawn_blocking;
use crate::budget;

/// Resolves `host:port` on the blocking pool. If it is an address already, returns this address at once.
///
/// The C library has its own limits of time, often 5 to 30 s (`resolv.conf(5)`), and it cannot be interrupted. A
/// look-up keeps its thread until then, also after a timeout, and the end of the runtime waits for it. So a program
/// with many names that do not resolve needs more threads, or a resolver without threads.
///
/// # Errors
///
/// Fails if the name does not parse or does not resolve.
///
/// # Panics
///
/// Panics outside a runtime if `host` is not an address.
///
/// # Cancel safety
///
/// Safe. If a thread of the pool has begun to resolve the name, it finishes that.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, net::lookup_host};
///
/// let addresses = block_on(lookup_host("127.0.0.1:80")).unwrap();
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// ```
pub async fn lookup_host(host: &str) -> io::Result<Vec<SocketAddr>> {
    // An address is ready at once. Without this cost, a loop of look-ups would never let other tasks run.
    poll_fn(|cx| budget::poll_spend(cx, 1)).await;
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    lookup_name(host.to_owned()).await
}

/// Resolves a name on the blocking pool.
pub(super) async fn lookup_name(
    name: impl ToSocketAddrs<Iter = vec::IntoIter<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    let resolve = move || name.to_socket_addrs().map(Iterator::collect);
    spawn_blocking(resolve).await.map_err(io::Error::other)?
}
