//! The client of a proxy, by a field of the request (RFC 7239, and `X-Forwarded-For`).
//!
//! # How it works
//!
//! Each proxy appends the address of its own peer. So the list is read from its right end, as long as its members are
//! trusted proxies:
//!
//! ```text
//!  X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.0.0.2      from 10.0.0.1
//!                   └ any text ┘ └ client ┘ └─ trusted ┘       └ trusted
//! ```
//!
//! # Invariants
//!
//! - Never: a member that stands left of one that is not trusted.
//! - Never: quotes that reach over a comma. The client could open quotes that hide the members of the proxies.

use std::net::{IpAddr, SocketAddr};

use super::networks::Networks;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::headers::white_space::trim;
use crate::web::parameters::parameters;

/// The field in which the proxies send the address of their client.
///
/// Choose the one that your proxy sets. A proxy that sets one of them passes the other one on as its client has sent it.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::client_address::{ForwardedBy, Networks, TrustedProxies};
///
/// let proxies = TrustedProxies::new(Networks::loopback(), ForwardedBy::Forwarded);
/// # drop(proxies);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedBy {
    /// `Forwarded` (RFC 7239): `for=192.0.2.7;proto=https`.
    Forwarded,
    /// `X-Forwarded-For` with `X-Forwarded-Proto`.
    XForwardedFor,
}

/// The proxies whose word about their clients is taken.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::client_address::{ForwardedBy, Networks, TrustedProxies};
/// use waterwheel::http::web::middleware::access_log;
/// use waterwheel::http::{Request, StatusCode};
///
/// let proxies = TrustedProxies::new("10.0.0.0/8".parse::<Networks>()?, ForwardedBy::XForwardedFor);
/// let hello = async |request: Request<'_>| {
///     let client = request.client_address().map(|address| address.to_string());
///     request.respond(StatusCode::OK, client.unwrap_or_default(), ()).await
/// };
/// // Outside of the log, so that the log has the address of the client.
/// let handler = proxies.around(access_log(hello, |entry| println!("{}", entry.combined())));
/// # drop(handler);
/// # Ok::<_, waterwheel::http::web::client_address::InvalidNetwork>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    networks: Networks,
    by: ForwardedBy,
}

impl TrustedProxies {
    /// Makes the settings. A peer of a Unix socket has no address, and is trusted.
    #[must_use]
    pub fn new(networks: Networks, by: ForwardedBy) -> Self {
        Self { networks, by }
    }

    /// Returns the address of the client: that of the peer, or the address for which the trusted proxies speak. Returns
    /// `None` if the connection has no address and the field has none.
    ///
    /// If a member of the field is unknown, hidden or malformed, the result is the last proxy before it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::web::client_address::TrustedProxies;
    ///
    /// fn is_local(proxies: &TrustedProxies, request: &Request<'_>) -> bool {
    ///     proxies.client_of(request).is_some_and(|address| address.is_loopback())
    /// }
    /// ```
    #[must_use]
    pub fn client_of(&self, request: &Request<'_>) -> Option<IpAddr> {
        let mut client = request.peer_address().map(|peer| peer.ip().to_canonical());
        if !self.trust(client) {
            return client;
        }
        let name = match self.by {
            ForwardedBy::Forwarded => "forwarded",
            ForwardedBy::XForwardedFor => "x-forwarded-for",
        };
        let values: Vec<_> = request.headers().get_all(name).collect();
        for member in values
            .iter()
            .rev()
            .flat_map(|value| value.rsplit(|byte| *byte == b','))
        {
            let member = trim(member);
            let found = match self.by {
                ForwardedBy::Forwarded => parameter(member, b"for").and_then(|text| node(&text)),
                ForwardedBy::XForwardedFor => node(member),
            };
            let Some(address) = found else {
                return client;
            };
            client = Some(address);
            if !self.trust(client) {
                return client;
            }
        }
        client
    }

    /// Returns true if the nearest proxy is trusted, and says that its own client uses HTTPS.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::client_address::TrustedProxies;
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn page(proxies: &TrustedProxies, request: Request<'_>) -> Result<Responded> {
    ///     if !proxies.is_https(&request) {
    ///         let location = format!("https://{}{}", request.host().unwrap_or(""), request.target());
    ///         let headers = [("location", location)];
    ///         return request.respond(StatusCode::PERMANENT_REDIRECT, "", headers).await;
    ///     }
    ///     request.respond(StatusCode::OK, "secret", ()).await
    /// }
    /// ```
    #[must_use]
    pub fn is_https(&self, request: &Request<'_>) -> bool {
        if !self.trust(request.peer_address().map(|peer| peer.ip())) {
            return false;
        }
        let name = match self.by {
            ForwardedBy::Forwarded => "forwarded",
            ForwardedBy::XForwardedFor => "x-forwarded-proto",
        };
        let last = request.headers().get_all(name).last();
        let member = last.and_then(|value| value.rsplit(|byte| *byte == b',').next());
        member.map(trim).is_some_and(|member| match self.by {
            ForwardedBy::Forwarded => parameter(member, b"proto")
                .is_some_and(|value| value.eq_ignore_ascii_case(b"https")),
            ForwardedBy::XForwardedFor => member.eq_ignore_ascii_case(b"https"),
        })
    }

    /// Sets the [client's address](Request::client_address) of each request for `handler`.
    ///
    /// # Examples
    ///
    /// See [`TrustedProxies`].
    pub fn around(self, handler: impl Handler) -> impl Handler {
        async move |request: Request<'_>| {
            if let Some(client) = self.client_of(&request) {
                request.set_client_address(client);
            }
            handler.call(request).await
        }
    }

    fn trust(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none_or(|peer| self.networks.contain(peer))
    }
}

/// Returns the value of a parameter of a member of `Forwarded`.
fn parameter(member: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    // A member has no value of its own before its parameters.
    let member = [b";", member].concat();
    let mut found = parameters(&member).map_while(Result::ok);
    let found = found.find(|parameter| parameter.name.eq_ignore_ascii_case(name))?;
    Some(found.value.into_owned())
}

/// Returns the address of a node: with or without a port, and brackets around an IPv6 one (RFC 7239, 6).
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    Some(address.or_else(with_port)?.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::Method;
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::testing::TestClient;
    use http::StatusCode;

    /// Returns the client's address as a handler sees it. The test's own connection has no address, so it is trusted.
    fn client(by: ForwardedBy, fields: &[(&str, &str)]) -> String {
        let networks = "10.0.0.0/8 fd00::/8".parse().expect("two networks");
        let show = async |request: Request<'_>| {
            let client = request.client_address();
            let text = client.map_or("-".to_owned(), |address| address.to_string());
            request.respond(StatusCode::OK, text, ()).await
        };
        block_on(async {
            let handler = TrustedProxies::new(networks, by).around(show);
            let mut client = TestClient::new(handler);
            client.request(&Method::GET, "/", fields, b"").await.text()
        })
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        for (value, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("203.0.113.9, 192.0.2.7", "192.0.2.7"),
            ("203.0.113.9, 192.0.2.7, 10.0.0.2, 10.0.0.3", "192.0.2.7"),
            ("10.0.0.2,10.0.0.3", "10.0.0.2"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:4711, fd00::1", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, ::ffff:10.0.0.2", "192.0.2.7"),
            ("192.0.2.7, unknown, 10.0.0.2", "10.0.0.2"),
            ("192.0.2.7, , 10.0.0.2", "10.0.0.2"),
            ("192.0.2.256", "-"),
            ("", "-"),
        ] {
            let found = client(ForwardedBy::XForwardedFor, &[("x-forwarded-for", value)]);
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        let fields = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(client(ForwardedBy::XForwardedFor, &fields), "192.0.2.7");
    }

    #[test]
    fn the_standard_field_is_read_with_its_quotes() {
        for (value, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=\"192.0.2.7:4711\";proto=https", "192.0.2.7"),
            ("proto=https; for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            (
                "for=203.0.113.9, for=192.0.2.7;by=10.0.0.1, for=10.0.0.2",
                "192.0.2.7",
            ),
            ("for=192.0.2.7, for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=192.0.2.7, proto=https", "-"),
            // The client has opened quotes, which would hide the member of the proxy.
            ("for=\"203.0.113.9, for=192.0.2.7", "192.0.2.7"),
            ("for=\"203.0.113.9, for=192.0.2.7, for=\"", "-"),
        ] {
            let found = client(ForwardedBy::Forwarded, &[("forwarded", value)]);
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn the_other_field_is_not_read() {
        let fields = [
            ("forwarded", "for=203.0.113.9"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        assert_eq!(client(ForwardedBy::XForwardedFor, &fields), "192.0.2.7");
        assert_eq!(client(ForwardedBy::Forwarded, &fields), "203.0.113.9");
    }
}
