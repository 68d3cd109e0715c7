//! mini-async-http's requests, answers and headers.

use std::io::Read;
use std::net::TcpStream;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use waterwheel::http::{Limits, Request, Server, StatusCode};

use super::served::{
    answered, answered_last, check, get, post, read_answer, refused, server, server_with,
};
use crate::support::server::TestServer;

#[test]
fn a_09_a_request_may_come_byte_by_byte_and_several_at_once() {
    let server = server();
    let fields: String = (0..64).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let request = post(&format!("{fields}Content-Length: 5\r\n"), "hello");
    let single: Vec<&[u8]> = request.as_bytes().chunks(1).collect();
    assert_eq!(server.exchange(&single), answered("POST / hello"));
    check(
        &server,
        &[(&request.repeat(14), &answered("POST / hello").repeat(14))],
    );
}

#[test]
fn a_10_any_method_is_served_a_hundred_times() {
    let server = server();
    let mut client = server.client();
    for _ in 0..100 {
        for method in ["OPTIONS", "PATCH", "TRACE", "BREW", "get"] {
            client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_eq!(read_answer(&mut client).1, format!("{method} / "));
        }
        client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
        let head = client.read_until("\r\n\r\n");
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n"),
            "{head:?}"
        );
    }
}

#[test]
fn a_11_an_http_1_0_request_is_served() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let version = format!("{:?}", request.version());
            request.respond(StatusCode::OK, version, ()).await
        }
    });
    check(
        &server,
        &[
            ("GET / HTTP/1.0\r\n\r\n", &answered_last("HTTP/1.0")),
            (&get("/"), &answered("HTTP/1.1")),
        ],
    );
}

#[test]
fn a_12_a_malformed_request_is_answered_400() {
    let encrypted = refused("400 Bad Request", "this port speaks HTTP, not TLS");
    let method = refused("400 Bad Request", "malformed method");
    check(
        &server(),
        &[
            ("\u{16}\u{3}\u{1} not HTTP at all\r\n\r\n", &encrypted),
            ("(not) HTTP at all\r\n\r\n", &method),
        ],
    );
}

#[test]
fn a_13_each_part_of_a_request_has_a_limit() {
    let server = server_with(Limits::DEFAULT.with(|limits| limits.body_bytes_max = 10));
    let endless = "x".repeat(100_000);
    let too_long = |request: String, status: &str| {
        let answer = server.exchange(&[request.as_bytes()]);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer:?}"
        );
    };
    too_long(endless.clone(), "501");
    too_long(format!("GET /{endless}"), "414");
    too_long(format!("GET / HTTP/1.1\r\n{endless}"), "431");
    too_long(format!("GET / HTTP/1.1\r\na: {endless}"), "431");
    too_long(
        format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(20_000)),
        "431",
    );
    let chunked = "Transfer-Encoding: chunked\r\n";
    too_long(post("Content-Length: 100000\r\n", &endless), "413");
    too_long(post(chunked, &format!("186a0\r\n{endless}")), "413");
    too_long(post(chunked, &format!("1;{endless}")), "400");
    too_long(post(chunked, &"1\r\nx\r\n".repeat(20_000)), "413");
    too_long(post(chunked, &format!("0\r\na: {endless}")), "431");
}

#[test]
fn a_14_a_connection_stays_until_close_is_requested() {
    let server = server();
    let mut client = server.client();
    for path in ["/1", "/2"] {
        client.send(get(path));
        assert_eq!(read_answer(&mut client).1, format!("GET {path} "));
    }
    client.send("GET /3 HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n");
    assert!(
        client
            .read_to_end()
            .ends_with("connection: close\r\n\r\nGET /3 ")
    );
}

#[test]
fn a_15_ten_megabytes_reach_a_slow_reader_whole() {
    const LENGTH: usize = 10_000_000;
    let server = TestServer::start(Server::builder(), || {
        let big: Vec<u8> = (0..LENGTH).map(|n| b"0123456789"[n % 10]).collect();
        async move |request: Request<'_>| request.respond(StatusCode::OK, &big, ()).await
    });
    let mut client = server.client();
    // With so small a buffer, the server must stop and continue many times.
    set_socket_recv_buffer_size(&client.stream, 16 << 10).unwrap();
    client.send(get("/"));
    client.read_until("\r\n\r\n");
    assert_eq!(read_digits(&mut client.stream, LENGTH), LENGTH);
    client.send(get("/"));
    let head = client.read_until("\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n"),
        "behind the last byte: {head:?}"
    );
}

/// Reads so many digits in small pieces. Returns how many were right.
fn read_digits(stream: &mut TcpStream, length: usize) -> usize {
    let mut seen = 0;
    let mut piece = [0; 10_000];
    while seen < length {
        let room = piece.len().min(length - seen);
        let count = stream.read(&mut piece[..room]).unwrap();
        assert!(count > 0, "ended after {seen}");
        let right = |(n, byte): (usize, &u8)| *byte == b"0123456789"[(seen + n) % 10];
        assert!(
            piece[..count].iter().enumerate().all(right),
            "behind {seen}"
        );
        seen += count;
    }
    seen
}

#[test]
fn a_16_a_value_keeps_its_case_and_a_name_is_found_in_any() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let seen = request.headers().get("X-tOKEN").unwrap_or_default();
            request.respond(StatusCode::OK, seen, ()).await
        }
    });
    let request = "GET / HTTP/1.1\r\nHost: x\r\nx-Token: AbC=\r\n\r\n";
    check(&server, &[(request, &answered("AbC="))]);
}
