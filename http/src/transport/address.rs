//! A client's address in few bytes, because each idle connection keeps one.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The address of the client. It takes 24 bytes, and `Option<SocketAddr>` takes 32.
#[derive(Clone, Debug)]
pub(crate) enum PeerAddress {
    /// The transport knows no addresses.
    Unknown,
    V4(SocketAddrV4),
    V6 {
        ip: Ipv6Addr,
        port: u16,
        scope: u32,
    },
    /// An address with a flow label, which is rare.
    Flow(Box<SocketAddrV6>),
}

const _: () = assert!(size_of::<PeerAddress>() <= 24);

impl PeerAddress {
    pub(crate) fn get(&self) -> Option<SocketAddr> {
        match self {
            Self::Unknown => None,
            Self::V4(address) => Some((*address).into()),
            Self::V6 { ip, port, scope } => Some(SocketAddrV6::new(*ip, *port, 0, *scope).into()),
            Self::Flow(address) => Some((**address).into()),
        }
    }
}

impl From<Option<SocketAddr>> for PeerAddress {
    fn from(address: Option<SocketAddr>) -> Self {
        match address {
            None => Self::Unknown,
            Some(SocketAddr::V4(address)) => Self::V4(address),
            Some(SocketAddr::V6(address)) if address.flowinfo() == 0 => Self::V6 {
                ip: *address.ip(),
                port: address.port(),
                scope: address.scope_id(),
            },
            Some(SocketAddr::V6(address)) => Self::Flow(Box::new(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: Option<SocketAddr>) {
        assert_eq!(PeerAddress::from(address).get(), address);
    }

    #[test]
    fn every_address_comes_back_as_it_was() {
        let v6 = |flow, scope| SocketAddrV6::new(Ipv6Addr::LOCALHOST, 65535, flow, scope).into();
        check(None);
        check(Some(([192, 0, 2, 1], 80).into()));
        check(Some(v6(0, 0)));
        check(Some(v6(0, u32::MAX)));
        check(Some(v6(7, 3)));
    }
}
