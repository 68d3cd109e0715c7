//! The answers and requests of rouille.

use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use waterwheel::http::{Request, Server, StatusCode};
use waterwheel::runtime::time::sleep;

use super::served::{
    answered, answered_last, check, failed, get, post, read_answer, refused, server,
};
use crate::support::server::{TestServer, without_dates};

#[test]
fn r_12_a_panic_is_a_500_and_the_next_request_is_served() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            assert_ne!(request.path(), "/panic", "on purpose");
            request.respond(StatusCode::OK, "fine", ()).await
        }
    });
    for _ in 0..3 {
        check(
            &server,
            &[(&get("/panic"), &failed()), (&get("/"), &answered("fine"))],
        );
    }
}

#[test]
fn r_13_a_peer_that_leaves_during_its_answer_does_no_harm() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let length = if request.path() == "/long" {
                8 << 20
            } else {
                1
            };
            request
                .respond(StatusCode::OK, "w".repeat(length), ())
                .await
        }
    });
    for _ in 0..5 {
        let mut client = server.client();
        client.send(get("/long"));
        client.read_until("www"); // it has begun
        set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
        drop(client);
        check(&server, &[(&get("/"), &answered("w"))]);
    }
}

#[test]
fn r_14_a_plain_connection_does_not_claim_to_be_encrypted() {
    let request = include_str!("../../../http/src/exchange/request.rs");
    assert!(request.contains("pub fn version(") && !request.contains("secure"));
    // A scheme in the target does not change the answer either.
    let get = "GET https://h/ HTTP/1.1\r\nHost: x\r\n\r\n";
    check(&server(), &[(get, &answered("GET https://h/ "))]);
}

#[test]
fn r_15_headers_that_would_break_the_message_are_an_error() {
    let field = |name: &'static str, value: &'static str| {
        TestServer::start(Server::builder(), move || {
            async move |request: Request<'_>| {
                request
                    .respond(StatusCode::OK, "four", [(name, value)])
                    .await
            }
        })
    };
    for (name, value) in [
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Connection", "x-mine"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "close"),
        ("Trailer", "x-sum"),
        ("Content-Length", "5"),
        ("Content-Length", "four"),
        ("bad name", "x"),
        ("x-bad\r\n", "x"),
        ("x-bad", "x\r\ny: z"),
    ] {
        check(&field(name, value), &[(&get("/"), &failed())]);
    }
    for (name, value, lines) in [
        ("Content-Length", "4", "content-length: 4\r\n"),
        (
            "Connection",
            "close",
            "content-length: 4\r\nconnection: close\r\n",
        ),
        (
            "Upgrade",
            "h2c",
            "Upgrade: h2c\r\ncontent-length: 4\r\nconnection: upgrade\r\n",
        ),
    ] {
        let expected = format!("HTTP/1.1 200 OK\r\n{lines}\r\nfour");
        check(&field(name, value), &[(&get("/"), &expected)]);
    }
}

#[test]
fn r_16_an_answer_has_a_date_and_a_server_only_if_it_is_named() {
    let answer = |builder: waterwheel::http::Builder| {
        let server = TestServer::start(builder, || {
            async |request: Request<'_>| {
                if request.path() == "/own" {
                    let headers = [("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Server", "own")];
                    return request.respond(StatusCode::OK, "", headers).await;
                }
                request.respond(StatusCode::OK, "", ()).await
            }
        });
        ["/", "/own"].map(|path| {
            let mut client = server.client();
            client.send(get(path));
            client.read_until("\r\n\r\n").to_lowercase()
        })
    };
    let [unnamed, own] = answer(Server::builder());
    assert!(!unnamed.contains("server:"), "{unnamed:?}");
    let date = unnamed
        .split("date: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    assert!(
        date.len() == 29 && date.ends_with(" gmt"),
        "RFC 9110, 5.6.7: {date:?}"
    );
    assert!(
        own.contains("\r\ndate: sun, 06 nov 1994 08:49:37 gmt\r\n"),
        "{own:?}"
    );
    assert!(
        own.contains("\r\nserver: own\r\n") && own.matches("date: ").count() == 1,
        "{own:?}"
    );
    let [named, own] = answer(Server::builder().server_name("Mill/1"));
    assert!(named.contains("\r\nserver: mill/1\r\n"), "{named:?}");
    assert!(
        own.contains("\r\nserver: own\r\n") && !own.contains("mill"),
        "{own:?}"
    );
}

#[test]
fn r_17_a_body_of_unknown_length_goes_in_chunks_or_to_the_end() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("one").await?;
            body.flush().await?;
            body.write("twelve bytes").await?;
            body.finish().await
        }
    });
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\nc\r\ntwelve bytes\r\n0\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwelve bytes";
    check(
        &server,
        &[
            (&get("/").repeat(2), &chunks.repeat(2)),
            ("GET / HTTP/1.0\r\n\r\n", plain),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", plain),
        ],
    );
}

#[test]
fn r_18_head_is_answered_without_a_body() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let code = request.path()[1..].parse::<u16>()?;
            request
                .respond(StatusCode::from_u16(code)?, "four", ())
                .await
        }
    });
    let head = |path: &str| format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let sized = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
    check(
        &server,
        &[
            (
                &(head("/200") + &get("/200")),
                &(sized.to_owned() + &answered("four")),
            ),
            (
                &(get("/204") + &get("/304")),
                "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n",
            ),
        ],
    );
}

#[test]
fn r_19_a_request_line_is_strict_and_limited() {
    let line = |line: &str| format!("{line}\r\nHost: x\r\n\r\n");
    let bad = |reason| refused("400 Bad Request", reason);
    let unsupported = refused(
        "505 HTTP Version Not Supported",
        "this server speaks HTTP/1.1",
    );
    let long_method = "A".repeat(65);
    let long_target = format!("GET /{} HTTP/1.1", "a".repeat(8192));
    check(
        &server(),
        &[
            (&line("PURGE /a HTTP/1.1"), &answered("PURGE /a ")),
            (&line("GET /a HTTP/0.9"), &unsupported),
            (&line("GET /a HTTP/2.0"), &unsupported),
            (&line("GET /a HTTP/3.0"), &unsupported),
            (&line("GET /a HTTPS/1.1"), &bad("malformed HTTP version")),
            (
                &line("GET /\u{e9} HTTP/1.1"),
                &bad("malformed request target"),
            ),
            (&line("G\u{c9}T / HTTP/1.1"), &bad("malformed method")),
            (
                &line(&format!("{long_method} / HTTP/1.1")),
                &refused("501 Not Implemented", "unknown method"),
            ),
            (
                &line(&long_target),
                &refused("414 URI Too Long", "request target too long"),
            ),
        ],
    );
}

#[test]
fn r_20_a_bad_header_is_400_and_the_end() {
    let fields = |line: &str| post(line, "hello") + &get("/next");
    let bad = |reason| refused("400 Bad Request", reason);
    check(
        &server(),
        &[
            (
                &fields("Content-Length : 5\r\n"),
                &bad("white space before a colon"),
            ),
            (
                &fields("Content Length: 5\r\n"),
                &bad("white space before a colon"),
            ),
            (&fields("Cont\u{e9}nt: 5\r\n"), &bad("malformed field name")),
            (&fields("A: b\0c\r\n"), &bad("control byte in the head")),
        ],
    );
}

#[test]
fn r_21_a_100_is_sent_on_the_first_read_and_an_unread_body_is_discarded() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            if request.path() == "/unread" {
                return request.respond(StatusCode::OK, "unread", ()).await;
            }
            let body = request.bytes().await?;
            request.respond(StatusCode::OK, body, ()).await
        }
    });
    let put = |path: &str, fields: &str, body: &str| {
        format!("PUT {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")
    };
    let expect = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    let mut read = server.client();
    read.send(put("/", expect, ""));
    assert_eq!(read.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    read.send("hello");
    assert_eq!(read_answer(&mut read).1, "hello");
    // The server does not know whether the body will come, so the connection cannot stay.
    let mut unread = server.client();
    unread.send(put("/unread", expect, ""));
    assert_eq!(
        without_dates(&unread.read_to_end()),
        answered_last("unread")
    );
    let next = get("/unread");
    check(
        &server,
        &[
            (
                &(put("/unread", "Content-Length: 5\r\n", "hello") + &next),
                &answered("unread").repeat(2),
            ),
            (
                &(put(
                    "/unread",
                    "Transfer-Encoding: chunked\r\n",
                    "5\r\nhello\r\n0\r\n\r\n",
                ) + &next),
                &answered("unread").repeat(2),
            ),
        ],
    );
}

#[test]
fn r_22_close_ends_a_connection_and_upgrade_alone_does_not() {
    let twice = |version: &str, fields: &str| {
        format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n").repeat(2)
    };
    let stays = answered("GET / ").repeat(2);
    let ends = answered_last("GET / ");
    check(
        &server(),
        &[
            (&twice("1.1", "Connection: close\r\n"), &ends),
            (
                &twice("1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
                &stays,
            ), // RFC 9110, 7.8
            (
                &twice("1.1", "Connection: upgrade, close\r\nUpgrade: h2c\r\n"),
                &ends,
            ),
            (&twice("1.1", "Connection: disclose\r\n"), &stays),
            (&twice("1.0", ""), &ends),
            (&twice("1.0", "Connection: close, keep-alive\r\n"), &ends),
        ],
    );
}

#[test]
fn r_23_answers_keep_the_order_of_their_requests() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let wait: u64 = request.path()[1..].parse()?;
            sleep(Duration::from_millis(wait)).await;
            let text = request.path();
            request.respond(StatusCode::OK, text, ()).await
        }
    });
    let requests = get("/60") + &get("/30") + &get("/0");
    let expected = answered("/60") + &answered("/30") + &answered("/0");
    check(&server, &[(&requests, &expected)]);
}
