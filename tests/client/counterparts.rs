//! Servers of other projects, and our own, with TLS and without.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use waterwheel::http::client::{Client, Redirects, RequestErrorKind};
use waterwheel::http::tls::TlsConfig;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{race, spawn};

use crate::scripted::run;
use crate::support::programs::{Owned, reserve_port, tool, wait_until_it_listens};
use crate::support::tls::{Authority, client_builder, client_config};

/// A server's folder, with a certificate for `localhost`, and a client that trusts it.
struct Ground {
    folder: PathBuf,
    tls: Arc<ClientConfig>,
}

impl Ground {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("client")
            .join(name);
        fs::create_dir_all(folder.join("files")).unwrap();
        let authority = Authority::new();
        let (certificate, key) = authority.server(&["localhost"]).pem();
        fs::write(folder.join("certificate.pem"), certificate).unwrap();
        fs::write(folder.join("key.pem"), key).unwrap();
        fs::write(folder.join("files/large"), "x".repeat(300_000)).unwrap();
        Self {
            folder,
            tls: client_config(&authority),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn client(&self) -> Client {
        let builder = Client::builder().tls(self.tls.clone());
        builder.redirects(Redirects::follow(3)).build()
    }

    /// Starts a server that prints its ports. Returns the URIs of HTTP and HTTPS.
    fn start(command: &mut Command) -> (Owned, [String; 2]) {
        let mut server = Owned(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        let output = server.0.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let (plain, secure) = line.trim().split_once(' ').unwrap();
        (server, Self::uris(plain, secure))
    }

    fn uris(plain: &str, secure: &str) -> [String; 2] {
        [
            format!("http://localhost:{plain}"),
            format!("https://localhost:{secure}"),
        ]
    }
}

/// Reads a large body, whole and in pieces, and an empty one.
async fn reads(client: &Client, uri: &str) {
    let large = format!("{uri}/large");
    let whole = client.get(large.as_str()).send().await.unwrap();
    assert_eq!(whole.content_length(), Some(300_000));
    assert_eq!(whole.text().await.unwrap(), "x".repeat(300_000));
    let mut response = client.get(large.as_str()).send().await.unwrap();
    let mut count = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        count += piece.len();
    }
    assert_eq!(count, 300_000);
    let head = client.head(large.as_str()).send().await.unwrap();
    assert_eq!(
        (head.status(), head.bytes().await.unwrap().len()),
        (StatusCode::OK, 0)
    );
}

#[test]
fn nginx_closes_after_three_requests_and_none_fails() {
    let Some(nginx) = tool("nginx") else { return };
    let ground = Ground::new("nginx");
    let (_plain, plain) = reserve_port();
    let (_secure, secure) = reserve_port();
    let config = include_str!("servers/nginx.conf")
        .replace("{FOLDER}", &ground.folder.display().to_string())
        .replace("{PLAIN}", &plain.to_string())
        .replace("{SECURE}", &secure.to_string());
    let file = ground.folder.join("nginx.conf");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(nginx);
    let mut process = Owned(
        command
            .args(["-e", "stderr", "-c"])
            .arg(file)
            .spawn()
            .unwrap(),
    );
    wait_until_it_listens(&mut process, plain);
    wait_until_it_listens(&mut process, secure);
    run(async {
        let client = ground.client();
        for uri in Ground::uris(&plain.port().to_string(), &secure.port().to_string()) {
            reads(&client, &uri).await;
            let host = uri.split("//").nth(1).unwrap();
            for number in 0..10 {
                let response = client
                    .get(format!("{uri}/echo?{number}"))
                    .send()
                    .await
                    .unwrap();
                let expected = format!("GET {host} /echo?{number}");
                assert_eq!(response.text().await.unwrap(), expected);
            }
            let moved = client
                .post(format!("{uri}/moved"))
                .body("rye")
                .send()
                .await
                .unwrap();
            assert_eq!(moved.uri().path(), "/echo");
            assert_eq!(moved.text().await.unwrap(), format!("GET {host} /echo"));
            let missing = client.get(format!("{uri}/missing")).send().await.unwrap();
            assert_eq!(missing.status(), StatusCode::NOT_FOUND);
            // It answers after the head, and reads and discards the body.
            let large = vec![b'x'; 4 << 20];
            let early = client
                .post(format!("{uri}/body"))
                .body_reader(&large[..], Some(4 << 20));
            let early = early.send().await.unwrap();
            assert_eq!(early.status(), StatusCode::PAYLOAD_TOO_LARGE);
            early.bytes().await.unwrap();
        }
    });
}

#[test]
fn node_streams_both_ways_and_closes_idle_connections() {
    let Some(node) = tool("node") else { return };
    let ground = Ground::new("node");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client/servers/server.mjs");
    let mut command = Command::new(node);
    let command = command
        .arg(script)
        .args([ground.path("certificate.pem"), ground.path("key.pem")]);
    let (_node, uris) = Ground::start(command);
    run(async {
        let client = ground.client();
        for uri in &uris {
            reads(&client, uri).await;
            let body = "rye".repeat(100_000);
            let echo = client
                .put(format!("{uri}/echo"))
                .body_reader(body.as_bytes(), None);
            let mut response = echo.send().await.unwrap();
            let mut echoed = String::new();
            response.read_to_string(&mut echoed).await.unwrap();
            assert_eq!(echoed, body);
            let method = response
                .trailers()
                .and_then(|trailers| trailers.get("x-method"));
            assert_eq!(method, Some("PUT"));
            assert_eq!(client.idle_connections(), 1);
            let expected = client.post(format!("{uri}/echo")).body(body.clone());
            let expected = expected
                .expect_continue(Duration::from_secs(5))
                .send()
                .await
                .unwrap();
            assert_eq!(expected.text().await.unwrap(), body);
            let early = client
                .post(format!("{uri}/early"))
                .body(vec![b'x'; 1 << 20]);
            let early = early.send().await.unwrap();
            assert_eq!(early.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(early.text().await.unwrap(), "too large");
            let cut = client.get(format!("{uri}/cut")).send().await.unwrap();
            let error = cut.bytes().await.unwrap_err();
            assert_eq!(error.kind(), RequestErrorKind::CutShort);
            // The server closes while the connection is idle. A request that may not be sent twice succeeds, because
            // the client sees the close.
            for _ in 0..3 {
                let once = client.get(format!("{uri}/once")).send().await.unwrap();
                assert_eq!(once.text().await.unwrap(), "once");
                sleep(Duration::from_millis(60)).await;
                let post = client
                    .post(format!("{uri}/echo"))
                    .body("rye")
                    .send()
                    .await
                    .unwrap();
                assert_eq!(post.text().await.unwrap(), "rye");
            }
            client.close_idle();
        }
        let chat = client
            .get(format!("{}/chat", uris[0]))
            .header("upgrade", "echo");
        let mut stream = chat.send().await.unwrap().upgrade().unwrap();
        stream.write_all(b"water").await.unwrap();
        let mut echoed = [0; 5];
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"water");
    });
}

#[test]
fn pythons_http_server_speaks_both_versions() {
    let Some(python) = tool("python3") else {
        return;
    };
    let ground = Ground::new("python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client/servers/server.py");
    let mut command = Command::new(python);
    let command = command.arg(script).arg(ground.path("files"));
    let command = command.args([ground.path("certificate.pem"), ground.path("key.pem")]);
    let (_python, [plain, secure]) = Ground::start(command);
    run(async {
        let client = ground.client();
        reads(&client, &plain).await;
        assert_eq!(client.idle_connections(), 0, "HTTP/1.0 closes");
        reads(&client, &secure).await;
        assert_eq!(client.idle_connections(), 1);
        let missing = client
            .get(format!("{secure}/missing"))
            .send()
            .await
            .unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    });
}

/// Echoes the body, in chunks.
async fn echo(request: Request<'_>) -> Result<Responded> {
    if request.path() == "/large" {
        return request
            .respond(StatusCode::OK, "x".repeat(300_000), ())
            .await;
    }
    let body = request.bytes().await?;
    let mut answer = request
        .start(StatusCode::OK, [("trailer", "x-sum")])
        .await?;
    for piece in body.chunks(1000) {
        answer.write(piece).await?;
    }
    answer
        .finish_with_trailers([("x-sum", body.len().to_string())])
        .await
}

/// Talks to a server of this crate.
async fn talks(client: &Client, uri: &str) {
    reads(client, uri).await;
    for length in [0, 1, 5000, 1 << 20] {
        let body = vec![b'x'; length];
        let mut response = client.post(uri).body(body.clone()).send().await.unwrap();
        let mut echoed = Vec::new();
        response.read_to_end(&mut echoed).await.unwrap();
        assert_eq!(echoed.len(), length);
        let sum = response
            .trailers()
            .and_then(|trailers| trailers.get("x-sum"));
        assert_eq!(sum, Some(length.to_string().as_str()));
        let streamed = client.post(uri).body_reader(&body[..], None);
        assert_eq!(
            streamed.send().await.unwrap().bytes().await.unwrap().len(),
            length
        );
    }
    assert_eq!(client.idle_connections(), 1);
}

#[test]
fn our_own_server_over_tcp_tls_and_a_unix_socket() {
    let ground = Ground::new("own");
    let read = |name| fs::read(ground.folder.join(name)).unwrap();
    let tls = TlsConfig::from_pem(read("certificate.pem"), read("key.pem")).unwrap();
    run(async {
        let serve = async |server: Server| server.serve(echo).await.map(drop).unwrap();
        let plain = Server::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}", plain.local_address());
        race(talks(&Client::new(), &uri), serve(plain)).await;
        let secure = Server::builder().tls(tls).bind("127.0.0.1:0").unwrap();
        let port = secure.local_address().port();
        let uri = format!("https://localhost:{port}");
        race(talks(&ground.client(), &uri), serve(secure)).await;
        let path = ground.folder.join("socket");
        drop(fs::remove_file(&path));
        let unix = Server::builder().bind_unix(&path).unwrap();
        let client = Client::builder().unix(&path).build();
        race(talks(&client, "http://mill"), serve(unix)).await;
    });
}

/// `openssl req -x509` makes such certificates. RFC 5280, 4.2.1.9: the key of an authority signs certificates.
#[test]
fn the_certificate_of_an_authority_is_refused_with_its_remedy() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let tls = TlsConfig::from_pem(certificate.pem(), key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let config = client_builder(rustls::DEFAULT_VERSIONS).with_root_certificates(roots);
    let config = Arc::new(config.with_no_client_auth());
    run(async {
        let server = Server::builder().tls(tls).bind("127.0.0.1:0").unwrap();
        let uri = format!("https://localhost:{}/", server.local_address().port());
        spawn(async move { server.serve(echo).await.map(drop) }).detach();
        let client = Client::builder().tls(config).build();
        let error = client.get(uri.as_str()).send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("CA:FALSE"), "{error}");
    });
}

#[test]
fn a_certificate_of_another_name_or_authority_is_refused() {
    let ground = Ground::new("names");
    let read = |name| fs::read(ground.folder.join(name)).unwrap();
    let tls = TlsConfig::from_pem(read("certificate.pem"), read("key.pem")).unwrap();
    run(async {
        let server = Server::builder().tls(tls).bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = server.local_address();
        spawn(async move { server.serve(echo).await.map(drop) }).detach();
        let other_name = ground
            .client()
            .get(format!("https://{address}/"))
            .send()
            .await;
        let stranger = Client::builder()
            .tls(client_config(&Authority::new()))
            .build();
        let uri = format!("https://localhost:{}/", address.port());
        let unknown = stranger.get(uri.as_str()).send().await;
        let text = unknown.as_ref().err().unwrap().to_string();
        assert!(text.contains("ClientBuilder::tls"), "{text}");
        for refused in [other_name, unknown] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), RequestErrorKind::Tls, "{error}");
            assert!(error.to_string().contains("certificate"), "{error}");
        }
        let without = Client::new().get(uri.as_str()).send().await.unwrap_err();
        assert_eq!(without.kind(), RequestErrorKind::Request);
        // HTTPS to a port of HTTP.
        let plain = Server::bind("127.0.0.1:0").unwrap();
        let port = plain.local_address().port();
        spawn(async move { plain.serve(echo).await.map(drop) }).detach();
        let mixed = ground
            .client()
            .get(format!("https://localhost:{port}/"))
            .send()
            .await;
        assert_eq!(mixed.unwrap_err().kind(), RequestErrorKind::Tls);
        let dead = Client::new().get("http://127.0.0.1:1/").send().await;
        assert_eq!(dead.unwrap_err().kind(), RequestErrorKind::Connect);
    });
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let ground = Ground::new("weaker");
    let read = |name| fs::read(ground.folder.join(name)).unwrap();
    let tls = TlsConfig::from_pem(read("certificate.pem"), read("key.pem")).unwrap();
    run(async {
        let weaker = async |request: Request<'_>| {
            let place = [("location", "http://localhost/")];
            request.respond(StatusCode::FOUND, "", place).await
        };
        let server = Server::builder().tls(tls).bind("127.0.0.1:0").unwrap();
        let uri = format!("https://localhost:{}/", server.local_address().port());
        spawn(async move { server.serve(weaker).await.map(drop) }).detach();
        let error = ground.client().get(uri).send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Redirect);
        assert!(error.to_string().ends_with("from https to another scheme"));
    });
}
