//! The client's connections of TLS: the alert of a failed handshake, tasks that wait, and held bytes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, ServerConfig, ServerConnection};
use waterwheel::http::client::{Client, RequestErrorKind};
use waterwheel::http::testing::{MemoryStream, Torture};
use waterwheel::http::tls::{TlsAcceptor, TlsConfig, TlsStream};
use waterwheel::http::{Io, Request, Server, StatusCode};
use waterwheel::runtime::{join, spawn, yield_now};

use crate::scripted::run;
use crate::support::tls::{
    Authority, client_builder, client_config, configs, roots, server_builder,
};

const URI: &str = "https://localhost/";

/// A client whose only connection is `io`.
fn client_over<T: Io>(io: T, config: Arc<ClientConfig>) -> Client {
    let io = RefCell::new(Some(io));
    let connector = move |_: &http::Uri| {
        let io = io.borrow_mut().take();
        async { io.ok_or_else(|| ErrorKind::NotConnected.into()) }
    };
    Client::builder().tls(config).connector(connector).build()
}

/// Returns both ends of a connection in memory after a change of the protocol. The client's end runs over the
/// transport that `wrap` returns.
async fn pair_through<T: Io>(
    wrap: impl FnOnce(MemoryStream) -> T,
) -> (Box<dyn Io>, TlsStream<MemoryStream>) {
    let (server, config) = configs();
    let (near, far) = MemoryStream::pair();
    let client = client_over(wrap(near), config);
    let acceptor = TlsAcceptor::new(server);
    let serving = async {
        let mut stream = acceptor.accept(far).await.unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut byte).await.unwrap(), 1);
            head.push(byte[0]);
        }
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: grain\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let asking = client.get(URI).header("upgrade", "grain").send();
    let (response, stream) = join(asking, serving).await;
    let (io, read) = response.unwrap().upgrade().unwrap().into_parts();
    assert!(read.is_empty());
    (io, stream)
}

/// Returns the configurations of a server by rustls, and of a client that trusts it.
fn rustls_configs() -> (ServerConfig, Arc<ClientConfig>) {
    let authority = Authority::new();
    let pair = authority.server(&["localhost"]);
    let config = server_builder();
    let config = config.with_single_cert(vec![pair.certificate], pair.key);
    (config.unwrap(), client_config(&authority))
}

async fn poll_read_once(io: &dyn Io, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    poll_fn(|cx| Poll::Ready(io.poll_read(cx, buffer))).await
}

/// A transport whose writes, and whose flushes, wait or fail as the test demands. A write or a flush that is ready
/// forgets the waker of one that has waited, as the contract allows.
struct Narrow {
    inner: MemoryStream,
    is_full: Rc<Cell<bool>>,
    is_flushing: Rc<Cell<bool>>,
    is_broken: Rc<Cell<bool>>,
}

impl Narrow {
    fn new(inner: MemoryStream) -> Self {
        Self {
            inner,
            is_full: Rc::default(),
            is_flushing: Rc::default(),
            is_broken: Rc::default(),
        }
    }
}

impl Io for Narrow {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Io::poll_read(&self.inner, cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.is_broken.get() {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        if self.is_full.get() {
            return Poll::Pending;
        }
        Io::poll_write(&self.inner, cx, slices)
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_flushing.get() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_end(&self.inner, cx)
    }

    fn has_input(&self) -> bool {
        self.inner.has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Io::poll_closed(&self.inner, cx)
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// RFC 8446, 6.2: an end that finds a fatal fault sends an alert.
#[test]
fn a_server_receives_the_alert_of_a_client_that_refuses_its_certificate() {
    for version in [&TLS12, &TLS13] {
        run(async {
            let (server, _) = configs();
            let stranger = client_builder(&[version])
                .with_root_certificates(roots(&Authority::new()))
                .with_no_client_auth();
            let (near, far) = MemoryStream::pair();
            let client = client_over(near, Arc::new(stranger));
            let acceptor = TlsAcceptor::new(server);
            let (refused, accepted) = join(client.get(URI).send(), acceptor.accept(far)).await;
            assert_eq!(refused.unwrap_err().kind(), RequestErrorKind::Tls);
            let error = accepted.map(drop).unwrap_err();
            assert!(error.to_string().contains("UnknownCA"), "{error}");
        });
    }
}

#[test]
fn an_error_of_a_read_wakes_a_task_that_waits_to_write() {
    run(async {
        let mut parts = None;
        let (client, mut server) = pair_through(|inner| {
            let narrow = Narrow::new(inner);
            parts = Some(narrow.is_full.clone());
            narrow
        })
        .await;
        let is_full = parts.unwrap();
        is_full.set(true);
        let wakes = Arc::new(Wakes::default());
        let counting = Waker::from(wakes.clone());
        let writer = &mut Context::from_waker(&counting);
        assert!(client.poll_write_one(writer, b"grain").is_ready());
        assert!(client.poll_flush(writer).is_pending());
        // The end below without a close_notify.
        let below = server.get_ref();
        poll_fn(|cx| below.poll_end(cx)).await.unwrap();
        let read = poll_read_once(&*client, &mut [0; 8]).await;
        let Poll::Ready(Err(error)) = read else {
            panic!("no error")
        };
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(wakes.count() > 0, "the task waits for ever");
        let Poll::Ready(Err(error)) = client.poll_flush(writer) else {
            panic!("no error")
        };
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        drop(server.close().await);
    });
}

#[test]
fn a_read_that_sends_all_records_wakes_the_task_that_waits_to_write() {
    run(async {
        let mut parts = None;
        let (client, _server) = pair_through(|inner| {
            let narrow = Narrow::new(inner);
            parts = Some((narrow.is_full.clone(), narrow.is_flushing.clone()));
            narrow
        })
        .await;
        let (is_full, is_flushing) = parts.unwrap();
        for flush_waits in [false, true] {
            let wakes = Arc::new(Wakes::default());
            let counting = Waker::from(wakes.clone());
            let writer = &mut Context::from_waker(&counting);
            assert!(client.poll_write_one(writer, b"grain").is_ready());
            is_full.set(true);
            assert!(client.poll_flush(writer).is_pending());
            // Each read tries again, and the one that sends and flushes all wakes the writer.
            for (has_no_room, has_to_wait) in [(true, false), (false, flush_waits), (false, false)]
            {
                is_full.set(has_no_room);
                is_flushing.set(has_to_wait);
                assert!(poll_read_once(&*client, &mut [0; 8]).await.is_pending());
                assert_eq!(wakes.count() > 0, !has_no_room && !has_to_wait);
            }
            assert!(client.poll_flush(writer).is_ready());
        }
    });
}

#[test]
fn an_error_of_a_write_leaves_the_answer_to_the_reads() {
    run(async {
        let mut parts = None;
        let (client, mut server) = pair_through(|inner| {
            let narrow = Narrow::new(inner);
            parts = Some(narrow.is_broken.clone());
            narrow
        })
        .await;
        server.write_all(b"413").await.unwrap();
        server.flush().await.unwrap();
        parts.unwrap().set(true);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(client.poll_write_one(cx, b"grain").is_ready());
        let first = client.poll_flush(cx);
        let again = [client.poll_flush(cx), client.poll_end(cx)];
        for failed in [first].into_iter().chain(again) {
            let Poll::Ready(Err(error)) = failed else {
                panic!("no error")
            };
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        let mut answer = [0; 8];
        let read = poll_fn(|cx| client.poll_read(cx, &mut answer)).await;
        assert_eq!(&answer[..read.unwrap()], b"413");
        assert!(poll_read_once(&*client, &mut answer).await.is_pending());
    });
}

#[test]
fn bytes_that_a_small_buffer_left_are_input() {
    run(async {
        let (client, mut server) = pair_through(|near| near).await;
        server.write_all(b"grain").await.unwrap();
        server.flush().await.unwrap();
        for left in (0..5).rev() {
            let read = poll_fn(|cx| client.poll_read(cx, &mut [0])).await;
            assert_eq!(read.unwrap(), 1);
            assert_eq!(client.has_input(), left > 0, "{left}");
        }
    });
}

#[test]
fn written_bytes_wait_for_a_flush_and_count_as_held() {
    run(async {
        let (client, mut server) = pair_through(|near| near).await;
        assert_eq!(client.held_bytes(), 0);
        let written = poll_fn(|cx| client.poll_write_one(cx, b"grain")).await;
        assert_eq!(written.unwrap(), 5);
        assert!(client.held_bytes() > 5, "{}", client.held_bytes());
        poll_fn(|cx| client.poll_flush(cx)).await.unwrap();
        assert_eq!(client.held_bytes(), 0);
        let mut grain = [0; 5];
        server.read_exact(&mut grain).await.unwrap();
        assert_eq!(&grain, b"grain");
    });
}

#[test]
fn the_end_of_the_server_that_a_read_meets_wakes_the_task_that_waits_for_it() {
    run(async {
        let (client, mut server) = pair_through(|near| near).await;
        let wakes = Arc::new(Wakes::default());
        let counting = Waker::from(wakes.clone());
        let watcher = &mut Context::from_waker(&counting);
        assert!(client.poll_read_closed(watcher).is_pending());
        server.close().await.unwrap();
        let read = poll_fn(|cx| client.poll_read(cx, &mut [0; 8])).await;
        assert_eq!(read.unwrap(), 0);
        assert!(wakes.count() > 0);
        assert!(client.poll_read_closed(watcher).is_ready());
        // The other half is still open.
        assert!(!client.has_input());
        poll_fn(|cx| client.poll_write_one(cx, b"grain"))
            .await
            .unwrap();
        poll_fn(|cx| client.poll_end(cx)).await.unwrap();
        let mut grain = Vec::new();
        server.read_to_end(&mut grain).await.unwrap();
        assert_eq!(grain, b"grain");
    });
}

/// A server whose answer has as many bytes as the body of the request.
async fn echo(request: Request<'_>) -> waterwheel::http::Result<waterwheel::http::Responded> {
    let body = request.bytes().await?;
    request.respond(StatusCode::OK, body, ()).await
}

#[test]
fn each_version_and_a_resumed_session_pass_over_a_transport_that_uses_every_delay() {
    let authority = Authority::new();
    let (certificate, key) = authority.server(&["localhost"]).pem();
    for version in [&TLS12, &TLS13] {
        let config = client_builder(&[version])
            .with_root_certificates(roots(&authority))
            .with_no_client_auth();
        let config = Arc::new(config);
        let server = TlsConfig::from_pem(&certificate, &key).unwrap();
        let acceptor = TlsAcceptor::new(server);
        for seed in 0..12 {
            let (acceptor, config) = (acceptor.clone(), config.clone());
            run(async move {
                let (near, far) = MemoryStream::pair();
                spawn(async move {
                    let stream = acceptor.accept(Torture::new(far, seed)).await.unwrap();
                    // All but the first of a version.
                    assert_eq!(stream.tls_info().is_resumed(), seed > 0);
                    let server = Server::builder().without_listener();
                    server.connection(stream, None).serve(echo).await;
                })
                .detach();
                let client = client_over(Torture::new(near, seed + 100), config);
                for size in [0, 1, 16_384, 16_385, 200_000] {
                    let body = vec![b'g'; size];
                    let response = client.post(URI).body(body.clone()).send().await.unwrap();
                    assert!(response.bytes().await.unwrap() == body, "{size}");
                }
            });
        }
    }
}

/// Serves a client by rustls' own server, which answers each request with `grain`. Calls `before` before each answer.
/// Returns the number of answers, and the kind of the handshake.
async fn serve_grain(
    config: Arc<ServerConfig>,
    mut far: MemoryStream,
    before: impl Fn(&mut ServerConnection),
) -> (usize, Option<HandshakeKind>) {
    let mut tls = ServerConnection::new(config).unwrap();
    let mut answers = 0;
    loop {
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        far.write_all(&records).await.unwrap();
        let mut bytes = [0; 4096];
        let count = far.read(&mut bytes).await.unwrap();
        if count == 0 {
            return (answers, tls.handshake_kind());
        }
        let mut left = &bytes[..count];
        while !left.is_empty() {
            tls.read_tls(&mut left).unwrap();
            tls.process_new_packets().unwrap();
        }
        let mut head = Vec::new();
        drop(io::Read::read_to_end(&mut tls.reader(), &mut head));
        if head.ends_with(b"\r\n\r\n") {
            before(&mut tls);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ngrain";
            io::Write::write_all(&mut tls.writer(), answer).unwrap();
            answers += 1;
        }
    }
}

/// Requests the answers of [`serve_grain`].
async fn ask_for_grain(client: Client, count: usize) {
    for _ in 0..count {
        let response = client.get(URI).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "grain");
        yield_now().await;
    }
}

/// RFC 8446, 4.6.3: `update_requested`.
#[test]
fn a_server_that_changes_its_keys_receives_those_of_the_client() {
    run(async {
        let (config, trusting) = rustls_configs();
        let (near, far) = MemoryStream::pair();
        let client = client_over(near, trusting);
        let serving = serve_grain(config.into(), far, |tls| {
            tls.refresh_traffic_keys().unwrap();
        });
        let ((), (answers, _)) = join(ask_for_grain(client, 20), serving).await;
        assert_eq!(answers, 20);
    });
}

/// The client sends no early data, because a request in it could be sent again by others (RFC 8470).
#[test]
fn a_configuration_with_early_data_resumes_a_session_without_it() {
    run(async {
        let (mut config, trusting) = rustls_configs();
        config.max_early_data_size = 16 * 1024;
        let config = Arc::new(config);
        let mut trusting = (*trusting).clone();
        trusting.enable_early_data = true;
        let trusting = Arc::new(trusting);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (near, far) = MemoryStream::pair();
            let client = client_over(near, trusting.clone());
            let serving = serve_grain(config.clone(), far, |tls| {
                assert!(tls.early_data().is_none_or(|mut data| {
                    let mut bytes = Vec::new();
                    drop(io::Read::read_to_end(&mut data, &mut bytes));
                    bytes.is_empty()
                }));
            });
            let ((), (answers, kind)) = join(ask_for_grain(client, 2), serving).await;
            assert_eq!((answers, kind), (2, Some(expected)));
        }
    });
}
