//! Tools for tests over TLS: certificates, clients, and a pump that carries plain clients over TLS.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WantsServerCert;
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion, WantsVerifier,
};
use socket2::SockRef;
use waterwheel::http::testing::MemoryStream;
use waterwheel::http::tls::{TlsAcceptor, TlsConfig, TlsStream};
use waterwheel::http::{Builder, Io};
use waterwheel::runtime::join;

use super::server::DEADLINE;

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Pair {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        let key = key.serialize_der();
        Self {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.into()),
        }
    }

    /// Returns the certificate and the key as PEM.
    pub(crate) fn pem(&self) -> (String, String) {
        let key = self.key.secret_der();
        (
            pem("CERTIFICATE", &self.certificate),
            pem("PRIVATE KEY", key),
        )
    }
}

/// An authority that issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own: an issuer is found by its name.
        let name = format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap());
        Self(issuer.unwrap())
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.0.as_ref().der().clone()
    }

    pub(crate) fn root_pem(&self) -> String {
        pem("CERTIFICATE", &self.root())
    }

    /// Issues a certificate of a server with these names.
    pub(crate) fn server(&self, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.issue(
            CertificateParams::new(names).unwrap(),
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// Issues a certificate of a client.
    pub(crate) fn client(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Issues a certificate of a client that is valid from one year to another.
    pub(crate) fn client_between(&self, first: i32, last: i32) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = date_time_ymd(first, 1, 1);
        params.not_after = date_time_ymd(last, 1, 1);
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Pair {
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        Pair::new(&params.signed_by(&key, &self.0).unwrap(), &key)
    }
}

/// Writes a section of PEM.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (at, three) in der.chunks(3).enumerate() {
        let bits = three
            .iter()
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for digit in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
            let is_padding = digit > three.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[index])
            });
        }
        if at % 16 == 15 {
            text.push('\n');
        }
    }
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        text.trim_end()
    )
}

/// A server's configuration, and a client's that trusts it.
pub(crate) fn configs() -> (TlsConfig, Arc<ClientConfig>) {
    let authority = Authority::new();
    let (certificate, key) = authority.server(&["localhost"]).pem();
    let config = TlsConfig::from_pem(certificate, key).unwrap();
    (config, client_config(&authority))
}

/// The begin of a client's configuration. The cryptography is named, because `rustls` has no default if both of
/// its providers are built in, as `--all-features` does.
pub(crate) fn client_builder(
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
}

/// The begin of a server's configuration, without certificates of clients.
pub(crate) fn server_builder() -> ConfigBuilder<ServerConfig, WantsServerCert> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
}

/// A client that trusts an authority, and offers `http/1.1`.
pub(crate) fn client_config(authority: &Authority) -> Arc<ClientConfig> {
    let mut config = client_builder(rustls::DEFAULT_VERSIONS)
        .with_root_certificates(roots(authority))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

pub(crate) fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(authority.root()).unwrap();
    roots
}

/// A client of TLS.
pub(crate) type TlsClient = StreamOwned<ClientConnection, TcpStream>;

/// Connects for the name `localhost`. The handshake follows with the first write.
pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> TlsClient {
    connect_for(address, config, "localhost")
}

pub(crate) fn connect_for(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> TlsClient {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let tls = ClientConnection::new(config.clone(), name).unwrap();
    TlsClient::new(tls, stream)
}

pub(crate) fn ask(client: &mut TlsClient, path: &str, fields: &str) {
    write!(
        client,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
    )
    .unwrap();
}

/// Reads to the end, which must be a `close_notify`.
pub(crate) fn read_all(client: &mut TlsClient) -> String {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads an answer with a body of so many bytes.
pub(crate) fn read_answer(client: &mut TlsClient, count: usize) -> String {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if head.is_some_and(|head| bytes.len() >= head + 4 + count) {
            return String::from_utf8(bytes).unwrap();
        }
        let read = client.read(&mut piece).unwrap();
        assert!(read > 0, "the stream ended after {} bytes", bytes.len());
        bytes.extend_from_slice(&piece[..read]);
    }
}

/// Requests answers of `/n` with n bytes, in many sizes, and reads each late.
pub(crate) fn read_late(address: SocketAddr, config: &Arc<ClientConfig>) {
    let sizes: Vec<usize> = (1_000_000..=7_000_000).step_by(40_000).collect();
    thread::scope(|scope| {
        for sizes in sizes.chunks(10) {
            scope.spawn(move || {
                for size in sizes {
                    read_one_late(address, config, *size);
                }
            });
        }
    });
}

/// Requests an answer, with and without `Connection: close`, and reads it late.
fn read_one_late(address: SocketAddr, config: &Arc<ClientConfig>, size: usize) {
    let late = Duration::from_millis(100);
    let mut client = connect(address, config);
    ask(&mut client, &format!("/{size}"), "");
    thread::sleep(late);
    let kept = read_answer(&mut client, size);
    ask(&mut client, &format!("/{size}"), "Connection: close\r\n");
    thread::sleep(late);
    let last = read_all(&mut client);
    for answer in [kept, last] {
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(body.len(), size);
    }
}

/// Sends more bytes after a last request, and reads the answers of `/n` with n bytes.
pub(crate) fn send_further_bytes(address: SocketAddr, config: &Arc<ClientConfig>) {
    for size in [10, 1_000_000, 8_000_000] {
        for extra in [2, 1000, 1_000_000] {
            let mut client = connect(address, config);
            ask(&mut client, &format!("/{size}"), "Connection: close\r\n");
            thread::sleep(Duration::from_millis(20));
            // The server may have closed by then.
            drop(client.write_all(&vec![b'z'; extra]));
            thread::sleep(Duration::from_millis(100));
            let answer = read_all(&mut client);
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            assert_eq!(body.len(), size, "{extra}");
        }
    }
}

/// A client of TLS over a connection in memory.
pub(crate) struct MemoryClient {
    pub(crate) tls: ClientConnection,
    pub(crate) near: MemoryStream,
}

impl MemoryClient {
    pub(crate) fn new(config: Arc<ClientConfig>, near: MemoryStream) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(config, name).unwrap();
        Self { tls, near }
    }

    /// Takes out the records to send.
    pub(crate) fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        records
    }

    pub(crate) async fn send(&mut self) {
        let records = self.records();
        self.near.write_all(&records).await.unwrap();
    }

    /// Reads once from the connection below.
    pub(crate) async fn receive(&mut self) -> usize {
        let mut bytes = [0; 4096];
        let count = self.near.read(&mut bytes).await.unwrap();
        let mut left = &bytes[..count];
        while !left.is_empty() {
            self.tls.read_tls(&mut left).unwrap();
            self.tls.process_new_packets().unwrap();
        }
        count
    }

    pub(crate) async fn shake_hands(&mut self) {
        while self.tls.is_handshaking() {
            self.send().await;
            if self.tls.is_handshaking() {
                self.receive().await;
            }
        }
        self.send().await;
    }
}

/// Returns both ends of a connection in memory after the handshake.
pub(crate) async fn pair() -> (MemoryClient, TlsStream<MemoryStream>) {
    pair_through(|far| far).await
}

/// As `pair`, over a transport around the server's end.
pub(crate) async fn pair_through<T: Io>(
    wrap: impl FnOnce(MemoryStream) -> T,
) -> (MemoryClient, TlsStream<T>) {
    let (server, client) = configs();
    let (near, far) = MemoryStream::pair();
    let mut client = MemoryClient::new(client, near);
    let acceptor = TlsAcceptor::new(server);
    let (accepted, ()) = join(acceptor.accept(wrap(far)), client.shake_hands()).await;
    (client, accepted.unwrap())
}

/// Returns true if all tests over `TestServer` are to run over TLS: `WATERWHEEL_TLS=1`.
pub(crate) fn is_wanted() -> bool {
    env::var_os("WATERWHEEL_TLS").is_some_and(|value| value == "1")
}

/// The client's side of a pump.
pub(crate) struct Pump {
    client: Arc<ClientConfig>,
}

impl Pump {
    /// Puts TLS under a server.
    pub(crate) fn under(builder: Builder) -> (Builder, Self) {
        let (server, client) = configs();
        (builder.tls(server), Self { client })
    }

    /// Listens for plain clients, and carries each over TLS to `server`. Returns the address.
    pub(crate) fn start(self, server: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Ends with the process.
        thread::spawn(move || {
            for plain in listener.incoming().flatten() {
                let client = self.client.clone();
                thread::spawn(move || carry(&plain, server, &client));
            }
        });
        address
    }
}

/// Carries bytes in both directions. The end of one side is the end of the other, and a break is a break.
fn carry(plain: &TcpStream, server: SocketAddr, config: &Arc<ClientConfig>) -> Option<()> {
    plain.set_nodelay(true).ok()?;
    let socket = TcpStream::connect(server).ok()?;
    socket.set_nodelay(true).ok()?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config.clone(), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut &socket).ok()?;
    }
    let tls = Arc::new(Mutex::new(tls));
    let upward = {
        let (plain, socket, tls) = (
            plain.try_clone().ok()?,
            socket.try_clone().ok()?,
            tls.clone(),
        );
        thread::spawn(move || send(&plain, &socket, &tls))
    };
    if receive(plain, &socket, &tls).is_err() {
        // A reset: the answer is not whole.
        drop(SockRef::from(plain).set_linger(Some(Duration::ZERO)));
        drop(plain.shutdown(Shutdown::Read)); // wakes the other direction
        drop(socket.shutdown(Shutdown::Both));
    }
    drop(upward.join());
    Some(())
}

/// Sends what the plain client sends.
fn send(
    mut plain: &TcpStream,
    mut socket: &TcpStream,
    tls: &Mutex<ClientConnection>,
) -> Option<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let Ok(count) = plain.read(&mut bytes) else {
            // A reset stays one.
            drop(SockRef::from(socket).set_linger(Some(Duration::ZERO)));
            return socket.shutdown(Shutdown::Both).ok();
        };
        let mut records = Vec::new();
        {
            let mut tls = tls.lock().unwrap();
            if count == 0 {
                tls.send_close_notify();
            } else {
                tls.writer().write_all(&bytes[..count]).unwrap();
            }
            while tls.wants_write() {
                tls.write_tls(&mut records).unwrap();
            }
        }
        // Without the lock, because the server may send before it reads.
        socket.write_all(&records).ok()?;
        if count == 0 {
            return socket.shutdown(Shutdown::Write).ok();
        }
    }
}

/// Passes on what the server sends, up to its `close_notify`.
fn receive(
    mut plain: &TcpStream,
    mut socket: &TcpStream,
    tls: &Mutex<ClientConnection>,
) -> io::Result<()> {
    let (mut records, mut bytes) = (vec![0; 16 * 1024], Vec::new());
    loop {
        let count = socket.read(&mut records)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.clear();
        let mut ended = false;
        {
            let mut tls = tls.lock().unwrap();
            let mut left = &records[..count];
            while !left.is_empty() && !ended {
                tls.read_tls(&mut left)?;
                let state = tls.process_new_packets().map_err(io::Error::other)?;
                ended = state.peer_has_closed();
                // rustls holds one record.
                match tls.reader().read_to_end(&mut bytes) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        }
        plain.write_all(&bytes)?;
        if ended {
            return plain.shutdown(Shutdown::Write);
        }
    }
}
