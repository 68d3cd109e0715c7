//! Resolves names to addresses.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::blocking::spawn_blocking;
use crate::budget;

/// Resolves `host:port`, on the blocking pool unless it is an address already.
///
/// # Errors
///
/// If the name does not parse or resolve.
///
/// # Panics
///
/// Outside a runtime, if `host` is not an address.
///
/// # Cancel safety
///
/// Safe. A thread of the pool that has begun to resolve the name finishes that.
///
/// # Examples
///
/// ```
/// use waterwheel_runtime::{block_on, net::lookup_host};
///
/// let addresses = block_on(lookup_host("127.0.0.1:80")).unwrap();
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// ```
pub async fn lookup_host(host: &str) -> io::Result<Vec<SocketAddr>> {
    poll_fn(|cx| budget::poll_spend(cx, 1)).await;
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let host = host.to_owned();
    let resolve = move || host.to_socket_addrs().map(Iterator::collect);
    spawn_blocking(resolve).await.map_err(io::Error::other)?
}
