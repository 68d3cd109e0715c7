//! A scene for the player: an echo server and one client.

use std::io::{Read, Write};
use std::net;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use my_stage_09::{TcpListener, block_on, spawn};
use watch::{Cause, by_socket};

async fn echo(listener: TcpListener) {
    let stream = by_socket(listener.accept()).await.unwrap();
    let mut buffer = [0; 64];
    loop {
        let bytes = by_socket(stream.read(&mut buffer)).await.unwrap();
        if bytes == 0 {
            return;
        }
        stream.write_all(&buffer[..bytes]).await.unwrap();
    }
}

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_address().unwrap();
                let client = thread::spawn(move || {
                    thread::sleep(Duration::from_millis(10));
                    let mut client = net::TcpStream::connect(address).unwrap();
                    for _ in 0..3 {
                        thread::sleep(Duration::from_millis(10));
                        client.write_all(b"ping").unwrap();
                        client.read_exact(&mut [0; 4]).unwrap();
                    }
                });
                spawn(watch::task("echo", echo(listener))).await.unwrap();
                client.join().unwrap();
            }));
        },
        &[
            (
                "Only sockets wake the server: for the client, and for each message.",
                |record| {
                    let wakes = record.wakes("echo");
                    wakes.len() >= 4 && wakes.iter().all(|cause| *cause == Cause::Socket)
                },
            ),
            (
                "Each poll reads, answers, and finds that no more bytes are there. So a message costs one poll.",
                |record| record.polls("echo") <= 8,
            ),
            ("Between the messages, the thread sleeps.", |record| {
                record.sleeps().len() >= 2
            }),
        ],
    )
}
