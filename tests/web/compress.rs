//! Compressed answers as other programs read them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::pin::Pin;
use std::process::Command;
use std::rc::Rc;
use std::task::{Context, Poll};

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::compress::{Compress, compress};
use waterwheel::http::web::files::Files;
use waterwheel::http::web::middleware::access_log;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{
    AnswerCoder, BodyEncoder, HeaderMap, Method, Request, Result, Server, StatusCode,
};
use waterwheel::runtime::block_on;

use crate::support::programs::tool;
use crate::support::server::TestServer;

/// A text of two megabytes that compresses neither to almost no bytes nor hardly.
fn long_text() -> String {
    let mut state = 1_u32;
    let words = (0..300_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{:x} ", state >> 12)
    });
    words.collect()
}

#[test]
fn curl_decodes_each_coding_of_files_and_of_answers() {
    let Some(curl) = tool("curl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = long_text();
    fs::write(folder.path().join("long.txt"), &text).unwrap();
    let root = folder.path().to_owned();
    let shown_text = text.clone();
    let server = TestServer::start(Server::builder(), move || {
        let files = Files::new(&root).unwrap();
        compress(
            Router::new()
                .get("/text", async move || shown_text.clone())
                .nest("/files", files),
        )
    });
    for coding in ["gzip", "deflate", "br", "zstd", "identity"] {
        for path in ["text", "files/long.txt"] {
            let out = folder.path().join("out");
            let status = Command::new(&curl)
                .args(["-s", "-S", "--max-time", "30", "--compressed"])
                .args(["-H", &format!("accept-encoding: {coding}")])
                .args(["-w", "%{size_download} %header{content-encoding}", "-o"])
                .arg(&out)
                .arg(format!("http://{}/{path}", server.address))
                .output()
                .unwrap();
            let shown = String::from_utf8(status.stdout).unwrap();
            assert!(status.status.success(), "{coding} {path}: {shown}");
            let (sent, coded) = shown.split_once(' ').unwrap();
            let sent: usize = sent.parse().unwrap();
            if coding == "identity" {
                assert_eq!((sent, coded), (text.len(), ""), "{path}");
            } else {
                assert!(sent < text.len() * 2 / 3, "{coding} {path}: {shown}");
                assert_eq!(coded, coding, "{path}");
            }
            assert!(fs::read_to_string(&out).unwrap() == text, "{coding} {path}");
        }
    }
}

/// Returns the status and the named field of each answer.
fn ask(rows: &[(&str, &[(&str, &str)])], name: &str) -> Vec<(u16, Option<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let page = "The mill turns. ".repeat(1000);
    fs::write(folder.path().join("page.html"), &page).unwrap();
    let files = Files::new(folder.path()).unwrap();
    block_on(async {
        let mut client = TestClient::new(compress(files));
        let mut found = Vec::new();
        for (path, fields) in rows {
            let answer = client.request(&Method::GET, path, fields, b"").await;
            let value = answer.headers.get(name);
            let value = value.map(|value| value.to_str().unwrap().to_owned());
            found.push((answer.status.as_u16(), value));
        }
        found
    })
}

#[test]
fn a_range_of_a_file_is_of_the_file_itself() {
    let range = ("range", "bytes=0-3");
    let gzip = ("accept-encoding", "gzip");
    let found = ask(&[("/page.html", &[range, gzip])], "content-encoding");
    assert_eq!(found, [(206, None)]);
    // The weak tag of a compressed answer does not continue a download (RFC 9110, 13.1.5).
    let etag = ask(&[("/page.html", &[gzip])], "etag").remove(0).1.unwrap();
    assert!(etag.starts_with("W/"), "{etag}");
    let if_range = ("if-range", etag.as_str());
    let found = ask(
        &[("/page.html", &[range, gzip, if_range])],
        "content-encoding",
    );
    assert_eq!(found, [(200, Some("gzip".to_owned()))]);
}

#[test]
fn a_client_that_has_the_compressed_page_gets_a_304() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let mut file = File::create(&path).unwrap();
    file.write_all("The mill turns. ".repeat(1000).as_bytes())
        .unwrap();
    let files = Files::new(folder.path()).unwrap();
    block_on(async {
        let mut client = TestClient::new(compress(files));
        let gzip = ("accept-encoding", "gzip");
        let first = client
            .request(&Method::GET, "/page.html", &[gzip], b"")
            .await;
        let etag = first.headers["etag"].to_str().unwrap();
        let fields = [gzip, ("if-none-match", etag)];
        let again = client
            .request(&Method::GET, "/page.html", &fields, b"")
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers["etag"], etag);
        assert_eq!(again.headers["vary"], "accept-encoding");
    });
}

#[test]
fn the_access_log_has_the_bytes_that_were_sent() {
    let (sender, lines) = std::sync::mpsc::channel();
    let page = async |request: Request<'_>| {
        let headers = [("content-type", "text/plain")];
        let mut body = request.start(StatusCode::OK, headers).await?;
        body.write("mill ".repeat(50_000)).await?;
        body.finish().await
    };
    let handler = access_log(Compress::new().around(page), move |entry| {
        sender.send(entry.combined().to_string()).unwrap();
    });
    block_on(async {
        let fields = [("accept-encoding", "gzip")];
        let mut client = TestClient::new(handler);
        let answer = client.request(&Method::GET, "/", &fields, b"").await;
        let line = lines.recv().unwrap();
        let sent = format!(" 200 {} ", answer.body.len());
        assert!(line.contains(&sent), "{line}");
    });
}

/// Reads from a stream until the gzip body so far decodes to `expected`.
fn read_until_decoded(client: &mut crate::support::server::Client, expected: &str) {
    use std::io::Read;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = client.stream.read(&mut piece).expect("more bytes in time");
        assert!(count > 0, "ended early");
        bytes.extend(&piece[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let mut decoded = vec![0; expected.len()];
        let mut reader = flate2::read::GzDecoder::new(&bytes[end + 4..]);
        if reader.read_exact(&mut decoded).is_ok() {
            assert_eq!(decoded, expected.as_bytes());
            return;
        }
    }
}

/// tower-http 292, actix-web 3410: without compression, a client has each item while the stream waits.
#[test]
fn a_source_that_waits_sends_the_bytes_so_far() {
    let handler = async |request: Request<'_>| {
        let headers = [("content-type", "text/plain")];
        let path = request.path().to_owned();
        let body = request.start(StatusCode::OK, headers).await?;
        match &*path {
            "/stream" => body.send_stream(Slow::default()).await,
            "/body" => body.send_body(Slow::default()).await,
            _ => body.send_reader(Slow::default()).await,
        }
    };
    for path in ["/stream", "/body", "/reader"] {
        let server = TestServer::start(Server::builder(), move || compress(handler));
        let mut client = server.client();
        // To HTTP/1.0 the body has no chunks.
        client.send(format!(
            "GET {path} HTTP/1.0\r\naccept-encoding: gzip\r\n\r\n"
        ));
        read_until_decoded(&mut client, "first");
    }
}

/// A source of one piece, and then of no more, and of no end.
#[derive(Default)]
struct Slow {
    is_sent: bool,
}

impl Slow {
    fn poll(&mut self) -> Poll<&'static str> {
        if self.is_sent {
            return Poll::Pending;
        }
        self.is_sent = true;
        Poll::Ready("first")
    }
}

impl futures_lite::Stream for Slow {
    type Item = Result<&'static str>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll().map(|piece| Some(Ok(piece)))
    }
}

impl futures_lite::AsyncRead for Slow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll().map(|piece| {
            buffer[..piece.len()].copy_from_slice(piece.as_bytes());
            Ok(piece.len())
        })
    }
}

impl http_body::Body for Slow {
    type Data = &'static [u8];
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<&'static [u8]>>>> {
        let piece = self.poll();
        piece.map(|piece| Some(Ok(http_body::Frame::data(piece.as_bytes()))))
    }
}

/// A coder whose encoder fails or panics at a function of this name.
struct FailsAt(&'static str, bool);

impl FailsAt {
    fn at(&self, place: &str) -> io::Result<()> {
        if self.0 != place {
            return Ok(());
        }
        assert!(!self.1, "on purpose");
        Err(io::Error::other("on purpose"))
    }
}

impl AnswerCoder for FailsAt {
    fn begin(
        &self,
        _: StatusCode,
        _: Option<u64>,
        _: &mut HeaderMap,
    ) -> Option<Box<dyn BodyEncoder>> {
        self.at("begin").unwrap();
        Some(Box::new(Self(self.0, self.1)))
    }
}

impl BodyEncoder for FailsAt {
    fn encode(&mut self, data: &[u8], coded: &mut Vec<u8>) -> io::Result<()> {
        coded.extend(data);
        self.at("encode")
    }

    fn flush(&mut self, coded: &mut Vec<u8>) -> io::Result<()> {
        coded.extend(b"|");
        self.at("flush")
    }

    fn finish(&mut self, coded: &mut Vec<u8>) -> io::Result<()> {
        coded.extend(b".");
        self.at("finish")
    }
}

#[test]
fn an_encoder_that_fails_ends_the_answer_without_its_end() {
    let handler = async |request: Request<'_>| {
        let (place, panics) = match request.query().unwrap_or_default().split_once('&') {
            Some((place, _)) => (place, true),
            None => (request.query().unwrap_or_default(), false),
        };
        let places = ["begin", "encode", "flush", "finish"];
        let place = places.into_iter().find(|other| *other == place);
        request.set_answer_coder(Rc::new(FailsAt(place.unwrap_or("never"), panics)));
        if request.path() == "/whole" {
            return request.respond(StatusCode::OK, "flour", ()).await;
        }
        let mut body = request.start(StatusCode::OK, ()).await?;
        body.write("flour").await?;
        // A handler may take the flush for a hint, and ignore its error.
        drop(body.flush().await);
        body.finish().await
    };
    let server = TestServer::start(Server::builder(), move || handler);
    for path in ["/whole", "/pieces"] {
        for place in ["begin", "encode", "flush", "finish", "never"] {
            for panics in ["", "&panics"] {
                let request = format!("GET {path}?{place}{panics} HTTP/1.1\r\nhost: a\r\n\r\n");
                let answer = server.exchange(&[request.as_bytes()]);
                let fails = place != "never" && (path, place) != ("/whole", "flush");
                let is_whole = answer.ends_with("\r\n\r\nflour.")
                    || answer.ends_with("\r\n7\r\nflour|.\r\n0\r\n\r\n")
                    || answer.ends_with("\r\n1\r\n.\r\n0\r\n\r\n");
                assert_eq!(is_whole, !fails, "{request}: {answer}");
                let is_cut = answer.starts_with("HTTP/1.1 500 ") || !answer.ends_with("0\r\n\r\n");
                assert!(is_whole || is_cut, "{request}: {answer}");
            }
        }
    }
}

#[test]
fn many_small_pieces_take_few_turns() {
    let handler = async |request: Request<'_>| {
        let headers = [("content-type", "text/csv")];
        let mut body = request.start(StatusCode::OK, headers).await?;
        for row in 0..1000 {
            body.write(format!("{row},flour\n")).await?;
        }
        body.finish().await
    };
    block_on(async {
        let turns = Rc::new(std::cell::Cell::new(0));
        let counted = turns.clone();
        let other = waterwheel::runtime::spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                waterwheel::runtime::yield_now().await;
            }
        });
        let mut client = TestClient::new(compress(handler));
        let fields = [("accept-encoding", "gzip")];
        let answer = client.request(&Method::GET, "/", &fields, b"").await;
        assert_eq!(answer.headers["content-encoding"], "gzip");
        // 10 KB are less than the work of one turn.
        assert!(turns.get() < 50, "{} turns", turns.get());
        other.abort();
    });
}

#[test]
fn a_pipeline_of_compressed_answers_lets_other_tasks_run() {
    let page = "The mill turns. ".repeat(4000);
    let handler = async move |request: Request<'_>| {
        let headers = [("content-type", "text/plain")];
        request.respond(StatusCode::OK, &page, headers).await
    };
    block_on(async {
        let polls = Rc::new(std::cell::Cell::new(0));
        let counted = polls.clone();
        let other = waterwheel::runtime::spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                waterwheel::runtime::yield_now().await;
            }
        });
        let mut client = TestClient::new(compress(handler));
        let request = "GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n";
        client.send(request.repeat(30)).await;
        for _ in 0..30 {
            client.answer().await;
        }
        // Each answer is of two times 32 KiB.
        assert!(polls.get() >= 30, "{} turns", polls.get());
        other.abort();
    });
}

#[test]
fn nested_compression_compresses_once() {
    let handler = async |request: Request<'_>| {
        let headers = [("content-type", "text/plain")];
        request
            .respond(StatusCode::OK, "mill ".repeat(1000), headers)
            .await
    };
    block_on(async {
        let mut client = TestClient::new(compress(compress(handler)));
        let fields = [("accept-encoding", "gzip")];
        let answer = client.request(&Method::GET, "/", &fields, b"").await;
        let codings: Vec<_> = answer.headers.get_all("content-encoding").iter().collect();
        assert_eq!(codings, ["gzip"]);
        let varies: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert_eq!(varies, ["accept-encoding"]);
    });
}

#[test]
fn a_content_length_that_lies_fails_with_a_coder_as_without() {
    let handler = async |request: Request<'_>| {
        let length = request.query().unwrap_or_default().to_owned();
        let headers = [
            ("content-type", "text/plain"),
            ("content-length", length.as_str()),
        ];
        let body = "mill ".repeat(1000);
        request.respond(StatusCode::OK, body, headers).await
    };
    for (length, status) in [("5000", 200), ("5001", 500), ("+5000", 500), ("many", 500)] {
        for accepts in ["gzip", "identity"] {
            let answer = block_on(async {
                let fields = [("accept-encoding", accepts)];
                let mut client = TestClient::new(compress(handler));
                let target = format!("/?{length}");
                client.request(&Method::GET, &target, &fields, b"").await
            });
            assert_eq!(answer.status.as_u16(), status, "{length} {accepts}");
        }
    }
}
