//! Answers as values, by the features of rouille, mini-async-http and `micro_http_async`.

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use futures_lite::{StreamExt, io::Cursor, stream};
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::response::{Html, IntoResponse, Json, Response, ResponseBody};
use waterwheel::http::web::routes::{Router, handler};
use waterwheel::http::{HeaderMap, Limits, Refusal, Request, Server, StatusCode};
use waterwheel::runtime::block_on;

use super::asked::{ask, get};
use super::served::{answered, check, get as get_line, post, server, server_with};
use crate::support::server::TestServer;

/// Returns the first value of a field, as text.
fn field<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn r_42_status_fields_and_body_are_public() {
    let mut response = Response::text("a");
    response.status = StatusCode::ACCEPTED;
    response.headers.insert("x-a", "1".parse().unwrap());
    response.body = "b".into();
    assert_eq!(response.body.as_bytes(), Some(&b"b"[..]));
    for code in 200..=599 {
        let response = Response::empty(StatusCode::from_u16(code).unwrap());
        assert_eq!(response.is_success(), code < 400, "{code}");
        assert_eq!(response.is_error(), code >= 400, "{code}");
    }
    let answer = get(
        handler(async || Response::empty(StatusCode::GONE)),
        "/",
        &[],
    );
    assert_eq!(answer.status, 410);
}

#[test]
fn r_43_each_kind_of_response_has_a_constructor() {
    let typed = |response: Response, media: &str, body: &str| {
        assert_eq!(response.status, 200);
        assert_eq!(field(&response.headers, "content-type"), Some(media));
        assert_eq!(response.body.as_bytes(), Some(body.as_bytes()));
    };
    typed(Response::html("<p>"), "text/html; charset=utf-8", "<p>");
    typed(Response::text("t"), "text/plain; charset=utf-8", "t");
    typed(
        Response::svg("<svg/>"),
        "image/svg+xml; charset=utf-8",
        "<svg/>",
    );
    typed(
        Response::json(&[1, 2]).unwrap(),
        "application/json",
        "[1,2]",
    );
    typed(Response::data("a/b", vec![b'x']), "a/b", "x");
    let file = Response::file("text/x-toml", File::open("Cargo.toml").unwrap()).unwrap();
    assert_eq!(
        file.body.length(),
        Some(std::fs::metadata("Cargo.toml").unwrap().len())
    );

    let to = "/a b?c=\u{e9}\r\nx: y";
    for (response, code) in [
        (Response::moved_permanently(to), 301),
        (Response::found(to), 302),
        (Response::see_other(to), 303),
        (Response::temporary_redirect(to), 307),
        (Response::permanent_redirect(to), 308),
    ] {
        assert_eq!(response.status, code);
        let location = field(&response.headers, "location");
        let one_url = "/a%20b?c=%C3%A9%0D%0Ax:%20y";
        assert_eq!(location, Some(one_url), "and no other field");
    }
    for code in [204, 400, 404, 406] {
        let response = Response::empty(StatusCode::from_u16(code).unwrap());
        assert_eq!(
            (response.status.as_u16(), response.body.length()),
            (code, Some(0))
        );
        assert!(response.headers.is_empty());
    }
    let asks = Response::unauthorized("the \"mill\"\r\n");
    assert_eq!(asks.status, 401);
    let challenge = r#"Basic realm="the \"mill\"", charset="UTF-8""#;
    assert_eq!(field(&asks.headers, "www-authenticate"), Some(challenge));
}

/// Returns the answer for a page with a tag to a client that sends these fields.
fn conditional(condition: &[(&str, &str)]) -> (u16, Option<String>, Option<String>, usize) {
    let page = handler(async || {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        Response::html("four")
            .with_etag("v,1")
            .with_last_modified(at)
            .with_public_cache(Duration::from_secs(60))
    });
    let answer = get(page, "/", condition);
    let text = |name| field(&answer.headers, name).map(str::to_owned);
    assert_eq!(text("cache-control").as_deref(), Some("public, max-age=60"));
    (
        answer.status.as_u16(),
        text("etag"),
        text("content-type"),
        answer.body.len(),
    )
}

fn conditions() {
    let etag = || Some("\"v,1\"".to_owned());
    let whole = (200, etag(), Some("text/html; charset=utf-8".to_owned()), 4);
    let same = (304, etag(), None, 0);
    assert_eq!(conditional(&[]), whole);
    for list in ["\"v,1\"", "W/\"v,1\"", "*", "\"x\", \"v,1\""] {
        assert_eq!(conditional(&[("if-none-match", list)]), same, "{list}");
    }
    assert_eq!(
        conditional(&[("if-none-match", "\"x\""), ("if-none-match", "\"v,1\"")]),
        same
    );
    for list in ["\"v\"", "v,1", "\"V,1\"", ""] {
        assert_eq!(conditional(&[("if-none-match", list)]), whole, "{list}");
    }
    let since = |date| [("if-modified-since", date)];
    assert_eq!(
        conditional(&since("Sun, 06 Nov 1994 08:49:37 GMT")),
        same,
        "RFC 9110, 13.1.3"
    );
    assert_eq!(conditional(&since("Sunday, 06-Nov-94 08:49:38 GMT")), same);
    assert_eq!(conditional(&since("Sun, 06 Nov 1994 08:49:36 GMT")), whole);
    assert_eq!(conditional(&since("yesterday")), whole);
    let both = [
        ("if-none-match", "\"x\""),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    assert_eq!(
        conditional(&both),
        whole,
        "the tag decides: RFC 9110, 13.2.2"
    );

    let other = (412, etag(), None, 0);
    assert_eq!(conditional(&[("if-match", "\"x\"")]), other);
    assert_eq!(conditional(&[("if-match", "\"v,1\"")]), whole);

    let posted = block_on(async {
        let router = Router::new().post("/", async || Response::text("new").with_etag("1"));
        let method = "POST".parse().unwrap();
        let mut client = TestClient::new(router);
        client
            .request(&method, "/", &[("if-none-match", "\"1\"")], b"")
            .await
    });
    assert_eq!(posted.status, 200, "a POST has no 304");
    let missing = handler(async || Response::empty(StatusCode::NOT_FOUND).with_etag("1"));
    assert_eq!(get(missing, "/", &[("if-none-match", "*")]).status, 404);
    let untagged = get(handler(async || "x"), "/", &[("if-none-match", "*")]);
    assert_eq!(untagged.status, 200);
}

#[test]
fn r_44_middleware_can_change_a_response() {
    let plain = || Response::empty(StatusCode::BAD_REQUEST);
    let values = |response: &Response| {
        let all = response.headers.get_all("foo").iter();
        all.map(|value| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(plain().with_status(StatusCode::CREATED).status, 201);
    let three = || {
        let one = plain()
            .with_added_header("foo", "A")
            .with_added_header("fOO", "B");
        one.with_added_header("Foo", "C").with_header("bar", "D")
    };
    assert_eq!(values(&three()), ["A", "B", "C"]);
    assert_eq!(values(&plain().with_header("Foo", "Bar")), ["Bar"]);
    assert_eq!(values(&three().with_header("FOO", "Bar")), ["Bar"]);
    let without = three().without_header("FOO");
    assert_eq!(
        (values(&without).len(), field(&without.headers, "bar")),
        (0, Some("D"))
    );

    let saved = Response::text("").with_attachment("a\"b.txt");
    let disposition = field(&saved.headers, "content-disposition");
    assert_eq!(
        disposition,
        Some("attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt")
    );
    let minute = Duration::from_secs(60);
    let cached = |response: Response| {
        assert!(
            response.headers.get("expires").is_none() && response.headers.get("pragma").is_none()
        );
        field(&response.headers, "cache-control")
            .unwrap()
            .to_owned()
    };
    let old = || {
        Response::text("")
            .with_header("expires", "0")
            .with_header("pragma", "no-cache")
    };
    assert_eq!(
        cached(old().with_public_cache(minute)),
        "public, max-age=60"
    );
    assert_eq!(
        cached(old().with_private_cache(minute)),
        "private, max-age=60"
    );
    assert_eq!(cached(old().with_no_cache()), "no-store");
    conditions();
}

/// Returns a file without a name, of so many bytes, all of them holes.
fn hollow(length: u64) -> File {
    let path = std::env::temp_dir().join(format!("waterwheel-hollow-{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(length).unwrap();
    file
}

/// Returns the memory of this process that is in use, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.split("VmRSS:").nth(1).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Returns a body of the kind that the path names. All have the same bytes.
fn bodies(path: &str) -> ResponseBody {
    const TEXT: &str = "one two three";
    let pieces = || stream::iter(["one ", "", "two three"]).map(Ok::<_, std::io::Error>);
    match path {
        "/empty" => ResponseBody::default(),
        "/text" => TEXT.into(),
        "/string" => TEXT.to_owned().into(),
        "/vec" => TEXT.as_bytes().to_vec().into(),
        "/file" => {
            let mut file = hollow(0);
            file.write_all(TEXT.as_bytes()).unwrap();
            ResponseBody::file(file).unwrap()
        }
        "/part" => {
            let mut file = hollow(0);
            file.write_all(format!("--{TEXT}--").as_bytes()).unwrap();
            ResponseBody::File { file, range: 2..15 }
        }
        "/reader" => ResponseBody::reader(Cursor::new(TEXT)),
        "/sized" => ResponseBody::reader(Cursor::new(TEXT)).of_length(13),
        "/stream" => ResponseBody::stream(pieces()),
        "/blocking" => ResponseBody::blocking(std::io::Cursor::new(TEXT)),
        "/blocking/sized" => ResponseBody::blocking(std::io::Cursor::new(TEXT)).of_length(13),
        "/short" => ResponseBody::blocking(std::io::Cursor::new(TEXT)).of_length(14),
        _ => unreachable!("{path}"),
    }
}

fn big() -> Router {
    Router::new()
        .get("/file", async || Response::file("a/b", hollow(1 << 30)))
        .get("/reader", async || {
            let zeros = ResponseBody::blocking(std::io::repeat(0).take(1 << 28));
            Response::new(StatusCode::OK, zeros.of_length(1 << 28))
        })
}

#[test]
fn r_45_a_body_has_many_sources_and_large_ones_do_not_fill_memory() {
    let router = Router::new().get("/{*kind}", async |request: &Request<'_>, _: String| {
        Response::new(StatusCode::OK, bodies(request.path()))
    });
    let chunked = ["/reader", "/stream", "/blocking"];
    let sized = [
        "/text",
        "/string",
        "/vec",
        "/file",
        "/part",
        "/sized",
        "/blocking/sized",
    ];
    for path in sized.into_iter().chain(chunked) {
        let answer = get(router.clone(), path, &[]);
        assert_eq!(answer.text(), "one two three", "{path}");
        let coding = field(&answer.headers, "transfer-encoding");
        assert_eq!(coding.is_some(), chunked.contains(&path), "{path}");
        let head = &ask(router.clone(), &[("HEAD", path)])[0];
        let length = field(&head.headers, "content-length");
        let expected = (!chunked.contains(&path)).then_some("13");
        assert_eq!(length, expected, "{path}");
    }
    assert_eq!(
        get(router.clone(), "/empty", &[]).headers["content-length"],
        "0"
    );
    let cut = block_on(async {
        let mut client = TestClient::new(router);
        client.send(get_line("/short")).await;
        client.read_to_end().await
    });
    assert!(cut.ends_with(b"\r\n\r\none two three"), "and no more");

    let server = TestServer::start(Server::builder(), big);
    let before = resident_kib();
    for (path, length) in [("/file", 1_usize << 30), ("/reader", 1 << 28)] {
        let mut client = server.client();
        client.send(get_line(path));
        client.read_until("\r\n\r\n");
        let zeros = vec![0; 1 << 20];
        let mut piece = vec![1; 1 << 20];
        let (mut left, mut most) = (length, 0);
        while left > 0 {
            let count = client.stream.read(&mut piece).unwrap();
            assert!(count > 0, "{path}: {left}");
            assert!(piece[..count] == zeros[..count], "{path}: {left}");
            left -= count;
            if left < length / 2 && most == 0 {
                most = resident_kib();
            }
        }
        let grown = most.saturating_sub(before);
        assert!(
            grown < 200 << 10,
            "{path}: {grown} KiB more; other tests run beside"
        );
    }
}

#[test]
fn a_17_a_request_that_is_written_and_parsed_is_the_same() {
    async fn show(request: &Request<'_>) -> Vec<u8> {
        let mut text = format!(
            "{} {} {:?}\r\n",
            request.method(),
            request.target(),
            request.version()
        );
        for (name, value) in request.headers().iter() {
            text.extend([name, ": ", str::from_utf8(value).unwrap(), "\r\n"]);
        }
        text.push_str("\r\n");
        [text.into_bytes(), request.bytes().await.unwrap()].concat()
    }
    let sent =
        "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Case: As It Is\r\nContent-Length: 4\r\n\r\nfour";
    block_on(async {
        let mut client = TestClient::new(handler(show));
        client.send(sent).await;
        let shown = client.answer().await;
        assert_eq!(shown.text(), sent);
        client.send(&shown.body).await;
        assert_eq!(client.answer().await.text(), sent);
    });
}

#[test]
fn a_18_a_request_without_its_required_parts_is_not_sent() {
    // The method and the target are arguments. The version is the client's. A head without them is refused.
    let refused = |bytes: &str| {
        block_on(async {
            let mut client = TestClient::new(handler(async || ""));
            client.send(bytes).await;
            client.answer().await.text()
        })
    };
    let line = |refusal: Refusal| format!("{}\n", refusal.reason());
    assert_eq!(refused(" / HTTP/1.1\r\n\r\n"), line(Refusal::Method));
    assert_eq!(refused("GET  HTTP/1.1\r\n\r\n"), line(Refusal::Target));
    assert_eq!(refused("GET / \r\n\r\n"), line(Refusal::Version));
    assert_eq!(
        ask(handler(async || "fine"), &[("GET", "/")])[0].text(),
        "fine"
    );
}

#[test]
fn a_19_a_built_response_is_complete() {
    for code in [200, 400, 404, 500] {
        let status = StatusCode::from_u16(code).unwrap();
        let answer = get(handler(async move || Response::empty(status)), "/", &[]);
        assert_eq!(answer.status, code);
        assert_eq!(answer.headers["content-length"], "0");
    }
    let binary = [0_u8, 0xff, b'\r', b'\n', 0xc3, 0x28];
    let built = handler(async move || -> waterwheel::http::Result<Response> {
        let response = Response::builder()
            .status(201)
            .header("x-a", "1")
            .header("content-type", "a/b")
            .body(binary.to_vec())?;
        Ok(Response::from(response))
    });
    let answer = get(built, "/", &[]);
    assert_eq!((answer.status.as_u16(), &*answer.body), (201, &binary[..]));
    assert_eq!(
        (&answer.headers["x-a"], &answer.headers["content-length"]),
        (&"1".parse().unwrap(), &"6".parse().unwrap())
    );
    let incomplete = Response::builder().status(7).header("x\n", "").body(());
    assert!(incomplete.is_err());
    let own = handler(async || Response::new(StatusCode::OK, "b").with_header("X-A", "1"));
    assert_eq!(get(own, "/", &[]).headers["x-a"], "1");
}

#[test]
fn a_20_reasons_are_those_of_their_codes() {
    let phrases = [
        (200, "OK"),
        (400, "Bad Request"),
        (404, "Not Found"),
        (500, "Internal Server Error"),
    ];
    for (code, phrase) in phrases {
        let status = StatusCode::from_u16(code).unwrap();
        assert_eq!(status.canonical_reason(), Some(phrase));
        let server = TestServer::start(Server::builder(), move || handler(async move || status));
        let answer = server.exchange(&[get_line("/").as_bytes()]);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code} {phrase}\r\n")),
            "{answer}"
        );
    }
}

#[test]
fn a_21_each_parse_error_has_a_name() {
    let limits = Limits::DEFAULT.with(|limits| limits.fields_max = 2);
    let server = server_with(limits);
    let rows = [
        (
            "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\n\r\n",
            Refusal::TooManyFields,
        ), // TooManyHeaders
        ("GET / HTTP/1.x\r\n\r\n", Refusal::Version), // Version
        ("G@T / HTTP/1.1\r\n\r\n", Refusal::Method),  // Token
        (
            "GET / HTTP/1.1\r\nA b: c\r\n\r\n",
            Refusal::SpaceBeforeColon,
        ), // HeaderName
        ("GET / HTTP/1.1\r\nA: \0\r\n\r\n", Refusal::ControlByte), // HeaderValue
        ("GET / HTTP/1.1\n\n", Refusal::BareLineFeed), // NewLine
        (
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n",
            Refusal::ContentLength,
        ), // LengthParse
    ];
    for (request, refusal) in rows {
        let answer = server.exchange(&[request.as_bytes()]);
        let status = format!("HTTP/1.1 {} ", refusal.status().as_u16());
        assert!(answer.starts_with(&status), "{request:?}: {answer:?}");
        assert!(
            answer.ends_with(&format!("\r\n\r\n{}\n", refusal.reason())),
            "{request:?}: {answer:?}"
        );
    }
    // UnexpectedEnd: the server waits for the rest of a message, and does not answer one that will never be
    // whole.
    assert_eq!(server.exchange(&[b"GET / HT"]), "");
}

#[test]
fn m_10_a_status_has_a_class() {
    let status = |code| StatusCode::from_u16(code).unwrap();
    assert!(status(204).is_success() && Response::empty(status(204)).is_success());
    assert!(status(301).is_redirection());
    assert!(status(404).is_client_error() && Response::empty(status(404)).is_error());
    assert!(status(500).is_server_error());
    assert!(Response::empty(status(700)).is_error() && !status(700).is_server_error());
    for code in [204, 301, 404, 500] {
        let status = status(code);
        assert_eq!(get(handler(async move || status), "/", &[]).status, code);
    }
}

#[test]
fn m_13_json_has_a_media_type_and_a_length() {
    let answer = get(
        handler(async || (StatusCode::CREATED, Json(("a", 1)))),
        "/",
        &[],
    );
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["content-length"], "7");
    assert_eq!(answer.text(), r#"["a",1]"#);
    let ready_made = handler(async || Response::data("application/json", "{}"));
    let answer = get(ready_made, "/", &[]);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["content-length"], "2");
    assert_eq!(answer.text(), "{}");
    let impossible = Json(std::collections::BTreeMap::from([((1, 2), 3)]));
    assert!(impossible.into_response().is_err(), "a key that is no text");
}

#[test]
fn m_15_text_and_bytes_arrive_whole() {
    const LENGTH: usize = 10_000_000;
    let server = TestServer::start(Server::builder(), || {
        let text: String = "0123456789".repeat(LENGTH / 10);
        let bytes: Vec<u8> = (0..=255).cycle().take(LENGTH).collect();
        Router::new()
            .get("/text", async move || Html(text.clone()))
            .get("/bytes", async move || bytes.clone())
    });
    for (path, expected) in [
        ("/text", b"0123456789".to_vec()),
        ("/bytes", (0..=255).collect()),
    ] {
        let mut client = server.client();
        client.send(get_line(path));
        let head = client.read_until("\r\n\r\n");
        assert!(head.contains("\r\ncontent-length: 10000000\r\n"), "{head}");
        let mut body = vec![0; LENGTH];
        client.stream.read_exact(&mut body).unwrap();
        assert!(
            body.iter().eq(expected.iter().cycle().take(LENGTH)),
            "{path}"
        );
    }
    check(
        &self::server(),
        &[(&post("Content-Length: 2\r\n", "ok"), &answered("POST / ok"))],
    );
}
