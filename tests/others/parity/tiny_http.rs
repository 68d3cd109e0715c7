//! The tests of `tiny_http`, rouille's engine, on this server (T-R1 to T-R18).

use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{spawn, spawn_blocking, time::sleep};

use super::served::{
    answered, answered_last, check, failed, get, impatient, post, read_answer, refused, say,
    server, server_with, within,
};
use crate::support::server::{DEADLINE, TestServer, without_dates};
use crate::support::skip::skip;
use crate::support::tls::is_wanted;

#[test]
fn t_r01_a_body_is_read_by_its_length() {
    check(
        &server(),
        &[(
            &post("Content-Length: 5\r\n", "hello"),
            &answered("POST / hello"),
        )],
    );
}

#[test]
fn t_r02_a_body_is_no_longer_than_its_length() {
    let request = post("Connection: close\r\nContent-Length: 3\r\n", "hello");
    check(&server(), &[(&request, &answered_last("POST / hel"))]);
}

#[test]
fn t_r03_a_100_is_sent_before_the_body() {
    let server = server();
    let mut client = server.client();
    client.send(post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""));
    assert_eq!(
        client.read_until("\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("hello");
    assert_eq!(read_answer(&mut client).1, "POST / hello");
}

#[test]
fn t_r04_another_expectation_is_417() {
    let request = post("Expect: 189-dummy\r\nContent-Length: 5\r\n", "hello");
    let expected = refused("417 Expectation Failed", "unknown expectation");
    check(&server(), &[(&request, &expected)]);
}

#[test]
fn t_r05_a_space_before_the_colon_is_400() {
    let expected = refused("400 Bad Request", "white space before a colon");
    check(
        &server(),
        &[(&post("Content-Length : 5\r\n", "hello"), &expected)],
    );
}

#[test]
fn t_r06_a_content_type_is_sent_unchanged() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let headers = [("Content-Type", "text/custom")];
            request.respond(StatusCode::OK, "hi", headers).await
        }
    });
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/custom\r\ncontent-length: 2\r\n\r\nhi";
    check(&server, &[(&get("/"), expected)]);
}

#[test]
fn t_r07_close_after_a_kept_request_closes() {
    let server = server();
    let mut client = server.client();
    client.send(get("/1"));
    assert_eq!(read_answer(&mut client).1, "GET /1 ");
    client.send("GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(
        without_dates(&client.read_to_end()),
        answered_last("GET /2 ")
    );
}

#[test]
fn t_r08_http_1_0_closes() {
    let server = server();
    let mut client = server.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        without_dates(&client.read_to_end()),
        answered_last("GET / ")
    );
}

#[test]
fn t_r09_a_client_that_closes_ends_its_connection() {
    within(Server::builder(), async |server| {
        let address = server.local_address();
        let client = spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            std::io::Write::write_all(&mut stream, get("/").as_bytes()).unwrap();
            let mut some = [0; 10];
            std::io::Read::read_exact(&mut stream, &mut some).unwrap();
        });
        let connection = server.accept().await.unwrap();
        let served = spawn(connection.serve(say));
        client.await.unwrap();
        drop(served.await); // it ends by itself
        assert_eq!(server.connections(), 0);
    });
}

#[test]
fn t_r10_a_request_may_come_in_nine_pieces() {
    let pieces: [&[u8]; 9] = [
        b"G",
        b"ET /he",
        b"llo HT",
        b"TP/1.",
        b"1\r\nHo",
        b"st: loc",
        b"alhost\r",
        b"\nConnection: cl",
        b"ose\r\n\r\n",
    ];
    assert_eq!(server().exchange(&pieces), answered_last("GET /hello "));
}

#[test]
fn t_r11_three_requests_at_once_are_answered_in_order() {
    let three = get("/hello") + &get("/world") + &get("/again");
    let expected = answered("GET /hello ") + &answered("GET /world ") + &answered("GET /again ");
    check(&server(), &[(&three, &expected)]);
}

#[test]
fn t_r12_a_request_that_is_dropped_is_answered_500() {
    within(Server::builder(), async |server| {
        let address = server.local_address();
        let client = spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            std::io::Write::write_all(&mut stream, get("/").as_bytes()).unwrap();
            let mut answer = String::new();
            std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
            answer
        });
        let mut connection = server.accept().await.unwrap();
        drop(connection.next().await.unwrap().unwrap());
        assert!(connection.next().await.unwrap().is_none());
        drop(connection);
        assert_eq!(without_dates(&client.await.unwrap()), failed());
    });
}

#[test]
fn t_r13_answers_leave_in_the_order_of_their_requests() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            if request.path() == "/slow" {
                sleep(Duration::from_millis(50)).await;
            }
            let text = request.path();
            request.respond(StatusCode::OK, text, ()).await
        }
    });
    let both = get("/slow") + &get("/fast");
    check(
        &server,
        &[(&both, &(answered("/slow") + &answered("/fast")))],
    );
}

#[test]
fn t_r14_a_204_has_no_coding_and_no_length() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let mut body = request.start(StatusCode::NO_CONTENT, ()).await?;
            body.write("goes nowhere").await?;
            body.finish().await
        }
    });
    check(&server, &[(&get("/"), "HTTP/1.1 204 No Content\r\n\r\n")]);
}

#[test]
fn t_r15_a_request_that_does_not_arrive_is_answered_408() {
    let server = server_with(impatient());
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    let answer = without_dates(&client.read_to_end());
    assert_eq!(
        answer,
        refused("408 Request Timeout", "the head took too long")
    );
}

#[test]
fn t_r16_a_body_of_known_length_is_never_sent_in_chunks() {
    for length in [32_767, 32_768, 100_000] {
        let text: &'static str = "x".repeat(length).leak();
        let server = TestServer::start(Server::builder(), move || {
            async move |request: Request<'_>| request.respond(StatusCode::OK, text, ()).await
        });
        check(&server, &[(&get("/"), &answered(text))]);
    }
}

#[test]
fn t_r17_an_answer_does_not_wait_for_the_rest_of_the_body() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| request.respond(StatusCode::OK, "early", ()).await
    });
    let promptly = Duration::from_secs(1); // they come at once; the bodies never do
    for (fields, begun) in [
        ("Content-Length: 0\r\n", ""),
        ("Content-Length: 10\r\n", "hel"),
        ("Content-Length: 11\r\n", ""),
        ("Content-Length: 5000000\r\n", "hel"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhe"),
        ("Transfer-Encoding: chunked\r\n", ""),
        ("Expect: 100-continue\r\nContent-Length: 10\r\n", ""),
        ("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", ""),
    ] {
        let mut client = server.client();
        let start = Instant::now();
        client.send(post(fields, begun));
        let (head, body) = read_answer(&mut client);
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\n"),
            "{fields}: {head:?}"
        );
        assert_eq!(body, "early");
        assert!(
            start.elapsed() < promptly,
            "{fields}: {:?}",
            start.elapsed()
        );
    }
}

/// Reports how much of an endless answer its handler could write.
async fn pour(request: Request<'_>, told: &mpsc::Sender<usize>) -> Result<Responded> {
    const ENOUGH: usize = 64 << 20;
    if request.path() == "/closed" {
        request.disconnected().await;
    }
    let mut poured = 0;
    let mut body = request.start(StatusCode::OK, ()).await?;
    let piece = vec![b'w'; 8 << 10];
    while poured < ENOUGH {
        if let Err(error) = body.write(piece.clone()).await {
            told.send(poured)?;
            return Err(error);
        }
        poured += piece.len();
    }
    told.send(poured)?;
    body.finish().await
}

#[test]
fn t_r18_an_answer_without_a_reader_is_not_produced() {
    // A reset can also take the request out of the pump's socket, before the server has seen it.
    if is_wanted() {
        return skip("over TLS the pump of the tests reads as far as its sockets hold");
    }
    let (sender, told) = mpsc::channel();
    let server = TestServer::start(Server::builder().limits(impatient()), move || {
        async move |request: Request<'_>| pour(request, &sender).await
    });
    let mut closed = server.client();
    closed.send(get("/closed"));
    set_socket_linger(&closed.stream, Some(Duration::ZERO)).unwrap();
    drop(closed);
    let poured = told.recv_timeout(DEADLINE).unwrap();
    assert!(poured < 1 << 20, "{poured}");
    let mut not_reading = server.client();
    set_socket_recv_buffer_size(&not_reading.stream, 64 << 10).unwrap();
    not_reading.send(get("/"));
    let poured = told.recv_timeout(DEADLINE).unwrap();
    assert!(poured < 8 << 20, "{poured}");
}
