//! The number of connections of each peer, if that has a limit.
//!
//! A v4 address counts by itself. A v6 address counts by its /64, which is the usual network of one customer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use crate::error::Refusal;

/// The answer to a client whose address has reached
/// [`Limits::connections_per_peer_max`](crate::Limits::connections_per_peer_max).
///
/// The default is [`TooManyRequests`](Self::TooManyRequests). Set it with
/// [`Builder::on_peer_limit`](crate::Builder::on_peer_limit). An answer has `retry-after: 1`, a second, and
/// the connection closes after it. The refusal hook and [`Numbers`](crate::Numbers) see
/// [`Refusal::PeerLimit`] or [`Refusal::PeerLimitUnavailable`]. So they can distinguish this limit from a
/// full server, which is [`Refusal::Unavailable`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Limits, OnPeerLimit, Server};
///
/// let server = Server::builder()
///     .limits(Limits::default().with(|limits| limits.connections_per_peer_max = Some(20)))
///     .on_peer_limit(OnPeerLimit::Close) // a client with so many connections reads no answer
///     .bind("127.0.0.1:0")?;
/// # drop(server);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnPeerLimit {
    /// Answers with 429 (RFC 6585, 4). The default.
    #[default]
    TooManyRequests,
    /// Answers with 503 (RFC 9110, 15.6.4).
    ServiceUnavailable,
    /// Closes without an answer, and without a call of the refusal hook.
    Close,
}

impl OnPeerLimit {
    /// Returns the answer, if there is one.
    pub(crate) const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::TooManyRequests => Some(Refusal::PeerLimit),
            Self::ServiceUnavailable => Some(Refusal::PeerLimitUnavailable),
            Self::Close => None,
        }
    }
}

#[derive(Default)]
pub(crate) struct Peers {
    counts: RefCell<HashMap<IpAddr, usize>>,
}

/// One connection of a peer. It counts for as long as this lives.
pub(crate) struct PeerPermit {
    peers: Rc<Peers>,
    network: IpAddr,
}

impl Peers {
    /// Counts one more connection of this peer. Returns `None` if the peer has reached the limit.
    pub(crate) fn admit(self: &Rc<Self>, peer: SocketAddr, max: usize) -> Option<PeerPermit> {
        let network = network(peer.ip());
        let mut counts = self.counts.borrow_mut();
        if counts.get(&network).copied().unwrap_or(0) >= max {
            return None;
        }
        *counts.entry(network).or_default() += 1;
        Some(PeerPermit {
            peers: self.clone(),
            network,
        })
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let mut counts = self.peers.counts.borrow_mut();
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                // Addresses come and go without end, so an address without connections takes no memory.
                counts.remove(&self.network);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    // A v4 client of a v6 socket has a mapped address, which must count as v4.
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(prefix).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_and_a_place_again_when_one_goes() {
        let peers = Rc::new(Peers::default());
        let admit = |address: &str| peers.admit(address.parse().ok()?, 2);
        let (first, second) = (admit("1.2.3.4:1"), admit("[::ffff:1.2.3.4]:2"));
        assert!(first.is_some() && second.is_some());
        assert!(admit("1.2.3.4:3").is_none());
        assert!(admit("1.2.3.5:3").is_some());
        drop(first);
        assert!(admit("1.2.3.4:3").is_some());
        drop(second);
        assert!(peers.counts.borrow().is_empty());
    }

    #[test]
    fn a_limit_of_zero_admits_no_peer_and_takes_no_memory() {
        let peers = Rc::new(Peers::default());
        let peer = SocketAddr::from(([1, 2, 3, 4], 5));
        assert!(peers.admit(peer, 0).is_none() && peers.counts.borrow().is_empty());
    }

    #[test]
    fn a_v6_peer_is_its_network() {
        let peers = Rc::new(Peers::default());
        let admit = |address: &str| peers.admit(address.parse().ok()?, 1);
        let first = admit("[2001:db8:0:1::1]:1");
        assert!(first.is_some());
        assert!(admit("[2001:db8:0:1:ffff::2]:1").is_none());
        assert!(admit("[2001:db8:0:2::1]:1").is_some());
    }
}
