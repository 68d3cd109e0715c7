//! TLS, WebSockets and compression, which two of the systems have (R-02, R-49, R-51, M-16).

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use waterwheel::http::tls::TlsConfig;
use waterwheel::http::web::compress::compress;
use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
use waterwheel::http::{Request, Server, ServerThread, StatusCode};

use crate::support::programs::{run, tool};
use crate::support::server::TestServer;
use crate::support::tls::{Authority, ask, client_config, connect, read_answer};

/// Starts a server of HTTPS that answers with `over TLS`.
fn https(certificate: &str, key: &str) -> ServerThread {
    let config = TlsConfig::from_pem(certificate, key).unwrap();
    let builder = Server::builder().tls(config);
    let hello =
        || async |request: Request<'_>| request.respond(StatusCode::OK, "over TLS", ()).await;
    builder.stoppable("127.0.0.1:0", hello).unwrap()
}

#[test]
fn r_02_a_stalled_handshake_does_not_block_other_clients() {
    let authority = Authority::new();
    let (certificate, key) = authority.server(&["localhost"]).pem();
    let server = https(&certificate, &key);
    let silent = TcpStream::connect(server.local_address()).unwrap();
    let mut client = connect(server.local_address(), &client_config(&authority));
    ask(&mut client, "/", "");
    assert!(read_answer(&mut client, 8).ends_with("over TLS"));
    drop(silent);
}

#[test]
fn m_16_https_with_a_key_of_rsa_in_pem() {
    let (Some(openssl), Some(curl)) = (tool("openssl"), tool("curl")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    let mut make = Command::new(openssl);
    make.args([
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
    ]);
    make.args([
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]);
    make.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
    run(&mut make).expect_success();
    let [pem, key] = [&certificate, &key].map(|path| fs::read_to_string(path).unwrap());
    let server = https(&pem, &key);
    let mut get = Command::new(curl);
    get.args(["--silent", "--show-error", "--cacert"])
        .arg(&certificate);
    get.arg(format!(
        "https://localhost:{}/",
        server.local_address().port()
    ));
    assert_eq!(run(&mut get).expect_success(), "over TLS");
}

#[test]
fn r_49_the_client_chooses_the_coding_and_images_stay_as_they_are() {
    let server = TestServer::start(Server::builder(), || {
        compress(async |request: Request<'_>| {
            let kind = if request.path() == "/mill.png" {
                "image/png"
            } else {
                "text/plain"
            };
            let fields = [("content-type", kind)];
            request
                .respond(StatusCode::OK, "grist ".repeat(1000), fields)
                .await
        })
    });
    let head = |path: &str, accept: &str| {
        let request = format!(
            "HEAD {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accept}\r\nConnection: close\r\n\r\n"
        );
        server.exchange(&[request.as_bytes()])
    };
    for (accept, coding) in [
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
    ] {
        let answer = head("/", accept);
        assert!(
            answer.contains(&format!("content-encoding: {coding}\r\n")),
            "{accept}: {answer}"
        );
    }
    for (path, accept) in [("/", "identity"), ("/", ""), ("/mill.png", "gzip, br")] {
        let answer = head(path, accept);
        assert!(
            !answer.contains("content-encoding"),
            "{path} {accept}: {answer}"
        );
    }
}

#[test]
fn r_51_the_handshake_of_the_rfc_opens_a_websocket_that_returns_messages() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let options = WebSocketOptions::new();
            websocket::upgrade(request, &options, async |mut socket: WebSocket| {
                while let Some(message) = socket.next().await? {
                    socket.send(&message).await?;
                }
                Ok(())
            })
            .await
        }
    });
    // RFC 6455, 1.2 and 5.7: the key and its answer, a masked `Hello`, a masked ping, and a close frame.
    let handshake = "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let ping = b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let close = b"\x88\x82\0\0\0\0\x03\xe8";
    let answer = server.exchange(&[handshake.as_bytes(), hello, ping, close]);
    assert!(
        answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{answer}"
    );
    let (_, frames) = answer.split_once("\r\n\r\n").unwrap();
    assert!(frames.contains("\u{5}Hello"), "{frames:?}");
    assert_eq!(
        frames.matches("\u{5}Hello").count(),
        2,
        "the message and the pong: {frames:?}"
    );
}
