//! Bodies of requests: streamed, refused early, awaited, and other protocols.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http_body::Frame;
use waterwheel::http::client::{Client, RequestErrorKind};
use waterwheel::http::testing::Torture;
use waterwheel::http::{HeaderMap, Method};
use waterwheel::runtime::time::{Instant, sleep};

use crate::scripted::{run, run_paused, through, to};

const URI: &str = "http://mill/";
const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A body of frames that are ready.
struct Frames(Vec<Result<Frame<Bytes>, io::Error>>);

impl Frames {
    fn new(pieces: &[&'static str]) -> Self {
        let frame = |piece: &&'static str| Ok(Frame::data(Bytes::from_static(piece.as_bytes())));
        Self(pieces.iter().map(frame).collect())
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let is_over = self.0.is_empty();
        Poll::Ready((!is_over).then(|| self.0.remove(0)))
    }
}

#[test]
fn a_streamed_body_has_its_length_or_chunks() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    for seed in 0..10 {
        let heard = seen.clone();
        let wrap = move |near| Torture::new(near, seed);
        run(async move {
            let (client, _) = through(Client::builder(), wrap, move |_, mut far| {
                let heard = heard.clone();
                async move {
                    loop {
                        let request = far.read_until("!").await;
                        if request.is_empty() {
                            return;
                        }
                        let end = if request.contains("chunked") {
                            "\r\n\r\n"
                        } else {
                            ""
                        };
                        let rest = far.read_until(end).await;
                        heard.borrow_mut().push(request + &rest);
                        far.send(EMPTY).await;
                    }
                }
            });
            let post = || client.post(URI);
            drop(post().body("rye!").send().await.unwrap());
            drop(
                post()
                    .body_reader(&b"rye!"[..], Some(4))
                    .send()
                    .await
                    .unwrap(),
            );
            drop(
                post()
                    .body_reader(&b"rye! more"[..], Some(4))
                    .send()
                    .await
                    .unwrap(),
            );
            drop(post().body_reader(&b"rye!"[..], None).send().await.unwrap());
            drop(
                post()
                    .body_frames(Frames::new(&["", "rye", "", "!"]))
                    .send()
                    .await
                    .unwrap(),
            );
            let with_length = post().header("content-length", "4");
            drop(
                with_length
                    .body_frames(Frames::new(&["rye", "!"]))
                    .send()
                    .await
                    .unwrap(),
            );
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "3".parse().unwrap());
            let mut frames = Frames::new(&["rye!"]);
            frames.0.push(Ok(Frame::trailers(trailers)));
            drop(post().body_frames(frames).send().await.unwrap());
        });
        let sized = "POST / HTTP/1.1\r\nhost: mill\r\ncontent-length: 4\r\n\r\nrye!";
        let chunked = |body: &str| {
            format!("POST / HTTP/1.1\r\nhost: mill\r\ntransfer-encoding: chunked\r\n\r\n{body}")
        };
        let expected = [
            sized.to_owned(),
            sized.to_owned(),
            sized.to_owned(),
            chunked("4\r\nrye!\r\n0\r\n\r\n"),
            chunked("3\r\nrye\r\n1\r\n!\r\n0\r\n\r\n"),
            sized.to_owned(),
            chunked("4\r\nrye!\r\n0\r\nx-sum: 3\r\n\r\n"),
        ];
        assert_eq!(seen.take(), expected);
    }
}

#[test]
fn a_source_that_fails_or_lies_ends_the_request() {
    let broken = || Err(io::Error::other("the disk is gone"));
    let rows: Vec<(Frames, Option<&str>, &str)> = vec![
        (Frames(vec![broken()]), None, "the disk is gone"),
        (
            Frames::new(&["rye"]),
            Some("4"),
            "it has fewer bytes than announced",
        ),
        (
            Frames::new(&["rye!!"]),
            Some("4"),
            "it has more bytes than announced",
        ),
    ];
    for (frames, length, expected) in rows {
        run(async {
            let (client, _) = to(Client::builder(), |_, mut far| async move {
                far.head().await;
                far.until_closed().await;
            });
            let mut request = client.post(URI).body_frames(frames);
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let error = request.send().await.unwrap_err();
            assert_eq!(error.kind(), RequestErrorKind::Upload);
            let text = format!("POST http://mill/: the body of the request failed: {expected}");
            assert_eq!(error.to_string(), text);
        });
    }
    run(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.until_closed().await;
        });
        let short = client
            .post(URI)
            .body_reader(&b"rye"[..], Some(4))
            .send()
            .await;
        assert_eq!(short.unwrap_err().kind(), RequestErrorKind::Upload);
        for (name, value) in [
            ("content-length", "5"),
            ("content-length", "x"),
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("expect", "100-continue"),
            ("a b", "c"),
            ("a", "b\r\nc: d"),
            ("a", "b\0"),
        ] {
            let error = client
                .post(URI)
                .body("rye!")
                .header(name, value)
                .send()
                .await;
            assert_eq!(
                error.unwrap_err().kind(),
                RequestErrorKind::Request,
                "{name}"
            );
        }
    });
}

#[test]
fn an_early_answer_is_read_while_the_upload_is_stuck() {
    // The server reads no byte of the body. The body is larger than all buffers.
    for (answer, status) in [
        (
            "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 5\r\n\r\nwater",
            413,
        ),
        (
            "HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\n\r\nwater",
            413,
        ),
    ] {
        run(async {
            let (client, connections) = to(Client::builder(), move |_, mut far| async move {
                far.head().await;
                far.send(answer).await;
                if answer.contains("close") {
                    return;
                }
                sleep(Duration::from_secs(60)).await;
            });
            let large = vec![b'x'; 8 << 20];
            let known = client.post(URI).body(large.clone());
            let streamed = client.post(URI).body_reader(&large[..], None);
            for request in [known, streamed] {
                let response = request.send().await.unwrap();
                assert_eq!(response.status().as_u16(), status);
                assert_eq!(response.text().await.unwrap(), "water");
                assert_eq!(
                    client.idle_connections(),
                    0,
                    "the server waits for the rest"
                );
            }
            assert_eq!(connections.count(), 2);
        });
    }
}

#[test]
fn a_successful_early_answer_waits_for_the_upload() {
    run_paused(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            sleep(Duration::from_secs(5)).await;
            far.read_until("0\r\n\r\n").await;
            far.head().await;
            far.send(EMPTY).await;
        });
        let large = vec![b'x'; 1 << 20];
        let begin = Instant::now();
        let response = client
            .post(URI)
            .body_reader(&large[..], None)
            .send()
            .await
            .unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert_eq!(response.text().await.unwrap(), "ok");
        assert_eq!(begin.elapsed().as_secs(), 5);
        assert_eq!(client.idle_connections(), 1);
        drop(client.get(URI).send().await.unwrap());
    });
}

#[test]
fn a_body_waits_for_100_and_is_left_out_if_the_server_has_decided() {
    let expects =
        "POST / HTTP/1.1\r\nhost: mill\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
    run_paused(async {
        let (client, _) = to(Client::builder(), move |_, mut far| async move {
            assert_eq!(far.head().await, expects);
            sleep(Duration::from_secs(1)).await;
            far.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(far.read_until("!").await, "rye!");
            far.send(EMPTY).await;
            // A server that does not know the field.
            assert_eq!(far.head().await, expects);
            assert_eq!(far.read_until("!").await, "rye!");
            far.send(EMPTY).await;
            assert_eq!(far.head().await, expects);
            far.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n")
                .await;
            assert_eq!(far.read_until("!").await, "", "closed without the body");
        });
        let post = || {
            client
                .post(URI)
                .body("rye!")
                .expect_continue(Duration::from_secs(3))
        };
        for (status, seconds, idle) in [(200, 1, 1), (200, 3, 1), (417, 0, 0)] {
            let begin = Instant::now();
            let response = post().send().await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            response.bytes().await.unwrap();
            assert_eq!(begin.elapsed().as_secs(), seconds);
            assert_eq!(client.idle_connections(), idle);
        }
        // A request without a body does not wait.
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            assert_eq!(far.head().await, "GET / HTTP/1.1\r\nhost: mill\r\n\r\n");
            far.send(EMPTY).await;
        });
        drop(
            client
                .get(URI)
                .expect_continue(Duration::from_secs(3))
                .send()
                .await
                .unwrap(),
        );
    });
}

#[test]
fn interim_answers_are_seen_and_passed_over() {
    run(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n")
                .await;
            far.send(
                "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            )
            .await;
        });
        let mut seen = Vec::new();
        let request = client.get(URI).on_interim(|status, headers| {
            seen.push((status.as_u16(), headers.get("link").map(str::to_owned)));
        });
        let response = request.send().await.unwrap();
        assert!(!response.headers().contains("link"));
        assert_eq!(response.text().await.unwrap(), "ok");
        assert_eq!(seen, [(103, Some("a".to_owned())), (102, None)]);
    });
}

#[test]
fn trailers_follow_a_chunked_body() {
    run(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\nX-Sum: 3\r\n\r\n").await;
        });
        let mut response = client.get(URI).send().await.unwrap();
        assert!(response.trailers().is_none());
        assert_eq!(response.chunk().await.unwrap().unwrap(), "x");
        assert!(response.chunk().await.unwrap().is_none());
        assert_eq!(response.trailers().unwrap().get("x-sum"), Some("3"));
        assert!(!response.headers().contains("x-sum"));
        assert_eq!(client.idle_connections(), 1);
    });
}

#[test]
fn another_protocol_begins_behind_the_head() {
    run(async {
        let (client, _) = to(Client::builder(), |number, mut far| async move {
            let head = far.head().await;
            if number == 0 {
                assert!(head.ends_with("connection: upgrade\r\n\r\n"));
                far.read_until("rye").await;
                far.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\ncontent-length: 3\r\n\r\nhi").await;
            } else {
                let expected = "CONNECT end:443 HTTP/1.1\r\nhost: end:443\r\n\r\n";
                assert_eq!(head, expected);
                far.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhi")
                    .await;
            }
            assert_eq!(far.read_until("!").await, "hello!");
            far.send("bye").await;
        });
        let chat = client.post(URI).header("upgrade", "chat").body("rye");
        let tunnel = client.request(Method::CONNECT, URI).target("end:443");
        for request in [chat, tunnel] {
            let mut stream = request.send().await.unwrap().upgrade().unwrap();
            stream.write_all(b"hello!").await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            assert_eq!(said, "hibye");
        }
        assert_eq!(client.idle_connections(), 0);
    });
}

/// The rest of the body would be read as bytes of the new protocol.
#[test]
fn a_change_of_protocol_within_a_body_is_refused() {
    run(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\n\r\n")
                .await;
            far.until_closed().await;
        });
        let (reader, writer) = waterwheel::runtime::io::pipe().unwrap();
        let request = client.post(URI).header("upgrade", "chat");
        let sent = request.body_reader(reader, Some(4)).send().await;
        assert_eq!(sent.unwrap_err().kind(), RequestErrorKind::Upgrade);
        drop(writer);
        let request = client.post(URI).header("upgrade", "chat").body("rye!");
        let sent = request.expect_continue(Duration::from_secs(5)).send().await;
        assert_eq!(sent.unwrap_err().kind(), RequestErrorKind::Upgrade);
    });
}

#[test]
fn a_protocol_changes_only_if_it_is_asked_for() {
    run(async {
        // The offer, the choice, and whether the protocol changes (RFC 9110, 7.8).
        let rows = [
            ("", "upgrade: chat\r\n", false),
            ("chat", "upgrade: chat\r\n", true),
            ("other, CHAT", "upgrade: Chat\r\n", true),
            ("a, b", "upgrade: b, a\r\n", true),
            ("chat", "upgrade: other\r\n", false),
            ("chat", "upgrade: chat, other\r\n", false),
            ("chat", "upgrade:\r\n", false),
            ("chat", "", false),
        ];
        for (offer, choice, expected) in rows {
            let (client, _) = to(Client::builder(), move |_, mut far| async move {
                far.head().await;
                far.send(format!("HTTP/1.1 101 Switching Protocols\r\n{choice}\r\n"))
                    .await;
                far.until_closed().await;
            });
            let request = client.get(URI);
            let request = if offer.is_empty() {
                request
            } else {
                request.header("Upgrade", offer)
            };
            let kind = request.send().await.map(drop).map_err(|error| error.kind());
            let refused = Err(RequestErrorKind::Upgrade);
            assert_eq!(
                kind,
                if expected { Ok(()) } else { refused },
                "{offer}, {choice}"
            );
        }
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send(EMPTY).await;
        });
        let response = client
            .get(URI)
            .header("upgrade", "chat")
            .send()
            .await
            .unwrap();
        assert_eq!(
            response.upgrade().unwrap_err().kind(),
            RequestErrorKind::Upgrade
        );
    });
}
