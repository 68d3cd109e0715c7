//! Attacks on the streams of HTTPS: records that only a client without manners sends, and faults that users of other
//! servers have reported.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::alone;
use crate::support::runtime::run;
use crate::support::server::DEADLINE;
use crate::support::system::cpu_ticks;
use crate::support::tls::{
    Authority, MemoryClient, ask, client_builder, configs, connect, pair, pair_through, read_all,
    read_answer, roots,
};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    StreamOwned, SupportedCipherSuite,
};
use waterwheel::http::testing::MemoryStream;
use waterwheel::http::tls::{Identity, TlsAcceptor, TlsConfig, TlsInfo, TlsStream};
use waterwheel::http::web::client_address::ProxyProtocol;
use waterwheel::http::{Io, Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{block_on, join, spawn, spawn_blocking, yield_now};

/// Writes records of TLS 1.3 with any content.
struct Records {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Records {
    /// Takes over from a client whose handshake is done.
    fn of(client: ClientConnection) -> Self {
        let suite = client.negotiated_cipher_suite();
        let Some(SupportedCipherSuite::Tls13(suite)) = suite else {
            panic!("not TLS 1.3")
        };
        let (sequence, secrets) = client.dangerous_extract_secrets().unwrap().tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            panic!("an unknown suite")
        };
        Self {
            encrypter: suite.aead_alg.encrypter(key, iv),
            sequence,
        }
    }

    fn record(&mut self, kind: ContentType, content: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: kind,
            version: ProtocolVersion::TLSv1_2,
            payload: content.into(),
        };
        let record = self.encrypter.encrypt(message, self.sequence).unwrap();
        self.sequence += 1;
        record.encode()
    }

    fn data(&mut self, content: &[u8]) -> Vec<u8> {
        self.record(ContentType::ApplicationData, content)
    }
}

/// Returns both ends after the handshake, and the client's as records.
async fn raw_pair() -> (Records, MemoryStream, TlsStream<MemoryStream>) {
    let (server, client) = configs();
    let mut client: ClientConfig = (*client).clone();
    client.enable_secret_extraction = true;
    let (near, far) = MemoryStream::pair();
    let mut client = MemoryClient::new(Arc::new(client), near);
    let acceptor = TlsAcceptor::new(server);
    let (accepted, ()) = join(acceptor.accept(far), client.shake_hands()).await;
    let mut accepted = accepted.unwrap();
    accepted.flush().await.unwrap(); // the tickets
    client.receive().await;
    (Records::of(client.tls), client.near, accepted)
}

async fn poll_read_once(server: &impl Io, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    poll_fn(|cx| Poll::Ready(server.poll_read(cx, buffer))).await
}

#[test]
fn a_key_update_is_answered_by_a_server_that_only_reads() {
    run(async {
        time::pause();
        let (mut client, mut server) = pair().await;
        server.flush().await.unwrap(); // the tickets
        client.receive().await;
        for _ in 0..3 {
            client.tls.refresh_traffic_keys().unwrap();
            client.tls.writer().write_all(b"body").unwrap();
            client.tls.refresh_traffic_keys().unwrap();
            client.send().await;
            let mut buffer = [0; 9];
            assert_eq!(server.read(&mut buffer).await.unwrap(), 4);
            assert!(poll_read_once(&server, &mut buffer).await.is_pending());
            let answered = timeout(Duration::from_secs(1), client.receive()).await;
            assert!(answered.is_ok(), "no answer came");
        }
        // The keys of both directions still fit.
        server.write_all(b"answer").await.unwrap();
        server.flush().await.unwrap();
        client.receive().await;
        let mut answer = [0; 6];
        client.tls.reader().read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
    });
}

#[test]
fn key_updates_of_a_client_that_does_not_read_fill_no_memory() {
    run(async {
        time::pause();
        let (mut client, server) = pair().await;
        let mut buffer = [0; 4096];
        let mut most = 0;
        for _ in 0..20_000 {
            client.tls.refresh_traffic_keys().unwrap();
            client.tls.writer().write_all(b"x").unwrap();
            client.send().await;
            while let Poll::Ready(read) = poll_read_once(&server, &mut buffer).await {
                assert!(read.unwrap() > 0);
            }
            most = most.max(server.held_bytes());
        }
        assert!(most < 1000, "{most}");
    });
}

/// A transport whose write opens before its waker is called, and whose successful write drops the waker. The contract
/// of `Io` allows both, because one task writes.
struct Gate {
    inner: MemoryStream,
    is_open: Rc<Cell<bool>>,
    writer: Rc<Cell<Option<Waker>>>,
}

impl Io for Gate {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if !self.is_open.get() {
            self.writer.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        self.writer.set(None);
        Io::poll_write(&self.inner, cx, slices)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(&self.inner, cx)
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_end(cx)
    }

    fn has_input(&self) -> bool {
        self.inner.has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_closed(cx)
    }
}

#[test]
fn a_read_that_sends_for_a_waiting_writer_wakes_it() {
    run(async {
        time::pause();
        let is_open = Rc::new(Cell::new(true));
        let writer = Rc::new(Cell::new(None));
        let (client, server) = pair_through(|inner| Gate {
            inner,
            is_open: is_open.clone(),
            writer: writer.clone(),
        })
        .await;
        let server = Rc::new(server);
        is_open.set(false);
        let writing = spawn({
            let server = server.clone();
            async move {
                poll_fn(|cx| server.poll_write_one(cx, b"answer")).await?;
                poll_fn(|cx| Io::poll_flush(&*server, cx)).await
            }
        });
        yield_now().await;
        // The flush waits. Now the transport can accept bytes, and a read comes before its wake.
        is_open.set(true);
        let mut buffer = [0; 9];
        assert!(poll_read_once(&*server, &mut buffer).await.is_pending());
        writer.take().into_iter().for_each(Waker::wake);
        let written = timeout(Duration::from_secs(1), writing).await;
        written.expect("the writer was not woken").unwrap().unwrap();
        drop(client);
    });
}

#[test]
fn an_error_of_a_read_wakes_a_waiting_writer() {
    run(async {
        time::pause();
        let is_open = Rc::new(Cell::new(true));
        let (mut client, server) = pair_through(|inner| Gate {
            inner,
            is_open: is_open.clone(),
            writer: Rc::default(),
        })
        .await;
        let server = Rc::new(server);
        is_open.set(false);
        let writing = spawn({
            let server = server.clone();
            async move {
                poll_fn(|cx| server.poll_write_one(cx, b"answer")).await?;
                poll_fn(|cx| Io::poll_flush(&*server, cx)).await
            }
        });
        yield_now().await;
        client.near.write_all(&[23, 3, 3, 0, 17]).await.unwrap();
        client.near.write_all(&[7; 17]).await.unwrap();
        let mut buffer = [0; 9];
        let Poll::Ready(Err(error)) = poll_read_once(&*server, &mut buffer).await else {
            panic!("no error")
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let written = timeout(Duration::from_secs(1), writing).await;
        let written = written.expect("the writer was not woken").unwrap();
        assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidData);
    });
}

/// A transport whose flush is pending a few times.
struct SlowFlush {
    inner: MemoryStream,
    delay: Rc<Cell<u32>>,
    held: RefCell<Vec<u8>>,
}

impl Io for SlowFlush {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, buffer)
    }

    fn poll_write(&self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut held = self.held.borrow_mut();
        let before = held.len();
        slices
            .iter()
            .for_each(|slice| held.extend_from_slice(slice));
        Poll::Ready(Ok(held.len() - before))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.delay.get() > 0 {
            self.delay.set(self.delay.get() - 1);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut held = self.held.borrow_mut();
        while !held.is_empty() {
            let Poll::Ready(written) = self.inner.poll_write_one(cx, &held) else {
                return Poll::Pending;
            };
            held.drain(..written?);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_end(cx)
    }

    fn has_input(&self) -> bool {
        self.inner.has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_closed(cx)
    }
}

#[test]
fn a_read_that_sends_flushes_a_transport_that_needs_time_for_it() {
    run(async {
        time::pause();
        let delay = Rc::new(Cell::new(0));
        let (mut client, mut server) = pair_through(|inner| SlowFlush {
            inner,
            delay: delay.clone(),
            held: RefCell::default(),
        })
        .await;
        delay.set(3);
        // The tickets are left, and the server only reads.
        let reading = spawn(async move { server.read(&mut [0; 9]).await });
        let received = timeout(Duration::from_secs(1), client.receive()).await;
        assert!(received.is_ok(), "the tickets stayed below");
        client.tls.writer().write_all(b"x").unwrap();
        client.send().await;
        assert_eq!(reading.await.unwrap().unwrap(), 1);
    });
}

#[test]
fn a_part_of_a_message_of_the_handshake_is_no_input() {
    run(async {
        time::pause();
        let (mut records, mut near, server) = raw_pair().await;
        let mut buffer = [0; 4096];
        // A key update (RFC 8446, 4.6.3) in two records.
        let update = [24, 0, 0, 1, 1];
        near.write_all(&records.record(ContentType::Handshake, &update[..3]))
            .await
            .unwrap();
        assert!(server.has_input());
        assert!(poll_read_once(&server, &mut buffer).await.is_pending());
        assert!(!server.has_input(), "the task would run without end");
        near.write_all(&records.record(ContentType::Handshake, &update[3..]))
            .await
            .unwrap();
        assert!(server.has_input());
        assert!(poll_read_once(&server, &mut buffer).await.is_pending());
        assert!(!server.has_input());
        let answered = timeout(Duration::from_secs(1), near.read(&mut buffer)).await;
        assert!(answered.unwrap().unwrap() > 0);
    });
}

#[test]
fn an_endless_message_of_the_handshake_ends_the_connection() {
    run(async {
        time::pause();
        let (mut records, mut near, server) = raw_pair().await;
        let mut buffer = [0; 4096];
        near.write_all(&records.record(ContentType::Handshake, &[24, 0, 0xff, 0xff]))
            .await
            .unwrap();
        for _ in 0..10_000 {
            let piece = records.record(ContentType::Handshake, &[0]);
            near.write_all(&piece).await.unwrap();
            match poll_read_once(&server, &mut buffer).await {
                Poll::Pending => {}
                Poll::Ready(read) => {
                    let error = read.unwrap_err();
                    return assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
                }
            }
        }
        panic!("the message had no end");
    });
}

#[test]
fn data_after_a_close_notify_and_a_second_one_are_ignored() {
    run(async {
        time::pause();
        let (mut records, mut near, mut server) = raw_pair().await;
        let close_notify = [1, 0];
        near.write_all(&records.data(b"first")).await.unwrap();
        near.write_all(&records.record(ContentType::Alert, &close_notify))
            .await
            .unwrap();
        near.write_all(&records.data(b"second")).await.unwrap();
        near.write_all(&records.record(ContentType::Alert, &close_notify))
            .await
            .unwrap();
        let mut buffer = [0; 4096];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        for _ in 0..3 {
            assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
            assert!(!server.has_input());
        }
        server.write_all(b"answer").await.unwrap();
        server.close().await.unwrap();
    });
}

#[test]
fn records_of_each_size_are_read_and_a_larger_one_is_refused() {
    run(async {
        time::pause();
        let (mut records, mut near, mut server) = raw_pair().await;
        let mut buffer = vec![0; 64 * 1024];
        for size in [0, 1, 0, 4095, 4096, 16 * 1024 - 1, 16 * 1024, 0, 0, 1] {
            let content = vec![b'x'; size];
            near.write_all(&records.data(&content)).await.unwrap();
            let mut count = 0;
            while count < size {
                count += server.read(&mut buffer).await.unwrap();
            }
            assert_eq!(count, size);
        }
        near.write_all(&records.data(&vec![b'x'; 16 * 1024 + 1]))
            .await
            .unwrap();
        let error = loop {
            match server.read(&mut buffer).await {
                Ok(count) => assert_eq!(count, 0, "a record that is too large"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    });
}

/// Answers after a moment.
async fn late(request: Request<'_>) -> Result<Responded> {
    let body = request.bytes().await?;
    sleep(Duration::from_millis(100)).await;
    let text = format!("late after {}", body.len());
    request.respond(StatusCode::OK, text, ()).await
}

#[test]
fn empty_records_keep_no_client_alive_and_delay_no_other() {
    let (config, client) = configs();
    let limits =
        Limits::default().with(|limits| limits.head_duration_max = Duration::from_millis(500));
    let builder = Server::builder().limits(limits).tls(config);
    let server = builder.stoppable("127.0.0.1:0", || late).unwrap();
    let address = server.local_address();
    let mut raw: ClientConfig = (*client).clone();
    raw.enable_secret_extraction = true;
    let mut flood = connect(address, &Arc::new(raw));
    flood.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    flood.flush().unwrap();
    let (tls, mut socket) = flood.into_parts();
    let mut records = Records::of(tls);
    let began = Instant::now();
    thread::scope(|scope| {
        let flooding = scope.spawn(move || {
            while began.elapsed() < DEADLINE {
                let many: Vec<u8> = (0..500).flat_map(|_| records.data(b"")).collect();
                if socket.write_all(&many).is_err() {
                    return began.elapsed();
                }
            }
            panic!("the client was not cut");
        });
        for _ in 0..5 {
            let mut client = connect(address, &client);
            ask(&mut client, "/", "Connection: close\r\n");
            assert!(read_all(&mut client).ends_with("late after 0"));
        }
        assert!(flooding.join().unwrap() < DEADLINE / 2);
    });
}

#[test]
fn a_client_that_ends_its_stream_without_a_close_notify_still_receives_its_answer() {
    let (config, client) = configs();
    let builder = Server::builder().tls(config);
    let server = builder.stoppable("127.0.0.1:0", || late).unwrap();
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let mut client = connect(server.local_address(), &client);
        client.write_all(request.as_bytes()).unwrap();
        client.flush().unwrap();
        client.sock.shutdown(Shutdown::Write).unwrap();
        let count = if request.starts_with("POST") { 3 } else { 0 };
        let answer = read_answer(&mut client, "late after 0".len());
        assert!(answer.ends_with(&format!("late after {count}")), "{answer}");
    }
}

/// Writes the sections of a PEM text in another way.
fn rewritten(text: &str, rewrite: impl Fn(&str) -> String) -> Vec<u8> {
    text.lines()
        .map(|line| rewrite(line) + "\n")
        .collect::<String>()
        .into_bytes()
}

#[test]
fn pem_of_many_editors_and_programs_is_read() {
    let authority = Authority::new();
    let (certificate, key) = authority.server(&["localhost"]).pem();
    let bag = "Bag Attributes\n    friendlyName: mühle\n    localKeyID: 54 69 6D\nsubject=CN = x\n";
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(certificate.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    for (name, chain) in [
        ("CRLF", rewritten(&certificate, |line| format!("{line}\r"))),
        ("CR", certificate.replace('\n', "\r").into_bytes()),
        (
            "spaces behind",
            rewritten(&certificate, |line| format!("{line}  ")),
        ),
        (
            "spaces before",
            rewritten(&certificate, |line| format!("  {line}")),
        ),
        (
            "no last line end",
            certificate.trim_end().as_bytes().to_vec(),
        ),
        (
            "empty lines",
            rewritten(&certificate, |line| format!("{line}\n")),
        ),
        (
            "attributes of PKCS#12",
            [bag, &certificate].concat().into_bytes(),
        ),
        (
            "a comment in Latin-1",
            [b"# m\xfchle\n", certificate.as_bytes()].concat(),
        ),
        (
            "two marks of UTF-8",
            [
                "\u{feff}".as_bytes(),
                certificate.as_bytes(),
                "\u{feff}".as_bytes(),
                authority.root_pem().as_bytes(),
            ]
            .concat(),
        ),
        ("UTF-16 of Windows", utf16),
    ] {
        let built = TlsConfig::from_pem(chain, &key);
        assert!(built.is_ok(), "{name}: {}", built.unwrap_err());
    }
}

/// Sends a request through TLS over any stream, and reads the answer to its end.
fn ask_over<S: Read + Write>(stream: S, config: &Arc<ClientConfig>) -> String {
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(config.clone(), name).unwrap();
    let mut client = StreamOwned::new(tls, stream);
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// Answers with the client's address and with the protocol.
async fn addressed(request: Request<'_>) -> Result<Responded> {
    let connection = request.connection();
    let tls: &TlsInfo = connection.get().unwrap();
    let text = format!("{:?} {}", connection.peer_address(), tls.protocol());
    request.respond(StatusCode::OK, text, ()).await
}

#[test]
fn tls_follows_a_header_of_the_proxy_protocol_in_any_pieces() {
    let (config, client) = configs();
    let builder = Server::builder()
        .proxy_protocol(ProxyProtocol::required())
        .tls(config);
    let server = builder.stoppable("127.0.0.1:0", || addressed).unwrap();
    for piece in [1, 7, 1000] {
        let mut stream = TcpStream::connect(server.local_address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n";
        for bytes in header.chunks(piece) {
            stream.write_all(bytes).unwrap();
        }
        let answer = ask_over(stream, &client);
        assert!(answer.ends_with("Some(192.0.2.7:4711) TLSv1.3"), "{answer}");
    }
}

#[test]
fn tls_works_over_a_unix_socket() {
    let (config, client) = configs();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mill.sock");
    let server = Server::builder().tls(config).bind_unix(&path);
    block_on(async {
        let server = server.unwrap();
        let client = spawn_blocking(move || {
            let stream = UnixStream::connect(path).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            ask_over(stream, &client)
        });
        let asked = async {
            let answer = client.await.unwrap();
            server.shutdown(DEADLINE).await;
            answer
        };
        let (outcome, answer) = join(server.serve(addressed), asked).await;
        outcome.unwrap();
        assert!(answer.ends_with("None TLSv1.3"), "{answer}");
    });
}

#[test]
fn a_hello_of_60_kilobytes_is_read() {
    let (config, client) = configs();
    let builder = Server::builder().tls(config);
    let server = builder.stoppable("127.0.0.1:0", || addressed).unwrap();
    let mut large: ClientConfig = (*client).clone();
    large.alpn_protocols = (0..240_u8).map(|byte| vec![byte; 250]).collect();
    large.alpn_protocols.push(b"http/1.1".to_vec());
    let stream = TcpStream::connect(server.local_address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let answer = ask_over(stream, &Arc::new(large));
    assert!(answer.ends_with("TLSv1.3"), "{answer}");
}

#[test]
fn a_graceful_end_waits_neither_for_half_handshakes_nor_for_half_messages() {
    let (config, client) = configs();
    let builder = Server::builder().tls(config);
    let server = builder.stoppable("127.0.0.1:0", || late).unwrap();
    let address = server.local_address();
    let mut raw: ClientConfig = (*client).clone();
    raw.enable_secret_extraction = true;
    // An idle connection, with a part of a key update.
    let mut idle = connect(address, &Arc::new(raw));
    ask(&mut idle, "/", "");
    read_answer(&mut idle, "late after 0".len());
    let (tls, mut idle) = idle.into_parts();
    let part = Records::of(tls).record(ContentType::Handshake, &[24, 0, 0]);
    idle.write_all(&part).unwrap();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(&[22, 3, 1, 1, 0, 1]).unwrap();
    thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    server.stopper().stop();
    let report = server.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{report}");
    assert_eq!(report.cut, 0, "{report}");
}

#[test]
fn without_tickets_no_session_of_the_older_protocol_resumes() {
    let authority = Authority::new();
    let (certificate, key) = authority.server(&["localhost"]).pem();
    let config = TlsConfig::builder().identity(Identity::from_pem(certificate, key));
    for (tickets, kind) in [(true, "true"), (false, "false")] {
        let config = config.clone().session_tickets(tickets).build().unwrap();
        let server = Server::builder().tls(config);
        let resumed = async |request: Request<'_>| {
            let connection = request.connection();
            let tls: &TlsInfo = connection.get().unwrap();
            let text = tls.is_resumed().to_string();
            request.respond(StatusCode::OK, text, ()).await
        };
        let server = server.stoppable("127.0.0.1:0", move || resumed).unwrap();
        let older = client_builder(&[&rustls::version::TLS12]);
        let older = older.with_root_certificates(roots(&authority));
        let older = Arc::new(older.with_no_client_auth());
        for expected in ["false", kind] {
            let mut client = connect(server.local_address(), &older);
            ask(&mut client, "/", "Connection: close\r\n");
            let answer = read_all(&mut client);
            assert!(answer.ends_with(expected), "{tickets}: {answer}");
        }
    }
}

#[test]
fn an_alert_within_the_handshake_ends_it_or_is_passed_over() {
    alone(|| {
        let id = std::process::id();
        let before = cpu_ticks(id);
        let (config, client) = configs();
        let limits =
            Limits::default().with(|limits| limits.handshake_duration_max = Duration::from_secs(4));
        let builder = Server::builder().limits(limits).tls(config);
        let server = builder.stoppable("127.0.0.1:0", || addressed).unwrap();
        let hello = {
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = ClientConnection::new(client.clone(), name).unwrap();
            let mut records = Vec::new();
            tls.write_tls(&mut records).unwrap();
            records
        };
        // A close_notify after the hello made servers with rustls run without end (RUSTSEC-2024-0336).
        let close_notify = [21, 3, 3, 0, 2, 1, 0];
        for (count, what) in [(1, "a close_notify"), (100, "many")] {
            let mut stream = TcpStream::connect(server.local_address()).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let began = Instant::now();
            stream
                .write_all(&[&hello[..], &close_notify.repeat(count)].concat())
                .unwrap();
            drop(stream.read_to_end(&mut Vec::new()));
            assert!(began.elapsed() < Duration::from_secs(8), "{what}");
        }
        let stream = TcpStream::connect(server.local_address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(ask_over(stream, &client).ends_with("TLSv1.3"));
        // A client that made the server run until its deadline would cost 400 ticks.
        let spent = cpu_ticks(id) - before;
        assert!(spent < 150, "{spent}");
    });
}

#[test]
fn a_second_close_notify_during_the_last_answer_does_not_lose_it() {
    let (config, client) = configs();
    let large = async |request: Request<'_>| {
        request
            .respond(StatusCode::OK, vec![b'x'; 16_000_000], ())
            .await
    };
    let server = Server::builder().tls(config);
    let server = server.stoppable("127.0.0.1:0", move || large).unwrap();
    let mut raw: ClientConfig = (*client).clone();
    raw.enable_secret_extraction = true;
    let raw = Arc::new(raw);
    for _ in 0..5 {
        let mut client = connect(server.local_address(), &raw);
        while client.conn.is_handshaking() {
            client.conn.complete_io(&mut client.sock).unwrap();
        }
        let (tls, mut socket) = client.into_parts();
        let mut records = Records::of(tls);
        let request = records.data(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let [first, second] = [(); 2].map(|()| records.record(ContentType::Alert, &[1, 0]));
        // Clients that shut down twice send two (rustls issue 1950).
        socket.write_all(&[request, first].concat()).unwrap();
        thread::sleep(Duration::from_millis(50));
        socket.write_all(&second).unwrap();
        thread::sleep(Duration::from_millis(50));
        let mut received = Vec::new();
        let ended = socket.read_to_end(&mut received);
        assert!(ended.is_ok(), "{ended:?} after {} bytes", received.len());
        assert!(received.len() > 16_000_000, "{}", received.len());
    }
}
