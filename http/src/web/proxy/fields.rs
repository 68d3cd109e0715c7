//! The fields of a request and of an answer on their way through a proxy.
//!
//! # Invariants
//!
//! - Always: the fields about the connection are removed first. So no client can make the proxy remove a field that the
//!   proxy adds, by naming it in Connection.
//! - Never: a field of the framing (Content-Length, Transfer-Encoding, Trailer) of the other side.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{
    DATE, EXPECT, FORWARDED, HeaderName, MAX_FORWARDS, SERVER, TE, TRAILER, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::exchange::request::Request;
use crate::headers::white_space::members;
use crate::web::client_address::Networks;
use crate::web::gateway::{remove_all, remove_hop_by_hop};
use crate::web::scheme::is_https;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The fields that tell the server about the client.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::proxy::{ClientFields, ReverseProxy};
///
/// let proxy = ReverseProxy::to("http://127.0.0.1:9000").client_fields(ClientFields::Both);
/// # drop(proxy);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientFields {
    /// `Forwarded: for=192.0.2.7;host=example.org;proto=https` (RFC 7239).
    #[default]
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`.
    XForwarded,
    /// Both.
    Both,
    /// None of them.
    Neither,
}

/// The facts about a client that the server is told.
pub(super) struct ClientFacts<'a> {
    pub(super) address: Option<IpAddr>,
    pub(super) host: Option<&'a str>,
    pub(super) is_https: bool,
    /// True if the peer is a proxy whose fields are kept.
    pub(super) is_trusted: bool,
}

impl<'a> ClientFacts<'a> {
    pub(super) fn of(request: &Request<'a>, trusted: Option<&Networks>) -> Self {
        let peer = request.peer_address().map(|peer| peer.ip().to_canonical());
        // A peer of a Unix socket has no address, and is trusted as all of them.
        let is_trusted =
            trusted.is_some_and(|networks| peer.is_none_or(|peer| networks.contain(peer)));
        Self {
            // The members before are kept, so that of the peer is missing. Otherwise there is one member, for the client.
            address: if is_trusted {
                peer
            } else {
                request.client_address()
            },
            host: request.host().filter(|host| !host.is_empty()),
            is_https: is_https(request),
            is_trusted,
        }
    }

    /// Returns the member of `Forwarded` for this client.
    fn member(&self) -> String {
        let node = match self.address {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
            None => "unknown".to_owned(),
        };
        let proto = self.proto();
        // The host is one by its syntax, so it has no quote and no backslash.
        let host = self.host.map(|host| format!(";host=\"{host}\""));
        format!("for={node}{};proto={proto}", host.unwrap_or_default())
    }

    const fn proto(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}

/// Turns the fields of a client's request into those of the proxy's own request, without Host and without framing.
pub(super) fn convert_request(fields: &mut HeaderMap, upgrade: Option<&str>) {
    // The only member that a proxy may pass on (RFC 9110, 10.1.4).
    let takes_trailers = {
        let values = fields.get_all(TE).iter();
        let mut members = values.flat_map(|value| members(value.as_bytes()));
        members.any(|member| member.eq_ignore_ascii_case(b"trailers"))
    };
    remove_hop_by_hop(fields);
    // The body is framed anew. The server sends 100 (Continue) itself, when the body is read.
    remove_all(fields, |name| {
        matches!(
            name,
            "content-length" | "expect" | "host" | "proxy-authenticate" | "proxy-authorization"
        )
    });
    if takes_trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade.and_then(|protocol| HeaderValue::from_str(protocol).ok()) {
        fields.insert(UPGRADE, protocol);
    }
}

/// Sets the fields about the client. Those that the client has sent itself are removed, unless it is trusted.
pub(super) fn tell_client(fields: &mut HeaderMap, which: ClientFields, client: &ClientFacts<'_>) {
    if !client.is_trusted {
        remove_all(fields, is_about_client);
    }
    if matches!(which, ClientFields::Forwarded | ClientFields::Both)
        && let Ok(member) = HeaderValue::try_from(client.member())
    {
        fields.append(FORWARDED, member);
    }
    if matches!(which, ClientFields::XForwarded | ClientFields::Both) {
        let address = client.address.map(|address| address.to_string());
        let address = address.unwrap_or_else(|| "unknown".to_owned());
        append_to_list(fields, X_FORWARDED_FOR, address.as_bytes());
        // The first proxy has seen the client, so its values stay.
        let proto = HeaderValue::from_static(client.proto());
        fields.entry(X_FORWARDED_PROTO).or_insert(proto);
        if let Some(host) = client
            .host
            .and_then(|host| HeaderValue::from_str(host).ok())
        {
            fields.entry(X_FORWARDED_HOST).or_insert(host);
        }
    }
}

/// Returns true for a field that tells a server about the client.
fn is_about_client(name: &str) -> bool {
    // CGI, WSGI and their like do not distinguish `X_Forwarded_For` from `X-Forwarded-For`.
    let name = if name.contains('_') {
        Cow::Owned(name.replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    };
    matches!(&*name, "forwarded" | "x-real-ip") || name.starts_with("x-forwarded-")
}

/// Removes the trailers that only a head may have.
pub(super) fn convert_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_all(trailers, |name| {
        is_about_client(name)
            || matches!(
                name,
                "cookie"
                    | "expect"
                    | "max-forwards"
                    | "proxy-authenticate"
                    | "proxy-authorization"
                    | "via"
            )
    });
}

/// Appends a member to a list, in one field line: some servers read only the first one.
fn append_to_list(fields: &mut HeaderMap, name: HeaderName, member: &[u8]) {
    let mut list = Vec::new();
    for value in fields.get_all(&name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member);
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        fields.insert(name, list);
    }
}

/// The member of this proxy in Via, for each version (RFC 9110, 7.6.3).
#[derive(Clone)]
pub(super) struct Via {
    old: HeaderValue,
    new: HeaderValue,
}

impl Via {
    /// Returns `None` if the name is not a token.
    pub(super) fn of(pseudonym: &str) -> Option<Self> {
        HeaderName::from_bytes(pseudonym.as_bytes()).ok()?;
        let member = |version| HeaderValue::try_from(format!("{version} {pseudonym}")).ok();
        Some(Self {
            old: member("1.0")?,
            new: member("1.1")?,
        })
    }

    /// Adds the proxy, behind those that are there.
    pub(super) fn add(&self, fields: &mut HeaderMap, version: Version) {
        let member = if version == Version::HTTP_10 {
            &self.old
        } else {
            &self.new
        };
        if fields.contains_key(VIA) {
            append_to_list(fields, VIA, member.as_bytes());
        } else {
            fields.insert(VIA, member.clone());
        }
    }
}

/// Turns the fields of a server's answer into those of the proxy's own answer. Announced trailers stay only if there can
/// be some.
///
/// Content-Length stays: the encoder checks it against the body, and drops what the status forbids.
pub(super) fn convert_answer(fields: &mut HeaderMap, has_trailers: bool) {
    for name in [DATE, SERVER] {
        // An application and its server may both add it. The answer has the first one, as behind nginx.
        if fields.get_all(&name).iter().nth(1).is_some()
            && let Some(first) = fields.remove(&name)
        {
            fields.insert(name, first);
        }
    }
    let trailer: Vec<_> = fields.get_all(TRAILER).iter().cloned().collect();
    remove_hop_by_hop(fields);
    remove_all(fields, |name| {
        matches!(name, "proxy-authenticate" | "proxy-authorization")
    });
    if has_trailers {
        for value in trailer {
            fields.append(TRAILER, value);
        }
    }
}

/// Counts this hop (RFC 9110, 7.6.2). Returns false if the request must not be passed on.
pub(super) fn may_go_on(method: &Method, fields: &mut HeaderMap) -> bool {
    if *method != Method::OPTIONS {
        return true;
    }
    let Some(left) = fields
        .get(MAX_FORWARDS)
        .and_then(|value| value.to_str().ok()?.parse::<u32>().ok())
    else {
        return true;
    };
    let Some(left) = left.checked_sub(1) else {
        return false;
    };
    fields.insert(MAX_FORWARDS, left.into());
    true
}

/// Returns true if the client waits for 100 (Continue).
pub(super) fn awaits_continue(fields: &HeaderMap) -> bool {
    let expectation = fields.get(EXPECT);
    expectation.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
