//! Lists of networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A list of networks, such as `10.0.0.0/8, ::1`.
///
/// Members are separated by commas or white space. A member without a prefix length is one address. An IPv4 address
/// that comes as an IPv6 one (`::ffff:10.0.0.7`) counts as the IPv4 address.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::client_address::Networks;
///
/// let networks: Networks = "10.0.0.0/8, 192.0.2.7 ::1".parse()?;
/// assert!(networks.contain("10.1.2.3".parse()?));
/// assert!(networks.contain("::ffff:10.1.2.3".parse()?));
/// assert!(!networks.contain("192.0.2.8".parse()?));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// The networks of this machine itself: `127.0.0.0/8` and `::1`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::client_address::Networks;
    ///
    /// assert!(Networks::loopback().contain([127, 0, 0, 1].into()));
    /// ```
    #[must_use]
    pub fn loopback() -> Self {
        let first = IpAddr::from([127, 0, 0, 0]);
        Self(vec![
            IpNet::new_assert(first, 8),
            IpNet::from(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
        ])
    }

    /// Returns true if the address belongs to one of the networks.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::client_address::Networks;
    ///
    /// let networks: Networks = "2001:db8::/32".parse()?;
    /// assert!(networks.contain("2001:db8::7".parse()?));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for Networks {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let members = text.split([',', ' ', '\t', '\n', '\r']);
        let members = members.filter(|member| !member.is_empty());
        let networks = members.map(|member| {
            let address = || member.parse().map(|address: IpAddr| address.to_canonical());
            let network = member
                .parse()
                .ok()
                .or_else(|| address().ok().map(IpNet::from));
            let network = network.ok_or_else(|| InvalidNetwork(member.to_owned()))?;
            Ok(canonical(network))
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

/// Returns a network of mapped addresses (`::ffff:10.0.0.0/104`) as the one of IPv4, because [`Networks::contain`] looks
/// for IPv4 addresses as such.
fn canonical(network: IpNet) -> IpNet {
    let ipv4 = network.network().to_canonical();
    let prefix = network.prefix_len().checked_sub(96);
    prefix
        .filter(|_| ipv4.is_ipv4())
        .and_then(|prefix| IpNet::new(ipv4, prefix).ok())
        .unwrap_or(network)
}

/// The error of a list with a member that is no network.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::client_address::{InvalidNetwork, Networks};
///
/// let error: InvalidNetwork = "10.0.0.0/33".parse::<Networks>().unwrap_err();
/// let text = "`10.0.0.0/33` is no network; expected an address such as 10.0.0.7, or a prefix such as 10.0.0.0/8";
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNetwork(String);

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = &self.0;
        write!(
            f,
            "`{member}` is no network; expected an address such as 10.0.0.7, or a prefix such as 10.0.0.0/8"
        )
    }
}

impl std::error::Error for InvalidNetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_mapped_addresses_is_one_of_ipv4() {
        for (text, inside, outside) in [
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
            ("::ffff:10.0.0.7/128", "10.0.0.7", "10.0.0.8"),
            ("::ffff:0.0.0.0/96", "192.0.2.7", "2001:db8::1"),
            ("::/0", "2001:db8::1", "192.0.2.7"),
            ("10.1.2.3/8", "10.0.0.7", "11.0.0.7"),
        ] {
            let networks: Networks = text.parse().expect("a network");
            let contains = |address: &str| networks.contain(address.parse().expect("an address"));
            assert!(contains(inside) && !contains(outside), "{text}");
        }
    }
}
