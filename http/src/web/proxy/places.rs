//! Places in answers: the server's own addresses and paths become those by which clients reach it.
//!
//! # Invariants
//!
//! - Always: a result that begins with a path is of this host. A path such as `//mill.example` would be of another one.
//! - Never: a byte of a request that ends an attribute of a cookie.

use std::borrow::Cow;

use http::HeaderValue;
use http::header::{CONTENT_LOCATION, LOCATION, REFRESH, SET_COOKIE};
use http::uri::Authority;
use percent_encoding::percent_decode;

use super::link::PassedHead;
use super::upstreams::Upstream;
use crate::headers::white_space::{trim, trim_end, trim_start};
use crate::proto::authority::is_host_and_port;

/// The places that are mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mapping {
    /// None of them.
    Off,
    /// URLs of the server.
    #[default]
    Urls,
    /// URLs of the server, and paths.
    Paths,
}

/// The settings for places.
#[derive(Default)]
pub(super) struct PlacePolicy {
    pub(super) mapping: Mapping,
    /// Domains of cookies, and those that replace them. An empty one removes the attribute.
    pub(super) cookie_domains: Vec<(String, String)>,
}

/// The places of one exchange.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) policy: &'a PlacePolicy,
    /// The part of the client's path that the server does not see, such as `/api`. It may be empty.
    pub(super) prefix: &'a str,
    /// The Host that the server has seen, unless it is the server's own.
    pub(super) host: Option<&'a str>,
}

impl Places<'_> {
    /// Maps the places in the fields of an answer.
    pub(super) fn map(&self, mut head: PassedHead, server: &Upstream) -> PassedHead {
        // One pass over the fields that are there costs less than a look for each name.
        for (name, value) in &mut head.headers {
            let mapped = if name == LOCATION || name == CONTENT_LOCATION {
                self.reference(value.as_bytes(), server)
            } else if name == REFRESH {
                self.refresh(value.as_bytes(), server)
            } else if name == SET_COOKIE {
                self.cookie(value.as_bytes(), &server.base)
            } else {
                None
            };
            if let Some(mapped) = mapped.and_then(|mapped| HeaderValue::from_bytes(&mapped).ok()) {
                *value = mapped;
            }
        }
        head
    }

    /// Returns a reference (RFC 3986, 4.1) as the client needs it, or `None` if it stays as it is.
    fn reference(&self, place: &[u8], server: &Upstream) -> Option<Vec<u8>> {
        let maps_paths = self.policy.mapping == Mapping::Paths;
        // Browsers skip tabs and take a backslash for a slash, so such a place could have another host.
        let is_plain = !place.iter().any(|byte| *byte < b' ' || *byte == b'\\');
        if self.policy.mapping == Mapping::Off || !is_plain {
            return None;
        }
        let ports = [
            (&b"//"[..], server.port()),
            (b"http://", 80),
            (b"https://", 443),
        ];
        let with_host = ports.into_iter().find(|(start, _)| {
            let begin = place.get(..start.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        });
        let Some((scheme, port)) = with_host else {
            // A relative path is right for both sides.
            let has_path = maps_paths && place.starts_with(b"/");
            return if has_path {
                self.path(place, &server.base)
            } else {
                None
            };
        };
        let (scheme, rest) = place.split_at(scheme.len());
        let end = rest.iter().position(|byte| b"/?#".contains(byte));
        let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
        let origin = [scheme, authority].concat();
        let authority = Authority::try_from(authority).ok()?;
        // A server of https that is told of a client's http may write that. The other way round, it would be a loop: a
        // server of http may send its clients to another one of https.
        let port = if port == 80 && server.port() == 443 {
            443
        } else {
            port
        };
        // Some servers, such as nginx, write the Host that they have seen with the port on which they listen.
        let is_of_both = self.host.is_some_and(|seen| {
            let seen = seen.parse::<Authority>();
            seen.is_ok_and(|seen| {
                let written = authority.port_u16();
                seen.host().eq_ignore_ascii_case(authority.host())
                    && written == Some(server.port())
                    && written != seen.port_u16()
            })
        });
        if is_of_both || is_same(&authority, port, &server.host, server.port()) {
            return self.path(path, &server.base);
        }
        // The server has made the URL of what it knows of the client's one. Only its path is wrong, and the scheme must
        // stay: a redirect from http to https would otherwise lead to itself.
        let host = self.host.filter(|_| maps_paths)?;
        if !is_same(&authority, port, host, port) {
            return None;
        }
        Some([origin, self.path(path, &server.base)?].concat())
    }

    /// Returns the client's path for one of the server, with its query and fragment.
    fn path(&self, path: &[u8], base: &str) -> Option<Vec<u8>> {
        let rest = path.strip_prefix(base.as_bytes())?;
        let is_below = matches!(rest.first(), None | Some(b'/' | b'?' | b'#'));
        if !is_below || leaves(rest) {
            return None;
        }
        let mut mapped = self.prefix.as_bytes().to_vec();
        if mapped.is_empty() && !rest.starts_with(b"/") {
            mapped.push(b'/');
        }
        mapped.extend_from_slice(rest);
        if mapped.starts_with(b"//") {
            // The same path, which is no host then (the URL standard, 4.5).
            mapped.splice(..0, *b"/.");
        }
        Some(mapped)
    }

    /// Returns a Refresh such as `5; url=/sacks` (the HTML standard, 4.2.5.3) with another place.
    fn refresh(&self, value: &[u8], server: &Upstream) -> Option<Vec<u8>> {
        let start = value.iter().position(|byte| b";,".contains(byte))? + 1;
        let mut rest = trim_start(&value[start..]);
        if let Some((name, behind)) = rest.split_at_checked(3)
            && name.eq_ignore_ascii_case(b"url")
            && let Some(behind) = trim_start(behind).strip_prefix(b"=")
        {
            rest = trim_start(behind);
        }
        let start = value.len() - rest.len();
        let (start, place) = match rest {
            [quote @ (b'"' | b'\''), inner @ ..] => {
                (start + 1, inner.split(|byte| byte == quote).next()?)
            }
            _ => (start, trim_end(rest)),
        };
        let mapped = self.reference(place, server)?;
        Some([&value[..start], &mapped, &value[start + place.len()..]].concat())
    }

    /// Returns a Set-Cookie (RFC 6265, 4.1) with another Path and another Domain.
    fn cookie(&self, value: &[u8], base: &str) -> Option<Vec<u8>> {
        let mut attributes = value.split(|byte| *byte == b';');
        let pair = attributes.next()?;
        // A browser takes such a cookie only with `Path=/` and without a domain.
        let is_of_host = trim(pair)
            .get(..7)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"__host-"));
        if is_of_host {
            return None;
        }
        let mut mapped = pair.to_vec();
        for attribute in attributes {
            let mut halves = attribute.splitn(2, |byte| *byte == b'=');
            let (name, text) = (halves.next().unwrap_or_default(), halves.next());
            let text = trim(text.unwrap_or_default());
            let replaced = match trim(name).to_ascii_lowercase().as_slice() {
                b"path" => self.cookie_path(text, base),
                b"domain" => {
                    let domain = text.strip_prefix(b".").unwrap_or(text);
                    let mut domains = self.policy.cookie_domains.iter();
                    let same = |from: &str| domain.eq_ignore_ascii_case(from.as_bytes());
                    let found = domains.find(|(from, _)| same(from));
                    found.map(|(_, to)| to.as_bytes().to_vec())
                }
                _ => None,
            };
            match replaced {
                Some(text) if text.is_empty() => {}
                Some(text) => mapped.extend_from_slice(&[b";", name, b"=", &text].concat()),
                None => mapped.extend_from_slice(&[b";", attribute].concat()),
            }
        }
        (mapped != value).then_some(mapped)
    }

    fn cookie_path(&self, path: &[u8], base: &str) -> Option<Vec<u8>> {
        // The prefix is the client's text.
        if self.policy.mapping != Mapping::Paths
            || self.prefix.contains(';')
            || !path.starts_with(b"/")
        {
            return None;
        }
        let below = path.strip_prefix(base.as_bytes());
        let below = below.filter(|rest| matches!(rest.first(), None | Some(b'/')));
        let above = path.strip_suffix(b"/").unwrap_or(path);
        let above = base.as_bytes().strip_prefix(above);
        let mapped = match (below, above) {
            // Without a slash at its end it also fits the prefix itself (RFC 6265, 5.1.4).
            (Some(b"" | b"/"), _) | (None, Some([b'/', ..])) => self.prefix.as_bytes().to_vec(),
            (Some(rest), _) => [self.prefix.as_bytes(), rest].concat(),
            (None, _) => return None,
        };
        Some(if mapped.is_empty() {
            b"/".to_vec()
        } else {
            mapped
        })
    }
}

/// Returns true if an authority and a Host are one host and one port. The ports stand for those that are left out.
fn is_same(authority: &Authority, port: u16, host: &str, host_port: u16) -> bool {
    let Ok(host) = host.parse::<Authority>() else {
        return false;
    };
    // The type accepts a user, and any text behind the colon.
    is_host_and_port(authority.as_str().as_bytes())
        && authority.host().eq_ignore_ascii_case(host.host())
        && authority.port_u16().unwrap_or(port) == host.port_u16().unwrap_or(host_port)
}

/// Returns true if a server could read a target as one above its first `/`, and so above the path of its URL. Servers
/// differ in how they decode, so each reading counts: `..`, `%2e%2e`, `..%2f`, `..%5c` and `..;`.
pub(super) fn leaves(target: &[u8]) -> bool {
    let path = target.split(|byte| b"?#".contains(byte)).next();
    let path: Cow<'_, [u8]> = percent_decode(path.unwrap_or_default()).into();
    let mut depth = 0_usize;
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next();
        match name.unwrap_or_default() {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_and_the_port_decide_whose_url_it_is() {
        // The server, the reference, and the path of the client.
        let rows = [
            ("http://mill", "http://mill/a", "/a"),
            ("http://mill", "http://MILL:80/a", "/a"),
            ("http://mill", "http://mill:/a", "/a"),
            ("http://mill:80", "http://mill/a", "/a"),
            ("http://mill", "//mill/a", "/a"),
            ("http://mill", "http://mill:8080/a", ""),
            ("http://mill:8080", "http://mill/a", ""),
            ("http://mill:8080", "https://mill:8080/a", "/a"),
            ("http://[::1]:8080", "http://[::1]:8080/a", "/a"),
            ("http://[::1]:8080", "http://[::1]/a", ""),
            ("http://[::1]", "http://[::1]/a", "/a"),
            // It leaves http for https, perhaps for another server. As a path it would be a loop.
            ("http://mill", "https://mill/a", ""),
            ("https://mill", "https://mill/a", "/a"),
            ("https://mill", "https://mill:443/a", "/a"),
            ("https://mill", "//mill/a", "/a"),
            ("https://mill", "http://mill/a", "/a"),
            ("https://mill:8443", "http://mill/a", ""),
            ("https://mill:8443", "http://mill:8443/a", "/a"),
            ("http://mill", "http://mill.example/a", ""),
            ("http://mill", "http://a.mill/a", ""),
            ("http://mill", "http://mill:x/a", ""),
            ("http://mill", "http://mill:99999/a", ""),
        ];
        let policy = PlacePolicy::default();
        let places = Places {
            policy: &policy,
            prefix: "",
            host: None,
        };
        for (server, reference, expected) in rows {
            let server = Upstream::of(&server.parse().unwrap_or_default());
            let server = server.unwrap_or_else(|fault| panic!("{fault}"));
            let mapped = places.reference(reference.as_bytes(), &server);
            let mapped = String::from_utf8(mapped.unwrap_or_default()).unwrap_or_default();
            assert_eq!(mapped, expected, "{} {reference}", server.name);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_mapped_or_stay(place: Vec<u8>, prefix in "(/[a-z;]{0,3}){0,2}", base in "(/[a-z]{0,2}){0,2}") {
            let policy = PlacePolicy {
                mapping: Mapping::Paths,
                cookie_domains: vec![("a".to_owned(), String::new())],
            };
            let places = Places { policy: &policy, prefix: &prefix, host: Some("mill") };
            let uri = format!("http://up{base}").parse().unwrap_or_default();
            if let Ok(server) = Upstream::of(&uri) {
                for start in [&b""[..], b"http://up", b"//mill", b"/a", b"0;url='", b"a=b;path=", b"a=b;domain="] {
                    let value = [start, &place].concat();
                    if let Some(mapped) = places.reference(&value, &server) {
                        let is_path = mapped.starts_with(b"/") && !mapped.starts_with(b"//");
                        proptest::prop_assert!(is_path || mapped.starts_with(b"//mill"));
                    }
                    places.refresh(&value, &server);
                    places.cookie(&value, &server.base);
                }
            }
        }
    }
}
