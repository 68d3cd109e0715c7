//! The requests of asynchttpserver, and its refusals (N-21 to N-59).

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;

use waterwheel::http::{HeaderMap, Limits, Method, Request, Server, StatusCode, shared};
use waterwheel::runtime::{spawn, spawn_blocking, yield_now};

use super::served::{
    answered, answered_last, check, get, impatient, post, read_answer, refused, say, server,
    server_with, within,
};
use crate::support::server::{DEADLINE, TestServer};
use crate::support::skip::skip;
use crate::support::tls::is_wanted;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn bad(reason: &str) -> String {
    refused("400 Bad Request", reason)
}

#[test]
fn n_21_each_of_the_nine_methods_reaches_the_handler() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let headers = [("x-method", request.method().as_str())];
            // A 200 to CONNECT would be a tunnel (RFC 9110, 9.3.6).
            let status = match *request.method() {
                Method::CONNECT => StatusCode::METHOD_NOT_ALLOWED,
                _ => StatusCode::OK,
            };
            request.respond(status, "", headers).await
        }
    });
    for method in [
        "HEAD", "GET", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH",
    ] {
        let (target, status) = match method {
            "CONNECT" => ("a:1", "405 Method Not Allowed"),
            _ => ("/", "200 OK"),
        };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = server.exchange(&[request.as_bytes()]);
        let expected = format!("HTTP/1.1 {status}\r\nx-method: {method}\r\n");
        assert!(answer.starts_with(&expected), "{answer:?}");
    }
}

#[test]
fn n_22_headers_that_are_kept_do_not_change_with_the_next_request() {
    let server = TestServer::start(Server::builder(), || {
        let kept = RefCell::new(Vec::<HeaderMap>::new());
        shared(async move |request: Request<'_>| {
            kept.borrow_mut().push(request.headers().to_header_map());
            let tags: Vec<_> = kept
                .borrow()
                .iter()
                .map(|headers| headers["x-tag"].to_str().unwrap().to_owned())
                .collect();
            request.respond(StatusCode::OK, tags.join(" "), ()).await
        })
    });
    let request = |tag| format!("GET / HTTP/1.1\r\nHost: x\r\nX-Tag: {tag}\r\n\r\n");
    let three = request("one") + &request("two") + &request("three");
    check(
        &server,
        &[(
            &three,
            &(answered("one") + &answered("one two") + &answered("one two three")),
        )],
    );
}

#[test]
fn n_23_the_version_is_the_requests() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let version = format!("{:?}", request.version());
            request.respond(StatusCode::OK, version, ()).await
        }
    });
    let request = |version| format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n");
    check(
        &server,
        &[
            (&request("1.0"), &answered_last("HTTP/1.0")),
            (&request("1.1"), &answered("HTTP/1.1")),
            // RFC 9110, 2.5: a later minor version is served as the highest one spoken.
            (&request("1.2"), &answered("HTTP/1.1")),
        ],
    );
}

#[test]
fn n_24_a_target_is_path_and_query_and_has_no_fragment() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let seen = format!("{} {:?}", request.path(), request.query());
            request.respond(StatusCode::OK, seen, ()).await
        }
    });
    check(
        &server,
        &[
            (&get("/x?q=1"), &answered("/x Some(\"q=1\")")),
            (&get("/x?"), &answered("/x Some(\"\")")),
            (&get("/%2e?a?b"), &answered("/%2e Some(\"a?b\")")),
            (&get("/x"), &answered("/x None")),
            (&get("/x?q=1#f"), &bad("malformed request target")),
        ],
    );
}

#[test]
fn n_25_the_peers_address_is_known() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let peer = request.peer_address().map(|peer| peer.to_string());
            request
                .respond(StatusCode::OK, peer.unwrap_or_default(), ())
                .await
        }
    });
    let mut client = server.client();
    client.send(get("/"));
    let here = client.stream.local_addr().unwrap();
    assert!(here.ip().is_loopback());
    if is_wanted() {
        return skip("over TLS the peer is the pump of the tests");
    }
    assert_eq!(read_answer(&mut client).1, here.to_string());
}

#[test]
fn n_26_a_body_is_all_its_bytes() {
    let server = server();
    check(
        &server,
        &[
            (
                &post("Content-Length: 5\r\n", "he\0lo"),
                &answered("POST / he\0lo"),
            ),
            (&get("/"), &answered("GET / ")),
        ],
    );
}

#[test]
fn n_41_a_line_ends_with_both_of_its_bytes_and_in_time() {
    let server = server_with(impatient());
    check(
        &server,
        &[
            (&get("/a"), &answered("GET /a ")),
            (
                "GET /a HTTP/1.1\nHost: x\r\n\r\n",
                &bad("line feed without carriage return"),
            ),
            (
                "GET /a HTTP/1.1\r\nHost: x\n\r\n",
                &bad("line feed without carriage return"),
            ),
            (
                "GET /a HTTP/1.1\r\nHost: x\r\n\n",
                &bad("line feed without carriage return"),
            ),
            (
                "GET /a HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
                &bad("carriage return without line feed"),
            ),
        ],
    );
    let mut stalled = server.client();
    stalled.send("GET /a HTTP/1.1\r\nHo");
    assert!(
        stalled
            .read_to_end()
            .starts_with("HTTP/1.1 408 Request Timeout\r\n")
    );
}

#[test]
fn n_42_a_few_empty_lines_before_a_request_are_skipped() {
    let after = |lines: &str| format!("{lines}{}", get("/a"));
    check(
        &server(),
        &[
            (&after("\r\n"), &answered("GET /a ")),
            (&after("\r\n\r\n"), &answered("GET /a ")),
            (
                &after("\r\n\r\n\r\n"),
                &bad("too many empty lines before the request line"),
            ),
        ],
    );
}

#[test]
fn n_43_a_client_that_leaves_within_a_head_receives_no_answer() {
    within(Server::builder(), async |server| {
        let server = Rc::new(server);
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(say).await }
        });
        let address = server.local_address();
        for begun in [
            "",
            "GE",
            "GET / HT",
            "GET / HTTP/1.1\r",
            "GET / HTTP/1.1\r\nHost: x\r\n",
        ] {
            let client = spawn_blocking(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.write_all(begun.as_bytes()).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            });
            assert_eq!(client.await.unwrap(), "", "{begun:?}");
            while server.connections() > 0 {
                yield_now().await;
            }
        }
        serving.abort();
    });
}

#[test]
fn n_44_a_line_has_at_most_8192_bytes() {
    let target = |bytes: usize| get(&format!("/{}", "a".repeat(bytes - 1)));
    let field = |bytes: usize| {
        let value = "a".repeat(bytes - "X-A: ".len());
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: {value}\r\n\r\n")
    };
    let longest = answered(&format!("GET /{} ", "a".repeat(8191)));
    check(
        &server(),
        &[
            (&target(8192), &longest),
            (
                &target(8193),
                &refused("414 URI Too Long", "request target too long"),
            ),
            (&field(8192), &answered("GET / ")),
            (
                &field(8193),
                &refused("431 Request Header Fields Too Large", "field too long"),
            ),
        ],
    );
}

#[test]
fn n_45_a_request_line_has_three_parts_with_one_space_between() {
    let line = |line: &str| format!("{line}\r\nHost: x\r\n\r\n");
    check(
        &server(),
        &[
            (&line("GET /a HTTP/1.1"), &answered("GET /a ")),
            (&line("get /a HTTP/1.1"), &answered("get /a ")), // another method: RFC 9110, 9.1
            (&line("GET  /a HTTP/1.1"), &bad("malformed request target")),
            (&line("GET /a  HTTP/1.1"), &bad("malformed HTTP version")),
            (&line("GET /a HTTP/1.1 "), &bad("malformed HTTP version")),
            (&line("GET /a b HTTP/1.1"), &bad("malformed HTTP version")),
            (&line(" GET /a HTTP/1.1"), &bad("malformed method")),
        ],
    );
}

#[test]
fn n_46_a_request_line_without_version_or_target_is_refused() {
    let line = |line: &str| format!("{}{line}\r\nHost: x\r\n\r\n", get("/before"));
    let then = |reason| answered("GET /before ") + &bad(reason);
    check(
        &server(),
        &[
            (&line("GET"), &then("malformed method")),
            (&line("GET "), &then("malformed request target")),
            (&line("GET /x"), &then("malformed request target")),
            (&line("GET /x "), &then("malformed HTTP version")),
        ],
    );
}

#[test]
fn n_47_a_bad_request_gets_exactly_one_400_and_ends_the_connection() {
    let rest = format!("Host: x\r\nAccept: */*\r\n\r\n{}", get("/next"));
    for line in [
        "G(T / HTTP/1.1",
        "GET x HTTP/1.1",
        "GET / HTTP/1,1",
        "GET / HTTP/1.1 more",
    ] {
        let answer = server().exchange(&[format!("{line}\r\n{rest}").as_bytes()]);
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{line}: {answer:?}");
        assert!(answer.contains("connection: close\r\n"), "{answer:?}");
    }
}

#[test]
fn n_48_a_version_is_http_and_two_digits() {
    let request = |version: &str| format!("GET /a {version}\r\nHost: x\r\n\r\n");
    let unsupported = refused(
        "505 HTTP Version Not Supported",
        "this server speaks HTTP/1.1",
    );
    check(
        &server(),
        &[
            (&request("HTTP/1.1"), &answered("GET /a ")),
            (&request("HTTP/1.1x"), &bad("malformed HTTP version")),
            (&request("HTTP/1.10"), &bad("malformed HTTP version")),
            (&request("http/1.1"), &bad("malformed HTTP version")), // RFC 9112, 2.3
            (&request("HTTP/1-1"), &bad("malformed HTTP version")),
            (&request("HTTP/2.0"), &unsupported),
            (&request("HTTP/3.7"), &unsupported),
            (&request("HTTP/0.9"), &unsupported),
        ],
    );
}

#[test]
fn n_49_a_field_line_is_a_name_a_colon_and_a_value() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let value = request
                .headers()
                .get("foo")
                .map(|value| format!("[{value}]"));
            request
                .respond(StatusCode::OK, value.unwrap_or_default(), ())
                .await
        }
    });
    let field = |line: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n");
    check(
        &server,
        &[
            (&field("Foo: bar"), &answered("[bar]")),
            (&field("FOO:bar"), &answered("[bar]")),
            (&field("Foo: a:b"), &answered("[a:b]")),
            (&field("Foo: \t bar \t"), &answered("[bar]")), // RFC 9110, 5.5
            (&field("Foo:"), &answered("[]")),
            (&field("Foo : bar"), &bad("white space before a colon")),
            (&field("Foo: bar\r\n baz"), &bad("folded field")),
            (&field("Foo"), &bad("malformed field name")),
            (&field(": bar"), &bad("malformed field name")),
        ],
    );
}

#[test]
fn n_51_repeated_fields_are_all_kept_and_two_lengths_are_refused() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let headers = request.headers();
            let first = headers.get("tag").unwrap_or_default();
            let all: Vec<_> = headers
                .get_all("tag")
                .map(String::from_utf8_lossy)
                .collect();
            let seen = format!("{first}; {}", all.join(" "));
            request.respond(StatusCode::OK, seen, ()).await
        }
    });
    let fields = |fields: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    check(
        &server,
        &[
            (
                &fields("Tag: one\r\ntag: two\r\n"),
                &answered("one; one two"),
            ),
            (
                &fields("Content-Length: 1\r\nContent-Length: 2\r\n"),
                &bad("more than one Content-Length"),
            ),
            (
                &fields("Content-Length: 0\r\nContent-Length: 0\r\n"),
                &bad("more than one Content-Length"),
            ),
        ],
    );
}

#[test]
fn n_52_fields_are_limited_in_number_and_in_bytes() {
    let fields = |count: usize, value: &str| {
        let lines: String = (1..count).map(|n| format!("A{n}: {value}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")
    };
    let refused = |reason| refused("431 Request Header Fields Too Large", reason);
    check(
        &server(),
        &[
            (&fields(100, ""), &answered("GET / ")),
            (&fields(101, ""), &refused("too many fields")),
            (&fields(5, &"a".repeat(8000)), &answered("GET / ")),
            (&fields(6, &"a".repeat(8000)), &refused("head too large")),
        ],
    );
}

#[test]
fn n_53_http_1_1_names_its_host_once() {
    let request = |version: &str, hosts: &str| format!("GET /a HTTP/{version}\r\n{hosts}\r\n");
    check(
        &server(),
        &[
            (&request("1.1", "Host: x\r\n"), &answered("GET /a ")),
            (&request("1.1", "Host:\r\n"), &answered("GET /a ")),
            (&request("1.1", ""), &bad("Host missing")),
            (
                &request("1.1", "Host: x\r\nHost: x\r\n"),
                &bad("more than one Host"),
            ),
            (&request("1.1", "Host: a b\r\n"), &bad("malformed Host")),
            (&request("1.0", ""), &answered_last("GET /a ")),
        ],
    );
}

#[test]
fn n_54_an_expectation_is_met_for_each_method_or_refused_once() {
    let server = server_with(Limits::DEFAULT.with(|limits| limits.body_bytes_max = 10));
    for method in ["POST", "PUT", "PATCH"] {
        let mut client = server.client();
        let head = "Host: x\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
        client.send(format!("{method} / HTTP/1.1\r\n{head}"));
        let interim = client.read_until("\r\n\r\n");
        assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("hello");
        assert_eq!(read_answer(&mut client).1, format!("{method} / hello"));
    }
    let expect = |what: &str, length: u32| {
        post(
            &format!("Expect: {what}\r\nContent-Length: {length}\r\n"),
            "hello",
        )
    };
    check(
        &server,
        &[
            (
                &expect("more", 5),
                &refused("417 Expectation Failed", "unknown expectation"),
            ),
            (
                &expect("100-continue", 11),
                &refused("413 Content Too Large", "content too large"),
            ),
        ],
    );
}

#[test]
fn n_55_a_length_is_only_digits() {
    let server = server();
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "hello");
    for value in [
        "abc",
        "-5",
        "+5",
        "5xyz",
        "5_0",
        "5, 6",
        "5, 5",
        "",
        "0x5",
        "99999999999999999999",
    ] {
        check(
            &server,
            &[(&length(value), &bad("malformed Content-Length"))],
        );
    }
    check(
        &server,
        &[
            (&length("5"), &answered("POST / hello")),
            (&length("005"), &answered("POST / hello")),
            (
                &post("Content-Length: 0\r\n", &get("/b")),
                &(answered("POST / ") + &answered("GET /b ")),
            ),
            (
                "GET /g HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
                &answered("GET /g hello"),
            ),
        ],
    );
}

#[test]
fn n_56_a_body_of_the_limit_is_accepted_and_a_longer_one_is_refused() {
    const MAX: usize = 300_000;
    let server = TestServer::start(Server::builder().max_body(MAX as u64), || {
        async |request: Request<'_>| {
            let length = request.bytes().await?.len();
            request
                .respond(StatusCode::OK, length.to_string(), ())
                .await
        }
    });
    let upload = |length: usize| {
        post(
            &format!("Content-Length: {length}\r\n"),
            &"x".repeat(length),
        )
    };
    check(&server, &[(&upload(MAX), &answered("300000"))]);
    // The client sends the whole body before it reads.
    let mut client = server.client();
    client.send(upload(MAX + 1));
    let answer = crate::support::server::without_dates(&client.read_to_end());
    assert_eq!(
        answer,
        refused("413 Content Too Large", "content too large")
    );
}

#[test]
fn n_57_a_body_that_ends_early_is_a_400_and_one_that_stalls_a_408() {
    let server = server_with(impatient());
    let short = post("Content-Length: 5\r\n", "hel");
    check(&server, &[(&short, &bad("content shorter than announced"))]);
    let mut slow = server.client();
    slow.send(short);
    assert!(
        slow.read_to_end()
            .starts_with("HTTP/1.1 408 Request Timeout\r\n")
    );
}

#[test]
fn n_58_chunks_are_read_for_each_method_and_in_each_case() {
    let chunked = |method: &str, coding: &str, body: &str| {
        format!("{method} / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n{body}")
    };
    let one = "b\r\nhello=world\r\n0\r\n\r\n";
    let three = "7\r\nMozilla\r\n9\r\nDeveloper\r\n7\r\nNetwork\r\n0\r\n\r\n";
    let line_ends = "4\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\n\r\n";
    let server = server();
    check(
        &server,
        &[
            (
                &chunked("POST", "chunked", one),
                &answered("POST / hello=world"),
            ),
            (
                &chunked("POST", "chunked", "e\r\nhello encoding\r\n0\r\n\r\n"),
                &answered("POST / hello encoding"),
            ),
            (
                &chunked("POST", "chunked", three),
                &answered("POST / MozillaDeveloperNetwork"),
            ),
            (
                &chunked("POST", "chunked", line_ends),
                &answered("POST / Wikipedia in\r\n\r\nchunks."),
            ),
            (
                &chunked("POST", "CHUNKED", one),
                &answered("POST / hello=world"),
            ),
            (
                &chunked("GET", "Chunked", one),
                &answered("GET / hello=world"),
            ),
            (
                &chunked("DELETE", "chunked", one),
                &answered("DELETE / hello=world"),
            ),
        ],
    );
}

#[test]
fn n_58a_a_chunk_size_is_hexadecimal_and_its_extensions_mean_nothing() {
    let server = server();
    let sized =
        |size: &str| post(CHUNKED, &format!("{size}\r\nhello\r\n0\r\n\r\n")) + &get("/next");
    let read = answered("POST / hello") + &answered("GET /next ");
    for size in ["5", "05", "5;a=b", "5;a", "5 ; a = \"b;c\""] {
        check(&server, &[(&sized(size), &read)]);
    }
    for size in ["", "g", "0x5", "#5", "5_", "-5", "+5", " 5", "5 5"] {
        let answer = server.exchange(&[sized(size).as_bytes()]);
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{size:?}: {answer:?}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{size:?}: {answer:?}"
        );
    }
}

#[test]
fn n_58b_an_enormous_chunk_size_costs_one_connection() {
    let server = server();
    let mut other = server.client();
    other.send(get("/first"));
    read_answer(&mut other);
    let huge = |size: &str| post(CHUNKED, &format!("{size}\r\nhello"));
    let malformed = bad("malformed chunk size");
    check(
        &server,
        &[
            (&huge("FFFFFFFFFFFFFFFF"), &malformed),
            (&huge("8000000000000000"), &malformed),
            (&huge("10000000000000000"), &malformed),
            (&huge("fffffffffffffffff"), &malformed),
            (
                &huge("7fffffffffffffff"),
                &refused("413 Content Too Large", "content too large"),
            ),
        ],
    );
    other.send(get("/second"));
    assert_eq!(read_answer(&mut other).1, "GET /second ");
}

#[test]
fn n_58c_all_chunks_together_are_held_to_the_limit() {
    let server = server_with(Limits::DEFAULT.with(|limits| limits.body_bytes_max = 10));
    let chunks = |last: &str| post(CHUNKED, &format!("5\r\nhello\r\n{last}\r\n0\r\n\r\n"));
    check(
        &server,
        &[
            (&chunks("5\r\nworld"), &answered("POST / helloworld")),
            (
                &chunks("6\r\nworld!"),
                &refused("413 Content Too Large", "content too large"),
            ),
        ],
    );
}

#[test]
fn n_58d_trailers_are_read_and_the_next_request_is_whole() {
    let trailers = "0\r\nX-Sum: 5\r\nX-More: 6\r\n\r\n";
    let request = post(CHUNKED, &format!("5\r\nhello\r\n{trailers}")) + &get("/next");
    check(
        &server(),
        &[(
            &request,
            &(answered("POST / hello") + &answered("GET /next ")),
        )],
    );
}

#[test]
fn n_58e_two_framings_are_refused_and_chunks_are_decoded_for_put() {
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let both = bad("both Content-Length and Transfer-Encoding");
    let put = format!("PUT / HTTP/1.1\r\nHost: x\r\n{CHUNKED}\r\n{chunks}");
    check(
        &server(),
        &[
            (
                &post(&format!("Content-Length: 5\r\n{CHUNKED}"), chunks),
                &both,
            ),
            (
                &post(&format!("{CHUNKED}Content-Length: 15\r\n"), chunks),
                &both,
            ),
            (
                &(put + &get("/next")),
                &(answered("PUT / hello") + &answered("GET /next ")),
            ),
        ],
    );
}

#[test]
fn n_59_a_post_without_length_has_no_body() {
    let request = post("", "") + &get("/next");
    check(
        &server(),
        &[(&request, &(answered("POST / ") + &answered("GET /next ")))],
    );
}
