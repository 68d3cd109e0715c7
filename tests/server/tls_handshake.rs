//! The handshakes of HTTPS: certificates, names, sessions, reloads, and clients that do not finish.

use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::alone;
use crate::support::server::DEADLINE;
use crate::support::tls::{
    Authority, Pair, ask, client_builder, client_config, configs, connect, connect_for, pem,
    read_all, read_answer, roots, server_builder,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use waterwheel::http::testing::TestClient;
use waterwheel::http::tls::{
    ClientAuth, Identity, TlsAcceptor, TlsConfig, TlsConfigBuilder, TlsInfo, TlsReloader,
    redirect_to_https, redirect_to_https_port,
};
use waterwheel::http::{
    Builder, Limits, Request, Responded, Result, Server, ServerThread, StatusCode, Stream,
};
use waterwheel::runtime::net::TcpListener;
use waterwheel::runtime::{block_on, spawn_blocking};

/// Answers with the facts of the handshake.
async fn who(request: Request<'_>) -> Result<Responded> {
    let connection = request.connection();
    let tls: &TlsInfo = connection.get().unwrap();
    let body = format!(
        "{} {:?} {:?} {} {}",
        tls.protocol(),
        tls.server_name(),
        tls.alpn().map(String::from_utf8_lossy),
        if tls.is_resumed() { "resumed" } else { "full" },
        tls.client_certificates().len(),
    );
    assert!(tls.to_string().contains("_AES_") || tls.to_string().contains("CHACHA20"));
    assert!(connection.peer_address().is_some() && connection.local_address().is_some());
    request.respond(StatusCode::OK, body, ()).await
}

fn start(builder: Builder) -> (ServerThread, SocketAddr) {
    let server = builder.stoppable("127.0.0.1:0", || who).unwrap();
    let address = server.local_address();
    (server, address)
}

/// Requests the facts over a new connection.
fn facts(address: SocketAddr, config: &Arc<ClientConfig>) -> String {
    let mut client = connect(address, config);
    ask(&mut client, "/", "Connection: close\r\n");
    let answer = read_all(&mut client);
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn identity(pair: &Pair) -> Identity {
    let (certificate, key) = pair.pem();
    Identity::from_pem(certificate, key)
}

/// A client of one version of the protocol.
fn client_of(
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let config = client_builder(&[version]);
    let config = config.with_root_certificates(roots(authority));
    Arc::new(config.with_no_client_auth())
}

#[test]
fn a_handler_sees_the_facts_and_a_second_connection_resumes() {
    let authority = Authority::new();
    let config = TlsConfig::builder().identity(identity(&authority.server(&["localhost"])));
    let (_server, address) = start(Server::builder().tls(config.build().unwrap()));
    let modern = client_config(&authority);
    let expected = |kind| format!("TLSv1.3 Some(\"localhost\") Some(\"http/1.1\") {kind} 0");
    assert_eq!(facts(address, &modern), expected("full"));
    assert_eq!(facts(address, &modern), expected("resumed"));
    let older = client_of(&authority, &rustls::version::TLS12);
    let expected = |kind| format!("TLSv1.2 Some(\"localhost\") None {kind} 0");
    assert_eq!(facts(address, &older), expected("full"));
    assert_eq!(facts(address, &older), expected("resumed"));
}

#[test]
fn tickets_and_the_older_protocol_can_be_turned_off() {
    let authority = Authority::new();
    let config = TlsConfig::builder()
        .identity(identity(&authority.server(&["localhost"])))
        .session_tickets(false)
        .tls13_only(true);
    let (_server, address) = start(Server::builder().tls(config.build().unwrap()));
    let modern = client_config(&authority);
    for _ in 0..2 {
        assert!(facts(address, &modern).contains("full"));
    }
    let older = client_of(&authority, &rustls::version::TLS12);
    let mut client = connect(address, &older);
    let error = client.write_all(b"x").unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}

#[test]
fn each_worker_resumes_the_sessions_of_the_others() {
    let (config, client) = configs();
    let workers = Server::builder()
        .tls(config)
        .workers(
            3,
            "127.0.0.1:0",
            |server| async move { server.serve(who).await },
        )
        .unwrap();
    let address = workers.local_address();
    assert!(facts(address, &client).contains("full"));
    for _ in 0..12 {
        assert!(facts(address, &client).contains("resumed"));
    }
    workers.stop();
    workers.join().unwrap();
}

/// Accepts each certificate: some rows expect one of another name.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Returns the certificate that a server sends for a name.
fn certificate_for(address: SocketAddr, authority: &Authority, name: &str) -> io::Result<Vec<u8>> {
    let mut config = (*client_config(authority)).clone();
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(Trusting));
    let mut client = connect_for(address, &Arc::new(config), name);
    while client.conn.is_handshaking() {
        client.conn.complete_io(&mut client.sock)?;
    }
    Ok(client.conn.peer_certificates().unwrap()[0].to_vec())
}

#[test]
fn the_name_chooses_the_certificate() {
    let authority = Authority::new();
    let first = authority.server(&["mill.example", "www.mill.example"]);
    let wild = authority.server(&["*.mill.example"]);
    let named = authority.server(&["other.example"]);
    let build = |refuse| {
        let config = TlsConfig::builder()
            .identity(identity(&first))
            .identity(identity(&wild))
            .identity(identity(&named).for_names(["Old.Example", "*.old.example"]))
            .refuse_unknown_names(refuse);
        config.build().unwrap()
    };
    let (_server, address) = start(Server::builder().tls(build(false)));
    for (name, expected) in [
        ("mill.example", &first),
        ("WWW.Mill.Example", &first),
        ("grist.mill.example", &wild),
        // A wildcard is one label.
        ("a.b.mill.example", &first),
        ("old.example", &named),
        ("x.old.example", &named),
        // Its names were set, so those in the certificate do not count.
        ("other.example", &first),
        ("unknown.example", &first),
        // An address is no name, and is not sent.
        ("127.0.0.1", &first),
    ] {
        let sent = certificate_for(address, &authority, name).unwrap();
        assert!(sent == *expected.certificate, "{name}");
    }
    let (_server, address) = start(Server::builder().tls(build(true)));
    let error = certificate_for(address, &authority, "unknown.example").unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
    for name in ["mill.example", "127.0.0.1"] {
        let sent = certificate_for(address, &authority, name).unwrap();
        assert!(sent == *first.certificate, "{name}");
    }
}

/// A client with a certificate.
fn client_with(authority: &Authority, pair: &Pair) -> Arc<ClientConfig> {
    let config = client_builder(rustls::DEFAULT_VERSIONS).with_root_certificates(roots(authority));
    let chain = vec![pair.certificate.clone()];
    let config = config.with_client_auth_cert(chain, pair.key.clone_key());
    Arc::new(config.unwrap())
}

fn answers_certificate(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<String> {
    let mut client = connect(address, config);
    // The request leaves with the end of the handshake, before the server has judged the certificate. A server that
    // closed with a part of it unread would reset the connection, and hide the alert.
    let body = "z".repeat(30_000);
    write!(
        client,
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn clients_need_the_certificate_that_the_server_asks_for() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let root = authority.root_pem();
    let start_with = |auth: ClientAuth| {
        let config = TlsConfig::builder()
            .identity(identity(&authority.server(&["localhost"])))
            .client_auth(auth);
        start(Server::builder().tls(config.build().unwrap()))
    };
    let known = client_with(&authority, &authority.client("anna"));
    let strange = client_with(&authority, &stranger.client("mallory"));
    // A certificate of a server is for another purpose.
    let misused = client_with(&authority, &authority.server(&["localhost"]));
    let without = client_of(&authority, &rustls::version::TLS13);
    let (_server, address) = start_with(ClientAuth::required_from_pem(&root).unwrap());
    assert!(
        answers_certificate(address, &known)
            .unwrap()
            .ends_with("full 1")
    );
    // The client keeps its certificate when it resumes.
    assert!(
        answers_certificate(address, &known)
            .unwrap()
            .ends_with("resumed 1")
    );
    // Many times, because a reset would only sometimes hide the reason.
    for _ in 0..20 {
        let error = answers_certificate(address, &without).unwrap_err();
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
        let error = answers_certificate(address, &strange).unwrap_err();
        assert!(error.to_string().contains("UnknownCA"), "{error}");
    }
    let error = answers_certificate(address, &misused).unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
    for (first, last, alert) in [(2001, 2002, "CertificateExpired"), (2090, 2099, "alert")] {
        let dated = client_with(&authority, &authority.client_between(first, last));
        let error = answers_certificate(address, &dated).unwrap_err();
        assert!(error.to_string().contains(alert), "{error}");
    }
    let older = client_of(&authority, &rustls::version::TLS12);
    let error = answers_certificate(address, &older).unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
    let (_server, address) = start_with(ClientAuth::optional_from_pem(&root).unwrap());
    assert!(
        answers_certificate(address, &known)
            .unwrap()
            .ends_with("full 1")
    );
    assert!(
        answers_certificate(address, &without)
            .unwrap()
            .ends_with("full 0")
    );
    let error = answers_certificate(address, &strange).unwrap_err();
    assert!(error.to_string().contains("UnknownCA"), "{error}");
}

#[test]
fn a_handler_reads_the_certificate_as_der() {
    let authority = Authority::new();
    let anna = authority.client("anna");
    let expected = anna.certificate.clone();
    let config = TlsConfig::builder()
        .identity(identity(&authority.server(&["localhost"])))
        .client_auth(ClientAuth::required_from_pem(authority.root_pem()).unwrap());
    let server = Server::builder().tls(config.build().unwrap());
    let server = server
        .stoppable("127.0.0.1:0", move || {
            async move |request: Request<'_>| {
                let connection = request.connection();
                let tls: &TlsInfo = connection.get().unwrap();
                let is_anna = tls.client_certificates() == [expected.clone()];
                request
                    .respond(StatusCode::OK, is_anna.to_string(), ())
                    .await
            }
        })
        .unwrap();
    let client = client_with(&authority, &anna);
    let answer = answers_certificate(server.local_address(), &client).unwrap();
    assert!(answer.ends_with("true"), "{answer}");
}

#[test]
fn a_reload_under_load_fails_no_request() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    let write = |pair: &Pair| {
        let (chain, secret) = pair.pem();
        fs::write(&certificate, chain).unwrap();
        fs::write(&key, secret).unwrap();
    };
    write(&authority.server(&["localhost"]));
    let load = {
        let (certificate, key) = (certificate.clone(), key.clone());
        move || TlsConfig::from_pem_files(&certificate, &key)
    };
    let tls = TlsReloader::new(load).unwrap();
    let (server, address) = start(Server::builder().tls(tls.clone()));
    let client = client_config(&authority);
    let is_over = AtomicBool::new(false);
    let asked: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (client, is_over) = (&client, &is_over);
                scope.spawn(move || {
                    let mut asked = 0;
                    let mut kept = connect(address, client);
                    while !is_over.load(Ordering::Relaxed) {
                        if number % 2 == 0 {
                            assert!(facts(address, client).starts_with("TLSv1.3"));
                        } else {
                            ask(&mut kept, "/", "");
                            read_answer(&mut kept, "TLSv1.3".len());
                        }
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        for _ in 0..20 {
            let next = authority.server(&["localhost"]);
            write(&next);
            tls.reload().unwrap();
            let sent = certificate_for(address, &authority, "localhost").unwrap();
            assert!(sent == *next.certificate);
            thread::sleep(Duration::from_millis(10));
        }
        // A file that is being written, or a wrong one, leaves the old configuration.
        fs::write(&key, "").unwrap();
        let error = tls.reload().unwrap_err();
        assert_eq!(error.file(), Some(&*key));
        is_over.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    });
    assert!(asked > 20, "{asked}");
    assert!(facts(address, &client).starts_with("TLSv1.3"));
    server.stopper().stop();
}

#[test]
fn a_reload_keeps_a_configuration_that_has_replaced_another() {
    let authority = Authority::new();
    let [old, new] = ["localhost", "localhost"].map(|name| authority.server(&[name]));
    let config = |pair: &Pair| TlsConfig::builder().identity(identity(pair)).build();
    let tls = TlsReloader::from(config(&old).unwrap());
    let (_server, address) = start(Server::builder().tls(tls.clone()));
    let served = || certificate_for(address, &authority, "localhost").unwrap();
    assert!(served() == *old.certificate);
    tls.replace(config(&new).unwrap());
    assert!(served() == *new.certificate);
    // There are no files to read again.
    tls.reload().unwrap();
    assert!(served() == *new.certificate);
}

#[test]
fn a_main_that_returns_a_fault_prints_its_text() {
    // `main` prints the form of `Debug`, of this error or of the box around it.
    let fault = TlsConfig::from_pem_files("missing.pem", "key.pem").unwrap_err();
    assert_eq!(
        format!("{fault:?}"),
        "missing.pem: No such file or directory (os error 2)"
    );
    let printed = format!("{:?}", std::io::Error::from(fault));
    assert!(printed.contains("error: missing.pem: No such"), "{printed}");
}

#[test]
fn a_fault_in_the_files_is_named() {
    let authority = Authority::new();
    let pair = authority.server(&["localhost"]);
    let (certificate, key) = pair.pem();
    let (_, other) = authority.server(&["localhost"]).pem();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let encrypted = pem("ENCRYPTED PRIVATE KEY", &[1, 2, 3]);
    let strange = pem("PRIVATE KEY", &[0x30, 0]);
    let files: [(&str, &[u8]); 14] = [
        ("cert.pem", certificate.as_bytes()),
        ("key.pem", key.as_bytes()),
        ("other.pem", other.as_bytes()),
        ("empty.pem", b""),
        ("notes.txt", b"see the wiki"),
        ("cert.der", &pair.certificate),
        ("both.pem", &[key.as_bytes(), certificate.as_bytes()].concat()),
        ("bom.pem", &[b"\xef\xbb\xbf", certificate.as_bytes()].concat()),
        ("encrypted.pem", encrypted.as_bytes()),
        (
            "old.pem",
            b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        ),
        ("broken.pem", b"-----BEGIN CERTIFICATE-----\nMII?\n-----END CERTIFICATE-----\n"),
        ("cut.pem", &certificate.as_bytes()[..certificate.len() / 2]),
        ("strange.pem", strange.as_bytes()),
        (
            "reversed.pem",
            &[authority.root_pem().as_bytes(), certificate.as_bytes()].concat(),
        ),
    ];
    for (name, bytes) in files {
        fs::write(path(name), bytes).unwrap();
    }
    for (chain, key, expected) in [
        ("missing.pem", "key.pem", "missing.pem: No such file"),
        ("cert.pem", "missing.pem", "missing.pem: No such file"),
        (
            "empty.pem",
            "key.pem",
            "empty.pem: no certificate in the file: the file is empty",
        ),
        (
            "notes.txt",
            "key.pem",
            "notes.txt: no certificate in the file: it is not PEM",
        ),
        (
            "cert.der",
            "key.pem",
            "cert.der: no certificate in the file: it is DER and not PEM",
        ),
        // The files were mixed up.
        (
            "key.pem",
            "cert.pem",
            "key.pem: no certificate in the file: it has only: PRIVATE KEY",
        ),
        (
            "cert.pem",
            "cert.pem",
            "cert.pem: no private key in the file: it has only: CERTIFICATE",
        ),
        (
            "cert.pem",
            "encrypted.pem",
            "encrypted.pem: the private key is encrypted",
        ),
        (
            "cert.pem",
            "old.pem",
            "old.pem: the private key is encrypted",
        ),
        ("broken.pem", "key.pem", "broken.pem: the PEM is broken"),
        ("cut.pem", "key.pem", "cut.pem: the PEM is broken"),
        (
            "cert.pem",
            "strange.pem",
            "strange.pem: the private key cannot be used",
        ),
        (
            "cert.pem",
            "other.pem",
            "other.pem: the private key does not belong to the certificate in ",
        ),
        (
            "reversed.pem",
            "key.pem",
            "key.pem: the private key belongs to a later one",
        ),
    ] {
        let fault = TlsConfig::from_pem_files(path(chain), path(key)).unwrap_err();
        let text = fault.to_string();
        let prefix = format!("{}/", folder.path().display());
        let text = text.strip_prefix(&prefix).unwrap_or(&text);
        assert!(text.starts_with(expected), "{chain} {key}: {text}");
        assert!(fault.file().is_some(), "{text}");
        assert_eq!(
            io::Error::from(fault).kind() == ErrorKind::NotFound,
            expected.contains("No such")
        );
    }
    for (chain, key) in [
        ("cert.pem", "key.pem"),
        ("both.pem", "both.pem"),
        ("bom.pem", "key.pem"),
    ] {
        TlsConfig::from_pem_files(path(chain), path(key)).unwrap();
    }
    let none = TlsConfigBuilder::default().build().unwrap_err();
    assert_eq!(none.to_string(), "no certificate is set");
    let name = TlsConfig::builder()
        .identity(identity(&pair).for_names(["not a name"]))
        .build();
    assert_eq!(
        name.unwrap_err().to_string(),
        "not a DNS name: \"not a name\""
    );
    let roots = ClientAuth::required_from_pem("").unwrap_err();
    assert!(
        roots.to_string().starts_with("no certificate in the file"),
        "{roots}"
    );
    let lists = ClientAuth::required_from_pem(authority.root_pem()).unwrap();
    let lists = lists.revoked_in_pem_file(path("cert.pem")).unwrap_err();
    assert!(
        lists.to_string().contains("it has only: CERTIFICATE"),
        "{lists}"
    );
}

#[test]
fn a_client_that_speaks_http_receives_400() {
    let (config, client) = configs();
    let (_server, address) = start(Server::builder().tls(config));
    for extra in [0, 100_000] {
        let mut plain = TcpStream::connect(address).unwrap();
        plain.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {extra}\r\n\r\n");
        plain.write_all(head.as_bytes()).unwrap();
        drop(plain.write_all(&vec![b'x'; extra]));
        let mut answer = Vec::new();
        let ended = plain.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("This port speaks HTTPS. Begin the address with https://.\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        if extra == 0 {
            ended.unwrap();
        }
    }
    facts(address, &client);
}

#[test]
fn a_client_without_a_common_protocol_is_refused() {
    let authority = Authority::new();
    let pair = authority.server(&["localhost"]);
    let offering = |protocols: &[&[u8]]| {
        let mut config = (*client_config(&authority)).clone();
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        Arc::new(config)
    };
    let config = TlsConfig::builder().identity(identity(&pair));
    let (_server, address) = start(Server::builder().tls(config.build().unwrap()));
    assert!(facts(address, &offering(&[b"h2", b"http/1.1"])).contains("http/1.1"));
    assert!(facts(address, &offering(&[])).contains("None"));
    let mut client = connect(address, &offering(&[b"h2"]));
    let error = client.write_all(b"x").unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
    // A server that offers `h2` has to serve it. `Builder::tls` cannot, and ends cleanly.
    let config = TlsConfig::builder()
        .identity(identity(&pair))
        .alpn(["h2", "http/1.1"]);
    let (_server, address) = start(Server::builder().tls(config.build().unwrap()));
    let mut client = connect(address, &offering(&[b"h2"]));
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    assert_eq!(read_all(&mut client), "");
    assert!(facts(address, &offering(&[b"http/1.1"])).contains("http/1.1"));
}

#[test]
fn an_accept_loop_can_choose_by_the_protocol() {
    let authority = Authority::new();
    let config = TlsConfig::builder()
        .identity(identity(&authority.server(&["localhost"])))
        .alpn(["mill", "http/1.1"]);
    let acceptor = TlsAcceptor::new(config.build().unwrap());
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let server = Server::builder().without_listener();
        for (protocol, expected) in [("mill", "flour"), ("http/1.1", "HTTP/1.1 200 OK")] {
            let mut client = (*client_config(&authority)).clone();
            client.alpn_protocols = vec![protocol.into()];
            let client = spawn_blocking(move || {
                let mut client = connect(address, &Arc::new(client));
                ask(&mut client, "/", "Connection: close\r\n");
                read_all(&mut client)
            });
            let (stream, peer) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(Stream::from(stream)).await.unwrap();
            if stream.tls_info().alpn() == Some(b"mill") {
                use futures_lite::AsyncWriteExt;
                stream.write_all(b"flour").await.unwrap();
                stream.close().await.unwrap();
                let (mut scrap, mut all) = ([0; 1000], 0);
                while let Ok(count @ 1..) =
                    futures_lite::AsyncReadExt::read(&mut stream, &mut scrap).await
                {
                    all += count;
                }
                assert!(all > 0);
            } else {
                server.connection(stream, Some(peer)).serve(who).await;
            }
            let answer = client.await.unwrap();
            assert!(answer.starts_with(expected), "{answer}");
        }
    });
}

/// Returns the first records of a client.
fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(config.clone(), name).unwrap();
    let mut records = Vec::new();
    tls.write_tls(&mut records).unwrap();
    records
}

#[test]
fn a_client_that_leaves_within_the_handshake_leaves_nothing_behind() {
    let (config, client) = configs();
    let (server, address) = start(Server::builder().tls(config));
    let hello = hello(&client);
    for count in (0..hello.len()).step_by(7).chain([hello.len()]) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&hello[..count]).unwrap();
        if count % 2 == 0 {
            // A reset.
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    assert!(facts(address, &client).starts_with("TLSv1.3"));
    server.stopper().stop();
    let report = server.join().unwrap();
    assert_eq!(report.cut, 0, "{report}");
}

#[test]
fn garbage_is_answered_by_an_alert() {
    let (config, client) = configs();
    let (_server, address) = start(Server::builder().tls(config));
    let handshake = |content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], content].concat()
    };
    let rows: &[(&str, Vec<u8>)] = &[
        ("a record of an unknown kind", vec![99, 3, 3, 0, 1, 0]),
        ("a record that is too long", vec![22, 3, 3, 0xff, 0xff]),
        ("an unknown version", vec![22, 9, 9, 0, 1, 0]),
        ("an empty handshake", handshake(&[])),
        ("another message first", handshake(&[2, 0, 0, 1, 0])),
        (
            "a hello that is cut short",
            handshake(&[1, 0, 0, 3, 3, 3, 0]),
        ),
        (
            "a hello of SSL 2",
            [&[0x80, 0x2e, 1, 3, 1], &[0; 60][..]].concat(),
        ),
        ("data before the handshake", vec![23, 3, 3, 0, 2, 1, 1]),
        ("an alert first", vec![21, 3, 3, 0, 2, 2, 40]),
        ("zeros", vec![0; 100]),
    ];
    for (name, bytes) in rows {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        // An alert, or the end: not everything that arrives here is TLS.
        assert!(
            matches!(answer[..], [] | [21, 3, _, 0, 2, 2, _]),
            "{name}: {answer:?}"
        );
    }
    assert!(facts(address, &client).starts_with("TLSv1.3"));
}

#[test]
fn half_handshakes_delay_no_other_client_and_end_at_the_deadline() {
    let (config, client) = configs();
    let limits = Limits::default().with(|limits| {
        limits.handshake_duration_max = Duration::from_millis(700);
        limits.handshakes_max = 100;
    });
    let (_server, address) = start(Server::builder().limits(limits).tls(config));
    let hello = hello(&client);
    let stalled: Vec<_> = (0..300)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            // From no byte to a whole hello, whose client then does not finish.
            drop(stream.write_all(&hello[..hello.len() * (number % 4) / 3]));
            stream
        })
        .collect();
    let start = Instant::now();
    for _ in 0..10 {
        assert!(facts(address, &client).starts_with("TLSv1.3"));
    }
    assert!(start.elapsed() < DEADLINE);
    for mut stream in stalled {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes)); // the end or a reset
    }
    assert!(start.elapsed() < DEADLINE);
    assert!(facts(address, &client).starts_with("TLSv1.3"));
}

#[test]
fn a_lack_of_descriptors_ends_with_the_clients_that_hold_them() {
    alone(|| {
        let (config, client) = configs();
        let (_server, address) = start(Server::builder().tls(config));
        let limit = Rlimit {
            current: Some(90),
            ..getrlimit(Resource::Nofile)
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        for _ in 0..3 {
            let mut held = Vec::new();
            // The clients share the limit with the server.
            while let Ok(stream) = TcpStream::connect(address) {
                held.push(stream);
            }
            assert!(held.len() > 20, "{}", held.len());
            thread::sleep(Duration::from_millis(50));
            drop(held);
            assert!(facts(address, &client).starts_with("TLSv1.3"));
        }
    });
}

#[test]
fn a_client_of_http_is_sent_to_https() {
    block_on(async {
        let server = Server::builder().without_listener();
        for (head, location) in [
            (
                "GET / HTTP/1.1\r\nHost: mill.example",
                "https://mill.example/",
            ),
            (
                "GET /a/%20b?c=d HTTP/1.1\r\nHost: mill.example:8080",
                "https://mill.example/a/%20b?c=d",
            ),
            (
                "GET http://mill.example HTTP/1.1\r\nHost: other",
                "https://mill.example/",
            ),
            (
                "GET http://mill.example?q HTTP/1.1\r\nHost: other",
                "https://mill.example/?q",
            ),
            (
                "GET //evil.example/ HTTP/1.1\r\nHost: mill.example",
                "https://mill.example//evil.example/",
            ),
            ("GET /x HTTP/1.1\r\nHost: [::1]:80", "https://[::1]/x"),
            ("GET /x HTTP/1.1\r\nHost: [::1]", "https://[::1]/x"),
            (
                "OPTIONS * HTTP/1.1\r\nHost: mill.example",
                "https://mill.example",
            ),
        ] {
            let mut client = TestClient::of(&server, redirect_to_https);
            client.send(format!("{head}\r\n\r\n")).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT, "{head}");
            assert_eq!(answer.headers["location"], location, "{head}");
        }
        let other = Cell::new(0);
        let to_port = async move |request: Request<'_>| {
            other.set(other.get() + 1);
            redirect_to_https_port(request, 8443).await
        };
        let mut client = TestClient::of(&server, to_port);
        client
            .send("POST /x HTTP/1.1\r\nHost: mill.example:80\r\nContent-Length: 3\r\n\r\nabc")
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.headers["location"], "https://mill.example:8443/x");
        let mut client = TestClient::of(&server, redirect_to_https);
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.answer().await.status, StatusCode::BAD_REQUEST);
        // A Host may be empty (RFC 9110, 7.2). Browsers would take the first segment of `https:///flour` as the host.
        for host in ["", ":80"] {
            let mut client = TestClient::of(&server, redirect_to_https);
            let head = format!("GET /evil.example/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
            client.send(head).await;
            assert_eq!(
                client.answer().await.status,
                StatusCode::BAD_REQUEST,
                "{host:?}"
            );
        }
    });
}

#[test]
fn a_client_without_room_receives_503_over_tls() {
    let (config, client) = configs();
    let limits = Limits::default().with(|limits| limits.connections_max = Some(1));
    let builder = Server::builder().limits(limits).turn_away_when_full(true);
    let (_server, address) = start(builder.tls(config));
    let mut busy = connect(address, &client);
    // A request whose body does not come.
    busy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
    thread::sleep(Duration::from_millis(50));
    let mut second = connect(address, &client);
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    second.write_all(request).unwrap();
    assert!(read_all(&mut second).starts_with("HTTP/1.1 503 "));
    drop(busy);
}

#[test]
fn a_configuration_of_rustls_can_be_used_and_has_no_early_data() {
    let authority = Authority::new();
    let pair = authority.server(&["localhost"]);
    let config = server_builder();
    let mut config = config
        .with_single_cert(vec![pair.certificate.clone()], pair.key.clone_key())
        .unwrap();
    config.max_early_data_size = 1000;
    let (_server, address) = start(Server::builder().tls(TlsConfig::from(config)));
    let mut client = (*client_config(&authority)).clone();
    client.alpn_protocols = Vec::new();
    client.enable_early_data = true;
    let client = Arc::new(client);
    assert!(facts(address, &client).contains("full"));
    let mut again = connect(address, &client);
    assert!(again.conn.early_data().is_none());
    ask(&mut again, "/", "Connection: close\r\n");
    assert!(read_all(&mut again).contains("resumed"));
}
