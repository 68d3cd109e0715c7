//! The opening handshake (RFC 6455, 4.2).
//!
//! # Invariants
//!
//! - Always: a request that is no handshake is answered with a status, and its connection stays open.
//! - Never: a byte of the request in the answer, except the chosen subprotocol, which is ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use tungstenite::handshake::derive_accept_key;

use crate::error::ClientError;
use crate::exchange::request::Request;
use crate::web::origin::is_of_host;
use crate::web::single::only;
use crate::web::websocket::deflate::{self, DeflateParameters};
use crate::web::websocket::options::{Origins, SocketSettings};

/// The bytes of a key, before its encoding (RFC 6455, 4.1).
const KEY_BYTES: usize = 16;

/// The answer to a valid handshake.
pub(super) struct OpeningHandshake {
    accept_key: String,
    /// The index of the subprotocol in the options.
    pub(super) protocol: Option<usize>,
    pub(super) deflate: Option<DeflateParameters>,
}

impl OpeningHandshake {
    /// Checks a request.
    ///
    /// # Errors
    ///
    /// - 405 for a method that is not GET.
    /// - 426 if the request offers no WebSocket, or another version of it.
    /// - 400 if its key is malformed.
    /// - 403 if it comes from a page of another site.
    pub(super) fn check(
        request: &Request<'_>,
        settings: &SocketSettings,
    ) -> Result<Self, ClientError> {
        let headers = request.headers();
        if *request.method() != Method::GET {
            let blame = ClientError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "a websocket begins with GET",
            );
            return Err(blame.with_header("allow", "GET"));
        }
        let version = only(headers, "sec-websocket-version");
        if !request.offers("websocket") || version != Some(b"13") {
            // The fields tell the client what to offer (RFC 6455, 4.4).
            let blame = ClientError::new(
                StatusCode::UPGRADE_REQUIRED,
                "upgrade to websocket version 13",
            );
            let blame = blame.with_header("upgrade", "websocket");
            return Err(blame.with_header("sec-websocket-version", "13"));
        }
        let is_key = |key: &&[u8]| {
            let mut decoded = [0; KEY_BYTES + 2];
            matches!(STANDARD.decode_slice(key, &mut decoded), Ok(KEY_BYTES))
        };
        let key = only(headers, "sec-websocket-key").filter(is_key);
        let key = key.ok_or_else(|| {
            ClientError::new(StatusCode::BAD_REQUEST, "malformed sec-websocket-key")
        })?;
        if !is_allowed(request, &settings.origins) {
            let text = "pages of this origin may not open a websocket here";
            return Err(ClientError::new(StatusCode::FORBIDDEN, text));
        }
        let deflate = settings.compression;
        // The client's order is its preference (RFC 6455, 4.1).
        let mut theirs = headers.members("sec-websocket-protocol");
        let ours = |one: &[u8]| {
            settings
                .protocols
                .iter()
                .position(|our| our.as_bytes() == one)
        };
        Ok(Self {
            accept_key: derive_accept_key(key),
            protocol: theirs.find_map(ours),
            deflate: deflate.and_then(|takes_over| deflate::negotiate(headers, takes_over)),
        })
    }

    /// Returns the fields of the answer.
    pub(super) fn fields(self, settings: &SocketSettings) -> Vec<(&'static str, String)> {
        let mut fields = vec![("sec-websocket-accept", self.accept_key)];
        if let Some(index) = self.protocol {
            fields.push(("sec-websocket-protocol", settings.protocols[index].clone()));
        }
        if let Some(deflate) = self.deflate {
            fields.push(("sec-websocket-extensions", deflate.field()));
        }
        fields
    }
}

/// Checks the Origin of a browser (RFC 6455, 10.2).
fn is_allowed(request: &Request<'_>, origins: &Origins) -> bool {
    let headers = request.headers();
    if !headers.contains("origin") {
        return true;
    }
    // A repeated field has no value, and is not the same as a missing one.
    match (origins, only(headers, "origin")) {
        (Origins::All, _) => true,
        (Origins::These(these), Some(origin)) => these
            .iter()
            .any(|one| one.as_bytes().eq_ignore_ascii_case(origin)),
        (Origins::SameHost, Some(origin)) => is_of_host(origin, request),
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::exchange::handler::Responded;
    use crate::testing::TestClient;
    use crate::web::websocket::{WebSocket, WebSocketOptions, upgrade};

    const GOOD: &[(&str, &str)] = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// Sends a GET with these fields, and returns the answer.
    fn ask(options: &WebSocketOptions, fields: &[(&str, &str)]) -> crate::testing::Answer {
        ask_with(&Method::GET, options, fields)
    }

    fn ask_with(
        method: &Method,
        options: &WebSocketOptions,
        fields: &[(&str, &str)],
    ) -> crate::testing::Answer {
        let options = options.clone();
        block_on(async {
            let handler = async move |request: Request<'_>| -> crate::Result<Responded> {
                let talk = async |_socket: WebSocket| Ok(());
                upgrade(request, &options, talk).await
            };
            TestClient::new(handler)
                .request(method, "/", fields, b"")
                .await
        })
    }

    /// Returns the good fields with one changed, or left out.
    fn with<'a>(name: &str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
        let changed = GOOD.iter().map(|(field, good)| {
            if *field == name {
                value.map(|value| (*field, value))
            } else {
                Some((*field, *good))
            }
        });
        changed.flatten().collect()
    }

    #[test]
    fn a_handshake_is_answered_with_the_key_of_the_rfc() {
        // RFC 6455, 1.3
        let answer = ask(&WebSocketOptions::new(), GOOD);
        assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(
            answer.headers["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(answer.headers["upgrade"], "websocket");
        assert_eq!(answer.headers["connection"], "upgrade");
        for absent in [
            "sec-websocket-protocol",
            "sec-websocket-extensions",
            "content-length",
        ] {
            assert!(!answer.headers.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn a_request_that_is_no_handshake_has_the_status_of_its_fault() {
        // RFC 6455, 4.2.1 and 4.4
        let check = |fields: &[(&str, &str)], status: u16| {
            let answer = ask(&WebSocketOptions::new(), fields);
            assert_eq!(answer.status.as_u16(), status, "{fields:?}");
            if status == 426 {
                assert_eq!(answer.headers["upgrade"], "websocket");
                assert_eq!(answer.headers["sec-websocket-version"], "13");
            }
        };
        check(GOOD, 101);
        check(&[], 426);
        check(&with("connection", None), 426);
        check(&with("connection", Some("keep-alive")), 426);
        check(&with("upgrade", None), 426);
        check(&with("upgrade", Some("h2c")), 426);
        check(&with("upgrade", Some("h2c, websocket")), 101);
        for version in [
            None,
            Some("8"),
            Some("14"),
            Some("13, 8"),
            Some(""),
            Some("013"),
        ] {
            check(&with("sec-websocket-version", version), 426);
        }
        for key in [
            None,
            Some(""),
            Some("AAAA"),
            Some("dGhlIHNhbXBsZSBub25jZQ"),   // without its padding
            Some("dGhlIHNhbXBsZSBub25jZR=="), // with bits behind the last byte
            Some("dGhlIHNhbXBsZSBub25jZQE="), // 17 bytes
            Some("dGhlIHNhbXBsZSBub25j"),     // 15 bytes
            Some("dGhlIHNhbXBsZSBub25jZQ==, AAAA"),
            Some("dGhl IHNhbXBsZSBub25jZQ="),
        ] {
            check(&with("sec-websocket-key", key), 400);
        }
        let twice = [GOOD, &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]].concat();
        check(&twice, 400);
        let post = ask_with(&Method::POST, &WebSocketOptions::new(), GOOD);
        assert_eq!(
            (post.status.as_u16(), post.headers["allow"].as_bytes()),
            (405, &b"GET"[..])
        );
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        // RFC 6455, 10.2. The Host of the test client is `test`.
        let check = |options: &WebSocketOptions, origins: &[&str], status: u16| {
            let mut fields = GOOD.to_vec();
            fields.extend(origins.iter().map(|origin| ("origin", *origin)));
            assert_eq!(ask(options, &fields).status.as_u16(), status, "{origins:?}");
        };
        let same = WebSocketOptions::new();
        check(&same, &[], 101);
        check(&same, &["http://test"], 101);
        check(&same, &["https://TEST"], 101);
        for other in [
            "http://evil",
            "http://test.evil",
            "http://test:81",
            "null",
            "test",
            "",
            "http://test/",
        ] {
            check(&same, &[other], 403);
        }
        check(&same, &["http://test", "http://test"], 403);
        let these = same
            .clone()
            .origins(["https://a.example", "https://b.example"]);
        check(&these, &["https://b.example"], 101);
        check(&these, &["http://b.example"], 403);
        check(&these, &["http://test"], 403);
        let all = same.all_origins();
        check(&all, &["http://evil"], 101);
        check(&all, &["null"], 101);
    }

    #[test]
    fn the_first_subprotocol_of_the_client_that_the_server_speaks_is_chosen() {
        // RFC 6455, 4.2.2
        let options = WebSocketOptions::new().protocols(["v2", "v1"]);
        let check = |offered: &[&str], chosen: Option<&str>| {
            let mut fields = GOOD.to_vec();
            fields.extend(offered.iter().map(|one| ("sec-websocket-protocol", *one)));
            let answer = ask(&options, &fields);
            let field = answer.headers.get("sec-websocket-protocol");
            assert_eq!(
                field.and_then(|value| value.to_str().ok()),
                chosen,
                "{offered:?}"
            );
        };
        check(&["v1, v2"], Some("v1"));
        check(&["v9", "v2"], Some("v2"));
        check(&["V1"], None);
        check(&["v9"], None);
        check(&[], None);
    }

    #[test]
    fn compression_is_accepted_only_by_choice() {
        // RFC 7692, 5.1
        let mut fields = GOOD.to_vec();
        fields.push((
            "sec-websocket-extensions",
            "x-other, permessage-deflate; client_max_window_bits",
        ));
        let plain = ask(&WebSocketOptions::new(), &fields);
        assert!(!plain.headers.contains_key("sec-websocket-extensions"));
        let compressed = ask(&WebSocketOptions::new().compress_across_messages(), &fields);
        assert_eq!(
            compressed.headers["sec-websocket-extensions"],
            "permessage-deflate"
        );
    }
}
