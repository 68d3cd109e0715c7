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

use crate::support::server::TestServer;

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
