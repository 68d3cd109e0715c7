//! The streams of HTTPS: records in any pieces, late readers, errors, and the end.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::support::runtime::run;
use crate::support::server::DEADLINE;
use crate::support::tls::{
    Authority, MemoryClient, TlsClient, ask, client_builder, configs, connect, pair, pair_through,
    read_all, read_answer, read_late, roots, send_further_bytes,
};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use waterwheel::http::testing::{MemoryStream, Torture};
use waterwheel::http::tls::{TlsAcceptor, TlsConfig, TlsStream};
use waterwheel::http::{
    Builder, Io, Limits, Request, Responded, Result, Server, StatusCode, Stopper, Stream,
    TransportInfo,
};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{join, spawn};

/// Answers `/n` with n bytes, `/echo` with the body, and `/late` after a moment. Upgrades `/upgrade`.
async fn answer(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/echo" => {
            let body = request.bytes().await?;
            request.respond(StatusCode::OK, body, ()).await
        }
        "/late" => {
            sleep(Duration::from_millis(300)).await;
            request.respond(StatusCode::OK, "late", ()).await
        }
        "/pieces" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            for piece in ["one ", "two ", "three"] {
                body.write(piece).await?;
                sleep(Duration::from_millis(5)).await;
            }
            body.finish().await
        }
        "/upgrade" => {
            let (responded, upgrade) = request.upgrade("shout", ()).await?;
            spawn(async {
                let mut stream = upgrade.await?;
                stream.write_all(b"LOUD").await?;
                stream.close().await?;
                assert!(stream.downcast::<TlsStream>().is_ok());
                io::Result::Ok(())
            })
            .detach();
            Ok(responded)
        }
        path => {
            let count = path[1..].parse().unwrap_or(0);
            request.respond(StatusCode::OK, vec![b'x'; count], ()).await
        }
    }
}

/// Starts a server of HTTPS on a thread of its own.
fn start(
    builder: Builder,
) -> (
    waterwheel::http::ServerThread,
    SocketAddr,
    Arc<ClientConfig>,
) {
    let (server, client) = configs();
    let server = builder.tls(server);
    let server = server.stoppable("127.0.0.1:0", || answer).unwrap();
    let address = server.local_address();
    (server, address, client)
}

/// Requests of each kind over one connection.
fn requests_of_each_kind(mut client: TlsClient) {
    ask(&mut client, "/10", "");
    assert!(read_answer(&mut client, 10).ends_with("xxxxxxxxxx"));
    ask(&mut client, "/70000", "");
    read_answer(&mut client, 70_000);
    let body = vec![b'y'; 300_000];
    write!(
        client,
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    client.write_all(&body).unwrap();
    assert!(read_answer(&mut client, body.len()).ends_with("yyyy"));
    let many = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40);
    client.write_all(many.as_bytes()).unwrap();
    let mut answers = String::new();
    while answers.matches("\r\n\r\nx").count() < 40 {
        let mut bytes = [0; 4096];
        let count = client.read(&mut bytes).unwrap();
        assert!(count > 0, "{answers}");
        answers.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    ask(&mut client, "/pieces", "Connection: close\r\n");
    let pieces = read_all(&mut client);
    assert!(pieces.contains("three"), "{pieces}");
}

#[test]
fn requests_of_each_kind_are_answered() {
    let (_server, address, client) = start(Server::builder());
    requests_of_each_kind(connect(address, &client));
}

#[test]
fn tls_passes_over_and_under_a_transport_that_uses_every_delay() {
    let (config, client) = configs();
    let acceptor = TlsAcceptor::new(config);
    for seed in 0..20 {
        let acceptor = acceptor.clone();
        let builder =
            Server::builder().transport(async move |stream: Stream, info: &mut TransportInfo| {
                let below = Torture::new(stream, seed);
                let tls = acceptor.accept_with(below, info).await?;
                Ok(Torture::new(tls, seed + 1))
            });
        let server = builder.stoppable("127.0.0.1:0", || answer).unwrap();
        requests_of_each_kind(connect(server.local_address(), &client));
        let mut client = connect(server.local_address(), &client);
        ask(
            &mut client,
            "/1500000",
            if seed % 2 == 0 {
                ""
            } else {
                "Connection: close\r\n"
            },
        );
        thread::sleep(Duration::from_millis(20));
        read_answer(&mut client, 1_500_000);
    }
}

#[test]
fn a_late_reader_receives_an_answer_of_any_size_whole() {
    let (_server, address, client) = start(Server::builder());
    read_late(address, &client);
}

#[test]
fn further_bytes_of_a_client_do_not_lose_its_last_answer() {
    let (_server, address, client) = start(Server::builder());
    send_further_bytes(address, &client);
}

#[test]
fn each_end_of_a_connection_sends_a_close_notify() {
    let limits =
        Limits::default().with(|limits| limits.idle_duration_max = Duration::from_millis(100));
    let (server, address, client) = start(Server::builder().limits(limits));
    let mut idle = connect(address, &client);
    ask(&mut idle, "/10", "");
    assert!(read_all(&mut idle).ends_with("xxxxxxxxxx"));
    // A client that closes its write half.
    let mut ended = connect(address, &client);
    ask(&mut ended, "/10", "");
    ended.conn.send_close_notify();
    ended.flush().unwrap();
    assert!(read_all(&mut ended).ends_with("xxxxxxxxxx"));
    // A client that is refused.
    let mut refused = connect(address, &client);
    refused.write_all(b"BREW /pot HTTP/1.1\r\n\r\n").unwrap();
    assert!(read_all(&mut refused).starts_with("HTTP/1.1 400 "));
    // A stream of another protocol.
    let mut upgraded = connect(address, &client);
    let offer = "Connection: upgrade\r\nUpgrade: shout\r\n";
    ask(&mut upgraded, "/upgrade", offer);
    assert!(read_all(&mut upgraded).ends_with("\r\n\r\nLOUD"));
    // A client whose server ends.
    let mut dismissed = connect(address, &client);
    ask(&mut dismissed, "/10", "");
    read_answer(&mut dismissed, 10);
    server.stopper().stop();
    assert_eq!(read_all(&mut dismissed), "");
}

#[test]
fn a_graceful_end_answers_the_request_under_way_and_closes_cleanly() {
    let (server, address, client) = start(Server::builder());
    let stopper: Stopper = server.stopper();
    let mut idle = connect(address, &client);
    ask(&mut idle, "/10", "");
    read_answer(&mut idle, 10);
    let mut busy = connect(address, &client);
    ask(&mut busy, "/late", "");
    thread::sleep(Duration::from_millis(100));
    stopper.stop();
    assert_eq!(read_all(&mut idle), "");
    let answer = read_all(&mut busy);
    assert!(answer.ends_with("late"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[test]
fn a_handshake_and_a_request_in_single_bytes_are_served() {
    let (_server, address, config) = start(Server::builder());
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config, name).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut has_asked = false;
    loop {
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        for byte in records {
            stream.write_all(&[byte]).unwrap();
        }
        if !tls.is_handshaking() && !has_asked {
            has_asked = true;
            let request = b"GET /10 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            // A record for each byte of the head.
            for byte in request {
                tls.writer().write_all(&[*byte]).unwrap();
            }
            continue;
        }
        let count = tls.read_tls(&mut stream).unwrap();
        let state = tls.process_new_packets().unwrap();
        if state.peer_has_closed() || count == 0 {
            break;
        }
    }
    let mut answer = String::new();
    tls.reader().read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("xxxxxxxxxx"), "{answer}");
}

#[test]
fn a_client_that_ends_without_a_close_notify_costs_only_its_connection() {
    let (server, address, client) = start(Server::builder());
    for shutdown in [Shutdown::Write, Shutdown::Both] {
        let mut cut = connect(address, &client);
        ask(&mut cut, "/10", "");
        read_answer(&mut cut, 10);
        cut.sock.shutdown(shutdown).unwrap();
        if shutdown == Shutdown::Write {
            // The server closes: a truncated stream has no more requests.
            drop(cut.read(&mut [0; 100]));
        }
    }
    // A body that is cut is not a whole body.
    let mut cut = connect(address, &client);
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    cut.write_all(head.as_bytes()).unwrap();
    cut.sock.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    drop(cut.read_to_end(&mut bytes));
    assert!(!String::from_utf8_lossy(&bytes).starts_with("HTTP/1.1 200"));
    requests_of_each_kind(connect(address, &client));
    drop(server);
}

#[test]
fn a_client_that_changes_its_keys_is_answered() {
    let (_server, address, client) = start(Server::builder());
    let mut client = connect(address, &client);
    for count in 1..200 {
        ask(&mut client, &format!("/{count}"), "");
        read_answer(&mut client, count);
        client.conn.refresh_traffic_keys().unwrap();
        if count % 3 == 0 {
            // Several changes before the server has anything to send.
            client.flush().unwrap();
            client.conn.refresh_traffic_keys().unwrap();
        }
    }
    ask(&mut client, "/5", "Connection: close\r\n");
    assert!(read_all(&mut client).ends_with("xxxxx"));
}

#[test]
fn a_broken_record_is_answered_by_an_alert_and_ends_the_connection() {
    let (_server, address, config) = start(Server::builder());
    let mut client = connect(address, &config);
    ask(&mut client, "/10", "");
    read_answer(&mut client, 10);
    // Application data that no key has encrypted.
    let mut record = vec![23, 3, 3, 0, 40];
    record.extend_from_slice(&[7; 40]);
    client.sock.write_all(&record).unwrap();
    let error = client.read(&mut [0; 100]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    requests_of_each_kind(connect(address, &config));
}

/// Wakes only the last task that has waited, as the contract of `Io` allows.
#[derive(Default)]
struct LastWaker(Mutex<Option<Waker>>);

impl Wake for LastWaker {
    fn wake(self: Arc<Self>) {
        let last = self.0.lock().unwrap().take();
        last.into_iter().for_each(Waker::wake);
    }
}

/// A transport that remembers one waker for all its writes.
struct OneWriter {
    inner: MemoryStream,
    writer: Arc<LastWaker>,
}

impl Io for OneWriter {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Io::poll_read(&self.inner, cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        *self.writer.0.lock().unwrap() = Some(cx.waker().clone());
        let waker = Waker::from(self.writer.clone());
        Io::poll_write(&self.inner, &mut Context::from_waker(&waker), slices)
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
fn a_part_of_a_record_is_no_input_and_does_not_keep_the_task_running() {
    run(async {
        let (mut client, mut server) = pair().await;
        client.tls.writer().write_all(b"whole").unwrap();
        let records = client.records();
        let (first, second) = records.split_at(records.len() - 1);
        client.near.write_all(first).await.unwrap();
        assert!(server.has_input(), "there are bytes below");
        let mut buffer = [0; 100];
        let read = poll_fn(|cx| Poll::Ready(Io::poll_read(&server, cx, &mut buffer))).await;
        assert!(read.is_pending());
        assert!(!server.has_input());
        let polls = std::cell::Cell::new(0);
        let waiting = timeout(
            Duration::from_millis(50),
            poll_fn(|cx| {
                polls.set(polls.get() + 1);
                Io::poll_read(&server, cx, &mut [0; 100])
            }),
        );
        assert!(waiting.await.is_err());
        assert!(polls.get() <= 3, "{}", polls.get());
        client.near.write_all(second).await.unwrap();
        assert!(server.has_input());
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        assert!(!server.has_input());
    });
}

#[test]
fn bytes_that_a_small_buffer_left_and_records_behind_them_are_input() {
    run(async {
        let (mut client, mut server) = pair().await;
        client.tls.writer().write_all(b"first").unwrap();
        client.tls.writer().write_all(b"second").unwrap();
        client.send().await;
        let mut bytes = Vec::new();
        for at in 0..11 {
            assert!(server.has_input(), "{at}");
            let mut byte = [0];
            assert_eq!(server.read(&mut byte).await.unwrap(), 1);
            bytes.push(byte[0]);
        }
        assert_eq!(bytes, b"firstsecond");
        assert!(!server.has_input());
        client.tls.send_close_notify();
        client.send().await;
        for _ in 0..3 {
            assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 0);
            assert!(!server.has_input(), "the end is no input");
        }
        // A half-closed client still receives.
        server.write_all(b"answer").await.unwrap();
        server.close().await.unwrap();
        while client.receive().await > 0 {}
        let mut answer = Vec::new();
        client.tls.reader().read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"answer");
    });
}

#[test]
fn written_bytes_wait_for_a_flush_and_count_as_held() {
    run(async {
        let (mut client, mut server) = pair().await;
        server.flush().await.unwrap(); // the tickets
        client.receive().await;
        assert_eq!(server.held_bytes(), 0);
        server.write_all(b"answer").await.unwrap();
        assert!(server.held_bytes() > 6, "{}", server.held_bytes());
        server.flush().await.unwrap();
        assert_eq!(server.held_bytes(), 0);
        client.receive().await;
        let mut answer = [0; 6];
        client.tls.reader().read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        // A client that takes no byte: the connection below fills up, and then 64 KiB are held, not more.
        let large = vec![7; 1 << 20];
        let filled = timeout(Duration::from_millis(50), server.write_all(&large));
        assert!(filled.await.is_err());
        let held = server.held_bytes();
        assert!((1..=66 * 1024).contains(&held), "{held}");
        // Progress is visible in the held bytes.
        client.receive().await;
        let flushed = poll_fn(|cx| Poll::Ready(Io::poll_flush(&server, cx))).await;
        assert!(flushed.is_pending());
        assert!(server.held_bytes() < held);
    });
}

#[test]
fn an_error_is_final() {
    run(async {
        let (client, mut server) = pair().await;
        drop(client); // without a close_notify
        let error = server.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(!server.has_input());
        for _ in 0..2 {
            let errors = [
                server.read(&mut [0; 9]).await.unwrap_err(),
                server.write(b"x").await.unwrap_err(),
                server.flush().await.unwrap_err(),
                server.close().await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            }
        }
        poll_fn(|cx| server.poll_closed(cx)).await;
        poll_fn(|cx| server.poll_read_closed(cx)).await;
    });
}

#[test]
fn a_write_after_the_end_fails_and_the_end_can_be_repeated() {
    run(async {
        let (mut client, mut server) = pair().await;
        server.write_all(b"last").await.unwrap();
        for _ in 0..3 {
            server.close().await.unwrap();
        }
        let error = server.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        while client.receive().await > 0 {}
        let mut bytes = Vec::new();
        client.tls.reader().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"last");
        // The other half is still open.
        client.tls.writer().write_all(b"more").unwrap();
        client.send().await;
        let mut more = [0; 4];
        server.read_exact(&mut more).await.unwrap();
        assert_eq!(&more, b"more");
    });
}

#[test]
fn a_waiting_write_keeps_its_place_while_another_task_reads() {
    run(async {
        let (mut client, server) = pair_through(|inner| OneWriter {
            inner,
            writer: Arc::default(),
        })
        .await;
        let server = std::rc::Rc::new(server);
        // This task fills the connection and waits to write.
        let writing = spawn({
            let server = server.clone();
            async move {
                let bytes = vec![b'w'; 400_000];
                let mut left = &bytes[..];
                while !left.is_empty() {
                    let count = poll_fn(|cx| server.poll_write_one(cx, left)).await?;
                    left = &left[count..];
                }
                poll_fn(|cx| Io::poll_flush(&*server, cx)).await
            }
        });
        // This one reads. A read that must wait sends what is held.
        let reading = spawn({
            let server = server.clone();
            async move {
                let mut buffer = [0; 100];
                loop {
                    if poll_fn(|cx| Io::poll_read(&*server, cx, &mut buffer)).await? == 0 {
                        return io::Result::Ok(());
                    }
                }
            }
        });
        let mut received = 0;
        let mut bytes = vec![0; 64 * 1024];
        while received < 400_000 {
            client.tls.writer().write_all(b"tick").unwrap();
            if received % 2 == 0 {
                client.tls.refresh_traffic_keys().unwrap();
            }
            client.send().await;
            let below = timeout(DEADLINE, client.receive()).await;
            assert!(below.is_ok(), "stalled after {received} bytes");
            while let Ok(count) = client.tls.reader().read(&mut bytes) {
                received += count;
                if count == 0 {
                    break;
                }
            }
        }
        let written = timeout(DEADLINE, writing).await;
        written.unwrap().unwrap().unwrap();
        client.tls.send_close_notify();
        client.send().await;
        reading.await.unwrap().unwrap();
    });
}

#[test]
fn a_handshake_of_the_older_protocol_is_whole_when_accept_returns() {
    run(async {
        let authority = Authority::new();
        let (certificate, key) = authority.server(&["localhost"]).pem();
        let server = TlsConfig::from_pem(certificate, key).unwrap();
        let older = client_builder(&[&rustls::version::TLS12]);
        let older = older.with_root_certificates(roots(&authority));
        let (near, far) = MemoryStream::pair();
        let mut client = MemoryClient::new(Arc::new(older.with_no_client_auth()), near);
        let acceptor = TlsAcceptor::new(server);
        // The server neither reads nor writes afterwards.
        let both = join(acceptor.accept(far), client.shake_hands());
        let (accepted, ()) = timeout(DEADLINE, both).await.unwrap();
        assert_eq!(accepted.unwrap().tls_info().protocol(), "TLSv1.2");
    });
}

#[test]
fn a_client_that_takes_no_byte_is_cut() {
    run(async {
        time::pause();
        let limits = Limits::default()
            .with(|limits| limits.write_stall_duration_max = Duration::from_secs(3));
        let server = Server::builder().limits(limits).without_listener();
        let (mut client, stream) = pair().await;
        let serving = spawn(server.connection(stream, None).serve(answer));
        let request = b"GET /9000000 HTTP/1.1\r\nHost: x\r\n\r\n";
        client.tls.writer().write_all(request).unwrap();
        client.send().await;
        serving.await.unwrap();
        assert_eq!(server.numbers().write_timeouts, 1);
    });
}
