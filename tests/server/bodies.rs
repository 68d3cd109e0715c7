//! Bodies of requests and answers: streams, readers, files, and bodies of other crates.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::support::server::TestServer;
use bytes::Bytes;
use futures_lite::{AsyncWriteExt, Stream, StreamExt, stream};
use http_body::{Body as _, Frame};
use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::{
    HeaderMap, HeaderValue, Limits, Method, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::{block_on, race, time, yield_now};

/// Returns a stream of the pieces. If `waits`, the handler waits between them, so that each piece is sent by
/// itself.
fn slowly<D, E>(
    waits: bool,
    pieces: Vec<std::result::Result<D, E>>,
) -> impl Stream<Item = std::result::Result<D, E>> {
    stream::unfold(pieces.into_iter(), move |mut pieces| async move {
        if waits {
            yield_now().await;
        }
        Some((pieces.next()?, pieces))
    })
}

/// Returns a file without a name, of `length` bytes that depend on their position.
fn file(length: usize) -> File {
    let path = std::env::temp_dir().join(format!("waterwheel-{}-{length}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(&pattern(length)).unwrap();
    file
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// A body of another crate: its frames in their order.
struct Frames(VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

async fn sender(request: Request<'_>) -> Result<Responded> {
    let path = request.path();
    let waits = request.query().is_some();
    let sized = |length: usize| [("content-length", length.to_string())];
    match path {
        "/stream" => {
            let pieces = stream::iter(["one", "", "three"]).map(Ok::<_, Infallible>);
            request
                .start(StatusCode::OK, ())
                .await?
                .send_stream(pieces)
                .await
        }
        "/stream/fails" => {
            let pieces = slowly(waits, vec![Ok("one"), Err(std::fmt::Error)]);
            request
                .start(StatusCode::OK, ())
                .await?
                .send_stream(pieces)
                .await
        }
        "/stream/short" => {
            let pieces = slowly(waits, vec![Ok::<_, Infallible>("one")]);
            request
                .start(StatusCode::OK, sized(4))
                .await?
                .send_stream(pieces)
                .await
        }
        "/stream/long" => {
            let pieces = vec![Ok::<_, Infallible>("one"), Ok("two")];
            let pieces = slowly(waits, pieces);
            request
                .start(StatusCode::OK, sized(4))
                .await?
                .send_stream(pieces)
                .await
        }
        "/reader" => {
            let reader = &pattern(100_000)[..];
            request
                .start(StatusCode::OK, sized(100_000))
                .await?
                .send_reader(reader)
                .await
        }
        "/body" => {
            let trailers =
                HeaderMap::from_iter([("x-sum".parse()?, HeaderValue::from_static("8"))]);
            let frames = [
                Frame::data(Bytes::from_static(b"one")),
                Frame::data(Bytes::from_static(b"three")),
                Frame::trailers(trailers),
            ];
            request
                .start(StatusCode::OK, ())
                .await?
                .send_body(Frames(frames.into()))
                .await
        }
        "/itself" => {
            // The answer is the request's body, through http-body's trait.
            let body = request.body();
            request
                .start(StatusCode::OK, ())
                .await?
                .send_body(body)
                .await
        }
        "/file" => {
            let file = file(3_000_000);
            let mut body = request.start(StatusCode::OK, sized(2_999_990)).await?;
            body.send_file(&file, 10..3_000_000).await?;
            body.finish().await
        }
        "/file/chunked" => {
            let file = file(1000);
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("before ").await?;
            body.send_file(&file, 0..10).await?;
            body.send_file(&file, 10..10).await?;
            body.write(" behind").await?;
            body.finish().await
        }
        "/file/short" => {
            let file = file(1000);
            let mut body = request.start(StatusCode::OK, sized(1001)).await?;
            body.send_file(&file, 0..1001).await?;
            body.finish().await
        }
        "/save" => {
            let file = file(0);
            let length = request.body().to_file(file.try_clone()?, 200_000).await?;
            let mut saved = Vec::new();
            let mut file = file;
            file.rewind()?;
            file.read_to_end(&mut saved)?;
            assert_eq!(saved.len() as u64, length);
            request.respond(StatusCode::OK, saved, ()).await
        }
        _ => request.respond(StatusCode::NOT_FOUND, "", ()).await,
    }
}

fn ask(method: &Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    block_on(async {
        TestClient::new(sender)
            .request(method, path, headers, body)
            .await
    })
}

fn get(path: &str) -> Answer {
    ask(&Method::GET, path, &[], b"")
}

/// Reads the whole answer over a real socket.
fn over_tcp(request: &str) -> Vec<u8> {
    let server = TestServer::start(Server::builder(), || sender);
    let mut client = server.client();
    client.send(request);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.stream.read_to_end(&mut all).unwrap();
    let head = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    all.split_off(head + 4)
}

#[test]
fn a_stream_is_sent_in_chunks_and_to_an_http10_client_until_the_end() {
    let chunks = over_tcp("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(chunks, b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"); // RFC 9112, 7.1
    let bare = over_tcp("GET /stream HTTP/1.0\r\n\r\n");
    assert_eq!(bare, b"onethree"); // RFC 9112, 6.3
}

#[test]
fn a_client_can_tell_half_a_stream_from_a_whole_one() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let mut body = request.start(StatusCode::OK, ()).await?;
            body.write("half").await?;
            body.flush().await?;
            Err::<Responded, _>(io::Error::other("and no more").into())
        }
    });
    let ask = |request: &str| {
        let mut client = server.client();
        client.send(request);
        let mut answer = Vec::new();
        let end = client.stream.read_to_end(&mut answer);
        (end.map_err(|error| error.kind()).err(), answer)
    };
    let (end, chunks) = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(end, None);
    assert!(chunks.ends_with(b"\r\n\r\n4\r\nhalf\r\n")); // the last chunk is missing
    let (end, bare) = ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(end, Some(io::ErrorKind::ConnectionReset)); // RFC 9112, 8
    assert!(bare.ends_with(b"\r\n\r\nhalf"));
}

#[test]
fn a_stream_that_fails_or_has_a_wrong_length_is_a_500_before_the_first_byte() {
    for path in ["/stream/fails", "/stream/short", "/stream/long"] {
        let answer = get(path);
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert_eq!(answer.headers["connection"], "close");
    }
}

#[test]
fn a_stream_that_fails_or_has_a_wrong_length_cuts_the_connection_after_the_first_byte() {
    // RFC 9112, 8: the cut shows the client that the answer is not whole. No byte is sent beyond the length.
    for (path, sent) in [
        ("/stream/fails?out", "3\r\none\r\n"),
        ("/stream/short?out", "one"),
        ("/stream/long?out", "one"),
    ] {
        let body = over_tcp(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(body, sent.as_bytes(), "{path}");
    }
}

#[test]
fn the_answers_before_a_withdrawn_one_are_sent() {
    let server = TestServer::start(Server::builder(), || sender);
    let pair = "GET /404 HTTP/1.1\r\nHost: x\r\n\r\nGET /stream/fails HTTP/1.1\r\nHost: x\r\n\r\n";
    let answers = server.exchange(&[pair.as_bytes()]);
    assert_eq!(
        answers,
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n\
         HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: 22\r\nconnection: close\r\n\r\ninternal server error\n"
    );
}

#[test]
fn an_answer_from_a_reader_is_sent_whole() {
    assert_eq!(get("/reader").body, pattern(100_000));
}

#[test]
fn a_body_of_another_crate_is_sent_with_its_trailers() {
    let answer = get("/body");
    assert_eq!(answer.text(), "onethree");
    assert_eq!(answer.trailers["x-sum"], "8");
}

#[test]
fn a_request_body_is_a_body_of_http_body_with_its_trailers() {
    block_on(async {
        let mut client = TestClient::new(sender);
        client
            .send("POST /itself HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\nX-Sum: 8\r\n\r\n")
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.text(), "onethree");
        assert_eq!(answer.trailers["x-sum"], "8");
        // The next request begins behind the trailers.
        assert_eq!(client.post("/itself", "again").await.text(), "again");
    });
}

#[test]
fn a_body_reports_its_length_and_its_end() {
    block_on(async {
        let mut client = TestClient::new(async |request: Request<'_>| {
            let mut body = request.body();
            assert_eq!(http_body::Body::size_hint(&body).exact(), Some(5));
            assert!(!body.is_end_stream());
            while body.next().await?.is_some() {}
            assert!(body.is_end_stream());
            request.respond(StatusCode::OK, "", ()).await
        });
        assert_eq!(client.post("/", "12345").await.status, StatusCode::OK);
    });
}

#[test]
fn a_malformed_body_is_the_clients_fault_in_each_way_of_reading() {
    block_on(async {
        for path in ["/itself", "/save"] {
            let mut client = TestClient::new(async |request: Request<'_>| {
                if request.path() == "/save" {
                    return sender(request).await;
                }
                let mut text = String::new();
                futures_lite::AsyncReadExt::read_to_string(&mut request.body(), &mut text).await?;
                request.respond(StatusCode::OK, text, ()).await
            });
            client
                .send(format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
                ))
                .await;
            assert_eq!(
                client.answer().await.status,
                StatusCode::BAD_REQUEST,
                "{path}"
            );
        }
    });
}

#[test]
fn an_unread_body_is_discarded_up_to_a_limit() {
    async fn ignore(request: Request<'_>) -> Result<Responded> {
        let path = request.path();
        request.respond(StatusCode::OK, path, ()).await
    }
    let kept = |framing: &str, body: &str| {
        let limits = Limits::default().with(|limits| limits.drain_bytes_max = 8);
        let first = format!("POST /1 HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n{body}");
        block_on(async {
            let mut client = TestClient::with(Server::builder().limits(limits), ignore);
            let second = "GET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            client
                .send([first.as_bytes(), second.as_bytes()].concat())
                .await;
            client.end();
            let all = client.read_to_end().await;
            String::from_utf8(all).unwrap().ends_with("\r\n\r\n/2")
        })
    };
    let chunked = "transfer-encoding: chunked";
    assert!(kept("content-length: 8", "12345678"));
    assert!(!kept("content-length: 9", "123456789"));
    // The bytes that end a body do not count, in any number of chunks.
    assert!(kept(chunked, "8\r\n12345678\r\n0\r\n\r\n"));
    assert!(kept(chunked, "4\r\n1234\r\n4\r\n5678\r\n0\r\na: b\r\n\r\n"));
    assert!(!kept(chunked, "9\r\n123456789\r\n0\r\n\r\n"));
    assert!(!kept(chunked, "8\r\n12345678\r\n1\r\n9\r\n0\r\n\r\n"));
}

#[test]
fn a_file_is_sent_alike_by_sendfile_and_through_memory() {
    let over_tcp = over_tcp("GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(over_tcp == pattern(3_000_000)[10..]);
    assert!(get("/file").body == pattern(3_000_000)[10..]);
}

#[test]
fn a_part_of_a_file_is_sent_as_one_chunk() {
    let expected = [b"before ", &pattern(10)[..], b" behind"].concat();
    assert_eq!(get("/file/chunked").body, expected);
    let chunks = over_tcp("GET /file/chunked HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        chunks.starts_with(b"7\r\nbefore \r\na\r\n\x00\x01"),
        "{chunks:?}"
    );
}

#[test]
fn a_file_that_is_shorter_than_announced_cuts_the_connection() {
    let body = over_tcp("GET /file/short HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(body.len(), 1000);
}

/// Drops a large write half-way, then continues with the answer.
async fn impatient(request: Request<'_>) -> Result<Responded> {
    let large = vec![b'x'; 256 * 1024];
    let mut body = match request.path() {
        "/sized" => {
            let length = [("content-length", large.len().to_string())];
            request.start(StatusCode::OK, length).await?
        }
        _ => request.start(StatusCode::OK, ()).await?,
    };
    let sent = race(async { Some(body.write(&large).await) }, async {
        yield_now().await;
        None
    });
    assert!(sent.await.is_none(), "the write fits into the room");
    body.finish().await
}

#[test]
fn an_answer_with_a_dropped_write_cuts_the_connection() {
    for path in ["/sized", "/chunked"] {
        block_on(async {
            time::pause();
            let mut client = TestClient::new(impatient);
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            client.send(request.repeat(2)).await;
            let read = client.read_to_end().await;
            let heads = read.windows(5).filter(|five| five == b"HTTP/").count();
            assert_eq!(heads, 1, "{path}: another answer is inside this one's body");
            assert!(!read.ends_with(b"0\r\n\r\n"), "{path}: it looks whole");
        });
    }
}

#[test]
fn an_answer_whose_client_has_left_cannot_be_finished() {
    block_on(async {
        let finished = Rc::new(Cell::new(None));
        let reported = finished.clone();
        let client = TestClient::new(async move |request: Request<'_>| {
            let mut body = request.start(StatusCode::OK, ()).await?;
            while body.write([b'x'; 4096]).await.is_ok() {}
            let error = body.finish().await.unwrap_err();
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            reported.set(kind);
            Err(error)
        });
        let (mut stream, _) = client.into_stream();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        yield_now().await;
        drop(stream);
        for _ in 0..1_000 {
            yield_now().await;
        }
        assert_eq!(finished.get(), Some(io::ErrorKind::BrokenPipe));
    });
}

#[test]
fn an_answer_without_a_body_reads_no_byte_of_its_source() {
    for path in [
        "/stream",
        "/reader",
        "/body",
        "/file",
        "/stream/short",
        "/file/short",
    ] {
        let answer = ask(&Method::HEAD, path, &[], b"");
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::OK, 0),
            "{path}"
        );
    }
}

#[test]
fn a_body_is_saved_into_a_file_up_to_a_limit() {
    for length in [0, 1, 131_072, 200_000] {
        let body = pattern(length);
        let answer = ask(&Method::POST, "/save", &[], &body);
        assert!(answer.body == body, "{length}");
    }
    let too_long = ask(&Method::POST, "/save", &[], &pattern(200_001));
    assert_eq!(too_long.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// If each piece needed a new buffer, the time would grow with the square of the number of pieces.
#[test]
fn many_small_chunks_take_time_in_proportion_to_their_bytes() {
    const CHUNKS: usize = 6 * 1024 * 1024 / 16;
    async fn count(request: Request<'_>) -> Result<Responded> {
        let length = request.bytes().await?.len().to_string();
        request.respond(StatusCode::OK, length, ()).await
    }
    let server = TestServer::start(Server::builder(), || count);
    let mut client = server.client().stream;
    let began = Instant::now();
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "10\r\n0123456789abcdef\r\n".repeat(CHUNKS) + "0\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n6291456"), "{answer}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn interim_answers_are_sent_first_and_only_to_http11_clients() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            request.inform(StatusCode::EARLY_HINTS, [("link", "</a.css>; rel=preload")])?;
            assert!(request.inform(StatusCode::OK, ()).is_err());
            assert!(request.inform(StatusCode::CONTINUE, ()).is_err());
            assert!(request.inform(StatusCode::SWITCHING_PROTOCOLS, ()).is_err());
            request.respond(StatusCode::OK, "", ()).await
        }
    });
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n";
    let new = server.exchange(&[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert_eq!(new, format!("{hint}{answer}\r\n")); // RFC 8297
    let old = server.exchange(&[b"GET / HTTP/1.0\r\n\r\n"]);
    assert_eq!(old, format!("{answer}connection: close\r\n\r\n")); // RFC 9110, 15.2
}

#[test]
fn an_interim_status_as_the_final_answer_is_an_error() {
    block_on(async {
        let mut client = TestClient::new(async |request: Request<'_>| match request.path() {
            "/100" => request.respond(StatusCode::CONTINUE, "", ()).await,
            "/103" => {
                request
                    .start(StatusCode::EARLY_HINTS, ())
                    .await?
                    .finish()
                    .await
            }
            _ => request.respond(StatusCode::OK, "", ()).await,
        });
        assert_eq!(client.get("/200").await.status, StatusCode::OK);
        assert_eq!(
            client.get("/100").await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        let mut client = TestClient::new(async |request: Request<'_>| {
            request
                .start(StatusCode::EARLY_HINTS, ())
                .await?
                .finish()
                .await
        });
        assert_eq!(
            client.get("/103").await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    });
}
