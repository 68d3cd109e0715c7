//! Several servers: they take turns, and failing ones are passed over.

use std::net::TcpListener;

use waterwheel::http::client::Client;
use waterwheel::http::web::proxy::{ReverseProxy, forward};
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, shared};

use super::origin::Origin;
use super::{EMPTY, GET, builder};
use crate::support::server::{DEADLINE, TestServer};

fn named(name: &str) -> Origin {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{name}");
    Origin::answering(answer).0
}

#[test]
fn the_servers_take_turns_and_a_dead_one_is_passed_over() {
    let (a, b) = (named("a"), named("b"));
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let urls = [a.url(), format!("http://{dead}"), b.url()];
    let server = TestServer::start(builder(), move || {
        shared(ReverseProxy::to(&urls[0]).and(&urls[1]).and(&urls[2]))
    });
    let mut seen = String::new();
    for _ in 0..9 {
        // Also a request that could not be repeated: no byte of it has left.
        let answer =
            server.exchange(&[b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nrye"]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        seen.push_str(&answer[answer.len() - 1..]);
    }
    assert!(
        seen.matches('a').count() >= 3 && seen.matches('b').count() >= 3,
        "{seen}"
    );
}

#[test]
fn a_server_behind_a_prefix_sees_the_path_below_it() {
    let (origin, heads) = Origin::answering(EMPTY);
    let url = origin.url();
    let server = TestServer::start(builder(), move || {
        shared(Router::new().nest("/api", ReverseProxy::to(format!("{url}/v2"))))
    });
    for (target, expected) in [
        ("/api/sacks?x", "/v2/sacks?x"),
        ("/api", "/v2/"),
        ("/api/", "/v2/"),
    ] {
        let answer =
            server.exchange(&[format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let head = heads.recv_timeout(DEADLINE).unwrap();
        assert!(
            head.starts_with(&format!("GET {expected} HTTP/1.1\r\n")),
            "{head}"
        );
    }
}

#[test]
fn an_idle_connection_that_the_server_has_closed_is_not_used() {
    let origin = Origin::serve(|mut client| {
        client.head();
        client.send(EMPTY);
    });
    let url = origin.url();
    let server = TestServer::start(builder(), move || shared(ReverseProxy::to(&url)));
    for number in 1..=3 {
        // A request that is never sent twice.
        let answer = server.exchange(&[b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(origin.connections(), number);
        std::thread::sleep(super::SOON);
    }
    assert!(
        server
            .exchange(&[GET.as_bytes()])
            .starts_with("HTTP/1.1 200 ")
    );
}

#[test]
fn a_url_of_another_form_is_refused_at_the_start() {
    for url in [
        "",
        "/",
        "a",
        "127.0.0.1:80",
        "a:80",
        "ftp://a",
        "http://",
        "http://b@a",
        "http://a?b",
        "http://a b",
    ] {
        let made = std::panic::catch_unwind(|| ReverseProxy::to(url));
        assert!(made.is_err(), "{url}");
    }
}

#[test]
fn a_handler_chooses_the_server_and_the_target() {
    let (origin, heads) = Origin::answering(EMPTY);
    let url = origin.url();
    let server = TestServer::start(builder(), move || {
        let (client, proxy) = (Client::new(), ReverseProxy::to(&url));
        shared(async move |request: Request<'_>| match request.path() {
            "/one" => forward(request, &client, &format!("{url}/two?x=%20")).await,
            "/two" => proxy.forward(request, "/three").await,
            // RFC 9112, 3.2.1: an empty path is a slash.
            "/empty" => forward(request, &client, &format!("{url}?x")).await,
            "/accent" => forward(request, &client, &format!("{url}/caf\u{e9}")).await,
            "/fragment" => proxy.forward(request, "/a#b").await,
            "/quote" => proxy.forward(request, "/a\"b").await,
            "/bad" => proxy.forward(request, "/a b\r\nx: y").await,
            _ => proxy.forward(request, "four").await,
        })
    });
    for (target, expected) in [
        ("/one?a", "GET /two?x=%20 HTTP/1.1\r\n"),
        ("/two?a", "GET /three HTTP/1.1\r\n"),
        ("/empty", "GET /?x HTTP/1.1\r\n"),
    ] {
        let answer =
            server.exchange(&[format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let head = heads.recv_timeout(DEADLINE).unwrap();
        assert!(
            head.starts_with(expected) && head.contains("host: a\r\n"),
            "{head}"
        );
    }
    for target in ["/bad", "/other", "/accent", "/fragment", "/quote"] {
        let answer =
            server.exchange(&[format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert!(heads.try_recv().is_err());
}
