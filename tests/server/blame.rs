//! The client's faults and our own. A client's fault never causes a 500, a logged line or a failure of the
//! handler. Our own fault always causes all three.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::AsyncReadExt;
use http_body::Body as _;
use socket2::SockRef;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::middleware::access_log;
use waterwheel::http::{
    ClientError, Error, Handler, Method, Refusal, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{block_on, spawn, yield_now};

const DEADLINE: Duration = Duration::from_secs(10);

/// Counts the warnings and errors that are logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<usize>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        *self.0.lock().unwrap() += 1;
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Runs `client` against a server. Returns its value, the number of logged lines, and the number of failed
/// handlers.
fn blame<T>(client: impl AsyncFnOnce(&Server) -> T) -> (T, usize, u64) {
    let log = Log::default();
    let (value, failures) = tracing::subscriber::with_default(log.clone(), || {
        block_on(async {
            let server = Server::bind("127.0.0.1:0").unwrap();
            let value = timeout(DEADLINE, client(&server)).await.unwrap();
            (value, server.numbers().handler_failures)
        })
    });
    let lines = *log.0.lock().unwrap();
    (value, lines, failures)
}

/// Sends one request over a connection in memory.
fn ask(handler: impl Handler, request: &str) -> (Answer, usize, u64) {
    blame(async |server| {
        let mut client = TestClient::of(server, handler);
        client.send(request).await;
        client.answer().await
    })
}

const CONNECT: &str = "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n";

#[test]
fn connect_without_a_tunnel_by_the_handler_is_not_implemented() {
    // RFC 9110, 9.3.6: any 2xx makes the rest of the stream a tunnel.
    for status in [200, 201, 204, 205, 299] {
        let status = StatusCode::from_u16(status).unwrap();
        let whole = async move |request: Request<'_>| request.respond(status, "hello", ()).await;
        let piece_by_piece = async move |request: Request<'_>| {
            let mut body = request.start(status, ()).await?;
            body.write("hello").await?;
            body.finish().await
        };
        for (answer, lines, failures) in [ask(whole, CONNECT), ask(piece_by_piece, CONNECT)] {
            assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{status}");
            assert_eq!(answer.headers["connection"], "close");
            assert_eq!((lines, failures), (0, 0), "{status}");
        }
    }
    let refuses = async |request: Request<'_>| {
        request
            .respond(StatusCode::METHOD_NOT_ALLOWED, "no", [("allow", "GET")])
            .await
    };
    let (answer, lines, failures) = ask(refuses, CONNECT);
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!((answer.text().as_str(), lines, failures), ("no", 0, 0));
}

#[test]
fn a_protocol_that_the_client_did_not_offer_is_refused_with_its_name() {
    // RFC 9110, 15.5.22
    let upgrades = async |request: Request<'_>| Ok(request.upgrade("shout", ()).await?.0);
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: shout\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: whisper\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n",
    ] {
        let (answer, lines, failures) = ask(upgrades, request);
        assert_eq!(answer.status, StatusCode::UPGRADE_REQUIRED, "{request}");
        assert_eq!(answer.headers["upgrade"], "shout");
        let connection = answer.headers["connection"].to_str().unwrap();
        assert!(connection.ends_with("upgrade"), "{connection}");
        assert_eq!(answer.text(), "upgrade to shout\n");
        assert_eq!((lines, failures), (0, 0), "{request}");
    }
    // RFC 9110, 15.5.6
    let tunnels = async |request: Request<'_>| Ok(request.tunnel(())?.0);
    let (answer, lines, failures) = ask(tunnels, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "CONNECT");
    assert_eq!((lines, failures), (0, 0));
}

/// How a handler reads a body.
#[derive(Clone, Copy, Debug)]
enum Way {
    Bytes,
    Reader,
    Pieces,
    Frames,
    /// As a reader. The handler wraps its error into one of its own.
    Wrapped,
}

const WAYS: [Way; 5] = [
    Way::Bytes,
    Way::Reader,
    Way::Pieces,
    Way::Frames,
    Way::Wrapped,
];

/// An error of an application.
#[derive(Debug)]
struct Upload(io::Error);

impl fmt::Display for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upload failed")
    }
}

impl StdError for Upload {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl Way {
    async fn read(self, request: &Request<'_>) -> Result<()> {
        let mut body = request.body();
        match self {
            Self::Bytes => drop(request.bytes().await?),
            Self::Reader => drop(body.read_to_end(&mut Vec::new()).await?),
            Self::Pieces => while body.next().await?.is_some() {},
            Self::Frames => {
                let mut body = std::pin::pin!(body);
                while let Some(frame) =
                    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
                {
                    drop(frame?);
                }
            }
            Self::Wrapped => drop(body.read_to_end(&mut Vec::new()).await.map_err(Upload)?),
        }
        Ok(())
    }
}

/// Reads a body in each way, and keeps the error.
fn reads(way: Way, kept: Rc<RefCell<Option<String>>>) -> impl Handler {
    async move |request: Request<'_>| {
        if let Err(error) = way.read(&request).await {
            kept.replace(Some(format!("{error:?}")));
            return Err(error);
        }
        request.respond(StatusCode::OK, "", ()).await
    }
}

#[test]
fn a_reset_within_a_body_is_no_failure_of_the_handler() {
    for way in WAYS {
        let kept = Rc::default();
        let handler = reads(way, Rc::clone(&kept));
        let ((), lines, failures) = blame(async |server| {
            let mut client = TcpStream::connect(server.local_address()).unwrap();
            let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nsome";
            client.write_all(head).unwrap();
            let connection = server.accept().await.unwrap();
            let served = spawn(connection.serve(handler));
            for _ in 0..10 {
                yield_now().await;
            }
            SockRef::from(&client)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(client); // a reset
            served.await.unwrap();
        });
        let error = kept.take().expect("the body cannot be read");
        assert!(error.contains("reset"), "{way:?}: {error}");
        assert_eq!((lines, failures), (0, 0), "{way:?}: {error}");
    }
}

#[test]
fn a_malformed_body_is_refused_in_each_way_of_reading() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for way in WAYS {
        let handler = reads(way, Rc::default());
        let (answer, lines, failures) = ask(handler, &format!("{head}5\r\nhello!!"));
        assert_eq!(answer.text(), "chunk without its end\n", "{way:?}");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!((lines, failures), (0, 0), "{way:?}");
    }
}

#[test]
fn a_client_that_leaves_during_its_answer_is_no_failure_of_the_handler() {
    let ((), lines, failures) = blame(async |server| {
        let client = TestClient::of(server, async |request: Request<'_>| {
            let mut body = request.start(StatusCode::OK, ()).await?;
            loop {
                if let Err(error) = body.write([b'x'; 4096]).await {
                    assert!(error.is_disconnect(), "{error:?}");
                    let again = body.finish().await.unwrap_err();
                    assert!(again.is_disconnect(), "{again:?}");
                    return Err(again);
                }
            }
        });
        let (mut stream, _) = client.into_stream();
        futures_lite::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        yield_now().await;
        drop(stream);
        for _ in 0..1_000 {
            yield_now().await;
        }
        assert_eq!(server.connections(), 0);
    });
    assert_eq!((lines, failures), (0, 0));
}

#[test]
fn the_access_log_has_no_500_for_a_client_that_has_left() {
    let lines: Rc<RefCell<Vec<String>>> = Rc::default();
    let written = lines.clone();
    let logged = access_log(
        async |request: Request<'_>| {
            let mut body = request.start(StatusCode::OK, ()).await?;
            loop {
                body.write([b'x'; 4096]).await?;
            }
        },
        move |entry| {
            assert_eq!(entry.end.status(), None);
            lines.borrow_mut().push(entry.combined().to_string());
        },
    );
    let ((), lines, failures) = blame(async |server| {
        let mut client = TestClient::of(server, logged);
        client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        yield_now().await;
        drop(client.into_stream());
        for _ in 0..1_000 {
            yield_now().await;
        }
    });
    assert_eq!((lines, failures), (0, 0));
    let written = written.borrow();
    assert_eq!(written.len(), 1);
    assert!(
        written[0].contains("\"GET / HTTP/1.1\" - - "),
        "{written:?}"
    );
    assert!(written[0].ends_with(" left: broken pipe"), "{written:?}");
}

#[test]
fn a_reset_of_the_handlers_own_connection_is_our_failure() {
    for kind in [
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::TimedOut,
        io::ErrorKind::WriteZero,
    ] {
        let asks_another = async move |_: Request<'_>| -> Result<Responded> {
            Err(io::Error::new(kind, "the database is gone").into())
        };
        let (answer, lines, failures) = ask(asks_another, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{kind}");
        assert_eq!((lines, failures), (1, 1), "{kind}");
    }
}

#[test]
fn a_fault_is_found_inside_an_error_of_the_application() {
    #[derive(Debug)]
    struct App(Box<dyn StdError>);

    impl fmt::Display for App {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no")
        }
    }

    impl StdError for App {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&*self.0)
        }
    }

    let refused = Error::from(App(Refusal::BodyTooLarge.into()));
    assert_eq!(refused.refusal(), Some(Refusal::BodyTooLarge));
    let carried = io::Error::other(io::Error::other(Refusal::BodyTooSlow));
    let carried = Error::from(App(carried.into()));
    assert_eq!(carried.status(), StatusCode::REQUEST_TIMEOUT);
    let blamed = ClientError::new(StatusCode::CONFLICT, "taken");
    let blamed = Error::from(App(App(blamed.into()).into()));
    assert_eq!(blamed.status(), StatusCode::CONFLICT);
    assert_eq!(blamed.client_error().map(ClientError::text), Some("taken"));
    assert!(!blamed.is_disconnect());
    let ours = Error::from(App(io::Error::from(io::ErrorKind::ConnectionReset).into()));
    assert_eq!(ours.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!ours.is_disconnect());
}

#[test]
fn a_body_that_is_too_long_is_refused_and_not_logged() {
    let reads = async |request: Request<'_>| {
        let length = request.body().bytes(3).await?.len().to_string();
        request.respond(StatusCode::OK, length, ()).await
    };
    let ((), lines, failures) = blame(async |server| {
        for (body, status) in [("abc", 200), ("abcd", 413)] {
            let mut client = TestClient::of(server, reads);
            let answer = client
                .request(&Method::POST, "/", &[], body.as_bytes())
                .await;
            assert_eq!(answer.status.as_u16(), status);
        }
    });
    assert_eq!((lines, failures), (0, 0));
}
