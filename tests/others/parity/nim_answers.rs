//! The answers of asynchttpserver (N-30 to N-38).

use std::io::ErrorKind;
use std::sync::mpsc;

use rustix::net::sockopt::set_socket_linger;
use waterwheel::http::{
    AnswerHeaders, Error, HeaderMap, HeaderValue, InvalidAnswer, Limits, Request, Responded,
    Result, Server, StatusCode, shared,
};

use super::served::{answered, answered_last, check, failed, get, post, refused, server_with};
use crate::support::server::{DEADLINE, TestServer, without_dates};

/// Starts a server that answers each request with `body` and these fields.
fn fixed<H>(status: StatusCode, body: &'static str, headers: H) -> TestServer
where
    H: AnswerHeaders + Clone + Send + 'static,
{
    TestServer::start(Server::builder(), move || {
        async move |request: Request<'_>| request.respond(status, body, headers.clone()).await
    })
}

#[test]
fn n_30_respond_writes_one_head_and_the_body() {
    let plain = fixed(StatusCode::OK, "hi", ());
    let get_10 = "GET / HTTP/1.0\r\n\r\n";
    check(
        &plain,
        &[(&get("/"), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")],
    );
    check(&plain, &[(get_10, &answered_last("hi"))]);
    let own = fixed(
        StatusCode::NOT_FOUND,
        "hi",
        [("X-One", "1"), ("Content-Type", "a/b")],
    );
    let expected =
        "HTTP/1.1 404 Not Found\r\nX-One: 1\r\nContent-Type: a/b\r\ncontent-length: 2\r\n\r\nhi";
    check(&own, &[(&get("/"), expected)]);
    // The server adds only a date.
    let mut client = plain.client();
    client.send(get("/"));
    let whole = client.read_until("hi");
    let added = whole
        .strip_prefix("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: ")
        .unwrap();
    assert_eq!(
        added.len(),
        "Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhi".len(),
        "{whole:?}"
    );
}

#[test]
fn n_31_a_content_length_of_the_handler_is_sent_once_if_it_is_true() {
    let with_length = |length| fixed(StatusCode::OK, "four", [("Content-Length", length)]);
    check(&with_length("4"), &[(&get("/"), &answered("four"))]);
    check(&with_length("0"), &[(&get("/"), &failed())]); // RFC 9110, 8.6
    check(&with_length("5"), &[(&get("/"), &failed())]);
}

#[test]
fn n_32_each_value_has_a_line_of_its_own_in_the_order_given() {
    let list = [("X-A", "1"), ("X-B", "2"), ("X-A", "3")];
    let expected = "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\ncontent-length: 0\r\n\r\n";
    check(&fixed(StatusCode::OK, "", list), &[(&get("/"), expected)]);
    let mut map = HeaderMap::new();
    map.append("x-a", HeaderValue::from_static("1"));
    map.append("x-a", HeaderValue::from_static("2"));
    let expected = "HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n";
    check(&fixed(StatusCode::OK, "", map), &[(&get("/"), expected)]);
}

#[test]
fn n_33_head_204_and_304_have_no_body() {
    let twice = |first: &str| first.to_owned() + &get("/next");
    let head = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
    let same = |line: &str| format!("HTTP/1.1 {line}\r\n\r\n").repeat(2);
    check(
        &fixed(StatusCode::OK, "four", ()),
        &[(
            &twice(head),
            &("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n".to_owned() + &answered("four")),
        )],
    );
    let no_content = fixed(StatusCode::NO_CONTENT, "four", ());
    check(&no_content, &[(&twice(&get("/")), &same("204 No Content"))]);
    let not_modified = fixed(StatusCode::NOT_MODIFIED, "four", ());
    check(
        &not_modified,
        &[(&twice(&get("/")), &same("304 Not Modified"))],
    );
}

#[test]
fn n_34_a_line_end_in_a_header_is_an_error_and_no_byte_of_it_is_sent() {
    for (name, value, expected) in [
        ("x-a", "b\r\nset-cookie: c", InvalidAnswer::Value),
        ("x-a", "b\n", InvalidAnswer::Value),
        ("x-a", "b\r", InvalidAnswer::Value),
        ("x-a", "b\0", InvalidAnswer::Value),
        ("x-a: b\r\nx-c", "d", InvalidAnswer::Name),
        ("x a", "b", InvalidAnswer::Name),
        ("", "b", InvalidAnswer::Name),
    ] {
        let (sender, errors) = mpsc::channel();
        let server = TestServer::start(Server::builder(), move || {
            async move |request: Request<'_>| {
                let headers = [("x-before", "sent"), (name, value)];
                let answer = request.respond(StatusCode::OK, "body", headers).await;
                let invalid = answer.as_ref().err().and_then(Error::downcast_ref).copied();
                sender.send(invalid).unwrap();
                answer
            }
        });
        check(&server, &[(&get("/"), &failed())]);
        assert_eq!(
            errors.recv_timeout(DEADLINE),
            Ok(Some(expected)),
            "{name:?}: {value:?}"
        );
    }
}

#[test]
fn n_35_a_streamed_answer_sends_its_headers_first() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let headers = [("X-A", "1"), ("Content-Length", "8")];
            let mut body = request.start(StatusCode::OK, headers).await?;
            body.write("one").await?;
            body.write("three").await?;
            body.finish().await
        }
    });
    let expected = "HTTP/1.1 200 OK\r\nX-A: 1\r\ncontent-length: 8\r\n\r\nonethree";
    check(&server, &[(&get("/"), expected)]);
}

#[test]
fn n_36_an_answer_to_a_client_that_has_left_returns_and_does_no_harm() {
    let (started, starts) = mpsc::channel();
    let (sender, results) = mpsc::channel();
    let server = TestServer::start(Server::builder(), move || {
        async move |request: Request<'_>| {
            if request.path() == "/stay" {
                return request.respond(StatusCode::OK, "here", ()).await;
            }
            started.send(()).unwrap();
            request.disconnected().await;
            let answer = request
                .respond(StatusCode::OK, "x".repeat(1 << 20), ())
                .await;
            let kind = answer
                .as_ref()
                .err()
                .and_then(Error::downcast_ref)
                .map(std::io::Error::kind);
            sender.send(kind).unwrap();
            answer
        }
    });
    let mut gone = server.client();
    gone.send(get("/"));
    // A reset right behind the request may reach the server first, and then there is no request.
    starts.recv_timeout(DEADLINE).unwrap();
    set_socket_linger(&gone.stream, Some(std::time::Duration::ZERO)).unwrap(); // a reset
    drop(gone);
    let kind = results.recv_timeout(DEADLINE).unwrap().unwrap();
    let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(gone.contains(&kind), "{kind:?}");
    check(&server, &[(&get("/stay"), &answered("here"))]);
}

#[test]
fn n_37_a_request_is_answered_once_for_each_result_of_its_handler() {
    let server = TestServer::start(Server::builder(), || {
        let kept = std::cell::Cell::new(None::<Responded>);
        shared(async move |request: Request<'_>| -> Result<Responded> {
            match request.path() {
                // Returns the `Responded` of another request, so this request has no answer.
                "/none" => Ok(kept.take().unwrap()),
                // Answers, and then fails. The answer is sent, and is the last one.
                "/keep" => {
                    kept.set(Some(request.respond(StatusCode::OK, "kept", ()).await?));
                    Err(Error::message("lost"))
                }
                _ => request.respond(StatusCode::OK, "once", ()).await,
            }
        })
    });
    let once = get("/once");
    check(
        &server,
        &[
            (&once, &answered("once")),
            (&(get("/keep") + &once), &answered("kept")),
            (&(get("/none") + &once), &failed()),
        ],
    );
}

#[test]
fn n_38_an_answer_of_the_server_itself_has_a_length_and_one_line() {
    let server = server_with(Limits::DEFAULT.with(|limits| limits.body_bytes_max = 10));
    let too_large = refused("413 Content Too Large", "content too large");
    let too_many: String = (0..101).map(|n| format!("a{n}: b\r\n")).collect();
    check(
        &server,
        &[
            (
                "GET\r\n\r\n",
                &refused("400 Bad Request", "malformed method"),
            ),
            (&post("Content-Length: 11\r\n", ""), &too_large),
            (
                &post("Expect: x\r\n", ""),
                &refused("417 Expectation Failed", "unknown expectation"),
            ),
            (
                &post(&too_many, ""),
                &refused("431 Request Header Fields Too Large", "too many fields"),
            ),
        ],
    );
    let mut client = server.client();
    client.send(post("Expect: 100-continue\r\nContent-Length: 2\r\n", ""));
    assert_eq!(
        client.read_until("\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("hi");
    assert_eq!(
        without_dates(&client.read_until("hi")),
        answered("POST / hi")
    );
    let head = "HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n";
    let headers_only = too_large.strip_suffix("content too large\n").unwrap();
    check(&server, &[(head, headers_only)]);
}
