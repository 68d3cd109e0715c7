//! TLS through `Builder::transport`: connections of rustls below those of the server.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::support::skip::skip;
use crate::support::tls::{
    ask, client_builder, connect, read_all, read_answer, read_late, send_further_bytes,
    server_builder,
};
use futures_lite::AsyncWriteExt;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
use waterwheel::http::{
    Builder, Io, Limits, Request, Responded, Result, Server, StatusCode, Stream, TransportInfo,
};
use waterwheel::runtime::spawn;

/// A TLS connection over an accepted stream. It sends only on a flush, at the end, or when its buffer is full.
struct Tls {
    stream: Stream,
    tls: RefCell<ServerConnection>,
}

/// The facts that the handshake has found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TlsInfo {
    server_name: Option<String>,
    alpn: Option<Vec<u8>>,
}

/// A stream that returns `WouldBlock` if it must wait, and then wakes the task.
struct Polled<'a, 'c>(&'a Stream, &'a mut Context<'c>);

fn would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

fn or_pending<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl Read for Polled<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        would_block(Io::poll_read(self.0, self.1, buffer))
    }
}

impl Write for Polled<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        would_block(self.0.poll_write_one(self.1, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tls {
    async fn accept(
        stream: Stream,
        config: Arc<ServerConfig>,
        info: &mut TransportInfo,
    ) -> io::Result<Self> {
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        let this = Self {
            stream,
            tls: RefCell::new(tls),
        };
        std::future::poll_fn(|cx| this.poll_handshake(cx)).await?;
        info.extensions_mut().insert(TlsInfo {
            server_name: this.tls.borrow().server_name().map(str::to_owned),
            alpn: this.tls.borrow().alpn_protocol().map(<[u8]>::to_vec),
        });
        Ok(this)
    }

    fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.tls.borrow().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Sends the records that are ready.
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut tls = self.tls.borrow_mut();
        while tls.wants_write() {
            ready!(or_pending(tls.write_tls(&mut Polled(&self.stream, cx))))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut tls = self.tls.borrow_mut();
        let count = ready!(or_pending(tls.read_tls(&mut Polled(&self.stream, cx))))?;
        tls.process_new_packets().map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }
}

impl Io for Tls {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let read = self.tls.borrow_mut().reader().read(buffer);
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
            ready!(self.poll_receive(cx))?;
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let count = self.tls.borrow_mut().writer().write_vectored(slices)?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            ready!(self.poll_send(cx))?;
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // rustls sends it only once.
        self.tls.borrow_mut().send_close_notify();
        ready!(self.poll_send(cx))?;
        self.stream.poll_end(cx)
    }

    fn reset_on_drop(&self) {
        self.stream.reset_on_drop();
    }

    fn has_input(&self) -> bool {
        // Bytes in rustls' buffers are input, too.
        let mut tls = self.tls.borrow_mut();
        let held = tls.process_new_packets();
        held.is_ok_and(|held| held.plaintext_bytes_to_read() > 0) || self.stream.has_input()
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Io::poll_closed(&self.stream, cx)
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        Io::poll_read_closed(&self.stream, cx)
    }
}

/// Returns the configurations of both sides.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = server_builder();
    let mut server = server
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = client_builder(rustls::DEFAULT_VERSIONS).with_root_certificates(roots);
    let mut client = client.with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    (Arc::new(server), Arc::new(client))
}

fn over_tls(builder: Builder, config: Arc<ServerConfig>) -> Builder {
    builder.transport(async move |stream, info: &mut TransportInfo| {
        Tls::accept(stream, config.clone(), info).await
    })
}

/// Answers `/n` with n bytes, and `/who` with the facts of the transport. Upgrades `/upgrade`.
async fn answer(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/who" => {
            let connection = request.connection();
            let tls: &TlsInfo = connection.get().unwrap();
            assert!(connection.local_address().is_some());
            request
                .respond(StatusCode::OK, format!("{tls:?}"), ())
                .await
        }
        "/upgrade" => {
            let (responded, upgrade) = request.upgrade("shout", ()).await?;
            spawn(async {
                let mut stream = upgrade.await?;
                stream.write_all(b"LOUD").await?;
                stream.close().await?;
                // The upgrade returns the user's own type.
                assert!(stream.downcast::<Tls>().is_ok());
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

#[test]
fn a_handler_sees_the_facts_of_the_handshake() {
    let (server, client) = configs();
    let server = over_tls(Server::builder(), server);
    let server = server.stoppable("127.0.0.1:0", || answer).unwrap();
    let mut client = connect(server.local_address(), &client);
    ask(&mut client, "/who", "Connection: close\r\n");
    let answer = read_all(&mut client);
    let expected = TlsInfo {
        server_name: Some("localhost".to_owned()),
        alpn: Some(b"http/1.1".to_vec()),
    };
    assert!(answer.ends_with(&format!("{expected:?}")), "{answer}");
}

#[test]
fn a_late_reader_receives_an_answer_of_any_size_whole() {
    let (server, client) = configs();
    let server = over_tls(Server::builder(), server);
    let server = server.stoppable("127.0.0.1:0", || answer).unwrap();
    read_late(server.local_address(), &client);
}

#[test]
fn further_bytes_of_a_client_do_not_lose_its_last_answer() {
    let (server, client) = configs();
    let server = over_tls(Server::builder(), server);
    let server = server.stoppable("127.0.0.1:0", || answer).unwrap();
    send_further_bytes(server.local_address(), &client);
}

#[test]
fn each_end_of_a_connection_sends_a_close_notify() {
    let (server, client) = configs();
    let limits =
        Limits::default().with(|limits| limits.idle_duration_max = Duration::from_millis(100));
    let server = over_tls(Server::builder().limits(limits), server);
    let server = server.stoppable("127.0.0.1:0", || answer).unwrap();
    let mut idle = connect(server.local_address(), &client);
    ask(&mut idle, "/10", "");
    assert!(read_all(&mut idle).ends_with("xxxxxxxxxx"));
    // A client that closes its write half.
    let mut ended = connect(server.local_address(), &client);
    ask(&mut ended, "/10", "");
    ended.conn.send_close_notify();
    ended.flush().unwrap();
    assert!(read_all(&mut ended).ends_with("xxxxxxxxxx"));
    // A client whose server ends.
    let mut dismissed = connect(server.local_address(), &client);
    ask(&mut dismissed, "/10", "");
    read_answer(&mut dismissed, 10);
    server.stopper().stop();
    assert_eq!(read_all(&mut dismissed), "");
}

#[test]
fn an_upgraded_stream_is_the_transport() {
    let (server, client) = configs();
    let server = over_tls(Server::builder(), server);
    let server = server.stoppable("127.0.0.1:0", || answer).unwrap();
    let mut client = connect(server.local_address(), &client);
    ask(
        &mut client,
        "/upgrade",
        "Connection: upgrade\r\nUpgrade: shout\r\n",
    );
    assert!(read_all(&mut client).ends_with("\r\n\r\nLOUD"));
}

#[test]
fn curl_is_answered() {
    let (server, _) = configs();
    let server = over_tls(Server::builder(), server);
    let server = server.stoppable("127.0.0.1:0", || answer).unwrap();
    let url = format!("https://{}/3000000", server.local_address());
    let mut curl = std::process::Command::new("curl");
    let Ok(output) = curl
        .args(["--silent", "--insecure", "--http1.1", &url])
        .output()
    else {
        return skip("curl is not installed");
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout.len(), 3_000_000);
}
