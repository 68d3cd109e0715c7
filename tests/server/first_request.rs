//! Claims about a connection's first request. The server answers it whether it comes before or after the
//! connection is accepted. A connection registers with epoll only when it must wait for the first time, and
//! bytes that came before that must not be lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::server::DEADLINE;
use waterwheel::http::{Builder, Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{Runtime, block_on, race, spawn_blocking, yield_now};

const CLOSING: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "hello", ()).await
}

/// Returns the answers to a client that sends one part before it is accepted, and the other part after the
/// server has looked for the first. If `ends`, the client then closes its write half.
fn answers(before: &str, after: &str, ends: bool) -> String {
    answers_of(Server::builder(), before, after, ends)
}

fn answers_of(server: Builder, before: &str, after: &str, ends: bool) -> String {
    block_on(async {
        let server = server.bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(server.local_address()).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(before.as_bytes()).unwrap();
        if ends && after.is_empty() {
            client.shutdown(Shutdown::Write).unwrap();
        }
        let after = after.to_owned();
        let script = async {
            while server.numbers().accepted == 0 {
                yield_now().await;
            }
            for _ in 0..10 {
                yield_now().await;
            }
            let talk = spawn_blocking(move || {
                client.write_all(after.as_bytes()).unwrap();
                if ends && !after.is_empty() {
                    client.shutdown(Shutdown::Write).unwrap();
                }
                let mut answers = String::new();
                client.read_to_string(&mut answers).unwrap();
                answers
            });
            talk.await.unwrap()
        };
        let both = race(
            async {
                server.serve(hello).await.unwrap();
                String::new()
            },
            script,
        );
        timeout(DEADLINE, both).await.unwrap()
    })
}

fn count_of(answers: &str) -> usize {
    answers.matches("HTTP/1.1 200 OK\r\n").count()
}

#[test]
fn a_request_that_comes_before_or_after_it_is_looked_for_is_answered() {
    for split in [0, 1, CLOSING.len() / 2, CLOSING.len() - 1, CLOSING.len()] {
        let (before, after) = CLOSING.split_at(split);
        let answers = answers(before, after, false);
        assert_eq!(count_of(&answers), 1, "{split}: {answers:?}");
        assert!(answers.ends_with("hello"), "{split}: {answers:?}");
    }
}

#[test]
fn a_client_that_closes_its_write_half_at_once_is_answered() {
    let staying = CLOSING.replace("Connection: close\r\n", "");
    for (before, after) in [
        (&*staying, ""),
        ("", &*staying),
        (&staying[..9], &staying[9..]),
    ] {
        assert_eq!(count_of(&answers(before, after, true)), 1, "{before:?}");
    }
    assert_eq!(answers("", "", true), "");
}

#[test]
fn a_second_request_is_seen_whether_the_connection_has_waited_or_not() {
    let staying = CLOSING.replace("Connection: close\r\n", "");
    let both = staying.clone() + CLOSING;
    for split in [
        0,
        staying.len() - 1,
        staying.len(),
        staying.len() + 1,
        both.len(),
    ] {
        let (before, after) = both.split_at(split);
        assert_eq!(count_of(&answers(before, after, false)), 2, "{split}");
    }
}

#[test]
fn a_request_on_a_connection_that_was_kept_back_is_answered() {
    let deferring = || Server::builder().defer_accept(Duration::from_secs(1));
    for split in [0, 1, CLOSING.len()] {
        let (before, after) = CLOSING.split_at(split);
        let answers = answers_of(deferring(), before, after, false);
        assert_eq!(count_of(&answers), 1, "{split}: {answers:?}");
    }
    assert_eq!(answers_of(deferring(), "", "", true), "");
}

#[test]
fn the_limits_hold_for_a_silent_client_that_is_kept_back() {
    block_on(async {
        let limits =
            Limits::default().with(|limits| limits.head_duration_max = Duration::from_millis(100));
        let server = Server::builder().limits(limits);
        let server = server.defer_accept(Duration::from_secs(1));
        let server = server.bind("127.0.0.1:0").unwrap();
        let mut silent = TcpStream::connect(server.local_address()).unwrap();
        silent.set_read_timeout(Some(DEADLINE)).unwrap();
        let script = async {
            sleep(Duration::from_millis(500)).await;
            assert_eq!(
                server.numbers().accepted,
                0,
                "a silent client has a request"
            );
            let end = spawn_blocking(move || silent.read(&mut [0]).unwrap());
            assert_eq!(end.await.unwrap(), 0);
            assert_eq!(server.numbers().accepted, 1);
        };
        let serving = async { server.serve(hello).await.unwrap() };
        timeout(DEADLINE, race(serving, script)).await.unwrap();
    });
}

#[test]
fn the_time_for_a_head_begins_when_the_server_accepts() {
    let head_duration_max = Duration::from_millis(400);
    let limits = Limits::DEFAULT.with(|limits| limits.head_duration_max = head_duration_max);
    let runtime = Runtime::new().unwrap();
    let server = Server::builder().limits(limits);
    let server = runtime
        .block_on(async { server.bind("127.0.0.1:0") })
        .unwrap();
    let mut client = TcpStream::connect(server.local_address()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    // The program loads for longer than a head may take.
    std::thread::sleep(head_duration_max + Duration::from_millis(100));
    runtime.block_on(async {
        let talk = spawn_blocking(move || {
            std::thread::sleep(head_duration_max / 8);
            client.write_all(CLOSING.as_bytes()).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        });
        let answered = async { Ok(talk.await.unwrap()) };
        let serving = async { server.serve(hello).await.map(|()| String::new()) };
        let answer = race(answered, serving).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
    });
}
