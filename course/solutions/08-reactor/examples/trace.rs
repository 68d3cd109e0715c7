//! A scene for the player: a task that waits for bytes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use solution_08::{Direction, Registration, block_on, sleep, spawn};
use watch::{Cause, by_socket, by_timer};

/// Reads some bytes, as a task does: it tries, and waits if no bytes are there.
async fn read(mut socket: UnixStream) -> usize {
    let registration = Registration::new(&socket).unwrap();
    loop {
        by_socket(registration.ready(Direction::Read)).await;
        match socket.read(&mut [0; 64]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                registration.clear(Direction::Read);
            }
            read => return read.unwrap(),
        }
    }
}

fn main() -> ExitCode {
    watch::main(
        || {
            block_on(watch::root(async {
                let (socket, mut other) = UnixStream::pair().unwrap();
                socket.set_nonblocking(true).unwrap();
                let reader = spawn(watch::task("reader", read(socket)));
                by_timer(sleep(Duration::from_millis(20))).await;
                other.write_all(b"hello").unwrap();
                assert_eq!(reader.await.ok(), Some(5));
            }));
        },
        &[
            (
                "The reader is polled twice: it finds no bytes, and it reads them.",
                |record| record.polls("reader") == 2,
            ),
            (
                "The root writes, and does not wake the reader. The kernel reports an event, and the reactor wakes it.",
                |record| record.wakes("reader") == [Cause::Socket],
            ),
            ("While the reader waits, the thread sleeps.", |record| {
                !record.sleeps().is_empty()
            }),
        ],
    )
}
