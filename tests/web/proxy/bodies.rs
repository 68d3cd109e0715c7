//! Bodies in both directions: framing that is made anew, pieces as they come, early answers, interim answers.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use waterwheel::http::testing::{TestClient, Torture};
use waterwheel::http::web::proxy::ReverseProxy;
use waterwheel::http::{Request, StatusCode, Stream, shared};
use waterwheel::runtime::{block_on, time::timeout};

use super::origin::{Connected, Origin, fields};
use super::{EMPTY, GET, SOON, builder, proxy};
use crate::support::server::{DEADLINE, TestServer};

/// Reads a body in chunks, and returns its data with the trailer lines.
fn chunks(client: &mut Connected) -> (Vec<u8>, String) {
    let mut data = Vec::new();
    loop {
        let line = client.read_until("\r\n");
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        if size == 0 {
            let mut trailers = String::new();
            while !trailers.ends_with("\r\n\r\n") && trailers != "\r\n" {
                trailers += &client.read_until("\r\n");
            }
            return (data, trailers);
        }
        data.extend(client.read_exact(size));
        assert_eq!(client.read_exact(2), b"\r\n");
    }
}

/// Reads the body that a head announces.
fn body(client: &mut Connected, head: &str) -> Vec<u8> {
    if head.contains("transfer-encoding: chunked") {
        return chunks(client).0;
    }
    let length = fields(head)
        .iter()
        .find_map(|field| field.strip_prefix("content-length: "));
    client.read_exact(length.map_or(0, |length| length.parse().unwrap()))
}

/// An origin that sends each body back, in chunks or with its length.
fn echo() -> Origin {
    Origin::serve(|mut client| {
        while let Some(head) = client.head() {
            let body = body(&mut client, &head);
            if head.contains("/chunked") {
                client.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                for piece in body.chunks(10_000) {
                    client.send(format!("{:x}\r\n", piece.len()));
                    client.send(piece);
                    client.send("\r\n");
                }
                client.send("0\r\n\r\n");
            } else {
                client.send(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                ));
                client.send(&body);
            }
        }
    })
}

#[test]
fn the_framing_of_a_request_is_made_anew() {
    for (request, framing, expected) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", &[][..], ""),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
            &["content-length: 0"],
            "",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nrye",
            &["content-length: 3"],
            "rye",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nry\r\n1\r\ne\r\n0\r\n\r\n",
            &["transfer-encoding: chunked"],
            "rye",
        ),
        // The field is about the connection, and the length stays that of the body.
        (
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: content-length\r\ncontent-length: 3\r\n\r\nrye",
            &["content-length: 3"],
            "rye",
        ),
        (
            "DELETE / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nrye",
            &["content-length: 3"],
            "rye",
        ),
    ] {
        let (sender, seen) = mpsc::channel();
        let origin = Origin::serve(move |mut client| {
            while let Some(head) = client.head() {
                let body = body(&mut client, &head);
                sender
                    .send((head, String::from_utf8(body).unwrap()))
                    .unwrap();
                client.send(EMPTY);
            }
        });
        let answer = proxy(&origin).exchange(&[request.as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (head, body) = seen.recv_timeout(DEADLINE).unwrap();
        let of_framing = |field: &&str| {
            field.starts_with("content-length") || field.starts_with("transfer-encoding")
        };
        let found: Vec<_> = fields(&head).into_iter().filter(of_framing).collect();
        assert_eq!((&found[..], &*body), (framing, expected), "{request}");
    }
}

#[test]
fn the_framing_of_an_answer_is_made_anew() {
    for (answer, request, expected) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nrye",
            GET,
            "content-length: 3\r\n\r\nrye",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nry\r\n1\r\ne\r\n0\r\n\r\n",
            GET,
            // The pieces may be joined.
            "transfer-encoding: chunked\r\n\r\n",
        ),
        // The end of the connection is the end of the body (RFC 9112, 6.3).
        (
            "HTTP/1.0 200 OK\r\n\r\nrye",
            GET,
            "\r\n3\r\nrye\r\n0\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",
            "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n",
            "content-length: 3\r\n\r\n",
        ),
        (
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\netag: \"1\"\r\n\r\n",
            GET,
            "content-length: 3\r\n\r\n",
        ),
        (
            "HTTP/1.1 204 No Content\r\n\r\n",
            GET,
            "HTTP/1.1 204 No Content\r\nvia: 1.1 waterwheel\r\n\r\n",
        ),
        // RFC 9110, 15.3.6: no content, whatever the server sends.
        (
            "HTTP/1.1 205 Reset Content\r\ncontent-length: 3\r\n\r\nrye",
            GET,
            "HTTP/1.1 205 Reset Content\r\nvia: 1.1 waterwheel\r\ncontent-length: 0\r\n\r\n",
        ),
    ] {
        let closes = answer.starts_with("HTTP/1.0");
        let origin = Origin::serve(move |mut client| {
            while client.head().is_some() {
                client.send(answer);
                if closes {
                    return;
                }
            }
        });
        let received = proxy(&origin).exchange(&[request.as_bytes()]);
        assert!(received.contains(expected), "{answer}: {received}");
        assert!(
            received.ends_with("0\r\n\r\n") || received.ends_with(&expected[expected.len() - 4..]),
            "{received}"
        );
    }
}

#[test]
fn trailers_pass_in_both_directions() {
    let (sender, seen) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        while client.head().is_some() {
            sender.send(chunks(&mut client)).unwrap();
            client.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nrye\r\n0\r\nx-sum: 7\r\n\r\n");
        }
    });
    let answer = proxy(&origin).exchange(&[
        b"POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\ntrailer: x-a\r\ntransfer-encoding: chunked\r\n\r\n",
        b"3\r\nbar\r\n0\r\nx-a: 8\r\n\r\n",
    ]);
    assert!(
        answer.ends_with("3\r\nrye\r\n0\r\nx-sum: 7\r\n\r\n"),
        "{answer}"
    );
    let (body, trailers) = seen.recv_timeout(DEADLINE).unwrap();
    assert_eq!((&body[..], &*trailers), (&b"bar"[..], "x-a: 8\r\n\r\n"));
}

/// Some servers add trailers to the fields (RFC 9110, 6.5.1).
#[test]
fn a_trailer_that_only_a_head_may_have_does_not_pass() {
    const NEVER: &str = "x-forwarded-for: 9.9.9.9\r\nX_Real_IP: 9.9.9.9\r\nforwarded: for=9\r\nhost: b\r\n\
                         cookie: c\r\nvia: d\r\nupgrade: e\r\nproxy-connection: f\r\nexpect: 100-continue\r\n\
                         proxy-authorization: g\r\nmax-forwards: 0\r\ncontent-length: 7\r\n";
    let (sender, seen) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        while client.head().is_some() {
            sender.send(chunks(&mut client).1).unwrap();
            client.send(format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{NEVER}x-sum: 7\r\n\r\n"
            ));
        }
    });
    let answer = proxy(&origin).exchange(&[
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        format!("{NEVER}x-a: 8\r\n\r\n").as_bytes(),
    ]);
    assert!(answer.ends_with("\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    let trailers = seen.recv_timeout(DEADLINE).unwrap();
    assert_eq!(trailers, "x-a: 8\r\n\r\n");
}

#[test]
fn each_piece_passes_as_it_comes() {
    let (sender, seen) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        client.head();
        sender.send(client.read_exact(3)).unwrap();
        client.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n");
        sender.send(client.read_exact(3)).unwrap();
        client.send("3\r\ntwo\r\n0\r\n\r\n");
        client.rest();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nrye");
    assert_eq!(seen.recv_timeout(DEADLINE).unwrap(), b"rye");
    // The answer begins before the request is whole.
    client.read_until("3\r\none\r\n");
    client.send("bar");
    assert_eq!(seen.recv_timeout(DEADLINE).unwrap(), b"bar");
    client.read_until("3\r\ntwo\r\n0\r\n\r\n");
}

/// A client that writes all before it reads, and an origin that does the same by pieces.
#[test]
fn an_echo_of_more_than_all_buffers_does_not_stall() {
    let origin = Origin::serve(|mut client| {
        client.head();
        client.send("HTTP/1.1 200 OK\r\ncontent-length: 8000000\r\n\r\n");
        let mut piece = [0; 8192];
        let mut left = 8_000_000;
        while left > 0 {
            let count = client.stream.read(&mut piece).unwrap();
            left -= count;
            client.send(&piece[..count]);
        }
        client.rest();
    });
    let server = proxy(&origin);
    let client = server.client();
    let mut writer = client.stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        write!(
            writer,
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 8000000\r\n\r\n"
        )
        .unwrap();
        writer.write_all(&vec![b'x'; 8_000_000]).unwrap();
    });
    let mut bytes = Vec::new();
    (&client.stream).read_to_end(&mut bytes).unwrap();
    writing.join().unwrap();
    assert!(bytes.len() > 8_000_000, "{}", bytes.len());
}

#[test]
fn an_answer_before_the_body_reaches_the_client() {
    let origin = Origin::serve(|mut client| {
        client.head();
        client.send(
            "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig",
        );
        client.end();
        client.rest();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 900000000\r\n\r\n");
    client.send(vec![b'x'; 100_000]);
    let answer = client.read_until("big");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn interim_answers_pass_and_100_is_the_proxys_own() {
    let origin = Origin::serve(|mut client| {
        while client.head().is_some() {
            client.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nconnection: x-a\r\nx-a: 1\r\n\r\n");
            client.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nrye");
        }
    });
    let answer = proxy(&origin).exchange(&[GET.as_bytes()]);
    assert_eq!(
        answer,
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nvia: 1.1 waterwheel\r\ncontent-length: 3\r\n\r\nrye"
    );
    // HTTP/1.0 has none (RFC 9110, 15.2).
    let answer = proxy(&origin).exchange(&[b"GET / HTTP/1.0\r\n\r\n"]);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn a_client_that_waits_for_100_receives_it() {
    let origin = echo();
    let server = proxy(&origin);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
    assert_eq!(
        client.read_until("\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("rye");
    assert!(client.read_until("rye").starts_with("HTTP/1.1 200 OK\r\n"));
}

/// The origin decides before the body is on its way (RFC 9110, 10.1.1).
#[test]
fn a_refusal_before_100_saves_the_body() {
    let (sender, heads) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        sender.send(client.head().unwrap()).unwrap();
        client.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        sender
            .send(String::from_utf8(client.rest()).unwrap())
            .unwrap();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
    let answer = client.read_until("\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let head = heads.recv_timeout(DEADLINE).unwrap();
    assert!(head.contains("\r\nexpect: 100-continue\r\n"), "{head}");
    assert_eq!(
        heads.recv_timeout(DEADLINE).unwrap(),
        "",
        "no byte of a body"
    );
}

#[test]
fn a_late_reader_slows_the_origin_down_and_receives_all() {
    const LENGTH: usize = 40_000_000;
    let (sender, sent) = mpsc::channel();
    let origin = Origin::serve(move |mut client| {
        client.head();
        client.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n"
        ));
        client.send(vec![b'x'; LENGTH]);
        sender.send(()).unwrap();
        client.rest();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send(GET);
    // Back-pressure: the proxy does not take all of it into its memory.
    assert!(sent.recv_timeout(SOON * 2).is_err());
    client.read_until("\r\n\r\n");
    let mut body = vec![0; LENGTH];
    client.stream.read_exact(&mut body).unwrap();
    assert!(body.iter().all(|byte| *byte == b'x'));
    sent.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn a_late_origin_slows_the_client_down_and_receives_all() {
    const LENGTH: usize = 40_000_000;
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::serve(move |mut client| {
        client.head();
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        let body = client.read_exact(LENGTH);
        assert!(body.iter().all(|byte| *byte == b'x'));
        client.send(EMPTY);
        client.rest();
    });
    let server = proxy(&origin);
    let mut client = server.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LENGTH}\r\n\r\n"
    ));
    let mut writer = client.stream.try_clone().unwrap();
    let (sender, written) = mpsc::channel();
    thread::spawn(move || {
        writer.write_all(&vec![b'x'; LENGTH]).unwrap();
        sender.send(()).unwrap();
    });
    assert!(written.recv_timeout(SOON * 2).is_err());
    go.send(()).unwrap();
    written.recv_timeout(DEADLINE).unwrap();
    assert!(
        client
            .read_until("\r\n\r\n")
            .starts_with("HTTP/1.1 200 OK\r\n")
    );
}

/// The transport of the client uses every delay that its contract allows.
#[test]
fn bodies_pass_through_the_torture_transport() {
    let origin = echo();
    let url = origin.url();
    block_on(async {
        let server = builder().without_listener();
        for seed in 0..12 {
            let handler = ReverseProxy::to(&url);
            let mut client = TestClient::through(&server, handler, |io| Torture::new(io, seed));
            for (path, length) in [
                ("/", 0),
                ("/", 1),
                ("/chunked", 20_000),
                ("/", 100_000),
                ("/chunked", 70_000),
            ] {
                let body: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
                let answer = timeout(DEADLINE, client.post(path, &body)).await;
                let answer = answer.unwrap_or_else(|_| panic!("seed {seed}, {path} {length}"));
                assert_eq!(answer.status, StatusCode::OK, "seed {seed}");
                assert!(
                    answer.body == body,
                    "seed {seed}, {path} {length}: {}",
                    answer.body.len()
                );
            }
        }
    });
}

/// The transport of the origin, our own server, does the same. Its client reads late.
#[test]
fn bodies_pass_an_origin_on_the_torture_transport() {
    let seed = std::sync::atomic::AtomicU64::new(0);
    let behind = builder().transport(async move |stream: Stream, _: &mut _| {
        Ok(Torture::new(
            stream,
            seed.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
        ))
    });
    let behind = TestServer::start_plain(behind, || {
        shared(async |request: Request<'_>| {
            let body = request.body();
            let answer = request.start(StatusCode::OK, ()).await?;
            answer.send_body(body).await
        })
    });
    let url = format!("http://{}", behind.address);
    let server = TestServer::start(builder(), move || shared(ReverseProxy::to(&url)));
    for length in [1, 20_000, 300_000, 1_000_000] {
        let client = server.client();
        let body: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
        let mut writer = client.stream.try_clone().unwrap();
        let sent = body.clone();
        let writing = thread::spawn(move || {
            write!(
                writer,
                "POST / HTTP/1.0\r\ncontent-length: {}\r\n\r\n",
                sent.len()
            )
            .unwrap();
            writer.write_all(&sent).unwrap();
        });
        thread::sleep(Duration::from_millis(50));
        let mut answer = Vec::new();
        (&client.stream).read_to_end(&mut answer).unwrap();
        writing.join().unwrap();
        assert!(answer.ends_with(&body), "{length}: {}", answer.len());
    }
}

/// An origin that sends and reads single bytes.
#[test]
fn an_origin_of_single_bytes_is_understood() {
    let origin = Origin::serve(|mut client| {
        while client.head().is_some() {
            let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nrye\r\n2\r\n!!\r\n0\r\nx-a: 1\r\n\r\n";
            for byte in answer {
                client.send([*byte]);
                thread::sleep(Duration::from_micros(200));
            }
        }
    });
    let start = Instant::now();
    let answer = proxy(&origin).exchange(&[GET.as_bytes()]);
    assert!(answer.ends_with("\r\n0\r\nx-a: 1\r\n\r\n"), "{answer}");
    assert!(start.elapsed() < DEADLINE);
}
