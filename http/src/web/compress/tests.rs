use std::io::Read;
use std::time::Duration;

use futures_lite::AsyncReadExt as _;
use http::Method;
use waterwheel_runtime::block_on;
use waterwheel_runtime::time::{sleep, timeout};

use super::*;
use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::testing::{Answer, TestClient};

const TEXT: [(&str, &str); 1] = [("content-type", "text/plain; charset=utf-8")];

async fn long_text(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, long(), TEXT).await
}

fn long() -> String {
    "The mill turns. ".repeat(200)
}

fn ask(handler: impl Handler, accepts: &str) -> Answer {
    ask_by(&Method::GET, handler, accepts)
}

fn ask_by(method: &Method, handler: impl Handler, accepts: &str) -> Answer {
    let fields = [("accept-encoding", accepts)];
    block_on(async {
        TestClient::new(compress(handler))
            .request(method, "/", &fields, b"")
            .await
    })
}

/// Decodes a whole body by the decoders of the same crates.
fn decode(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let read = decoder(coding, body).read_to_end(&mut decoded);
    read.expect("the body is whole");
    decoded
}

fn decoder<'a>(coding: &str, body: &'a [u8]) -> Box<dyn Read + 'a> {
    match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(body)),
        "deflate" => Box::new(flate2::read::ZlibDecoder::new(body)),
        #[cfg(feature = "compress-brotli")]
        "br" => Box::new(brotli::Decompressor::new(body, 4096)),
        #[cfg(feature = "compress-zstd")]
        "zstd" => Box::new(zstd::stream::read::Decoder::new(body).expect("there is memory")),
        _ => Box::new(body),
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok()
}

/// The codings of this build.
fn codings() -> Vec<&'static str> {
    let all = ContentCoding::ALL.into_iter();
    all.filter(|coding| encoders::maker(*coding).is_some())
        .map(ContentCoding::token)
        .collect()
}

#[test]
fn a_body_in_each_coding_decodes_to_itself() {
    for coding in codings() {
        let answer = ask(long_text, coding);
        assert_eq!(header(&answer, "content-encoding"), Some(coding));
        assert_eq!(header(&answer, "vary"), Some("accept-encoding"));
        let length = answer.body.len().to_string();
        assert_eq!(
            header(&answer, "content-length"),
            Some(&*length),
            "{coding}"
        );
        assert!(answer.body.len() < 200, "{coding}: {}", answer.body.len());
        assert_eq!(decode(coding, &answer.body), long().as_bytes(), "{coding}");
    }
}

#[test]
fn a_body_of_any_length_and_in_any_pieces_decodes_to_itself() {
    // The borders: one piece, the whole at once, and more than that.
    for length in [1, 1023, 1024, 32 * 1024, 64 * 1024, 64 * 1024 + 1, 300_000] {
        let letters = (b'a'..b'x').map(char::from).cycle();
        let text: Rc<str> = letters.take(length).collect::<String>().into();
        for piece_bytes in [1000, 40_000, usize::MAX] {
            for coding in codings() {
                let text = text.clone();
                let expected = text.clone();
                let handler = async move |request: Request<'_>| {
                    if piece_bytes == usize::MAX {
                        return request.respond(StatusCode::OK, &*text, TEXT).await;
                    }
                    let mut body = request.start(StatusCode::OK, TEXT).await?;
                    for piece in text.as_bytes().chunks(piece_bytes) {
                        body.write(piece).await?;
                    }
                    body.finish().await
                };
                let fields = [("accept-encoding", coding)];
                let answer = block_on(async {
                    let handler = Compress::new().bytes_min(0).around(handler);
                    let mut client = TestClient::new(handler);
                    client.request(&Method::GET, "/", &fields, b"").await
                });
                assert_eq!(header(&answer, "content-encoding"), Some(coding));
                let is_same = decode(coding, &answer.body) == expected.as_bytes();
                assert!(is_same, "{coding}, {length} in pieces of {piece_bytes}");
            }
        }
    }
}

#[test]
fn a_client_gets_the_coding_that_it_prefers() {
    let best = codings()[0];
    for (accepts, coding) in [
        ("gzip", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("deflate", Some("deflate")),
        ("gzip;q=0.5, deflate", Some("deflate")),
        ("*", Some(best)),
        ("", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("compress, x-mill", None),
    ] {
        let answer = ask(long_text, accepts);
        assert_eq!(header(&answer, "content-encoding"), coding, "{accepts}");
        assert_eq!(
            header(&answer, "vary"),
            Some("accept-encoding"),
            "{accepts}"
        );
        assert_eq!(
            decode(coding.unwrap_or(""), &answer.body),
            long().as_bytes()
        );
    }
}

#[test]
fn an_answer_that_must_stay_as_it_is_stays_as_it_is() {
    let rows: [(u16, &[(&str, &str)]); 15] = [
        (200, &[]),
        (200, &[("content-type", "image/png")]),
        (200, &[("content-type", "text/event-stream")]),
        (200, &[("content-type", "text/event-stream; charset=utf-8")]),
        (200, &[("content-type", "application/octet-stream")]),
        (200, &[TEXT[0], ("content-encoding", "br")]),
        (
            200,
            &[TEXT[0], ("cache-control", "max-age=1, No-Transform")],
        ),
        (200, &[TEXT[0], ("repr-digest", "sha-256=:AA==:")]),
        (200, &[TEXT[0], ("content-digest", "sha-256=:AA==:")]),
        (200, &[TEXT[0], ("content-md5", "AA==")]),
        (200, &[TEXT[0], ("signature", "sig=:AA==:")]),
        (206, &[TEXT[0], ("content-range", "bytes 0-3199/9999")]),
        (200, &[TEXT[0], ("content-range", "bytes 0-3199/9999")]),
        (206, &[("content-type", "multipart/byteranges; boundary=x")]),
        (206, &[("content-type", "text/plain")]),
    ];
    for (status, fields) in rows {
        let handler = async move |request: Request<'_>| {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            request.respond(status, long(), fields).await
        };
        let answer = ask(handler, "gzip");
        assert_eq!(answer.text(), long(), "{fields:?}");
        // The whole of a part depends on the client (RFC 9110, 15.3.7).
        let vary = (status == 206).then_some("accept-encoding");
        assert_eq!(header(&answer, "vary"), vary, "{fields:?}");
        assert_eq!(
            header(&answer, "content-length"),
            Some("3200"),
            "{fields:?}"
        );
    }
}

#[test]
fn a_short_body_is_not_compressed_and_one_of_unknown_length_is() {
    let short =
        async |request: Request<'_>| request.respond(StatusCode::OK, [b'a'; 1023], TEXT).await;
    assert_eq!(header(&ask(short, "gzip"), "content-encoding"), None);
    let enough =
        async |request: Request<'_>| request.respond(StatusCode::OK, [b'a'; 1024], TEXT).await;
    assert!(header(&ask(enough, "gzip"), "content-encoding").is_some());
    let announced = async |request: Request<'_>| {
        let headers = [TEXT[0], ("content-length", "3")];
        let mut body = request.start(StatusCode::OK, headers).await?;
        body.write("abc").await?;
        body.finish().await
    };
    let answer = ask(announced, "gzip");
    assert_eq!(
        (&*answer.text(), header(&answer, "content-length")),
        ("abc", Some("3"))
    );
    let unknown = async |request: Request<'_>| {
        let mut body = request.start(StatusCode::OK, TEXT).await?;
        body.write("abc").await?;
        body.finish().await
    };
    let answer = ask(unknown, "gzip");
    assert_eq!(decode("gzip", &answer.body), b"abc");
}

#[test]
fn the_media_types_of_texts_are_known() {
    let settings = Compress::new().also("Application/VND.Mill");
    for (content_type, is_known) in [
        ("text/html", true),
        ("TEXT/HTML;charset=utf-8", true),
        ("text/css ; a=b", true),
        ("application/json", true),
        ("application/problem+json", true),
        ("application/atom+xml", true),
        ("image/svg+xml", true),
        ("application/wasm", true),
        ("font/ttf", true),
        ("application/vnd.mill", true),
        ("application/vnd.mill2", false),
        ("font/woff2", false),
        ("image/webp", false),
        ("video/mp4", false),
        ("application/zip", false),
        ("text", false),
        ("", false),
    ] {
        let value = HeaderValue::from_static(content_type);
        assert_eq!(settings.is_compressible(&value), is_known, "{content_type}");
    }
}

#[test]
fn validators_and_ranges_fit_a_coded_body() {
    let handler = async |request: Request<'_>| {
        let headers = [
            TEXT[0],
            ("etag", "\"1\""),
            ("accept-ranges", "bytes"),
            ("vary", "cookie"),
        ];
        request.respond(StatusCode::OK, long(), headers).await
    };
    let answer = ask(handler, "gzip");
    assert_eq!(header(&answer, "etag"), Some("W/\"1\""));
    assert_eq!(header(&answer, "accept-ranges"), None);
    let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["cookie", "accept-encoding"]);
    let plain = ask(handler, "identity");
    assert_eq!(header(&plain, "etag"), Some("\"1\""));
    assert_eq!(header(&plain, "accept-ranges"), Some("bytes"));
}

#[test]
fn a_304_has_the_validator_and_the_vary_of_the_200() {
    let handler = async |request: Request<'_>| {
        request
            .respond(StatusCode::NOT_MODIFIED, "", [("etag", "\"1\"")])
            .await
    };
    let answer = ask(handler, "gzip");
    assert_eq!(header(&answer, "etag"), Some("W/\"1\""));
    assert_eq!(header(&answer, "vary"), Some("accept-encoding"));
}

#[test]
fn a_304_and_a_206_have_the_vary_of_the_200_for_each_client() {
    // RFC 9110, 15.3.7 and 15.4.5
    let unchanged = async |request: Request<'_>| {
        let headers = [("etag", "\"1\"")];
        request.respond(StatusCode::NOT_MODIFIED, "", headers).await
    };
    let part = async |request: Request<'_>| {
        let headers = [TEXT[0], ("content-range", "bytes 0-3/3200")];
        request
            .respond(StatusCode::PARTIAL_CONTENT, "long", headers)
            .await
    };
    for accepts in ["gzip", "identity", ""] {
        let answer = ask(unchanged, accepts);
        assert_eq!(
            header(&answer, "vary"),
            Some("accept-encoding"),
            "{accepts}"
        );
        let answer = ask(part, accepts);
        assert_eq!(
            header(&answer, "vary"),
            Some("accept-encoding"),
            "{accepts}"
        );
        assert_eq!(
            (header(&answer, "content-encoding"), &*answer.body),
            (None, &b"long"[..])
        );
    }
}

#[test]
fn an_answer_to_head_has_the_fields_of_the_answer_to_get() {
    let pieces = async |request: Request<'_>| {
        let mut body = request
            .start(StatusCode::OK, [TEXT[0], ("content-length", "3200")])
            .await?;
        if body.is_sent() {
            body.write(long()).await?;
        }
        body.finish().await
    };
    let differing = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.remove("date");
        headers.remove("transfer-encoding"); // may be left out (RFC 9112, 6.1)
        (answer.status, headers)
    };
    let (get, head) = (
        ask(long_text, "gzip"),
        ask_by(&Method::HEAD, long_text, "gzip"),
    );
    assert_eq!(differing(&get), differing(&head));
    assert!(head.body.is_empty());
    let (get, head) = (ask(pieces, "gzip"), ask_by(&Method::HEAD, pieces, "gzip"));
    assert_eq!(differing(&get), differing(&head));
    assert!(head.body.is_empty());
}

#[test]
fn a_flush_sends_all_bytes_so_far() {
    for coding in codings() {
        let handler = async |request: Request<'_>| {
            let mut body = request.start(StatusCode::OK, TEXT).await?;
            body.write("first").await?;
            body.flush().await?;
            sleep(Duration::from_secs(3600)).await;
            body.finish().await
        };
        // To HTTP/1.0 the body has no chunks.
        let head = format!("GET / HTTP/1.0\r\naccept-encoding: {coding}\r\n\r\n");
        block_on(async {
            let mut client = TestClient::new(compress(handler));
            client.send(head).await;
            let (mut stream, mut bytes) = client.into_stream();
            let mut piece = [0; 4096];
            while !has_first(coding, &bytes) {
                let read = stream.read(&mut piece);
                let read = timeout(Duration::from_secs(10), read).await;
                let count = read.expect("the flush sends more").expect("a byte");
                bytes.extend(&piece[..count]);
            }
        });
    }
}

/// Returns true if the body so far decodes to "first".
fn has_first(coding: &str, bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let mut first = [0; 5];
    decoder(coding, &bytes[end + 4..])
        .read_exact(&mut first)
        .is_ok()
        && first == *b"first"
}

#[test]
fn a_long_body_lets_other_tasks_run() {
    let long = Rc::new("The mill turns. ".repeat(100_000));
    let handler =
        async move |request: Request<'_>| request.respond(StatusCode::OK, &**long, TEXT).await;
    block_on(async {
        let polls = Rc::new(std::cell::Cell::new(0));
        let counted = polls.clone();
        let other = waterwheel_runtime::spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                waterwheel_runtime::yield_now().await;
            }
        });
        let fields = [("accept-encoding", "gzip")];
        let mut client = TestClient::new(compress(handler));
        let answer = client.request(&Method::GET, "/", &fields, b"").await;
        assert_eq!(decode("gzip", &answer.body).len(), 1_600_000);
        assert!(polls.get() >= 1_600_000 / (32 * 1024), "{}", polls.get());
        other.abort();
    });
}

#[test]
fn an_answer_behind_another_on_the_connection_is_compressed_too() {
    let mut paths = ["/", "/plain", "/", "/"].into_iter();
    block_on(async {
        let mut client = TestClient::new(compress(async |request: Request<'_>| {
            let body = if request.path() == "/plain" {
                "short".to_owned()
            } else {
                long()
            };
            request.respond(StatusCode::OK, body, TEXT).await
        }));
        for path in paths.by_ref() {
            let fields = [("accept-encoding", "gzip")];
            let answer = client.request(&Method::GET, path, &fields, b"").await;
            let is_coded = header(&answer, "content-encoding").is_some();
            assert_eq!(is_coded, path == "/", "{path}");
        }
    });
}

#[test]
fn a_body_that_fails_is_cut_and_an_error_answer_is_plain() {
    let fails = async |_: Request<'_>| Err(std::io::Error::other("no flour").into());
    let answer = ask(fails, "gzip");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(header(&answer, "content-encoding"), None);
    let short = async |request: Request<'_>| {
        let headers = [TEXT[0], ("content-length", "5000")];
        let mut body = request.start(StatusCode::OK, headers).await?;
        body.write("too short").await?;
        body.flush().await?;
        body.finish().await
    };
    block_on(async {
        let mut client = TestClient::new(compress(short));
        client
            .send("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
            .await;
        let bytes = client.read_to_end().await;
        assert!(
            !bytes.ends_with(b"0\r\n\r\n"),
            "the client must not take it for whole"
        );
    });
}

#[test]
fn an_answer_does_not_depend_on_the_answers_before_it() {
    let handler = async |request: Request<'_>| match request.path() {
        "/cut" => {
            let mut body = request.start(StatusCode::OK, TEXT).await?;
            body.write("secret flour ".repeat(4000)).await?;
            Err(std::io::Error::other("no more").into())
        }
        "/pieces" => {
            let mut body = request.start(StatusCode::OK, TEXT).await?;
            body.write(long()).await?;
            body.flush().await?;
            body.write("the end").await?;
            body.finish().await
        }
        _ => request.respond(StatusCode::OK, long(), TEXT).await,
    };
    for coding in codings() {
        let shared = Rc::new(compress(handler));
        let body_of = |path: &'static str| {
            let handler = shared.clone();
            block_on(async move {
                let call = async move |request: Request<'_>| handler.call(request).await;
                let mut client = TestClient::new(call);
                let head = format!("GET {path} HTTP/1.0\r\naccept-encoding: {coding}\r\n\r\n");
                client.send(head).await;
                let bytes = client.read_to_end().await;
                let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                bytes[end.expect("a head") + 4..].to_vec()
            })
        };
        let fresh = ["/", "/pieces"].map(body_of);
        for before in ["/", "/pieces", "/cut"] {
            body_of(before);
            assert_eq!(
                ["/", "/pieces"].map(body_of),
                fresh,
                "{coding} after {before}"
            );
        }
        assert_eq!(decode(coding, &fresh[0]), long().as_bytes());
    }
}
