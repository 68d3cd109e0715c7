//! Dead, silent and broken origins, retries, and clients that leave.

use std::io::Read;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use waterwheel::http::shared;
use waterwheel::http::web::proxy::ReverseProxy;

use super::origin::Origin;
use super::{EMPTY, GET, builder, proxy, proxy_with};
use crate::support::server::{DEADLINE, TestServer};

#[test]
fn a_dead_origin_is_a_502() {
    // A port on which no process listens.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = TestServer::start(builder(), move || {
        shared(ReverseProxy::to(format!("http://{address}")))
    });
    for request in [
        GET,
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nrye",
    ] {
        let answer = server.exchange(&[request.as_bytes()]);
        assert!(
            answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{answer}"
        );
    }
}

#[test]
fn a_malformed_answer_is_a_502() {
    for bytes in [
        "",
        "\r\n\r\n",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx : y\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: y\r\n folded\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        // Two lengths, and a length with a coding: an answer could be split (RFC 9112, 6.3).
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nryeb",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nrye",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n3\r\nrye\r\n0\r\n\r\n",
        // The client has offered no upgrade.
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ] {
        let origin = Origin::serve(move |mut client| {
            client.head();
            client.send(bytes);
            client.end();
            client.rest();
        });
        let answer = proxy(&origin).exchange(&[GET.as_bytes()]);
        assert!(
            answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{bytes:?}: {answer}"
        );
    }
}

#[test]
fn a_silent_origin_is_a_504() {
    let origin = Origin::serve(|mut client| drop(client.rest()));
    let server = proxy_with(&origin, |proxy| {
        proxy.time_limit(Duration::from_millis(300))
    });
    let answer = server.exchange(&[GET.as_bytes()]);
    assert!(
        answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"),
        "{answer}"
    );
}

#[test]
fn an_answer_that_is_cut_after_its_head_has_no_clean_end() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nrye",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nryeX\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ] {
        let origin = Origin::serve(move |mut client| {
            client.head();
            client.send(bytes);
            thread::sleep(Duration::from_millis(100));
            client.end();
            client.rest();
        });
        let server = proxy(&origin);
        let mut client = server.client();
        client.send(GET);
        let mut answer = Vec::new();
        drop(client.stream.read_to_end(&mut answer));
        let answer = String::from_utf8(answer).unwrap();
        assert!(!answer.ends_with("0\r\n\r\n"), "{bytes:?}: {answer}");
        let is_error = answer.starts_with("HTTP/1.1 502 ");
        assert!(
            is_error || answer.starts_with("HTTP/1.1 200 "),
            "{bytes:?}: {answer}"
        );
    }
}

#[test]
fn an_answer_that_stalls_after_its_head_is_cut() {
    let origin = Origin::serve(|mut client| {
        client.head();
        client.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\n");
        client.rest();
    });
    let server = proxy_with(&origin, |proxy| {
        proxy.time_limit(Duration::from_millis(300))
    });
    let mut client = server.client();
    client.send(GET);
    let mut answer = Vec::new();
    drop(client.stream.read_to_end(&mut answer));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.ends_with("3\r\nrye\r\n"), "{answer}");
}

/// An origin that closes its first connection after one answer and the head of the next request.
fn that_forgets() -> (Origin, mpsc::Receiver<String>) {
    let first = AtomicUsize::new(0);
    let (sender, seen) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        let is_first = first.fetch_add(1, Ordering::SeqCst) == 0;
        let mut answered = 0;
        while let Some(head) = client.head() {
            sender.send(head).unwrap();
            if is_first && answered == 1 {
                return;
            }
            client.send(EMPTY);
            answered += 1;
        }
    });
    (origin, seen)
}

/// The race of keep-alive: the origin closes while the request is on its way.
#[test]
fn a_request_is_sent_again_only_if_that_is_safe() {
    for (request, is_safe) in [
        (GET, true),
        ("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", true),
        ("DELETE / HTTP/1.1\r\nhost: a\r\n\r\n", true),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
            false,
        ),
        ("PATCH / HTTP/1.1\r\nhost: a\r\n\r\n", false),
    ] {
        let (origin, seen) = that_forgets();
        let server = proxy(&origin);
        let mut client = server.client();
        client.send(GET);
        client.read_until("\r\n\r\n");
        client.send(request);
        let answer = client.read_until("\r\n\r\n");
        let expected = if is_safe {
            "HTTP/1.1 200 "
        } else {
            "HTTP/1.1 502 "
        };
        assert!(answer.starts_with(expected), "{request}: {answer}");
        drop((client, server));
        assert_eq!(
            seen.try_iter().count(),
            if is_safe { 3 } else { 2 },
            "{request}"
        );
        assert_eq!(
            origin.connections(),
            if is_safe { 2 } else { 1 },
            "{request}"
        );
    }
}

/// An interim answer shows that the origin has seen the request.
#[test]
fn a_request_whose_answer_has_begun_is_not_sent_again() {
    for begun in [
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "H",
    ] {
        let (sender, seen) = mpsc::channel();
        let origin = Origin::serve(move |mut client| {
            sender.send(client.head().unwrap()).unwrap();
            client.send(EMPTY);
            if let Some(head) = client.head() {
                sender.send(head).unwrap();
                client.send(begun);
            }
        });
        let server = proxy(&origin);
        let answer = server.exchange(&[GET.as_bytes(), GET.as_bytes()]);
        assert!(answer.contains("HTTP/1.1 502 "), "{begun:?}: {answer}");
        assert_eq!((seen.try_iter().count(), origin.connections()), (2, 1));
    }
}

#[test]
fn the_connection_to_the_origin_is_used_again() {
    let (origin, heads) = Origin::answering(EMPTY);
    let server = proxy(&origin);
    for _ in 0..5 {
        let answer = server.exchange(&[GET.as_bytes(), GET.as_bytes()]);
        assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    }
    assert_eq!(heads.try_iter().count(), 10);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_client_that_leaves_takes_its_request_to_the_origin_along() {
    for first in [
        "",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\n",
    ] {
        let (sender, ended) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let origin = Origin::serve(move |mut client| {
            client.head();
            client.send(first);
            begun.send(()).unwrap();
            client.rest();
            sender.send(()).unwrap();
        });
        let server = proxy(&origin);
        let mut client = server.client();
        client.send(GET);
        has_begun.recv_timeout(DEADLINE).unwrap();
        assert!(ended.recv_timeout(super::SOON).is_err());
        rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
        drop(client);
        ended.recv_timeout(DEADLINE).unwrap();
    }
}

#[test]
fn a_body_that_the_client_cuts_short_is_cut_for_the_origin() {
    for request in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nrye",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\nzz\r\n",
    ] {
        let (sender, seen) = mpsc::channel();
        let origin = Origin::serve(move |mut client| {
            client.head();
            sender.send(client.rest()).unwrap();
        });
        let answer = proxy(&origin).exchange(&[request.as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let bytes = seen.recv_timeout(DEADLINE).unwrap();
        assert!(
            !bytes.ends_with(b"0\r\n\r\n"),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

/// One request becomes one request: what follows it is a request of its own, or an error.
#[test]
fn a_request_is_not_smuggled() {
    for request in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nryeb",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: y\nz: w\r\n\r\n",
    ] {
        let (origin, heads) = Origin::answering(EMPTY);
        let answer = proxy(&origin).exchange(&[request.as_bytes()]);
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 501 "),
            "{request}: {answer}"
        );
        assert!(heads.try_recv().is_err(), "{request}");
    }
    // A body that looks like a request, and an answer with bytes behind it.
    let (origin, heads) = Origin::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 404 Evil\r\ncontent-length: 0\r\n\r\n",
    );
    let server = proxy(&origin);
    let answer = server.exchange(&[GET.as_bytes(), GET.as_bytes()]);
    assert!(!answer.contains("404"), "{answer}");
    assert_eq!(heads.try_iter().count(), 2);
}
