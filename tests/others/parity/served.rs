//! Tools for the rows: handlers that report their request, and the bytes of answers.

use std::future::Future;
use std::time::Duration;

use waterwheel::http::{Builder, Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{block_on, time::timeout};

use crate::support::server::{Client, DEADLINE, TestServer};

/// Answers with the method, the target and the body of the request.
pub(crate) async fn say(request: Request<'_>) -> Result<Responded> {
    let body = String::from_utf8(request.bytes().await?)?;
    let seen = format!("{} {} {body}", request.method(), request.target());
    request.respond(StatusCode::OK, seen, ()).await
}

/// Starts a server that answers with the parts of the request.
pub(crate) fn server() -> TestServer {
    server_with(Limits::DEFAULT)
}

/// Starts such a server with other limits.
pub(crate) fn server_with(limits: Limits) -> TestServer {
    TestServer::start(Server::builder().limits(limits), || say)
}

/// Returns the default limits with short times.
pub(crate) fn impatient() -> Limits {
    let soon = Duration::from_millis(150);
    Limits::DEFAULT.with(|limits| {
        limits.head_duration_max = soon;
        limits.body_stall_duration_max = soon;
        limits.write_stall_duration_max = soon;
        limits.linger_duration_max = soon;
    })
}

/// Returns a GET of that path that keeps the connection.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Returns a POST to `/` with these field lines and this body.
pub(crate) fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")
}

/// Returns a 200 with this body, on a connection that stays.
pub(crate) fn answered(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Returns a 200 with this body, after which the connection closes.
pub(crate) fn answered_last(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Returns the server's answer to a request that it refuses. The connection closes after it.
pub(crate) fn refused(status: &str, reason: &str) -> String {
    let length = reason.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{reason}\n"
    )
}

/// Returns the answer after a failed handler.
pub(crate) fn failed() -> String {
    refused("500 Internal Server Error", "internal server error")
}

/// Sends each request on a connection of its own, and compares all bytes that come back.
#[track_caller]
pub(crate) fn check(server: &TestServer, rows: &[(&str, &str)]) {
    for (request, expected) in rows {
        let answers = server.exchange(&[request.as_bytes()]);
        assert_eq!(answers, *expected, "{request:?}");
    }
}

/// Reads one answer with a Content-Length: its head and its body.
pub(crate) fn read_answer(client: &mut Client) -> (String, String) {
    let head = client.read_until("\r\n\r\n");
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next())
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut client.stream, &mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// Runs a server and its test on one thread, for rows about the server itself.
pub(crate) fn within<F: Future>(builder: Builder, test: impl FnOnce(Server) -> F) -> F::Output {
    block_on(async {
        let server = builder.bind("127.0.0.1:0").unwrap();
        timeout(DEADLINE, test(server)).await.unwrap()
    })
}
