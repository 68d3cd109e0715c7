//! Places in answers: Location, Content-Location, Refresh, and the paths and domains of cookies.

use waterwheel::http::client::Client;
use waterwheel::http::web::proxy::{ReverseProxy, forward};
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, shared};

use super::builder;
use super::origin::Origin;
use crate::support::server::TestServer;

/// Answers each request with the field that its `x-answer` names.
fn mirror() -> Origin {
    Origin::serve(|mut client| {
        while let Some(head) = client.head() {
            let lines = head.split("\r\n");
            let wanted = lines.filter_map(|line| line.strip_prefix("x-answer: "));
            let fields: Vec<_> = wanted.collect();
            let status = if fields[0].starts_with("upgrade") {
                "101 a"
            } else {
                "302 a"
            };
            let fields = fields.join("\r\n");
            client.send(format!(
                "HTTP/1.1 {status}\r\n{fields}\r\ncontent-length: 0\r\n\r\n"
            ));
        }
    })
}

/// A proxy below a prefix, in front of a server whose URL has a path.
struct Mounted {
    origin: Origin,
    server: TestServer,
}

impl Mounted {
    fn new(
        prefix: &'static str,
        base: &'static str,
        set: impl FnOnce(ReverseProxy) -> ReverseProxy + Send + 'static,
    ) -> Self {
        let origin = mirror();
        let url = format!("{}{base}", origin.url());
        let server = if prefix.is_empty() {
            TestServer::start(builder(), move || shared(set(ReverseProxy::to(url))))
        } else {
            let mounted = move || Router::new().nest(prefix, set(ReverseProxy::to(url)));
            TestServer::start(builder(), move || shared(mounted()))
        };
        Self { origin, server }
    }

    /// Returns a field of the server's as the client of `mill.example` receives it. `{up}` is the server's address.
    fn at(&self, target: &str, field: &str) -> String {
        let port = self.origin.address.port().to_string();
        let field = field.replace("{up}", &self.origin.address.to_string());
        let field = field.replace("{port}", &port);
        let (name, _) = field.split_once(':').unwrap();
        let request =
            format!("GET {target} HTTP/1.1\r\nhost: mill.example\r\nx-answer: {field}\r\n\r\n");
        let answer = self.server.exchange(&[request.as_bytes()]);
        let mut lines = answer.split("\r\n");
        let line = lines.find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        let (_, value) = line
            .unwrap_or_else(|| panic!("{answer}"))
            .split_once(": ")
            .unwrap();
        let value = value.replace(&self.origin.address.to_string(), "{up}");
        value.replace(&port, "{port}")
    }

    /// Checks the fields of a name: that of the server, and that of the client. An empty one stays.
    fn check(&self, target: &str, name: &str, rows: &[(&str, &str)]) {
        for (given, expected) in rows {
            let expected = if expected.is_empty() { given } else { expected };
            let seen = self.at(target, &format!("{name}: {given}"));
            assert_eq!(seen, *expected, "{name}: {given}");
        }
    }
}

#[test]
fn a_url_of_the_server_becomes_the_path_of_its_client() {
    let mounted = Mounted::new("/api", "/v2", |proxy| proxy);
    let rows = [
        ("http://{up}/v2/login", "/api/login"),
        ("http://{up}/v2/", "/api/"),
        ("http://{up}/v2", "/api"),
        ("http://{up}/v2?a=b", "/api?a=b"),
        (
            "http://{up}/v2/a?b=http://{up}/v2#c",
            "/api/a?b=http://{up}/v2#c",
        ),
        ("http://{up}/v2#c", "/api#c"),
        ("HTTP://{up}/v2/a", "/api/a"),
        ("//{up}/v2/a", "/api/a"),
        // The server was told of the client's https, and the host is its own.
        ("https://{up}/v2/a", "/api/a"),
        ("http://{up}/v2/caf\u{e9} {x}", "/api/caf\u{e9} {x}"),
        ("http://{up}/v2//mill.example", "/api//mill.example"),
        // No client reaches these.
        ("http://{up}/v20/login", ""),
        ("http://{up}/V2/login", ""),
        ("http://{up}/other", ""),
        ("http://{up}", ""),
        ("http://{up}/v2/../other", ""),
        ("http://{up}/v2/%2e%2e/other", ""),
        // These are of other places, or right for both.
        ("http://{up}1/v2/a", ""),
        ("http://{up}.example/v2/a", ""),
        ("http://{up}@mill.example/v2/a", ""),
        ("http://a@{up}/v2/a", ""),
        ("http://127.0.0.1/v2/a", ""),
        ("http://localhost/v2/a", ""),
        ("http://mill.example/v2/a", ""),
        ("ftp://{up}/v2/a", ""),
        ("http:/{up}/v2/a", ""),
        ("http://[::1/v2/a", ""),
        ("http://", ""),
        ("mailto:miller@{up}", ""),
        ("/v2/login", ""),
        ("login", ""),
        ("?a", ""),
        ("#a", ""),
        ("", ""),
    ];
    for name in ["location", "content-location"] {
        mounted.check("/api/a", name, &rows);
    }
    // The prefix is the same however deep the request is.
    mounted.check("/api", "location", &[("http://{up}/v2/b", "/api/b")]);
    mounted.check("/api/c/d/?e", "location", &[("http://{up}/v2/b", "/api/b")]);
}

#[test]
fn a_url_of_the_server_becomes_a_path_without_any_prefix_too() {
    let mounted = Mounted::new("", "", |proxy| proxy);
    let rows = [
        ("http://{up}/login", "/login"),
        ("http://{up}", "/"),
        ("http://{up}?a", "/?a"),
        ("http://{up}#a", "/#a"),
        ("http://mill.example/login", ""),
        // The Host that the server has seen, with its own port, as nginx writes it.
        ("http://MILL.example:{port}/login", "/login"),
        ("http://mill.example:1/login", ""),
        ("http://other.example:{port}/login", ""),
        ("http://{up}/../login", ""),
        // A path that is no host (the URL standard, 4.5).
        ("http://{up}//evil.example/a", "/.//evil.example/a"),
        ("http://{up}///evil.example/a", "/.///evil.example/a"),
        // Browsers read these as `//evil.example`.
        ("http://{up}/\\evil.example", ""),
        ("http://{up}/\t/evil.example", ""),
    ];
    mounted.check("/a", "location", &rows);
}

#[test]
fn the_url_in_refresh_is_mapped() {
    let mounted = Mounted::new("/api", "/v2", |proxy| proxy);
    let rows = [
        ("5; url=http://{up}/v2/a", "5; url=/api/a"),
        ("0;URL=http://{up}/v2/a", "0;URL=/api/a"),
        ("0, url = 'http://{up}/v2/a' ", "0, url = '/api/a'"),
        ("0;url=\"http://{up}/v2/a\"; b", "0;url=\"/api/a\"; b"),
        ("0;url=\"http://{up}/v2/a", "0;url=\"/api/a"),
        ("0; http://{up}/v2/a", "0; /api/a"),
        ("5", ""),
        ("5;", ""),
        ("5;url", ""),
        ("5;url=", ""),
        ("5;url='", ""),
        ("5;url=\"\"", ""),
        ("5; url=/v2/a", ""),
        ("5; url=http://mill.example/v2/a", ""),
    ];
    mounted.check("/api/a", "refresh", &rows);
}

#[test]
fn paths_are_mapped_by_choice() {
    let mounted = Mounted::new("/api", "/v2", ReverseProxy::map_paths);
    let rows = [
        ("/v2/login", "/api/login"),
        ("/v2", "/api"),
        ("/v2?a", "/api?a"),
        ("/login", ""),
        ("/v20", ""),
        ("login", ""),
        ("//other.example/v2/a", ""),
        ("http://{up}/v2/a", "/api/a"),
        // The server has made it of the Host that it has seen. The scheme stays.
        ("http://mill.example/v2/a", "http://mill.example/api/a"),
        (
            "https://MILL.example/v2/a?b#c",
            "https://MILL.example/api/a?b#c",
        ),
        ("//mill.example/v2/a", "//mill.example/api/a"),
        (
            "https://mill.example:443/v2",
            "https://mill.example:443/api",
        ),
        ("https://mill.example:8443/v2", ""),
        ("https://mill.example/", ""),
        ("https://sub.mill.example/v2/a", ""),
        ("https://a@mill.example/v2/a", ""),
    ];
    mounted.check("/api/a", "location", &rows);
    let refresh = [("5; url=/v2/a", "5; url=/api/a"), ("5; url=a", "")];
    mounted.check("/api/a", "refresh", &refresh);
    // A base that is cut off leaves no host at the begin.
    let mounted = Mounted::new("", "/v2", ReverseProxy::map_paths);
    let rows = [
        ("/v2//evil.example", "/.//evil.example"),
        ("/v2/a", "/a"),
        ("/v2", "/"),
        ("/v2/\\evil.example", ""),
    ];
    mounted.check("/a", "location", &rows);
}

#[test]
fn all_places_stay_by_choice() {
    let mounted = Mounted::new("/api", "/v2", ReverseProxy::keep_locations);
    mounted.check(
        "/api/a",
        "location",
        &[("http://{up}/v2/a", ""), ("/v2/a", "")],
    );
    mounted.check("/api/a", "refresh", &[("5; url=http://{up}/v2/a", "")]);
    mounted.check("/api/a", "set-cookie", &[("a=b; Path=/v2/a", "")]);
}

#[test]
fn a_handler_that_chooses_the_server_maps_its_places_itself() {
    let origin = mirror();
    let url = origin.url();
    let server = TestServer::start(builder(), move || {
        let client = Client::new();
        let handler = async move |request: Request<'_>| {
            forward(request, &client, &format!("{url}/v2/a")).await
        };
        shared(Router::new().nest("/api", handler))
    });
    let mounted = Mounted { origin, server };
    mounted.check(
        "/api/a",
        "location",
        &[("http://{up}/v2/a", ""), ("/v2/a", "")],
    );
}

#[test]
fn the_host_that_replaces_that_of_the_client_is_the_servers_own() {
    let mounted = Mounted::new("/api", "", |proxy| proxy.replace_host().map_paths());
    let rows = [
        ("http://{up}/a", "/api/a"),
        ("/a", "/api/a"),
        ("http://mill.example/a", ""),
    ];
    mounted.check("/api/a", "location", &rows);
}

#[test]
fn the_path_of_a_cookie_is_mapped_with_the_paths() {
    let by_default = Mounted::new("/api", "/v2", |proxy| proxy);
    by_default.check(
        "/api/a",
        "set-cookie",
        &[("a=b; Path=/v2/c", ""), ("a=b; Path=/", "")],
    );
    let mounted = Mounted::new("/api", "/v2", ReverseProxy::map_paths);
    let rows = [
        ("a=b; Path=/v2/c; HttpOnly", "a=b; Path=/api/c; HttpOnly"),
        ("a=b;path=/v2", "a=b;path=/api"),
        (
            "a=b; Secure; PATH = /v2/ ;SameSite=Lax",
            "a=b; Secure; PATH =/api;SameSite=Lax",
        ),
        // It is for all of the server, so for all below the prefix.
        ("a=b; Path=/", "a=b; Path=/api"),
        // The last one counts (RFC 6265, 5.3).
        (
            "a=b; Path=/v2/c; Path=/v2/d",
            "a=b; Path=/api/c; Path=/api/d",
        ),
        ("a=b; Path=/other", ""),
        ("a=b; Path=/v20", ""),
        ("a=b; Path=", ""),
        ("a=b; Path", ""),
        ("a=b; Path=c", ""),
        ("a=/v2; Secure", ""),
        ("Path=/v2", ""),
        ("a=b", ""),
        // RFC 6265bis, 4.1.3.2
        ("__Host-a=b; Path=/; Secure", ""),
        ("__host-a=b; Path=/; Secure", ""),
        (
            "__Secure-a=b; Path=/; Secure",
            "__Secure-a=b; Path=/api; Secure",
        ),
    ];
    mounted.check("/api/a", "set-cookie", &rows);
    let plain = Mounted::new("/api", "", ReverseProxy::map_paths);
    let rows = [
        ("a=b; Path=/", "a=b; Path=/api"),
        ("a=b; Path=/c/", "a=b; Path=/api/c/"),
    ];
    plain.check("/api/a", "set-cookie", &rows);
    let root = Mounted::new("", "/v2", ReverseProxy::map_paths);
    let rows = [
        ("a=b; Path=/v2", "a=b; Path=/"),
        ("a=b; Path=/v2/c", "a=b; Path=/c"),
    ];
    root.check("/a", "set-cookie", &rows);
}

#[test]
fn a_client_adds_no_attribute_to_a_cookie() {
    let mounted = Mounted::new("/{tenant}", "", ReverseProxy::map_paths);
    let given = "a=b; Path=/";
    assert_eq!(
        mounted.at("/acme/a", &format!("set-cookie: {given}")),
        "a=b; Path=/acme"
    );
    let evil = "/x;Domain=example/a";
    assert_eq!(mounted.at(evil, &format!("set-cookie: {given}")), given);
}

#[test]
fn the_domain_of_a_cookie_is_replaced_by_choice() {
    let by_default = Mounted::new("", "", ReverseProxy::map_paths);
    by_default.check("/", "set-cookie", &[("a=b; Domain=shop.internal", "")]);
    let mounted = Mounted::new("", "", |proxy| {
        let proxy = proxy.replace_cookie_domain(".shop.internal", "mill.example");
        proxy.replace_cookie_domain("localhost", "")
    });
    let rows = [
        (
            "a=b; Domain=shop.internal; Secure",
            "a=b; Domain=mill.example; Secure",
        ),
        ("a=b;domain=.SHOP.internal", "a=b;domain=mill.example"),
        ("a=b; Domain=localhost; Path=/c", "a=b; Path=/c"),
        ("a=b; Domain=localhost", "a=b"),
        ("a=b; Domain=other.internal", ""),
        ("a=b; Domain=sub.shop.internal", ""),
        ("a=b; Domain=", ""),
        ("a=b; Domain", ""),
        ("Domain=localhost", ""),
    ];
    mounted.check("/", "set-cookie", &rows);
}

#[test]
fn each_cookie_is_mapped() {
    let mounted = Mounted::new("/api", "/v2", ReverseProxy::map_paths);
    let request = "GET /api/ HTTP/1.1\r\nhost: a\r\nx-answer: set-cookie: a=b; Path=/v2\r\n\
                   x-answer: set-cookie: c=d; Path=/v2/e\r\nx-answer: Location: /v2/f\r\n\r\n";
    let answer = mounted.server.exchange(&[request.as_bytes()]);
    let expected = [
        "set-cookie: a=b; Path=/api\r\n",
        "set-cookie: c=d; Path=/api/e\r\n",
        "location: /api/f\r\n",
    ];
    for line in expected {
        assert!(answer.contains(line), "{answer}");
    }
}

#[test]
fn the_answer_that_changes_the_protocol_has_mapped_cookies() {
    let mounted = Mounted::new("/api", "/v2", ReverseProxy::map_paths);
    let request = "GET /api/ HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   x-answer: upgrade: websocket\r\nx-answer: connection: upgrade\r\n\
                   x-answer: set-cookie: a=b; Path=/v2\r\n\r\n";
    let answer = mounted.server.exchange(&[request.as_bytes()]);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer.contains("set-cookie: a=b; Path=/api\r\n"),
        "{answer}"
    );
}

#[test]
#[should_panic(expected = "is not a domain")]
fn a_domain_that_is_none_is_refused() {
    drop(ReverseProxy::to("http://a").replace_cookie_domain("a", "b; Path=/"));
}
