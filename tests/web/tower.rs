//! Services of tower as handlers: bodies stream both ways, and no end of one leaves the other waiting.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tower_service::Service;
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::tower::{
    ConnectionFacts, HandlerService, RequestBody, from_service, into_service,
};
use waterwheel::http::{
    Handler, HeaderMap, HeaderValue, Method, OnDisconnect, Request, Server, StatusCode,
};
use waterwheel::runtime::{block_on, spawn, time::timeout, yield_now};

use crate::support::server::{DEADLINE, TestServer};

/// A service of an async function.
#[derive(Clone)]
struct FnService<F>(F);

impl<F, A, B, E> Service<http::Request<RequestBody>> for FnService<F>
where
    F: Fn(http::Request<RequestBody>) -> A,
    A: Future<Output = Result<http::Response<B>, E>> + 'static,
{
    type Response = http::Response<B>;
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<B>, E>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        Box::pin((self.0)(request))
    }
}

async fn frame(body: &mut RequestBody) -> Option<io::Result<Frame<Bytes>>> {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

async fn collect(mut body: RequestBody) -> io::Result<(Vec<u8>, HeaderMap)> {
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(next) = frame(&mut body).await {
        match next?.into_data() {
            Ok(piece) => data.extend(piece),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap()),
        }
    }
    Ok((data, trailers))
}

async fn echo(
    request: http::Request<RequestBody>,
) -> Result<http::Response<RequestBody>, Infallible> {
    Ok(http::Response::new(request.into_body()))
}

#[test]
fn a_body_passes_through_in_both_directions() {
    block_on(async {
        let mut client = TestClient::new(from_service(FnService(echo)));
        let body = "The mill turns. ".repeat(1000);
        for _ in 0..2 {
            let answer = client.post("/", &body).await;
            assert!(answer.text() == body, "{} bytes", answer.body.len());
            assert_eq!(answer.headers["content-length"], body.len().to_string());
        }
        assert_eq!(client.get("/").await.text(), "");
    });
}

#[test]
fn trailers_pass_through_in_both_directions() {
    block_on(async {
        let mut client = TestClient::new(from_service(FnService(echo)));
        client
            .send(
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                 5\r\nflour\r\n0\r\nx-sum: 7\r\n\r\n",
            )
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.text(), "flour");
        assert_eq!(answer.trailers["x-sum"], "7");
    });
}

/// A client that writes all before it reads, and a service that answers each piece: neither waits for the other.
#[test]
fn an_echo_of_more_than_all_buffers_does_not_stall() {
    let server = TestServer::start(Server::builder().max_body(1 << 30), || {
        from_service(FnService(echo))
    });
    let client = server.client();
    let length = 8_000_000;
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        write!(
            writer,
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        writer.write_all(&vec![b'x'; length]).unwrap();
    });
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut &client.stream, &mut bytes).unwrap();
    writing.join().unwrap();
    assert!(bytes.len() > length, "{}", bytes.len());
}

#[test]
fn a_service_knows_the_request_and_the_connection() {
    let service = FnService(async |request: http::Request<RequestBody>| {
        let facts = request.extensions().get::<ConnectionFacts>().unwrap();
        assert!(facts.peer.unwrap().ip().is_loopback());
        assert_eq!(request.headers()["x-flour"], "rye");
        let text = format!(
            "{} {} {:?}",
            request.method(),
            request.uri(),
            request.version()
        );
        Ok::<_, Infallible>(http::Response::new(text))
    });
    let server = TestServer::start(Server::builder(), || from_service(service));
    let answer = server.exchange(&[b"PUT /a%20b?c=d HTTP/1.1\r\nhost: a\r\nx-flour: rye\r\n\r\n"]);
    assert!(
        answer.ends_with("\r\n\r\nPUT /a%20b?c=d HTTP/1.1"),
        "{answer}"
    );
    let answer = server.exchange(&[b"OPTIONS * HTTP/1.1\r\nhost: a\r\nx-flour: rye\r\n\r\n"]);
    assert!(answer.ends_with("OPTIONS * HTTP/1.1"), "{answer}");
}

#[test]
fn a_service_sees_the_host_of_an_absolute_target() {
    // RFC 9112, 3.2.2
    let service = FnService(async |request: http::Request<RequestBody>| {
        let hosts = request.headers().get_all("host").iter();
        Ok::<_, Infallible>(http::Response::new(format!(
            "{:?}",
            hosts.collect::<Vec<_>>()
        )))
    });
    let server = TestServer::start(Server::builder(), || from_service(service));
    for (request, hosts) in [
        (
            "GET http://a.example:80/ HTTP/1.1\r\nhost: b.example\r\n\r\n",
            "[\"a.example:80\"]",
        ),
        ("GET http://a.example/ HTTP/1.0\r\n\r\n", "[\"a.example\"]"),
        (
            "GET / HTTP/1.1\r\nhost: b.example\r\n\r\n",
            "[\"b.example\"]",
        ),
        ("GET / HTTP/1.0\r\n\r\n", "[]"),
    ] {
        let answer = server.exchange(&[request.as_bytes()]);
        assert!(
            answer.ends_with(&format!("\r\n\r\n{hosts}")),
            "{request}: {answer}"
        );
    }
}

#[test]
fn an_answer_has_the_length_of_its_body_once() {
    let service = FnService(async |request: http::Request<RequestBody>| {
        let mut response = http::Response::new("flour".to_owned());
        match request.uri().path() {
            "/chunked" => {
                let chunked = HeaderValue::from_static("chunked");
                response.headers_mut().insert("transfer-encoding", chunked);
            }
            "/length" => {
                response
                    .headers_mut()
                    .insert("content-length", HeaderValue::from(5));
            }
            "/304" => *response.status_mut() = StatusCode::NOT_MODIFIED,
            _ => {}
        }
        Ok::<_, Infallible>(response)
    });
    block_on(async {
        let mut client = TestClient::new(from_service(service));
        for path in ["/chunked", "/length", "/"] {
            let answer = client.get(path).await;
            assert_eq!(answer.headers["content-length"], "5", "{path}");
            assert_eq!(answer.text(), "flour", "{path}");
        }
        let answer = client.request(&Method::HEAD, "/", &[], b"").await;
        assert_eq!(
            (&answer.headers["content-length"], answer.text()),
            (&HeaderValue::from(5), String::new())
        );
        let answer = client.get("/304").await;
        assert_eq!(answer.text(), "");
        assert_eq!(client.get("/").await.text(), "flour");
    });
}

#[test]
fn an_error_of_a_service_is_a_500_and_a_panic_too() {
    for panics in [false, true] {
        let service = FnService(move |_: http::Request<RequestBody>| async move {
            assert!(!panics, "on purpose");
            Err::<http::Response<String>, _>(io::Error::other("no flour"))
        });
        block_on(async {
            let mut client = TestClient::new(from_service(service));
            assert_eq!(
                client.get("/").await.status,
                StatusCode::INTERNAL_SERVER_ERROR
            );
        });
    }
}

#[test]
fn a_body_that_is_not_read_is_not_awaited() {
    let service = FnService(async |_: http::Request<RequestBody>| {
        Ok::<_, Infallible>(http::Response::new("early".to_owned()))
    });
    block_on(async {
        let mut client = TestClient::new(from_service(service));
        // The client waits for 100 before it sends its body.
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::OK, "early".to_owned())
        );
    });
}

#[test]
fn a_body_that_outlives_its_request_ends_in_an_error() {
    let kept: Rc<Cell<Option<RequestBody>>> = Rc::default();
    let keep = kept.clone();
    let service = FnService(move |request: http::Request<RequestBody>| {
        keep.set(Some(request.into_body()));
        async { Ok::<_, Infallible>(http::Response::new("kept".to_owned())) }
    });
    block_on(async {
        let mut client = TestClient::new(from_service(service));
        assert_eq!(client.post("/", "flour").await.text(), "kept");
        let body = kept.take().unwrap();
        let read = timeout(Duration::from_secs(10), collect(body))
            .await
            .unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn another_task_may_read_the_body() {
    let service = FnService(|request: http::Request<RequestBody>| async {
        let reading = spawn(collect(request.into_body()));
        let (data, _) = reading.await.unwrap().unwrap();
        Ok::<_, Infallible>(http::Response::new(format!("{} bytes", data.len())))
    });
    block_on(async {
        let mut client = TestClient::new(from_service(service));
        let asked = pin!(client.post("/", vec![b'x'; 200_000]));
        let answer = timeout(Duration::from_secs(10), asked).await.unwrap();
        assert_eq!(answer.text(), "200000 bytes");
    });
}

/// Returns the status of the answer of a service that answers with these fields and this body.
fn answered(
    method: &Method,
    status: u16,
    fields: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> waterwheel::http::testing::Answer {
    let service = FnService(move |_: http::Request<RequestBody>| async move {
        let mut response = http::Response::new(body.to_owned());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in fields {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        Ok::<_, Infallible>(response)
    });
    block_on(async {
        let mut client = TestClient::new(from_service(service));
        let first = client.request(method, "/", &[], b"").await;
        if first.status.as_u16() == status {
            // The connection is still in step.
            let again = client.request(method, "/", &[], b"").await;
            assert_eq!(first.body, again.body);
        }
        first
    })
}

/// hyper 2835: a router that has removed the body before does not know the length of the answer to GET.
#[test]
fn an_answer_to_head_claims_no_length_of_zero() {
    let answer = answered(&Method::HEAD, 200, &[], "");
    assert_eq!(answer.headers.get("content-length"), None);
    let answer = answered(&Method::HEAD, 200, &[("content-length", "7")], "");
    assert_eq!(answer.headers["content-length"], "7");
    let answer = answered(&Method::GET, 200, &[], "");
    assert_eq!(answer.headers["content-length"], "0");
}

/// A service that passes the answer of another server on sends the fields of that connection (RFC 9110, 7.6.1).
#[test]
fn fields_of_another_connection_are_dropped() {
    let fields = &[
        ("connection", "keep-alive, x-hop"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("x-hop", "1"),
        ("x-end", "2"),
    ];
    let answer = answered(&Method::GET, 200, fields, "flour");
    assert_eq!((answer.status.as_u16(), &*answer.text()), (200, "flour"));
    assert_eq!(answer.headers["x-end"], "2");
    for (name, _) in &fields[..4] {
        assert_eq!(answer.headers.get(*name), None, "{name}");
    }
}

#[test]
fn a_trailer_field_does_not_fail_an_answer() {
    for (status, fields) in [
        (200, &[("trailer", "x-sum")][..]),
        (200, &[("trailer", "x-sum"), ("content-length", "5")]),
        (204, &[("trailer", "x-sum")]),
    ] {
        let answer = answered(&Method::GET, status, fields, "flour");
        let text = if status == 200 { "flour" } else { "" };
        assert_eq!((answer.status.as_u16(), &*answer.text()), (status, text));
    }
}

/// axum sets a Content-Length for each status.
#[test]
fn a_status_without_a_body_may_come_with_a_length() {
    for (status, length) in [(204, None), (304, None), (205, Some("0"))] {
        let answer = answered(&Method::GET, status, &[("content-length", "0")], "");
        let found = answer.headers.get("content-length");
        let found = found.map(|value| value.to_str().unwrap());
        assert_eq!((answer.status.as_u16(), found), (status, length));
    }
    for status in [204, 205, 304] {
        let answer = answered(&Method::GET, status, &[], "flour");
        assert_eq!((answer.status.as_u16(), &*answer.text()), (status, ""));
    }
}

#[test]
fn a_body_that_is_too_long_is_a_413_if_the_service_passes_its_error_on() {
    let io_error = FnService(async |request: http::Request<RequestBody>| {
        collect(request.into_body()).await?;
        Ok::<_, io::Error>(http::Response::new(String::new()))
    });
    let boxed = FnService(async |request: http::Request<RequestBody>| {
        collect(request.into_body()).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(http::Response::new(String::new()))
    });
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n0\r\n\r\n";
    let sized = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n01234567890123456789";
    let malformed = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    for (request, status) in [(chunked, 413), (sized, 413), (malformed, 400)] {
        block_on(async {
            let builder = || Server::builder().max_body(10);
            let mut client = TestClient::with(builder(), from_service(io_error.clone()));
            client.send(request).await;
            assert_eq!(client.answer().await.status.as_u16(), status, "{request}");
            let mut client = TestClient::with(builder(), from_service(boxed.clone()));
            client.send(request).await;
            assert_eq!(client.answer().await.status.as_u16(), status, "{request}");
        });
    }
}

#[test]
fn no_target_of_a_client_is_a_fault_of_the_server() {
    let service = FnService(async |request: http::Request<RequestBody>| {
        Ok::<_, Infallible>(http::Response::new(request.uri().to_string()))
    });
    let server = TestServer::start(Server::builder(), || from_service(service));
    for byte in b'!'..=b'~' {
        for form in [
            "GET /a{} HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /a?b{}c HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET {} HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://a{}/b HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://a:{}/b HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://[{}]/b HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET {}://a/b HTTP/1.1\r\nhost: a\r\n\r\n",
        ] {
            let request = form.replace("{}", &char::from(byte).to_string());
            let answer = server.exchange(&[request.as_bytes()]);
            let status = answer.get(9..12).unwrap_or_default();
            assert!(status == "200" || status == "400", "{request}: {answer}");
        }
    }
    for target in [
        "//",
        "//a",
        "///",
        "http://a",
        "http://a?b",
        "http://a:80",
        "http://a:/",
        "http://[::1]:80/",
        "*",
    ] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = server.exchange(&[request.as_bytes()]);
        let status = answer.get(9..12).unwrap_or_default();
        assert!(status == "200" || status == "400", "{request}: {answer}");
    }
    let request = "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n";
    let answer = server.exchange(&[request.as_bytes()]);
    assert!(!answer.starts_with("HTTP/1.1 500"), "{answer}");
}

/// A body of pieces, whose hint may lie.
struct Frames {
    pieces: std::vec::IntoIter<Result<&'static str, io::Error>>,
    hint: Option<u64>,
    is_over: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // As that of `unfold`, it panics if it is polled after its end.
        assert!(!self.is_over, "polled after the end");
        let frame = self.pieces.next();
        self.is_over = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame.map(|frame| frame.map(|data| Frame::data(data.into()))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.hint
            .map_or_else(http_body::SizeHint::new, http_body::SizeHint::with_exact)
    }
}

#[test]
fn a_body_that_breaks_its_word_is_cut() {
    for (hint, second, is_whole) in [
        (None, Some("rye"), true),
        (Some(8), Some("rye"), true),
        (Some(7), Some("rye"), false),
        (Some(9), Some("rye"), false),
        (None, None, false),
        (Some(8), None, false),
    ] {
        let service = FnService(move |_: http::Request<RequestBody>| async move {
            let second = second.ok_or_else(|| io::Error::other("on purpose"));
            Ok::<_, Infallible>(http::Response::new(Frames {
                pieces: vec![Ok("flour"), second].into_iter(),
                hint,
                is_over: false,
            }))
        });
        let server = TestServer::start(Server::builder(), || from_service(service));
        let answer = server.exchange(&[b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"]);
        let end = if hint.is_some() {
            "\r\n\r\nflourrye"
        } else {
            "5\r\nflour\r\n3\r\nrye\r\n0\r\n\r\n"
        };
        assert_eq!(
            answer.ends_with(end),
            is_whole,
            "{hint:?} {second:?}: {answer}"
        );
        assert!(is_whole || answer.starts_with("HTTP/1.1 500 ") || !answer.contains("0\r\n\r\n"));
    }
}

async fn turns() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[test]
fn the_service_of_a_client_that_leaves_is_dropped_if_handlers_are() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped: Rc<Cell<bool>> = Rc::default();
    let flag = dropped.clone();
    let service = FnService(move |_: http::Request<RequestBody>| {
        let guard = Dropped(flag.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<http::Response<String>, Infallible>>().await
        }
    });
    block_on(async {
        let builder = Server::builder().on_disconnect(OnDisconnect::DropHandler);
        let mut client = TestClient::with(builder, from_service(service));
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        turns().await;
        assert!(!dropped.get());
        drop(client);
        turns().await;
        assert!(dropped.get());
    });
}

/// Calls a handler as a service, and returns the answer with its whole body.
async fn call<H, B>(
    service: &mut HandlerService<H>,
    request: http::Request<B>,
) -> io::Result<(http::response::Parts, Vec<u8>, HeaderMap)>
where
    H: Handler,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = service.call(request).await?.into_parts();
    let (mut body, mut data, mut trailers) = (pin!(body), Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame?.into_data() {
            Ok(piece) => data.extend(piece),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap()),
        }
    }
    Ok((parts, data, trailers))
}

#[test]
fn a_handler_is_a_service_that_knows_the_request() {
    let show = async |request: Request<'_>| {
        let cookie = request.headers().get("cookie").unwrap_or("").to_owned();
        let text = format!(
            "{} {} {:?} {cookie} {}",
            request.method(),
            request.target(),
            request.host(),
            request.headers().contains("te"),
        );
        let body = request.bytes().await?;
        request
            .respond(
                StatusCode::CREATED,
                [text.as_bytes(), &body].concat(),
                [("x", "y")],
            )
            .await
    };
    block_on(async {
        let mut service = into_service(show);
        let request = http::Request::post("http://mill.example/a?b=c")
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .header("te", "trailers")
            .body(" flour".to_owned())
            .unwrap();
        let (parts, body, _) = call(&mut service, request).await.unwrap();
        assert_eq!(
            (parts.status, &parts.headers["x"]),
            (StatusCode::CREATED, &HeaderValue::from_static("y"))
        );
        assert!(!parts.headers.contains_key("connection"));
        let expected = "POST /a?b=c Some(\"mill.example\") a=b; c=d false flour";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    });
}

#[test]
fn the_host_of_a_service_is_that_of_the_target_and_else_that_of_the_field() {
    let show = async |request: Request<'_>| {
        let fields: Vec<_> = request.headers().get_all("host").collect();
        let text = format!(
            "{:?} {:?} {}",
            request.host(),
            fields.len(),
            request.target()
        );
        request.respond(StatusCode::OK, text, ()).await
    };
    block_on(async {
        let mut service = into_service(show);
        // RFC 9113, 8.3.1; RFC 9112, 3.2.2; RFC 9112, 3.2.1
        for (uri, host, expected) in [
            (
                "http://a.example/x",
                Some("b.example"),
                "Some(\"a.example\") 1 /x",
            ),
            (
                "https://a.example:8443/x",
                Some("a.example"),
                "Some(\"a.example:8443\") 1 /x",
            ),
            ("http://a.example/x", None, "Some(\"a.example\") 1 /x"),
            ("/x", Some("b.example"), "Some(\"b.example\") 1 /x"),
            ("http://a.example?y", None, "Some(\"a.example\") 1 /?y"),
        ] {
            let mut request = http::Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let request = request.body(String::new()).unwrap();
            let (parts, body, _) = call(&mut service, request).await.unwrap();
            let body = String::from_utf8(body).unwrap();
            assert_eq!((parts.status, &*body), (StatusCode::OK, expected), "{uri}");
        }
    });
}

#[test]
fn bodies_and_trailers_pass_through_a_handler() {
    let echo = async |request: Request<'_>| {
        let body = request.body();
        request
            .start(StatusCode::OK, ())
            .await?
            .send_body(body)
            .await
    };
    block_on(async {
        let service = into_service(echo);
        let mut client = TestClient::new(from_service(FnService(
            move |request: http::Request<RequestBody>| {
                // Through a service, a handler, and a service: all of them stream.
                service.clone().call(request)
            },
        )));
        client
            .send(
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                 5\r\nflour\r\n0\r\nx-sum: 7\r\n\r\n",
            )
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.text(), &answer.trailers["x-sum"]),
            ("flour".to_owned(), &HeaderValue::from(7))
        );
        assert_eq!(client.post("/", "rye").await.text(), "rye");
        assert_eq!(client.get("/").await.text(), "");
    });
}

/// A body of frames, with an announced length if there is a hint.
struct Parts {
    frames: std::vec::IntoIter<Frame<Bytes>>,
    hint: Option<u64>,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.next().map(Ok))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.hint
            .map_or_else(http_body::SizeHint::new, http_body::SizeHint::with_exact)
    }
}

#[test]
fn a_trailer_that_no_recipient_may_use_does_not_keep_a_handler_waiting() {
    // A client of HTTP/2 may send any (RFC 9110, 6.5.1).
    let show = async |request: Request<'_>| {
        let (mut body, mut text) = (pin!(request.body()), Vec::new());
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame?;
            text.push(match frame.data_ref() {
                Some(data) => format!("{data:?}"),
                None => format!("{:?}", frame.trailers_ref().unwrap()),
            });
        }
        request.respond(StatusCode::OK, text.concat(), ()).await
    };
    block_on(async {
        let mut trailers = HeaderMap::new();
        trailers.insert("authorization", HeaderValue::from_static("x"));
        trailers.insert("content-length", HeaderValue::from_static("7"));
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        let frames = vec![Frame::data("rye".into()), Frame::trailers(trailers)];
        let frames = frames.into_iter();
        let request = http::Request::post("http://a/").body(Parts { frames, hint: None });
        let mut service = into_service(show);
        let answered = timeout(DEADLINE, call(&mut service, request.unwrap())).await;
        let (parts, body, _) = answered.expect("an answer in time").unwrap();
        let body = String::from_utf8(body).unwrap();
        let expected = "b\"rye\"{\"x-sum\": \"7\"}";
        assert_eq!((parts.status, &*body), (StatusCode::OK, expected));
    });
}

#[test]
fn a_body_of_another_length_than_announced_does_not_keep_a_handler_waiting() {
    let read = async |request: Request<'_>| {
        let body = request.bytes().await?;
        request.respond(StatusCode::OK, body, ()).await
    };
    block_on(async {
        for (hint, is_whole) in [(2, false), (3, true), (4, false)] {
            let frames = vec![Frame::data("rye".into())].into_iter();
            let hint = Some(hint);
            let request = http::Request::post("http://a/").body(Parts { frames, hint });
            let mut service = into_service(read);
            let answered = timeout(DEADLINE, call(&mut service, request.unwrap())).await;
            let answered = answered.expect("an answer in time");
            let found = answered.is_ok_and(|(parts, ..)| parts.status == StatusCode::OK);
            assert_eq!(found, is_whole);
        }
    });
}

#[test]
fn a_head_a_204_and_an_answer_without_end_have_their_bodies() {
    let handler = async |request: Request<'_>| match request.path() {
        "/204" => request.respond(StatusCode::NO_CONTENT, "", ()).await,
        "/fails" => {
            let mut body = request
                .start(StatusCode::OK, [("content-length", "5")])
                .await?;
            body.write("fl").await?;
            body.flush().await?;
            Err(io::Error::other("no flour").into())
        }
        "/aborts" => Ok(request.abort()),
        _ => request.respond(StatusCode::OK, "flour", ()).await,
    };
    block_on(async {
        let mut service = into_service(handler);
        let mut ask = async |method: Method, path: &str| {
            let uri = format!("http://a{path}");
            let request = http::Request::builder()
                .method(method)
                .uri(uri)
                .body(String::new())
                .unwrap();
            call(&mut service, request)
                .await
                .map(|(parts, body, _)| (parts, body))
        };
        let (parts, body) = ask(Method::HEAD, "/").await.unwrap();
        assert_eq!(
            (&parts.headers["content-length"], body.len()),
            (&HeaderValue::from(5), 0)
        );
        assert_eq!(ask(Method::GET, "/204").await.unwrap().1, b"");
        assert_eq!(ask(Method::GET, "/").await.unwrap().1, b"flour");
        let error = ask(Method::GET, "/fails").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let error = ask(Method::GET, "/aborts").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        let error = ask(Method::CONNECT, "/").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    });
}

#[test]
fn the_servers_checks_hold_for_a_service() {
    let read = async |request: Request<'_>| {
        let body = request.bytes().await?;
        request.respond(StatusCode::OK, body, ()).await
    };
    block_on(async {
        let server = Server::builder().max_body(10).without_listener();
        let mut service = HandlerService::with(server, read);
        let request = |body: &str| {
            http::Request::post("http://a/")
                .body(body.to_owned())
                .unwrap()
        };
        let (parts, _, _) = call(&mut service, request("eleven byte")).await.unwrap();
        assert_eq!(parts.status, StatusCode::PAYLOAD_TOO_LARGE);
        let (parts, body, _) = call(&mut service, request("ten bytes!")).await.unwrap();
        assert_eq!((parts.status, &*body), (StatusCode::OK, &b"ten bytes!"[..]));
        // The target has no host, and no field has one.
        let request = http::Request::get("/").body(String::new()).unwrap();
        let (parts, _, _) = call(&mut service, request).await.unwrap();
        assert_eq!(parts.status, StatusCode::BAD_REQUEST);
    });
}

#[test]
fn the_drop_of_an_answer_ends_its_handler() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped: Rc<Cell<bool>> = Rc::default();
    let flag = dropped.clone();
    let handler = async move |request: Request<'_>| {
        let _guard = Dropped(flag.clone());
        let mut body = request.start(StatusCode::OK, ()).await?;
        body.write("flour").await?;
        body.flush().await?;
        std::future::pending().await
    };
    block_on(async {
        let request = http::Request::get("http://a/").body(String::new()).unwrap();
        let response = into_service(handler).call(request).await.unwrap();
        assert!(!dropped.get());
        drop(response);
        turns().await;
        assert!(dropped.get());
    });
}
