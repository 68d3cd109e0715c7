//! A scene for the player: a server that has no descriptor left, until a socket is closed.

use std::env;
use std::fs::File;
use std::io::{Read, Write};
use std::net;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use solution_16::descriptors;
use solution_16::http::{Limits, Request, Response, serve_one};
use solution_16::{TcpListener, block_on, sleep, spawn};
use watch::{by_socket, by_timer};

/// Set in the process that may have few descriptors.
const CHILD: &str = "COURSE_CHILD";

async fn answer(_request: Request) -> Response {
    Response {
        status: 200,
        body: "hello".to_owned(),
    }
}

/// Serves one client, as soon as there is room for it.
async fn accept(listener: TcpListener) {
    descriptors::capacity().await;
    let stream = by_socket(listener.accept()).await.unwrap();
    let limits = Limits::default();
    let serve = async move { by_socket(serve_one(stream, &limits, answer)).await };
    let served = spawn(watch::task("request", serve)).await;
    served.unwrap().unwrap();
}

fn scene() {
    block_on(watch::root(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let idle = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = net::TcpStream::connect(address).unwrap();
        let client = thread::spawn(move || {
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            text
        });
        let mut files = Vec::new();
        while descriptors::should_accept() {
            files.push(File::open("/dev/null").unwrap());
        }
        let acceptor = spawn(watch::task("accept loop", accept(listener)));
        by_timer(sleep(Duration::from_millis(20))).await;
        drop(idle);
        acceptor.await.unwrap();
        assert!(client.join().unwrap().ends_with("hello"));
    }));
}

fn main() -> ExitCode {
    if env::var_os(CHILD).is_none() {
        let status = Command::new("sh")
            .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""])
            .args(env::current_exe())
            .args(env::args_os().skip(1))
            .env(CHILD, "1")
            .status();
        let code = status.ok().and_then(|status| status.code()).unwrap_or(1);
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    watch::main(
        scene,
        &[
            (
                "The client is in the kernel's queue all the time. The accept loop is polled, finds no room, and waits.",
                |record| record.polls("accept loop") >= 2,
            ),
            (
                "The root closes a socket, and this wakes the accept loop.",
                |record| record.woken_by("accept loop").contains(&"root"),
            ),
            ("Only then does the task of the request exist.", |record| {
                let polled = record.polled();
                let first = |name| polled.iter().position(|other| *other == name);
                first("accept loop") < first("request") && record.ends("request").len() == 1
            }),
        ],
    )
}
