//! The fields of requests and answers on their way through the proxy.

use waterwheel::http::web::client_address::Networks;
use waterwheel::http::web::proxy::{ClientFields, ReverseProxy};

use super::origin::{Origin, fields};
use super::{EMPTY, proxy, proxy_with};
use crate::support::server::DEADLINE;
use crate::support::tls;

/// Sends a request with these fields, and returns the fields that reach the origin.
fn passed(request: &str, set: fn(ReverseProxy) -> ReverseProxy) -> String {
    let (origin, heads) = Origin::answering(EMPTY);
    let server = proxy_with(&origin, set);
    let answer = server.exchange(&[request.as_bytes()]);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let head = heads.recv_timeout(DEADLINE).unwrap();
    // The houses also run over TLS.
    let scheme = if tls::is_wanted() { "https" } else { "http" };
    let head = head.replace(&format!("proto={scheme}"), "proto=S");
    head.replace(
        &format!("x-forwarded-proto: {scheme}"),
        "x-forwarded-proto: S",
    )
}

/// A setting, and the fields that reach the origin.
type Row<'a> = (fn(ReverseProxy) -> ReverseProxy, Vec<&'a str>);

/// The fields that each request has.
const OWN: [&str; 3] = [
    "forwarded: for=127.0.0.1;host=\"a\";proto=S",
    "host: a",
    "via: 1.1 waterwheel",
];

#[test]
fn a_field_about_the_connection_stops_at_the_proxy() {
    // RFC 9110, 7.6.1
    for (given, left) in [
        ("x-a: 1\r\n", &["x-a: 1"][..]),
        ("connection: close\r\n", &[]),
        ("connection: keep-alive\r\nkeep-alive: timeout=5\r\n", &[]),
        (
            "connection: x-a, X-B\r\nx-a: 1\r\nx-b: 2\r\nx-c: 3\r\n",
            &["x-c: 3"],
        ),
        // An empty field before the one that counts (CVE-2021-33197).
        ("connection:\r\nconnection: x-a\r\nx-a: 1\r\n", &[]),
        ("connection: ,, x-a ,\r\nx-a: 1\r\nx-a: 2\r\n", &[]),
        ("proxy-connection: keep-alive\r\n", &[]),
        (
            "proxy-authorization: Basic x\r\nauthorization: Basic y\r\n",
            &["authorization: Basic y"],
        ),
        ("proxy-authenticate: Basic\r\n", &[]),
        (
            "connection: te\r\nte: trailers, gzip;q=0.5\r\n",
            &["te: trailers"],
        ),
        ("connection: te\r\nte: gzip\r\n", &[]),
        ("trailer: x-a\r\n", &[]),
        (
            "connection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: x\r\n",
            &["http2-settings: x"],
        ),
        ("upgrade: websocket\r\n", &[]),
        ("expect: 100-continue\r\n", &[]),
        // The client cannot remove a field that the proxy sets.
        ("connection: forwarded, via, host\r\n", &[]),
    ] {
        let head = passed(
            &format!("GET / HTTP/1.1\r\nhost: a\r\n{given}\r\n"),
            |proxy| proxy,
        );
        let mut expected = [&OWN[..], left].concat();
        expected.sort_unstable();
        let passed: Vec<_> = fields(&head)
            .into_iter()
            .map(|field| field.trim_end_matches("\r\n"))
            .filter(|field| !field.starts_with("connection: te"))
            .collect();
        assert_eq!(passed, expected, "{given}");
    }
}

#[test]
fn the_fields_of_a_client_about_itself_are_replaced_unless_it_is_trusted() {
    let given = "forwarded: for=9.9.9.9\r\nx-forwarded-for: 9.9.9.9\r\nx-forwarded-for: 8.8.8.8\r\n\
                 x-forwarded-proto: other\r\nx-forwarded-host: b\r\nx-real-ip: 9.9.9.9\r\n";
    let theirs = [
        "forwarded: for=9.9.9.9",
        "x-forwarded-host: b",
        "x-forwarded-proto: other",
        "x-real-ip: 9.9.9.9",
    ];
    let ours = "forwarded: for=127.0.0.1;host=\"a\";proto=S";
    let both = ["x-forwarded-for: 9.9.9.9", "x-forwarded-for: 8.8.8.8"];
    let x_ours = [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: a",
        "x-forwarded-proto: S",
    ];
    let rows: [Row<'_>; 7] = [
        (|proxy| proxy, vec![ours]),
        (
            |proxy| proxy.client_fields(ClientFields::XForwarded),
            x_ours.to_vec(),
        ),
        (
            |proxy| proxy.client_fields(ClientFields::Both),
            [&[ours][..], &x_ours].concat(),
        ),
        (|proxy| proxy.client_fields(ClientFields::Neither), vec![]),
        (
            |proxy| proxy.trust("10.0.0.0/8".parse::<Networks>().unwrap()),
            vec![ours],
        ),
        (
            |proxy| proxy.trust(Networks::loopback()),
            [&theirs[..], &both, &[ours]].concat(),
        ),
        (
            |proxy| {
                proxy
                    .trust(Networks::loopback())
                    .client_fields(ClientFields::XForwarded)
            },
            [
                &theirs[..],
                &["x-forwarded-for: 9.9.9.9, 8.8.8.8, 127.0.0.1"],
            ]
            .concat(),
        ),
    ];
    for (set, mut expected) in rows {
        let head = passed(&format!("GET / HTTP/1.1\r\nhost: a\r\n{given}\r\n"), set);
        expected.extend(["host: a", "via: 1.1 waterwheel"]);
        expected.sort_unstable();
        assert_eq!(fields(&head), expected);
    }
}

/// RFC 9110, 17.10: many servers read `_` in a name as `-`.
#[test]
fn no_spelling_of_a_field_about_the_client_passes() {
    let given = "X_Forwarded_For: 9.9.9.9\r\nx-forwarded_proto: b\r\nx_real_ip: 9.9.9.9\r\n\
                 x-forwarded-port: 4\r\nx-forwarded-prefix: /b\r\nx-forwarded-server: b\r\nx_other: c\r\n";
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{given}\r\n");
    let head = passed(&request, |proxy| proxy);
    assert_eq!(fields(&head), [&OWN[..], &["x_other: c"]].concat());
    let head = passed(&request, |proxy| proxy.trust(Networks::loopback()));
    for kept in ["x_forwarded_for: 9.9.9.9", "x-forwarded-prefix: /b"] {
        assert!(fields(&head).contains(&kept), "{head}");
    }
}

/// A server decodes and removes `..` in its own way, and must not leave the path of its URL.
#[test]
fn a_path_that_leads_above_the_path_of_the_server_is_not_passed_on() {
    let (origin, heads) = Origin::answering(EMPTY);
    let url = format!("{}/shop", origin.url());
    let server =
        crate::support::server::TestServer::start(super::builder(), move || ReverseProxy::to(&url));
    for (path, is_passed) in [
        ("/../admin", false),
        ("/..", false),
        ("/a/../../admin", false),
        ("/%2e%2E/admin", false),
        ("/.%2e/admin", false),
        ("/..%2fadmin", false),
        ("/..%5cadmin", false),
        ("/..;x=y/admin", false),
        ("//../admin", false),
        ("/./../admin", false),
        ("/a%2f..%2f..%2fadmin", false),
        ("/a/../b", true),
        ("/a/..%2fb", true),
        ("/..a/a../...", true),
        ("/%252e%252e/b", true),
        ("/a?b=/../../c", true),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = server.exchange(&[request.as_bytes()]);
        if is_passed {
            let head = heads.recv_timeout(DEADLINE).unwrap();
            let line = format!("GET /shop{path} HTTP/1.1\r\n");
            assert!(head.starts_with(&line), "{head}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        }
    }
    assert!(heads.try_recv().is_err());
}

#[test]
fn the_target_and_the_host_are_those_of_the_client_or_as_set() {
    let (origin, heads) = Origin::answering(EMPTY);
    let url = origin.url();
    for (base, request, set, expected) in [
        (
            "",
            "GET /a%2fb?c=%20&d HTTP/1.1\r\nhost: a:8080\r\n",
            false,
            ("GET /a%2fb?c=%20&d HTTP/1.1", "host: a:8080"),
        ),
        (
            "/",
            "GET /a HTTP/1.1\r\nhost: a\r\n",
            false,
            ("GET /a HTTP/1.1", "host: a"),
        ),
        (
            "/base",
            "GET /a?b HTTP/1.1\r\nhost: a\r\n",
            false,
            ("GET /base/a?b HTTP/1.1", "host: a"),
        ),
        (
            "/base/",
            "DELETE / HTTP/1.1\r\nhost: a\r\n",
            false,
            ("DELETE /base/ HTTP/1.1", "host: a"),
        ),
        // An absolute target (RFC 9112, 3.2.2): its host wins.
        (
            "",
            "GET http://b/a?x HTTP/1.1\r\nhost: a\r\n",
            false,
            ("GET /a?x HTTP/1.1", "host: b"),
        ),
        (
            "",
            "GET http://b?x HTTP/1.1\r\nhost: a\r\n",
            false,
            ("GET /?x HTTP/1.1", "host: b"),
        ),
        (
            "",
            "GET / HTTP/1.1\r\nhost: a\r\n",
            true,
            ("GET / HTTP/1.1", "host: ORIGIN"),
        ),
        // HTTP/1.0 has no Host.
        (
            "",
            "GET / HTTP/1.0\r\n",
            false,
            ("GET / HTTP/1.1", "host: ORIGIN"),
        ),
    ] {
        let to = format!("{url}{base}");
        let server = crate::support::server::TestServer::start(super::builder(), move || {
            let proxy = ReverseProxy::to(&to);
            if set { proxy.replace_host() } else { proxy }
        });
        server.exchange(&[request.as_bytes(), b"\r\n"]);
        let head = heads.recv_timeout(DEADLINE).unwrap();
        assert_eq!(head.lines().next(), Some(expected.0), "{request}");
        let host = expected.1.replace("ORIGIN", &origin.address.to_string());
        assert!(fields(&head).contains(&&*host), "{request}: {head}");
    }
}

#[test]
fn the_answer_loses_the_fields_about_the_connection() {
    for (given, left) in [
        (
            "content-length: 0\r\nx-a: 1\r\n",
            &["content-length: 0", "x-a: 1"][..],
        ),
        (
            "content-length: 0\r\nconnection: x-a\r\nx-a: 1\r\n",
            &["content-length: 0"],
        ),
        (
            "content-length: 0\r\nkeep-alive: timeout=5\r\n",
            &["content-length: 0"],
        ),
        (
            "content-length: 0\r\nproxy-connection: close\r\n",
            &["content-length: 0"],
        ),
        (
            "content-length: 0\r\nproxy-authenticate: Basic\r\n",
            &["content-length: 0"],
        ),
        (
            "content-length: 0\r\nupgrade: h2c\r\n",
            &["content-length: 0"],
        ),
        (
            "content-length: 0\r\nte: trailers\r\n",
            &["content-length: 0"],
        ),
        (
            "content-length: 0\r\nvia: 1.0 b\r\nserver: c\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n",
            &[
                "content-length: 0",
                "server: c",
                "set-cookie: a=1",
                "set-cookie: b=2",
            ],
        ),
    ] {
        let (origin, _heads) = Origin::answering(format!("HTTP/1.1 200 Fine\r\n{given}\r\n"));
        let answer = proxy(&origin).exchange(&[super::GET.as_bytes()]);
        let via = if given.contains("via") {
            "via: 1.0 b, 1.1 waterwheel"
        } else {
            "via: 1.1 waterwheel"
        };
        let mut expected = [left, &[via]].concat();
        expected.sort_unstable();
        assert_eq!(fields(&answer), expected, "{given}");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

/// An application and its server may both add them. Python's servers are known for that.
#[test]
fn the_first_of_two_dates_or_servers_passes() {
    let repeated = "server: a\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: b\r\n\
                    Date: Fri, 02 Jan 1970 00:00:00 GMT\r\n";
    let (origin, _heads) = Origin::answering(format!(
        "HTTP/1.1 103 Early Hints\r\ntrailer: x\r\n{repeated}\r\n\
         HTTP/1.1 200 OK\r\n{repeated}content-length: 0\r\n\r\n"
    ));
    let server = proxy(&origin);
    let mut client = server.client();
    client.send(super::GET);
    let interim = client.read_until("\r\n\r\n");
    assert!(interim.starts_with("HTTP/1.1 103 "), "{interim}");
    assert!(!interim.contains("trailer"), "{interim}");
    let answer = client.read_until("\r\n\r\n");
    let expected = [
        "content-length: 0",
        "date: Thu, 01 Jan 1970 00:00:00 GMT",
        "server: a",
        "via: 1.1 waterwheel",
    ];
    assert_eq!(fields(&answer), expected);
}

#[test]
fn a_client_without_a_host_has_none_in_the_fields() {
    for (request, kept) in [
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", "via: 1.1 waterwheel"),
        ("GET / HTTP/1.0\r\n\r\n", "via: 1.0 waterwheel"),
    ] {
        let head = passed(request, |proxy| proxy.client_fields(ClientFields::Both));
        let left: Vec<_> = fields(&head)
            .into_iter()
            .filter(|field| !field.starts_with("host: "))
            .collect();
        let expected = [
            "forwarded: for=127.0.0.1;proto=S",
            kept,
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: S",
        ];
        assert_eq!(left, expected, "{request}");
    }
}

#[test]
fn via_is_as_set() {
    let head = passed("GET / HTTP/1.1\r\nhost: a\r\nvia: 1.0 b\r\n\r\n", |proxy| {
        proxy.via("mill")
    });
    assert!(fields(&head).contains(&"via: 1.0 b, 1.1 mill"), "{head}");
    let head = passed("GET / HTTP/1.0\r\n\r\n", |proxy| proxy);
    assert!(fields(&head).contains(&"via: 1.0 waterwheel"), "{head}");
    let head = passed(
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ReverseProxy::without_via,
    );
    assert!(!head.contains("via"), "{head}");
}

#[test]
fn methods_that_no_proxy_passes_on_are_refused() {
    let (origin, _heads) = Origin::answering(EMPTY);
    let server = proxy(&origin);
    for (request, status) in [
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", "405"),
        (
            "OPTIONS / HTTP/1.1\r\nhost: a\r\nmax-forwards: 0\r\n\r\n",
            "204",
        ),
    ] {
        let answer = server.exchange(&[request.as_bytes()]);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    assert_eq!(origin.connections(), 0);
    let head = passed(
        "OPTIONS / HTTP/1.1\r\nhost: a\r\nmax-forwards: 3\r\n\r\n",
        |proxy| proxy,
    );
    assert!(fields(&head).contains(&"max-forwards: 2"), "{head}");
}
