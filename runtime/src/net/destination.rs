//! The place to which a program connects or sends: an address, several of them, or a name.
//!
//! # How it works
//!
//! A name is resolved when it is needed, on a thread of the pool. An address needs no thread.
//!
//! # Invariants
//!
//! - Never: a call of the resolver on the runtime's own thread.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::lookup::{lookup_host, lookup_name};

/// A peer: an address, a list of addresses, or a name with a port.
///
/// It is made from a [`SocketAddr`], a slice or a vector of them, `"host:port"`, `("host", port)` or
/// `(IpAddr, port)`. The text may have an address instead of a name: `"127.0.0.1:80"`, `"[::1]:80"`,
/// `("::1", 80)`.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, net::Destination};
///
/// let destination = Destination::from(("127.0.0.1", 80));
/// let addresses = block_on(destination.addresses())?;
/// assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "ToSocketAddrs")]
#[derive(Clone, Debug)]
pub struct Destination(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Addresses(Vec<SocketAddr>),
    /// `host:port`
    Text(String),
    /// A host, without brackets, and a port.
    Name(String, u16),
}

impl Destination {
    /// Returns the addresses, in the order in which the resolver prefers them (RFC 6724). A name is resolved
    /// on the blocking pool.
    ///
    /// # Errors
    ///
    /// Fails if the text does not parse, or if the name does not resolve.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime if it is a name.
    ///
    /// # Cancel safety
    ///
    /// Safe. If a thread of the pool has begun to resolve the name, it finishes that.
    pub async fn addresses(self) -> io::Result<Vec<SocketAddr>> {
        match self.0 {
            Kind::Addresses(addresses) => Ok(addresses),
            Kind::Text(text) => lookup_host(&text).await,
            // An address in a text needs no resolver, and a v6 address has no brackets here.
            Kind::Name(host, port) => match host.parse::<IpAddr>() {
                Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
                Err(_) => lookup_name((host, port)).await,
            },
        }
    }
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Addresses(vec![address]))
    }
}

impl From<Vec<SocketAddr>> for Destination {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Self(Kind::Addresses(addresses))
    }
}

impl From<&[SocketAddr]> for Destination {
    fn from(addresses: &[SocketAddr]) -> Self {
        Self(Kind::Addresses(addresses.to_vec()))
    }
}

impl From<(IpAddr, u16)> for Destination {
    fn from((address, port): (IpAddr, u16)) -> Self {
        SocketAddr::new(address, port).into()
    }
}

impl From<&str> for Destination {
    fn from(text: &str) -> Self {
        // Parsed when it is needed, so that a conversion cannot fail.
        Self(Kind::Text(text.to_owned()))
    }
}

impl From<&String> for Destination {
    fn from(text: &String) -> Self {
        Self(Kind::Text(text.clone()))
    }
}

impl From<String> for Destination {
    fn from(text: String) -> Self {
        Self(Kind::Text(text))
    }
}

impl From<(&str, u16)> for Destination {
    fn from((host, port): (&str, u16)) -> Self {
        Self(Kind::Name(host.to_owned(), port))
    }
}

impl From<(String, u16)> for Destination {
    fn from((host, port): (String, u16)) -> Self {
        Self(Kind::Name(host, port))
    }
}
