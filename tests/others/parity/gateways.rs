//! Servers and programs behind this one (R-52).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use waterwheel::http::shared;
use waterwheel::http::web::cgi::Cgi;
use waterwheel::http::web::proxy::ReverseProxy;

use super::served::get;
use crate::support::server::TestServer;

fn through(proxy: impl FnOnce() -> ReverseProxy + Send + 'static) -> String {
    let server = TestServer::start(waterwheel::http::Server::builder(), || shared(proxy()));
    server.exchange(&[get("/mill?a").as_bytes()])
}

#[test]
fn r_52_a_proxy_passes_on_and_answers_502_and_504_and_a_program_answers() {
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = origin.local_addr().unwrap();
    let answering = thread::spawn(move || {
        let mut stream = origin.accept().unwrap().0;
        let mut head = [0; 1024];
        let count = stream.read(&mut head).unwrap();
        stream
            .write_all(b"HTTP/1.1 203 OK\r\ncontent-length: 3\r\n\r\nrye")
            .unwrap();
        drop(stream);
        // From here on: accepted by the kernel, and silent.
        (origin, String::from_utf8_lossy(&head[..count]).into_owned())
    });
    let answer = through(move || ReverseProxy::to(format!("http://{address}")));
    assert!(
        answer.starts_with("HTTP/1.1 203 ") && answer.ends_with("rye"),
        "{answer}"
    );
    let (origin, head) = answering.join().unwrap();
    assert!(
        head.starts_with("GET /mill?a HTTP/1.1\r\nhost: x\r\n"),
        "{head}"
    );
    let soon = Duration::from_millis(200);
    let answer = through(move || ReverseProxy::to(format!("http://{address}")).time_limit(soon));
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    drop(origin);
    let answer = through(move || ReverseProxy::to(format!("http://{address}")));
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");

    let server = TestServer::start(waterwheel::http::Server::builder(), || {
        let script = r"printf 'Status: 203\nContent-Length: 3\n\nrye'";
        shared(Cgi::new("/bin/sh").arg("-c").arg(script))
    });
    let answer = server.exchange(&[get("/").as_bytes()]);
    assert_eq!(
        answer,
        "HTTP/1.1 203 Non Authoritative Information\r\ncontent-length: 3\r\n\r\nrye"
    );
}
