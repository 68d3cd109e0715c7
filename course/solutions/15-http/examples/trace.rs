//! A scene for the player: a request in two pieces, and its answer.

use std::io::{Read, Write};
use std::net;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use solution_15::http::{Limits, Request, Response, serve_one};
use solution_15::{TcpListener, block_on, sleep, spawn};
use watch::{Cause, by_socket, by_timer};

async fn answer(_request: Request) -> Response {
    by_timer(sleep(Duration::from_millis(5))).await;
    Response {
        status: 200,
        body: "hello".to_owned(),
    }
}

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_address().unwrap();
                let client = thread::spawn(move || {
                    let mut client = net::TcpStream::connect(address).unwrap();
                    for piece in ["GET / HTTP/1.1\r\n", "Host: a\r\n\r\n"] {
                        thread::sleep(Duration::from_millis(10));
                        client.write_all(piece.as_bytes()).unwrap();
                    }
                    let mut text = String::new();
                    client.read_to_string(&mut text).unwrap();
                    text
                });
                let stream = by_socket(listener.accept()).await.unwrap();
                let limits = Limits::default();
                let serve = async move { by_socket(serve_one(stream, &limits, answer)).await };
                let served = spawn(watch::task("connection", serve));
                served.await.unwrap().unwrap();
                assert!(client.join().unwrap().ends_with("hello"));
            }));
        },
        &[
            (
                "Each piece of the head wakes the connection. After the first piece, it goes on waiting.",
                |record| {
                    let wakes = record.wakes("connection");
                    wakes
                        .iter()
                        .filter(|cause| **cause == Cause::Socket)
                        .count()
                        >= 2
                },
            ),
            (
                "Then the handler sleeps: a timer wakes the connection.",
                |record| record.wakes("connection").contains(&Cause::Timer),
            ),
            ("The whole request takes fewer than ten polls.", |record| {
                record.polls("connection") < 10
            }),
        ],
    )
}
